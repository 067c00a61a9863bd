//! The log: one line per change of state, none for what stays as it is.
//!
//! Set up once by `main`; everybody else uses `tracing`.

use tracing_subscriber::{EnvFilter, fmt};

use crate::settings::{LogFormat, Settings, Wrong};

/// Starts the log on standard output.
///
/// # Errors
/// When the filter can't be read.
pub fn start(settings: &Settings) -> Result<(), Wrong> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|error| Wrong::Log { text: settings.log.clone(), why: error.to_string() })?;
    let log = fmt().with_env_filter(filter).with_target(false);
    match settings.log_format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
