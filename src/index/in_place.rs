//! How far the change of a Pod in place has come, as its status shows.
//!
//! A kubelet that has seen a change (observedGeneration) has not carried it out yet: containers are as they shall be once
//! they were started again, resources once it says nothing of a resize any more. Called by `pod`.

use std::collections::BTreeMap;

use borealis_core::model::{Change, InPlace, Stage};
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodSpec, PodStatus};

use super::{meta::annotation, pod::restarts};
use crate::api::{in_place::Note, labels};

/// The gate of a Pod and its last change; `None` of a Pod that was made without.
pub(super) fn read(pod: &Pod) -> Option<Box<InPlace>> {
    let gates = pod.spec.as_ref()?.readiness_gates.as_ref()?;
    gates.iter().find(|gate| gate.condition_type == labels::IN_PLACE)?;
    let gate = condition(pod, labels::IN_PLACE);
    let open = gate.is_some_and(|gate| gate.status == "True");
    let since = gate.and_then(|gate| gate.last_transition_time.as_ref()).map(|time| time.0);
    let note = annotation(&pod.metadata, labels::IN_PLACE).and_then(Note::read);
    let change = note.map(|note| Change { update: note.update, at: note.at, stage: stage(pod, &note, open) });
    Some(Box::new(InPlace { open, since, change }))
}

fn stage(pod: &Pod, note: &Note, open: bool) -> Stage {
    let (Some(spec), Some(status)) = (&pod.spec, &pod.status) else { return Stage::Pending };
    let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let observed = status.observed_generation >= pod.metadata.generation;
    if !over && !observed {
        return if is_ended(spec, status, &note.restarts) { Stage::Stuck } else { Stage::Pending };
    }
    let replaced = note.restarts.iter().map(|(name, before)| {
        let container = spec.containers.iter().find(|container| container.name == *name);
        let found = status.container_statuses.iter().flatten().find(|status| status.name == *name);
        let Some(found) = found else { return if over { Stage::Stuck } else { Stage::Pending } };
        if found.restart_count > *before {
            return Stage::Done;
        }
        let ended = found.state.as_ref().and_then(|state| state.terminated.as_ref());
        // Stopped for its new image, which could not be started: the kubelet does not try again where it never would.
        let stuck = over || ended.is_some_and(|end| !restarts(spec, container, end.exit_code));
        if stuck { Stage::Stuck } else { Stage::Pending }
    });
    // The gate is opened when all was carried out; what others resize later is not ours to judge.
    let resized = if note.resized && !over && !open { resized(pod) } else { Stage::Done };
    // What is stuck is so for good; what is done waits for the rest.
    let all: Vec<Stage> = replaced.chain([resized]).collect();
    if all.contains(&Stage::Stuck) {
        Stage::Stuck
    } else if all.contains(&Stage::Pending) {
        if is_ended(spec, status, &note.restarts) { Stage::Stuck } else { Stage::Pending }
    } else {
        Stage::Done
    }
}

/// Whether a container has ended for good that the change has not started again: one of the config before.
fn is_ended(spec: &PodSpec, status: &PodStatus, restarted: &BTreeMap<String, i32>) -> bool {
    spec.containers.iter().any(|container| {
        let found = status.container_statuses.iter().flatten().find(|status| status.name == container.name);
        let Some(found) = found else { return false };
        let is_new = restarted.get(&container.name).is_some_and(|before| found.restart_count > *before);
        let ended = found.state.as_ref().and_then(|state| state.terminated.as_ref());
        !is_new && ended.is_some_and(|end| !restarts(spec, Some(container), end.exit_code))
    })
}

/// Whether the kubelet has changed resources as it was asked to.
fn resized(pod: &Pod) -> Stage {
    let holds = |kind: &str| condition(pod, kind).filter(|condition| condition.status == "True");
    let reason = |condition: &PodCondition| condition.reason.clone().unwrap_or_default();
    match (holds("PodResizePending").map(reason), holds("PodResizeInProgress").map(reason)) {
        // Its node lacks the room, for ever or for now, or less memory is asked for than is in use.
        (Some(reason), _) if matches!(&*reason, "Infeasible" | "Deferred") => Stage::Stuck,
        (_, Some(reason)) if reason == "Error" => Stage::Stuck,
        (Some(_), _) | (_, Some(_)) => Stage::Pending,
        (None, None) => Stage::Done,
    }
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

#[cfg(test)]
mod tests;
