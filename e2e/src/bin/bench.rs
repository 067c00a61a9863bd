//! `borealis-bench`: workloads, each on a cluster of its own for each contender, and what each cost.
//!
//! Called by `make bench-cluster`. The tables go to standard output, all that was read to a file of JSON, of which tables
//! and pictures can be made again; every cluster is taken down, also when something fails.
#![allow(clippy::print_stdout, reason = "it tells a person what it measured")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use borealis_e2e::{
    bench::{self, Adapter, CLUSTER, Contender, Report, Round, Sizes, Workload},
    operator, paths,
};
use clap::{Parser, ValueEnum};

/// Measures Borealis, the Deployment of Kubernetes, a bare loop and any peer by the same workloads on a local cluster.
#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    sizes: Sizes,
    /// Which workloads
    #[arg(long, env = "WORKLOADS", value_delimiter = ',', default_value = "many,large,idle,failover")]
    workloads: Vec<Workload>,
    /// Which of the contenders that come with it
    #[arg(long, env = "BY", value_delimiter = ',', default_value = "borealis,deployment,loop")]
    by: Vec<By>,
    /// Another contender, from the file of an adapter
    #[arg(long, env = "PEER")]
    peer: Option<PathBuf>,
    /// How many times all of it
    #[arg(long, env = "RUNS", default_value_t = 1)]
    runs: usize,
    /// Where the JSON goes [default: beside the logs of the operator]
    #[arg(long, env = "JSON")]
    json: Option<PathBuf>,
    /// Measures nothing, prints the tables of such a file
    #[arg(long, value_name = "FILE.json")]
    markdown: Option<PathBuf>,
    /// Measures nothing, draws the pictures of such a file
    #[arg(long, value_name = "FILE.json")]
    plot: Option<PathBuf>,
    /// The folder of the pictures
    #[arg(long, default_value = "docs/benchmarks")]
    pictures: PathBuf,
}

/// The contenders that come with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Borealis, an AuroraService
    Borealis,
    /// The Deployment of Kubernetes
    Deployment,
    /// A loop that makes Pods, the ceiling
    Loop,
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
    if let Some(file) = &args.markdown {
        print!("{}", bench::markdown(&Report::read(file)?)?);
    }
    if let Some(file) = &args.plot {
        draw(&Report::read(file)?, &args.pictures)?;
    }
    if args.markdown.is_some() || args.plot.is_some() {
        return Ok(());
    }
    measure(args).await
}

async fn measure(args: &Args) -> Result<()> {
    let contenders = contenders(args)?;
    operator::end_leftovers(&paths::repository().join(".run").join(format!("{CLUSTER}-files"))).await?;
    let folder = paths::run_folder(CLUSTER)?;
    let file = args.json.clone().unwrap_or_else(|| folder.join("bench.json"));
    let mut report = Report { sizes: args.sizes, rounds: Vec::new() };
    let done = all_rounds(args, &contenders, &folder, &file, &mut report).await;
    println!("\n{}\nAll that was read: {}", bench::markdown(&report)?, file.display());
    done
}

async fn all_rounds(
    args: &Args,
    contenders: &[Contender],
    folder: &Path,
    file: &Path,
    report: &mut Report,
) -> Result<()> {
    for run in 1..=args.runs {
        for workload in &args.workloads {
            for contender in contenders.iter().filter(|contender| workload.suits(contender)) {
                println!("run {run} of {}: {}, {}", args.runs, workload.name(), contender.name());
                let (round, done) = one_round(args.sizes, run, *workload, contender, folder).await;
                // Also of one that failed half way: what it measured before is true.
                report.rounds.push(round);
                report.write(file)?;
                done?;
            }
        }
    }
    Ok(())
}

async fn one_round(
    sizes: Sizes,
    run: usize,
    workload: Workload,
    contender: &Contender,
    folder: &Path,
) -> (Round, Result<()>) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut round = Round {
        run,
        workload: workload.name().to_owned(),
        contender: contender.name().to_owned(),
        instances: workload.instances(sizes),
        load_before: load.trim().to_owned(),
        phases: Vec::new(),
        figures: Default::default(),
    };
    let done = bench::on_cluster(folder, sizes.nodes, async |ground| {
        workload.run(ground, contender, sizes, &mut round).await
    })
    .await
    .with_context(|| format!("{} of {}", workload.name(), contender.name()));
    (round, done)
}

fn contenders(args: &Args) -> Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    for by in &args.by {
        contenders.push(match by {
            By::Borealis => Contender::Controller(Box::new(Adapter::borealis()?)),
            By::Deployment => Contender::Controller(Box::new(Adapter::deployment()?)),
            By::Loop => Contender::Loop,
        });
    }
    if let Some(peer) = &args.peer {
        contenders.push(Contender::Controller(Box::new(Adapter::read(peer)?)));
    }
    Ok(contenders)
}

fn draw(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (workload, picture) in bench::plots(report)? {
        let file = folder.join(format!("{workload}.svg"));
        std::fs::write(&file, picture).with_context(|| file.display().to_string())?;
        println!("{}", file.display());
    }
    Ok(())
}
