//! AuroraCron: its spec to `model::Cron`, its status both ways.

use std::sync::Arc;

use borealis_core::{
    model::{self, BatchFailure, KillReason, Skipped},
    plan::cron::run_name,
    schedule::{Schedule, ScheduleError},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{job::parents, number, run_object, service, signed, task, time, uid, unsigned, whole};
use crate::api::cron::{CatchUpPolicy, CollisionPolicy};
use crate::api::cron_status::{AuroraCronStatus, PendingRun, RunCause, RunOutcome, RunRecord};
use crate::api::{AuroraCron, AuroraCronSpec, AuroraJob, Invalid};

/// What stands in the place of schedules where there are none.
const BY_PARENTS: &str = "after its parents";
/// The zone of a cron that names none.
const UTC: &str = "UTC";

/// What the planner is told of a cron. `schedule` reads rules in a zone, or has read the same before.
///
/// # Errors
/// When the spec cannot be acted upon; the text is made for the `Stalled` condition.
pub fn cron(
    object: &AuroraCron,
    schedule: impl FnOnce(&[String], &str) -> Result<Arc<Schedule>, ScheduleError>,
) -> Result<model::Cron, Invalid> {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let zone = spec.time_zone.as_deref().unwrap_or(UTC);
    let schedule = match &spec.schedules[..] {
        [] if spec.parents.is_empty() => Err(ScheduleError::NoSchedule),
        [] => Ok(None),
        rules => schedule(rules, zone).map(Some),
    };
    let created = task::created(metadata);
    check_job(run_object(metadata, &spec.job, created), object)?;
    let window = || number("spec.catchUp.windowSeconds", spec.catch_up.window_seconds, 60, 2_592_000);
    Ok(model::Cron {
        name: metadata.name.as_deref().unwrap_or_default().into(),
        uid: uid(metadata)?,
        generation: metadata.generation.unwrap_or_default(),
        created,
        deleting: metadata.deletion_timestamp.is_some(),
        schedule: schedule.map_err(|error| refused(&error))?,
        schedule_text: text(spec, zone),
        suspend: spec.suspend,
        collision: match spec.collision_policy {
            CollisionPolicy::KillExisting => model::Collision::KillExisting,
            CollisionPolicy::CancelNew => model::Collision::CancelNew,
            CollisionPolicy::Queue => model::Collision::Queue,
        },
        catch_up: match spec.catch_up.policy {
            CatchUpPolicy::None => model::CatchUp::None,
            CatchUpPolicy::Latest => model::CatchUp::Latest { window_seconds: window()? },
            CatchUpPolicy::All => model::CatchUp::All { window_seconds: window()? },
        },
        jitter_seconds: number("spec.jitterSeconds", spec.jitter_seconds, 0, 3_600)?,
        history: model::RunHistory {
            succeeded: number("spec.history.succeeded", spec.history.succeeded, 0, 100)?,
            failed: number("spec.history.failed", spec.history.failed, 0, 100)?,
        },
        parents: parents(&spec.parents),
        run_at: spec.run_at.as_ref().map(whole),
    })
}

/// Its runs can be acted upon.
fn check_job(mut run: AuroraJob, cron: &AuroraCron) -> Result<(), Invalid> {
    // It has none before it is made; any will do.
    run.metadata.uid.clone_from(&cron.metadata.uid);
    let Err(invalid) = super::job(&run, "") else { return Ok(()) };
    Err(Invalid::Field { field: "spec.job", reason: format!("in a run of it, {invalid}") })
}

fn refused(error: &ScheduleError) -> Invalid {
    let field = match error {
        ScheduleError::UnknownZone { .. } => "spec.timeZone",
        _ => "spec.schedules",
    };
    Invalid::Field { field, reason: error.to_string() }
}

/// Rules and zone in one text; [`split`] takes them apart.
fn text(spec: &AuroraCronSpec, zone: &str) -> Arc<str> {
    let rules = if spec.schedules.is_empty() { BY_PARENTS.to_owned() } else { spec.schedules.join("; ") };
    format!("{rules} ({zone})").into()
}

fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_suffix(')')?.rsplit_once(" (")
}

/// What the planner is told of a recorded status; `None` if there is none it could go by.
#[must_use]
pub fn cron_status(status: &AuroraCronStatus) -> Option<model::CronStatus> {
    let at = |time: &Option<Time>| time.as_ref().map(|at| at.0);
    let observed = status.schedule.as_ref().zip(status.time_zone.as_ref());
    Some(model::CronStatus {
        observed_generation: status.observed_generation?,
        observed_schedule: observed.map(|(rules, zone)| format!("{rules} ({zone})").into()),
        suspended: status.suspended,
        last_scheduled: at(&status.last_scheduled_time),
        observed_run_at: at(&status.observed_run_at),
        pending: status
            .pending_run
            .as_ref()
            .map(|pending| model::PendingRun { time: pending.scheduled_time.0, cause: pending.cause.into() }),
        runs: status.runs.iter().map(record).collect::<Option<_>>()?,
        last_succeeded: at(&status.last_succeeded_time),
        last_ended: at(&status.last_ended_time),
        missed: unsigned(status.missed),
        next: at(&status.next_run_time),
        waits_for: status.waits_for.clone(),
        conditions: status.conditions.iter().filter_map(service::condition).collect(),
    })
}

