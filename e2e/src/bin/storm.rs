//! `borealis-storm`: production arrives at once on full nodes; Borealis makes room for it, and then the scheduler.
//!
//! Called by `make bench-storm`. The table goes to standard output, all that was read to a file of JSON; every cluster
//! is taken down, also when something fails.
#![allow(clippy::print_stdout, reason = "it tells a person what it measured")]

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use borealis_e2e::{
    bench::{
        self, CLUSTER,
        storm::{self, By, Round, Storm},
    },
    operator, paths,
};
use clap::Parser;
use serde_json::json;

/// Measures preemption, by Borealis and by the scheduler, on a local cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Pods of production; two Pods of batch have to go for each, and a node has four
    #[arg(long, env = "STORM", default_value_t = 1000)]
    storm: u32,
    /// Simulated nodes
    #[arg(long, env = "NODES", default_value_t = 1000)]
    nodes: u32,
    /// How many times, each on a cluster of its own; every other run has the scheduler first
    #[arg(long, env = "RUNS", default_value_t = 1)]
    runs: usize,
    /// The first run has the scheduler first
    #[arg(long)]
    scheduler_first: bool,
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
    let storm = Storm { production: args.storm, nodes: args.nodes };
    ensure!(
        storm.is_possible(),
        "STORM is {}, but NODES={} have room for 1 to {}",
        args.storm,
        args.nodes,
        args.nodes * 2
    );
    operator::end_leftovers(&paths::repository().join(".run").join(format!("{CLUSTER}-files"))).await?;
    let folder = paths::run_folder(CLUSTER)?;
    let file = folder.join("storm.json");
    let mut rounds: Vec<Round> = Vec::new();
    for number in 0..args.runs {
        let mut order = [By::Borealis, By::Scheduler];
        if (number % 2 == 1) != args.scheduler_first {
            order.reverse();
        }
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("run {} of {}, {order:?}, load before {}", number + 1, args.runs, load.trim());
        let result = bench::on_cluster(&folder, storm.nodes, async |ground| {
            for by in order {
                rounds.push(storm.round(ground, by).await?);
            }
            Ok(())
        })
        .await;
        // Also of a run that failed half way: what it measured before is true.
        let all: Vec<_> = rounds.iter().map(Round::json).collect();
        let all = json!({ "production": storm.production, "nodes": storm.nodes, "rounds": all });
        std::fs::write(&file, format!("{all:#}\n")).with_context(|| file.display().to_string())?;
        if result.is_err() || number + 1 == args.runs {
            println!("\n{}\nAll that was read: {}", storm::markdown(storm, &rounds)?, file.display());
        }
        result?;
    }
    Ok(())
}
