//! The plan of a cron in the making: the status as it will be, beside the one that is recorded.

use jiff::{SignedDuration, Timestamp};

use crate::{
    model::{Cron, CronStatus, PendingRun, RunCause, RunOutcome, RunRecord, RunSeen, Skipped, Uid, reasons},
    plan::Held,
    schedule::jitter,
};

use super::{CronPlan, CronView, run_name};

pub(super) struct Turn<'a> {
    pub(super) view: &'a CronView<'a>,
    pub(super) cron: &'a Cron,
    /// What is recorded: all that is done to runs rests on this alone.
    pub(super) recorded: &'a CronStatus,
    /// What will be.
    pub(super) status: CronStatus,
    pub(super) plan: CronPlan,
    pub(super) now: Timestamp,
    /// Times up to this one are due: now, less the jitter.
    pub(super) until: Timestamp,
}

impl<'a> Turn<'a> {
    pub(super) fn new(view: &'a CronView<'a>, recorded: &'a CronStatus, now: Timestamp) -> Self {
        let until = now.checked_sub(spread(view.cron)).unwrap_or(now);
        let (cron, status) = (view.cron, recorded.clone());
        Self { view, cron, recorded, status, plan: CronPlan::default(), now, until }
    }

    /// Nothing of this cron may be touched.
    pub(super) fn blocked(&self) -> bool {
        self.view.problem.is_some_and(|problem| problem.blocks)
    }

    /// Whether runs may be claimed, started and killed.
    pub(super) fn may_start(&self) -> bool {
        !self.view.frozen && self.view.cycle.is_none()
    }

    /// Up to and including this time all is dealt with.
    pub(super) fn dealt(&self) -> Timestamp {
        self.status.last_scheduled.unwrap_or(self.cron.created)
    }

    /// Deals with all times up to and including this one; never the other way.
    pub(super) fn deal(&mut self, time: Timestamp) {
        self.status.last_scheduled = Some(self.dealt().max(time));
    }

    /// The run that goes on, as it is recorded.
    pub(super) fn active(&self) -> Option<&RunRecord> {
        self.status.runs.iter().find(|record| record.outcome == RunOutcome::Active)
    }

    /// Whether a time has, or had, a run of its own.
    pub(super) fn has_run(&self, time: Timestamp) -> bool {
        self.status.runs.iter().any(|record| record.time == time && record.uid.is_some())
    }

    pub(super) fn record(&self, uid: Uid) -> Option<&RunRecord> {
        self.status.runs.iter().find(|record| record.uid == Some(uid))
    }

    /// The object that stands where the run of this time would.
    pub(super) fn at(&self, time: Timestamp) -> Option<&'a RunSeen> {
        let name = run_name(&self.cron.name, time);
        self.view.runs.iter().find(|run| run.name == name)
    }

    /// The claim that stands, since it is recorded or was promised: runs are made of no other.
    pub(super) fn claimed(&self) -> Option<PendingRun> {
        let stands = |claim| self.recorded.pending == claim || self.promised() == claim;
        self.status.pending.filter(|pending| stands(Some(*pending)))
    }

    /// The time that is due and that the recorded status says is next, if all before it are dealt with: as good as claimed
    /// while the spec is the same, since whoever deals with it in another way replaces that status.
    pub(super) fn promised(&self) -> Option<PendingRun> {
        let Self { recorded, cron, .. } = self;
        let stands = recorded.pending.is_none() && recorded.observed_generation == cron.generation;
        let time = recorded.next.filter(|_| stands)?.checked_sub(spread(cron)).ok()?;
        let dealt = recorded.last_scheduled.unwrap_or(cron.created);
        let first = cron.schedule.as_ref()?.next(dealt)?;
        (time == first && time <= self.until).then_some(PendingRun { time, cause: RunCause::Schedule })
    }

    /// Claims a time: it will run.
    pub(super) fn claim(&mut self, time: Timestamp, cause: RunCause) {
        self.status.pending = Some(PendingRun { time, cause });
    }

    /// Leaves a time out, for ever.
    pub(super) fn skip(&mut self, time: Timestamp, cause: RunCause, why: Skipped) {
        let outcome = RunOutcome::Skipped(why);
        self.status.runs.insert(0, RunRecord { time, cause, uid: None, started: None, ended: None, outcome });
        if cause != RunCause::Asked {
            self.deal(time);
        }
    }

    /// Something is held back by the freeze.
    pub(super) fn freeze(&mut self) {
        let held = Held { instance: None, reason: reasons::FROZEN, until: None };
        if !self.plan.held.contains(&held) {
            self.plan.held.push(held);
        }
    }

    /// Asks for another plan at a time, if not earlier.
    pub(super) fn check_at(&mut self, at: Timestamp) {
        self.plan.next_check = Some(self.plan.next_check.map_or(at, |next| next.min(at)));
    }
}

/// By how much the starts of this cron are later than its times.
pub(super) fn spread(cron: &Cron) -> SignedDuration {
    jitter(&cron.uid.to_string(), cron.jitter_seconds)
}

/// The API writes times in whole seconds, and runs are named by them.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
