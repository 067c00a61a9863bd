//! Borealis's charts on a cluster, by the Helm that the tests of the charts use.
//!
//! Called by `install`, which tells of a whole installation, and by `world`, whose operator runs as the chart has it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{cluster::Cluster, command::Call, documented, operator::NAMESPACE, paths, service::REAL};

/// Where the README tells of it.
const SECTION: &str = "By Helm";
/// The image that is here, in the place of that of the README.
const IMAGE: [&str; 2] = ["--set", "image.repository=borealis"];
/// How long its own program may take to be built.
const BUILD: Duration = Duration::from_secs(900);
/// How long a step may take on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Helm, with a cluster to work on.
pub struct Helm {
    program: PathBuf,
    cluster: Cluster,
}

impl Helm {
    /// Builds it where it is missing.
    ///
    /// # Errors
    /// When it can't be built.
    pub async fn on(cluster: &Cluster) -> Result<Self> {
        let build = paths::repository().join("charts/helm");
        let printed = Call::new::<&str>(&build, &[]).limit(BUILD).output().await?;
        Ok(Self { program: printed.trim().into(), cluster: cluster.clone() })
    }

    /// Runs it in the root of the repository.
    ///
    /// # Errors
    /// When it fails; the error holds what it said.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        let call = Call::new(&self.program, args).env("KUBECONFIG", self.cluster.kubeconfig.as_os_str());
        call.directory(paths::repository()).limit(LONG * 2).output().await
    }

    /// Installs the kinds, and the namespace with them, as the README says.
    ///
    /// # Errors
    /// As [`Helm::run`].
    pub async fn install_kinds(&self) -> Result<()> {
        self.documented("helm install borealis-crds ", &[]).await
    }

    /// Installs the operator as the README says, with these values, and waits until all its replicas are ready.
    ///
    /// # Errors
    /// As [`Helm::run`], and with what the Pods say when they don't get ready.
    pub async fn install_operator(&self, values: &Path) -> Result<()> {
        let values = values.to_string_lossy();
        self.documented("helm install borealis ", &[&IMAGE[..], &["--values", &*values]].concat()).await?;
        self.rolled_out().await
    }

    /// Installs kinds and operator by the charts that upgrades begin at.
    ///
    /// # Errors
    /// As [`Helm::install_operator`].
    pub async fn install_previous(&self, values: &Path) -> Result<()> {
        let values = values.to_string_lossy();
        let to = ["--namespace", NAMESPACE];
        let kinds = ["install", "borealis-crds", "e2e/previous/borealis-crds.tgz", "--create-namespace"];
        self.run(&[&kinds[..], &to].concat()).await?;
        let operator = ["install", "borealis", "e2e/previous/borealis.tgz", "--values", &values];
        self.run(&[&operator[..], &to, &IMAGE].concat()).await?;
        self.rolled_out().await
    }

    async fn documented(&self, beginning: &str, more: &[&str]) -> Result<()> {
        let command = documented::command(SECTION, beginning)?;
        let args: Vec<&str> =
            command.iter().skip(1).map(String::as_str).chain(more.iter().copied()).collect();
        self.run(&args).await.map(drop)
    }

    /// Waits until all replicas are ready.
    ///
    /// # Errors
    /// When they are not in time; the error holds what is known of their Pods.
    pub async fn rolled_out(&self) -> Result<()> {
        let wait = ["rollout", "status", "deployment/borealis", "--timeout=120s", "--namespace", NAMESPACE];
        let call = self.cluster.kubectl_call(&wait).limit(LONG + Duration::from_secs(10));
        if let Err(error) = call.output().await {
            let told = ["describe", "pods", "--namespace", NAMESPACE];
            let pods = self.cluster.kubectl(&told).await.unwrap_or_default();
            return Err(error.context(pods));
        }
        Ok(())
    }
}

/// Values for the image that was loaded, and for the real node, which is tainted to keep simulated Pods away.
pub fn on_the_real_node() -> Value {
    json!({
        "image": { "tag": "latest" },
        "nodeSelector": { REAL: "true" },
        "tolerations": [{ "key": REAL, "operator": "Exists" }],
    })
}

/// The same with what suits tests: times they can wait for.
pub fn for_tests() -> Value {
    let mut values = on_the_real_node();
    values["lease"] = json!({ "duration": "6s", "renewDeadline": "5s", "retryPeriod": "500ms" });
    values["operator"] = json!({ "secretInterval": "2s" });
    values["log"] = json!({ "format": "text", "filter": "info,borealis=debug" });
    values
}
