//! A job in a still world: plans are carried out at once and as a whole, Pods do what their config lets them, and
//! nothing else happens. What holds here must hold for any spec and any past.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use borealis_core::{
    model::*,
    plan::{Action, Ended, NewUpdate, PastUpdate, Plan, ServiceView, plan},
};
use jiff::{SignedDuration, Timestamp};

#[derive(Clone)]
pub(crate) struct Still {
    pub(crate) service: Service,
    pub(crate) tasks: Vec<Task>,
    pub(crate) seen_runs: BTreeMap<Instance, Run>,
    pub(crate) revisions: Vec<RevisionRecord>,
    pub(crate) updates: Vec<Update>,
    pub(crate) status: Option<ServiceStatus>,
    pub(crate) lost_nodes: BTreeMap<NodeId, Timestamp>,
    pub(crate) frozen: bool,
    pub(crate) keep_allowed: bool,
    pub(crate) now: Timestamp,
    /// Configs whose Pods fail as soon as they run.
    pub(crate) bad: BTreeSet<Revision>,
    /// What came of measuring every check; without it they are measured all the time and hold.
    pub(crate) measured: Option<Outcome>,
    /// Pods made so far, by instance.
    pub(crate) made: BTreeMap<Instance, u32>,
    uids: u128,
}

/// In few lines: proptest shows it whole.
impl fmt::Debug for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = &self.service;
        writeln!(f, "x{} of {}, {:?}", service.instances, service.revision, service.update)?;
        writeln!(f, "frozen {}, lost {:?}, now {}", self.frozen, self.lost_nodes, self.now)?;
        writeln!(f, "measured {:?}", self.measured)?;
        for Task { instance, run, revision, state, ending, ready, half_ended, end, node, owned, .. } in
            &self.tasks
        {
            write!(f, "task {instance}-{run} {revision} {state:?} on {node:?} ended {end:?} owned {owned}")?;
            writeln!(f, " ready {ready} half {half_ended} {:?}", ending.map(|it| (it.intent, it.deleting)))?;
        }
        for record in &self.revisions {
            writeln!(f, "config {} good {} failed {}", record.revision, record.last_good, record.failed)?;
        }
        for Update { number, instructions, controls, progress, settings, .. } in &self.updates {
            writeln!(f, "update {number} {instructions:?} {controls:?} {settings:?}\n   {progress:?}")?;
        }
        match &self.status {
            None => writeln!(f, "no status"),
            Some(status) => writeln!(
                f,
                "status observed {:?} good {:?} desired {} highest {} {:?} {:?}",
                status.observed_revision,
                status.last_good,
                status.counts.desired,
                status.highest_run,
                status.update,
                status.revisions
            ),
        }
    }
}

impl Still {
    pub(crate) fn new(service: Service) -> Self {
        Self {
            service,
            tasks: Vec::new(),
            seen_runs: BTreeMap::new(),
            revisions: Vec::new(),
            updates: Vec::new(),
            status: None,
            lost_nodes: BTreeMap::new(),
            frozen: false,
            keep_allowed: true,
            now: Timestamp::from_second(1_000_000).unwrap(),
            bad: BTreeSet::new(),
            measured: None,
            made: BTreeMap::new(),
            uids: 1000,
        }
    }

    pub(crate) fn uid(&mut self) -> Uid {
        self.uids += 1;
        Uid::new(self.uids)
    }

    pub(crate) fn plan(&self) -> Plan {
        let past: Vec<_> = self
            .updates
            .iter()
            .rev()
            .skip(1)
            .rev()
            .map(|u| PastUpdate { number: u.number, uid: u.uid, created: self.now, owned: u.owned })
            .collect();
        let checks = self.updates.last().map_or(&[][..], |update| &update.settings.checks);
        let holds = || Outcome::Measured {
            at: self.now,
            held_at: Some(self.now),
            fails_since: None,
            failing: false,
            value: "1".to_owned(),
            message: "1, must be at most 1".to_owned(),
        };
        let measurement = |check: &Check| Measurement {
            check: check.name.clone(),
            outcome: self.measured.clone().unwrap_or_else(holds),
        };
        let measurements: Vec<Measurement> = checks.iter().map(measurement).collect();
        let view = ServiceView {
            service: &self.service,
            tasks: &self.tasks,
            seen_runs: &self.seen_runs,
            revisions: &self.revisions,
            update: self.updates.last(),
            past_updates: &past,
            status: self.status.as_ref(),
            measurements: &measurements,
            pending: &[],
            upstream: Upstream::default(),
            lost_nodes: &self.lost_nodes,
            keep_allowed: self.keep_allowed,
            frozen: self.frozen,
            problem: None,
        };
        plan(&view, self.now)
    }

