//! The writes of preemption: room that is kept for a Pod or given up, and Pods that end for it.
//!
//! Each is for the very object that was decided about: a note and its nomination are one write, for the version of the
//! Pod that was seen; a victim is ended by its uid, with its own time to stop. Where a disruption budget is about it
//! the API server is asked to evict it, which may say no. Nothing is decided here, and nothing tried again. Called by
//! the loop of preemption.

use std::{sync::Arc, time::Duration};

use borealis_core::model::{Claim, Slot};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{EvictParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    Learn,
    calls::{Calls, Failed},
    run::{delete, merge},
};
use crate::{
    api::{
        labels,
        slot::{self, Preempted},
    },
    metrics::Verb,
};

/// The condition of Pods that end for another reason than their own (Kubernetes' name).
const DISRUPTION_TARGET: &str = "DisruptionTarget";
/// The reason that our victims have in it.
pub const PREEMPTION_REASON: &str = "PreemptionByBorealis";

/// What the API server says, with code 500, of a Pod that it can't evict.
const SEVERAL_BUDGETS: &str = "more than one PodDisruptionBudget";

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrote {
    /// It is done.
    Done,
    /// The Pod is another by now, or gone: the index will hear of it.
    Changed,
    /// A disruption budget does not allow it now.
    Budget(String),
    /// The API server won't have it.
    Refused(String),
    /// Not now.
    Busy(Option<Duration>, String),
    /// It may have been done.
    Unknown(String),
    /// We may not write any more.
    Fenced,
}

/// Who has to go, and what is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Which Pod.
    pub pod: PodRef,
    /// A disruption budget has its say.
    pub budget: bool,
    /// What its people are told.
    pub note: Preempted,
}

/// A Pod by what stays with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: String,
    /// The resourceVersion it was decided at.
    pub version: u64,
}

impl PodRef {
    /// The Pod of a claim.
    #[must_use]
    pub fn of(claim: &Claim) -> Self {
        Self {
            namespace: Arc::clone(&claim.owner.namespace),
            name: claim.name.clone(),
            uid: claim.uid.to_string(),
            version: claim.version,
        }
    }
}

/// Writes what preemption decides.
#[derive(Clone)]
pub struct Preemption {
    client: Client,
    calls: Arc<Calls>,
    index: Arc<dyn Learn>,
}

impl Preemption {
    pub(super) fn new(client: Client, calls: Arc<Calls>, index: Arc<dyn Learn>) -> Self {
        Self { client, calls, index }
    }

    /// Writes the note of a Pod, and the node that room is kept on for it; `None` takes the nomination away.
    pub async fn note(&self, pod: &PodRef, slot: &Slot, node: Option<&str>) -> Wrote {
        let Ok(note) = slot::write(slot) else {
            return Wrote::Refused("a note that can't be written".into());
        };
        let body = json!({
            "metadata": {
                "resourceVersion": pod.version.to_string(),
                "annotations": {labels::SLOT: note},
            },
            "status": {"nominatedNodeName": node},
        });
        self.patch_status(pod, merge(&pod.uid, body)).await
    }

    /// Ends a Pod with its own time to stop.
    pub async fn end(&self, victim: &Victim) -> Wrote {
        if victim.budget { self.evict(victim).await } else { self.mark_and_delete(victim).await }
    }

    /// Reads a Pod of which it is not known what became; whether that is known now.
    pub async fn settle(&self, pod: &PodRef) -> bool {
        match self.calls.read(Verb::get, self.pods(pod).get(&pod.name)).await {
            Ok(found) => {
                self.index.learn_pod(&found);
                true
            }
            Err(Failed::Missing(_)) => true,
            Err(_) => false,
        }
    }

    /// The mark comes first: once it is gone there is nothing to put it on. Without its deletion the mark ends nobody.
    async fn mark_and_delete(&self, victim: &Victim) -> Wrote {
        let pod = &victim.pod;
        let condition = json!({
            "type": DISRUPTION_TARGET,
            "status": "True",
            "reason": PREEMPTION_REASON,
            "message": format!("ended to make room on node {}: {}", victim.note.node, victim.note.rule),
            "lastTransitionTime": now(),
        });
        let body = json!({
            "metadata": {"uid": pod.uid, "annotations": annotations(victim)},
            "status": {"conditions": [condition]},
        });
        match self.patch_status(pod, Patch::Strategic(body)).await {
            Wrote::Done => {}
            // Whoever refuses a mark does not keep a Pod from ending.
            Wrote::Refused(_) => {}
            failed => return failed,
        }
        let parameters = delete(pod.uid.clone());
        let pods = self.pods(pod);
        let deleted =
            self.calls.write(Verb::delete, |_| async { pods.delete(&pod.name, &parameters).await }).await;
        wrote(deleted.map(|answer| answer.left().iter().for_each(|pod| self.index.learn_pod(pod))))
    }

    /// Asks for its eviction. What its people are told is written after that: who is not evicted was not preempted.
    async fn evict(&self, victim: &Victim) -> Wrote {
        let pod = &victim.pod;
        let parameters = EvictParams {
            delete_options: Some(delete(pod.uid.clone())),
            post_options: PostParams::default(),
        };
        let pods = self.pods(pod);
        let evicted =
            self.calls.write(Verb::create, |_| async { pods.evict(&pod.name, &parameters).await }).await;
        match evicted {
            Ok(_) => {}
            // What it says of a budget that is used up, and while it counts.
            Err(Failed::Busy { why, .. }) if why.contains("disruption budget") => return Wrote::Budget(why),
            // The API server evicts nobody whom several budgets are about, however often it is asked.
            Err(Failed::Unknown(why)) if why.contains(SEVERAL_BUDGETS) => return Wrote::Budget(why),
            Err(failed) => return wrote(Err(failed)),
        }
        // It is ended, whether or not it can be told.
        let body = json!({"metadata": {"annotations": annotations(victim)}});
        self.patch_status(pod, merge(&pod.uid, body)).await;
        Wrote::Done
    }

    async fn patch_status(&self, pod: &PodRef, patch: Patch<Value>) -> Wrote {
        let (pods, parameters) = (self.pods(pod), PatchParams::default());
        let patched = self
            .calls
            .write(Verb::patch, |_| async { pods.patch_status(&pod.name, &parameters, &patch).await })
            .await;
        wrote(patched.map(|pod| self.index.learn_pod(&pod)))
    }

    fn pods(&self, pod: &PodRef) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &pod.namespace)
    }
}

/// What a victim carries from then on. It says nothing of an end that was asked for: of that its deletion tells, and if
/// it is not deleted in the end, nobody else is to do it for that.
fn annotations(victim: &Victim) -> Value {
    json!({ labels::PREEMPTED: serde_json::to_string(&victim.note).unwrap_or_default() })
}

fn wrote(result: Result<(), Failed>) -> Wrote {
    match result {
        Ok(()) => Wrote::Done,
        Err(Failed::Fenced) => Wrote::Fenced,
        Err(Failed::Unknown(why)) => Wrote::Unknown(why),
        Err(Failed::Missing(_) | Failed::Conflict(_) | Failed::Exists(_)) => Wrote::Changed,
        Err(Failed::Busy { after, why }) => Wrote::Busy(after, why),
        Err(Failed::Term(why) | Failed::Denied(why) | Failed::Refused(why)) => Wrote::Refused(why),
    }
}

fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}
