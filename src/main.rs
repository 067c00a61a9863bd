//! The operator: reads its settings, starts the log, runs.

use std::process::ExitCode;

use borealis::{Settings, run, telemetry};
use clap::{Parser, error::ErrorKind};

/// Gives back what a start needs for a moment, when everything is listed: a third of the resident memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = Settings::parse();
    let refuse = |kind, why: String| -> ! { clap::Error::raw(kind, format!("{why}\n")).exit() };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => refuse(ErrorKind::Io, format!("no threads to run on: {error}")),
    };
    // Traces are sent by the runtime, which therefore ends after them.
    let (log, _traces) = match settings.check().and_then(|()| telemetry::start(&settings, runtime.handle())) {
        Ok(started) => started,
        Err(wrong) => refuse(ErrorKind::ValueValidation, wrong.to_string()),
    };
    match runtime.block_on(run(settings, log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            ExitCode::FAILURE
        }
    }
}
