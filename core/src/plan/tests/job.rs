//! A job whose plans are carried out at once and whose Pods do what the case says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::pending;
use crate::{
    model::*,
    plan::{Action, Ended, NoSla, PastUpdate, Plan, Problem, ServiceView, Sla, plan_under},
};

pub(super) const GOOD: Revision = Revision::v1(0x900d);
pub(super) const BAD: Revision = Revision::v1(0xbad);
pub(super) const NEXT: Revision = Revision::v1(0x2e);

pub(super) struct Job {
    pub(super) service: Service,
    pub(super) tasks: Vec<Task>,
    pub(super) revisions: Vec<RevisionRecord>,
    pub(super) updates: Vec<Update>,
    pub(super) status: Option<ServiceStatus>,
    pub(super) lost_nodes: BTreeMap<NodeId, Timestamp>,
    pub(super) seen_runs: BTreeMap<Instance, Run>,
    pub(super) now: Timestamp,
    pub(super) frozen: bool,
    pub(super) problem: Option<Problem>,
    /// Configs whose Pods never become Ready but fail.
    pub(super) broken: BTreeSet<Revision>,
    pub(super) measurements: Vec<Measurement>,
    pub(super) pending: Vec<Pending>,
    /// Configs whose Pods run and never become Ready.
    pub(super) hanging: BTreeSet<Revision>,
    /// Configs that differ in nothing else than what can be changed in place.
    pub(super) alike: BTreeSet<Revision>,
    /// What the kubelet makes of a change in place.
    pub(super) stage: Stage,
    pub(super) events: Vec<&'static str>,
    /// Seconds the Pods have to stop.
    pub(super) grace_seconds: u32,
    pub(super) keep_allowed: bool,
    uids: u128,
}

fn past(update: &Update) -> PastUpdate {
    let created = update.progress.as_ref().map_or(Timestamp::UNIX_EPOCH, |progress| progress.started);
    PastUpdate { number: update.number, uid: update.uid, created, owned: update.owned }
}

impl Job {
    /// A service of so many instances, nothing of it there yet.
    pub(super) fn new(instances: u32) -> Self {
        let service = Service {
            uid: Uid::new(1),
            generation: 1,
            deleting: false,
            instances,
            revision: GOOD,
            update: UpdateSettings {
                strategy: Strategy::Batch { group_size: Amount::Count(2), autopause: false },
                watch_seconds: 10,
                ..UpdateSettings::default()
            },
            hold_updates: false,
            queue_updates: false,
            flapping: Flapping { threshold_seconds: 300, initial_delay_seconds: 60, max_delay_seconds: 300 },
            partition: Partition { reschedule: true, delay_seconds: 0 },
            history: History { failed: 3, ended: 1, ttl_seconds: 172_800 },
            work: Work::default(),
            batch: None,
        };
        Self {
            service,
            tasks: Vec::new(),
            revisions: Vec::new(),
            updates: Vec::new(),
            status: None,
            lost_nodes: BTreeMap::new(),
            seen_runs: BTreeMap::new(),
            now: Timestamp::from_second(1_000_000).unwrap(),
            frozen: false,
            problem: None,
            broken: BTreeSet::from([BAD]),
            measurements: Vec::new(),
            pending: Vec::new(),
            hanging: BTreeSet::new(),
            alike: BTreeSet::from([GOOD, BAD, NEXT]),
            stage: Stage::Done,
            events: Vec::new(),
            grace_seconds: 30,
            keep_allowed: true,
            uids: 100,
        }
    }

    /// The same, all instances running and settled.
    pub(super) fn running(instances: u32) -> Self {
        let mut job = Self::new(instances);
        job.settle();
        assert_eq!(job.count(GOOD), instances, "{:#?}", job.tasks);
        job.advance(3600);
        job
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan_under(&NoSla)
    }

    /// The same, where somebody has a say in which tasks are ended.
    pub(super) fn plan_under(&self, sla: &dyn Sla) -> Plan {
        self.with_view(|view| plan_under(view, self.now, sla))
    }

