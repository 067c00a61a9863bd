//! The tasks of a service by instance, with what only the whole view can say of them: lost nodes.

use jiff::Timestamp;

use crate::{
    model::{Instance, Revision, Run, ServiceStatus, Task, TaskState},
    state::{Effects, Kind, transition},
};

use super::{ServiceView, instructions::lookup};

/// The view with its tasks by instance.
pub(super) struct Fleet<'a> {
    pub(super) view: &'a ServiceView<'a>,
    pub(super) now: Timestamp,
    /// Every instance that has a Pod with its tasks, ascending.
    by_instance: Vec<(Instance, &'a [Task])>,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(view: &'a ServiceView<'a>, now: Timestamp) -> Self {
        let runs = view.tasks.chunk_by(|a, b| a.instance == b.instance);
        let by_instance = runs.filter_map(|tasks| Some((tasks.first()?.instance, tasks))).collect();
        Self { view, now, by_instance }
    }

    /// Every instance that has a Pod, ascending.
    pub(super) fn instances(&self) -> impl Iterator<Item = Instance> + '_ {
        self.by_instance.iter().map(|(instance, _)| *instance)
    }

    /// The tasks of an instance, ascending by run.
    pub(super) fn tasks(&self, instance: Instance) -> &'a [Task] {
        // Without gaps, which is the rule, an instance is found at its own number.
        let there = self.by_instance.get(instance as usize).filter(|(there, _)| *there == instance);
        let found = there.or_else(|| {
            let at = self.by_instance.binary_search_by_key(&instance, |(there, _)| *there);
            self.by_instance.get(at.ok()?)
        });
        found.map(|(_, tasks)| *tasks).unwrap_or_default()
    }

    /// The newest task of an instance.
    pub(super) fn newest(&self, instance: Instance) -> Option<&'a Task> {
        self.tasks(instance).last()
    }

    /// The tasks of an instance that have not ended, ascending by run.
    pub(super) fn lives(&self, instance: Instance) -> impl DoubleEndedIterator<Item = &'a Task> + use<'a> {
        self.tasks(instance).iter().filter(|task| !task.is_terminal())
    }

    /// The task that stands for an instance: the newest that has not ended, unless an older one serves and it doesn't.
    pub(super) fn live(&self, instance: Instance) -> Option<&'a Task> {
        let newest = self.lives(instance).next_back()?;
        if self.serves(newest) {
            return Some(newest);
        }
        self.lives(instance).rfind(|task| self.serves(task)).or(Some(newest))
    }

    /// Whether a task does its work now, and is to go on with it.
    pub(super) fn serves(&self, task: &Task) -> bool {
        task.ready && task.ending.is_none() && self.state(task).0 == TaskState::Running
    }

    /// The config an instance has: that of its live task, else what it was about to get, else that of its newest.
    pub(super) fn revision(&self, instance: Instance, known: &ServiceStatus) -> Option<Revision> {
        let live = self.live(instance).map(|task| task.revision);
        let newest = || self.newest(instance).map(|task| task.revision);
        live.or_else(|| lookup(&known.revisions, instance)).or_else(newest)
    }

    /// Since when the task's node is lost.
    pub(super) fn lost_since(&self, task: &Task) -> Option<Timestamp> {
        self.view.lost_nodes.get(&task.node?).copied()
    }

    /// The state of a task, with its node taken into account, and what the loss of the node entails.
    pub(super) fn state(&self, task: &Task) -> (TaskState, Effects) {
        if task.is_terminal() || self.lost_since(task).is_none() {
            return (task.state, Effects::default());
        }
        transition(Kind::Service, task.state, TaskState::Partitioned)
            .map_or((task.state, Effects::default()), |effects| (TaskState::Partitioned, effects))
    }

    /// Whether the config is stored, so that Pods can be made of it.
    pub(super) fn is_stored(&self, revision: Revision) -> bool {
        self.view.revisions.iter().any(|record| record.revision == revision)
    }

    /// The greatest run any instance has had.
    pub(super) fn highest_run(&self, known: &ServiceStatus) -> Run {
        let seen = self.view.seen_runs.values().copied();
        seen.chain(self.view.tasks.iter().map(|task| task.run)).max().unwrap_or(0).max(known.highest_run)
    }

    /// The run the next Pod of an instance gets: greater than any that was ever seen or recorded.
    pub(super) fn next_run(&self, instance: Instance, known: &ServiceStatus) -> Run {
        let seen = self.view.seen_runs.get(&instance).copied();
        let newest = self.newest(instance).map(|task| task.run);
        seen.max(newest).unwrap_or(known.highest_run) + 1
    }
}