    /// Plans and carries it out; whether there was anything to do.
    pub(crate) fn step(&mut self) -> bool {
        let Plan { progress, actions, status, .. } = self.plan();
        let mut busy = progress.is_some() || !actions.is_empty();
        if let Some((uid, progress)) = progress {
            let update =
                self.updates.iter_mut().find(|update| update.uid == uid).expect("the update is there");
            update.progress = Some(progress);
        }
        actions.into_iter().for_each(|action| self.carry_out(action));
        if status.is_some() && status != self.status {
            self.status = status;
            busy = true;
        }
        busy
    }

    /// Plans until nothing is left to do while time stands still; fails where that never comes.
    pub(crate) fn come_to_rest(&mut self) {
        for _ in 0..30 {
            if !self.step() {
                return;
            }
        }
        panic!("plans go on for ever: {:?}\nof {self:?}", self.plan().actions);
    }

    /// Sends a pulse, and lets an update go on that has paused by itself.
    fn attend(&mut self) {
        let now = Timestamp::from_second(self.now.as_second()).unwrap();
        let Some(update) = self.updates.last_mut() else { return };
        let state = update.progress.as_ref().map(|progress| progress.state);
        update.controls.pulse = Some(now);
        if state == Some(UpdateState::RollForwardPaused) && !update.controls.paused {
            update.controls.resume_after_batch += 1;
        }
    }

    /// Lets everything happen that happens by itself, and somebody attend to it, for so many seconds.
    pub(crate) fn live(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while self.now < end {
            self.attend();
            self.come_to_rest();
            self.pods();
            self.come_to_rest();
            self.now += SignedDuration::from_secs(5);
        }
    }

    pub(crate) fn live_task(&self, instance: Instance) -> Option<&Task> {
        self.tasks.iter().find(|task| task.instance == instance && !task.is_terminal())
    }

    /// How many live tasks an instance has.
    pub(crate) fn live_tasks(&self, instance: Instance) -> usize {
        self.tasks.iter().filter(|task| task.instance == instance && !task.is_terminal()).count()
    }

    /// Whether a task of an instance does its work.
    pub(crate) fn is_served(&self, instance: Instance) -> bool {
        let serves = |task: &Task| task.ready && !task.is_terminal() && task.ending.is_none();
        self.tasks.iter().any(|task| task.instance == instance && serves(task))
    }

    /// What runs, and is to stay.
    pub(crate) fn running(&self) -> BTreeMap<Instance, Revision> {
        let stays = self.tasks.iter().filter(|task| !task.is_terminal() && task.ending.is_none());
        stays.map(|task| (task.instance, task.revision)).collect()
    }

    pub(crate) fn progress(&self) -> Option<&Progress> {
        self.updates.last()?.progress.as_ref()
    }

    pub(crate) fn edit(&mut self, revision: Revision, instances: u32) {
        self.service.generation += 1;
        (self.service.revision, self.service.instances) = (revision, instances);
    }

