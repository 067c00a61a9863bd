//! What the demo shows at one moment, read from the cluster.
//!
//! Pure but for `read`; drawn by `view`, judged by the story in `demo`.

use std::time::Duration;

use anyhow::Result;
use kube::api::ListParams;
use serde_json::Value;

use crate::{
    kube_api::{condition, number, text},
    world::{World, is_ready},
};

/// The namespace of the demo.
pub const NAMESPACE: &str = "demo";

/// One service as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Instances wanted.
    pub desired: i64,
    /// Instances that run.
    pub running: i64,
    /// Instances with the config of the spec.
    pub updated: i64,
    /// The reason of its condition Ready, which is what `kubectl get` shows.
    pub state: String,
    /// Its last update and that one's state.
    pub update: String,
}

impl Row {
    /// Reads a service.
    pub fn of(service: &Value) -> Self {
        let count = |name: &str| number(service, &format!("/status/counts/{name}"));
        let update = text(service, "/status/update/name");
        Self {
            name: text(service, "/metadata/name").to_owned(),
            desired: number(service, "/spec/instances"),
            running: count("running"),
            updated: count("updated"),
            state: condition(service, "Ready").map(|(_, reason, _)| reason.to_owned()).unwrap_or_default(),
            update: if update.is_empty() {
                String::new()
            } else {
                format!("{update} {}", text(service, "/status/update/state"))
            },
        }
    }
}

/// One cron as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CronRow {
    /// Its name.
    pub name: String,
    /// The time of its last run.
    pub last: String,
    /// What became of that.
    pub outcome: String,
    /// Runs that go on.
    pub active: i64,
}

impl CronRow {
    fn of(cron: &Value) -> Self {
        let read = |pointer: &str| text(cron, pointer).to_owned();
        Self {
            name: read("/metadata/name"),
            last: read("/status/lastRunTime"),
            outcome: read("/status/lastOutcome"),
            active: number(cron, "/status/active"),
        }
    }
}

/// Everything that is shown.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// What is going on, in a few words.
    pub step: String,
    /// Since the demo began.
    pub clock: Duration,
    /// The services.
    pub rows: Vec<Row>,
    /// The crons.
    pub crons: Vec<CronRow>,
    /// Nodes that are ready, and all of them.
    pub nodes: (usize, usize),
    /// The services themselves, for what the story asks of them.
    pub services: Vec<Value>,
}

impl Frame {
    /// Reads everything; what can't be read is left out.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn read(world: &World, step: &str, clock: Duration) -> Result<Self> {
        let listed = world.kube.all_services().list(&ListParams::default()).await?.items;
        let services: Vec<Value> = listed.into_iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let crons = world.kube.crons(NAMESPACE).list(&ListParams::default()).await?.items;
        let crons: Vec<Value> = crons.into_iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let nodes = world.kube.nodes().list(&ListParams::default()).await?.items;
        let ready = nodes.iter().filter(|node| is_ready(node)).count();
        Ok(Self {
            step: step.to_owned(),
            clock,
            rows: services.iter().map(Row::of).collect(),
            crons: crons.iter().map(CronRow::of).collect(),
            nodes: (ready, nodes.len()),
            services,
        })
    }

    /// A service by its name.
    pub fn service(&self, name: &str) -> Option<&Value> {
        self.services.iter().find(|service| text(service, "/metadata/name") == name)
    }

    /// Whether so many instances of a service run, it has seen its newest spec, and is ready for this reason.
    pub fn runs(&self, name: &str, instances: u32, reason: &str) -> bool {
        self.service(name).is_some_and(|service| {
            let says = condition(service, "Ready").is_some_and(|(s, why, _)| (s, why) == ("True", reason));
            let current =
                number(service, "/metadata/generation") == number(service, "/status/observedGeneration");
            says && current && number(service, "/status/counts/running") == i64::from(instances)
        })
    }

    /// Whether all of these run.
    pub fn all_run(&self, services: &[(&str, u32)], reason: &str) -> bool {
        services.iter().all(|(name, instances)| self.runs(name, *instances, reason))
    }

    /// Whether the last update of each is in this state.
    pub fn updates_are(&self, services: &[(&str, u32)], state: &str) -> bool {
        let is = |name: &str| self.service(name).is_some_and(|s| text(s, "/status/update/state") == state);
        services.iter().all(|(name, _)| is(name))
    }
}
