//! A job whose instances run to their end, once each: what its spec asks for beyond that of a service, and what has
//! become of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{EndReason, Instance, Ranges, Run};

/// What makes a job end (Aurora: a job that is no service).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Failures at which an instance is given up, at least 1; `None` tries it again without end (Aurora: maxTaskFailures,
    /// -1).
    pub max_task_failures: Option<u32>,
    /// The most instances that have a live Pod at a time, at least 1; `None` is all.
    pub parallelism: Option<u32>,
    /// Instances that must succeed for the job to be complete, at least 1; `None` is all of them.
    pub min_succeeded: Option<u32>,
    /// Seconds a task may take from the start of its first container; then it has failed. `None` is no limit.
    pub timeout_seconds: Option<u32>,
    /// Seconds the whole job may take from its start; then it has failed. `None` is no limit.
    pub job_timeout_seconds: Option<u32>,
    /// Seconds after its end at which the job is removed with its Pods; `None` keeps it. A run is removed by its cron.
    pub ttl_seconds: Option<u32>,
    /// What runs is ended without a failure, and nothing is started.
    pub suspend: bool,
    /// How long a task may be without health; there is no liveness probe, since what is killed and exits with 0 would
    /// look finished.
    pub health: Option<HealthPatience>,
    /// What has to have ended before it starts.
    pub parents: Vec<Parent>,
    /// The cron it is a run of.
    pub run_of: Option<RunOf>,
    /// It is to end now, whatever it has done: why, in one PascalCase word.
    pub kill: Option<KillReason>,
    /// Its namespace and its name: for the words that say where a log is.
    pub called: (Arc<str>, Arc<str>),
}

/// How long a task may be without health before it has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPatience {
    /// Seconds from the start of its first container until it must have been Ready once.
    pub first_seconds: u32,
    /// Seconds it may have been without readiness after that; 0 where the readiness probe says it by itself.
    pub again_seconds: u32,
}

/// Why a run is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KillReason {
    /// The next run takes its place (Aurora: KILL_EXISTING).
    Collision,
    /// A person asked for it.
    Asked,
}

/// Which run of which cron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOf {
    /// The cron's name.
    pub cron: Arc<str>,
    /// The time it is the run of.
    pub time: Timestamp,
}

/// A job or cron that has to have ended before another starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parent {
    /// Whether it is a job or a cron.
    pub kind: ParentKind,
    /// Its name, in the same namespace.
    pub name: Arc<str>,
    /// How it must have ended.
    pub when: ParentEnd,
}

/// What a parent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParentKind {
    /// An AuroraJob.
    Job,
    /// An AuroraCron: one of its runs.
    Cron,
}

/// How a parent must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParentEnd {
    /// With success.
    Succeeded,
    /// In whatever way.
    Ended,
}

/// What is known of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParentSeen {
    /// There is such an object.
    pub exists: bool,
    /// When it, or a run of it, last succeeded.
    pub succeeded: Option<Timestamp>,
    /// When it, or a run of it, last ended in whatever way.
    pub ended: Option<Timestamp>,
}

impl ParentSeen {
    /// When it last ended as it must.
    pub fn end(&self, when: ParentEnd) -> Option<Timestamp> {
        match when {
            ParentEnd::Succeeded => self.succeeded,
            ParentEnd::Ended => self.ended,
        }
    }
}

/// What has to be known of others before a job starts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upstream<'a> {
    /// What is known of its parents, in the order of its spec.
    pub parents: &'a [ParentSeen],
    /// It waits for itself: the names along the way, the first and the last the same.
    pub cycle: Option<&'a str>,
    /// Its cron's status names this very object as a run; until then nothing of it is started.
    pub confirmed: bool,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Phase {
    /// It waits: for its parents, or for its cron to know of it.
    #[default]
    Waiting,
    /// Its instances run, or are to.
    Running,
    /// It is suspended.
    Suspended,
    /// It is over, its last Pods are ending; how it ended is decided.
    Ending,
    /// It has succeeded.
    Complete,
    /// It has failed.
    Failed,
}

impl Phase {
    /// Whether it has ended for good, its Pods included.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }
}

/// Why a job has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchFailure {
    /// Too many instances have failed.
    Instances,
    /// It has taken longer than it may.
    TimedOut,
    /// It was ended: the next run of its cron took its place, or a person asked.
    Killed(KillReason),
}

/// The first instance of a job that failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceFailure {
    /// Which.
    pub instance: Instance,
    /// Its last run.
    pub run: Run,
    /// Why that ended.
    pub reason: EndReason,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// When.
    pub at: Timestamp,
}

/// What has become of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BatchStatus {
    /// How far it has come.
    pub phase: Phase,
    /// When its first Pod was due to be made; from then its time counts. Gone while it is suspended.
    pub started: Option<Timestamp>,
    /// When it was decided how it ends.
    pub ended: Option<Timestamp>,
    /// Instances that have succeeded.
    pub succeeded: Ranges,
    /// Instances that were given up.
    pub failed: Ranges,
    /// How often instances have failed so far, by how often: the Pods that failed may be gone, and that of a preempted
    /// successor as well.
    pub failures: Vec<(u32, Ranges)>,
    /// The first instance that was given up.
    pub first_failure: Option<InstanceFailure>,
    /// Why it failed, if it did.
    pub failure: Option<BatchFailure>,
    /// The parents it waits for, `Kind/name`.
    pub waits_for: Vec<String>,
    /// The parents that have ended as they must, `Kind/name`: they may be gone before it begins. Only what is recorded here
    /// lets it begin.
    pub parents_ended: Vec<String>,
}

impl BatchStatus {
    /// How often an instance has failed so far.
    pub fn failures_of(&self, instance: Instance) -> u32 {
        let found = self.failures.iter().find(|(_, instances)| instances.contains(instance));
        found.map_or(0, |(count, _)| *count)
    }

    /// Failures so far, of all instances.
    pub fn failures(&self) -> u32 {
        let each = self.failures.iter().map(|(count, instances)| count.saturating_mul(instances.len()));
        each.fold(0, u32::saturating_add)
    }
}
