//! What people are told of a cron: each run that starts, ends, is left out, missed or killed.

use jiff::Timestamp;

use crate::model::{BatchFailure, Cron, KillReason, PendingRun, RunCause, RunOutcome, RunRecord, Skipped};

use super::{due::Missed, run_name};
use crate::plan::Event;

const RUN_STARTED: &str = "RunStarted";
const RUN_SUCCEEDED: &str = "RunSucceeded";
const RUN_FAILED: &str = "RunFailed";
const RUN_KILLED: &str = "RunKilled";
const RUN_SKIPPED: &str = "RunSkipped";
const RUN_MISSED: &str = "RunMissed";

/// The reasons of all events of crons.
pub const REASONS: [&str; 6] = [RUN_STARTED, RUN_SUCCEEDED, RUN_FAILED, RUN_KILLED, RUN_SKIPPED, RUN_MISSED];

pub(super) fn started(cron: &Cron, pending: PendingRun, name: &str) -> Event {
    let why = match pending.cause {
        RunCause::Schedule => "by its schedule",
        RunCause::CatchUp => "late, since it was missed",
        RunCause::Asked => "since spec.runAt asks for it",
        RunCause::Parents => "since its parents have ended",
    };
    event(false, RUN_STARTED, format!("run {name} of {} starts, {why}{}", pending.time, of(cron)))
}

pub(super) fn ended(cron: &Cron, record: &RunRecord) -> Option<Event> {
    let (reason, what) = match record.outcome {
        RunOutcome::Succeeded => (RUN_SUCCEEDED, "has succeeded"),
        RunOutcome::Failed(failure) => (RUN_FAILED, words(failure)),
        RunOutcome::Removed => (RUN_FAILED, "was removed while it went on"),
        RunOutcome::Active | RunOutcome::Skipped(_) => return None,
    };
    let name = run_name(&cron.name, record.time);
    Some(event(reason == RUN_FAILED, reason, format!("run {name} {what}")))
}

fn words(failure: BatchFailure) -> &'static str {
    match failure {
        BatchFailure::Instances => "has failed: too many of its instances have",
        BatchFailure::TimedOut => "has failed: it took longer than it may",
        BatchFailure::Killed(KillReason::Collision) => "was ended for the next one",
        BatchFailure::Killed(KillReason::Asked) => "was ended by a person",
    }
}

pub(super) fn killed(cron: &Cron, name: &str, next: PendingRun) -> Event {
    let next = run_name(&cron.name, next.time);
    event(false, RUN_KILLED, format!("run {name} is ended: {next} takes its place (spec.collisionPolicy)"))
}

pub(super) fn skipped(cron: &Cron, time: Timestamp, why: Skipped) -> Event {
    let name = run_name(&cron.name, time);
    let why = match why {
        Skipped::Collision => "the last one goes on (spec.collisionPolicy)",
        Skipped::AnotherWaits => "another waits for its turn",
        Skipped::Missed => "it was missed",
        Skipped::Suspended => "the cron was suspended before its turn came",
        Skipped::Withdrawn => "spec.runAt does not ask for it any more",
    };
    event(false, RUN_SKIPPED, format!("run {name} of {time} is left out: {why}"))
}

/// A claim is left out for what a person asks for.
pub(super) fn gave_way(cron: &Cron, time: Timestamp) -> Event {
    let name = run_name(&cron.name, time);
    let words =
        format!("run {name} of {time} is left out: it could not start, and spec.runAt asks for another");
    event(false, RUN_SKIPPED, words)
}

pub(super) fn missed(cron: &Cron, missed: &Missed) -> Event {
    let Missed { count, first, last } = missed;
    let message = match count {
        1 => format!("the run of {last} was missed{}", of(cron)),
        2..=99 => format!("{count} runs were missed, of {first} to {last}{}", of(cron)),
        _ => format!("{count} runs or more were missed, of {first} to {last}{}", of(cron)),
    };
    event(true, RUN_MISSED, message)
}

fn of(cron: &Cron) -> String {
    if cron.schedule_text.is_empty() { String::new() } else { format!(" ({})", cron.schedule_text) }
}

fn event(warning: bool, reason: &'static str, message: String) -> Event {
    Event { warning, reason, message, update: None }
}
