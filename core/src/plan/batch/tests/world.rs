//! A job whose plans are carried out at once and whose Pods do what the case says.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    model::*,
    plan::{Action, Ended, NoSla, Plan, Problem, ServiceView, plan_under, tests::pending},
};

pub(super) const CONFIG: Revision = Revision::v1(0xc0);

pub(super) struct Job {
    pub(super) service: Service,
    pub(super) tasks: Vec<Task>,
    pub(super) status: Option<ServiceStatus>,
    pub(super) seen_runs: BTreeMap<Instance, Run>,
    pub(super) lost_nodes: BTreeMap<NodeId, Timestamp>,
    pub(super) now: Timestamp,
    pub(super) frozen: bool,
    pub(super) problem: Option<Problem>,
    pub(super) parents: Vec<ParentSeen>,
    pub(super) cycle: Option<&'static str>,
    pub(super) confirmed: bool,
    pub(super) keep_allowed: bool,
    pub(super) is_removed: bool,
    pub(super) events: Vec<&'static str>,
    uids: u128,
}

/// How a case lets a task end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Exit(i32),
    OutOfMemory,
    /// Stopped from outside, its Pod still there.
    Killed,
    /// The Pod is deleted from outside.
    Deleted,
    Preempted,
    Drained,
    /// Evicted, and the Pod is gone with it.
    Evicted,
    NodeLost,
    Rejected,
    TimedOut,
    Unhealthy,
    /// One of its containers has exited so, the others are stopped for it.
    Half(i32),
}

pub(super) fn batch() -> Batch {
    Batch {
        max_task_failures: Some(1),
        parallelism: None,
        min_succeeded: None,
        timeout_seconds: None,
        job_timeout_seconds: None,
        ttl_seconds: None,
        suspend: false,
        health: None,
        parents: Vec::new(),
        run_of: None,
        kill: None,
        called: ("ads".into(), "sum".into()),
    }
}

impl Job {
    /// A job of so many instances, nothing of it there yet.
    pub(super) fn new(instances: u32, edit: impl FnOnce(&mut Batch)) -> Self {
        let mut batch = batch();
        edit(&mut batch);
        let now = Timestamp::from_second(1_000_000).unwrap();
        let service = Service {
            uid: Uid::new(1),
            generation: 1,
            deleting: false,
            instances,
            revision: CONFIG,
            update: UpdateSettings::default(),
            hold_updates: false,
            queue_updates: false,
            flapping: Flapping { threshold_seconds: 300, initial_delay_seconds: 60, max_delay_seconds: 300 },
            partition: Partition { reschedule: true, delay_seconds: 0 },
            history: History { failed: 3, ended: 1, ttl_seconds: 172_800 },
            work: Work { created: now, ..Work::default() },
            batch: Some(Box::new(batch)),
        };
        Self {
            service,
            tasks: Vec::new(),
            status: None,
            seen_runs: BTreeMap::new(),
            lost_nodes: BTreeMap::new(),
            now,
            frozen: false,
            problem: None,
            parents: Vec::new(),
            cycle: None,
            confirmed: false,
            keep_allowed: true,
            is_removed: false,
            events: Vec::new(),
            uids: 100,
        }
    }

    /// The same, a Pod of every instance running.
    pub(super) fn running(instances: u32, edit: impl FnOnce(&mut Batch)) -> Self {
        let mut job = Self::new(instances, edit);
        job.go();
        job.run_all();
        job.go();
        job
    }

    pub(super) fn batch(&mut self) -> &mut Batch {
        self.service.batch.as_mut().unwrap()
    }

    pub(super) fn plan(&self) -> Plan {
        self.with_view(|view| plan_under(view, self.now, &NoSla))
    }

