//! What the metadata of an object says of whose it is.
//!
//! Reads labels and owner references, copies nothing. Called by the readers of each kind.

use borealis_core::model::{JobKind, Uid};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::stamp::Version;
use crate::{
    KeyRef,
    api::{GROUP, labels},
    kind_named,
};

/// Why an object is left out of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// A label is missing or says nothing.
    #[error("its label {0} is missing or has no usable value")]
    Label(&'static str),
    /// Something that the API server always sets is missing.
    #[error("its metadata.{0} is missing or unusable")]
    Metadata(&'static str),
    /// The name is not the one its labels give.
    #[error("its name is not the one that its labels give")]
    Name,
    /// Another controller owns it.
    #[error("another controller owns it")]
    Foreign,
}

/// Who controls an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    /// Nobody.
    None,
    /// The AuroraService or AuroraJob of this uid.
    Job(JobKind, Uid),
    /// Something else.
    Foreign,
}

/// Whose object it is, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    /// The job it belongs to.
    pub(super) job: KeyRef<'a>,
    pub(super) name: &'a str,
    pub(super) uid: Uid,
    pub(super) version: Version,
    pub(super) controller: Controller,
}

impl<'a> Identity<'a> {
    /// Reads an object that carries the label of its service.
    pub(super) fn read(meta: &'a ObjectMeta) -> Result<Self, Unreadable> {
        let service = label(meta, labels::SERVICE).ok_or(Unreadable::Label(labels::SERVICE))?;
        Self::of(meta, JobKind::Service, service)
    }

    /// Reads a Pod, which carries the label of its service or of its job.
    pub(super) fn read_pod(meta: &'a ObjectMeta) -> Result<Self, Unreadable> {
        let (kind, name) = job_label(meta).ok_or(Unreadable::Label(labels::SERVICE))?;
        Self::of(meta, kind, name)
    }

    /// Reads a service or job itself.
    pub(super) fn read_job(meta: &'a ObjectMeta, kind: JobKind) -> Result<Self, Unreadable> {
        Self::of(meta, kind, meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?)
    }

    fn of(meta: &'a ObjectMeta, kind: JobKind, job: &'a str) -> Result<Self, Unreadable> {
        let namespace = meta.namespace.as_deref().ok_or(Unreadable::Metadata("namespace"))?;
        Ok(Self {
            job: KeyRef { kind, namespace, name: job },
            name: meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?,
            uid: uid(meta)?,
            version: version(meta)?,
            controller: controller(meta),
        })
    }
}

/// The object's uid.
pub(super) fn uid(meta: &ObjectMeta) -> Result<Uid, Unreadable> {
    meta.uid.as_deref().and_then(|text| text.parse().ok()).ok_or(Unreadable::Metadata("uid"))
}

/// The object's resourceVersion.
pub(super) fn version(meta: &ObjectMeta) -> Result<Version, Unreadable> {
    let text = meta.resource_version.as_deref();
    text.and_then(|text| text.parse().ok()).ok_or(Unreadable::Metadata("resourceVersion"))
}

/// The value of a label.
pub(super) fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// The value of an annotation.
pub(super) fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The number that stands in a label, if it is not greater than it can be.
pub(super) fn number(meta: &ObjectMeta, key: &'static str, most: u32) -> Result<u32, Unreadable> {
    let number = label(meta, key).and_then(|text| text.parse().ok());
    number.filter(|number| *number <= most).ok_or(Unreadable::Label(key))
}

/// The service or job that a Pod's labels name.
pub(super) fn job_label(meta: &ObjectMeta) -> Option<(JobKind, &str)> {
    let service = label(meta, labels::SERVICE).map(|name| (JobKind::Service, name));
    service.or_else(|| label(meta, labels::JOB).map(|name| (JobKind::Job, name)))
}

/// The uid of whatever controls the object.
pub(super) fn controller_uid(meta: &ObjectMeta) -> Option<Uid> {
    let mut owners = meta.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))?.uid.parse().ok()
}

/// What controls the object.
pub(super) fn controller(meta: &ObjectMeta) -> Controller {
    let mut owners = meta.owner_references.iter().flatten();
    let Some(owner) = owners.find(|owner| owner.controller == Some(true)) else { return Controller::None };
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    if group != GROUP {
        return Controller::Foreign;
    }
    let job = kind_named(&owner.kind).zip(owner.uid.parse().ok());
    job.map_or(Controller::Foreign, |(kind, uid)| Controller::Job(kind, uid))
}
