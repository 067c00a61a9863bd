//! `borealis-install`: Borealis by kubectl; then by Helm from its image on a cluster with a real node, upgraded, taken away,
//! installed again.
//!
//! Called by `make install-test`, which makes the image first. Everything is taken down, also when something fails.
#![allow(clippy::print_stdout, reason = "it talks to a person at a terminal, or to CI")]

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use borealis_e2e::{
    cluster::Cluster,
    command,
    install::{self, CLUSTER, Installation},
    paths,
};
use clap::Parser;

/// Installs Borealis by Helm on a local cluster.
#[derive(Debug, Parser)]
struct Args {
    /// The operator's image, as `make image` makes it
    image: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the installation failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let folder = paths::run_folder(CLUSTER)?;
    let mut cluster = Cluster::named(CLUSTER).await?;
    let archive = args.image.to_string_lossy().into_owned();
    let result = tokio::select! {
        result = both(&mut cluster, &folder, &archive) => result,
        name = command::interrupted() => Err(anyhow::anyhow!("interrupted by {}", name?)),
    };
    cluster.down().await.context("the cluster left something behind")?;
    result
}

/// One way after the other, each on a cluster that has nothing yet.
async fn both(cluster: &mut Cluster, folder: &std::path::Path, archive: &str) -> Result<()> {
    install::by_kubectl(cluster).await.context("by kubectl")?;
    println!("by kubectl: all is applied, and the operator's Pods have a node");
    tell(cluster, folder, archive).await.context("by Helm")
}

async fn tell(cluster: &mut Cluster, folder: &std::path::Path, archive: &str) -> Result<()> {
    match Installation::prepare(cluster, folder, archive).await? {
        Some(installation) => installation.tell().await,
        None => {
            println!("skipped: this machine has no real node, on which the operator could run");
            Ok(())
        }
    }
}
