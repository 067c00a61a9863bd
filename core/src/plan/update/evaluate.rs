//! How one instance of an update is doing (Aurora: InstanceUpdater, StateEvaluator).
//!
//! Preempted, drained, evicted and lost tasks are nobody's failure here, and a tolerated number of failures and the
//! wait for RUNNING are counted on what is durable: the update's progress and the Pods.

use jiff::Timestamp;

use crate::model::{EndReason, Failures, Instance, Progress, Revision, Run, Stage, Task, TaskState, Update};

use super::{
    super::{fleet::Fleet, targets},
    after,
    checks::{self, Said},
};

/// A Pod that stopped being Ready has this many seconds before that counts: where its node was lost, the node says so
/// a little later.
const UNREADY_GRACE: u32 = 5;

/// How one instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what it shall be, and has been RUNNING long enough.
    Good,
    /// It failed more often than is borne, or took too long.
    Failed,
    /// Not yet known; by time alone it will be at this time.
    Wait(Option<Timestamp>),
}

/// How an instance is doing that shall have a config, or go; and its failures, where it has any.
pub(super) fn evaluate(
    fleet: &Fleet<'_>,
    update: &Update,
    progress: &Progress,
    instance: Instance,
    wanted: Option<Revision>,
    counted: Option<Failures>,
) -> (Verdict, Option<Failures>) {
    let mut lives = fleet.lives(instance);
    let (live, other) = (lives.next_back(), lives.next_back());
    let Some(wanted) = wanted else {
        return (if live.is_some() { Verdict::Wait(None) } else { Verdict::Good }, counted);
    };
    let failures = count(fleet.tasks(instance), wanted, update, progress.floor, counted);
    let borne = update.settings.max_per_instance_failures;
    if failures.as_ref().is_some_and(|failures| failures.count > borne) {
        return (Verdict::Failed, failures);
    }
    // What could not be changed in place is no better than what it was: its end is waited for.
    let is_stuck = |task: &Task| task.change().is_some_and(|change| change.stage == Stage::Stuck);
    let live = live.filter(|task| {
        task.revision == wanted && !is_stuck(task) && !targets::is_to_be_restarted(update, progress, task)
    });
    if let Some(task) = live
        && fleet.state(task).0 == TaskState::Running
        && let (true, Some(since)) = (task.ready && task.is_settled(), task.ready_since)
    {
        // It is being made anew: that the check holds meanwhile changes nothing.
        if let Some(found) = &failures
            && (found.reason, found.last_pod) == (EndReason::CheckFailed, Some(task.uid))
        {
            return (Verdict::Wait(None), failures);
        }
        let good_at = after(since, watch(update.settings.watch_seconds));
        return match checks::said(fleet, update, progress, task, since) {
            Said::Fail(what) => {
                found_wanting(fleet, update, task, failures.as_ref(), EndReason::CheckFailed, &what)
            }
            Said::Hold | Said::Nothing if good_at > fleet.now => (Verdict::Wait(Some(good_at)), failures),
            Said::Hold if other.is_none() => (Verdict::Good, failures),
            // It is not done before the one whose place it takes is gone. The next measurement asks for another plan.
            Said::Hold | Said::Nothing => (Verdict::Wait(None), failures),
        };
    }
    let Some(task) = live else {
        if !fleet.is_stored(wanted) {
            return (Verdict::Failed, Some(unstored(fleet, wanted, failures)));
        }
        // Waiting for an old task's end, for its time after flapping or for an operator is nobody's failure. What
        // the API server refuses is: the wait counts from when instances were last taken on.
        if fleet.view.problem.is_none() {
            return (Verdict::Wait(None), failures);
        }
        return wait(fleet, update, progress.advanced, None, failures);
    };
    if let Some(verdict) = unready(fleet, update, progress, task, failures.as_ref()) {
        return verdict;
    }
    // It was good so far and is being moved, or its node is lost: nobody's failure, and its successor has its own time.
    if task.ready_since.is_some() && (task.ending.is_some() || fleet.state(task).0 == TaskState::Partitioned)
    {
        return (Verdict::Wait(None), failures);
    }
    let begun = task.ready_since.unwrap_or(task.begun());
    // A task that was there before this direction began has its time from when it was taken on.
    let begun = if is_of(update, progress.floor, task) { begun } else { begun.max(progress.advanced) };
    wait(fleet, update, begun, Some(task), failures)
}

/// Whether a task has been RUNNING for its watch, and the checks hold.
pub(in crate::plan) fn has_passed(
    fleet: &Fleet<'_>,
    update: &Update,
    progress: &Progress,
    task: &Task,
) -> bool {
    let since = task.ready_since.filter(|_| fleet.serves(task));
    since.is_some_and(|since| {
        after(since, watch(update.settings.watch_seconds)) <= fleet.now
            && checks::said(fleet, update, progress, task, since) == Said::Hold
    })
}

/// What it means that a task which was RUNNING in its watch is not Ready any more: a failure. Until its instance has
/// failed too often, the task is made anew.
fn unready(
    fleet: &Fleet<'_>,
    update: &Update,
    progress: &Progress,
    task: &Task,
    failures: Option<&Failures>,
) -> Option<(Verdict, Option<Failures>)> {
    let was_ready = task.ready_since.filter(|_| !task.ready && fleet.state(task).0 == TaskState::Running)?;
    // What was there before this direction began has not been brought about by it.
    if update.settings.watch_seconds == 0 || !is_of(update, progress.floor, task) {
        return None;
    }
    if failures.is_some_and(|failures| failures.last_pod == Some(task.uid)) {
        return Some((Verdict::Wait(None), failures.cloned()));
    }
    let counts_at = after(task.unready_since.unwrap_or(was_ready), UNREADY_GRACE);
    if fleet.now < counts_at {
        return Some((Verdict::Wait(Some(counts_at)), failures.cloned()));
    }
    let what = "stopped being Ready within the watch";
    Some(found_wanting(fleet, update, task, failures, EndReason::Unready, what))
}

