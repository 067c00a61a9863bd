//! The Pods of a job: ending what shall not be or has taken too long, making the next run of what has yet to succeed,
//! and never two of an instance at a time.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{Instance, Intent, Task, TaskState, reasons};

use super::{
    super::{
        Action, Ended, Plan,
        ending::{self, later},
        flapping,
    },
    Scene,
    course::Course,
};

/// Seconds a task may be without readiness whatever its job says: where its node was lost, the node says so a little
/// later.
const UNREADY_GRACE: u32 = 5;

/// Plans what brings the job's Pods there; how many instances are held back because they flapped.
pub(super) fn reconcile(scene: &Scene<'_>, course: &Course, plan: &mut Plan) -> u32 {
    let mut work = Work { scene, plan, throttled: 0 };
    let all = scene.fleet.view.service.instances;
    // A decision is acted on once it is recorded.
    let goes_on = matches!(course, Course::Waits(_) | Course::Runs(_));
    let ends = !goes_on && (*course == Course::Suspended || is_decided(scene));
    for instance in scene.fleet.instances() {
        let unwanted = ends || instance >= all || scene.tally.succeeded.contains(instance);
        work.instance(instance, unwanted);
    }
    if matches!(course, Course::Runs(_)) {
        work.start(all);
    }
    work.throttled
}

fn is_decided(scene: &Scene<'_>) -> bool {
    scene.known.batch.as_ref().is_some_and(|batch| batch.ended.is_some())
}

struct Work<'a, 'p> {
    scene: &'a Scene<'a>,
    plan: &'p mut Plan,
    throttled: u32,
}

impl Work<'_, '_> {
    fn instance(&mut self, instance: Instance, unwanted: bool) {
        let mut lives = self.scene.fleet.lives(instance).rev();
        if let Some(newest) = lives.next() {
            self.live(newest, unwanted);
        }
        lives.for_each(|older| ending::odd(self.scene.fleet, older, self.plan));
    }

    fn live(&mut self, task: &Task, unwanted: bool) {
        let fleet = self.scene.fleet;
        let (state, effects) = fleet.state(task);
        if effects.give_up {
            return self.plan.end(task, Intent::Lose, Ended::Lost);
        }
        if let Some(ending) = task.ending {
            return ending::press(fleet, task, ending, self.plan);
        }
        match state {
            // Nobody answers there: what shall go is given up at once.
            TaskState::Partitioned if unwanted && !fleet.view.frozen => {
                self.plan.end(task, Intent::Lose, Ended::Lost);
            }
            TaskState::Partitioned => ending::partitioned(fleet, task, self.plan),
            // How it ended stands in the Pod alone: it is kept until it was read.
            _ if task.half_ended => self.plan.end(task, Intent::Finish, Ended::Kept),
            _ if unwanted => self.stop(task, Intent::Kill, Ended::Deleted),
            _ => {
                let Some((due, intent)) = self.limit(task) else { return };
                if fleet.now < due {
                    return self.plan.check_at(due);
                }
                self.stop(task, intent, Ended::Kept);
            }
        }
    }

    /// Ends a task that could live on, unless a freeze holds that back.
    fn stop(&mut self, task: &Task, intent: Intent, how: Ended) {
        if self.scene.fleet.view.frozen {
            return self.plan.hold(task.instance, reasons::FROZEN, None);
        }
        self.plan.end(task, intent, how);
    }

    /// When a task will have taken too long, or been without health for too long, whatever comes first.
    fn limit(&self, task: &Task) -> Option<(Timestamp, Intent)> {
        let (started, batch) = (task.started?, self.scene.batch);
        let time = batch.timeout_seconds.map(|limit| (later(started, limit.into()), Intent::TimeOut));
        let health = batch.health.and_then(|patience| match (task.ready, task.ready_since) {
            (true, _) => None,
            (false, None) => Some(later(started, patience.first_seconds.into())),
            (false, Some(ready)) => {
                let since = task.unready_since.unwrap_or(ready);
                Some(later(since, patience.again_seconds.max(UNREADY_GRACE).into()))
            }
        });
        time.into_iter().chain(health.map(|due| (due, Intent::Unhealthy))).min_by_key(|(due, _)| *due)
    }

    /// Makes the next run of instances that have yet to succeed, as many as may run at a time.
    fn start(&mut self, all: u32) {
        let Scene { fleet, batch, known, tally, foreign } = self.scene;
        // Nothing is made before there is a status: from it on, what runs is known to be granted.
        if known.observed_revision.is_none() {
            return;
        }
        let busy: BTreeSet<Instance> =
            fleet.instances().filter(|instance| fleet.lives(*instance).next().is_some()).collect();
        let room = batch.parallelism.unwrap_or(u32::MAX) as usize;
        let mut room = room.saturating_sub(busy.len());
        let absent = (0..all).filter(|it| tally.is_wanted(*it, all) && !busy.contains(it));
        for instance in absent {
            if room == 0 {
                return;
            }
            if foreign.contains(&instance) {
                self.plan.hold(instance, reasons::NAME_CONFLICT, None);
                continue;
            }
            room -= usize::from(self.absent(instance));
        }
    }

    /// Makes the next run of an instance, unless it flaps; whether it does.
    fn absent(&mut self, instance: Instance) -> bool {
        let Scene { fleet, known, tally, .. } = self.scene;
        let service = fleet.view.service;
        let run = fleet.next_run(instance, known);
        let predecessor = fleet.newest(instance).filter(|task| task.run + 1 == run);
        let inherited =
            predecessor.map(|task| flapping::inherit(task, &service.flapping)).unwrap_or_default();
        if let Some(due) = inherited.due.filter(|due| fleet.now < *due) {
            self.throttled += 1;
            self.plan.hold(instance, reasons::THROTTLED, Some(due));
            return false;
        }
        let failures = u16::try_from(tally.failures_of(instance)).unwrap_or(u16::MAX);
        let (revision, flaps) = (service.revision, inherited.flaps);
        self.plan.actions.push(Action::Create { instance, run, revision, flaps, failures });
        true
    }
}
