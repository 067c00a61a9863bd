//! What is asked of a controller, and when it counts as done: when its objects' own status says so.
//!
//! Each workload is the same for every contender and has a cluster of its own for each, so none meets what another left.
//! `many` is very many objects, coming up and at rest, `large` one object of very many instances, `failover` the loss of a
//! leader; the bare loop makes as many Pods without anybody's help. Called by the binary `borealis-bench`.

mod failover;
mod large;
mod many;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams},
};
use serde_json::json;

use super::{
    NAMESPACE, Sizes,
    adapter::{Adapter, Ask, Process, Stage},
    ground::{Ground, none_left_within},
    make::make,
    report::Round,
};
use crate::{kube_api::KubeApi, wait};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Workload {
    /// Many objects of two instances, made at once.
    Many,
    /// One object of very many instances: made, at rest, updated; a bad update.
    Large,
    /// Very many objects of one instance: made, at rest, and the controller started anew.
    Idle,
    /// The leader of two replicas is killed, and suspended.
    Failover,
}

/// Who is asked.
#[derive(Debug, Clone)]
pub enum Contender {
    /// A controller.
    Controller(Box<Adapter>),
    /// Nobody: a loop makes the Pods.
    Loop,
}

impl Contender {
    /// Its name in the tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Controller(adapter) => &adapter.name,
            Self::Loop => "bare loop",
        }
    }
}

impl Workload {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Many => "many",
            Self::Large => "large",
            Self::Idle => "idle",
            Self::Failover => "failover",
        }
    }

    /// Whether it can be asked of this one. Only of the operator it is known how to run two and who leads; a loop has
    /// nobody who could fail.
    pub fn suits(self, contender: &Contender) -> bool {
        let operator =
            matches!(contender, Contender::Controller(adapter) if adapter.process == Process::Operator);
        self != Self::Failover || operator
    }

    /// The instances of all objects together.
    pub fn instances(self, sizes: Sizes) -> u32 {
        let (objects, each) = self.shape(sizes);
        objects * each
    }

    /// How many objects, and the instances of each.
    fn shape(self, sizes: Sizes) -> (u32, u32) {
        match self {
            Self::Many => (sizes.services, 2),
            Self::Large => (1, sizes.instances),
            Self::Idle => (sizes.idle, 1),
            Self::Failover => (1, sizes.failover_instances),
        }
    }

    /// Asks it of a contender on this cluster; what was measured before a failure stays in the round.
    ///
    /// # Errors
    /// When what was asked for does not come true.
    pub async fn run(
        self,
        ground: &mut Ground,
        who: &Contender,
        sizes: Sizes,
        round: &mut Round,
    ) -> Result<()> {
        ground.make_namespace(NAMESPACE).await?;
        let (objects, each) = self.shape(sizes);
        let Contender::Controller(adapter) = who else {
            return bare_loop(ground, objects * each, round).await;
        };
        ground.install(adapter).await?;
        if self == Self::Failover {
            return failover::run(ground, adapter, sizes, round).await;
        }
        ground.start(adapter).await?;
        if self == Self::Large {
            large::run(ground, adapter, sizes, round).await?;
        } else {
            many::come_up(ground, adapter, (objects, each), round).await?;
        }
        if self == Self::Idle {
            many::idle(ground, adapter, sizes, round).await?;
        }
        ground.stop(adapter).await
    }
}

/// Makes as many Pods without anybody's help, and waits until all of them run.
async fn bare_loop(ground: &mut Ground, pods: u32, round: &mut Round) -> Result<()> {
    let api = ground.kube.pods(NAMESPACE);
    let spec = Ask::new("web", 1).template()["spec"].take();
    let pod = |at: u32| -> Result<Pod> {
        let metadata = json!({ "name": format!("web-{at}"), "labels": { "app": "web" } });
        Ok(serde_json::from_value(json!({ "metadata": metadata, "spec": spec }))?)
    };
    let kube = ground.kube.clone();
    let work = async {
        make(&api, (0..pods).map(pod)).await?;
        let not_running = ListParams::default().fields("status.phase!=Running");
        none_left_within(Ask::limit(pods), &kube, NAMESPACE, "all Pods to run", not_running).await
    };
    let phase = ground.measure("comes up", None, work).await?;
    round.phases.push(phase);
    Ok(())
}

/// At rest for so long.
async fn rest(ground: &mut Ground, adapter: &Adapter, time: Duration, round: &mut Round) -> Result<()> {
    let sleep = async {
        tokio::time::sleep(time).await;
        Ok(())
    };
    let phase = ground.measure("at rest", Some(adapter.program()), sleep).await?;
    round.phases.push(phase);
    Ok(())
}

/// Waits until one object is so far.
async fn reaches(api: &Api<DynamicObject>, adapter: &Adapter, ask: &Ask, stage: Stage) -> Result<()> {
    let what = format!("{} to be {stage:?}", ask.name);
    wait::until(&what, Ask::limit(ask.instances), || async {
        let object = serde_json::to_value(api.get(&ask.name).await?)?;
        Ok(wait::when(adapter.is(stage, ask, &object)?, object["status"].to_string()))
    })
    .await
}

/// Deletes some Pod of an object.
async fn delete_a_pod(kube: &KubeApi, object: &str) -> Result<()> {
    let pods = kube.pods(NAMESPACE);
    let of_it = ListParams::default().labels(&format!("app={object}")).limit(20);
    let all = pods.list_metadata(&of_it).await?.items;
    let metadata = all.into_iter().map(|pod| pod.metadata).find(|meta| meta.deletion_timestamp.is_none());
    let metadata = metadata.with_context(|| format!("{object} has no Pod"))?;
    let name = metadata.name.context("a Pod without a name")?;
    pods.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}
