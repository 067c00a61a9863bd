//! The loop that finds out why Pods have no place, and the table in which services and people find it.
//!
//! Decides when is looked: at most once a second, when something has changed. What is found is
//! `borealis_core::admit::pending`'s; what preemption does about it, or why it does nothing, is `preemption`'s. A service is planned again when other instances wait than before, or for other
//! reasons; where only numbers differ, now and then. Run by `operator`, once for the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use borealis_core::{
    admit::pending::{Explainer, Group, Job, Waiting},
    model::{Pending, PendingReason, Ranges},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use super::{
    Round,
    preemption::{Kind, Remark, Verdicts},
};
use crate::{
    JobKey,
    controller::Queue,
    index::{Follower, Index, Viewed},
    kind_name,
    metrics::Metrics,
};

/// How soon after a look the next may follow.
const PACE: Duration = Duration::from_secs(1);
/// How many configs are looked at in one round at most.
const PORTION: usize = 32;
/// How long words stand of which only numbers have changed.
const NUMBERS_STAND: Duration = Duration::from_secs(30);

/// Who has no place, and why. Clones are the same table.
#[derive(Debug, Clone, Default)]
pub struct PendingTable(Arc<Mutex<BTreeMap<Job, Entry>>>);

#[derive(Debug)]
struct Entry {
    waiting: Waiting,
    /// What preemption says of them.
    remarks: Vec<Remark>,
    /// What of it makes a difference to the service, besides numbers.
    shape: Vec<Shape>,
    /// What the service is told.
    told: Arc<[Pending]>,
    /// When it was told that.
    at: Instant,
}

/// What makes a difference: reason and topic, which instances, and what preemption does for them.
type Shape = (PendingReason, String, Ranges, Option<Kind>);

impl PendingTable {
    /// What keeps the Pods of a service off the nodes.
    pub fn of(&self, key: &JobKey) -> Arc<[Pending]> {
        let job =
            Job { namespace: Arc::clone(&key.namespace), name: Arc::clone(&key.name), ours: Some(key.kind) };
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&job).map(|entry| Arc::clone(&entry.told)).unwrap_or_default()
    }

    /// Takes what was found; returns the services that are to be told.
    fn put(
        &self,
        found: BTreeMap<Job, Waiting>,
        mut said: BTreeMap<Job, Vec<Remark>>,
        now: Instant,
    ) -> Vec<JobKey> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *all);
        let mut news = Vec::new();
        for (job, waiting) in found {
            let remarks = said.remove(&job).unwrap_or_default();
            let (shape, told): (Vec<_>, Vec<_>) =
                waiting.groups.iter().flat_map(|group| tell(group, &remarks)).unzip();
            let entry = match before.remove(&job) {
                Some(entry) if is_settled(&entry, &shape, &told, now) => Entry { waiting, remarks, ..entry },
                _ => {
                    news.extend(service(&job));
                    Entry { waiting, remarks, shape, told: told.into(), at: now }
                }
            };
            all.insert(job, entry);
        }
        news.extend(before.keys().filter_map(service));
        news
    }

    /// How many Pods wait for each reason.
    fn counts(&self) -> BTreeMap<PendingReason, u32> {
        let mut counts = BTreeMap::new();
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for group in all.values().flat_map(|entry| &entry.waiting.groups) {
            *counts.entry(group.reason).or_default() += group.count;
        }
        counts
    }

    /// All of it, as JSON, and what services say besides of instances that have no Pod.
    pub fn show(&self, index: &Index) -> Value {
        let jobs: Vec<Value> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().map(|(job, entry)| job_json(job, &entry.waiting, &entry.remarks)).collect()
        };
        let mut keys = index.keys();
        keys.sort();
        let services = keys.iter().filter_map(|key| match index.view(key, |view, _| unplaced(view.status)) {
            Viewed::Of(Some(message)) => {
                Some(json!({"namespace": *key.namespace, "name": *key.name, "message": message}))
            }
            Viewed::Of(None) | Viewed::Absent | Viewed::Unsettled => None,
        });
        json!({"jobs": jobs, "services": services.collect::<Vec<_>>()})
    }
}

/// Whether what was told says as much as what would be told now.
fn is_settled(entry: &Entry, shape: &[Shape], told: &[Pending], now: Instant) -> bool {
    *entry.told == *told || (entry.shape == shape && now.duration_since(entry.at) < NUMBERS_STAND)
}

/// What a service is told of a group: that apart of which preemption has something to say.
fn tell(group: &Group, remarks: &[Remark]) -> Vec<(Shape, Pending)> {
    let Group { reason, topic, detail, instances, .. } = group;
    let mut rest = instances.clone();
    let mut all = Vec::new();
    for remark in remarks {
        let among: Ranges = rest.iter().filter(|it| remark.instances.contains(*it)).collect();
        among.iter().for_each(|it| rest.remove(it));
        all.push((Some(remark.kind), format!("{detail}; {}", remark.words), among));
    }
    all.push((None, detail.clone(), rest));
    let told = all.into_iter().filter(|(.., instances)| !instances.is_empty());
    told.map(|(kind, detail, instances)| {
        let shape = (*reason, topic.clone(), instances.clone(), kind);
        (shape, Pending { reason: *reason, topic: topic.clone(), detail, instances })
    })
    .collect()
}

