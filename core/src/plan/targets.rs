//! Which config each instance shall have now, or that it shall not be.
//!
//! Outside an update an instance keeps the config it has, so a half changed job stays as it was left; within one
//! the update's instructions and progress say. `instances` brings each instance to its target.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{
    EndReason, Instance, Instructions, Progress, Revision, Run, ServiceStatus, Task, Uid, Update, UpdateState,
};

use super::{fleet::Fleet, instructions::lookup, update::has_passed};

/// What an instance shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// The config it shall run; `None` where it shall not be.
    pub(super) revision: Option<Revision>,
    /// A healthy task of another config may be ended for it.
    pub(super) change: bool,
    /// Its next run is greater than this.
    pub(super) floor: Run,
    /// A healthy task of this config may be ended, too, if it was made before this and its run is not beyond the floor.
    pub(super) restart_at: Option<Timestamp>,
    /// This task is made anew: an update has found it wanting.
    pub(super) found_wanting: Option<Uid>,
    /// Whether it may have two live tasks: its next run beside the one that runs.
    pub(super) may_surge: bool,
    /// The newest of its tasks has passed its watch, so that another may go.
    pub(super) new_is_good: bool,
}

impl Target {
    const GONE: Self = Self {
        revision: None,
        change: true,
        floor: 0,
        restart_at: None,
        found_wanting: None,
        may_surge: false,
        new_is_good: false,
    };

    pub(super) fn keep(revision: Option<Revision>) -> Self {
        Self { revision, change: false, ..Self::GONE }
    }
}

/// The target of every instance that shall be or is.
pub(super) fn targets(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    progress: Option<&Progress>,
) -> BTreeMap<Instance, Target> {
    let count = settled_count(fleet, known);
    let active = fleet.view.update.zip(progress).filter(|(_, progress)| !progress.state.is_terminal());
    let stay = match active {
        // What is as an update wants it already is not in its scope, and stays although the count is not yet settled.
        Some((update, _)) => count.max(update.instructions.instances.min(asked_now(fleet, update))),
        // While a new config waits for its update, what a superseded one had added is not yet taken away.
        None if is_pending(fleet, known) => count.max(fleet.view.service.instances),
        None => count,
    };
    let beyond = fleet.instances().filter(|instance| *instance >= count);
    let target = |instance| {
        if instance < stay { Target::keep(own_revision(fleet, known, instance, count)) } else { Target::GONE }
    };
    let mut all: BTreeMap<Instance, Target> =
        (0..count).chain(beyond).map(|instance| (instance, target(instance))).collect();
    let Some((update, progress)) = active else { return all };
    let instructions = &update.instructions;
    let asked = asked_now(fleet, update);
    let scaled = asked != instructions.asked;
    let chained = progress.touched.iter().filter(|instance| !instructions.concerns(*instance));
    for instance in instructions.order().into_iter().chain(chained) {
        // A scale-down in the middle of an update counts at once; a scale-up is no business of the update's.
        if scaled && instance >= asked {
            continue;
        }
        let rolling = matches!(progress.state, UpdateState::RollingForward | UpdateState::RollingBack);
        let change = rolling && progress.working.contains(instance);
        let began_back = progress.working.contains(instance)
            || progress.rolled_back.contains(instance)
            || progress.failed_back.contains(instance);
        let revision = if !progress.touched.contains(instance) {
            instructions.before(instance)
        } else if progress.state.is_back() && began_back {
            instructions.back(instance)
        } else if instructions.concerns(instance) && !is_borne(update, progress, instance) {
            instructions.after(instance)
        } else {
            own_revision(fleet, known, instance, count)
        };
        let floor = if progress.touched.contains(instance) { progress.floor } else { 0 };
        let restart_at = update.settings.restart_at.filter(|_| change && !progress.state.is_back());
        let found_wanting = progress.failures.get(&instance).filter(|_| change).and_then(|it| it.last_pod);
        // Whatever halts it: the two it has are left until it goes on.
        let may_surge = update.surge_limit() > 0 && progress.working.contains(instance);
        let newest = fleet.lives(instance).next_back().filter(|_| may_surge);
        let new_is_good = newest.is_some_and(|task| has_passed(fleet, update, progress, task));
        let target = Target { revision, change, floor, restart_at, found_wanting, may_surge, new_is_good };
        all.insert(instance, target);
    }
    all
}

/// Whether an instance has failed on the way forward, and what stood beside its next run has stayed.
pub(super) fn is_borne(update: &Update, progress: &Progress, instance: Instance) -> bool {
    update.surge_limit() > 0 && !progress.state.is_back() && progress.failed.contains(instance)
}

