//! What a service's status says: counts, ranges and the conditions, for people and for pipelines.

mod conditions;
mod placed;

use std::collections::BTreeMap;

use crate::model::{
    Counts, Instance, Pending, Progress, Ranges, Revision, ServiceStatus, TaskState, reasons,
};

use super::{
    Problem,
    fleet::Fleet,
    instances::Kept,
    targets::{self, Target},
};

pub(super) use conditions::{Words, settle};
pub(super) use placed::{news as pending_news, pending, words as placed};

use conditions::{Situation, conditions};

/// Configs named in `status.revisions` at most.
const REVISIONS: usize = 32;

/// What this plan holds back.
#[derive(Debug)]
pub(super) struct HeldBack {
    /// Instances that can't have a Pod now.
    pub(super) kept: Kept,
    /// Anything at all, because of the freeze.
    pub(super) frozen: bool,
    /// The update that the spec asks for, because the spec holds it back.
    pub(super) update: bool,
    /// Instances that have no place.
    pub(super) pending: Vec<Pending>,
}

/// The status after this plan's decisions.
pub(super) fn status(
    fleet: &Fleet<'_>,
    facts: ServiceStatus,
    progress: Option<&Progress>,
    targets: &BTreeMap<Instance, Target>,
    held: &HeldBack,
) -> ServiceStatus {
    let count = targets::settled_count(fleet, &facts);
    // An instance that is being replaced has a config as well: its Pods may be gone before the next one is there.
    let absent = targets.iter().filter(|(instance, _)| fleet.live(**instance).is_none());
    let absent = absent.filter_map(|(instance, target)| Some((*instance, target.revision?)));
    let mut status = census(fleet, facts, absent);
    status.counts.desired = count;
    status.counts.throttled = held.kept.throttled;
    status.counts.updated = updated(fleet);
    status.observed_generation = fleet.view.service.generation;
    status.observed_count = Some(fleet.view.service.instances);
    let wanted = targets.values().filter(|target| target.revision.is_some()).count();
    let missing = missing(&held.kept);
    let problem = fleet.view.problem.or(missing.as_ref());
    let situation = Situation {
        fleet,
        progress,
        problem,
        wanted,
        frozen: held.frozen,
        update_held: held.update,
        pending: &held.pending,
    };
    status.conditions = conditions(&situation, &status);
    status
}

/// That instances can't be made for want of their config.
fn missing(kept: &Kept) -> Option<Problem> {
    let (revision, instances) = kept.missing.first_key_value()?;
    let message = format!(
        "instances {instances} can't be started: their config {revision} is not stored any more; restore the \
         ControllerRevision with the label borealis.dev/revision={revision}, or change the config"
    );
    Some(Problem { reason: reasons::REVISION_MISSING, message, blocks: false })
}

/// The first status of a service.
pub(super) fn first(fleet: &Fleet<'_>, mut facts: ServiceStatus) -> ServiceStatus {
    // Nobody can have changed the count since an update that is there was made, as far as is known.
    let previous = fleet.view.update.map(|update| update.instructions.previous_instances);
    facts.counts.desired = previous.unwrap_or(fleet.view.service.instances);
    let desired = targets::settled_count(fleet, &facts);
    let mut status = census(fleet, facts, std::iter::empty());
    status.counts.desired = desired;
    let wanted = desired as usize;
    let situation = Situation {
        fleet,
        progress: None,
        problem: None,
        wanted,
        frozen: false,
        update_held: false,
        pending: &[],
    };
    status.conditions = conditions(&situation, &status);
    status
}

/// The status of a service that nothing can be done for: what runs goes on, and people are told. The facts of before
/// are kept; the spec can't be trusted to supply any.
pub(super) fn blocked(fleet: &Fleet<'_>, problem: &Problem) -> ServiceStatus {
    let facts = fleet.view.status.cloned().unwrap_or_default();
    let desired = facts.counts.desired;
    let known = facts.revisions.clone();
    let absent = known.iter().flat_map(|(revision, on)| on.iter().map(|instance| (instance, *revision)));
    let absent = absent.filter(|(instance, _)| fleet.live(*instance).is_none());
    let mut status = census(fleet, facts, absent);
    status.counts.desired = desired;
    status.observed_generation = fleet.view.service.generation;
    let (problem, wanted) = (Some(problem), desired as usize);
    let pending = &placed::blocked(fleet, desired);
    let situation =
        Situation { fleet, progress: None, problem, wanted, frozen: false, update_held: false, pending };
    status.conditions = conditions(&situation, &status);
    status
}

/// Counts the tasks; `absent` are the instances without a live one and what they shall run.
pub(super) fn census(
    fleet: &Fleet<'_>,
    facts: ServiceStatus,
    absent: impl Iterator<Item = (Instance, Revision)>,
) -> ServiceStatus {
    let mut counts = Counts::default();
    let mut lost = Ranges::default();
    let mut revisions = BTreeMap::<Revision, Vec<Instance>>::new();
    let mut highest_run = facts.highest_run;
    for task in fleet.view.tasks {
        highest_run = highest_run.max(task.run);
        let (state, _) = fleet.state(task);
        if task.is_terminal() {
            counts.kept += 1;
            continue;
        }
        counts.live += 1;
        // Of two only one stands for the instance.
        if fleet.live(task.instance).is_some_and(|standing| standing.uid != task.uid) {
            continue;
        }
        revisions.entry(task.revision).or_default().push(task.instance);
        match state {
            TaskState::Running if task.ready => counts.running += 1,
            TaskState::Running | TaskState::Starting => counts.starting += 1,
            TaskState::Init | TaskState::Throttled | TaskState::Pending | TaskState::Assigned => {
                counts.pending += 1;
            }
            TaskState::Partitioned => lost.insert(task.instance),
            TaskState::Preempting | TaskState::Restarting | TaskState::Draining | TaskState::Killing => {
                counts.ending += 1;
            }
            TaskState::Finished | TaskState::Failed | TaskState::Killed | TaskState::Lost => {}
        }
    }
    for (instance, revision) in absent {
        revisions.entry(revision).or_default().push(instance);
    }
    let mut revisions: Vec<_> =
        revisions.into_iter().map(|(revision, on)| (revision, on.into_iter().collect::<Ranges>())).collect();
    revisions.sort_by_key(|(revision, ranges)| (std::cmp::Reverse(ranges.len()), *revision));
    revisions.truncate(REVISIONS);
    ServiceStatus { counts, lost, revisions, highest_run, ..facts }
}

/// How many instances run what the spec asks for.
fn updated(fleet: &Fleet<'_>) -> u32 {
    let service = fleet.view.service;
    let is_new = |instance: &Instance| {
        *instance < service.instances
            && fleet.live(*instance).is_some_and(|task| task.revision == service.revision)
    };
    u32::try_from(fleet.instances().filter(is_new).count()).unwrap_or(u32::MAX)
}
