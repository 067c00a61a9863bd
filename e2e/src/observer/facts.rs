//! What the observer keeps of a Pod, read from the wire format.
//!
//! Called by `observer` for every event; judged by `ledger`.

use std::fmt;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};

/// Label: the service a Pod belongs to.
pub const SERVICE: &str = "borealis.dev/service";
/// Label: the job a Pod belongs to.
pub const JOB: &str = "borealis.dev/job";
/// Label: the number of its instance.
pub const INSTANCE: &str = "borealis.dev/instance";
/// Label: the run of the instance.
pub const RUN: &str = "borealis.dev/run";
/// Label: the config it runs.
pub const REVISION: &str = "borealis.dev/revision";
/// Label: it is its instance's task, not history.
pub const LIVE: &str = "borealis.dev/live";
/// Annotation: short-lived runs in a row before this one.
pub const FLAPS: &str = "borealis.dev/flaps";
/// Annotation: for whom it had to go, and by which rule.
const PREEMPTED: &str = "borealis.dev/preempted";

/// One instance of one service or job: they have their names in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// The name of the service or job.
    pub service: String,
    /// Its number.
    pub instance: u32,
}

/// One Pod as it was at one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which instance it is.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The uid of its controller.
    pub owner: String,
    /// Which run of the instance.
    pub run: u32,
    /// The config it runs.
    pub revision: String,
    /// Its node, once it has one.
    pub node: Option<String>,
    /// Its phase.
    pub phase: String,
    /// Its Ready condition is true.
    pub ready: bool,
    /// It was told to end: deleted, or given a deadline.
    pub ending: bool,
    /// It carries the label of a live task.
    pub live_label: bool,
    /// It grows with each change of the Pod's spec.
    pub generation: i64,
    /// Short-lived runs in a row before it.
    pub flaps: u32,
    /// For whom it had to go, as its people are told.
    pub preempted: Option<String>,
    /// Why it is disrupted, by its condition DisruptionTarget.
    pub disrupted: Option<String>,
    /// Where room is kept for it.
    pub nominated: Option<String>,
}

impl Facts {
    /// Reads a Pod; `None` when it belongs to no service or job.
    pub fn read(pod: &Pod) -> Option<Self> {
        let meta = &pod.metadata;
        let label = |key: &str| meta.labels.as_ref().and_then(|labels| labels.get(key));
        let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        Some(Self {
            key: Key {
                namespace: meta.namespace.clone()?,
                service: label(SERVICE).or_else(|| label(JOB))?.clone(),
                instance: label(INSTANCE)?.parse().ok()?,
            },
            name: meta.name.clone()?,
            uid: meta.uid.clone()?,
            owner: controller(meta),
            run: label(RUN).and_then(|run| run.parse().ok()).unwrap_or_default(),
            revision: label(REVISION).cloned().unwrap_or_default(),
            node: spec.and_then(|spec| spec.node_name.clone()),
            phase: status.and_then(|status| status.phase.clone()).unwrap_or_default(),
            ready: conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"),
            ending: meta.deletion_timestamp.is_some()
                || spec.is_some_and(|spec| spec.active_deadline_seconds.is_some()),
            live_label: label(LIVE).is_some(),
            generation: meta.generation.unwrap_or_default(),
            flaps: meta
                .annotations
                .as_ref()
                .and_then(|all| all.get(FLAPS))
                .and_then(|flaps| flaps.parse().ok())
                .unwrap_or_default(),
            preempted: meta.annotations.as_ref().and_then(|all| all.get(PREEMPTED)).cloned(),
            disrupted: conditions
                .iter()
                .find(|c| c.type_ == "DisruptionTarget" && c.status == "True")
                .and_then(|c| c.reason.clone()),
            nominated: status.and_then(|status| status.nominated_node_name.clone()),
        })
    }

    /// Whether its containers run or may yet run.
    pub fn is_live(&self) -> bool {
        !matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Whether it serves: ready and not told to end.
    pub fn is_up(&self) -> bool {
        self.ready && self.is_live() && !self.ending
    }
}

fn controller(meta: &ObjectMeta) -> String {
    let mut owners = meta.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone()).unwrap_or_default()
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { namespace, .. } = &self.key;
        write!(
            f,
            "{namespace}/{} (uid {}, {}",
            self.name,
            self.uid.get(..8).unwrap_or(&self.uid),
            self.phase
        )?;
        if self.ready {
            write!(f, ", ready")?;
        }
        if self.ending {
            write!(f, ", ending")?;
        }
        write!(f, ", on {})", self.node.as_deref().unwrap_or("no node"))
    }
}
