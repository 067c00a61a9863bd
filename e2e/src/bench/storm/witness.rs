//! Sees what becomes of each Pod of a storm, and when, by this program's clock.
//!
//! One watch of all Pods for each round. Called by `storm`; `figures` makes numbers of what was seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    bench::follow::{self, follow},
    kube_api::{KubeApi, text},
};

/// Annotation: the room that is kept for a Pod.
const SLOT: &str = "borealis.dev/slot";
/// Annotation: for whom a Pod had to go.
const PREEMPTED: &str = "borealis.dev/preempted";

/// What was seen of a Pod of production.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrival {
    /// It was made.
    pub(super) made: Option<Timestamp>,
    /// The scheduler said that it has no place, in whole seconds.
    pub(super) without_place: Option<Timestamp>,
    /// When Borealis decided who goes for it, as the first note says.
    pub(super) decided: Option<Timestamp>,
    /// It was seen to be given a node, for when its victims have left.
    pub(super) nominated: Option<Timestamp>,
    /// It runs.
    pub(super) running: Option<Timestamp>,
    /// Slots that came to nothing.
    pub(super) tries: i64,
}

/// What was seen of a round.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Production by uid.
    pub(super) arrivals: BTreeMap<String, Arrival>,
    /// Pods of batch that were told to end: when.
    pub(super) ended: BTreeMap<String, Timestamp>,
    /// When the first victim of a Pod of production was told to end, as far as victims say for whom they go.
    pub(super) first_end: BTreeMap<String, Timestamp>,
    broken: Option<String>,
}

/// Follows the Pods of a storm.
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    watching: JoinHandle<()>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Witness {
    /// Starts to look, before production arrives.
    pub(super) async fn start(kube: &KubeApi, batch: &str, production: &str) -> Result<Self> {
        let pods: Api<Pod> = Api::all(kube.client.clone());
        let version = follow::now(&pods).await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (into, namespaces) = (Arc::clone(&seen), [batch.to_owned(), production.to_owned()]);
        let watching = tokio::spawn(async move {
            if let Err(error) = look(&pods, version, &namespaces, &into).await {
                lock(&into).broken = Some(format!("{error:#}"));
            }
        });
        Ok(Self { seen, watching })
    }

    /// How many of production run.
    pub(super) fn running(&self) -> Result<usize> {
        let seen = lock(&self.seen);
        if let Some(why) = &seen.broken {
            anyhow::bail!("the storm was not seen to its end: {why}");
        }
        Ok(seen.arrivals.values().filter(|arrival| arrival.running.is_some()).count())
    }

    /// What was seen.
    pub(super) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the Pods of the two namespaces apart.
async fn look(
    pods: &Api<Pod>,
    version: String,
    [batch, production]: &[String; 2],
    seen: &Mutex<Seen>,
) -> Result<()> {
    follow(pods, version, |pod| {
        let namespace = pod.metadata.namespace.as_ref();
        let now = Timestamp::now();
        if namespace == Some(production) {
            lock(seen).arrival(&pod, now);
        } else if namespace == Some(batch) {
            lock(seen).victim(&pod, now);
        }
    })
    .await
}

impl Seen {
    fn arrival(&mut self, pod: &Pod, now: Timestamp) {
        let arrival = self.arrivals.entry(pod.metadata.uid.clone().unwrap_or_default()).or_default();
        arrival.made.get_or_insert(now);
        let note = note(pod, SLOT);
        arrival.tries = arrival.tries.max(note["tries"].as_i64().unwrap_or_default());
        if arrival.decided.is_none() {
            arrival.decided = text(&note, "/since").parse().ok();
        }
        let Some(status) = &pod.status else { return };
        if status.nominated_node_name.is_some() {
            arrival.nominated.get_or_insert(now);
        }
        if status.phase.as_deref() == Some("Running") {
            arrival.running.get_or_insert(now);
        }
        let placed = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled");
        if let Some(placed) = placed.filter(|placed| placed.status == "False") {
            arrival.without_place = placed.last_transition_time.as_ref().map(|time| time.0);
        }
    }

    fn victim(&mut self, pod: &Pod, now: Timestamp) {
        if pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let for_whom = text(&note(pod, PREEMPTED), "/preemptor").to_owned();
        let at = *self.ended.entry(uid).or_insert(now);
        let first = self.first_end.entry(for_whom).or_insert(at);
        *first = at.min(*first);
    }
}

fn note(pod: &Pod, annotation: &str) -> Value {
    let notes = pod.metadata.annotations.as_ref();
    let note = notes.and_then(|notes| notes.get(annotation));
    note.and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(object: Value) -> Pod {
        serde_json::from_value(object).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn of_each_pod_the_first_time_counts() {
        let mut seen = Seen::default();
        let arrival = |note: Value, status: Value| {
            let notes = json!({SLOT: note.to_string()});
            pod(json!({"metadata": {"uid": "p", "annotations": notes}, "status": status}))
        };
        let no_place = json!([{"type": "PodScheduled", "status": "False", "lastTransitionTime": at(1)}]);
        seen.arrival(&arrival(json!({}), json!({"conditions": no_place})), at(2));
        let first = json!({"node": "n", "since": at(6)});
        seen.arrival(&arrival(first, json!({"nominatedNodeName": "n"})), at(7));
        let second = json!({"node": "m", "since": at(16), "tries": 1});
        seen.arrival(&arrival(second, json!({"nominatedNodeName": "m"})), at(17));
        for second in [20, 21] {
            seen.arrival(&arrival(json!({"tries": 1}), json!({"phase": "Running"})), at(second));
        }
        let Arrival { made, without_place, decided, nominated, running, tries } = seen.arrivals["p"].clone();
        let times = [made, without_place, decided, nominated, running];
        assert_eq!((times, tries), ([2, 1, 6, 7, 20].map(|second| Some(at(second))), 1));
    }

    #[test]
    fn victims_count_once_they_are_told_to_end() {
        let mut seen = Seen::default();
        let victim = |uid: &str, ends: Option<Timestamp>| {
            let notes = json!({PREEMPTED: json!({"preemptor": "p"}).to_string()});
            pod(json!({"metadata": {"uid": uid, "annotations": notes, "deletionTimestamp": ends}}))
        };
        seen.victim(&victim("a", None), at(1));
        assert!(seen.ended.is_empty());
        for (uid, second) in [("a", 2), ("b", 3), ("a", 4)] {
            seen.victim(&victim(uid, Some(at(9))), at(second));
        }
        assert_eq!(seen.ended, [("a", 2), ("b", 3)].map(|(uid, at_)| (uid.to_owned(), at(at_))).into());
        assert_eq!(seen.first_end, [("p".to_owned(), at(2))].into());
    }
}
