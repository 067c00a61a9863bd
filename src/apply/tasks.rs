//! What a plan does to Pods: make, end, retire, remove and adopt them.
//!
//! Nothing here touches a Pod but by its uid, and a Pod is made by its exact name only, so that two writers meet.
//! A Pod that is not as the plan supposed is reported to the index and left to the next plan. Called by `executor`.

use std::time::Duration;

use borealis_core::{
    model::{Instance, Intent, JobKind, Revision, Run as RunNumber, Uid, reasons},
    plan::{Ended, Problem},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{
    calls::Failed,
    pods::{NewRun, build_pod, pod_name},
    run::{Run, Undone, Whose, delete, merge},
};
use crate::{
    api::{convert, labels},
    metrics::Verb,
};

/// How long a Pod is sent again of which it is not known what became: longer than a request can live in an API
/// server (`--request-timeout`, 60 s).
const LIFE_OF_A_REQUEST: Duration = Duration::from_secs(75);
/// The longest pause between two such requests.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A Pod that is there: what an action needs to reach it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) uid: Uid,
    pub(super) instance: Instance,
    pub(super) run: RunNumber,
}

/// A Pod to make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) instance: Instance,
    pub(super) run: RunNumber,
    pub(super) revision: Revision,
    pub(super) flaps: u16,
    pub(super) failures: u16,
}

