//! What the executor is told beside a plan, what it answers, and where it reports its own writes.

use std::time::Duration;

use borealis_core::{
    model::{Revision, ServiceStatus, Uid},
    plan::Problem,
};
use k8s_openapi::api::{apps::v1::ControllerRevision, core::v1::Pod};

use crate::{
    ServiceKey,
    api::{AuroraService, AuroraUpdate, Sla},
};

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was carried out.
    Done {
        /// Whether anything had to be written.
        wrote: bool,
    },
    /// Some of it was not: plan again from fresh.
    Retry {
        /// When; `None` leaves it to the caller's backoff.
        after: Option<Duration>,
        /// Why, for the log.
        why: String,
    },
    /// This process may not write any more.
    Fenced,
    /// The API server refuses what the spec asks for; the rest was carried out.
    Refused {
        /// What to say of it: goes into the next view of the service.
        problem: Problem,
    },
}

/// What the executor has to know of a service beside its plan, from the same snapshot as the plan's view.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The uid of the service; `None` makes the executor refuse to do anything.
    pub uid: Option<Uid>,
    /// The generation of the spec the plan was made from.
    pub generation: i64,
    /// Its full name, `cluster/role/environment/name`.
    pub job_key: String,
    /// The role it is charged to.
    pub role: String,
    /// How many instances its spec asks for.
    pub instances: u32,
    /// The config in its spec, by its hash.
    pub revision: Option<Revision>,
    /// Whether its instances get stable DNS names.
    pub discovery: bool,
    /// How many instances must stay up when Pods are moved on purpose.
    pub sla: Option<Sla>,
    /// The status as it was read or last written.
    pub recorded: Option<ServiceStatus>,
    /// The newest update, if there is one.
    pub update: Option<UpdateFacts>,
    /// The annotation `labels::CONTENT` of the service's PodDisruptionBudget, if there is one of its own.
    pub budget_hash: Option<String>,
    /// The same of its headless Service.
    pub headless_hash: Option<String>,
}

/// What the executor has to know of the update whose progress it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFacts {
    /// Its uid.
    pub uid: Uid,
    /// Its number.
    pub number: u32,
    /// The resourceVersion it was read at, or that our last write gave it: progress is written on it only.
    pub resource_version: String,
}

/// Where the executor reports what it wrote or found, so that the next plan assumes it (the index).
pub trait Learn: Send + Sync {
    /// This is how the Pod is now.
    fn learn_pod(&self, pod: &Pod);
    /// The Pod of this uid is no more.
    fn learn_pod_gone(&self, service: &ServiceKey, uid: Uid);
    /// This is how the stored config is now.
    fn learn_revision(&self, revision: &ControllerRevision);
    /// This is how the update is now.
    fn learn_update(&self, update: &AuroraUpdate);
    /// This is how the service is now, its status above all.
    fn learn_service(&self, service: &AuroraService);
    /// It is not known whether a write on behalf of this service was applied.
    fn unsettle(&self, service: &ServiceKey);
}
