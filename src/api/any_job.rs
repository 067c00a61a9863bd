//! An AuroraService or AuroraJob as far as it can be read.
//!
//! An object stored under an earlier version's schema, or by hand, may hold a spec that this version can't read. It
//! must not stop the watch of all the others, and what was said of it, its status, is read all the same, so that the
//! same is not said again and again. Read by the index, and by the executor where it writes a status.

use std::{borrow::Cow, fmt::Debug};

use borealis_core::model::{JobKind, Service, ServiceStatus};
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, core::object::HasStatus};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;

use super::{
    AuroraJob, AuroraJobStatus, AuroraService, AuroraServiceStatus, Invalid, Sla, convert,
    references::Reference,
};

/// A kind of jobs: what the index and the executor have to know of it.
pub trait JobObject:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: DeserializeOwned + Clone + Debug + Send + Sync>
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
    /// Which kind it is.
    const KIND: JobKind;

    /// What the planner is told of it.
    ///
    /// # Errors
    /// When the spec cannot be acted upon.
    fn job(&self, default_tier: &str) -> Result<Service, Invalid>;
    /// What the planner is told of a recorded status.
    fn recorded(status: &Self::Status) -> Option<ServiceStatus>;
    /// The job key that stands in a status.
    fn told(status: &Self::Status) -> Option<&str>;
    /// Whether its spec names its tier.
    fn names_tier(&self) -> bool;
    /// Whether its instances have stable DNS names.
    fn has_discovery(&self) -> bool {
        false
    }
    /// How many instances must stay up when Pods are moved on purpose.
    fn sla(&self) -> Option<&Sla> {
        None
    }
    /// The objects whose contents are part of its config.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }
}

impl JobObject for AuroraService {
    const KIND: JobKind = JobKind::Service;

    fn job(&self, default_tier: &str) -> Result<Service, Invalid> {
        convert::service(self, default_tier)
    }
    fn recorded(status: &AuroraServiceStatus) -> Option<ServiceStatus> {
        convert::service_status(status)
    }
    fn told(status: &AuroraServiceStatus) -> Option<&str> {
        status.job_key.as_deref()
    }
    fn names_tier(&self) -> bool {
        self.spec.tier.is_some()
    }
    fn has_discovery(&self) -> bool {
        self.spec.discovery.is_some()
    }
    fn sla(&self) -> Option<&Sla> {
        self.spec.sla.as_ref()
    }
    fn references(&self) -> Vec<Reference> {
        self.spec.references()
    }
}

impl JobObject for AuroraJob {
    const KIND: JobKind = JobKind::Job;

    fn job(&self, default_tier: &str) -> Result<Service, Invalid> {
        convert::job(self, default_tier)
    }
    fn recorded(status: &AuroraJobStatus) -> Option<ServiceStatus> {
        convert::job_status(status)
    }
    fn told(status: &AuroraJobStatus) -> Option<&str> {
        status.job_key.as_deref()
    }
    fn names_tier(&self) -> bool {
        self.spec.tier.is_some()
    }
}

/// An AuroraService, or what can be read of it.
pub type AnyService = Any<AuroraService>;
/// An AuroraJob, or what can be read of it.
pub type AnyJob = Any<AuroraJob>;

/// An object of a kind of jobs, or what can be read of it.
#[derive(Debug, Clone)]
pub enum Any<K: JobObject> {
    /// All of it can be read.
    Readable(Box<K>),
    /// Its spec can't.
    Unreadable {
        /// Its metadata.
        metadata: Box<ObjectMeta>,
        /// Its status, if that can be read.
        status: Option<Box<K::Status>>,
        /// What is wrong with the rest.
        error: String,
    },
}

impl<K: JobObject> From<K> for Any<K> {
    fn from(object: K) -> Self {
        Self::Readable(Box::new(object))
    }
}

impl<'de, K: JobObject> Deserialize<'de> for Any<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        let error = match K::deserialize(&object) {
            Ok(read) => return Ok(read.into()),
            Err(error) => error.to_string(),
        };
        let metadata = Box::<ObjectMeta>::deserialize(&object["metadata"]).map_err(D::Error::custom)?;
        let status = Option::deserialize(&object["status"]).unwrap_or_default();
        Ok(Self::Unreadable { metadata, status, error })
    }
}

impl<K: JobObject> Resource for Any<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Readable(object) => object.meta(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(object) => object.meta_mut(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
}
