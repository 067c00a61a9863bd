//! Writes `crds/`: one YAML file a kind, generated from the types of `borealis::api`.
//!
//! `crdgen` writes the files, `crdgen --check` fails if they differ from the code. Run by
//! `make generate` and `make verify`; takes the directory as an argument, default `crds`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;

#[derive(Parser)]
#[command(about = "Writes the CustomResourceDefinitions, one file a kind")]
struct Arguments {
    /// Where the files are.
    #[arg(default_value = "crds")]
    directory: PathBuf,
    /// Write nothing; fail if a file is missing, differs, or is not ours.
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let files = borealis::api::crd_files()?;
    if arguments.check {
        return check(&arguments.directory, &files);
    }
    std::fs::create_dir_all(&arguments.directory).context("creating the directory")?;
    for (name, text) in &files {
        let path = arguments.directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn check(directory: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (name, text) in files {
        if std::fs::read_to_string(directory.join(name)).ok().as_ref() != Some(text) {
            wrong.push(name.clone());
        }
    }
    for entry in std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !files.iter().any(|(known, _)| *known == name) {
            wrong.push(format!("{name} (no kind of ours)"));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("out of date in {}: {}; run `make generate`", directory.display(), wrong.join(", "))
}
