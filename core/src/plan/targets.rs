//! Which config each instance shall have now, or that it shall not be.
//!
//! Outside an update an instance keeps the config it has, so a half changed job stays as it was left; within one
//! the update's instructions and progress say. `instances` brings each instance to its target.

use std::collections::BTreeMap;

use crate::model::{EndReason, Instance, Progress, Revision, Run, ServiceStatus, UpdateState};

use super::{fleet::Fleet, instructions::lookup};

/// What an instance shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// The config it shall run; `None` where it shall not be.
    pub(super) revision: Option<Revision>,
    /// A healthy task of another config may be ended for it.
    pub(super) change: bool,
    /// Its next run is greater than this.
    pub(super) floor: Run,
}

impl Target {
    const GONE: Self = Self { revision: None, change: true, floor: 0 };

    fn keep(revision: Option<Revision>) -> Self {
        Self { revision, change: false, floor: 0 }
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
        Some((update, _)) => count.max(update.instructions.instances.min(fleet.view.service.instances)),
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
    let scaled = fleet.view.service.instances != instructions.instances;
    let chained = progress.touched.iter().filter(|instance| !instructions.concerns(*instance));
    for instance in instructions.order().into_iter().chain(chained) {
        // A scale-down in the middle of an update counts at once; a scale-up is no business of the update's.
        if scaled && instance >= fleet.view.service.instances {
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
        } else if instructions.concerns(instance) {
            instructions.after(instance)
        } else {
            own_revision(fleet, known, instance, count)
        };
        let floor = if progress.touched.contains(instance) { progress.floor } else { 0 };
        all.insert(instance, Target { revision, change, floor });
    }
    all
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
        return known.counts.desired;
    }
    let rolled_back = fleet.view.update.filter(|update| {
        let state = known.update.filter(|of| of.number == update.number).map(|of| of.state);
        let to = update.instructions.to.as_ref().map(|(revision, _)| *revision);
        state == Some(UpdateState::RolledBack) && to == Some(service.revision)
    });
    let active = fleet
        .view
        .update
        .filter(|update| known.update.is_none_or(|of| of.number < update.number || !of.state.is_terminal()));
    // Whoever changes the count after a rollback means it, even if it comes to what the failed edit had asked for.
    let rolled_back =
        rolled_back.filter(|update| known.counts.desired == update.instructions.previous_instances);
    match rolled_back.or(active) {
        Some(update) if update.instructions.instances == service.instances => {
            update.instructions.previous_instances
        }
        _ => service.instances,
    }
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
