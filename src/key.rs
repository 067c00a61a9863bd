//! The name of a job among all: what the queue, the index and the executor call it by.

use std::{fmt, sync::Arc};

use borealis_core::model::JobKind;

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

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
