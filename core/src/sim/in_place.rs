//! What may be wrong with a change in place that a plan orders: of a task that somebody may be sent to, that another
//! config is wanted of, or that no update works on. Called by the oracle.

use crate::{model::*, plan::Plan};

use super::{cache::Snapshot, setting::are_alike};

/// What is wrong with changing a task from one config to another, for the update of this number.
pub(super) fn objection(
    snapshot: &Snapshot,
    plan: &Plan,
    uid: Uid,
    (from, to): (Revision, Revision),
    number: u32,
) -> Option<String> {
    let Some(task) = snapshot.tasks.iter().find(|task| task.uid == uid) else {
        return Some("changes a task nobody has seen".to_owned());
    };
    let Some(update) = snapshot.update.as_ref().filter(|update| update.number == number) else {
        return Some(format!("changes run {} for an update that is not the newest", task.run));
    };
    let written = plan.progress.as_ref().map(|(_, progress)| progress);
    let progress = written.or(update.progress.as_ref())?;
    let rolls = matches!(progress.state, UpdateState::RollingForward | UpdateState::RollingBack);
    let is_lost = task.node.is_some_and(|node| snapshot.lost_nodes.contains_key(&node));
    let is_shut = task.is_shut() && !task.ready;
    let wrong = if task.is_terminal() || task.ending.is_some() || is_lost || task.half_ended {
        "it does not go on"
    } else if !is_shut {
        "it may be Ready"
    } else if !rolls || !progress.working.contains(task.instance) || snapshot.frozen {
        "no update works on it"
    } else if task.revision != from || from == to || !are_alike(from, to) {
        "it can't become that"
    } else if task.change().is_some_and(|change| change.stage != Stage::Done) {
        "it is being changed"
    } else {
        return None;
    };
    Some(format!("changes run {} from {from} to {to}, but {wrong}", task.run))
}
