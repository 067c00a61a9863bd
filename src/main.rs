//! The operator: reads its settings, starts the log, runs. `borealis probe` asks whether one that is installed is at work.

use std::process::ExitCode;

use borealis::{Settings, probe, run, telemetry};
use clap::{Parser, Subcommand, error::ErrorKind};

/// Gives back what a start needs for a moment, when everything is listed: a third of the resident memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Without a subcommand it is the operator.
#[derive(Parser)]
#[command(version, about, long_about = None, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Ask the API server whether the Borealis that is installed is at work; fails where something is missing
    Probe(probe::Arguments),
}

fn main() -> ExitCode {
    let Program { command, settings } = Program::parse();
    let refuse = |kind, why: String| -> ! { clap::Error::raw(kind, format!("{why}\n")).exit() };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => refuse(ErrorKind::Io, format!("no threads to run on: {error}")),
    };
    if let Some(Command::Probe(arguments)) = command {
        return said(runtime.block_on(probe::run(&arguments)));
    }
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

#[expect(clippy::print_stdout, reason = "it tells a person, or the log of its Pod")]
fn said(report: Result<probe::Report, String>) -> ExitCode {
    match &report {
        Ok(report) => println!("{report}"),
        Err(why) => println!("{why}"),
    }
    if report.is_ok_and(|report| report.is_good()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_subcommand_it_is_the_operator_and_a_probe_takes_none_of_its_flags() {
        let parse = |line: &str| Program::try_parse_from(line.split_whitespace());
        let operator = parse("borealis --workers 3").unwrap();
        assert!(operator.command.is_none());
        assert_eq!(operator.settings.workers, 3);
        let Some(Command::Probe(probe)) = parse("borealis probe --tiers a,b").unwrap().command else {
            panic!("no probe")
        };
        assert_eq!((probe.tiers, probe.timeout_seconds), (vec!["a".to_owned(), "b".to_owned()], 60));
        for wrong in
            ["borealis --workers 3 probe", "borealis probe --workers 3", "borealis probe --timeout-seconds 4"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