    /// What the planner is shown.
    pub(super) fn with_view<T>(&self, look: impl FnOnce(&ServiceView<'_>) -> T) -> T {
        let past: Vec<_> = self.updates.iter().rev().skip(1).rev().map(past).collect();
        look(&ServiceView {
            service: &self.service,
            tasks: &self.tasks,
            seen_runs: &self.seen_runs,
            revisions: &self.revisions,
            update: self.updates.last(),
            past_updates: &past,
            status: self.status.as_ref(),
            measurements: &self.measurements,
            pending: &self.pending,
            upstream: Upstream::default(),
            lost_nodes: &self.lost_nodes,
            keep_allowed: self.keep_allowed,
            frozen: self.frozen,
            problem: self.problem.as_ref(),
        })
    }

    /// Plans once and carries it out; whether anything was to be done.
    pub(super) fn step(&mut self) -> bool {
        let plan = self.plan();
        let mut busy = plan.progress.is_some() || !plan.actions.is_empty();
        if let Some((uid, progress)) = plan.progress {
            let update = self.updates.iter_mut().find(|update| update.uid == uid).unwrap();
            update.progress = Some(progress);
        }
        for action in plan.actions {
            self.carry_out(action);
        }
        if plan.status.is_some() && plan.status != self.status {
            busy = true;
            self.status = plan.status;
        }
        self.events.extend(plan.events.iter().map(|event| event.reason));
        busy
    }

    /// Lets everything happen that happens by itself, time included, for at most two hours.
    pub(super) fn settle(&mut self) {
        for _ in 0..1440 {
            while self.step() | self.pods() {}
            self.advance(5);
        }
    }

    /// Lets the Pods do what they do, then time pass.
    pub(super) fn pods_then(&mut self, seconds: i64) {
        self.pods();
        self.advance(seconds);
    }

    pub(super) fn advance(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::AdoptTask { uid, .. } => self.task_mut(uid).owned = true,
            Action::AdoptRevision { uid, .. } => {
                self.revisions.iter_mut().find(|r| r.uid == uid).unwrap().owned = true;
            }
            Action::AdoptUpdate { uid, .. } => {
                self.updates.iter_mut().find(|u| u.uid == uid).unwrap().owned = true;
            }
            Action::RecordRevision { revision, last_good } => self.record(revision, last_good),
            Action::MarkRevision { revision, last_good, failed } => {
                let record = self.revisions.iter_mut().find(|r| r.revision == revision).unwrap();
                (record.last_good, record.failed) = (last_good, failed);
            }
            Action::PruneRevision { uid, .. } => self.revisions.retain(|record| record.uid != uid),
            Action::PruneUpdate { uid, .. } => self.updates.retain(|update| update.uid != uid),
            Action::StartUpdate(new) => {
                let (uid, owned) = (self.uid(), true);
                let crate::plan::NewUpdate { number, mut instructions, settings, request: _ } = *new;
                if settings.in_place {
                    let sides = instructions.from.iter().chain(&instructions.base);
                    let alike = sides.map(|(revision, _)| *revision).filter(|it| self.alike.contains(it));
                    instructions.in_place = alike.collect();
                }
                let controls = Controls::default();
                self.updates.push(Update {
                    uid,
                    number,
                    instructions,
                    settings,
                    controls,
                    progress: None,
                    owned,
                });
            }
            Action::End { uid, intent, how, .. } => {
                let (now, grace_seconds) = (self.now, self.grace_seconds);
                let task = self.task_mut(uid);
                task.ending = Some(Ending {
                    intent: Some(intent),
                    at: now,
                    grace_seconds,
                    deleting: how != Ended::Kept,
                });
                task.before = task.state;
                task.state = if how.gives_up() { TaskState::Lost } else { TaskState::Killing };
            }
            Action::SetGate { uid, open, .. } => {
                let since = Some(self.now);
                let gate = self.task_mut(uid).in_place.as_mut().unwrap();
                (gate.open, gate.since) = (open, since);
            }
            Action::ChangeInPlace { uid, from, revision, update, .. } => {
                let change = Change { update, at: self.now, stage: Stage::Pending };
                let task = self.task_mut(uid);
                assert!(task.is_shut() && !task.ready && task.revision == from, "{task:#?}");
                task.in_place.as_mut().unwrap().change = Some(change);
                (task.revision, task.ready_since) = (revision, None);
                (task.state, task.before) = (TaskState::Starting, TaskState::Starting);
            }
            Action::Retire { uid, .. } => self.task_mut(uid).live_label = false,
            Action::Prune { uid, .. } => self.tasks.retain(|task| task.uid != uid),
            Action::RemoveJob { .. } => unreachable!("a service"),
            Action::Create { instance, run, revision, flaps, failures } => {
                self.create(instance, run, revision, flaps, failures);
            }
        }
    }

    fn create(&mut self, instance: Instance, run: Run, revision: Revision, flaps: u16, failures: u16) {
        let lives = self.tasks.iter().filter(|t| t.instance == instance && !t.is_terminal()).count();
        let surges = self.updates.last().is_some_and(|update| update.settings.max_surge != Amount::Count(0));
        assert!(lives <= usize::from(surges), "{lives} and one more of {instance}");
        assert!(self.seen_runs.insert(instance, run) < Some(run), "run {run} of {instance} again");
        let in_place = self
            .service
            .update
            .in_place
            .then(|| Box::new(InPlace { open: false, since: None, change: None }));
        let task = pending(self.uid(), instance, run, revision, self.now);
        let task = Task { in_place, flaps, failures, ..task };
        self.tasks.push(task);
        self.tasks.sort_by_key(|task| (task.instance, task.run));
    }

