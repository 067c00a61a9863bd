//! What is done to the cluster and the operator, and what people do meanwhile, each by its weight.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use kube::api::DeleteParams;
use serde_json::json;

use super::{SERVICES, dice::Dice, service};
use crate::scene::Scene;

/// Longer than the lease of the tests lasts, so that another leads before the one that slept goes on.
const PAST_THE_LEASE: Duration = Duration::from_secs(9);
/// How long the API server or etcd hangs.
const HANGS: Duration = Duration::from_secs(4);
/// How many nodes are lost at once at most.
const STORM: usize = 4;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    PodsDeleted,
    Update,
    BadUpdate,
    Scaled,
    ReplicaKilled,
    AllReplicasKilled,
    LeaderSuspended,
    NodesLost,
    NodesBack,
    ApiServerRestarted,
    ApiServerHangs,
    EtcdRestarted,
    EtcdHangs,
    Nothing,
}

/// How often each happens, of a hundred.
const WEIGHTS: [(Fault, usize); 14] = [
    (Fault::PodsDeleted, 30),
    (Fault::Update, 12),
    (Fault::BadUpdate, 6),
    (Fault::Scaled, 6),
    (Fault::ReplicaKilled, 8),
    (Fault::AllReplicasKilled, 2),
    (Fault::LeaderSuspended, 4),
    (Fault::NodesLost, 5),
    (Fault::NodesBack, 8),
    (Fault::ApiServerRestarted, 2),
    (Fault::ApiServerHangs, 2),
    (Fault::EtcdRestarted, 2),
    (Fault::EtcdHangs, 2),
    (Fault::Nothing, 11),
];

/// What the course so far has come to.
pub(super) struct Course<'a> {
    scene: &'a Scene,
    dice: Dice,
    /// The last config that was applied.
    pub(super) version: u32,
    lost: Vec<String>,
    done: BTreeMap<Fault, usize>,
}

impl<'a> Course<'a> {
    pub(super) fn new(scene: &'a Scene, seed: u64) -> Self {
        Self { scene, dice: Dice(seed), version: 1, lost: Vec::new(), done: BTreeMap::new() }
    }

    /// Does what the dice say, and waits as long as they say.
    pub(super) async fn go_on(&mut self) -> Result<()> {
        let fault = self.roll();
        self.cause(fault).await.with_context(|| format!("{fault:?}"))?;
        *self.done.entry(fault).or_default() += 1;
        let wait = 200 + 100 * self.dice.roll(20) as u64;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok(())
    }

    /// How often each was done.
    pub(super) fn told(&self) -> String {
        self.done.iter().map(|(fault, times)| format!("{fault:?} {times}")).collect::<Vec<_>>().join(", ")
    }

    /// All nodes and replicas are there again.
    pub(super) async fn mend(&mut self) -> Result<()> {
        self.nodes_back().await?;
        self.scene.world.operators.start_all().await
    }

    fn roll(&mut self) -> Fault {
        let mut rolled = self.dice.roll(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (fault, weight) in WEIGHTS {
            if rolled < weight {
                return fault;
            }
            rolled -= weight;
        }
        Fault::Nothing
    }

    async fn cause(&mut self, fault: Fault) -> Result<()> {
        let (operators, cluster) = (&self.scene.world.operators, &self.scene.world.cluster);
        match fault {
            Fault::PodsDeleted => self.delete_some().await,
            Fault::Update => self.apply(false).await,
            Fault::BadUpdate => self.apply(true).await,
            Fault::Scaled => self.scale().await,
            Fault::ReplicaKilled => {
                operators.kill(self.dice.roll(2)).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                operators.start_all().await?;
            }
            Fault::AllReplicasKilled => {
                operators.kill(0).await?;
                operators.kill(1).await?;
                operators.start_all().await?;
            }
            Fault::LeaderSuspended => {
                // There may be none just now.
                if let Ok((leader, _)) = operators.leader(Duration::from_secs(20)).await {
                    operators.suspend(leader).await?;
                    tokio::time::sleep(PAST_THE_LEASE).await;
                    operators.resume(leader).await?;
                }
            }
            Fault::NodesLost => self.lose_nodes().await?,
            Fault::NodesBack => self.nodes_back().await?,
            Fault::ApiServerRestarted => cluster.component("restart", "kube-apiserver").await?,
            Fault::EtcdRestarted => cluster.component("restart", "etcd").await?,
            Fault::ApiServerHangs => self.hang("kube-apiserver").await?,
            Fault::EtcdHangs => self.hang("etcd").await?,
            Fault::Nothing => {}
        }
        Ok(())
    }

    async fn hang(&self, component: &str) -> Result<()> {
        let cluster = &self.scene.world.cluster;
        cluster.component("pause", component).await?;
        tokio::time::sleep(HANGS).await;
        cluster.component("continue", component).await
    }

    async fn delete_some(&mut self) {
        let (name, _) = SERVICES[self.dice.roll(SERVICES.len())];
        let live = self.scene.live(name);
        for _ in 0..=self.dice.roll(3) {
            if let Some(pod) = live.get(self.dice.roll(live.len())) {
                let pods = self.scene.world.kube.pods(&self.scene.namespace);
                // It may be gone by now, or the API server away.
                let _ = pods.delete(&pod.name, &DeleteParams::default()).await;
            }
        }
    }

    async fn apply(&mut self, bad: bool) {
        self.version += 1;
        let (name, instances) = SERVICES[self.dice.roll(SERVICES.len())];
        // The API server may be away.
        let _ = self.scene.apply(&service(name, instances, self.version, bad)).await;
    }

    async fn scale(&mut self) {
        let (name, instances) = SERVICES[self.dice.roll(SERVICES.len())];
        let to = instances.saturating_sub(2) + u32::try_from(self.dice.roll(5)).unwrap_or_default();
        let patch = json!({ "spec": { "instances": to } }).to_string();
        let service = format!("auroraservice/{name}");
        let _ = self.scene.kubectl(&["patch", &service, "--type=merge", "--patch", &patch]).await;
    }

    async fn lose_nodes(&mut self) -> Result<()> {
        for _ in 0..=self.dice.roll(STORM) {
            let (name, _) = SERVICES[self.dice.roll(SERVICES.len())];
            let live = self.scene.live(name);
            let node = live.get(self.dice.roll(live.len())).and_then(|pod| pod.node.clone());
            if let Some(node) = node.filter(|node| !self.lost.contains(node)) {
                self.scene.world.lose_node(&node).await?;
                self.lost.push(node);
            }
        }
        Ok(())
    }

    async fn nodes_back(&mut self) -> Result<()> {
        for node in std::mem::take(&mut self.lost) {
            self.scene.world.restore_node(&node).await?;
        }
        Ok(())
    }
}
