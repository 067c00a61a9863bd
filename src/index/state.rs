//! All that is known of one service or job: its records of every kind, put together into the planner's view.
//!
//! Decides which changes mean anything to a plan. Takes no lock and knows no other service. Called by `feed` and
//! `Index`, under the lock of the service's slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use borealis_core::{
    model::{Instance, NodeId, Revision, RevisionRecord, Run, Task, Uid},
    plan::{PastUpdate, ServiceView},
    service_levels::Ledger,
};
use jiff::Timestamp;

use super::{
    Census,
    meta::Controller,
    others::Others,
    packed::TaskRow,
    records::{Offered, Record, Records},
    resolve::Resolved,
    rows::{ChildRow, ServiceRow, UpdateRow},
    stamp::{News, Version},
};
use crate::{
    JobKey,
    api::references::Reference,
    apply::{Facts, UpdateFacts},
};

/// No controller, or none of ours.
const NOBODY: u16 = u16::MAX;

/// The place of one service in the index.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: JobKey,
    /// Tells it from others in the nodes' tables.
    pub(super) number: u32,
    state: Mutex<State>,
}

impl Slot {
    pub(super) fn new(key: JobKey) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self { key, number: NEXT.fetch_add(1, Ordering::Relaxed), state: Mutex::default() }
    }

    /// The state; a planner that panicked under the lock has changed nothing.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that is known of one service.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) service: Records<ServiceRow>,
    pub(super) pods: Records<TaskRow>,
    pub(super) updates: Records<UpdateRow>,
    pub(super) revisions: Records<RevisionRecord>,
    pub(super) budget: Records<ChildRow>,
    pub(super) headless: Records<ChildRow>,
    /// What is remembered for the service levels; of services, and nothing of most.
    pub(super) levels: Option<Box<Ledger>>,
    /// The greatest run seen of each instance, Pods that are gone included.
    seen_runs: BTreeMap<Instance, Run>,
    /// The updates before the newest, ascending.
    past_updates: Vec<PastUpdate>,
    /// Uids of controllers the records name, by number.
    owners: Vec<Uid>,
    /// A write of which the outcome is not known, or a record whose fate is not: read live before planning.
    unsettled: bool,
    /// It was unsettled since the live read under way began.
    unsettled_again: bool,
    /// The references that the index follows for it.
    pub(super) followed: Option<Arc<[Reference]>>,
    /// It was taken out of the index; whoever still holds it looks the service up again.
    pub(super) dead: bool,
}

impl State {
    /// Whether nothing is left to know.
    pub(super) fn is_empty(&self) -> bool {
        self.service.is_empty()
            && self.pods.is_empty()
            && self.updates.is_empty()
            && self.revisions.is_empty()
            && self.budget.is_empty()
            && self.headless.is_empty()
    }

    /// Whether there is no service or job, only what is left of one.
    pub(super) fn is_left_over(&self) -> bool {
        self.service.rows().is_empty()
    }

    /// Whether it has Pods that have not ended.
    pub(super) fn has_live_pods(&self) -> bool {
        self.pods.rows().iter().any(|task| !task.state().is_terminal())
    }

    /// The number of a controller in the records.
    pub(super) fn owner(&mut self, controller: Controller) -> u16 {
        let Controller::Job(_, uid) = controller else { return NOBODY };
        let at = self.owners.iter().position(|known| *known == uid).unwrap_or_else(|| {
            self.owners.push(uid);
            self.owners.len() - 1
        });
        u16::try_from(at).unwrap_or(NOBODY)
    }

    /// Whether that controller is the service there is now.
    pub(super) fn owns(&self, owner: u16) -> bool {
        let service = self.service.rows().first().map(|row| row.service.uid);
        service.is_some() && self.owners.get(usize::from(owner)).copied() == service
    }

    /// Takes news of the service itself.
    pub(super) fn offer_service(
        &mut self,
        news: &News,
        build: impl FnOnce(Option<&ServiceRow>) -> ServiceRow,
    ) -> Offered<ServiceRow> {
        let offered = self.service.offer(&(), news, build);
        if let Offered::Changed(before) = &offered {
            if before.as_ref().is_none_or(|before| before.service.uid != news.uid) {
                self.reown();
            }
            if before.as_ref().is_some_and(|before| before.service.uid != news.uid) {
                self.levels = None;
            }
            self.prune_runs();
        }
        offered
    }

