//! `borealis-crons`: thousands of crons are due in one minute; AuroraCrons, CronJobs, and a bare loop.
//!
//! Called by `make bench-crons`. The table goes to standard output, all that was read to a file of JSON; every cluster
//! is taken down, also when something fails.
#![allow(clippy::print_stdout, reason = "it tells a person what it measured")]

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use borealis_e2e::{
    bench::{
        self, CLUSTER,
        crons::{self, By, Crons, Round},
    },
    operator, paths,
};
use clap::Parser;
use serde_json::json;

/// Measures crons that are due at once, Borealis's and those of Kubernetes, on a local cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Crons that are due at once
    #[arg(long, env = "CRONS", default_value_t = 10_000)]
    crons: u32,
    /// Simulated nodes
    #[arg(long, env = "NODES", default_value_t = 500)]
    nodes: u32,
    /// How many times, each on a cluster of its own; every other run has the CronJobs first
    #[arg(long, env = "RUNS", default_value_t = 1)]
    runs: usize,
    /// Whose to measure
    #[arg(long, env = "BY", value_enum, value_delimiter = ',', default_values_t = [By::Borealis, By::CronJobs, By::Loop])]
    by: Vec<By>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the benchmark could not be made: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    ensure!(args.crons > 0, "CRONS is 0; ask for one at least");
    let crons = Crons { crons: args.crons, nodes: args.nodes };
    operator::end_leftovers(&paths::repository().join(".run").join(format!("{CLUSTER}-files"))).await?;
    let folder = paths::run_folder(CLUSTER)?;
    let file = folder.join("crons.json");
    let mut rounds: Vec<Round> = Vec::new();
    for number in 0..args.runs {
        let mut order = args.by.clone();
        if number % 2 == 1 && order.len() > 1 {
            order.swap(0, 1);
        }
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("run {} of {}, {order:?}, load before {}", number + 1, args.runs, load.trim());
        let result = bench::on_cluster(&folder, crons.nodes, async |ground| {
            for by in order.iter().copied() {
                rounds.push(crons.round(ground, by).await?);
            }
            Ok(())
        })
        .await;
        // Also of a run that failed half way: what it measured before is true.
        let all: Vec<_> = rounds.iter().map(Round::json).collect();
        let all = json!({ "crons": crons.crons, "nodes": crons.nodes, "rounds": all });
        std::fs::write(&file, format!("{all:#}\n")).with_context(|| file.display().to_string())?;
        if result.is_err() || number + 1 == args.runs {
            println!("\n{}\nAll that was read: {}", crons::markdown(crons, &rounds)?, file.display());
        }
        result?;
    }
    Ok(())
}
