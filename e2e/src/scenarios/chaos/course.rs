//! A course of faults: what the dice say is done, one after the other, and mended in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result};
use kube::api::DeleteParams;
use serde_json::json;

use super::{SERVICES, dice::Dice, faults::Fault, service};
use crate::{
    between::{Between, Trouble},
    errors::joined,
    observer::Facts,
    scene::Scene,
    wait::{self, Look},
};

/// How long another may take to lead where one sleeps.
const ELECTION: Duration = Duration::from_secs(60);
/// How long the API server or etcd hangs, and calls are spoiled.
const HANGS: Duration = Duration::from_secs(4);
/// How long the API server may take to be well again.
const WELL: Duration = Duration::from_secs(90);
/// How many nodes are lost at once at most.
const STORM: usize = 4;
/// By how many seconds a clock is wrong at most.
const WRONG: usize = 30;

/// What the course so far has come to.
pub(super) struct Course<'a> {
    scene: &'a Scene,
    dice: Dice,
    between: Between,
    /// The last config that was applied.
    pub(super) version: u32,
    lost: Vec<String>,
    /// The Pods that were deleted here.
    deleted: BTreeSet<String>,
    done: BTreeMap<Fault, usize>,
}

impl<'a> Course<'a> {
    /// A course in which the operator's calls can be spoiled.
    pub(super) async fn new(scene: &'a Scene, seed: u64) -> Result<Self> {
        let operators = &scene.world.operators;
        let between = Between::start(operators.kubeconfig()).await?;
        operators.detour(between.address).await?;
        Ok(Self {
            scene,
            dice: Dice(seed),
            between,
            version: 1,
            lost: Vec::new(),
            deleted: BTreeSet::new(),
            done: BTreeMap::new(),
        })
    }

    /// Does what the dice say, and waits as long as they say.
    pub(super) async fn go_on(&mut self) -> Result<()> {
        let fault = Fault::roll(&mut self.dice);
        self.cause(fault).await.with_context(|| format!("{fault:?}"))?;
        if fault.is_of_the_control_plane() {
            self.api_is_well().await.with_context(|| format!("{fault:?}"))?;
        }
        *self.done.entry(fault).or_default() += 1;
        let wait = 200 + 100 * self.dice.roll(20) as u64;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok(())
    }

    /// How often each was done.
    pub(super) fn told(&self) -> String {
        let done = self.done.iter().map(|(fault, times)| format!("{fault:?} {times}"));
        let spoiled: usize = self.between.spoiled().values().sum();
        format!("{}; {spoiled} calls and news spoiled", done.collect::<Vec<_>>().join(", "))
    }

    /// Whether this Pod was deleted here.
    pub(super) fn excuses(&self, pod: &Facts) -> bool {
        self.deleted.contains(&pod.uid)
    }

    /// All nodes and replicas are there again, with their clocks right and nothing between them and the API server.
    pub(super) async fn mend(&mut self) -> Result<()> {
        self.between.trouble(None);
        let Course { scene: Scene { world, .. }, .. } = *self;
        joined([
            world.cluster.all_goes_on().await,
            self.api_is_well().await,
            self.nodes_back().await,
            world.operators.restore(ELECTION).await,
        ])
    }

    async fn api_is_well(&self) -> Result<()> {
        wait::until("the API server to be well", WELL, || async {
            self.scene.world.cluster.kubectl(&["get", "--raw", "/readyz"]).await?;
            Ok(Look::Done(()))
        })
        .await
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
                let (leader, _) = operators.leader(ELECTION).await?;
                operators.suspend(leader).await?;
                let other = operators.leader_other_than(Some(leader), ELECTION).await;
                operators.resume(leader).await?;
                other.context("nobody led while the leader slept")?;
            }
            Fault::NodesLost => self.lose_nodes().await?,
            Fault::NodesBack => self.nodes_back().await?,
            Fault::ApiServerRestarted => cluster.component("restart", "kube-apiserver").await?,
            Fault::EtcdRestarted => cluster.component("restart", "etcd").await?,
            Fault::ApiServerHangs => self.hang("kube-apiserver").await?,
            Fault::EtcdHangs => self.hang("etcd").await?,
            Fault::HistoryForgotten => {
                cluster.component("compact", "etcd").await?;
                cluster.component("restart", "kube-apiserver").await?;
            }
            Fault::ClockSet => {
                let ahead = self.dice.roll(2 * WRONG + 1) as i64 - WRONG as i64;
                operators.set_clock(self.dice.roll(2), ahead).await?;
            }
            Fault::Calls(trouble) => self.spoil(trouble).await,
            Fault::Nothing => {}
        }
        Ok(())
    }

    async fn spoil(&self, trouble: Trouble) {
        self.between.trouble(Some(trouble));
        tokio::time::sleep(HANGS).await;
        self.between.trouble(None);
    }

    async fn hang(&self, component: &str) -> Result<()> {
        let cluster = &self.scene.world.cluster;
        let paused = cluster.component("pause", component).await;
        tokio::time::sleep(HANGS).await;
        joined([paused, cluster.component("continue", component).await])
    }

    async fn delete_some(&mut self) {
        let (name, _) = SERVICES[self.dice.roll(SERVICES.len())];
        let live = self.scene.live(name);
        for _ in 0..=self.dice.roll(3) {
            if let Some(pod) = live.get(self.dice.roll(live.len())) {
                let pods = self.scene.world.kube.pods(&self.scene.namespace);
                self.deleted.insert(pod.uid.clone());
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
                self.lost.push(node.clone());
                self.scene.world.lose_node(&node).await?;
            }
        }
        Ok(())
    }

    async fn nodes_back(&mut self) -> Result<()> {
        while let Some(node) = self.lost.last() {
            self.scene.world.restore_node(node).await?;
            self.lost.pop();
        }
        Ok(())
    }
}
