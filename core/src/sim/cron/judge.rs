//! What must never be: at each write of the status each time that it deals with has become something, for a reason that
//! its policy knows; no time starts twice, no two runs go on at once, and none is removed or killed that should not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    CronTally,
    store::{By, Version},
};
use crate::{model::*, schedule::jitter};

#[derive(Debug, Default)]
pub(super) struct Judge {
    /// The run that started of each time.
    pub(super) started: BTreeMap<Timestamp, Uid>,
    /// Runs that people removed.
    pub(super) taken: BTreeSet<Uid>,
    /// Runs that were recorded as removed while they went on.
    pub(super) removed: BTreeSet<Uid>,
    /// The run that people last asked for.
    pub(super) asked: Option<Timestamp>,
    /// Times that were left out, for another reason than that they were missed.
    skipped: BTreeMap<Timestamp, Skipped>,
}

type Runs = BTreeMap<Arc<str>, RunSeen>;

pub(super) fn check(holds: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(words()) }
}

impl Judge {
    pub(super) fn asked(&mut self, at: Timestamp) {
        self.asked = Some(whole(at));
    }

    pub(super) fn taken(&mut self, uid: Uid) {
        self.taken.insert(uid);
    }

    pub(super) fn started(
        &mut self,
        run: &RunSeen,
        status: Option<&CronStatus>,
        runs: &Runs,
        tally: &mut CronTally,
    ) -> Result<(), String> {
        let record = status.and_then(|status| status.runs.iter().find(|record| record.uid == Some(run.uid)));
        let Some(record) = record else { return Err(format!("unknown run starts: {run:?}")) };
        check(record.outcome == RunOutcome::Active, || format!("a run starts that is over: {record:?}"))?;
        let other = runs
            .values()
            .find(|other| other.uid != run.uid && other.started.is_some() && other.end.is_none());
        check(other.is_none(), || format!("two runs go on: {} and {other:?}", run.time))?;
        let twice = self.started.insert(run.time, run.uid);
        check(twice.is_none(), || format!("the run of {} starts twice", run.time))?;
        // People may ask for a time that was left out.
        let skipped = self.skipped.get(&run.time).filter(|_| record.cause != RunCause::Asked);
        check(skipped.is_none(), || {
            format!("the run of {} starts, which was left out: {skipped:?}", run.time)
        })?;
        match record.cause {
            RunCause::Schedule => tally.on_time += 1,
            RunCause::CatchUp => tally.made_up += 1,
            RunCause::Asked => tally.asked += 1,
            RunCause::Parents => tally.by_parents += 1,
        }
        Ok(())
    }

    pub(super) fn killed(&self, run: &RunSeen, cron: &Cron) -> Result<(), String> {
        // What waits to be confirmed is nobody's to kill.
        let confirmed = self.started.get(&run.time).is_none_or(|uid| *uid == run.uid);
        check(confirmed && cron.collision == Collision::KillExisting, || {
            format!("a run is killed against its policy: {run:?}")
        })
    }

    pub(super) fn removed(&self, run: &RunSeen, status: Option<&CronStatus>) -> Result<(), String> {
        let records = status.map_or(&[][..], |status| &status.runs);
        let record = records.iter().find(|record| record.uid == Some(run.uid));
        let active = record.is_some_and(|record| record.outcome == RunOutcome::Active);
        check(!active, || format!("a run is removed whose end is not on record: {run:?}"))?;
        let goes_on = run.started.is_some() && run.end.is_none();
        check(!goes_on, || format!("a run is removed that goes on: {run:?}"))
    }

    /// A write of the status.
    pub(super) fn written(
        &mut self,
        before: &Version,
        after: &CronStatus,
        by: By,
        runs: &Runs,
        tally: &mut CronTally,
    ) -> Result<(), String> {
        let Some(old) = &before.status else {
            let first = after.pending.is_none() && after.runs.is_empty();
            return check(first, || format!("the first status does more than to begin: {after:?}"));
        };
        let write = Write { cron: &before.cron, old, after, by };
        let active = after.runs.iter().filter(|record| record.outcome == RunOutcome::Active).count();
        check(active <= 1, || format!("{active} runs go on by the status"))?;
        for record in &after.runs {
            let known = record.uid.and_then(|uid| old.runs.iter().find(|known| known.uid == Some(uid)));
            match (record.uid, known) {
                (Some(uid), None) => write.begun(record, uid, runs)?,
                (Some(uid), Some(known)) if known != record => {
                    write.ended(known, record, runs)?;
                    if record.outcome == RunOutcome::Removed {
                        self.removed.insert(uid);
                    }
                }
                _ => {}
            }
        }
        for (record, why) in write.skipped() {
            write.left_out(record.time, why)?;
            if why != Skipped::Missed && record.cause != RunCause::Asked {
                self.skipped.insert(record.time, why);
                tally.collided += 1;
            }
        }
        write.pending()?;
        write.asked(runs)?;
        tally.missed += u64::from(after.missed - old.missed);
        write.dealt()
    }
}