/// Counts a task that lives on as failed, for what is to be said of its run.
fn found_wanting(
    fleet: &Fleet<'_>,
    update: &Update,
    task: &Task,
    failures: Option<&Failures>,
    reason: EndReason,
    what: &str,
) -> (Verdict, Option<Failures>) {
    let count = failures.map_or(0, |failures| failures.count) + 1;
    let failures = Failures {
        count,
        last_pod: Some(task.uid),
        last_run: task.run,
        reason,
        exit_code: None,
        message: format!("run {} {what}", task.run),
        at: fleet.now,
    };
    let failed = count > update.settings.max_per_instance_failures;
    (if failed { Verdict::Failed } else { Verdict::Wait(None) }, Some(failures))
}

/// Waits for RUNNING up to the deadline.
fn wait(
    fleet: &Fleet<'_>,
    update: &Update,
    begun: Timestamp,
    live: Option<&Task>,
    failures: Option<Failures>,
) -> (Verdict, Option<Failures>) {
    if update.settings.max_wait_seconds == 0 {
        return (Verdict::Wait(None), failures);
    }
    let deadline = after(begun, update.settings.max_wait_seconds);
    if fleet.now < deadline {
        return (Verdict::Wait(Some(deadline)), failures);
    }
    (Verdict::Failed, Some(too_slow(fleet, update, live, failures)))
}

/// Seconds from the time the API server gives for RUNNING to the end of the watch. It gives whole seconds, cut off: one
/// more makes sure that none is missing.
fn watch(seconds: u32) -> u32 {
    if seconds == 0 { 0 } else { seconds.saturating_add(1) }
}

/// Counts the failures of what the update made that were not counted yet.
pub(super) fn count(
    tasks: &[Task],
    wanted: Revision,
    update: &Update,
    floor: Run,
    counted: Option<Failures>,
) -> Option<Failures> {
    // By its run: the Pod that was counted last may be gone while an older one is kept.
    let known = counted.as_ref().map_or(0, |failures| failures.last_run);
    let made = tasks.iter().rev().take_while(|task| task.run > known);
    let mut fresh: Vec<&Task> = made
        .filter(|task| is_of(update, floor, task) && task.revision == wanted && is_failure(task))
        .collect();
    fresh.reverse();
    let mut failures = counted;
    for task in fresh {
        failures = Some(Failures {
            count: failures.as_ref().map_or(0, |failures| failures.count) + 1,
            last_pod: Some(task.uid),
            last_run: task.run,
            reason: task.end.unwrap_or(EndReason::Unknown),
            exit_code: task.exit_code,
            message: end_message(task),
            at: task.ended.unwrap_or(task.created),
        });
    }
    failures
}

/// Whether the update has brought a task about: made it, or changed it in place.
pub(super) fn is_of(update: &Update, floor: Run, task: &Task) -> bool {
    task.run > floor || task.changed_by(update.number)
}

/// A service's task that ends by itself has failed, whatever its exit code.
fn is_failure(task: &Task) -> bool {
    matches!(task.state, TaskState::Failed | TaskState::Finished)
}

fn end_message(task: &Task) -> String {
    let code = task.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
    match task.end {
        Some(EndReason::OutOfMemory) => format!("run {} was ended at its memory limit{code}", task.run),
        Some(EndReason::OwnLimit) => {
            format!("run {} was evicted for passing its own storage limit", task.run)
        }
        _ => format!("run {} ended{code}", task.run),
    }
}

fn too_slow(fleet: &Fleet<'_>, update: &Update, live: Option<&Task>, failures: Option<Failures>) -> Failures {
    let stands = match live.map(|task| (fleet.state(task).0, task.ready_since)) {
        None => "it has no Pod",
        Some((TaskState::Pending, _)) => "its Pod has no node",
        Some((TaskState::Assigned, _)) => "its containers have not started",
        Some((TaskState::Partitioned, _)) => "its node is lost",
        Some((_, Some(_))) => "it was Ready and is no more",
        Some((_, None)) => "it runs and is not Ready",
    };
    let cause = live.and_then(|task| task.waiting).map(|waiting| format!("; it {}", waiting.words()));
    Failures {
        count: failures.map_or(0, |failures| failures.count) + 1,
        last_pod: live.map(|task| task.uid),
        last_run: live.map_or(0, |task| task.run),
        reason: EndReason::TooSlow,
        exit_code: None,
        message: format!(
            "not RUNNING within the {} s of maxWaitSeconds: {stands}{}",
            update.settings.max_wait_seconds,
            cause.unwrap_or_default()
        ),
        at: fleet.now,
    }
}

fn unstored(fleet: &Fleet<'_>, wanted: Revision, failures: Option<Failures>) -> Failures {
    Failures {
        count: failures.map_or(0, |failures| failures.count) + 1,
        last_pod: None,
        last_run: 0,
        reason: EndReason::Unknown,
        exit_code: None,
        message: format!("its config {wanted} is not stored any more"),
        at: fleet.now,
    }
}