    pub(super) fn with_view<T>(&self, look: impl FnOnce(&ServiceView<'_>) -> T) -> T {
        let upstream = Upstream { parents: &self.parents, cycle: self.cycle, confirmed: self.confirmed };
        look(&ServiceView {
            service: &self.service,
            tasks: &self.tasks,
            seen_runs: &self.seen_runs,
            revisions: &[],
            update: None,
            past_updates: &[],
            status: self.status.as_ref(),
            measurements: &[],
            pending: &[],
            upstream,
            lost_nodes: &self.lost_nodes,
            keep_allowed: self.keep_allowed,
            frozen: self.frozen,
            problem: self.problem.as_ref(),
        })
    }

    /// Plans once and carries it out; whether anything was to be done.
    pub(super) fn step(&mut self) -> bool {
        let plan = self.plan();
        let busy = !plan.actions.is_empty() || plan.status != self.status;
        assert_eq!(plan.progress, None);
        plan.actions.into_iter().for_each(|action| self.carry_out(action));
        self.status = plan.status;
        self.events.extend(plan.events.iter().map(|event| event.reason));
        busy
    }

    /// Plans until there is nothing more to be done: the Pods do nothing meanwhile but end when told.
    pub(super) fn go(&mut self) {
        for _ in 0..50 {
            if !(self.step() | self.obey()) {
                return;
            }
        }
        panic!("it never comes to rest: {:#?}", self.plan());
    }

    /// Lets time pass, then plans until there is nothing more to be done.
    pub(super) fn after(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.go();
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::End { uid, intent, how, .. } => {
                let now = self.now;
                let task = self.task_mut(uid);
                let deleting = how != Ended::Kept;
                task.ending = Some(Ending { intent: Some(intent), at: now, grace_seconds: 30, deleting });
                let on_purpose = !matches!(intent, Intent::Finish | Intent::TimeOut | Intent::Unhealthy);
                if how.gives_up() {
                    (task.before, task.state) = (task.state, TaskState::Lost);
                    (task.end, task.ended) = (Some(EndReason::NodeLost), Some(now));
                } else if deleting || on_purpose {
                    task.state = TaskState::Killing;
                }
            }
            Action::Retire { uid, .. } => self.task_mut(uid).live_label = false,
            Action::Prune { uid, .. } => {
                assert!(self.task_mut(uid).is_terminal());
                self.tasks.retain(|task| task.uid != uid);
            }
            Action::Create { instance, run, revision, flaps, failures } => {
                let is_live = |task: &Task| task.instance == instance && !task.is_terminal();
                assert!(!self.tasks.iter().any(is_live), "two of {instance}");
                assert!(self.seen_runs.insert(instance, run) < Some(run), "run {run} of {instance} again");
                let task = self.pending(instance, run, revision);
                self.tasks.push(Task { flaps, failures, ..task });
                self.tasks.sort_by_key(|task| (task.instance, task.run));
            }
            Action::RemoveJob { uid } => {
                assert_eq!(uid, self.service.uid);
                self.is_removed = true;
                self.service.deleting = true;
            }
            other => panic!("no business of a job's: {other:?}"),
        }
    }

    pub(super) fn pending(&mut self, instance: Instance, run: Run, revision: Revision) -> Task {
        self.uids += 1;
        pending(Uid::new(self.uids), instance, run, revision, self.now)
    }

    /// What was told to end does, where anybody hears it.
    fn obey(&mut self) -> bool {
        let (now, lost) = (self.now, self.lost_nodes.clone());
        let before = self.tasks.len();
        let mut changed = false;
        self.tasks.retain(|task| {
            let hears = !lost.contains_key(&task.node.unwrap());
            !(hears && task.ending.is_some_and(|ending| ending.deleting))
        });
        for task in self.tasks.iter_mut().filter(|task| !task.is_terminal() && task.ending.is_some()) {
            if lost.contains_key(&task.node.unwrap()) {
                continue;
            }
            let (state, end) = match task.intent() {
                Some(Intent::TimeOut) => (TaskState::Failed, EndReason::TimedOut),
                Some(Intent::Unhealthy) => (TaskState::Failed, EndReason::Unhealthy),
                Some(Intent::Finish) if task.exit_code == Some(0) => (TaskState::Finished, EndReason::Exited),
                Some(Intent::Finish) => (TaskState::Failed, EndReason::Exited),
                _ => (TaskState::Killed, EndReason::Stopped),
            };
            task.half_ended = false;
            task.over(state, end, now);
            changed = true;
        }
        changed || self.tasks.len() != before
    }

