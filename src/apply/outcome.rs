//! What the executor is told beside a plan, what it answers, and where it reports its own writes.

use std::{sync::Arc, time::Duration};

use borealis_core::{
    model::{Revision, ServiceStatus, Tier, Uid},
    plan::Problem,
};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::ControllerRevision, core::v1::Pod};

use crate::{
    JobKey,
    api::{AnyJob, AnyService, AuroraUpdate, Sla},
    index::Node,
};

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was carried out, or as much as is done in one go.
    Done {
        /// Whether anything had to be written, or is left for another plan.
        wrote: bool,
    },
    /// Some of it was not: plan again from fresh.
    Retry {
        /// When; `None` leaves it to the caller's backoff. With a time it is no failure.
        after: Option<Duration>,
        /// Why, for the log.
        why: String,
    },
    /// This process may not write any more.
    Fenced,
    /// The API server refuses what the spec asks for; what does not hang on it was carried out.
    ///
    /// Plan again at once with the problem in the view, so that it is shown; after that no sooner than the backoff.
    Refused {
        /// What to say of it.
        problem: Problem,
    },
}

impl Outcome {
    /// In a word, for traces.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done { wrote: true } => "wrote",
            Self::Done { wrote: false } => "at rest",
            Self::Retry { .. } => "retry",
            Self::Fenced => "fenced",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What the executor has to know of a service beside its plan, from the same snapshot as the plan's view.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The uid of the service.
    pub uid: Uid,
    /// The generation of the spec the plan was made from.
    pub generation: i64,
    /// The resourceVersion it was read at, or that our last write gave it: its status is written on that only.
    pub resource_version: String,
    /// The config in that spec, by its hash.
    pub revision: Revision,
    /// Whether instances of that config get stable DNS names; `None` where the spec's config can't be told, and another
    /// stands in for it.
    pub discovery: Option<bool>,
    /// Whether Pods are made such that they can be changed in place.
    pub in_place: bool,
    /// The spec, or the newest update, can't be used: what there is stays as it is.
    pub blocked: bool,
    /// The cluster is frozen: nothing is taken away that can wait.
    pub frozen: bool,
    /// How many instances must stay up when Pods are moved on purpose.
    pub sla: Option<Sla>,
    /// Its full name, `cluster/role/environment/name`.
    pub job_key: String,
    /// The role it is charged to.
    pub role: String,
    /// The full name that stands in its status.
    pub told: Option<String>,
    /// Its tier: the one that its spec names, or the default of its role.
    pub tier: String,
    /// The time it is the run of, where it is one of a cron.
    pub scheduled: Option<Timestamp>,
    /// The greatest number of its stored configs, 0 without any.
    pub highest_revision: i64,
    /// The status as it was read or last written.
    pub recorded: Option<ServiceStatus>,
    /// The newest update, if there is one.
    pub update: Option<UpdateFacts>,
    /// The annotation `labels::CONTENT` of the PodDisruptionBudget of its own, if there is one.
    pub budget: Option<String>,
    /// The same of its headless Service.
    pub headless: Option<String>,
}

/// What the executor has to know of the update whose progress it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFacts {
    /// Its uid.
    pub uid: Uid,
    /// Its number.
    pub number: u32,
    /// The generation it was read at.
    pub generation: i64,
    /// The resourceVersion it was read at, or that our last write gave it: progress is written on that only.
    pub resource_version: String,
    /// It was made to take another one back.
    pub takes_back: bool,
    /// Its recorded state is a terminal one.
    pub ended: bool,
    /// It carries the label that says so.
    pub marked_ended: bool,
}

/// A node that nobody hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostNode {
    /// Which.
    pub name: Arc<str>,
    /// Since when.
    pub since: Timestamp,
}

/// Where the executor reports what it wrote or found, so that the next plan assumes it, and asks what is known (the
/// index).
pub trait Learn: Send + Sync {
    /// The tier of this name, as it was last usable.
    fn tier(&self, name: &str) -> Option<Arc<Tier>>;
    /// The node that this task is on, where that node is lost by the news there is.
    fn lost_node(&self, job: &JobKey, task: Uid) -> Option<LostNode>;
    /// This is how the node is now.
    fn learn_node(&self, node: &Node);
    /// This is how the Pod is now.
    fn learn_pod(&self, pod: &Pod);
    /// The Pod of this uid is no more.
    fn learn_pod_gone(&self, service: &JobKey, uid: Uid);
    /// This is how the stored config is now.
    fn learn_revision(&self, revision: &ControllerRevision);
    /// The stored config of this uid is no more.
    fn learn_revision_gone(&self, service: &JobKey, uid: Uid);
    /// This is how the update is now.
    fn learn_update(&self, update: &AuroraUpdate);
    /// The update of this uid is no more.
    fn learn_update_gone(&self, service: &JobKey, uid: Uid);
    /// This is how the service is now, its status above all.
    fn learn_service(&self, service: &AnyService);
    /// This is how the job is now, its status above all.
    fn learn_job(&self, job: &AnyJob);
    /// It is not known whether a write on behalf of this service was applied.
    fn unsettle(&self, service: &JobKey);
}
