//! Two live tasks of one instance: which of them goes.
//!
//! Where an update asks for it, the next run of an instance is made beside the one it takes the place of, which goes
//! once the new one has proven good. When nobody wants the two any more, after an abort or a rollback, the one that
//! serves stays; and never is the only one ended that does. Called by `instances`, which ends what goes.

use crate::model::{Task, TaskState, Update};

use super::{Cause, fleet::Fleet, targets, targets::Target};

/// What becomes of two live tasks of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pair {
    /// The new one has not proven good yet, or the update that made it stands still.
    Stays,
    /// The older one goes.
    OldGoes,
    /// The newer one goes.
    NewGoes,
}

/// What becomes of the two, the older one first.
pub(super) fn pair(fleet: &Fleet<'_>, old: &Task, new: &Task, target: &Target) -> Pair {
    let fits =
        |task: &Task| target.revision.is_some() && task.ending.is_none() && cause(task, target).is_none();
    let (old_serves, new_serves) = (fleet.serves(old), fleet.serves(new));
    if target.may_surge {
        match (fits(old), fits(new)) {
            _ if !target.change => return Pair::Stays,
            (false, true) if target.new_is_good => return Pair::OldGoes,
            // Nobody answers on a lost node; there is nothing to wait for.
            (false, true) if fleet.state(old).0 == TaskState::Partitioned => return Pair::OldGoes,
            (false, true) => return Pair::Stays,
            (true, false) if old_serves || !new_serves => return Pair::NewGoes,
            // Neither is wanted, the new one was found wanting perhaps: the next one is made beside what serves.
            (false, false) if old_serves => return Pair::NewGoes,
            (true, _) | (false, false) => {}
        }
    }
    if old_serves && !new_serves { Pair::NewGoes } else { Pair::OldGoes }
}

/// Why a task that could live on is to be ended, if it is.
pub(super) fn cause(task: &Task, target: &Target) -> Option<Cause> {
    let is_old = target.restart_at.is_some_and(|at| targets::is_older(task, at, target.floor));
    match target.revision {
        Some(wanted) if wanted == task.revision => {
            (is_old || target.found_wanting == Some(task.uid)).then_some(Cause::Restart)
        }
        Some(_) => target.change.then_some(Cause::Change),
        None => target.change.then_some(Cause::Remove),
    }
}

/// How many instances may get a second live task now.
pub(super) fn room(fleet: &Fleet<'_>) -> u32 {
    let limit = fleet.view.update.map_or(0, Update::surge_limit);
    if limit == 0 {
        return 0;
    }
    let has_two = |instance: &u32| fleet.lives(*instance).nth(1).is_some();
    let two = fleet.instances().filter(has_two).count();
    limit.saturating_sub(u32::try_from(two).unwrap_or(u32::MAX))
}
