//! What a job has to know of others before it is planned: who had its name first, and what it waits for.
//!
//! A namespace has one job of a name, whatever its kind: of two the older counts, and the younger touches nothing until
//! it is alone. Looked at before the job's own slot is locked, since no two slots are ever locked at a time. Called by
//! `Index` for each view.

use std::sync::Arc;

use borealis_core::{
    model::{JobKind, ParentKind, ParentSeen, Uid, Upstream, reasons},
    plan::Problem,
};
use jiff::Timestamp;

use super::{Index, state::Slot};
use crate::{JobKey, KeyRef, kind_name};

/// What is known of others.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Another job has its name.
    pub(super) namesake: Option<Problem>,
    /// What it waits for.
    pub(super) upstream: Ahead,
}

/// What has to be known of others before a job starts.
#[derive(Debug, Default)]
pub struct Ahead {
    /// What is known of its parents, in the order of its spec.
    pub parents: Vec<ParentSeen>,
    /// It waits for itself: the names along the way.
    pub cycle: Option<String>,
    /// Its cron's status names it as a run.
    pub confirmed: bool,
}

impl Ahead {
    /// The same for the planner.
    pub fn upstream(&self) -> Upstream<'_> {
        let Self { parents, cycle, confirmed } = self;
        Upstream { parents, cycle: cycle.as_deref(), confirmed: *confirmed }
    }
}

impl Index {
    /// Looks at those that matter to the job of this slot.
    pub(super) fn others(&self, slot: &Slot) -> Others {
        Others { namesake: self.namesake(slot), upstream: self.ahead(slot) }
    }

    /// What has to have ended before the job starts, and whether it is a run that its cron knows of.
    fn ahead(&self, slot: &Slot) -> Ahead {
        let JobKey { namespace, name, .. } = &slot.key;
        let known = {
            let state = slot.lock();
            let row = state.service.rows().first();
            row.and_then(|row| {
                let batch = row.service.batch.as_deref()?;
                let run_of = batch.run_of.as_ref().map(|run| Arc::clone(&run.cron));
                Some((batch.parents.clone(), run_of, row.service.uid, row.service.work.created))
            })
        };
        let Some((parents, run_of, uid, created)) = known else { return Ahead::default() };
        let cycle = || self.cycle(namespace, &(ParentKind::Job, Arc::clone(name)));
        Ahead {
            cycle: if parents.is_empty() { None } else { cycle() },
            parents: parents.iter().map(|parent| self.parent(namespace, parent, created)).collect(),
            confirmed: run_of.is_some_and(|cron| self.is_confirmed(namespace, &cron, uid)),
        }
    }

    /// Why the job must wait for another of its name to go.
    fn namesake(&self, slot: &Slot) -> Option<Problem> {
        let other = self.find(namesake(&slot.key))?;
        let (theirs, own) = (age(&other)?, age(slot)?);
        if own < theirs {
            return None;
        }
        let JobKey { kind, namespace, name } = &slot.key;
        let (first, own) = (kind_name(other.key.kind), kind_name(*kind));
        let message = format!(
            "metadata.name: {first} {namespace}/{name} has this name and is older; its Pods have the names that this \
             {own}'s would have: make this {own} anew under another name, or delete the {first}"
        );
        Some(Problem { reason: reasons::NAME_CONFLICT, message, blocks: true })
    }

    /// The job of this slot has come or gone: whether another may have its name is another question now.
    pub(super) fn tell_namesake(&self, slot: &Arc<Slot>) {
        if let Some(other) = self.find(namesake(&slot.key)) {
            (self.dirty)(&other.key);
        }
    }
}

/// Who else can have the name.
fn namesake(key: &JobKey) -> KeyRef<'_> {
    let kind = match key.kind {
        JobKind::Service => JobKind::Job,
        JobKind::Job => JobKind::Service,
    };
    KeyRef { kind, ..key.into() }
}

/// By what the older of two jobs is found; `None` where there is none, only what is left of one.
fn age(slot: &Slot) -> Option<(Timestamp, Uid)> {
    let state = slot.lock();
    state.service.rows().first().map(|row| (row.service.work.created, row.service.uid))
}
