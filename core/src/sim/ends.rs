//! What may be wrong with the end of a task that a plan orders. Called by the oracle, which would otherwise have to
//! take the planner's word for a Pod that was given up.

use jiff::{SignedDuration, Timestamp};

use crate::{
    model::*,
    plan::{Ended, Plan},
};

use super::cache::Snapshot;

/// What is wrong with the way in which a task is ended, whatever the planner calls it.
pub(super) fn objection(
    snapshot: &Snapshot,
    plan: &Plan,
    uid: Uid,
    intent: Intent,
    how: Ended,
    local: Timestamp,
) -> Option<String> {
    let task = snapshot.tasks.iter().find(|task| task.uid == uid)?;
    let Task { instance, run, .. } = task;
    // Only such a one may be left out where live Pods are counted.
    if how.gives_up() {
        let lost = task.node.is_some_and(|node| snapshot.lost_nodes.contains_key(&node));
        let overdue = task.ending.is_some_and(|ending| {
            let patience = SignedDuration::from_secs(i64::from(ending.grace_seconds) + 300);
            ending.deleting && local.duration_since(ending.at) >= patience
        });
        let is_due = if how == Ended::Lost { lost } else { overdue };
        return (!is_due).then(|| format!("gives up run {run} of instance {instance} too early"));
    }
    let is_due = match intent {
        Intent::Kill | Intent::Lose => true,
        Intent::Finish => task.half_ended || task.intent() == Some(Intent::Finish),
        Intent::Restart => task.intent() == Some(Intent::Restart) || is_to_be_made_anew(snapshot, plan, task),
        Intent::Drain | Intent::Preempt | Intent::TimeOut | Intent::Unhealthy => false,
    };
    (!is_due).then(|| format!("ends run {run} of instance {instance} for {intent:?}"))
}

/// Whether an update works on the task's instance, and was asked to restart the task or has counted a failure of it.
fn is_to_be_made_anew(snapshot: &Snapshot, plan: &Plan, task: &Task) -> bool {
    let Some(update) = &snapshot.update else { return false };
    let written = plan.progress.as_ref().map(|(_, progress)| progress);
    let Some(progress) = written.or(update.progress.as_ref()) else { return false };
    let is_old = update.settings.restart_at.is_some_and(|at| task.created < at && task.run <= progress.floor);
    let has_failed = progress.failures.get(&task.instance).is_some_and(|it| it.last_pod == Some(task.uid));
    progress.working.contains(task.instance) && (has_failed || (is_old && !progress.state.is_back()))
}
