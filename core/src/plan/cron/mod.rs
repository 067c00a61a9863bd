//! What to do next for one cron: `plan_cron(view, now)`, level-triggered and pure like `plan`.
//!
//! A run passes three writes: it is claimed in the status, its object is made, and a status that names the object's uid
//! confirms it. Only what is confirmed is ever started, and each write of the status replaces the very status it was
//! computed from; so whatever a leader does that others have followed, no time runs twice, and no two runs at once.
//!
//! `turn` is the plan in the making, `runs` records what became of runs, `due` says which times are due, on time or
//! missed, `collide` what becomes of a time that is due, `claim` takes a run from its claim to its start, `parents` says
//! which ends of others it waits for, `history` which runs are removed, `status` and `news` say all of it to people.

mod claim;
mod collide;
mod due;
mod history;
mod news;
mod parents;
mod runs;
mod status;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Cron, CronStatus, KillReason, ParentSeen, RunSeen, Uid};

pub use self::news::REASONS;
use super::{Event, Held, Problem};

use turn::Turn;

/// Everything the planner may look at for one cron.
#[derive(Debug, Clone, Copy)]
pub struct CronView<'a> {
    /// The cron.
    pub cron: &'a Cron,
    /// What its status says; `None` when it has none (a new cron, a restore).
    pub status: Option<&'a CronStatus>,
    /// Its runs, and foreign AuroraJobs that were met under the name of one, ascending by time.
    pub runs: &'a [RunSeen],
    /// The runs are at least as new as the status: they were read live since this status was written.
    pub settled: bool,
    /// What is known of its parents, in the order of its spec.
    pub parents: &'a [ParentSeen],
    /// It waits for itself: the names along the way (`cycle`).
    pub cycle: Option<&'a str>,
    /// The freeze switch: nothing is started or ended, and no run that has ended removed.
    pub frozen: bool,
    /// Since when whoever plans has been at it without a pause: what became due since is late only because others came first.
    pub watched_since: Timestamp,
    /// What stands in the way of acting on the spec, as the API server or the conversion said.
    pub problem: Option<&'a Problem>,
}

/// Everything to be done for one cron now: the status is written first, and where that fails nothing else is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CronPlan {
    /// The status of the cron; written where it differs from what is recorded, by its resourceVersion.
    pub status: Option<CronStatus>,
    /// The actions rest on the status being the newest there is: it is written, by its resourceVersion, even where it does
    /// not differ.
    pub verify: bool,
    /// What to do, in this order.
    pub actions: Vec<CronAction>,
    /// What to tell people, about the cron; best effort, after the status was written.
    pub events: Vec<Event>,
    /// When to plan again though nothing happens.
    pub next_check: Option<Timestamp>,
    /// What is not done, and why.
    pub held: Vec<Held>,
    /// A run that the status counts on is not seen: read the runs live, then plan again with a settled view.
    pub unsettled: bool,
}

/// One thing to do for a cron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronAction {
    /// Make the AuroraJob of a claimed run. Where the name is taken the object is read live and becomes part of the view,
    /// whoever it belongs to.
    CreateRun {
        /// Its name.
        name: Arc<str>,
        /// The time it is the run of.
        time: Timestamp,
    },
    /// Have a run end, its object and logs kept as its history says.
    KillRun {
        /// Its name.
        name: Arc<str>,
        /// Its uid.
        uid: Uid,
        /// Why.
        reason: KillReason,
    },
    /// Remove a run: it has ended and is not to be kept, or it is not confirmed and never will be.
    RemoveRun {
        /// Its name.
        name: Arc<str>,
        /// Its uid.
        uid: Uid,
    },
}

/// The name of a cron's run, by the seconds since the epoch of its time.
pub fn run_name(cron: &str, time: Timestamp) -> Arc<str> {
    format!("{cron}-{}", time.as_second()).into()
}

/// What to do for the cron now.
pub fn plan_cron(view: &CronView<'_>, now: Timestamp) -> CronPlan {
    // The garbage collector ends what belongs to a deleted cron, or leaves it where its deletion said so.
    if view.cron.deleting {
        return CronPlan::default();
    }
    let Some(recorded) = view.status else {
        // Nothing is touched before there is a status: from it on, what is due can be told from what was.
        return status::first(view, now);
    };
    let mut turn = Turn::new(view, recorded, now);
    runs::observe(&mut turn);
    if turn.blocked() {
        return status::finish(turn);
    }
    due::anchor(&mut turn);
    claim::confirm(&mut turn);
    claim::drop_unwanted(&mut turn);
    if turn.may_start() {
        collide::take_due(&mut turn);
        claim::kill_existing(&mut turn);
        claim::create(&mut turn);
    } else {
        collide::hold_back(&mut turn);
    }
    history::tidy(&mut turn);
    status::finish(turn)
}
