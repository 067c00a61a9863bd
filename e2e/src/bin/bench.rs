//! `borealis-bench`: a cluster per run, a service and a Deployment of one size on it, and what each cost.
//!
//! Called by `make bench-cluster`. The tables go to standard output, all that was read to a file of JSON; every
//! cluster is taken down, also when something fails.
#![allow(clippy::print_stdout, reason = "it tells a person what it measured")]

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use borealis_e2e::{
    bench::{self, Bench, CLUSTER, Order, Sizes},
    operator, paths,
};
use clap::Parser;
use serde_json::json;

/// Measures Borealis and a Deployment of the same size on a local cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Instances of the service, replicas of the Deployment
    #[arg(long, env = "INSTANCES", default_value_t = 4000)]
    instances: u32,
    /// Simulated nodes
    #[arg(long, env = "NODES", default_value_t = 500)]
    nodes: u32,
    /// Instances that are changed at a time
    #[arg(long, env = "BATCH", default_value_t = 400)]
    batch: u32,
    /// How many times, each on a cluster of its own; every other run does the Deployment first
    #[arg(long, env = "RUNS", default_value_t = 1)]
    runs: usize,
    /// The first run does the Deployment first
    #[arg(long)]
    deployment_first: bool,
    /// Where the JSON goes [default: beside the logs of the operator]
    #[arg(long)]
    json: Option<PathBuf>,
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
    let sizes = Sizes { instances: args.instances, nodes: args.nodes, batch: args.batch };
    operator::end_leftovers(&paths::repository().join(".run").join(format!("{CLUSTER}-files"))).await?;
    let folder = paths::run_folder(CLUSTER)?;
    let file = args.json.clone().unwrap_or_else(|| folder.join("bench.json"));
    let (mut runs, mut written) = (Vec::new(), Vec::new());
    for number in 0..args.runs {
        let deployment_first = (number % 2 == 1) != args.deployment_first;
        let order = if deployment_first { Order::DeploymentFirst } else { Order::ServiceFirst };
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("run {} of {}, {order:?}, load before {}", number + 1, args.runs, load.trim());
        let mut phases = Vec::new();
        let result = bench::on_cluster(&folder, sizes.nodes, async |ground| {
            let mut bench = Bench::new(ground, sizes);
            let result = bench.run(order).await;
            phases.append(&mut bench.phases);
            result
        })
        .await;
        written.push(bench::run_json(&format!("{order:?}"), load.trim(), &phases));
        // Also of a run that failed half way: what it measured before is true.
        let all = json!({ "sizes": sizes.json(), "runs": written });
        std::fs::write(&file, format!("{all:#}\n")).with_context(|| file.display().to_string())?;
        runs.push(phases);
        if result.is_err() || number + 1 == args.runs {
            println!("\n{}\nAll that was read: {}", bench::markdown(sizes, &runs)?, file.display());
        }
        result?;
    }
    Ok(())
}
