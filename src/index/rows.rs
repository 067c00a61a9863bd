//! What is kept of services, updates, stored configs and children, and how each is read from its object.
//!
//! Reads through `api::convert`, which is strict about specs; what it refuses becomes a `Problem` here, never an
//! error of the watch. Decides nothing else. Called by `feed`.

use std::{cmp::Ordering, sync::Arc};

use borealis_core::{
    model::{
        Flapping, History, Partition, Revision, RevisionRecord, Service, ServiceStatus, Uid, Update,
        UpdateSettings, Work, reasons,
    },
    plan::Problem,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    meta::{Identity, Unreadable, annotation, controller_uid, label},
    records::Record,
};
use crate::api::{AuroraUpdate, JobObject, Sla, convert, labels, references::Reference};

/// What is kept of an AuroraService or AuroraJob.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ServiceRow {
    pub(super) service: Service,
    pub(super) status: Option<ServiceStatus>,
    /// Its spec can't be used; `service` is then what was last usable, or empty.
    pub(super) problem: Option<Problem>,
    pub(super) discovery: bool,
    pub(super) sla: Option<Sla>,
    /// The objects whose contents are part of the config; `service.revision` is then the config's without them.
    pub(super) references: Option<Arc<[Reference]>>,
    /// Its spec names its tier; otherwise that is the default of its role when it was read.
    pub(super) names_tier: bool,
    /// The default of its role is another by now: it has to be read again.
    pub(super) outdated: bool,
    /// The job key that stands in its status.
    pub(super) told: Option<Box<str>>,
    /// The uid of its controller: the cron it is a run of.
    pub(super) controller: Option<Uid>,
}

/// What is kept of an AuroraUpdate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UpdateRow {
    pub(super) uid: Uid,
    pub(super) number: u32,
    /// The object's controller is this very service.
    pub(super) owned: bool,
    pub(super) created: Timestamp,
    pub(super) generation: i64,
    /// It carries the label that says it has ended.
    pub(super) marked_ended: bool,
    /// All of it: of the newest, and of those that have not ended.
    pub(super) whole: Option<Box<Update>>,
    /// It is not one this operator wrote.
    pub(super) problem: Option<Problem>,
}

/// What is kept of a child object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChildRow {
    pub(super) uid: Uid,
    pub(super) content: Option<Box<str>>,
    pub(super) deleting: bool,
    pub(super) owned: bool,
}

impl Record for ServiceRow {
    type Key = ();

    fn cmp_key(&self, (): &()) -> Ordering {
        Ordering::Equal
    }

    fn uid(&self) -> Uid {
        self.service.uid
    }

    fn set_owned(&mut self, _owned: bool) {}

    fn is_partial(&self) -> bool {
        self.outdated
    }
}

impl Record for UpdateRow {
    type Key = u32;

    fn cmp_key(&self, key: &u32) -> Ordering {
        self.number.cmp(key)
    }

    fn uid(&self) -> Uid {
        self.uid
    }

    fn set_owned(&mut self, owned: bool) {
        self.owned = owned;
        if let Some(whole) = &mut self.whole {
            whole.owned = owned;
        }
    }

    fn is_partial(&self) -> bool {
        self.whole.is_none() && self.problem.is_none()
    }
}

impl Record for RevisionRecord {
    type Key = Revision;

    fn cmp_key(&self, key: &Revision) -> Ordering {
        self.revision.cmp(key)
    }

    fn uid(&self) -> Uid {
        self.uid
    }

    fn set_owned(&mut self, owned: bool) {
        self.owned = owned;
    }
}

impl Record for ChildRow {
    type Key = ();

    fn cmp_key(&self, (): &()) -> Ordering {
        Ordering::Equal
    }

    fn uid(&self) -> Uid {
        self.uid
    }

    fn set_owned(&mut self, owned: bool) {
        self.owned = owned;
    }
}

impl ServiceRow {
    /// Reads a service or job, given the default tier of its role, and what was known of the same object before.
    pub(super) fn read<K: JobObject>(object: &K, uid: Uid, default_tier: &str, known: Option<&Self>) -> Self {
        let status = object.status();
        match object.job(default_tier) {
            Ok(service) => Self {
                service,
                status: status.and_then(K::recorded),
                problem: None,
                discovery: object.has_discovery(),
                sla: object.sla().cloned(),
                references: Some(object.references()).filter(|all| !all.is_empty()).map(Into::into),
                names_tier: object.names_tier(),
                outdated: false,
                told: status.and_then(K::told).map(Into::into),
                controller: controller_uid(object.meta()),
            },
            Err(invalid) => Self::unusable::<K>(object.meta(), status, uid, &invalid.to_string(), known),
        }
    }

