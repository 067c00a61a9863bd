//! Simulated nodes that one scenario adds for itself, where it needs more than are reserved for all.
//!
//! They are copies of one that the cluster was started with: the simulator looks after every node with its labels.
//! Methods of `World`; called by scenarios.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::{CLAIM, RESERVED, World, is_ready};
use crate::{
    service::SIMULATED,
    wait::{self, Look},
};

/// How long all of them may take to be ready.
const LIMIT: Duration = Duration::from_secs(90);
/// Seconds after which those that are late are touched, each time: who takes the taint off a new node does not try
/// again by itself when that fails.
const PATIENCE: u64 = 10;
/// Requests at a time.
const AT_A_TIME: usize = 8;

impl World {
    /// Adds simulated nodes for this claim, where nobody else's Pods run, and returns when Pods can run there.
    ///
    /// # Errors
    /// When they can't be made, or are not ready in time.
    pub async fn add_nodes(&self, claim: &str, count: usize) -> Result<()> {
        let nodes = self.kube.nodes();
        let known = nodes.list(&ListParams::default().labels(SIMULATED)).await?.items;
        let model = known.iter().find(|node| is_ready(node)).context("no simulated node is ready")?;
        let copies = (0..count).map(|at| copy(model, claim, at)).collect::<Result<Vec<Node>>>()?;
        let made = stream::iter(copies).map(|node| {
            let nodes = nodes.clone();
            async move { nodes.create(&PostParams::default(), &node).await.map(drop) }
        });
        made.buffer_unordered(AT_A_TIME).try_collect::<()>().await.context("could not add nodes")?;
        let (begin, touched) = (Instant::now(), AtomicU64::new(0));
        wait::until(&format!("{count} more nodes to be ready"), LIMIT, || async {
            let all = nodes.list(&of(claim)).await?.items;
            let late: Vec<&Node> = all.iter().filter(|node| !takes_pods(node)).collect();
            let time = begin.elapsed().as_secs() / PATIENCE;
            if touched.swap(time, Ordering::Relaxed) != time {
                let touch =
                    json!({"metadata": {"annotations": {"e2e.borealis.dev/touched": time.to_string()}}});
                for name in late.iter().filter_map(|node| node.metadata.name.as_ref()) {
                    nodes.patch(name, &PatchParams::default(), &Patch::Merge(&touch)).await?;
                }
            }
            Ok(wait::when(late.is_empty(), format!("{} of them are not", late.len())))
        })
        .await
    }

    /// Removes the nodes that were added for this claim, when all Pods have left them.
    ///
    /// # Errors
    /// When Pods stay.
    pub async fn remove_nodes(&self, claim: &str) -> Result<()> {
        let nodes = self.kube.nodes();
        let names: Vec<String> =
            nodes.list(&of(claim)).await?.items.into_iter().filter_map(|node| node.metadata.name).collect();
        let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::all(self.kube.client.clone());
        // What is on a node that is gone is ended by nobody for a while.
        wait::until("the added nodes to be empty", LIMIT, || async {
            let placed = pods.list(&ListParams::default().fields("spec.nodeName!=")).await?.items;
            let stay = placed.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.as_ref());
            let stay = stay.filter(|node| names.contains(node)).count();
            Ok(if stay == 0 { Look::Done(()) } else { Look::NotYet(format!("{stay} Pods are there")) })
        })
        .await?;
        nodes.delete_collection(&DeleteParams::default(), &of(claim)).await?;
        Ok(())
    }
}

fn of(claim: &str) -> ListParams {
    ListParams::default().labels(&format!("{CLAIM}={claim}"))
}

fn copy(model: &Node, claim: &str, at: usize) -> Result<Node> {
    let name = format!("{claim}-{at}");
    let mut labels = model.metadata.labels.clone().unwrap_or_default();
    labels.insert("kubernetes.io/hostname".to_owned(), name.clone());
    labels.insert(CLAIM.to_owned(), claim.to_owned());
    let status = model.status.clone().unwrap_or_default();
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": RESERVED, "value": "true", "effect": "NoSchedule"}]},
        "status": {
            "capacity": status.capacity, "allocatable": status.allocatable, "nodeInfo": status.node_info,
            "addresses": [
                {"type": "InternalIP", "address": format!("10.65.{}.{}", at / 256, at % 256)},
                {"type": "Hostname", "address": name},
            ],
        },
    }))?)
}

/// Whether it is ready, and the controllers have taken away the taint it was born with.
fn takes_pods(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    is_ready(node) && !taints.iter().any(|taint| taint.key.starts_with("node.kubernetes.io/"))
}
