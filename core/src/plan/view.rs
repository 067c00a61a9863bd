//! Everything the planner may look at for one service.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{
    Instance, Measurement, NodeId, Pending, RevisionRecord, Run, Service, ServiceStatus, Task, Uid, Update,
    Upstream,
};

/// A snapshot of one service, as the index has it, with the operator's own writes assumed.
#[derive(Debug, Clone)]
pub struct ServiceView<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its tasks, ascending by instance, then run.
    pub tasks: &'a [Task],
    /// The greatest run seen of each instance, Pods that are gone included.
    pub seen_runs: &'a BTreeMap<Instance, Run>,
    /// Its stored configs.
    pub revisions: &'a [RevisionRecord],
    /// Its newest update, whatever its state.
    pub update: Option<&'a Update>,
    /// Its updates before that, ascending.
    pub past_updates: &'a [PastUpdate],
    /// What its status says; `None` when it has none (a new service, a restore).
    pub status: Option<&'a ServiceStatus>,
    /// What was measured of the newest update's checks since this operator began to; each check at most once.
    pub measurements: &'a [Measurement],
    /// What keeps its Pods off the nodes, of those that the scheduler has found none for; it may lag behind the tasks.
    pub pending: &'a [Pending],
    /// What is known of others that a job waits for.
    pub upstream: Upstream<'a>,
    /// Nodes that are lost, and since when.
    pub lost_nodes: &'a BTreeMap<NodeId, Timestamp>,
    /// Whether ended tasks may be kept at all: the cluster-wide cap is not reached.
    pub keep_allowed: bool,
    /// The freeze switch: nothing voluntary is done.
    pub frozen: bool,
    /// What stands in the way of acting on the spec, as the API server or the conversion said.
    pub problem: Option<&'a Problem>,
}

/// An update that others have followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastUpdate {
    /// Its number.
    pub number: u32,
    /// The object's uid.
    pub uid: Uid,
    /// When the object was made.
    pub created: Timestamp,
    /// The object's controller is this very service.
    pub owned: bool,
}

/// What stands in the way of acting on a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In one PascalCase word.
    pub reason: &'static str,
    /// For people: which object, which field, what value, what to do.
    pub message: String,
    /// Nothing may be touched (the spec is unusable); otherwise the rest goes on (a create was refused).
    pub blocks: bool,
}
