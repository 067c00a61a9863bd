//! The planner in named cases: a small job whose Pods do what the case says, driven plan by plan.

mod adopt;
mod checks;
mod control;
mod found;
mod heal;
mod in_place;
mod job;
mod keep;
mod placed;
mod roll;
mod scope;
mod surge;
mod turns;

use jiff::Timestamp;

use crate::model::*;

/// A Pod that was made just now, in the worlds of tests.
pub(super) fn pending(uid: Uid, instance: Instance, run: Run, revision: Revision, now: Timestamp) -> Task {
    Task {
        uid,
        instance,
        run,
        revision,
        state: TaskState::Pending,
        before: TaskState::Pending,
        ready: false,
        ready_since: None,
        unready_since: None,
        waiting: None,
        created: now,
        started: None,
        ended: None,
        end: None,
        exit_code: None,
        ending: None,
        half_ended: false,
        in_place: None,
        flaps: 0,
        failures: 0,
        node: Some(NodeId(instance)),
        live_label: true,
        owned: true,
    }
}
