//! A leader: sees the cron and its runs as they were, plans by a clock of its own, and writes until it dies.

use jiff::{SignedDuration, Timestamp};

use super::{
    CronTrouble,
    desk::Setting,
    store::{Answer, By, Request, Store},
};
use crate::{
    plan::cron::{CronAction, CronPlan, CronView, plan_cron},
    sim::draw::Draw,
};

#[derive(Debug)]
pub(super) struct Leader {
    seed: u64,
    number: u64,
    /// The version of the cron it knows.
    version: usize,
    /// The snapshot of the runs it knows.
    snapshot: usize,
    /// The snapshot was read after the version.
    settled: bool,
    /// By how many seconds its clock is ahead.
    skew: i64,
    /// Since when it has been there, by its clock.
    since: Timestamp,
}

/// What becomes of a request.
enum Fate {
    Answered,
    Lost,
    /// Done, but answered with an error.
    Unsure,
    /// Done later, and answered with an error.
    Late(i64),
}

impl Leader {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let since = Timestamp::MIN;
        Self { seed, number, version: 0, snapshot: 0, settled: false, skew: 0, since }
    }

    /// Looks, plans and writes, as far as it comes.
    pub(super) fn act(
        &mut self,
        setting: &Setting,
        store: &mut Store,
        step: u64,
        quiet: bool,
    ) -> Result<(), String> {
        let mut draw = Draw::of(self.seed, &[2, self.number, step]);
        let absent = if quiet { self.number > 0 } else { setting.is_out(step) || draw.chance(40) };
        if setting.is_out(step) || store.frozen {
            self.since = self.clock(store);
        }
        if absent {
            return Ok(());
        }
        if quiet {
            self.skew = 0;
        } else if setting.trouble == CronTrouble::All && draw.chance(5) {
            self.skew = i64::try_from(draw.below(181)).unwrap_or(0) - 90;
        }
        // What it does itself it sees at once, so a plan or two may follow each other.
        for _ in 0..draw.between(1, 3) {
            self.look(store, &mut draw, quiet);
            let plan = self.plan(store);
            store.tally.plans += 1;
            if plan.unsettled && (quiet || draw.chance(70)) {
                self.read(store, &mut draw);
                let plan = self.plan(store);
                self.carry_out(store, &plan, &mut draw, quiet)?;
            } else {
                self.carry_out(store, &plan, &mut draw, quiet)?;
            }
        }
        Ok(())
    }

    /// Its watches go on, each as far as it is.
    fn look(&mut self, store: &Store, draw: &mut Draw, quiet: bool) {
        let (version, snapshot) = (store.versions.len() - 1, store.snapshots.len() - 1);
        let on = |from: usize, to: usize, draw: &mut Draw| match quiet || draw.chance(60) {
            true => to,
            false => from + usize::try_from(draw.below((to - from) as u64 + 1)).unwrap_or(0),
        };
        let seen = on(self.version, version, draw);
        // News of the cron may be younger than what is known of its runs.
        self.settled &= seen == self.version;
        self.version = seen;
        self.snapshot = on(self.snapshot, snapshot, draw);
    }

    /// Reads the cron, then its runs, live; somebody may write between the two.
    fn read(&mut self, store: &Store, draw: &mut Draw) {
        let back = usize::from(draw.chance(20));
        self.version = self.version.max((store.versions.len() - 1).saturating_sub(back));
        self.snapshot = store.snapshots.len() - 1;
        self.settled = true;
    }

    fn clock(&self, store: &Store) -> Timestamp {
        store.now + SignedDuration::from_secs(self.skew)
    }

    fn plan(&self, store: &Store) -> CronPlan {
        let version = &store.versions[self.version];
        let view = CronView {
            cron: &version.cron,
            status: version.status.as_ref(),
            runs: &store.snapshots[self.snapshot],
            settled: self.settled,
            parents: &store.parents,
            cycle: None,
            frozen: store.frozen,
            watched_since: self.since,
            problem: None,
        };
        plan_cron(&view, self.clock(store))
    }

    fn carry_out(
        &mut self,
        store: &mut Store,
        plan: &CronPlan,
        draw: &mut Draw,
        quiet: bool,
    ) -> Result<(), String> {
        let known = store.versions[self.version].status.as_ref();
        let status = plan.status.clone().filter(|status| plan.verify || known != Some(status));
        if let Some(status) = status {
            let status = Box::new(status);
            let (clock, since) = (self.clock(store), self.since);
            let by = By { clock, since };
            let request = Request::Status { version: self.version, status, by };
            match self.send(store, request, draw, quiet)? {
                Some(Answer::Done) => {
                    self.settled &= store.versions.len() - 1 == self.version;
                    self.version = store.versions.len() - 1;
                }
                _ => return Ok(()),
            }
        }
        for action in &plan.actions {
            if !quiet && draw.chance(4) {
                self.die(store, draw);
                return Ok(());
            }
            let request = match action {
                CronAction::CreateRun { name, time } => Request::Create { name: name.clone(), time: *time },
                CronAction::KillRun { uid, .. } => Request::Kill { uid: *uid },
                CronAction::RemoveRun { uid, .. } => Request::Remove { uid: *uid },
            };
            // It learns what came of it, and where a name is taken it looks who has it.
            if self.send(store, request, draw, quiet)?.is_some() {
                self.snapshot = store.snapshots.len() - 1;
            }
        }
        if !quiet && draw.chance(2) {
            self.die(store, draw);
        }
        Ok(())
    }

    /// Sends a request; nothing is known of its outcome where there is no answer.
    fn send(
        &self,
        store: &mut Store,
        request: Request,
        draw: &mut Draw,
        quiet: bool,
    ) -> Result<Option<Answer>, String> {
        let fate = match draw.below(100) {
            _ if quiet => Fate::Answered,
            0..=3 => Fate::Lost,
            4..=7 => Fate::Unsure,
            8..=13 => Fate::Late(i64::try_from(draw.between(1, 150)).unwrap_or(1)),
            _ => Fate::Answered,
        };
        match fate {
            Fate::Answered => store.serve(request).map(Some),
            Fate::Lost => Ok(None),
            Fate::Unsure => store.serve(request).map(|_| None),
            Fate::Late(seconds) => {
                store.late.push((store.now + SignedDuration::from_secs(seconds), request));
                Ok(None)
            }
        }
    }

    /// Its successor knows what there was a while ago.
    fn die(&mut self, store: &mut Store, draw: &mut Draw) {
        store.tally.crashes += 1;
        self.since = self.clock(store);
        let back = |newest: usize, draw: &mut Draw| {
            newest.saturating_sub(usize::try_from(draw.below(12)).unwrap_or(0))
        };
        self.version = back(store.versions.len() - 1, draw);
        self.snapshot = back(store.snapshots.len() - 1, draw);
        self.settled = false;
    }
}