    /// What the Pods do by themselves: start and become Ready, or fail; end when told. Whether any did.
    pub(super) fn pods(&mut self) -> bool {
        let (now, broken, lost) = (self.now, self.broken.clone(), self.lost_nodes.clone());
        let (hanging, stage) = (self.hanging.clone(), self.stage);
        let mut changed = false;
        self.tasks.retain(|task| {
            let gone = task.ending.is_some_and(|e| e.deleting && e.intent != Some(Intent::Lose));
            changed |= gone;
            !gone
        });
        for task in self.tasks.iter_mut().filter(|task| !lost.contains_key(&task.node.unwrap())) {
            if task.state == TaskState::Killing {
                let (state, end) = match task.intent() {
                    Some(Intent::Finish) => (TaskState::Failed, EndReason::Exited),
                    _ => (TaskState::Killed, EndReason::Stopped),
                };
                (task.state, task.end, task.ended, changed) = (state, Some(end), Some(now), true);
            } else if task.state == TaskState::Pending {
                task.started = Some(now);
                if broken.contains(&task.revision) {
                    task.fail(now, 1);
                } else if task.is_shut() || hanging.contains(&task.revision) {
                    (task.state, task.before) = (TaskState::Starting, TaskState::Starting);
                } else {
                    task.run(now);
                }
                changed = true;
            } else if task.change().is_some_and(|change| change.stage == Stage::Pending)
                && stage != Stage::Pending
                && !task.is_terminal()
            {
                task.in_place.as_mut().unwrap().change.as_mut().unwrap().stage = stage;
                if stage == Stage::Done && broken.contains(&task.revision) {
                    task.fail(now, 1);
                }
                changed = true;
            } else if task.ready && task.is_shut() {
                (task.ready, task.unready_since, changed) = (false, Some(now), true);
            } else if task.state == TaskState::Starting
                && !task.is_shut()
                && !hanging.contains(&task.revision)
            {
                task.run(now);
                changed = true;
            } else if gated_and_unready(task) {
                (task.ready, task.ready_since, changed) = (true, Some(now), true);
            }
        }
        changed
    }

    pub(super) fn record(&mut self, revision: Revision, last_good: bool) {
        let uid = self.uid();
        let number = 1 + self.revisions.len() as i64;
        self.revisions.push(RevisionRecord { revision, uid, number, last_good, failed: false, owned: true });
    }

    fn uid(&mut self) -> Uid {
        self.uids += 1;
        Uid::new(self.uids)
    }

    pub(super) fn task_mut(&mut self, uid: Uid) -> &mut Task {
        self.tasks.iter_mut().find(|task| task.uid == uid).unwrap()
    }

    pub(super) fn live(&self, instance: Instance) -> Option<&Task> {
        self.tasks.iter().find(|task| task.instance == instance && !task.is_terminal())
    }

    /// Lets the live task of an instance fail now.
    pub(super) fn fail(&mut self, instance: Instance) {
        let (now, uid) = (self.now, self.live(instance).unwrap().uid);
        self.task_mut(uid).fail(now, 1);
    }

    /// Goes on until this holds.
    pub(super) fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if holds(self) {
                return;
            }
            self.step();
            self.pods_then(1);
        }
        panic!("it never comes about: {:#?} {:#?}", self.updates, self.tasks);
    }

    /// Goes on to the end of the update; the groups it works on, as they follow each other.
    pub(super) fn groups(&mut self) -> Vec<String> {
        let mut groups = Vec::new();
        while !self.progress().state.is_terminal() {
            self.step();
            let working = self.progress().working.to_string();
            if groups.last() != Some(&working) {
                groups.push(working);
            }
            self.pods_then(5);
        }
        groups
    }

    /// How many live tasks run the config.
    pub(super) fn count(&self, revision: Revision) -> u32 {
        self.tasks.iter().filter(|task| !task.is_terminal() && task.revision == revision).count() as u32
    }

    pub(super) fn update(&mut self) -> &mut Update {
        self.updates.last_mut().unwrap()
    }

    /// The newest update, once it has begun.
    pub(super) fn update_begun(&mut self) -> &mut Update {
        let known = self.updates.iter().filter(|update| update.progress.is_some()).count();
        while self.updates.iter().filter(|update| update.progress.is_some()).count() == known {
            assert!(self.step(), "nothing begins");
        }
        self.update()
    }

    pub(super) fn progress(&self) -> &Progress {
        self.updates.last().unwrap().progress.as_ref().unwrap()
    }

    pub(super) fn edit(&mut self, revision: Revision) {
        self.service.revision = revision;
        self.service.generation += 1;
    }

    /// The reason of Ready and whether it and Stalled hold.
    pub(super) fn ready(&self) -> (&'static str, bool, bool) {
        let conditions = &self.status.as_ref().unwrap().conditions;
        (conditions[0].reason, conditions[0].holds, conditions[2].holds)
    }
}

impl Task {
    fn run(&mut self, at: Timestamp) {
        (self.state, self.before, self.ready) = (TaskState::Running, TaskState::Running, true);
        self.ready_since = Some(at);
    }

    pub(super) fn fail(&mut self, at: Timestamp, code: i32) {
        self.before = self.state;
        (self.state, self.ready) = (TaskState::Failed, false);
        (self.end, self.exit_code, self.ended) = (Some(EndReason::Exited), Some(code), Some(at));
    }
}

/// Whether it is kept from being Ready by its gate alone, which is open by now.
fn gated_and_unready(task: &Task) -> bool {
    let opened = task.in_place.as_ref().filter(|gate| gate.open).and_then(|gate| gate.since);
    task.state == TaskState::Running && !task.ready && opened >= task.unready_since
}
