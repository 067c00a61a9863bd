//! A Pod as the API shows it, reduced to a `Task`: which instance and run it is, and what its status says.
//!
//! Translates only: what a status means is the table in `borealis_core::state::observe`. A Pod whose name is not
//! the one its labels give, or that another controller owns, is foreign and never looked at. Called by `feed`.

use borealis_core::{
    model::{Ending, Instance, Intent, MAX_INSTANCES, NodeId, Revision, Run, Task, Waiting},
    state::{ContainerFacts, ContainerKind, ContainerState, Phase, PodFacts, observe},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, de::IntoDeserializer, de::value::StrDeserializer};

use super::{
    in_place,
    meta::{Controller, Identity, Unreadable, annotation, label, number},
};
use crate::api::labels;

/// Seconds a Pod has to stop that doesn't say (Kubernetes' own default).
const DEFAULT_GRACE_SECONDS: i64 = 30;
/// Above any run there can be: a run counts up by one, and starts over at the greatest of the job.
const MAX_RUN: Run = 2_000_000_000;

/// Which run of which instance a Pod is.
#[derive(Debug, Clone, Copy)]
pub(super) struct PodIdentity<'a> {
    pub(super) object: Identity<'a>,
    pub(super) instance: Instance,
    pub(super) run: Run,
    pub(super) revision: Revision,
}

/// Reads whose Pod it is.
pub(super) fn identify(meta: &ObjectMeta) -> Result<PodIdentity<'_>, Unreadable> {
    let object = Identity::read_pod(meta)?;
    let instance = number(meta, labels::INSTANCE, MAX_INSTANCES - 1)?;
    let run = number(meta, labels::RUN, MAX_RUN)?;
    let revision = label(meta, labels::REVISION)
        .and_then(|text| text.parse().ok())
        .ok_or(Unreadable::Label(labels::REVISION))?;
    if !is_name_of(object.name, object.job.name, instance, run) {
        return Err(Unreadable::Name);
    }
    match object.controller {
        Controller::Job(kind, _) if kind != object.job.kind => Err(Unreadable::Foreign),
        Controller::None | Controller::Job(..) => Ok(PodIdentity { object, instance, run, revision }),
        Controller::Foreign => Err(Unreadable::Foreign),
    }
}

/// Whether this is the name of the run, without making one to compare with.
fn is_name_of(name: &str, job: &str, instance: Instance, run: Run) -> bool {
    let Some((instance_text, run_text)) =
        name.strip_prefix(job).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.split_once('-'))
    else {
        return false;
    };
    let is = |text: &str, number: u32| {
        (text == "0" || !text.starts_with('0')) && !text.starts_with('+') && text.parse() == Ok(number)
    };
    is(instance_text, instance) && is(run_text, run)
}

/// Reduces a Pod, given the record of the same Pod from before. The second value says that what was seen cannot
/// follow from that.
pub(super) fn reduce(
    pod: &Pod,
    identity: &PodIdentity<'_>,
    node: Option<NodeId>,
    owned: bool,
    known: Option<&Task>,
) -> (Task, bool) {
    let meta = &pod.metadata;
    let status = pod.status.as_ref();
    let containers = containers(pod);
    let in_place = in_place::read(pod);
    let created = meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let intent = annotation(meta, labels::END_REASON).and_then(parse_intent);
    let deleting = deletion_asked(meta);
    let facts = PodFacts {
        phase: phase(status),
        reason: status.and_then(|status| status.reason.as_deref()),
        scheduled: node.is_some(),
        ready_since: condition(status, "Ready").map(|since| since.unwrap_or(created)),
        disrupted: condition(status, "DisruptionTarget").is_some(),
        deleting,
        intent,
        in_place: in_place.as_deref(),
        containers: &containers,
    };
    let seen = observe(&facts, known);
    let ended_at = annotation(meta, labels::ENDED_AT).and_then(|text| text.parse().ok());
    let ending = (intent.is_some() || deleting.is_some()).then(|| Ending {
        intent,
        at: deleting.or(ended_at).unwrap_or(created),
        grace_seconds: grace_seconds(pod),
        deleting: deleting.is_some(),
    });
    let task = Task {
        uid: identity.object.uid,
        instance: identity.instance,
        run: identity.run,
        revision: identity.revision,
        state: seen.state,
        before: seen.before,
        ready: seen.ready,
        ready_since: seen.ready_since,
        unready_since: unready_since(status),
        waiting: if seen.state.is_terminal() { None } else { waiting(status) },
        created,
        started: seen.started,
        ended: seen
            .ended
            .or_else(|| seen.state.is_terminal().then(|| last_change(status).unwrap_or(created))),
        end: seen.end,
        exit_code: seen.exit_code,
        ending,
        half_ended: seen.half_ended,
        in_place,
        flaps: counter(meta, labels::FLAPS),
        failures: counter(meta, labels::FAILURES),
        node,
        live_label: label(meta, labels::LIVE) == Some(labels::TRUE),
        owned,
    };
    (task, seen.illegal)
}

/// The name of the node it is bound to.
pub(super) fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

fn parse_intent(text: &str) -> Option<Intent> {
    let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    Intent::deserialize(text).ok()
}

