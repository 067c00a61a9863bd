//! What has to be remembered of one service from one reckoning to the next.
//!
//! The time since when a task runs stands in its record. Here is what does not: which instances the platform has let down, and
//! what has changed in the window that is open. So it takes room only for instances to which something happens.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Class, Tally,
    uptime::{Change, spent},
    waits::{Reached, reached, whole, window},
};
use crate::model::{Instance, Run, Task, TaskState};

/// News of a task: it came, went, or changed.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// What was known of it.
    pub before: Option<&'a Task>,
    /// What is known of it now.
    pub after: Option<&'a Task>,
    /// When the scheduler gave it a node, as its Pod says.
    pub scheduled: Option<Timestamp>,
    /// The other runs of the instance that are known, and their states.
    pub others: &'a [(Run, TaskState)],
}

/// A task as it stands at the reckoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which instance.
    pub instance: Instance,
    /// Which run of it.
    pub run: Run,
    /// Its state.
    pub state: TaskState,
    /// When it last became Ready.
    pub ready_since: Option<Timestamp>,
}

/// What is remembered of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The instances that are DOWN.
    down: BTreeSet<Instance>,
    /// What instances were in this window before they became something else, oldest first.
    changes: Vec<Change>,
    /// The marks that tasks have come to in this window.
    reached: Vec<Reached>,
}

impl Ledger {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.down.is_empty() && self.changes.is_empty() && self.reached.is_empty()
    }

    /// Takes news of a task.
    pub fn note(&mut self, seen: &Sighting<'_>, now: Timestamp) {
        let state = |task: Option<&Task>| task.map(|task| task.state);
        let Some(task) = seen.after.or(seen.before) else { return };
        if state(seen.before) == state(seen.after) {
            return;
        }
        self.reached.extend(reached(seen, now));
        let other_is_up = seen.others.iter().any(|(_, state)| is_up(*state));
        let was_up = state(seen.before).is_some_and(is_up);
        let from = if was_up || other_is_up { Class::Up } else { self.class_at_rest(task.instance) };
        let is_newest = seen.others.iter().all(|(run, _)| *run < task.run);
        let to = if other_is_up || state(seen.after).is_some_and(is_up) {
            Class::Up
        } else if was_up || is_newest {
            // What is gone without a word was ended by nobody who may be asked.
            from.next(state(seen.after).unwrap_or(TaskState::Killed), task.ending)
        } else {
            from
        };
        if from == to {
            return;
        }
        if to == Class::Down {
            self.down.insert(task.instance);
        } else {
            self.down.remove(&task.instance);
        }
        let at = seen.after.and_then(since).map_or(now, |at| at.min(now));
        // What came about before the window that is open makes no difference in it: after a start that is most of what is seen.
        if now.duration_since(at) < window() {
            self.changes.push(Change { instance: task.instance, from, at });
        }
    }

    /// Closes the window: adds what was found to the tally, and begins the next. `wanted` is how many instances the service
    /// shall have; `tasks` are in the order of their instances.
    pub fn close(
        &mut self,
        wanted: u32,
        tasks: impl Iterator<Item = Standing>,
        now: Timestamp,
        tally: &mut Tally,
    ) {
        // What is not wanted any more is nobody's loss.
        self.down.retain(|instance| *instance < wanted);
        let mut changes: BTreeMap<Instance, Vec<Change>> = BTreeMap::new();
        for change in std::mem::take(&mut self.changes) {
            changes.entry(change.instance).or_default().push(change);
        }
        let reached = std::mem::take(&mut self.reached);
        let mut active = BTreeSet::new();
        let mut last_up = None;
        for task in tasks {
            if !reached.is_empty() && !task.state.is_terminal() {
                active.insert((task.instance, task.run));
            }
            if task.state == TaskState::Running {
                let since = task.ready_since.unwrap_or(now);
                tally.uptimes.push(whole(now.duration_since(since).as_secs()));
            }
            if is_up(task.state) && last_up != Some(task.instance) {
                last_up = Some(task.instance);
                let past = changes.remove(&task.instance).unwrap_or_default();
                tally.spent = tally.spent.with(spent(Class::Up, &past, now));
                self.down.remove(&task.instance);
            }
        }
        for instance in &self.down {
            let past = changes.remove(instance).unwrap_or_default();
            tally.spent = tally.spent.with(spent(Class::Down, &past, now));
        }
        for past in changes.values() {
            tally.spent = tally.spent.with(spent(Class::Removed, past, now));
        }
        for task in reached.iter().filter(|task| active.contains(&(task.instance, task.run))) {
            tally.waits[task.mark as usize].push(task.seconds);
        }
    }

    /// What an instance is of which no task is up.
    fn class_at_rest(&self, instance: Instance) -> Class {
        if self.down.contains(&instance) { Class::Down } else { Class::Removed }
    }
}

fn is_up(state: TaskState) -> bool {
    matches!(state, TaskState::Running | TaskState::Partitioned)
}

/// Since when a task has been in its state, as far as it says.
fn since(task: &Task) -> Option<Timestamp> {
    match task.state {
        TaskState::Running => task.ready_since,
        // Of what was told to end that moment decides, also where a watch shows it only when it has ended: a lost node is
        // PARTITIONED, so UP, until its tasks are given up.
        TaskState::Preempting
        | TaskState::Restarting
        | TaskState::Draining
        | TaskState::Killing
        | TaskState::Finished
        | TaskState::Failed
        | TaskState::Killed
        | TaskState::Lost => task.ending.map(|ending| ending.at).or(task.ended),
        TaskState::Init
        | TaskState::Throttled
        | TaskState::Pending
        | TaskState::Assigned
        | TaskState::Starting
        | TaskState::Partitioned => None,
    }
}