    /// Whose records are whose, after the service has become another.
    fn reown(&mut self) {
        let service = self.service.rows().first().map(|row| row.service.uid);
        let owners = &self.owners;
        let owns = |owner: u16| service.is_some() && owners.get(usize::from(owner)).copied() == service;
        self.pods.reown(owns);
        self.updates.reown(owns);
        self.revisions.reown(owns);
        self.budget.reown(owns);
        self.headless.reown(owns);
    }

    /// Notes that the instance has had this run, whatever became of it.
    pub(super) fn see_run(&mut self, instance: Instance, run: Run) {
        let seen = self.seen_runs.entry(instance).or_insert(run);
        *seen = run.max(*seen);
    }

    /// Forgets the runs of instances that are neither wanted nor there, so that what is kept stays bounded.
    pub(super) fn prune_runs(&mut self) {
        let Some(row) = self.service.rows().first() else { return };
        if row.problem.is_some()
            || self.seen_runs.last_key_value().is_none_or(|(i, _)| *i < row.service.instances)
        {
            return;
        }
        let there: BTreeSet<Instance> = self.pods.rows().iter().map(TaskRow::instance).collect();
        let wanted = row.service.instances;
        self.seen_runs.retain(|instance, _| *instance < wanted || there.contains(instance));
    }

    /// Keeps all of the newest update and of those that go on, and little of the others.
    pub(super) fn trim_updates(&mut self) {
        let rows = self.updates.rows_mut();
        let Some((_, past)) = rows.split_last_mut() else {
            self.past_updates = Vec::new();
            return;
        };
        for row in past.iter_mut().filter(|row| !row.goes_on()) {
            row.whole = None;
        }
        let read = |row: &UpdateRow| PastUpdate {
            number: row.number,
            uid: row.uid,
            created: row.created,
            owned: row.owned,
        };
        self.past_updates = past.iter().map(read).collect();
    }

    /// The objects that the spec names and whose contents are part of its config.
    pub(super) fn references(&self) -> Option<&Arc<[Reference]>> {
        self.service.rows().first()?.references.as_ref()
    }

    /// Its tasks, unpacked.
    pub(super) fn tasks(&self) -> Vec<Task> {
        self.pods.rows().iter().map(TaskRow::unpack).collect()
    }

    /// The config that was last acted on: what the newest update brings about, else what the status says.
    pub(super) fn acted_on(&self) -> Option<Revision> {
        let newest = self.updates.rows().last().filter(|newest| newest.goes_on());
        let brought = newest.and_then(|newest| Some(newest.whole.as_ref()?.instructions.to.as_ref()?.0));
        let observed = || self.service.rows().first()?.status.as_ref()?.observed_revision;
        brought.or_else(observed)
    }

    /// A service that names no tier is of this one: read at another default, its config can't be told.
    pub(super) fn expect_tier(&mut self, default: &str) {
        let rows = self.service.rows_mut();
        if let Some(row) = rows
            .first_mut()
            .filter(|row| !row.names_tier && *row.service.work.tier != *default && !row.outdated)
        {
            row.outdated = true;
            self.unsettle();
        }
    }