/// One write of the status.
struct Write<'a> {
    cron: &'a Cron,
    old: &'a CronStatus,
    after: &'a CronStatus,
    by: By,
}

impl Write<'_> {
    fn until(&self) -> Timestamp {
        self.by.clock - jitter(&self.cron.uid.to_string(), self.cron.jitter_seconds)
    }

    /// It became due a minute ago, or before the eyes of the leader.
    fn is_fresh(&self, time: Timestamp) -> bool {
        let age = self.until().duration_since(time);
        let watched = self.by.clock - age >= self.by.since;
        age <= SignedDuration::from_secs(if watched { 600 } else { 60 })
    }

    fn all(&self) -> bool {
        matches!(self.cron.catch_up, CatchUp::All { .. })
    }

    fn goes_on(&self) -> bool {
        self.after.runs.iter().any(|record| record.outcome == RunOutcome::Active)
    }

    fn begun(&self, record: &RunRecord, uid: Uid, runs: &Runs) -> Result<(), String> {
        let Self { cron, old, .. } = self;
        let jitter = jitter(&cron.uid.to_string(), cron.jitter_seconds);
        let stands = old.pending.is_none() && old.observed_generation == cron.generation;
        let promised = old
            .next
            .filter(|_| stands)
            .map(|next| PendingRun { time: next - jitter, cause: RunCause::Schedule });
        let pending = old.pending.or(promised).filter(|pending| pending.time == record.time);
        check(pending.is_some_and(|pending| pending.cause == record.cause), || {
            format!("a run begins that was not claimed: {record:?}")
        })?;
        let seen = runs.values().find(|run| run.uid == uid);
        let fits = seen.is_none_or(|run| run.time == record.time && run.end.is_none());
        check(fits && record.outcome == RunOutcome::Active, || {
            format!("no run begins so: {record:?}, {seen:?}")
        })
    }

    fn ended(&self, known: &RunRecord, record: &RunRecord, runs: &Runs) -> Result<(), String> {
        check(known.outcome == RunOutcome::Active, || {
            format!("another end of a run: {known:?}, {record:?}")
        })?;
        let run = runs.values().find(|run| Some(run.uid) == record.uid);
        let fits = match record.outcome {
            RunOutcome::Removed => run.is_none(),
            RunOutcome::Succeeded => run.is_none_or(|run| run.end.is_some_and(|end| end.failure.is_none())),
            RunOutcome::Failed(why) => {
                run.is_none_or(|run| run.end.is_some_and(|end| end.failure == Some(why)))
            }
            RunOutcome::Active | RunOutcome::Skipped(_) => false,
        };
        check(fits, || format!("a run did not end so: {record:?}, {run:?}"))
    }

    /// What this write leaves out.
    fn skipped(&self) -> Vec<(&RunRecord, Skipped)> {
        let new = self.after.runs.iter().filter(|record| !self.old.runs.contains(record));
        let why = new.filter_map(|record| match record.outcome {
            RunOutcome::Skipped(why) => Some((record, why)),
            _ => None,
        });
        why.collect()
    }

    fn left_out(&self, time: Timestamp, why: Skipped) -> Result<(), String> {
        let may = match why {
            Skipped::Collision => self.cron.collision == Collision::CancelNew && self.goes_on(),
            Skipped::AnotherWaits => {
                let late = self.old.pending.is_some_and(|pending| pending.cause == RunCause::CatchUp);
                let for_parents = !self.cron.parents.is_empty();
                let waits = self.after.pending.is_some() && (self.goes_on() || for_parents);
                // People need not wait for what waits for its parents.
                let asked = self.after.pending.filter(|pending| Some(*pending) != self.old.pending);
                let asked = asked.is_some_and(|pending| pending.cause == RunCause::Asked);
                (waits && !(late && self.all())) || (asked && for_parents)
            }
            Skipped::Missed => return Ok(()),
            Skipped::Suspended => {
                let dropped = self
                    .old
                    .pending
                    .is_some_and(|pending| pending.time == time && pending.cause != RunCause::Asked);
                self.cron.suspend && dropped && self.after.pending != self.old.pending
            }
            Skipped::Withdrawn => {
                let asked = PendingRun { time, cause: RunCause::Asked };
                self.old.pending == Some(asked) && self.cron.run_at.map(whole) != Some(time)
            }
        };
        check(may, || format!("the run of {time} is left out against its policy: {why:?}"))
    }

    /// What was claimed is recorded, left out or claimed still; what is claimed now may be.
    fn pending(&self) -> Result<(), String> {
        let (old, new) = (self.old.pending, self.after.pending);
        if old == new {
            return Ok(());
        }
        if let Some(old) = old {
            let told = self.after.runs.iter().any(|record| record.time == old.time);
            check(told, || format!("a claim is lost: {old:?}"))?;
        }
        let Some(new) = new else { return Ok(()) };
        let schedule = self.cron.schedule.as_ref();
        let next = |after| schedule.and_then(|schedule| schedule.next(after));
        let dealt = self.after.last_scheduled.unwrap_or(self.cron.created);
        let later = next(new.time).is_none_or(|later| later > self.until());
        let age = self.until().duration_since(new.time);
        let fresh = self.is_fresh(new.time);
        let window = |seconds: u32| age <= SignedDuration::from_secs(seconds.into());
        let may = !self.cron.suspend || new.cause == RunCause::Asked;
        let may = may
            && match new.cause {
                RunCause::Schedule => new.time > dealt && new.time <= self.until() && fresh && later,
                RunCause::CatchUp => match self.cron.catch_up {
                    CatchUp::None => false,
                    CatchUp::Latest { window_seconds } => later && !fresh && window(window_seconds),
                    CatchUp::All { window_seconds } => {
                        next(dealt) == Some(new.time) && window(window_seconds) && !self.goes_on()
                    }
                },
                RunCause::Asked => self.cron.run_at.map(whole) == Some(new.time) && self.by.clock >= new.time,
                RunCause::Parents => schedule.is_none(),
            };
        let may = may && !(self.cron.collision == Collision::CancelNew && self.goes_on());
        check(may, || format!("claimed against the policy: {new:?} by a clock of {}", self.by.clock))
    }

    /// A run that was asked for is only dealt with by a claim, a run, or a word why not.
    fn asked(&self, runs: &Runs) -> Result<(), String> {
        let asked =
            self.after.observed_run_at.filter(|_| self.after.observed_run_at != self.old.observed_run_at);
        let Some(time) = asked else { return Ok(()) };
        let told = self.after.runs.iter().any(|record| record.time == time)
            || self.after.pending.is_some_and(|pending| pending.time == time)
            || self.old.pending.is_some_and(|pending| pending.time == time)
            || runs.values().any(|run| run.time == time && run.end.is_some());
        check(told, || format!("nothing came of the run that was asked for: {time}"))
    }

    /// Each time that this write deals with is accounted for.
    fn dealt(&self) -> Result<(), String> {
        let start = |status: &CronStatus| status.last_scheduled.unwrap_or(self.cron.created);
        let (from, to) = (start(self.old), start(self.after));
        check(to >= from, || format!("what was dealt with is due again: {to} after {from}"))?;
        let Some(schedule) = &self.cron.schedule else { return Ok(()) };
        let changed = self.old.observed_schedule.as_ref() != Some(&self.cron.schedule_text);
        let anchored = changed || (self.old.suspended && !self.cron.suspend);
        // A clock that was ahead may have claimed a time that is still to come.
        let anchor = self.old.pending.map_or(self.by.clock, |pending| pending.time.max(self.by.clock));
        let told = |time: &Timestamp| {
            let word = |record: &RunRecord| {
                let asked = record.cause == RunCause::Asked && record.uid.is_none();
                record.time == *time && !asked && record.outcome != RunOutcome::Skipped(Skipped::Missed)
            };
            self.after.runs.iter().any(word)
                || self.after.pending.is_some_and(|pending| pending.time == *time)
                || (anchored && *time <= anchor)
        };
        let missed: Vec<Timestamp> = schedule.between(from, to).filter(|time| !told(time)).collect();
        let counted = (self.after.missed - self.old.missed) as usize;
        // A person may ask for a time that is missed in the same moment.
        let asked = self
            .after
            .pending
            .filter(|pending| pending.cause == RunCause::Asked && self.old.pending != Some(*pending));
        let both = usize::from(asked.is_some_and(|asked| from < asked.time && asked.time <= to));
        check((missed.len()..=missed.len() + both).contains(&counted), || {
            format!(
                "{counted} times are counted as missed of {} that nothing came of: {missed:?}",
                missed.len()
            )
        })?;
        let until = self.until();
        for time in missed {
            let (age, next) = (until.duration_since(time), schedule.next(time));
            let later = next.is_some_and(|next| next <= until);
            let window = |seconds: u32| age > SignedDuration::from_secs(seconds.into());
            let gone = !self.is_fresh(time) || later;
            let may = match self.cron.catch_up {
                CatchUp::None => gone,
                CatchUp::Latest { window_seconds } => gone && (later || window(window_seconds)),
                CatchUp::All { window_seconds } => gone && window(window_seconds),
            };
            check(may, || format!("{time} is missed too early, by a clock of {}", self.by.clock))?;
        }
        Ok(())
    }
}

fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
