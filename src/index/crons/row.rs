//! What is kept of an AuroraCron, and how it is read from its object.

use std::{cmp::Ordering, sync::Arc};

use borealis_core::{
    model::{Cron, CronStatus, ParentKind, Uid, reasons},
    plan::{Name, Problem},
};
use kube::core::{DeserializeGuard, error_boundary::InvalidObject};

use super::{super::records::Record, schedules::Schedules};
use crate::api::{AuroraCron, convert};

/// A cron as it may be read: another version may have written it.
pub type AnyCron = DeserializeGuard<AuroraCron>;

/// What is kept of an AuroraCron.
#[derive(Debug, Clone)]
pub(super) struct CronRow {
    pub(super) uid: Uid,
    pub(super) generation: i64,
    pub(super) deleting: bool,
    /// What it says, as it was last usable; `None` where it never was.
    pub(super) cron: Option<Arc<Cron>>,
    /// `spec.job` of the same, as JSON: a tenth of what it takes as it is read.
    pub(super) template: Option<Arc<str>>,
    pub(super) status: Option<Arc<CronStatus>>,
    /// It may have a status that can't be told, since nothing of the object can be read: nothing may be put in its place.
    pub(super) is_unread: bool,
    /// Its spec can't be used.
    pub(super) problem: Option<Problem>,
}

impl PartialEq for CronRow {
    fn eq(&self, other: &Self) -> bool {
        // What the spec says goes with its generation.
        let spec = |row: &Self| (row.uid, row.generation, row.deleting);
        spec(self) == spec(other) && self.status == other.status && self.problem == other.problem
    }
}

impl Record for CronRow {
    type Key = ();

    fn cmp_key(&self, (): &()) -> Ordering {
        Ordering::Equal
    }

    fn uid(&self) -> Uid {
        self.uid
    }

    fn set_owned(&mut self, _owned: bool) {}
}

impl CronRow {
    /// Reads a cron, given what was known of the same object before.
    pub(super) fn read(object: &AnyCron, uid: Uid, known: Option<&Self>, schedules: &mut Schedules) -> Self {
        let meta = match &object.0 {
            Ok(cron) => &cron.metadata,
            Err(broken) => &broken.metadata,
        };
        let status = match &object.0 {
            Ok(cron) => cron.status.as_ref().and_then(convert::cron_status).map(Arc::new),
            Err(_) => known.and_then(|known| known.status.clone()),
        };
        let (generation, deleting) = (meta.generation.unwrap_or_default(), meta.deletion_timestamp.is_some());
        // What the spec says goes with its generation; most news is of the status, which the operator writes.
        let usable = known.filter(|known| known.problem.is_none());
        let same = usable.filter(|known| (known.generation, known.deleting) == (generation, deleting));
        let (cron, template, problem) = match (same, &object.0) {
            (Some(same), Ok(_)) => (same.cron.clone(), same.template.clone(), None),
            (_, object) => Self::read_spec(object.as_ref(), known, schedules),
        };
        Self {
            uid,
            is_unread: object.0.is_err() && status.is_none(),
            generation,
            deleting,
            cron,
            template,
            status,
            problem,
        }
    }

    /// What the spec says, or said when it was last usable, and why it can't be used.
    fn read_spec(
        object: Result<&AuroraCron, &InvalidObject>,
        known: Option<&Self>,
        schedules: &mut Schedules,
    ) -> (Option<Arc<Cron>>, Option<Arc<str>>, Option<Problem>) {
        let read = object.map_err(|broken| broken.error.clone()).and_then(|cron| {
            let read = convert::cron(cron, |rules, zone| schedules.read(rules, zone));
            let template = serde_json::to_string(&cron.spec.job);
            Ok((read.map_err(|error| error.to_string())?, template.map_err(|error| error.to_string())?))
        });
        match read {
            Ok((cron, template)) => (Some(Arc::new(cron)), Some(template.into()), None),
            Err(message) => {
                let problem = Problem { reason: reasons::INVALID_SPEC, message, blocks: true };
                let known = known.map(|known| (known.cron.clone(), known.template.clone()));
                let (cron, template) = known.unwrap_or_default();
                (cron, template, Some(problem))
            }
        }
    }

    /// What it waits for.
    pub(super) fn parents(&self) -> Vec<Name> {
        let parents = self.cron.iter().flat_map(|cron| &cron.parents);
        parents.map(|parent| (parent.kind, Arc::clone(&parent.name))).collect()
    }
}

/// What a cron is called where it is a parent or a child.
pub(super) fn cron_name(name: &str) -> Name {
    (ParentKind::Cron, name.into())
}

/// The same of a job.
pub(super) fn job_name(name: &str) -> Name {
    (ParentKind::Job, name.into())
}
