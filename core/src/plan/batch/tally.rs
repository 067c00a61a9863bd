//! What has come out of a job's instances so far: which have succeeded, which are given up, how often each has failed.
//!
//! What is recorded stays true, whatever becomes of the Pods; what Pods show beyond it is added. A failure travels on
//! the Pods that follow as well, so each is counted once.

use std::collections::BTreeMap;

use crate::{
    model::{Batch, EndReason, Instance, InstanceFailure, Intent, Ranges, ServiceStatus, Task, TaskState},
    state::{Kind, Replace, transition},
};

use super::super::fleet::Fleet;

/// What has come out of the instances.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) succeeded: Ranges,
    /// Those that were given up.
    pub(super) failed: Ranges,
    /// How often each has failed.
    failures: BTreeMap<Instance, u32>,
    /// The first that was given up.
    pub(super) first: Option<InstanceFailure>,
    /// Those that are given up by this plan, not recorded yet.
    pub(super) given_up: Vec<InstanceFailure>,
}

impl Tally {
    /// Whether an instance of so many has yet to run to its end.
    pub(super) fn is_wanted(&self, instance: Instance, count: u32) -> bool {
        instance < count && !self.succeeded.contains(instance) && !self.failed.contains(instance)
    }

    pub(super) fn failures_of(&self, instance: Instance) -> u32 {
        self.failures.get(&instance).copied().unwrap_or(0)
    }

    /// How often instances have failed, as the status records it.
    pub(super) fn by_count(&self) -> Vec<(u32, Ranges)> {
        let mut counts = BTreeMap::<u32, Vec<Instance>>::new();
        for (instance, count) in &self.failures {
            counts.entry(*count).or_default().push(*instance);
        }
        counts.into_iter().map(|(count, instances)| (count, instances.into_iter().collect())).collect()
    }
}

/// What is recorded, and what the Pods show beyond it.
pub(super) fn tally(fleet: &Fleet<'_>, batch: &Batch, known: &ServiceStatus) -> Tally {
    let recorded = known.batch.as_deref().cloned().unwrap_or_default();
    let each = recorded.failures.iter();
    let failures = each.flat_map(|(count, instances)| instances.iter().map(|instance| (instance, *count)));
    let mut tally = Tally {
        failures: failures.collect(),
        succeeded: recorded.succeeded,
        failed: recorded.failed,
        first: recorded.first_failure,
        given_up: Vec::new(),
    };
    for task in fleet.view.tasks {
        if end(task) == End::Succeeded {
            tally.succeeded.insert(task.instance);
        }
        let failures = failures_with(task);
        if failures > tally.failures_of(task.instance) {
            tally.failures.insert(task.instance, failures);
        }
    }
    let Some(max) = batch.max_task_failures else { return tally };
    let instances = fleet.view.service.instances;
    let spent: Vec<Instance> =
        tally.failures.iter().filter(|(_, count)| **count >= max).map(|(instance, _)| *instance).collect();
    for instance in spent {
        // One that runs still may succeed: the limit was lowered under it.
        if tally.is_wanted(instance, instances) && fleet.lives(instance).next().is_none() {
            tally.failed.insert(instance);
            tally.given_up.push(failure(fleet, instance));
        }
    }
    let first = tally.given_up.iter().min_by_key(|failure| (failure.at, failure.instance)).copied();
    tally.first = tally.first.or(first);
    tally
}

/// How a task has ended, for its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It has done what it was for.
    Succeeded,
    /// It counts as a failure of its instance.
    Failed,
    /// It has not ended, or was ended: it costs nothing.
    Nothing,
}

fn end(task: &Task) -> End {
    // What is stopped because it has ended, or has failed, ends by itself even where it had to be deleted at last.
    let by_itself = matches!(task.intent(), Some(Intent::Finish | Intent::TimeOut | Intent::Unhealthy));
    let before = if by_itself { TaskState::Running } else { task.before };
    let Ok(effects) = transition(Kind::Job, before, task.state) else { return End::Nothing };
    match (task.state, effects.replace) {
        (TaskState::Finished, Replace::No) if !before.is_ending() => End::Succeeded,
        _ if effects.count_failure => End::Failed,
        _ => End::Nothing,
    }
}

/// How often its instance had failed when the task ended, that end included.
fn failures_with(task: &Task) -> u32 {
    u32::from(task.failures) + u32::from(end(task) == End::Failed)
}

/// Whether the status has all that an ended task says.
pub(super) fn is_recorded(task: &Task, known: &ServiceStatus) -> bool {
    let Some(batch) = known.batch.as_deref() else { return false };
    let succeeded = end(task) != End::Succeeded || batch.succeeded.contains(task.instance);
    succeeded && batch.failures_of(task.instance) >= failures_with(task)
}

/// How an instance that is given up has failed last.
fn failure(fleet: &Fleet<'_>, instance: Instance) -> InstanceFailure {
    let last = fleet.tasks(instance).iter().rfind(|task| end(task) == End::Failed);
    InstanceFailure {
        instance,
        run: last.or_else(|| fleet.newest(instance)).map_or(0, |task| task.run),
        reason: last.and_then(|task| task.end).unwrap_or(EndReason::Unknown),
        exit_code: last.and_then(|task| task.exit_code),
        at: last.and_then(|task| task.ended).unwrap_or(fleet.now),
    }
}
