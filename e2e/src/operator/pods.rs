//! The operator's replicas as Pods of its Deployment, which the chart has made.
//!
//! Called by `operator` while they are at work and not the processes of this machine.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{ACCOUNT, NAMESPACE};
use crate::{cluster::Cluster, wait};

/// How long Pods may take to end.
const ENDING: Duration = Duration::from_secs(60);
/// Their selector, with which whoever watches them finds them.
pub const OPERATOR: &str = "app.kubernetes.io/name=borealis";

/// What the Pod of this name shows under /debug by this name.
pub(super) async fn shows(cluster: &Cluster, pod: &str, name: &str) -> Result<serde_json::Value> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/debug/{name}");
    let said = cluster.kubectl(&["get", "--raw", &path]).await?;
    serde_json::from_str(&said).with_context(|| format!("{path} is no JSON"))
}

/// The last lines of each Pod's log.
pub(super) async fn log_tails(cluster: &Cluster, lines: usize) -> String {
    let tail = format!("--tail={lines}");
    let args = ["logs", "--selector", OPERATOR, "--namespace", NAMESPACE, "--prefix", &tail];
    cluster.kubectl(&args).await.unwrap_or_else(|error| format!("no logs: {error:#}"))
}

/// Ends them and waits until they are gone.
pub(super) async fn end(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["scale", "deployment", ACCOUNT, "--replicas=0", "--namespace", NAMESPACE]).await?;
    wait::until("the operator's Pods to be gone", ENDING, || async {
        let left = ["get", "pods", "--selector", OPERATOR, "--namespace", NAMESPACE, "--output=name"];
        let left = cluster.kubectl(&left).await?;
        Ok(wait::when(left.trim().is_empty(), left))
    })
    .await
}