fn service(job: &Job) -> Option<JobKey> {
    let kind = job.ours?;
    Some(JobKey { kind, namespace: Arc::clone(&job.namespace), name: Arc::clone(&job.name) })
}

fn unplaced(status: Option<&borealis_core::model::ServiceStatus>) -> Option<String> {
    let placed = status?.condition(borealis_core::model::ConditionType::Placed)?;
    (!placed.holds).then(|| placed.message.clone())
}

fn job_json(job: &Job, waiting: &Waiting, remarks: &[Remark]) -> Value {
    let Job { namespace, name, ours } = job;
    json!({
        "namespace": **namespace,
        "name": **name,
        "kind": ours.map(kind_name),
        "role": *waiting.owner.role,
        "tier": waiting.owner.tier.as_ref().map(|tier| tier.name.to_string()),
        "priority": waiting.owner.priority,
        "groups": waiting.groups.iter().map(group_json).collect::<Vec<_>>(),
        "preemption": remarks.iter().map(remark_json).collect::<Vec<_>>(),
    })
}

fn remark_json(remark: &Remark) -> Value {
    let Remark { kind, words, pods, instances } = remark;
    json!({"verdict": kind.name(), "words": words, "pods": pods, "instances": instances.to_string()})
}

fn group_json(group: &Group) -> Value {
    let Group { reason, topic, detail, count, instances, names, since, vetoes, slots, failed } = group;
    let mut shown = json!({
        "reason": reason.name(),
        "words": format!("{topic}{detail}"),
        "pods": count,
        "instances": instances.to_string(),
        "some": names,
        "since": since.to_string(),
    });
    if let Some(vetoes) = vetoes {
        let counts = vetoes.counts.iter();
        shown["nodes"] = vetoes.hosts.into();
        shown["fitting"] = vetoes.fitting.into();
        shown["vetoes"] =
            counts.map(|count| json!({"veto": count.veto.to_string(), "nodes": count.hosts})).collect();
    }
    if !slots.is_empty() {
        let slot = |slot: &borealis_core::admit::pending::Kept| {
            let held = &slot.held;
            json!({"pod": slot.pod, "node": *held.node, "since": held.since.to_string(), "leaving": slot.leaving})
        };
        shown["slots"] = slots.iter().map(slot).collect();
    }
    if !failed.is_empty() {
        let failed = failed.iter().map(|(pod, slot)| {
            json!({"pod": pod, "node": *slot.node, "why": slot.why.name(), "nextAfter": slot.until.to_string()})
        });
        shown["failedSlots"] = failed.collect();
    }
    shown
}

/// The loop.
pub struct PendingLoop {
    /// What is known.
    pub index: Arc<Index>,
    /// Whom the changes are told.
    pub follower: Arc<Follower>,
    /// Where what is found is put.
    pub table: PendingTable,
    /// What preemption says of those who wait.
    pub verdicts: Verdicts,
    /// Which services are planned next.
    pub queue: Arc<Queue<JobKey>>,
    /// What counts.
    pub metrics: Metrics,
    explainer: Explainer,
    next: Instant,
}

impl PendingLoop {
    /// A loop that has not looked yet.
    pub fn new(index: Arc<Index>, table: PendingTable, queue: Arc<Queue<JobKey>>, metrics: Metrics) -> Self {
        let (follower, next) = (index.changes(), Instant::now());
        let verdicts = Verdicts::new(Arc::clone(&follower));
        Self { index, follower, table, verdicts, queue, metrics, explainer: Explainer::default(), next }
    }
}

impl Round for PendingLoop {
    const NAME: &'static str = "why Pods have no place";

    async fn round(&mut self) -> Option<Duration> {
        sleep_until(self.next).await;
        self.next = Instant::now() + PACE;
        let changes = self.follower.take();
        let changed = changes.pending || changes.room || changes.hosts;
        let now = Timestamp::now();
        let due = self.index.board(|board| self.explainer.begin(board, changed, now));
        // One at a time, since news of Pods waits meanwhile.
        for sample in due.iter().take(PORTION) {
            self.index.board(|board| self.explainer.look(board, *sample, now));
            yield_now().await;
        }
        let (found, said) =
            self.index.board(|board| (self.explainer.report(board), self.verdicts.by_job(board)));
        for key in self.table.put(found, said, Instant::now()) {
            self.queue.add(&key);
        }
        self.metrics.unplaced(&self.table.counts());
        if due.len() > PORTION {
            return Some(Duration::ZERO);
        }
        let next = self.explainer.next()?;
        Some(Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
