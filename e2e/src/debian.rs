//! Files of Debian's packages that some tests need, fetched once by `e2e/debian/get` and not installed.
//!
//! Called by whoever starts a program with them. They must be there: what needs one fails without.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{command::Call, paths};

/// How long a package may take to download.
const DOWNLOAD: Duration = Duration::from_secs(300);

/// The path of a file in a package, or what the environment variable names instead.
///
/// # Errors
/// When the package can't be fetched, or has no such file.
pub async fn file(package: &str, file: &str, variable: &str) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(variable) {
        return Ok(PathBuf::from(given));
    }
    let get = paths::repository().join("e2e/debian/get");
    let path = Call::new(&get, &[package, file]).limit(DOWNLOAD).output().await;
    let path = path.with_context(|| format!("there is no {package}; {variable} may name one"))?;
    let path = PathBuf::from(path.trim());
    ensure!(path.is_file(), "there is no {}", path.display());
    Ok(path)
}