/// A record without its uid would make a stray of the run, so one that can't be read is none at all.
fn record(recorded: &RunRecord) -> Option<model::RunRecord> {
    Some(model::RunRecord {
        time: recorded.scheduled_time.0,
        cause: recorded.cause.into(),
        uid: match recorded.uid.as_deref() {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        },
        started: recorded.start_time.as_ref().map(|at| at.0),
        ended: recorded.end_time.as_ref().map(|at| at.0),
        outcome: recorded.outcome.into(),
    })
}

/// The status to write for what the planner computed, of the cron of this name.
#[must_use]
pub fn cron_status_object(status: &model::CronStatus, cron: &str) -> AuroraCronStatus {
    let (rules, zone) = status.observed_schedule.as_deref().and_then(split).unzip();
    let had_a_run = |record: &&model::RunRecord| !matches!(record.outcome, model::RunOutcome::Skipped(_));
    let last = status.runs.iter().find(had_a_run);
    let active = status.runs.iter().filter(|record| record.outcome == model::RunOutcome::Active).count();
    AuroraCronStatus {
        observed_generation: Some(status.observed_generation),
        schedule: rules.map(str::to_owned),
        time_zone: zone.map(str::to_owned),
        suspended: status.suspended,
        last_scheduled_time: status.last_scheduled.map(time),
        observed_run_at: status.observed_run_at.map(time),
        pending_run: status
            .pending
            .map(|pending| PendingRun { scheduled_time: time(pending.time), cause: pending.cause.into() }),
        runs: status.runs.iter().map(|record| record_object(record, cron)).collect(),
        active: i32::try_from(active).unwrap_or(i32::MAX),
        last_run_time: last.map(|record| time(record.time)),
        last_outcome: last.map(|record| record.outcome.into()),
        last_succeeded_time: status.last_succeeded.map(time),
        last_ended_time: status.last_ended.map(time),
        missed: signed(status.missed),
        next_run_time: status.next.map(time),
        waits_for: status.waits_for.clone(),
        conditions: status
            .conditions
            .iter()
            .map(|condition| service::condition_object(condition, status.observed_generation))
            .collect(),
    }
}

fn record_object(record: &model::RunRecord, cron: &str) -> RunRecord {
    let model::RunRecord { time: at, cause, uid, started, ended, outcome } = *record;
    let took = started.zip(ended).map(|(started, ended)| ended.as_second() - started.as_second());
    RunRecord {
        scheduled_time: time(at),
        cause: cause.into(),
        name: uid.map(|_| run_name(cron, at).to_string()),
        uid: uid.map(|uid| uid.to_string()),
        start_time: started.map(time),
        end_time: ended.map(time),
        duration_seconds: took,
        outcome: outcome.into(),
    }
}

impl From<model::RunCause> for RunCause {
    fn from(cause: model::RunCause) -> Self {
        match cause {
            model::RunCause::Schedule => Self::Schedule,
            model::RunCause::CatchUp => Self::CatchUp,
            model::RunCause::Asked => Self::Asked,
            model::RunCause::Parents => Self::Parents,
        }
    }
}

impl From<RunCause> for model::RunCause {
    fn from(cause: RunCause) -> Self {
        match cause {
            RunCause::Schedule => Self::Schedule,
            RunCause::CatchUp => Self::CatchUp,
            RunCause::Asked => Self::Asked,
            RunCause::Parents => Self::Parents,
        }
    }
}

impl From<model::RunOutcome> for RunOutcome {
    fn from(outcome: model::RunOutcome) -> Self {
        match outcome {
            model::RunOutcome::Active => Self::Active,
            model::RunOutcome::Succeeded => Self::Succeeded,
            model::RunOutcome::Failed(BatchFailure::Instances) => Self::Failed,
            model::RunOutcome::Failed(BatchFailure::TimedOut) => Self::TimedOut,
            model::RunOutcome::Failed(BatchFailure::Killed(KillReason::Collision)) => Self::Killed,
            model::RunOutcome::Failed(BatchFailure::Killed(KillReason::Asked)) => Self::KilledAsked,
            model::RunOutcome::Removed => Self::Removed,
            model::RunOutcome::Skipped(Skipped::Collision) => Self::SkippedCollision,
            model::RunOutcome::Skipped(Skipped::AnotherWaits) => Self::SkippedAnotherWaits,
            model::RunOutcome::Skipped(Skipped::Missed) => Self::SkippedMissed,
            model::RunOutcome::Skipped(Skipped::Suspended) => Self::SkippedSuspended,
            model::RunOutcome::Skipped(Skipped::Withdrawn) => Self::SkippedWithdrawn,
        }
    }
}

impl From<RunOutcome> for model::RunOutcome {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Active => Self::Active,
            RunOutcome::Succeeded => Self::Succeeded,
            RunOutcome::Failed => Self::Failed(BatchFailure::Instances),
            RunOutcome::TimedOut => Self::Failed(BatchFailure::TimedOut),
            RunOutcome::Killed => Self::Failed(BatchFailure::Killed(KillReason::Collision)),
            RunOutcome::KilledAsked => Self::Failed(BatchFailure::Killed(KillReason::Asked)),
            RunOutcome::Removed => Self::Removed,
            RunOutcome::SkippedCollision => Self::Skipped(Skipped::Collision),
            RunOutcome::SkippedAnotherWaits => Self::Skipped(Skipped::AnotherWaits),
            RunOutcome::SkippedMissed => Self::Skipped(Skipped::Missed),
            RunOutcome::SkippedSuspended => Self::Skipped(Skipped::Suspended),
            RunOutcome::SkippedWithdrawn => Self::Skipped(Skipped::Withdrawn),
        }
    }
}

#[cfg(test)]
mod tests;
