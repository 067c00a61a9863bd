//! `borealis-e2e`: starts a cluster and the operator, runs the scenarios, takes everything down, says how it went.
//!
//! Called by `make e2e`, `make e2e-full` and by hand with `--filter`.
#![allow(clippy::print_stdout, reason = "it talks to a person at a terminal, or to CI")]

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};
use borealis_e2e::{
    cluster::{Cluster, Shape},
    command, operator, paths,
    report::{Line, Outcome, Report},
    rights,
    runner::{self, Scenario},
    scenarios,
    world::{Plan, World, real_node_required},
};
use clap::Parser;

/// Runs Borealis's scenarios on a local cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Only scenarios whose name holds one of these texts.
    #[arg(long, value_delimiter = ',')]
    filter: Vec<String>,
    /// Say which scenarios there are, and stop.
    #[arg(long)]
    list: bool,
    /// The long scenarios, too.
    #[arg(long)]
    full: bool,
    /// How many scenarios run side by side.
    #[arg(long, default_value_t = 6)]
    side_by_side: usize,
    /// How many simulated nodes.
    #[arg(long, default_value_t = 60)]
    nodes: u32,
    /// Leave the real node out, and the scenarios that need it.
    #[arg(long)]
    no_real_node: bool,
    /// Install the operator by Helm from this image, as `make image` makes it, and have it run on the real node for all
    /// scenarios that don't kill or suspend it.
    #[arg(long)]
    image: Option<PathBuf>,
    /// Leave the cluster up, to look around.
    #[arg(long)]
    keep: bool,
}

impl Args {
    fn scenarios(&self) -> Vec<Scenario> {
        let wanted =
            |name: &str| self.filter.is_empty() || self.filter.iter().any(|part| name.contains(part));
        scenarios::all()
            .into_iter()
            .filter(|s| wanted(s.name) && (self.full || !s.full || !self.filter.is_empty()))
            .filter(|s| !(self.no_real_node && s.real_node))
            .collect()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let chosen = args.scenarios();
    if args.list {
        for scenario in &chosen {
            println!("{:<32} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    }
    match run(&args, &chosen).await {
        Ok(report) => {
            println!("\n{report}");
            let strict = std::env::var_os("CI").is_some() || real_node_required();
            if report.is_good(!strict) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("the run could not be made: {error:#}\n0 passed, 1 failed, 0 skipped");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, chosen: &[Scenario]) -> Result<Report> {
    if chosen.is_empty() {
        bail!("no scenario has such a name; see --list");
    }
    // Not emptied before what an interrupted run left there is ended.
    operator::end_leftovers(&paths::repository().join(".run/e2e-files")).await?;
    let folder = paths::run_folder("e2e")?;
    let mut cluster = Cluster::named("e2e").await?;
    let result = tokio::select! {
        result = with_cluster(args, chosen, &mut cluster, &folder) => result,
        name = command::interrupted() => Err(anyhow::anyhow!("interrupted by {}", name?)),
    };
    if args.keep {
        println!("the cluster is left up: KUBECONFIG={}", cluster.kubeconfig.display());
    } else {
        cluster.down().await.context("the cluster left something behind")?;
    }
    result
}

async fn with_cluster(
    args: &Args,
    chosen: &[Scenario],
    cluster: &mut Cluster,
    folder: &std::path::Path,
) -> Result<Report> {
    let begin = Instant::now();
    let image = args.image.as_deref();
    let needs_real = !args.no_real_node && (image.is_some() || chosen.iter().any(|s| s.real_node));
    let shape = Shape { nodes: args.nodes, real_node: needs_real, audited: Some(rights::OPERATOR) };
    cluster.up(shape).await?;
    let reserved = args.nodes as usize / 2;
    let plan = Plan { shape, reserved, replicas: 2, image };
    let world = World::set_up(cluster.clone(), folder, plan).await?;
    if needs_real && real_node_required() && world.real_node.is_none() {
        bail!("REQUIRE_REAL_NODE is set and there is no real node; localcluster said why");
    }
    println!("ready after {:.1}s; {} scenarios", begin.elapsed().as_secs_f64(), chosen.len());
    let world = Arc::new(world);
    // Scenarios that were left out may be those that use a right, or that a panel shows.
    let whole = args.filter.is_empty() && !args.no_real_node;
    let mut report = runner::run(&world, chosen, args.side_by_side, whole).await;
    if image.is_some() && world.real_node.is_none() {
        let why = "this machine has no real node: the operator ran as processes for all scenarios";
        report.add(Line::of("installed", Outcome::Skipped(why.to_owned())));
    }
    println!("the operator's replicas were started {:?} times", world.operators.starts().await);
    if let Err(error) = world.operators.stop_all().await {
        println!("{error:#}");
    }
    report.add(rights::line(&world, whole).await);
    Ok(report)
}
