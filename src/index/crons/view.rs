//! What the planner of a cron is shown, and what a job has to know of crons and of those it waits for.
//!
//! Called by the cron's controller and, for jobs, by `others`.

use std::sync::Arc;

use borealis_core::{
    model::{
        CatchUp, Collision, Cron, CronStatus, Parent, ParentKind, ParentSeen, Phase, RunHistory, RunSeen, Uid,
    },
    plan::{Name, Problem, cycle},
};
use jiff::Timestamp;

use super::{
    super::{Index, Viewed},
    CronRow, Namespace,
    row::cron_name,
};
use crate::{CronKey, JobKey};

/// What is known of a cron, for its planner.
#[derive(Debug, Clone)]
pub struct CronSeen {
    /// The cron.
    pub cron: Arc<Cron>,
    /// What its status says.
    pub status: Option<Arc<CronStatus>>,
    /// What stands where its runs do, ascending by time.
    pub runs: Vec<RunSeen>,
    /// The runs were listed live since its status was written.
    pub settled: bool,
    /// What is known of its parents.
    pub parents: Vec<ParentSeen>,
    /// It waits for itself.
    pub cycle: Option<String>,
    /// What stands in the way of acting on its spec.
    pub problem: Option<Problem>,
    /// What the executor has to know.
    pub facts: CronFacts,
}

/// What the executor has to know of a cron beside its plan.
#[derive(Debug, Clone)]
pub struct CronFacts {
    /// Its uid.
    pub uid: Uid,
    /// The generation of its spec.
    pub generation: i64,
    /// The version its status is written on.
    pub resource_version: String,
    /// What its runs are made of, as JSON; none where its spec was never usable.
    pub template: Option<Arc<str>>,
    /// The status as it was read or last written.
    pub recorded: Option<Arc<CronStatus>>,
}

impl Index {
    /// What is known of a cron.
    pub fn cron(&self, key: &CronKey) -> Viewed<Box<CronSeen>> {
        let CronKey { namespace, name } = key;
        let (row, version, mut runs, read, cycle) = {
            let table = self.crons();
            let Some(of_namespace) = table.namespaces.get(namespace) else { return Viewed::Absent };
            let Some(family) = of_namespace.families.get(name) else { return Viewed::Absent };
            let seen = family.cron.get(&()).filter(|(row, _)| !row.is_unread);
            let Some((row, version)) = seen else { return Viewed::Absent };
            if family.is_unsettled() {
                return Viewed::Unsettled;
            }
            let cycle = of_namespace.cycle(&cron_name(name));
            let runs: Vec<RunSeen> = family.runs.values().map(|standing| standing.seen_by(row.uid)).collect();
            (row.clone(), version, runs, family.read, cycle)
        };
        runs.sort_by_key(|run| run.time);
        let cron = row.cron.clone().unwrap_or_else(|| Arc::new(nothing(name, &row)));
        let since = Timestamp::MIN;
        let parents = cron.parents.iter().map(|parent| self.parent(namespace, parent, since)).collect();
        let facts = CronFacts {
            uid: row.uid,
            generation: row.generation,
            resource_version: version.to_string(),
            template: row.template.clone(),
            recorded: row.status.clone(),
        };
        Viewed::Of(Box::new(CronSeen {
            cron,
            status: row.status,
            runs,
            settled: read >= version,
            parents,
            cycle,
            problem: row.problem,
            facts,
        }))
    }

    /// Every key there is a cron for.
    pub fn cron_keys(&self) -> Vec<CronKey> {
        let table = self.crons();
        let all = table.namespaces.iter().flat_map(|(namespace, of_namespace)| {
            let there = of_namespace.families.iter().filter(|(_, family)| family.row().is_some());
            there.map(|(name, _)| CronKey { namespace: Arc::clone(namespace), name: Arc::clone(name) })
        });
        all.collect()
    }

    /// What is known of a parent; of a cron only the runs that ended since then.
    pub(in crate::index) fn parent(&self, namespace: &str, parent: &Parent, since: Timestamp) -> ParentSeen {
        match parent.kind {
            ParentKind::Cron => {
                let table = self.crons();
                let row = table.family(namespace, &parent.name).and_then(|family| family.row());
                let Some(row) = row else { return ParentSeen::default() };
                let status = row.status.as_deref();
                let lately = |at: Option<Timestamp>| at.filter(|at| *at >= since);
                ParentSeen {
                    exists: true,
                    succeeded: lately(status.and_then(|status| status.last_succeeded)),
                    ended: lately(status.and_then(|status| status.last_ended)),
                }
            }
            ParentKind::Job => {
                let Some(slot) = self.find(&JobKey::job(namespace, &parent.name)) else {
                    return ParentSeen::default();
                };
                let state = slot.lock();
                let row = state.service.rows().first();
                let status = row.and_then(|row| row.status.as_ref()?.batch.as_deref());
                let over = status.filter(|status| status.phase.is_terminal());
                let succeeded = over.filter(|status| status.phase == Phase::Complete);
                ParentSeen {
                    exists: row.is_some(),
                    succeeded: succeeded.and_then(|status| status.ended),
                    ended: over.and_then(|status| status.ended),
                }
            }
        }
    }

    /// Whether the status of a cron names the object of this uid as a run.
    pub(in crate::index) fn is_confirmed(&self, namespace: &str, cron: &str, run: Uid) -> bool {
        let table = self.crons();
        let row = table.family(namespace, cron).and_then(|family| family.row());
        let status = row.and_then(|row| row.status.as_deref());
        status.is_some_and(|status| status.runs.iter().any(|record| record.uid == Some(run)))
    }

    /// The way on which a job or cron waits for itself.
    pub(in crate::index) fn cycle(&self, namespace: &str, name: &Name) -> Option<String> {
        self.crons().namespaces.get(namespace)?.cycle(name)
    }
}

impl Namespace {
    fn cycle(&self, name: &Name) -> Option<String> {
        if !self.waits.contains_key(name) {
            return None;
        }
        cycle(name, |of| self.waits.get(of).cloned().unwrap_or_default())
    }
}

/// A cron that is never due, in the place of one that was never usable.
fn nothing(name: &Arc<str>, row: &CronRow) -> Cron {
    Cron {
        name: Arc::clone(name),
        uid: row.uid,
        generation: row.generation,
        created: Timestamp::UNIX_EPOCH,
        deleting: row.deleting,
        schedule: None,
        schedule_text: "".into(),
        suspend: true,
        collision: Collision::Queue,
        catch_up: CatchUp::None,
        jitter_seconds: 0,
        history: RunHistory { succeeded: u32::MAX, failed: u32::MAX },
        parents: Vec::new(),
        run_at: None,
    }
}
