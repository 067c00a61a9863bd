//! A Pod as placement and quota see it: what it demands, whose it is, and how far the scheduler is with it.
//!
//! Whose a Pod is comes from its namespace and its PriorityClass, never from labels that anybody could write; only the
//! priority among its own kind is a label. Translates only. Called by `capacity`, under its lock.

use std::sync::Arc;

use borealis_core::model::{Claim, Labels, NodeId, Owner};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::{
    super::{
        meta::{Controller, Unreadable, annotation, label, uid, version},
        pod,
        tenancy::Tenancy,
    },
    Tables, demand,
};
use crate::api::{labels, slot};

/// The scheduler that Pods have which name none.
const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// Labels that differ among the Pods of one config. They are left out, so that these have one owner; what selects by
/// them can't be simulated.
const DIFFERENT: [&str; 7] = [
    labels::INSTANCE,
    labels::RUN,
    labels::TERM,
    "apps.kubernetes.io/pod-index",
    "statefulset.kubernetes.io/pod-name",
    "batch.kubernetes.io/job-completion-index",
    "spark-exec-id",
];

/// Whether a label differs among the Pods of one config.
pub(super) fn differs(key: &str) -> bool {
    DIFFERENT.contains(&key)
}

/// Whether the Pod has ended.
pub(super) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The name of the node that room is kept on for it.
pub(super) fn nominated_node(pod: &Pod) -> Option<&str> {
    let name = pod.status.as_ref()?.nominated_node_name.as_deref();
    name.filter(|name| !name.is_empty() && pod::node_name(pod).is_none())
}

/// Reads a Pod that has not ended.
pub(super) fn read(
    object: &Pod,
    tables: &mut Tables,
    tenancy: &Tenancy,
    node: Option<NodeId>,
    nominated: Option<NodeId>,
) -> Result<Claim, Unreadable> {
    let meta = &object.metadata;
    let time = |time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| time.map(|time| time.0);
    let status = object.status.as_ref();
    let demand = demand::read(object, &mut tables.names);
    Ok(Claim {
        uid: uid(meta)?,
        name: meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?.into(),
        version: version(meta)?,
        demand: tables.demands.share(demand),
        owner: owner(object, tables, tenancy)?,
        created: time(meta.creation_timestamp.as_ref()).unwrap_or(Timestamp::UNIX_EPOCH),
        started: time(status.and_then(|status| status.start_time.as_ref())),
        node,
        nominated,
        unschedulable: if node.is_some() { None } else { unschedulable(object) },
        ends: time(meta.deletion_timestamp.as_ref()),
        slot: annotation(meta, labels::SLOT).and_then(slot::read).map(Box::new),
    })
}

/// Since when the scheduler has found no place for it. The time is that of the first such word: the scheduler repeats
/// itself without a new one.
fn unschedulable(pod: &Pod) -> Option<Timestamp> {
    let spec = pod.spec.as_ref()?;
    let scheduler = spec.scheduler_name.as_deref().unwrap_or(DEFAULT_SCHEDULER);
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    if scheduler != DEFAULT_SCHEDULER || gated {
        return None;
    }
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let found = conditions.find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    let created = pod.metadata.creation_timestamp.as_ref();
    found.last_transition_time.as_ref().or(created).map(|time| time.0)
}

fn owner(pod: &Pod, tables: &mut Tables, tenancy: &Tenancy) -> Result<Arc<Owner>, Unreadable> {
    let meta = &pod.metadata;
    let namespace = meta.namespace.as_deref().ok_or(Unreadable::Metadata("namespace"))?;
    let spec = pod.spec.as_ref();
    // One that its service has left behind counts for its role as anybody's does: nothing was granted for it.
    let ours = pod::identify(meta).ok().filter(|it| matches!(it.object.controller, Controller::Job(..)));
    let job = match &ours {
        Some(identity) => tables.names.share(identity.object.job.name),
        None => {
            let mut owners = meta.owner_references.iter().flatten();
            let (kind, name) = match owners.find(|owner| owner.controller == Some(true)) {
                Some(controller) => (controller.kind.as_str(), controller.name.as_str()),
                None => ("Pod", meta.name.as_deref().unwrap_or_default()),
            };
            tables.names.share(format!("{kind}/{name}").as_str())
        }
    };
    let all = meta.labels.iter().flatten().filter(|(key, _)| !differs(key));
    let all: Labels = all
        .map(|(key, value)| (tables.names.share(key.as_str()), tables.names.share(value.as_str())))
        .collect();
    let class = spec.and_then(|spec| spec.priority_class_name.as_deref()).filter(|class| !class.is_empty());
    let class = class.map(|class| tables.names.share(class));
    let namespace = tables.names.share(namespace);
    let owner = Owner {
        role: Arc::clone(&tenancy.tenant(&namespace).role.name),
        tier: class.as_deref().and_then(|class| tenancy.tier_of_class(class)),
        namespace,
        job,
        ours: ours.map(|it| it.object.job.kind),
        priority: label(meta, labels::PRIORITY).and_then(|text| text.parse().ok()).unwrap_or(0),
        rank: spec.and_then(|spec| spec.priority).unwrap_or(0),
        preempts_natively: preempts(spec),
        labels: Arc::new(all),
    };
    Ok(tables.owners.share(class, owner))
}

/// Whether the scheduler makes room for it by itself: unless its class says otherwise, it does.
fn preempts(spec: Option<&PodSpec>) -> bool {
    spec.and_then(|spec| spec.preemption_policy.as_deref()) != Some("Never")
}