/// Whether the spec's config was not acted on yet.
fn is_pending(fleet: &Fleet<'_>, known: &ServiceStatus) -> bool {
    Some(fleet.view.service.revision) != known.observed_revision
}

/// How many instances the job has apart from what an update adds or takes away. A change of config and count in one
/// is the update's as a whole; so after a rollback the count is the old one until somebody changes it again.
pub(super) fn settled_count(fleet: &Fleet<'_>, known: &ServiceStatus) -> u32 {
    let service = fleet.view.service;
    if is_pending(fleet, known) {
        // A config that is held back for days must not keep an autoscaler from its work.
        let nothing_goes_on = known.update.is_none_or(|of| of.state.is_terminal());
        let held = service.hold_updates && nothing_goes_on;
        return if held { service.instances } else { known.counts.desired };
    }
    let Some(update) = fleet.view.update.filter(|update| update.instructions.asked == service.instances)
    else {
        return service.instances;
    };
    let Instructions { to, instances, previous_instances, .. } = &update.instructions;
    let concluded = known.update.filter(|of| of.number >= update.number);
    let Some(of) = concluded.filter(|of| of.number > update.number || of.state.is_terminal()) else {
        return *previous_instances;
    };
    if known.observed_count.is_some_and(|seen| seen != service.instances) {
        return service.instances;
    }
    // The newest was removed: what the one before it has left is long settled.
    let is_last = of.number == update.number;
    if !is_last || to.as_ref().is_none_or(|(to, _)| *to != service.revision) {
        return service.instances;
    }
    // Whoever changes the count after its end means it, even if it comes to what the edit had asked for.
    let is_still = |count: u32| known.counts.desired == count;
    if of.state == UpdateState::RolledBack {
        return if is_still(*previous_instances) { *previous_instances } else { service.instances };
    }
    // Its scope may have kept it from coming to the count of the spec.
    if is_still(*previous_instances) || is_still(*instances) { *instances } else { service.instances }
}

/// Whether an update is the one that the spec asks for now: its config, its scope, its restart.
pub(super) fn is_of_spec(fleet: &Fleet<'_>, update: &Update) -> bool {
    let service = fleet.view.service;
    update.instructions.to.as_ref().is_none_or(|(to, _)| *to == service.revision)
        && update.settings.scope == service.update.scope
        && restart_due(fleet).is_none_or(|at| update.settings.restart_at == Some(at))
}

/// The restart that the spec asks for, once its time has come.
pub(super) fn restart_due(fleet: &Fleet<'_>) -> Option<Timestamp> {
    fleet.view.service.update.restart_at.filter(|at| *at <= fleet.now)
}

/// Whether an update replaces a task although its config is right.
pub(super) fn is_to_be_restarted(update: &Update, progress: &Progress, task: &Task) -> bool {
    let restart_at = update.settings.restart_at.filter(|_| !progress.state.is_back());
    restart_at.is_some_and(|at| is_older(task, at, progress.floor))
}

/// Whether a task was made before a time, and not by the update whose floor this is: whatever a clock says.
pub(super) fn is_older(task: &Task, at: Timestamp, floor: Run) -> bool {
    task.created < at && task.run <= floor
}

/// How many instances the spec asks for, as far as an update that goes on is concerned: what waits for its end does not
/// count yet.
pub(super) fn asked_now(fleet: &Fleet<'_>, update: &Update) -> u32 {
    let service = fleet.view.service;
    let waits = update.instructions.to.as_ref().is_some_and(|(to, _)| *to != service.revision);
    if waits { update.instructions.asked } else { service.instances }
}

/// The config an instance has outside of an update: its own while that is stored, else the last good one.
pub(super) fn own_revision(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    instance: Instance,
    count: u32,
) -> Option<Revision> {
    if let Some(task) =
        fleet.live(instance).filter(|task| instance >= count || fleet.is_stored(task.revision))
    {
        return Some(task.revision);
    }
    if instance >= count {
        return None;
    }
    // What is left of an instance that was taken away says nothing about the one that comes now.
    let was_there = instance < known.counts.desired;
    // The status knows better than the Pods: the newest of them may be gone, an older one of another config kept.
    let recorded = || lookup(&known.revisions, instance);
    let ended = || fleet.newest(instance).filter(|task| task.end != Some(EndReason::Stopped));
    let own = was_there.then(|| recorded().or_else(|| ended().map(|task| task.revision))).flatten();
    own.filter(|revision| fleet.is_stored(*revision)).or(known.last_good)
}
