//! Sees each run of the crons come about and end, by this program's clock.
//!
//! One watch of the runs and one of the Pods for each round. Called by `crons`; `figures` makes numbers of what was seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, ResourceExt, api::DynamicObject};
use tokio::task::JoinSet;

use super::By;
use crate::{
    bench::follow::{self, follow},
    kube_api::KubeApi,
};

/// What was seen of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    /// It was made.
    pub(super) made: Option<Timestamp>,
    /// Its Pod was made.
    pub(super) pod: Option<Timestamp>,
    /// Its Pod has succeeded.
    pub(super) ended: Option<Timestamp>,
    /// The uids of its Pods.
    pub(super) pods: Vec<String>,
}

/// What was seen of a round.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The runs by name.
    pub(super) runs: BTreeMap<String, Run>,
    broken: Option<String>,
}

impl Seen {
    /// How many runs each cron had, by how many: there should be one of each.
    pub(super) fn by_cron(&self) -> BTreeMap<&str, usize> {
        let mut runs = BTreeMap::new();
        for (name, run) in &self.runs {
            let Some((cron, _)) = name.rsplit_once('-').filter(|_| !run.pods.is_empty()) else { continue };
            *runs.entry(cron).or_default() += run.pods.len();
        }
        runs
    }
}

/// Follows the runs of a round.
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    _watching: JoinSet<()>,
}

impl Witness {
    /// Starts to look, before anything is due.
    pub(super) async fn start(kube: &KubeApi, by: By) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut watching = JoinSet::new();
        let pods = kube.pods(by.name());
        let (version, into) = (follow::now(&pods).await?, Arc::clone(&seen));
        watching.spawn(async move {
            let done = follow(&pods, version, |pod| lock(&into).pod(&pod)).await;
            broken(&into, done);
        });
        let into = Arc::clone(&seen);
        if by == By::CronJobs {
            let jobs: Api<Job> = Api::namespaced(kube.client.clone(), by.name());
            let version = follow::now(&jobs).await?;
            watching.spawn(async move {
                let done = follow(&jobs, version, |job| lock(&into).made(&job.name_any())).await;
                broken(&into, done);
            });
        } else {
            let (jobs, pods) = (kube.jobs(by.name()), kube.pods(by.name()));
            // Versions are those of the whole store.
            let version = follow::now(&pods).await?;
            watching.spawn(async move {
                let see = |job: DynamicObject| lock(&into).made(&job.name_any());
                let done = follow(&jobs, version, see).await;
                broken(&into, done);
            });
        }
        Ok(Self { seen, _watching: watching })
    }

    /// How many runs have succeeded.
    pub(super) fn ended(&self) -> Result<usize> {
        let seen = lock(&self.seen);
        if let Some(why) = &seen.broken {
            anyhow::bail!("the runs were not seen to their end: {why}");
        }
        Ok(seen.runs.values().filter(|run| run.ended.is_some()).count())
    }

    /// What was seen.
    pub(super) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(seen: &Mutex<Seen>, done: Result<()>) {
    if let Err(error) = done {
        lock(seen).broken = Some(format!("{error:#}"));
    }
}

impl Seen {
    fn made(&mut self, name: &str) {
        self.runs.entry(name.to_owned()).or_default().made.get_or_insert(Timestamp::now());
    }

    fn pod(&mut self, pod: &Pod) {
        let mut owners = pod.owner_references().iter();
        let Some(owner) = owners.find(|owner| owner.controller == Some(true)) else { return };
        let run = self.runs.entry(owner.name.clone()).or_default();
        let now = Timestamp::now();
        run.pod.get_or_insert(now);
        let uid = pod.uid().unwrap_or_default();
        if !run.pods.contains(&uid) {
            run.pods.push(uid);
        }
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if phase == Some("Succeeded") {
            run.ended.get_or_insert(now);
        }
    }
}
