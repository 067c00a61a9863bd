//! The name of a job among all: what the queue, the index and the executor call it by.

use std::{
    fmt::{self, Display},
    hash::Hash,
    sync::Arc,
};

use borealis_core::model::JobKind;

/// What names one of those that are looked after, each by itself.
pub trait Key: Clone + Eq + Hash + Display + Send + Sync + 'static {
    /// The API's name for its kind.
    fn kind(&self) -> &'static str;
}

impl Key for JobKey {
    fn kind(&self) -> &'static str {
        kind_name(self.kind)
    }
}

impl Key for CronKey {
    fn kind(&self) -> &'static str {
        "AuroraCron"
    }
}

/// The API's name for jobs of this kind.
#[must_use]
pub fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Service => "AuroraService",
        JobKind::Job => "AuroraJob",
    }
}

/// The kind of jobs of which this is the API's name.
#[must_use]
pub fn kind_named(name: &str) -> Option<JobKind> {
    [JobKind::Service, JobKind::Job].into_iter().find(|kind| kind_name(*kind) == name)
}

/// Kind, namespace and name of an AuroraService or AuroraJob. Cheap to copy around.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey {
    /// Whether it is a service.
    pub kind: JobKind,
    /// The namespace.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl JobKey {
    /// The key of the AuroraService of this namespace and name.
    pub fn service(namespace: &str, name: &str) -> Self {
        Self { kind: JobKind::Service, namespace: namespace.into(), name: name.into() }
    }

    /// The key of the AuroraJob of this namespace and name.
    pub fn job(namespace: &str, name: &str) -> Self {
        Self { kind: JobKind::Job, namespace: namespace.into(), name: name.into() }
    }
}

/// A key that is only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRef<'a> {
    /// Whether it is a service.
    pub kind: JobKind,
    /// The namespace.
    pub namespace: &'a str,
    /// `metadata.name`.
    pub name: &'a str,
}

impl<'a> From<&'a JobKey> for KeyRef<'a> {
    fn from(key: &'a JobKey) -> Self {
        Self { kind: key.kind, namespace: &key.namespace, name: &key.name }
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Namespace and name of an AuroraCron. Cheap to copy around.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CronKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl CronKey {
    /// The key of the AuroraCron of this namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for CronKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