    /// What the planner and the executor are told, given its tasks; `None` where there is no service. `config` is the spec's with the
    /// contents it names, where it names any.
    pub(super) fn view<'a>(
        &'a self,
        tasks: &'a [Task],
        lost_nodes: &'a BTreeMap<NodeId, Timestamp>,
        config: Option<&'a Resolved>,
        others: &'a Others,
    ) -> Option<(ServiceView<'a>, Facts)> {
        let row = self.service.rows().first()?;
        let service = config.map_or(&row.service, |config| &config.service);
        let newest = self.updates.rows().last();
        let update = newest.and_then(|newest| newest.whole.as_deref());
        let problem = others.namesake.as_ref().or(row.problem.as_ref());
        let problem = problem.or_else(|| newest?.problem.as_ref());
        let lacking = config.and_then(|config| config.problem.as_ref());
        let problem = problem.or(lacking);
        let view = ServiceView {
            service,
            tasks,
            seen_runs: &self.seen_runs,
            revisions: self.revisions.rows(),
            update,
            past_updates: &self.past_updates,
            status: row.status.as_ref(),
            measurements: &[],
            pending: &[],
            upstream: others.upstream.upstream(),
            lost_nodes,
            keep_allowed: true,
            frozen: false,
            problem,
        };
        let mut facts = self.facts(row, problem.is_some_and(|problem| problem.blocks));
        facts.revision = service.revision;
        // Of a config that can't be told yet nothing is known of its names, either.
        facts.discovery = facts.discovery.filter(|_| lacking.is_none());
        Some((view, facts))
    }

    fn facts(&self, row: &ServiceRow, blocked: bool) -> Facts {
        let newest = self.updates.rows().last().and_then(|newest| self.updates.get(&newest.number));
        let run_of = row.service.batch.as_ref().and_then(|batch| batch.run_of.as_ref());
        Facts {
            uid: row.service.uid,
            generation: row.service.generation,
            resource_version: self.service.get(&()).map_or(0, |(_, version)| version).to_string(),
            job_key: String::new(),
            role: String::new(),
            told: row.told.as_deref().map(ToOwned::to_owned),
            tier: row.service.work.tier.to_string(),
            scheduled: run_of.map(|run| run.time),
            revision: row.service.revision,
            discovery: Some(row.discovery),
            in_place: row.service.update.in_place,
            blocked,
            frozen: false,
            sla: row.sla.clone(),
            highest_revision: self.revisions.rows().iter().map(|row| row.number).max().unwrap_or(0),
            recorded: row.status.clone(),
            update: newest.map(|(row, version): (&UpdateRow, Version)| UpdateFacts {
                uid: row.uid,
                number: row.number,
                generation: row.generation,
                takes_back: row.takes_back(),
                ended: row.has_ended(),
                marked_ended: row.marked_ended,
                resource_version: version.to_string(),
            }),
            budget: content(&self.budget),
            headless: content(&self.headless),
        }
    }

    /// Whether more tasks of the instance are live than may be: what the run's number and the fence are to prevent.
    pub(super) fn is_duplicate(&self, instance: Instance) -> bool {
        let live =
            |task: &&TaskRow| task.instance() == instance && task.owned() && !task.state().is_terminal();
        self.pods.rows().iter().filter(live).count() > 1 + usize::from(self.may_surge(instance))
    }

    /// Whether the newest update works on the instance and makes the next run beside the last.
    fn may_surge(&self, instance: Instance) -> bool {
        let newest = self.updates.rows().last().and_then(|row| row.whole.as_ref());
        newest.is_some_and(|update| {
            let works = update.progress.as_ref().is_some_and(|it| it.working.contains(instance));
            works && update.surge_limit() > 0
        })
    }

    /// Adds itself to the count of everything.
    pub(super) fn count(&self, census: &mut Census) {
        for task in self.pods.rows() {
            *census.tasks.entry(task.state()).or_default() += 1;
        }
        let newest = self.updates.rows().last().and_then(|row| row.whole.as_ref()?.progress.as_ref());
        if let Some(progress) = newest {
            *census.updates.entry(progress.state).or_default() += 1;
        }
        let batch = |row: &ServiceRow| row.status.as_ref()?.batch.as_ref().map(|batch| batch.phase);
        if let Some(phase) = self.service.rows().first().and_then(batch) {
            *census.jobs.entry(phase).or_default() += 1;
        }
        census.unsettled += usize::from(self.is_unsettled());
    }

    /// Something about it is not known for sure.
    pub(super) fn unsettle(&mut self) {
        self.unsettled = true;
        self.unsettled_again = true;
    }

    /// Whether it has to be read live before it is planned.
    pub(super) fn is_unsettled(&self) -> bool {
        // The newest update was removed, and of the one before too little is known.
        self.unsettled || self.updates.rows().last().is_some_and(Record::is_partial)
    }

    /// A live read begins.
    pub(super) fn settling(&mut self) {
        self.unsettled_again = false;
    }

    /// A live read is complete.
    pub(super) fn settled(&mut self) {
        self.unsettled = self.unsettled_again;
    }

    /// Answers are on their way that may be older than what the watches say meanwhile.
    pub(super) fn await_answers(&mut self) {
        self.service.await_answer();
        self.pods.await_answer();
        self.updates.await_answer();
        self.revisions.await_answer();
    }

    /// They are in.
    pub(super) fn answered(&mut self) {
        self.service.answered();
        self.pods.answered();
        self.updates.answered();
        self.revisions.answered();
    }
}

/// The hash in a child's annotation, where there is such a child and it is the service's own.
fn content(records: &Records<ChildRow>) -> Option<String> {
    let child = records.rows().first().filter(|child| child.owned && !child.deleting)?;
    Some(child.content.as_deref().unwrap_or_default().to_owned())
}

/// A slot whose deletions are remembered as long as this lives, because answers are on their way.
#[derive(Debug)]
pub(super) struct Awaited(pub(super) Arc<Slot>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.lock().answered();
    }
}