    /// One whose spec can't be used: what was last usable stays, and nothing is done with it.
    pub(super) fn unusable<K: JobObject>(
        meta: &ObjectMeta,
        status: Option<&K::Status>,
        uid: Uid,
        message: &str,
        known: Option<&Self>,
    ) -> Self {
        let mut row = known.cloned().unwrap_or_else(|| Self {
            service: nothing(uid),
            status: None,
            problem: None,
            discovery: false,
            sla: None,
            references: None,
            names_tier: true,
            outdated: false,
            told: None,
            controller: controller_uid(meta),
        });
        row.told = status.and_then(K::told).map(Into::into);
        row.status = status.and_then(K::recorded);
        row.service.work.created = created(meta);
        row.service.generation = meta.generation.unwrap_or_default();
        row.service.deleting = meta.deletion_timestamp.is_some();
        row.problem =
            Some(Problem { reason: reasons::INVALID_SPEC, message: message.to_owned(), blocks: true });
        row
    }
}

fn created(meta: &ObjectMeta) -> Timestamp {
    meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// A service that asks for nothing, in the place of one that was never readable.
pub(super) fn nothing(uid: Uid) -> Service {
    Service {
        uid,
        generation: 0,
        deleting: false,
        instances: 0,
        revision: Revision::v1(0),
        update: UpdateSettings::default(),
        hold_updates: false,
        queue_updates: false,
        flapping: Flapping { threshold_seconds: 0, initial_delay_seconds: 0, max_delay_seconds: 0 },
        partition: Partition { reschedule: false, delay_seconds: 0 },
        history: History { failed: 0, ended: 0, ttl_seconds: 0 },
        work: Work::default(),
        batch: None,
    }
}

impl UpdateRow {
    /// Reads an update.
    pub(super) fn read(object: &AuroraUpdate, uid: Uid, number: u32, owned: bool) -> Self {
        match convert::update(object, owned) {
            Ok(update) if update.number == number => {
                let whole = Some(Box::new(update));
                Self { whole, ..Self::bare(&object.metadata, uid, number) }
            }
            Ok(update) => {
                let message = format!("spec.number: {} is not the number in its name", update.number);
                Self::unusable(&object.metadata, uid, number, &message)
            }
            Err(invalid) => Self::unusable(&object.metadata, uid, number, &invalid.to_string()),
        }
    }

    /// An update that can't be read: nothing can be planned for its service until it is mended or removed.
    pub(super) fn unusable(meta: &ObjectMeta, uid: Uid, number: u32, message: &str) -> Self {
        let name = meta.name.as_deref().unwrap_or_default();
        let message = format!("AuroraUpdate {name}: {message}; mend or delete it");
        let problem = Problem { reason: reasons::INVALID_SPEC, message, blocks: true };
        Self { problem: Some(problem), ..Self::bare(meta, uid, number) }
    }

    fn bare(meta: &ObjectMeta, uid: Uid, number: u32) -> Self {
        Self {
            uid,
            number,
            owned: false,
            created: created(meta),
            generation: meta.generation.unwrap_or_default(),
            marked_ended: label(meta, labels::ENDED) == Some(labels::TRUE),
            whole: None,
            problem: None,
        }
    }

    /// Whether it was made to take another one back.
    pub(super) fn takes_back(&self) -> bool {
        self.whole.as_ref().is_some_and(|whole| whole.instructions.takes_back.is_some())
    }

    /// Whether its recorded state is a terminal one.
    pub(super) fn has_ended(&self) -> bool {
        self.whole.is_some() && !self.goes_on()
    }

    /// Whether it goes on, so that all of it has to be kept.
    pub(super) fn goes_on(&self) -> bool {
        let progress = self.whole.as_ref().map(|whole| whole.progress.as_ref());
        progress.is_some_and(|progress| progress.is_none_or(|progress| !progress.state.is_terminal()))
    }
}

/// The number at the end of an update's name: what names it where its spec can't be read.
pub(super) fn update_number(identity: &Identity<'_>) -> Result<u32, Unreadable> {
    let text = identity.name.strip_prefix(identity.job.name).and_then(|rest| rest.strip_prefix('-'));
    text.and_then(|text| text.parse().ok()).ok_or(Unreadable::Name)
}

/// Reads a stored config from its metadata and number.
pub(super) fn read_revision(
    meta: &ObjectMeta,
    number: i64,
    uid: Uid,
    owned: bool,
) -> Result<RevisionRecord, Unreadable> {
    let revision = label(meta, labels::REVISION).and_then(|text| text.parse().ok());
    let is = |key| label(meta, key) == Some(labels::TRUE);
    Ok(RevisionRecord {
        revision: revision.ok_or(Unreadable::Label(labels::REVISION))?,
        uid,
        number,
        last_good: is(labels::LAST_GOOD),
        failed: is(labels::FAILED),
        owned,
    })
}

/// Reads a child from its metadata.
pub(super) fn read_child(meta: &ObjectMeta, uid: Uid, owned: bool) -> ChildRow {
    ChildRow {
        uid,
        content: annotation(meta, labels::CONTENT).map(Into::into),
        deleting: meta.deletion_timestamp.is_some(),
        owned,
    }
}
