//! Which ended tasks keep their Pod and logs, which stored configs and updates are kept, and for how long.
//!
//! The newest ended Pod of a wanted instance is never removed before its successor was seen: its run is what keeps
//! a name from being used twice. Of an instance the newest are kept, without gaps, so its story stays readable.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Instance, Intent, Revision, ServiceStatus, Task, TaskState, Uid};

use super::{Action, Ended, PastUpdate, Plan, fleet::Fleet, targets::Target};

/// Stored configs beyond those in use (Kubernetes: revisionHistoryLimit).
const REVISIONS: usize = 10;
/// Updates kept per service (Aurora: job_update_history_per_job_threshold).
const UPDATES: usize = 10;
/// How long an update is kept that others have followed (Aurora: job_update_history_pruning_threshold).
const UPDATE_HOURS: i64 = 30 * 24;

/// Chooses which of the tasks that are ended on purpose keep their Pod: as many of a config as the history takes,
/// the rest cost one delete each.
pub(super) struct Keeping {
    room: BTreeMap<Revision, u32>,
}

impl Keeping {
    pub(super) fn new(fleet: &Fleet<'_>) -> Self {
        let mut room = BTreeMap::new();
        for task in fleet.view.tasks.iter().filter(|task| was_meant(task)) {
            let left = room.entry(task.revision).or_insert(fleet.view.service.history.ended);
            *left = left.saturating_sub(1);
        }
        Self { room }
    }

    /// How to end a task that shall go.
    pub(super) fn choose(&mut self, fleet: &Fleet<'_>, task: &Task) -> Ended {
        let left = self.room.entry(task.revision).or_insert(fleet.view.service.history.ended);
        // A task that never started has no logs to keep.
        if !fleet.view.keep_allowed || task.started.is_none() || *left == 0 {
            return Ended::Deleted;
        }
        *left -= 1;
        Ended::Kept
    }
}

/// Whether the task was, or is being, ended on purpose with its Pod kept. One that is stopped because a container of
/// it has ended ends by itself.
fn was_meant(task: &Task) -> bool {
    let meant = |intent| intent != Intent::Finish;
    task.ending.is_some_and(|ending| ending.intent.is_some_and(meant) && !ending.deleting)
}

/// Removes what is no longer kept, and takes the live mark from what is.
pub(super) fn tidy(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    targets: &BTreeMap<Instance, Target>,
    plan: &mut Plan,
) {
    let wanted = |instance| targets.get(&instance).is_some_and(|target| target.revision.is_some());
    tasks(fleet, wanted, |_| true, plan);
    revisions(fleet, known, targets, plan);
    let past = fleet.view.past_updates;
    let surplus = past.len().saturating_sub(UPDATES - 1);
    let is_old = |update: &PastUpdate| {
        fleet.now.duration_since(update.created) >= SignedDuration::from_hours(UPDATE_HOURS)
    };
    let prune = past.iter().enumerate().filter(|(at, update)| *at < surplus || is_old(update));
    plan.actions
        .extend(prune.map(|(_, update)| Action::PruneUpdate { number: update.number, uid: update.uid }));
}

/// Removes ended tasks beyond what is kept, of those that may go, and takes the live mark from the others. An instance that
/// is wanted keeps its newest.
pub(super) fn tasks(
    fleet: &Fleet<'_>,
    wanted: impl Fn(Instance) -> bool,
    may_go: impl Fn(&Task) -> bool,
    plan: &mut Plan,
) {
    let history = fleet.view.service.history;
    let mut ended: Vec<&Task> = fleet
        .view
        .tasks
        .iter()
        .filter(|task| task.is_terminal() && !task.ending.is_some_and(|ending| ending.deleting))
        .collect();
    ended.sort_by_key(|task| std::cmp::Reverse((ended_at(task), task.run, task.instance)));
    // Beyond the cap of all services each keeps the one that says most.
    let (mut own, mut meant) =
        if fleet.view.keep_allowed { (history.failed, history.ended) } else { (history.failed.min(1), 0) };
    let mut keep = BTreeSet::new();
    // What never started has no logs, and takes no room from what has.
    for task in ended.iter().filter(|task| task.started.is_some()) {
        // What a job is for is to finish: of a service, that is one of the ends nobody meant.
        let is_done = fleet.view.service.batch.is_some() && task.state == TaskState::Finished;
        let room = if was_meant(task) || is_done { &mut meant } else { &mut own };
        let expiry = ended_at(task).checked_add(SignedDuration::from_secs(history.ttl_seconds.into()));
        let expiry = expiry.unwrap_or(Timestamp::MAX);
        if *room > 0 && fleet.now < expiry {
            *room -= 1;
            keep.insert(task.uid);
            plan.check_at(expiry);
        }
    }
    for instance in ended.iter().map(|task| task.instance).collect::<BTreeSet<_>>() {
        instance_tasks(fleet.tasks(instance), wanted(instance), &keep, &may_go, plan);
    }
}

/// The ended tasks of one instance, the newest first.
fn instance_tasks(
    tasks: &[Task],
    wanted: bool,
    keep: &BTreeSet<Uid>,
    may_go: impl Fn(&Task) -> bool,
    plan: &mut Plan,
) {
    let mut unbroken = true;
    for (age, task) in tasks.iter().rev().enumerate() {
        if !task.is_terminal() || task.ending.is_some_and(|ending| ending.deleting) {
            continue;
        }
        let Task { uid, instance, run, .. } = *task;
        let kept = keep.contains(&uid);
        if kept && unbroken {
            if task.live_label {
                plan.actions.push(Action::Retire { uid, instance, run });
            }
        } else if !(age == 0 && wanted) && may_go(task) {
            plan.actions.push(Action::Prune { uid, instance, run });
        }
        unbroken &= kept || age == 0;
    }
}

fn ended_at(task: &Task) -> Timestamp {
    task.ended.unwrap_or(task.created)
}

fn revisions(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    targets: &BTreeMap<Instance, Target>,
    plan: &mut Plan,
) {
    let view = fleet.view;
    if view.revisions.len() <= REVISIONS {
        return;
    }
    let named = view.update.iter().flat_map(|update| {
        let instructions = &update.instructions;
        let sides = instructions.from.iter().chain(&instructions.base).chain(&instructions.to);
        sides.map(|(revision, _)| *revision)
    });
    let used: BTreeSet<Revision> = named
        .chain(view.tasks.iter().map(|task| task.revision))
        .chain(targets.values().filter_map(|target| target.revision))
        .chain(known.last_good)
        .chain(known.observed_revision)
        .chain([view.service.revision])
        .collect();
    let mut unused: Vec<_> =
        view.revisions.iter().filter(|record| !used.contains(&record.revision)).collect();
    unused.sort_by_key(|record| record.number);
    let surplus = view.revisions.len() - REVISIONS;
    let prune = unused.into_iter().take(surplus);
    plan.actions
        .extend(prune.map(|record| Action::PruneRevision { revision: record.revision, uid: record.uid }));
}
