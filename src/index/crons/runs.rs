//! What stands where the runs of crons do: taken from the jobs' slots whenever one of them changes.

use std::{collections::BTreeSet, sync::Arc};

use borealis_core::{
    model::{RunEnd, RunOutcome, RunSeen, Uid},
    plan::{Name, cron::run_name},
};
use jiff::Timestamp;
use kube::Resource;

use super::{
    super::{
        Index, Kind,
        rows::ServiceRow,
        stamp::{Source, Version},
        state::State,
    },
    Standing, cron_of,
    feed::names,
    row::job_name,
};
use crate::{CronKey, JobKey, KeyRef, api::AnyJob};

/// What is found under the name of a run.
pub(super) enum Found {
    Job(Standing),
    /// Only Pods that have not ended.
    Pods,
    Nothing,
}

impl Found {
    fn of(name: &str, state: &State) -> Self {
        let job = state.service.rows().first().and_then(|row| Standing::of(name, row));
        match job {
            Some(standing) => Self::Job(standing),
            None if state.has_live_pods() => Self::Pods,
            None => Self::Nothing,
        }
    }
}

impl Standing {
    fn of(name: &str, row: &ServiceRow) -> Option<Self> {
        let batch = row.service.batch.as_deref();
        let by_name = || Timestamp::from_second(name.rsplit_once('-')?.1.parse().ok()?).ok();
        let run_of = batch.and_then(|batch| batch.run_of.as_ref());
        let status = row.status.as_ref().and_then(|status| status.batch.as_deref());
        let over = status.filter(|status| status.phase.is_terminal());
        let run = RunSeen {
            name: name.into(),
            uid: row.service.uid,
            time: run_of.map(|run| run.time).or_else(by_name)?,
            created: row.service.work.created,
            deleting: row.service.deleting,
            owned: false,
            killed: batch.is_some_and(|batch| batch.kill.is_some()),
            end: over.and_then(|status| Some(RunEnd { at: status.ended?, failure: status.failure })),
            started: status.and_then(|status| status.started),
            ttl_seconds: batch.and_then(|batch| batch.ttl_seconds),
        };
        Some(Self { run, controller: row.controller })
    }

    /// As the cron of this uid sees it.
    pub(super) fn seen_by(&self, cron: Uid) -> RunSeen {
        RunSeen { owned: self.controller == Some(cron), ..self.run.clone() }
    }
}

impl Index {
    /// An AuroraJob or its last Pods have come, gone or changed: the cron whose run that is or stands for hears of it, and
    /// those that wait for it. No slot is locked by the caller.
    pub(in crate::index) fn tell_crons(&self, key: KeyRef<'_>) {
        let KeyRef { namespace, name, .. } = key;
        let mut table = self.crons();
        let (found, waits) = match self.find(key) {
            Some(slot) => {
                let state = slot.lock();
                let batch = state.service.rows().first().and_then(|row| row.service.batch.as_ref());
                let parents = batch.iter().flat_map(|batch| &batch.parents);
                let waits: Vec<Name> =
                    parents.map(|parent| (parent.kind, Arc::clone(&parent.name))).collect();
                (Found::of(name, &state), waits)
            }
            None => (Found::Nothing, Vec::new()),
        };
        table.wait(namespace, &job_name(name), waits);
        let mut concerned = table.children(namespace, &job_name(name));
        if let Some(cron) = cron_of(name)
            && table.change(namespace, cron, |family| family.see(name, found))
        {
            concerned.crons.insert(cron.into());
        }
        drop(table);
        self.tell(namespace, &concerned);
    }

    /// Takes a run as a write or a read on behalf of its cron returned it: it is planned by others, who hear of it here.
    pub fn learn_run(&self, run: &AnyJob) {
        self.learn(Kind::Job, run);
        if let Ok((namespace, name)) = names(run.meta()) {
            (self.dirty)(&JobKey::job(namespace, name));
        }
    }

    /// A run is no more, or about to go.
    pub fn learn_run_gone(&self, run: &JobKey, uid: Uid) {
        self.drop_row(run.into(), uid, Kind::Job, Source::Own, |state| &mut state.service);
        self.tell_crons(run.into());
        (self.dirty)(run);
    }

    /// The runs that a cron's plan may rest on: those that its status speaks of, and those that are seen.
    pub(super) fn runs_of(&self, key: &CronKey) -> BTreeSet<Arc<str>> {
        let table = self.crons();
        let Some(family) = table.family(&key.namespace, &key.name) else { return BTreeSet::new() };
        let status = family.row().and_then(|row| row.status.as_deref());
        let pending = status.and_then(|status| status.pending).map(|pending| pending.time);
        let active = status.into_iter().flat_map(|status| &status.runs);
        let active = active.filter(|record| record.outcome == RunOutcome::Active).map(|record| record.time);
        let named = active.chain(pending).map(|time| run_name(&key.name, time));
        family.runs.keys().cloned().chain(named).collect()
    }

    /// What stands under the name of a run was read live at a version, and offered; what the read does not show is gone.
    pub(super) fn read_run(&self, run: &JobKey, version: Version, present: &BTreeSet<Uid>) {
        let epoch = self.epoch(Kind::Job);
        self.change(run, |_, state| !state.service.read_live(version, present, epoch).is_empty());
        self.tell_crons(run.into());
    }
}

#[cfg(test)]
mod tests;
