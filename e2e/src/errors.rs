//! Errors of steps of which each is taken, whatever became of those before it. Called where something is mended or cleared
//! away.

use anyhow::{Result, ensure};

/// The errors of all of them, if there are any.
pub(crate) fn joined<const N: usize>(results: [Result<()>; N]) -> Result<()> {
    let errors: Vec<String> =
        results.into_iter().filter_map(|result| Some(format!("{:#}", result.err()?))).collect();
    ensure!(errors.is_empty(), "{}", errors.join("; and "));
    Ok(())
}