    fn task(&mut self, uid: Uid) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.uid == uid)
    }

    /// The live task of an instance ends by itself.
    pub(crate) fn fail(&mut self, instance: Instance) {
        let now = self.now;
        let task = self.tasks.iter_mut().find(|task| task.instance == instance && !task.is_terminal());
        if let Some(task) = task.filter(|task| task.ending.is_none()) {
            end(task, TaskState::Failed, EndReason::Exited, now);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::AdoptTask { uid, .. } => self.task(uid).into_iter().for_each(|task| task.owned = true),
            Action::AdoptRevision { uid, .. } => {
                self.revisions.iter_mut().filter(|it| it.uid == uid).for_each(|it| it.owned = true);
            }
            Action::AdoptUpdate { uid, .. } => {
                self.updates.iter_mut().filter(|it| it.uid == uid).for_each(|it| it.owned = true);
            }
            Action::RecordRevision { revision, last_good } => {
                let (uid, number) = (self.uid(), 1 + self.revisions.len() as i64);
                let record = RevisionRecord { revision, uid, number, last_good, failed: false, owned: true };
                self.revisions.push(record);
            }
            Action::MarkRevision { revision, last_good, failed } => {
                let record = self.revisions.iter_mut().find(|it| it.revision == revision).expect("is stored");
                (record.last_good, record.failed) = (last_good, failed);
            }
            Action::PruneRevision { uid, .. } => self.revisions.retain(|it| it.uid != uid),
            Action::PruneUpdate { uid, .. } => self.updates.retain(|it| it.uid != uid),
            Action::StartUpdate(new) => {
                let NewUpdate { number, mut instructions, settings, request: _ } = *new;
                if settings.in_place {
                    instructions.in_place = instructions.from.iter().map(|(revision, _)| *revision).collect();
                }
                let (uid, controls) = (self.uid(), Controls::default());
                let update =
                    Update { uid, number, instructions, settings, controls, progress: None, owned: true };
                self.updates.push(update);
            }
            Action::End { uid, intent, how, .. } => {
                let at = self.now;
                let task = self.task(uid).expect("is there");
                let lost = how.gives_up();
                task.ending = Some(Ending {
                    intent: Some(intent),
                    at,
                    grace_seconds: 30,
                    deleting: how != Ended::Kept,
                });
                task.before = if task.is_terminal() { task.before } else { task.state };
                task.state = if lost { TaskState::Lost } else { TaskState::Killing };
                task.end = lost.then_some(EndReason::NodeLost);
                task.ended = lost.then_some(at);
            }
            Action::SetGate { uid, open, .. } => {
                let since = Some(self.now);
                let gate = self.task(uid).expect("is there").in_place.as_mut().expect("has a gate");
                (gate.open, gate.since) = (open, since);
            }
            Action::ChangeInPlace { uid, from, revision, update, .. } => {
                let change = Change { update, at: self.now, stage: Stage::Pending };
                let task = self.task(uid).expect("is there");
                assert!(task.is_shut() && !task.ready && task.revision == from, "{task:?}");
                (task.revision, task.ready_since) = (revision, None);
                (task.state, task.before) = (TaskState::Starting, TaskState::Starting);
                task.in_place.as_mut().expect("has a gate").change = Some(change);
            }
            Action::Retire { uid, .. } => {
                self.task(uid).into_iter().for_each(|task| task.live_label = false);
            }
            Action::Prune { uid, .. } => self.tasks.retain(|task| task.uid != uid),
            Action::RemoveJob { .. } => panic!("a service"),
            Action::Create { instance, run, revision, flaps, failures } => {
                let uid = self.uid();
                let node = None;
                let mut task =
                    Task { flaps, failures, node, ..new_task(uid, instance, run, revision, self.now) };
                if self.service.update.in_place {
                    task.in_place = Some(Box::new(InPlace { open: false, since: None, change: None }));
                }
                *self.made.entry(instance).or_default() += 1;
                self.seen_runs.insert(instance, run);
                self.tasks.push(task);
                self.tasks.sort_by_key(|task| (task.instance, task.run));
            }
        }
    }

    /// What Pods do by themselves.
    pub(crate) fn pods(&mut self) {
        let (now, lost) = (self.now, self.lost_nodes.clone());
        let reachable = |task: &Task| task.node.is_none_or(|node| !lost.contains_key(&node));
        self.tasks.retain(|task| !(reachable(task) && task.ending.is_some_and(|ending| ending.deleting)));
        let up = (0..3).map(NodeId).find(|node| !lost.contains_key(node));
        for task in self.tasks.iter_mut().filter(|task| reachable(task)) {
            task.node = task.node.or(up);
            match task.state {
                TaskState::Killing => end(task, TaskState::Killed, EndReason::Stopped, now),
                TaskState::Pending if self.bad.contains(&task.revision) => {
                    task.started = Some(now);
                    end(task, TaskState::Failed, EndReason::Exited, now);
                }
                TaskState::Pending | TaskState::Assigned if task.is_shut() => {
                    (task.state, task.before, task.started) =
                        (TaskState::Starting, TaskState::Starting, Some(now));
                }
                TaskState::Starting | TaskState::Running if task.in_place.is_some() => {
                    gated(task, now, &self.bad);
                }
                TaskState::Pending => {
                    (task.state, task.before) = (TaskState::Running, TaskState::Running);
                    (task.ready, task.ready_since, task.started) = (true, Some(now), Some(now));
                }
                _ => {}
            }
        }
    }
}

/// What the Pod of a task with a gate does by itself.
fn gated(task: &mut Task, now: Timestamp, bad: &BTreeSet<Revision>) {
    let Some(gate) = task.in_place.as_mut() else { return };
    if let Some(change) = gate.change.as_mut().filter(|change| change.stage == Stage::Pending) {
        change.stage = Stage::Done;
        if bad.contains(&task.revision) {
            return end(task, TaskState::Failed, EndReason::Exited, now);
        }
    }
    if task.is_shut() {
        if task.ready {
            (task.ready, task.unready_since) = (false, Some(now));
        }
    } else if !task.ready {
        (task.state, task.before) = (TaskState::Running, TaskState::Running);
        (task.ready, task.ready_since) = (true, Some(now));
    }
}

/// A task as its Pod is right after it was made.
pub(crate) fn new_task(
    uid: Uid,
    instance: Instance,
    run: Run,
    revision: Revision,
    created: Timestamp,
) -> Task {
    Task {
        uid,
        instance,
        run,
        revision,
        state: TaskState::Pending,
        before: TaskState::Pending,
        ready: false,
        ready_since: None,
        unready_since: None,
        waiting: None,
        created,
        started: None,
        ended: None,
        end: None,
        exit_code: None,
        ending: None,
        half_ended: false,
        in_place: None,
        flaps: 0,
        failures: 0,
        node: Some(NodeId(instance % 3)),
        live_label: true,
        owned: true,
    }
}

fn end(task: &mut Task, state: TaskState, reason: EndReason, now: Timestamp) {
    if !task.is_terminal() {
        task.before = task.state;
    }
    (task.state, task.ready, task.end, task.ended) = (state, false, Some(reason), Some(now));
    task.exit_code = (reason == EndReason::Exited).then_some(1);
}