    /// Lets every Pod that waits run and be Ready.
    pub(super) fn run_all(&mut self) {
        let now = self.now;
        for task in self.tasks.iter_mut().filter(|task| task.state == TaskState::Pending) {
            (task.state, task.before) = (TaskState::Running, TaskState::Running);
            (task.ready, task.ready_since, task.started) = (true, Some(now), Some(now));
        }
    }

    /// Lets the live task of an instance end so, and plans until there is nothing more to be done.
    pub(super) fn end(&mut self, instance: Instance, way: Way) {
        let now = self.now;
        let task = self.live(instance).unwrap().uid;
        let gone = |job: &mut Self| job.tasks.retain(|other| other.uid != task);
        let it = self.task_mut(task);
        match way {
            Way::Exit(code) => {
                it.exit_code = Some(code);
                let state = if code == 0 { TaskState::Finished } else { TaskState::Failed };
                it.over(state, EndReason::Exited, now);
            }
            Way::OutOfMemory => it.over(TaskState::Failed, EndReason::OutOfMemory, now),
            Way::Killed => it.over(TaskState::Killed, EndReason::Stopped, now),
            Way::Deleted => gone(self),
            Way::Preempted | Way::Drained => {
                let (intent, state) = match way {
                    Way::Preempted => (Intent::Preempt, TaskState::Preempting),
                    _ => (Intent::Drain, TaskState::Draining),
                };
                (it.state, it.before) = (state, state);
                it.ending = Some(Ending { intent: Some(intent), at: now, grace_seconds: 30, deleting: true });
                self.go();
                gone(self);
            }
            Way::Evicted => it.over(TaskState::Lost, EndReason::Disrupted, now),
            Way::NodeLost => it.over(TaskState::Lost, EndReason::NodeLost, now),
            Way::Rejected => {
                (it.started, it.ready_since) = (None, None);
                it.over(TaskState::Lost, EndReason::Rejected, now);
            }
            Way::TimedOut => it.over(TaskState::Failed, EndReason::TimedOut, now),
            Way::Unhealthy => it.over(TaskState::Failed, EndReason::Unhealthy, now),
            Way::Half(code) => (it.half_ended, it.exit_code) = (true, Some(code)),
        }
        self.go();
    }

    pub(super) fn task_mut(&mut self, uid: Uid) -> &mut Task {
        self.tasks.iter_mut().find(|task| task.uid == uid).unwrap()
    }

    pub(super) fn live(&self, instance: Instance) -> Option<&Task> {
        self.tasks.iter().find(|task| task.instance == instance && !task.is_terminal())
    }

    /// Instances with a live Pod.
    pub(super) fn lives(&self) -> Vec<Instance> {
        self.tasks.iter().filter(|task| !task.is_terminal()).map(|task| task.instance).collect()
    }

    pub(super) fn said(&self) -> &BatchStatus {
        self.status.as_ref().unwrap().batch.as_ref().unwrap()
    }

    pub(super) fn phase(&self) -> Phase {
        self.said().phase
    }

    /// The reason of Ready, and whether it, Reconciling and Stalled hold.
    pub(super) fn ready(&self) -> (&'static str, bool, bool, bool) {
        let holds = |kind| self.status.as_ref().unwrap().condition(kind).is_some_and(|it| it.holds);
        let reason = self.status.as_ref().unwrap().condition(ConditionType::Ready).unwrap().reason;
        let [ready, reconciling, stalled] =
            [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled].map(holds);
        (reason, ready, reconciling, stalled)
    }

    pub(super) fn message(&self, kind: ConditionType) -> &str {
        &self.status.as_ref().unwrap().condition(kind).unwrap().message
    }
}

impl Task {
    fn over(&mut self, state: TaskState, end: EndReason, at: Timestamp) {
        if !self.is_terminal() {
            self.before = self.state;
        }
        (self.state, self.ready) = (state, false);
        (self.end, self.ended) = (Some(end), Some(at));
    }
}
