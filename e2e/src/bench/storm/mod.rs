//! The storm: production arrives all at once on nodes that are full of batch. Once Borealis makes the room for it, once
//! the scheduler does by its own preemption, with the same bare Pods on the same cluster.
//!
//! `witness` sees what becomes of each Pod, `figures` says it. Called by the binary `borealis-storm`.

mod figures;
mod witness;

use anyhow::Result;
use k8s_openapi::api::{core::v1::Pod, scheduling::v1::PriorityClass};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

pub use self::figures::{Round, markdown};
use self::witness::Witness;
use super::{
    LIMIT,
    ground::{Ground, none_left},
    make::make,
    probe::OPERATOR,
};
use crate::{kube_api::KubeApi, service::SIMULATED, wait};

/// Pods that fill a node, and the CPUs of each; a node has 32.
const FILL: u32 = 4;
const FILL_CPUS: u32 = 8;
/// CPUs of a Pod of production: two have to go for it.
const PRODUCTION_CPUS: u32 = 16;
const VICTIMS_OF_ONE: u32 = 2;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// Pods of production, which arrive at once.
    pub production: u32,
    /// Simulated nodes.
    pub nodes: u32,
}

/// Who makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Borealis: the Pods are of its tiers.
    Borealis,
    /// The scheduler: the Pods have classes of its own kind.
    Scheduler,
}

impl By {
    /// Its name, also that of what is made for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Borealis => "borealis",
            Self::Scheduler => "scheduler",
        }
    }

    /// The class of batch and that of production.
    fn classes(self) -> [&'static str; 2] {
        match self {
            Self::Borealis => ["borealis-preemptible-20000", "borealis-preferred-30000"],
            Self::Scheduler => ["storm-low", "storm-high"],
        }
    }

    /// The namespace of batch and that of production.
    fn namespaces(self) -> [String; 2] {
        ["batch", "production"].map(|what| format!("{what}-{}", self.name()))
    }
}

impl Storm {
    /// The fewest that have to go.
    pub fn fewest(self) -> u32 {
        self.production * VICTIMS_OF_ONE
    }

    /// Whether there are as many victims as it needs.
    pub fn is_possible(self) -> bool {
        self.production > 0 && self.fewest() <= self.nodes * FILL
    }

    /// One storm, after which the cluster is empty again.
    ///
    /// # Errors
    /// When not all of production runs in the end.
    pub async fn round(self, ground: &mut Ground, by: By) -> Result<Round> {
        match by {
            By::Borealis => ground.with_operator(async |ground| self.at(ground, by).await).await,
            By::Scheduler => self.at(ground, by).await,
        }
    }

    async fn at(self, ground: &mut Ground, by: By) -> Result<Round> {
        let kube = ground.kube.clone();
        let [batch, production] = by.namespaces();
        for namespace in [&batch, &production] {
            ground.make_namespace(namespace).await?;
        }
        let [low, high] = by.classes();
        match by {
            By::Borealis => found_role(&kube, &production, high).await?,
            By::Scheduler => make_classes(&kube, [low, high]).await?,
        }
        let fill = (0..self.nodes * FILL).map(|at| pod(at, low, FILL_CPUS));
        make(&kube.pods(&batch), fill).await?;
        let not_running = || ListParams::default().fields("status.phase!=Running");
        none_left(&kube, &batch, "batch to fill the nodes", not_running()).await?;
        let witness = Witness::start(&kube, &batch, &production).await?;
        let pods = (0..self.production).map(|at| pod(at, high, PRODUCTION_CPUS));
        let all = self.production as usize;
        let work = async {
            make(&kube.pods(&production), pods).await?;
            wait::until("all of production to run", LIMIT, || async {
                let running = witness.running()?;
                Ok(wait::when(running == all, format!("{running} of {all} run")))
            })
            .await
        };
        let operator = (by == By::Borealis).then_some(OPERATOR);
        let phase = ground.measure(by.name(), operator, work).await?;
        let seen = witness.seen();
        for namespace in [&batch, &production] {
            let all = ListParams::default();
            kube.pods(namespace).delete_collection(&DeleteParams::default().grace_period(0), &all).await?;
            none_left(&kube, namespace, "the namespace to be empty", all).await?;
        }
        Ok(Round::new(by, self, phase, &seen))
    }
}

/// Gives a namespace to a role whose production may use this class, and waits until it is known.
async fn found_role(kube: &KubeApi, namespace: &str, class: &str) -> Result<()> {
    let role = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraRole", "metadata": {"name": namespace},
        "spec": {
            "namespaces": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "tiers": ["preferred"], "defaultTier": "preferred",
            "quota": {"cpu": "1000000", "memory": "1000Ti", "ephemeral-storage": "1000Ti"},
            // The usual bound would be measured, were the storm a little larger.
            "maxVictimsPerMinute": 100_000,
        },
    });
    let roles = kube.roles();
    roles.create(&PostParams::default(), &serde_json::from_value(role)?).await?;
    wait::until("the namespace to be the role's", LIMIT, || async {
        let notes = kube.namespaces().get(namespace).await?.metadata.annotations.unwrap_or_default();
        let known = notes.get("borealis.dev/classes").is_some_and(|classes| classes.contains(class));
        Ok(wait::when(known, format!("{notes:?}")))
    })
    .await
}

/// Classes that rank as those of the tiers do, of which the higher one has the scheduler make room.
async fn make_classes(kube: &KubeApi, [low, high]: [&str; 2]) -> Result<()> {
    let classes: Api<PriorityClass> = Api::all(kube.client.clone());
    for (name, value, policy) in [(low, 20_000, "Never"), (high, 30_000, "PreemptLowerPriority")] {
        let class = json!({ "metadata": {"name": name}, "value": value, "preemptionPolicy": policy });
        classes.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
    }
    Ok(())
}

/// A bare Pod on any simulated node, which starts and ends as fast as the simulation can.
fn pod(at: u32, class: &str, cpus: u32) -> Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": format!("pod-{at}") },
        "spec": {
            "priorityClassName": class,
            "nodeSelector": { SIMULATED: "true" },
            "containers": [{
                "name": "main", "image": "example.test/web:1",
                "resources": { "requests": { "cpu": cpus.to_string(), "memory": "1Mi" } },
            }],
        },
    }))?)
}
