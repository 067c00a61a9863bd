//! The operator: reads its settings, starts the log, runs.

use std::process::ExitCode;

use borealis::{Settings, run, telemetry};
use clap::Parser;

/// Gives back what a start needs for a moment, when everything is listed: a third of the resident memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = Settings::parse();
    let log = match settings.check().and_then(|()| telemetry::start(&settings)) {
        Ok(log) => log,
        Err(wrong) => clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{wrong}\n")).exit(),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no threads to run on");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(settings, log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            ExitCode::FAILURE
        }
    }
}
