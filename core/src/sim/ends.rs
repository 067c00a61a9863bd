//! What may be wrong with the end of a task that a plan orders. Called by the oracle, which would otherwise have to
//! take the planner's word for a Pod that was given up.

use jiff::{SignedDuration, Timestamp};

use crate::{model::*, plan::Ended};

use super::cache::Snapshot;

/// What is wrong with the way in which a task is ended, whatever the planner calls it.
pub(super) fn objection(
    snapshot: &Snapshot,
    uid: Uid,
    intent: Intent,
    how: Ended,
    local: Timestamp,
) -> Option<String> {
    let task = snapshot.tasks.iter().find(|task| task.uid == uid)?;
    let Task { instance, run, .. } = task;
    // Only such a one may be left out where live Pods are counted.
    if how == Ended::GivenUp {
        let lost = task.node.is_some_and(|node| snapshot.lost_nodes.contains_key(&node));
        let overdue = task.ending.is_some_and(|ending| {
            let patience = SignedDuration::from_secs(i64::from(ending.grace_seconds) + 300);
            ending.deleting && local.duration_since(ending.at) >= patience
        });
        return (!lost && !overdue).then(|| format!("gives up run {run} of instance {instance} too early"));
    }
    let is_due = match intent {
        Intent::Kill | Intent::Lose => true,
        Intent::Finish => task.half_ended || task.intent() == Some(Intent::Finish),
        Intent::Restart | Intent::Drain | Intent::Preempt => false,
    };
    (!is_due).then(|| format!("ends run {run} of instance {instance} for {intent:?}"))
}
