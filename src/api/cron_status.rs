//! `AuroraCron.status`: which times are dealt with, and what became of the last runs.
//!
//! That a run is made exactly once rests on it: it is written, guarded by its resourceVersion, before a run is made and
//! after. Written by the executor from what the planner computed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observed;

/// Which times are dealt with, and what became of the last runs. Written by the operator only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuroraCronStatus {
    /// The metadata.generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "observed::read")]
    pub observed_generation: Option<i64>,
    /// The schedules that are followed, with `; ` between them. Another one begins anew: nothing of before is made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub schedule: Option<String>,
    /// The time zone that they are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
    /// Whether it was suspended when that was last looked at.
    pub suspended: bool,
    /// Times up to and including this one are dealt with: run, left out or missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scheduled_time: Option<Time>,
    /// `spec.runAt` that was last dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_run_at: Option<Time>,
    /// The run whose turn is next: it was decided that it is made, and its object is not yet known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_run: Option<PendingRun>,
    /// What became of the last times, the newest first: of ten, of all whose run goes on, and of the newest that had a run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub runs: Vec<RunRecord>,
    /// Runs that go on. Unit: runs.
    pub active: i32,
    /// The time that the last run is the run of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_time: Option<Time>,
    /// What became of the last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<RunOutcome>,
    /// When a run last succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_succeeded_time: Option<Time>,
    /// When a run last ended, in whatever way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ended_time: Option<Time>,
    /// How many times were missed since it was made; of one gap a hundred are counted at the most. Unit: times.
    pub missed: i32,
    /// When the next run is due, its share of the jitter included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_time: Option<Time>,
    /// The parents that it waits for, by kind and name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub waits_for: Vec<String>,
    /// Ready, Reconciling and Stalled, as kstatus reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// A run that was decided and whose object is not yet known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingRun {
    /// The time it is the run of.
    pub scheduled_time: Time,
    /// What called for it.
    pub cause: RunCause,
}

/// What calls for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunCause {
    /// Its schedule.
    Schedule,
    /// Its schedule, made up for later.
    CatchUp,
    /// A person, by `spec.runAt`.
    Asked,
    /// The end of its parents.
    Parents,
}

/// What became of a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The time.
    pub scheduled_time: Time,
    /// What called for it.
    pub cause: RunCause,
    /// Name of its AuroraJob, which may be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub name: Option<String>,
    /// The uid of that: only an object of this uid is ever started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub uid: Option<String>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// How long it took. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// What became of it.
    pub outcome: RunOutcome,
}

/// What became of a run, or why there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunOutcome {
    /// It goes on.
    Active,
    /// It succeeded.
    Succeeded,
    /// Too many of its instances failed.
    Failed,
    /// It took longer than it may.
    TimedOut,
    /// The next run took its place.
    Killed,
    /// A person asked for its end.
    KilledAsked,
    /// Its AuroraJob was removed while it went on.
    Removed,
    /// There was none, since another went on.
    SkippedCollision,
    /// There was none, since another was waiting for its turn already; or it could not start, and a person asked for another.
    SkippedAnotherWaits,
    /// There was none: nobody was there in time.
    SkippedMissed,
    /// There was none: it waited for its turn when its cron was suspended.
    SkippedSuspended,
    /// There was none: a person had asked for it, and took that back before its turn came.
    SkippedWithdrawn,
}
