//! One local cluster: started for a run, driven during it, taken down after it.
//!
//! A thin layer over the program `localcluster` of `e2e/cluster`, which does the work and owns the cluster's folder.
//! Called by `world` for the tests and by `demo`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{
    command::{Call, Ended},
    errors::joined,
    paths,
};

/// A cluster that runs.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: String,
    program: PathBuf,
    /// The folder that holds its folder; `None` is the program's own default.
    base: Option<PathBuf>,
    /// The kubeconfig of its administrator.
    pub kubeconfig: PathBuf,
}

/// What kind of cluster to start.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many simulated nodes.
    pub nodes: u32,
    /// Whether a real node is tried.
    pub real_node: bool,
    /// The user whose calls the API server records.
    pub audited: Option<&'static str>,
}

impl Cluster {
    /// Builds `localcluster` where it is missing, which shows its progress, and returns its path.
    ///
    /// # Errors
    /// When it can't be built.
    pub async fn program() -> Result<PathBuf> {
        let build = paths::repository().join("e2e/cluster/build");
        let output = Command::new(&build)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("could not start {}", build.display()))?;
        if !output.status.success() {
            bail!("the local cluster's program could not be built, see above");
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let path = printed.lines().last().unwrap_or_default().trim();
        Ok(PathBuf::from(path))
    }

    /// The cluster of this name, which need not run.
    ///
    /// # Errors
    /// When `localcluster` can't be built.
    pub async fn named(name: &str) -> Result<Self> {
        let program = Self::program().await?;
        Ok(Self { name: name.to_owned(), program, base: paths::clusters(), kubeconfig: PathBuf::new() })
    }

    /// Starts it; what an earlier run of the same name left behind is removed first.
    ///
    /// # Errors
    /// When it does not come up. Whatever it left is removed by [`Cluster::down`].
    pub async fn up(&mut self, shape: Shape) -> Result<()> {
        let nodes = shape.nodes.to_string();
        let mut args = vec!["up", &self.name, "--nodes", &nodes];
        if shape.real_node {
            args.push("--real-node");
        }
        args.extend(shape.audited.iter().flat_map(|user| ["--audit", user]));
        self.down().await?;
        self.call(&args).limit(Duration::from_secs(300)).shown().await?;
        let printed = self.call(&["kubeconfig", &self.name]).output().await?;
        self.kubeconfig = PathBuf::from(printed.trim());
        if !self.kubeconfig.is_file() {
            bail!("localcluster kubeconfig printed {printed:?}, which is no file");
        }
        Ok(())
    }

    /// Where the calls of the audited user are recorded, one JSON object a line.
    pub fn audit(&self) -> PathBuf {
        self.kubeconfig.with_file_name("audit.jsonl")
    }

    /// Takes it down with everything it left; nothing happens when there is none.
    ///
    /// # Errors
    /// When something stays behind.
    pub async fn down(&self) -> Result<()> {
        self.call(&["down", &self.name]).limit(Duration::from_secs(120)).output().await.map(|_| ())
    }

    /// Stops, starts, restarts, pauses or continues a component of the control plane.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn component(&self, verb: &str, component: &str) -> Result<()> {
        self.call(&["component", &self.name, verb, component]).output().await.map(|_| ())
    }

    /// Lets those go on that may have been paused.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn all_goes_on(&self) -> Result<()> {
        joined([self.component("continue", "etcd").await, self.component("continue", "kube-apiserver").await])
    }

    /// Makes a simulated node unreachable, and has the cluster notice at once instead of after a minute.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn lose_node(&self, node: &str) -> Result<()> {
        self.call(&["node", &self.name, "lose", "--now", node]).output().await.map(|_| ())
    }

    /// Makes a node that was lost reachable again.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn restore_node(&self, node: &str) -> Result<()> {
        self.call(&["node", &self.name, "restore", node]).output().await.map(|_| ())
    }

    /// Brings an image to the real node.
    ///
    /// # Errors
    /// When there is none, or the archive is not readable.
    pub async fn load_image(&self, archive: &str) -> Result<()> {
        self.call(&["load-image", &self.name, archive]).output().await.map(|_| ())
    }

    /// Runs kubectl as the administrator and returns what it printed.
    ///
    /// # Errors
    /// When it fails; the error holds what it said.
    pub async fn kubectl<S: AsRef<str>>(&self, args: &[S]) -> Result<String> {
        self.kubectl_call(args).output().await
    }

    /// Runs kubectl as the administrator, however it ends.
    ///
    /// # Errors
    /// When it can't be started or takes too long.
    pub async fn kubectl_ended<S: AsRef<str>>(&self, args: &[S]) -> Result<Ended> {
        self.kubectl_call(args).ended().await
    }

    /// A call of kubectl as the administrator, in the root of the repository.
    pub fn kubectl_call<S: AsRef<str>>(&self, args: &[S]) -> Call<'_> {
        let all: Vec<&str> = std::iter::once("kubectl").chain(args.iter().map(AsRef::as_ref)).collect();
        let call = Call::new(&self.program, &all).env("KUBECONFIG", self.kubeconfig.as_os_str());
        call.directory(paths::repository())
    }

    /// The kubeconfig of a user of this name, who may do what is bound to it.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn kubeconfig_of(&self, user: &str) -> Result<PathBuf> {
        let printed = self.call(&["kubeconfig", &self.name, "--user", user]).output().await?;
        Ok(PathBuf::from(printed.trim()))
    }

    /// The program that drives it, for people.
    pub fn driver(&self) -> &Path {
        &self.program
    }

    fn call(&self, args: &[&str]) -> Call<'_> {
        let call = Call::new(&self.program, args);
        match &self.base {
            Some(base) => call.env("BOREALIS_RUN", base.as_os_str()),
            None => call,
        }
    }
}
