//! How a task becomes what it shall be without being made anew: its gate is shut, its Pod patched, its gate opened.
//!
//! Every step follows from what the Pod shows, so whoever plans next goes on from there. What can't be done in place is
//! made anew, and that is nobody's failure. `instances` asks; nothing is decided here of which config is wanted.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Change, InPlace, Revision, Stage, Task, TaskState};

use super::{
    Action, Plan,
    fleet::Fleet,
    targets::{self, Target},
};

/// Seconds a Pod has to be seen not Ready after its gate was shut. A kubelet does that in one.
const SHUT_PATIENCE: i64 = 60;

/// The next step of a task that runs one config and shall run another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Take its readiness away, so that nobody is sent to it.
    Shut,
    /// Its readiness has to be seen gone, by this time.
    Wait(Timestamp),
    /// Change its Pod, for the update of this number.
    Change(u32),
}

/// The next step towards a config; `None` where the task has to be made anew.
pub(super) fn towards(
    fleet: &Fleet<'_>,
    task: &Task,
    state: TaskState,
    wanted: Revision,
    target: Target,
) -> Option<Step> {
    let gate = task.in_place.as_deref()?;
    let update = fleet.view.update.filter(|it| it.instructions.in_place_between(task.revision, wanted))?;
    // What a restart is due to is made anew, and what is not stored can't be read.
    let is_old = target.restart_at.is_some_and(|at| targets::is_older(task, at, target.floor));
    if is_old || task.half_ended || !fleet.is_stored(wanted) || !is_steady(gate, state) {
        return None;
    }
    if gate.open {
        return Some(Step::Shut);
    }
    if !task.ready {
        return Some(Step::Change(update.number));
    }
    let due = gate.since?.checked_add(SignedDuration::from_secs(SHUT_PATIENCE)).ok()?;
    (fleet.now < due).then_some(Step::Wait(due))
}

/// Whether it is known what runs: the kubelet is not in the middle of anything.
fn is_steady(gate: &InPlace, state: TaskState) -> bool {
    match gate.change {
        // A gate that was set and is shut now shows that it was RUNNING, to an operator that did not see it.
        None => {
            state == TaskState::Running
                || (state == TaskState::Starting && !gate.open && gate.since.is_some())
        }
        Some(Change { stage, .. }) => {
            stage == Stage::Done && matches!(state, TaskState::Starting | TaskState::Running)
        }
    }
}

/// Opens what is shut, whatever else can't be done: nobody is kept from a healthy task for want of a readable spec.
pub(super) fn open_all(fleet: &Fleet<'_>, plan: &mut Plan) {
    for task in fleet.view.tasks.iter().filter(|task| !task.is_terminal() && task.ending.is_none()) {
        if rest(task) == Rest::Open && task.owned {
            let Task { uid, instance, run, .. } = *task;
            plan.actions.push(Action::SetGate { uid, instance, run, open: true });
        }
    }
}

/// What is left to do for a task that shall run the config it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    None,
    /// Its gate is to be opened.
    Open,
    /// The kubelet is about to carry out a change.
    Wait,
    /// The kubelet can't carry out a change: it is to be made anew.
    Anew,
}

/// What is left to do.
pub(super) fn rest(task: &Task) -> Rest {
    let Some(gate) = task.in_place.as_deref() else { return Rest::None };
    match gate.change.map(|change| change.stage) {
        Some(Stage::Pending) => Rest::Wait,
        Some(Stage::Stuck) => Rest::Anew,
        Some(Stage::Done) | None if gate.open => Rest::None,
        Some(Stage::Done) | None => Rest::Open,
    }
}
