//! Tasks that are to end, or are ending: how long each step is given, and what follows. What services and jobs have in
//! common; who is to end, and why, is theirs to say.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Ending, Instance, Intent, Task};

use super::{Action, Ended, Held, Plan, fleet::Fleet};

/// A Pod that was told to stop and keep its object has this many seconds beyond its grace before it is deleted.
const KEEP_PATIENCE: i64 = 60;
/// A Pod that is being deleted has this many seconds beyond its grace before it is given up (Aurora:
/// transient_task_state_timeout).
const DELETE_PATIENCE: i64 = 300;

/// A task that was told to end: more strongly, when it does not.
pub(super) fn press(fleet: &Fleet<'_>, task: &Task, ending: Ending, plan: &mut Plan) {
    let patience = if ending.deleting { DELETE_PATIENCE } else { KEEP_PATIENCE };
    let due = later(ending.at, i64::from(ending.grace_seconds) + patience);
    if fleet.now < due {
        plan.hold(task.instance, "Ending", Some(due));
    } else if ending.deleting {
        plan.end(task, Intent::Lose, Ended::Overdue);
    } else {
        plan.end(task, ending.intent.unwrap_or(Intent::Kill), Ended::Deleted);
    }
}

/// A task on a lost node, by the partition policy (Aurora: PartitionPolicy).
pub(super) fn partitioned(fleet: &Fleet<'_>, task: &Task, plan: &mut Plan) {
    let policy = fleet.view.service.partition;
    let Some(since) = fleet.lost_since(task).filter(|_| policy.reschedule) else {
        return plan.hold(task.instance, "Partitioned", None);
    };
    let due = later(since, policy.delay_seconds.into());
    if fleet.now < due {
        return plan.hold(task.instance, "Partitioned", Some(due));
    }
    plan.end(task, Intent::Lose, Ended::Lost);
}

/// A live task that must not be beside another.
pub(super) fn odd(fleet: &Fleet<'_>, task: &Task, plan: &mut Plan) {
    plan.hold(task.instance, "Duplicate", None);
    match task.ending.filter(|ending| ending.deleting) {
        Some(ending) => press(fleet, task, ending, plan),
        None => plan.end(task, Intent::Kill, Ended::Deleted),
    }
}

/// So many seconds after a time.
pub(super) fn later(start: Timestamp, seconds: i64) -> Timestamp {
    start.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

impl Plan {
    /// Ends a task.
    pub(super) fn end(&mut self, task: &Task, intent: Intent, how: Ended) {
        let Task { uid, instance, run, .. } = *task;
        self.actions.push(Action::End { uid, instance, run, intent, how });
    }

    /// Leaves something about an instance undone, until a time where that is known.
    pub(super) fn hold(&mut self, instance: Instance, reason: &'static str, until: Option<Timestamp>) {
        until.into_iter().for_each(|at| self.check_at(at));
        self.held.push(Held { instance: Some(instance), reason, until });
    }
}
