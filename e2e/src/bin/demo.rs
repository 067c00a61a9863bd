//! `borealis-demo`: a cluster, the operator, 200 instances that heal, update and roll back; then how to look around.
//!
//! Called by `make demo`. It ends with status 0 only if all of it really happened. On a terminal it then waits for
//! Enter before it takes everything down; without one it takes it down at once. With KEEP=1 it leaves all of it
//! running, the operator too, until `make demo-down`.
#![allow(clippy::print_stdout, reason = "it talks to a person at a terminal")]

use std::{path::Path, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use borealis_e2e::{
    cluster::Cluster,
    command,
    demo::{self, Seen, Story, View},
    paths,
    world::World,
};
use clap::Parser;
use tokio::sync::oneshot;

/// Shows Borealis at work on a local cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Take down what a demo left up, and stop.
    #[arg(long)]
    down: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let mut cluster = Cluster::named(demo::CLUSTER).await?;
    demo::take_down(&cluster).await?;
    if args.down {
        println!("The demo is taken down.");
        return Ok(());
    }
    let folder = paths::run_folder(demo::CLUSTER)?;
    let keep = std::env::var("KEEP").is_ok_and(|value| value == "1");
    let result = tokio::select! {
        result = told(&mut cluster, &folder, keep) => result,
        name = command::interrupted() => Err(anyhow::anyhow!("interrupted by {}", name?)),
    };
    match &result {
        Ok(true) => println!("It is all left running. Stop it with: make demo-down"),
        Ok(false) | Err(_) => {
            println!("Taking the cluster down.");
            demo::take_down(&cluster).await.context("the cluster left something behind")?;
        }
    }
    result.map(|_| ())
}

/// Tells the story, and says whether all is to be left running.
async fn told(cluster: &mut Cluster, folder: &Path, keep: bool) -> Result<bool> {
    let begin = Instant::now();
    let mut view = View::default();
    view.say(
        "A cluster with 50 simulated nodes, the CRDs by plain kubectl apply, two replicas of the operator.",
    );
    let world = demo::set_up(cluster, folder).await?;
    match &world.real_node {
        Some(node) => view.say(&format!("    The real node {node} is there, too.")),
        None => view
            .say("    There is no real node here (see above why); the simulated ones are enough for this."),
    }
    let told = Story::new(&world, &mut view, begin).tell().await;
    let seen = match told {
        Ok(seen) => seen,
        Err(error) => bail!("{error:#}\n{}", world.operators.log_tails(30).await),
    };
    summary(&world, &seen, begin);
    if keep {
        world.operators.leave_running().await;
        return Ok(true);
    }
    if view.is_terminal() {
        println!("\nIt runs until you press Enter.");
        enter().await;
    } else {
        println!("\nWithout a terminal it is taken down now; KEEP=1 leaves it up.");
    }
    world.operators.stop_all().await?;
    Ok(false)
}

/// Waits for a line from the terminal, in a thread that does not keep the program from ending at Ctrl-C.
async fn enter() {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = tell.send(());
    });
    let _ = told.await;
}

fn summary(world: &World, seen: &Seen, begin: Instant) {
    println!("\nWhat was seen, on a real Kubernetes API server:");
    for (what, took) in seen {
        println!("  {:>6.1} s  {what}", took.as_secs_f64());
    }
    println!("  {:>6.1} s  in all", begin.elapsed().as_secs_f64());
    let kubectl = format!("{} kubectl", world.cluster.driver().display());
    println!("\nLook around:");
    println!("  export KUBECONFIG={}", world.cluster.kubeconfig.display());
    println!("  alias kubectl='{kubectl}'");
    println!("  kubectl --namespace demo get auroraservices,auroraupdates,auroracrons,aurorajobs");
    println!("  kubectl --namespace demo describe auroraservice web");
    println!("  kubectl --namespace demo get pods -l borealis.dev/instance=7");
}