impl Run<'_> {
    /// Makes the Pod of a run, unless it is there.
    pub(super) async fn create_task(&self, wanted: Wanted) -> Result<(), Undone> {
        let Wanted { instance, run, revision, flaps, failures } = wanted;
        let stored = self.config(revision).await?;
        let (job, term) = (self.job(), self.calls.term().ok_or(Undone::Fenced)?);
        let in_place = self.facts.in_place;
        let new = NewRun { instance, run, revision, term, flaps, failures, in_place };
        let tier =
            self.index.tier(&stored.config.tier).ok_or_else(|| self.tier_missing(&stored.config.tier))?;
        let pod = build_pod(&stored.config, &job, &new, &tier).map_err(|error| {
            let message = error.to_string();
            Undone::Refused(Problem { reason: reasons::INVALID_SPEC, message, blocks: false })
        })?;
        let name = pod_name(&self.key.name, instance, run);
        match self.post_until_answered(&pod).await {
            Ok(pod) => {
                self.note_write();
                self.index.learn_pod(&pod);
                Ok(())
            }
            Err(Failed::Exists(_)) => self.meet(&name).await,
            Err(failed) => {
                Err(self.undone_or_refused(&format!("the Pods of config {revision}"), &name, &failed))
            }
        }
    }

    /// Nobody knows how a Pod of this tier ranks.
    fn tier_missing(&self, tier: &str) -> Undone {
        let message = format!(
            "There is no usable Tier {tier}, so that no Pod of it can be made; make it, or name another in spec.tier"
        );
        Undone::Refused(Problem { reason: reasons::TIER_MISSING, message, blocks: false })
    }

    /// Sends the very same Pod again while it is not known what became of it.
    ///
    /// Such a request may still be applied, even after a live list that does not show its Pod; planned anew, its
    /// successor might get another name, and then both would live. Under the same name they meet. Without the lease
    /// it ends: the term policy refuses what comes late.
    async fn post_until_answered(&self, pod: &Pod) -> Result<Pod, Failed> {
        let (begun, mut pause, mut doubtful) = (Instant::now(), Duration::from_millis(100), false);
        loop {
            let created = self.calls.write(Verb::create, |term| self.post(pod.clone(), term)).await;
            let in_doubt = matches!(created, Err(Failed::Unknown(_)));
            doubtful |= in_doubt;
            let failed = match created {
                Err(failed) if doubtful && !failed.settles_a_create() => failed,
                settled => return settled,
            };
            if begun.elapsed() > LIFE_OF_A_REQUEST {
                return Err(Failed::Unknown(failed.to_string()));
            }
            debug!(service = %self.key, why = %failed, "sending a Pod again of which it is not known what became");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The term it is sent in may be a later one than when it was built.
    async fn post(&self, mut pod: Pod, term: u64) -> kube::Result<Pod> {
        pod.metadata.labels.get_or_insert_default().insert(labels::TERM.to_owned(), term.to_string());
        self.pods.create(&PostParams::default(), &pod).await
    }

    /// A Pod of the wanted name is there: made by a predecessor of ours, by a lost answer's request, or foreign.
    async fn meet(&self, name: &str) -> Result<(), Undone> {
        match self.calls.read(Verb::get, self.pods.get(name)).await {
            Ok(pod) => match self.whose(&pod.metadata) {
                Whose::Ours => {
                    self.index.learn_pod(&pod);
                    Ok(())
                }
                Whose::Nobodys
                    if self.key.kind == JobKind::Service
                        && has_label(&pod, labels::SERVICE, &self.key.name) =>
                {
                    self.index.learn_pod(&pod);
                    Err(Undone::stale(format!("Pod {name} is there and has to be adopted")))
                }
                Whose::Nobodys | Whose::Foreign => Err(self.name_conflict("Pod", name)),
            },
            Err(failed) => {
                // It came and went: somebody else acts for this service, or did a moment ago.
                self.index.unsettle(self.key);
                Err(self.undone(&format!("reading Pod {name}, which exists"), &failed))
            }
        }
    }

    /// Ends a task in the way the plan says.
    pub(super) async fn end_task(&self, target: Target, intent: Intent, how: Ended) -> Result<(), Undone> {
        match how {
            Ended::Kept => {
                let mut body = mark(intent);
                body["metadata"]["labels"] = json!({labels::LIVE: Value::Null});
                body["spec"] = json!({"activeDeadlineSeconds": 1});
                match self.patch_task(target, body).await {
                    // A shorter deadline of its own, a policy, another uid: deleting settles them all.
                    Err(Failed::Refused(_)) => self.delete_task(target).await,
                    patched => self.settle(target, patched).await,
                }
            }
            Ended::Deleted => self.delete_task(target).await,
            Ended::Lost => {
                self.node_is_lost(target).await?;
                self.give_up(target, intent).await
            }
            Ended::Overdue => self.give_up(target, intent).await,
        }
    }

    async fn give_up(&self, target: Target, intent: Intent) -> Result<(), Undone> {
        // The mark comes first: after the deletion there may be nothing left to put it on.
        match self.patch_task(target, mark(intent)).await {
            Ok(()) | Err(Failed::Refused(_)) => self.delete_task(target).await,
            patched => self.settle(target, patched).await,
        }
    }

    /// Looks whether the node is lost indeed. One that is back may have got the Pod since, and the news of the Pod come
    /// first: given up, it would run beside its successor. One that was back in between has not been lost for as long as
    /// the plan went by.
    async fn node_is_lost(&self, target: Target) -> Result<(), Undone> {
        let name = self.name_of(target);
        let Some(lost) = self.index.lost_node(self.key, target.uid) else {
            return Err(Undone::stale(format!(
                "the node of Pod {name} is not lost, so the Pod is not given up"
            )));
        };
        let node = &lost.name;
        let itself = ListParams::default().fields(&format!("metadata.name={node}"));
        let read = self.calls.read(Verb::list, self.nodes.list(&itself)).await;
        let found = read.map_err(|failed| self.undone(&format!("reading the node {node}"), &failed))?;
        found.items.iter().for_each(|node| self.index.learn_node(node));
        if self.index.lost_node(self.key, target.uid).is_some_and(|still| still == lost) {
            return Ok(());
        }
        Err(Undone::stale(format!("the node {node} is back, so the Pod {name} on it is not given up")))
    }

    /// Takes the live mark from an ended task that is kept.
    pub(super) async fn retire_task(&self, target: Target) -> Result<(), Undone> {
        let body = json!({"metadata": {"labels": {labels::LIVE: Value::Null}}});
        let patched = self.patch_task(target, body).await;
        self.settle(target, patched).await
    }

    /// Deletes the Pod with its own grace, never by force.
    pub(super) async fn delete_task(&self, target: Target) -> Result<(), Undone> {
        let name = self.name_of(target);
        let uid = target.uid.to_string();
        let deleted =
            self.calls.write(Verb::delete, |_| async { self.pods.delete(&name, &delete(uid)).await }).await;
        match deleted {
            Ok(answer) => {
                self.note_write();
                match answer.left().filter(is_staying) {
                    Some(pod) => self.index.learn_pod(&pod),
                    None => self.index.learn_pod_gone(self.key, target.uid),
                }
                Ok(())
            }
            Err(failed) => self.meet_another(target, "deleting", &failed).await,
        }
    }

    /// Takes over a Pod that has no controller.
    pub(super) async fn adopt_task(&self, target: Target) -> Result<(), Undone> {
        self.live_service().await?;
        let name = self.name_of(target);
        match self.adopt(&self.pods, &name, target.uid).await? {
            Some(pod) => self.index.learn_pod(&pod),
            None => self.index.learn_pod_gone(self.key, target.uid),
        }
        Ok(())
    }

    pub(super) async fn patch_task(&self, target: Target, body: Value) -> Result<(), Failed> {
        let name = self.name_of(target);
        let patch = merge(&target.uid.to_string(), body);
        let parameters = PatchParams::default();
        let pod = self.calls.write(Verb::patch, |_| self.pods.patch(&name, &parameters, &patch)).await?;
        self.note_write();
        self.index.learn_pod(&pod);
        Ok(())
    }

    /// As `meet_another`, for a patch.
    pub(super) async fn settle(&self, target: Target, patched: Result<(), Failed>) -> Result<(), Undone> {
        match patched {
            Ok(()) => Ok(()),
            Err(failed) => self.meet_another(target, "changing", &failed).await,
        }
    }

    /// Finds out what a write that did not apply has met: the Pod meant may be gone, and the name another's.
    ///
    /// The answer alone does not tell: whatever stands before the API server's store may refuse in the same words.
    pub(super) async fn meet_another(
        &self,
        target: Target,
        doing: &str,
        failed: &Failed,
    ) -> Result<(), Undone> {
        let name = self.name_of(target);
        let is_gone = match failed {
            Failed::Missing(_) => true,
            Failed::Conflict(_) | Failed::Refused(_) => {
                self.is_another(&self.pods, &name, &target.uid.to_string()).await?
            }
            Failed::Fenced
            | Failed::Term(_)
            | Failed::Unknown(_)
            | Failed::Busy { .. }
            | Failed::Denied(_)
            | Failed::Exists(_) => false,
        };
        if !is_gone {
            return Err(self.undone(&format!("{doing} Pod {name}"), failed));
        }
        self.index.learn_pod_gone(self.key, target.uid);
        Ok(())
    }

    pub(super) fn name_of(&self, target: Target) -> String {
        pod_name(&self.key.name, target.instance, target.run)
    }
}

/// The annotations that say why a task ends, and when that was ordered.
fn mark(intent: Intent) -> Value {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    json!({"metadata": {"annotations": {
        labels::END_REASON: convert::word(&intent),
        labels::ENDED_AT: now.to_string(),
    }}})
}

/// Whether a Pod that was deleted is still there until its grace is over or its finalizers are gone.
fn is_staying(pod: &Pod) -> bool {
    let meta = &pod.metadata;
    meta.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
        || (meta.deletion_timestamp.is_some()
            && meta.deletion_grace_period_seconds.is_some_and(|grace| grace > 0))
}

fn has_label(pod: &Pod, label: &str, value: &str) -> bool {
    pod.metadata.labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|found| found == value)
}
