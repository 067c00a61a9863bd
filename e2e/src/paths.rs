//! Where things are: the repository, the programs that were built, the folder of a run.
//!
//! Called by everything that starts a program or writes a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The longest path of a run folder: below it lie Unix sockets, whose paths may have 107 characters.
const LONGEST_BASE: usize = 40;

/// The root of the repository this was built from.
pub fn repository() -> &'static Path {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member)
}

/// The folder that holds the local clusters of this checkout, each in a folder of its own name.
///
/// Inside the checkout, so that two checkouts never meet; where its path is too long for sockets, localcluster's
/// own default (`None`).
pub fn clusters() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("BOREALIS_RUN") {
        return Some(PathBuf::from(given));
    }
    let base = repository().join(".run");
    (base.as_os_str().len() <= LONGEST_BASE).then_some(base)
}

/// The folder of a run's own files: logs of the operators, dumps, the report. Emptied at the start of a run.
pub fn run_folder(name: &str) -> Result<PathBuf> {
    let folder = repository().join(".run").join(format!("{name}-files"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("could not empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    Ok(folder)
}

/// The operator's program: `$BOREALIS_OPERATOR`, else beside the program that runs now.
pub fn operator() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("BOREALIS_OPERATOR") {
        return Ok(PathBuf::from(given));
    }
    let own = std::env::current_exe().context("could not find out which program this is")?;
    let operator = own.with_file_name("borealis");
    anyhow::ensure!(
        operator.is_file(),
        "there is no operator at {}: build it with `make build`, or name it in BOREALIS_OPERATOR",
        operator.display()
    );
    Ok(operator)
}
