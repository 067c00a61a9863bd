//! What all scenarios of a run share: one cluster, the operator's replicas, the witness, the nodes to be handed out.
//!
//! Set up once by the binary `borealis-e2e` and by the demo; scenarios reach it through `scene`.

mod extra;

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::{
    cluster::{Cluster, Shape},
    helm::{self, Helm},
    kube_api::KubeApi,
    observer::Observer,
    operator::{Launch, NAMESPACE, Operators},
    paths,
    service::{REAL, SIMULATED},
    wait::{self, Look},
};

/// Taint of the nodes that are kept for scenarios which lose or drain nodes.
pub const RESERVED: &str = "e2e.borealis.dev/reserved";
/// Label of a reserved node that was handed out; the value says to which scenario.
pub const CLAIM: &str = "e2e.borealis.dev/claim";

/// Everything a run shares.
pub struct World {
    /// The cluster.
    pub cluster: Cluster,
    /// Its API, as its administrator.
    pub kube: KubeApi,
    /// The operator.
    pub operators: Operators,
    /// The witness.
    pub observer: Observer,
    /// The run's own files.
    pub folder: PathBuf,
    /// The name of the real node, where there is one.
    pub real_node: Option<String>,
    reserved: Mutex<Vec<String>>,
}

/// How a world is set up.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The cluster.
    pub shape: Shape,
    /// How many of its simulated nodes are kept for scenarios that lose or drain nodes.
    pub reserved: usize,
    /// How many replicas of the operator.
    pub replicas: usize,
    /// The operator's image: it is installed by Helm then and runs on the real node, until a scenario needs processes.
    pub image: Option<&'a Path>,
}

impl World {
    /// Installs Borealis on a cluster that is up and starts the operator.
    ///
    /// # Errors
    /// When anything of it fails; the cluster is left to the caller.
    pub async fn set_up(cluster: Cluster, folder: &Path, plan: Plan<'_>) -> Result<Self> {
        let kube = KubeApi::new(&cluster.kubeconfig).await?;
        let nodes = nodes_ready(&kube, plan.shape.nodes).await?;
        let real_node = nodes.iter().find(|node| has(node, REAL)).and_then(|node| node.metadata.name.clone());
        let simulated =
            nodes.iter().filter(|node| has(node, SIMULATED)).filter_map(|node| node.metadata.name.clone());
        let reserved: Vec<String> = simulated.take(plan.reserved).collect();
        for node in &reserved {
            reserve(&kube, node).await?;
        }
        // There is nowhere to run it without a real node; whoever asked for both says so.
        let image = plan.image.filter(|_| real_node.is_some());
        match image {
            Some(image) => deploy(&cluster, folder, image).await?,
            None => install(&cluster).await?,
        }
        let observer = Observer::start(kube.client.clone()).await?;
        let launch = Launch::new(&cluster, folder, paths::operator()?).await?;
        let operators = Operators::prepare(&cluster, kube.clone(), launch, plan.replicas);
        let at_work = async {
            if image.is_some() {
                return operators.are_pods().await;
            }
            operators.start_all().await?;
            operators.leader(Duration::from_secs(60)).await.map(drop)
        };
        if let Err(error) = at_work.await {
            bail!("the operator did not start: {error:#}\n{}", operators.log_tails(20).await);
        }
        let (folder, reserved) = (folder.to_owned(), Mutex::new(reserved));
        Ok(Self { cluster, kube, operators, observer, folder, real_node, reserved })
    }

    /// Hands out reserved nodes: nobody else's Pods run there.
    ///
    /// # Errors
    /// When not that many are left.
    pub async fn claim_nodes(&self, claim: &str, count: usize) -> Result<Vec<String>> {
        let nodes: Vec<String> = {
            let mut reserved = self.reserved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let left = reserved.len();
            let first = left
                .checked_sub(count)
                .with_context(|| format!("{left} reserved nodes left, {count} asked"))?;
            reserved.split_off(first)
        };
        for node in &nodes {
            let patch = json!({ "metadata": { "labels": { CLAIM: claim } } });
            self.kube.nodes().patch(node, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        }
        Ok(nodes)
    }

    /// Loses a node, and tells the witness first.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn lose_node(&self, node: &str) -> Result<()> {
        self.observer.ledger().node_lost(node);
        self.cluster.lose_node(node).await
    }

    /// Brings a lost node back, and tells the witness.
    ///
    /// # Errors
    /// When it can't be done.
    pub async fn restore_node(&self, node: &str) -> Result<()> {
        self.cluster.restore_node(node).await?;
        self.observer.ledger().node_restored(node);
        Ok(())
    }
}

/// Installs both charts, and the operator from this image on the real node.
async fn deploy(cluster: &Cluster, folder: &Path, image: &Path) -> Result<()> {
    cluster.load_image(&image.to_string_lossy()).await.context("the operator's image could not be loaded")?;
    let values = folder.join("values.json");
    std::fs::write(&values, helm::for_tests().to_string())?;
    let helm = Helm::on(cluster).await?;
    helm.install_kinds().await?;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    cluster.kubectl(&["label", "namespace", NAMESPACE, label]).await?;
    helm.install_operator(&values).await
}

/// Applies the CRDs and what the operator needs, with plain kubectl as in the README. Its Deployment is left out: here
/// the operator is a process of this machine.
///
/// # Errors
/// When kubectl refuses anything.
pub async fn install(cluster: &Cluster) -> Result<()> {
    let root = paths::repository();
    let mut files = vec![root.join("crds")];
    let deploy = std::fs::read_dir(root.join("deploy")).context("could not read deploy/")?;
    for entry in deploy {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if name.ends_with(".yaml") && !name.ends_with("operator.yaml") {
            files.push(path);
        }
    }
    // Their names begin with numbers, in the order in which they need each other.
    files[1..].sort();
    for (nth, file) in files.iter().enumerate() {
        cluster.kubectl(&["apply", "--filename", &file.to_string_lossy()]).await?;
        if nth == 0 {
            // Objects of these kinds are among the rest.
            let wait = ["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"];
            cluster.kubectl(&wait).await?;
        }
    }
    Ok(())
}

fn has(node: &Node, label: &str) -> bool {
    node.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(label))
}

async fn reserve(kube: &KubeApi, node: &str) -> Result<()> {
    let nodes = kube.nodes();
    let known = nodes.get(node).await?;
    let mut taints = known.spec.and_then(|spec| spec.taints).unwrap_or_default();
    taints.push(serde_json::from_value(json!({ "key": RESERVED, "value": "true", "effect": "NoSchedule" }))?);
    let patch = json!({ "spec": { "taints": taints } });
    nodes.patch(node, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

/// Waits until all simulated nodes are ready, and returns them, and the real one where it is.
async fn nodes_ready(kube: &KubeApi, simulated: u32) -> Result<Vec<Node>> {
    wait::until("all nodes to be ready", Duration::from_secs(60), || async {
        let all = kube.nodes().list(&ListParams::default()).await?.items;
        let ready = all.iter().filter(|node| is_ready(node) && has(node, SIMULATED)).count();
        Ok(if ready >= simulated as usize {
            Look::Done(all)
        } else {
            Look::NotYet(format!("{ready} of {simulated} simulated nodes are ready"))
        })
    })
    .await
}

/// Whether a node says it is ready.
pub fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether nothing may be left out for want of a real node, as in CI.
pub fn real_node_required() -> bool {
    std::env::var("REQUIRE_REAL_NODE").is_ok_and(|value| !value.is_empty() && value != "0")
}