/// When its deletion was asked for; `deletionTimestamp` is when its grace is over.
fn deletion_asked(meta: &ObjectMeta) -> Option<Timestamp> {
    let over = meta.deletion_timestamp.as_ref()?.0;
    let grace = SignedDuration::from_secs(meta.deletion_grace_period_seconds.unwrap_or(0));
    Some(over.checked_sub(grace).unwrap_or(over))
}

/// Seconds it has to stop: as its deletion said, which need not be what its spec says.
fn grace_seconds(pod: &Pod) -> u32 {
    let own = || pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    let seconds = pod.metadata.deletion_grace_period_seconds.or_else(own).unwrap_or(DEFAULT_GRACE_SECONDS);
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}

fn counter(meta: &ObjectMeta, key: &str) -> u16 {
    annotation(meta, key).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn phase(status: Option<&PodStatus>) -> Phase {
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Running") => Phase::Running,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        Some("Unknown") => Phase::Unknown,
        // A Pod is Pending from its creation on, whether or not somebody has written so.
        _ => Phase::Pending,
    }
}

/// Since when the condition is true, where it is; the time may be missing.
fn condition(status: Option<&PodStatus>, kind: &str) -> Option<Option<Timestamp>> {
    let conditions = status?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")?;
    Some(found.last_transition_time.as_ref().map(|time| time.0))
}

/// When the scheduler gave it a node.
pub(super) fn scheduled_at(pod: &Pod) -> Option<Timestamp> {
    condition(pod.status.as_ref(), "PodScheduled").flatten()
}

/// Since when the Ready condition is not true.
fn unready_since(status: Option<&PodStatus>) -> Option<Timestamp> {
    let conditions = status?.conditions.as_ref()?;
    let ready =
        conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status != "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

/// What it waits for: a node, or what a container lacks.
fn waiting(status: Option<&PodStatus>) -> Option<Waiting> {
    let status = status?;
    let conditions = status.conditions.iter().flatten();
    let unplaced =
        conditions.filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    let reasons = unplaced.filter_map(|condition| condition.reason.as_deref());
    reasons.chain(waiting.filter_map(|waiting| waiting.reason.as_deref())).find_map(Waiting::of)
}

/// The last change of any condition: the best guess at the end of a Pod whose containers never ran.
fn last_change(status: Option<&PodStatus>) -> Option<Timestamp> {
    let conditions = status?.conditions.as_ref()?;
    conditions.iter().filter_map(|condition| Some(condition.last_transition_time.as_ref()?.0)).max()
}

fn containers(pod: &Pod) -> Vec<ContainerFacts> {
    let (Some(spec), Some(status)) = (&pod.spec, &pod.status) else { return Vec::new() };
    // Nothing is started again once the Pod has ended or is being deleted.
    let over = matches!(phase(Some(status)), Phase::Succeeded | Phase::Failed)
        || pod.metadata.deletion_timestamp.is_some();
    let facts = |containers: &[Container], statuses: Option<&Vec<ContainerStatus>>, init: bool| {
        let read = |status: &ContainerStatus| {
            let container = containers.iter().find(|container| container.name == status.name);
            container_facts(spec, container, status, init, over)
        };
        statuses.into_iter().flatten().map(read).collect::<Vec<_>>()
    };
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let mut all = facts(&spec.containers, status.container_statuses.as_ref(), false);
    all.extend(facts(init, status.init_container_statuses.as_ref(), true));
    all
}

fn container_facts(
    spec: &PodSpec,
    container: Option<&Container>,
    status: &ContainerStatus,
    init: bool,
    over: bool,
) -> ContainerFacts {
    let own_policy = container.and_then(|container| container.restart_policy.as_deref());
    let kind = match (init, own_policy) {
        (false, _) => ContainerKind::Regular,
        (true, Some("Always")) => ContainerKind::Sidecar,
        (true, _) => ContainerKind::Init,
    };
    let state = status.state.as_ref();
    let running = state.and_then(|state| state.running.as_ref()?.started_at.as_ref());
    let state = match state.and_then(|state| state.terminated.as_ref()) {
        Some(end) => ContainerState::Terminated {
            exit_code: end.exit_code,
            out_of_memory: end.reason.as_deref() == Some("OOMKilled"),
            started: end.started_at.as_ref().map(|time| time.0),
            finished: end.finished_at.as_ref().map(|time| time.0),
            for_good: over || !restarts(spec, container, end.exit_code),
        },
        None => match running {
            Some(since) => ContainerState::Running { since: since.0 },
            None => ContainerState::Waiting,
        },
    };
    ContainerFacts { kind, state }
}

/// Whether the kubelet starts a container again that ended with this code: its rules, its policy, the Pod's.
pub(super) fn restarts(spec: &PodSpec, container: Option<&Container>, exit_code: i32) -> bool {
    let rules = container.and_then(|container| container.restart_policy_rules.as_ref());
    let by_rule = rules.into_iter().flatten().any(|rule| {
        rule.action == "Restart"
            && rule.exit_codes.as_ref().is_some_and(|codes| {
                let named = codes.values.iter().flatten().any(|code| *code == exit_code);
                if codes.operator == "NotIn" { !named } else { named }
            })
    });
    let own = container.and_then(|container| container.restart_policy.as_deref());
    match own.or(spec.restart_policy.as_deref()) {
        _ if by_rule => true,
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        // Kubernetes's own default.
        _ => true,
    }
}

#[cfg(test)]
mod tests;
