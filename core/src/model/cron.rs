//! A cron: when its runs are due, what happens when they meet, and what its status records of them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{BatchFailure, Condition, Parent, Uid};
use crate::schedule::Schedule;

/// One AuroraCron, read from its spec and metadata.
#[derive(Debug, Clone)]
pub struct Cron {
    /// The object's name.
    pub name: Arc<str>,
    /// The object's uid.
    pub uid: Uid,
    /// The object's generation.
    pub generation: i64,
    /// When it was made.
    pub created: Timestamp,
    /// The object is being deleted; nothing is started any more.
    pub deleting: bool,
    /// When runs are due; `None` where only its parents say it.
    pub schedule: Option<Arc<Schedule>>,
    /// The rules and the zone as the spec says them, in one text: another text begins anew.
    pub schedule_text: Arc<str>,
    /// No run is started; what is due meanwhile is not made up.
    pub suspend: bool,
    /// What happens where a run is due while one goes on.
    pub collision: Collision,
    /// Which of the times that were missed are made up.
    pub catch_up: CatchUp,
    /// Seconds by which starts are spread, by the cron's own share of them.
    pub jitter_seconds: u32,
    /// The newest runs that succeeded, and those that did not, that are kept.
    pub history: RunHistory,
    /// What has to have ended since its last run before the next one.
    pub parents: Vec<Parent>,
    /// A run that was asked for, due at this time.
    pub run_at: Option<Timestamp>,
}

/// What happens where a run is due while one goes on (Aurora: CronCollisionPolicy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collision {
    /// It is ended; when its Pods are gone the next one starts.
    KillExisting,
    /// The run that is due is left out.
    CancelNew,
    /// The run that is due waits for the end of the other; one waits at the most.
    Queue,
}

/// Which of the times that were missed are made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CatchUp {
    /// None, as in Aurora: a time is missed a minute after it was due, or when the next is due.
    None,
    /// The last one, if it is not older than this.
    Latest {
        /// In seconds.
        window_seconds: u32,
    },
    /// All that are not older than this, one after the other, a hundred at the most.
    All {
        /// In seconds.
        window_seconds: u32,
    },
}

/// How many runs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunHistory {
    /// The newest that succeeded.
    pub succeeded: u32,
    /// The newest that did not.
    pub failed: u32,
}

/// An AuroraJob that is a run of a cron, as the cron sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSeen {
    /// Its name.
    pub name: Arc<str>,
    /// Its uid.
    pub uid: Uid,
    /// The time it is the run of.
    pub time: Timestamp,
    /// When the object was made.
    pub created: Timestamp,
    /// It is being deleted.
    pub deleting: bool,
    /// Its controller is this very cron; otherwise it stands where a run of it would.
    pub owned: bool,
    /// It was told to end.
    pub killed: bool,
    /// How it ended; `None` while it goes on. A run has only ended when its Pods are gone or have ended.
    pub end: Option<RunEnd>,
    /// When its first Pod was due to be made.
    pub started: Option<Timestamp>,
    /// Seconds after its end at which it is removed.
    pub ttl_seconds: Option<u32>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEnd {
    /// When.
    pub at: Timestamp,
    /// Why it failed; `None` where it succeeded.
    pub failure: Option<BatchFailure>,
}

/// Why a time has no run of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skipped {
    /// A run went on (`CancelNew`).
    Collision,
    /// Another run was waiting for its turn already; or it could not start, and a person asked for another.
    AnotherWaits,
    /// It was missed: nobody was there in time.
    Missed,
    /// It waited for its turn when its cron was suspended.
    Suspended,
    /// A person had asked for it, and took that back before its turn came.
    Withdrawn,
}

/// What became of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunOutcome {
    /// The run goes on.
    Active,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed(BatchFailure),
    /// Its object was removed while it went on.
    Removed,
    /// There was none.
    Skipped(Skipped),
}

/// A run as the status records it, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The time it is the run of.
    pub time: Timestamp,
    /// What called for it.
    pub cause: RunCause,
    /// The object's uid; none of a time that was skipped. Only an object of this uid is ever started.
    pub uid: Option<Uid>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What became of it.
    pub outcome: RunOutcome,
}

/// A run that was claimed and is not yet confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRun {
    /// The time it is the run of.
    pub time: Timestamp,
    /// What called for it.
    pub cause: RunCause,
}

/// What calls for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunCause {
    /// Its schedule.
    Schedule,
    /// Its schedule, made up for later.
    CatchUp,
    /// A person.
    Asked,
    /// The end of its parents.
    Parents,
}

impl RunCause {
    /// Whether the run is one of its schedule's times.
    pub fn is_schedules(self) -> bool {
        matches!(self, Self::Schedule | Self::CatchUp)
    }
}

/// The status of a cron.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CronStatus {
    /// The generation of the spec it was computed from.
    pub observed_generation: i64,
    /// The schedule it was computed from.
    pub observed_schedule: Option<Arc<str>>,
    /// It was suspended when that was last looked at.
    pub suspended: bool,
    /// Times up to and including this one are dealt with: run, left out or missed.
    pub last_scheduled: Option<Timestamp>,
    /// The run that was last asked for and is dealt with.
    pub observed_run_at: Option<Timestamp>,
    /// The run whose turn is next: claimed, its object not yet known by uid.
    pub pending: Option<PendingRun>,
    /// What became of the last times, the newest first: of ten, of all whose run goes on, and of the newest that had a run.
    pub runs: Vec<RunRecord>,
    /// When a run last succeeded: what children wait for.
    pub last_succeeded: Option<Timestamp>,
    /// When a run last ended.
    pub last_ended: Option<Timestamp>,
    /// How many times were missed, ever; of one gap a hundred are counted at the most.
    pub missed: u32,
    /// When the next run is due, jitter included.
    pub next: Option<Timestamp>,
    /// The parents it waits for, `Kind/name`.
    pub waits_for: Vec<String>,
    /// Ready, Reconciling, Stalled.
    pub conditions: Vec<Condition>,
}
