//! Worlds around a job whose instances run to their end: its spec, what happens to it, and what must never be and must
//! be in the end.
//!
//! The operators, their watches and their ways to the API server are those of services. Pods end by themselves here, well
//! or badly, and what came of each is known from the store alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    model::{self, *},
    plan::{Action, Plan, plan},
    state::Phase,
};

use super::{
    Tally,
    cache::Snapshot,
    draw::Draw,
    ends,
    objects::{Pod, ServiceObject},
    request::requests,
    script::Disturbance,
    setting::Setting,
    store::Store,
    trace::short,
    world::World,
};

/// A job of a seed.
pub(super) fn draw_batch(draw: &mut Draw) -> Batch {
    let some = |draw: &mut Draw, percent, first, last| draw.chance(percent).then(|| draw.small(first, last));
    Batch {
        max_task_failures: draw.pick(&[Some(1), Some(2), Some(3), Some(3), None]),
        parallelism: some(draw, 40, 1, 4),
        min_succeeded: some(draw, 40, 1, 6),
        timeout_seconds: some(draw, 30, 10, 50),
        job_timeout_seconds: some(draw, 15, 60, 600),
        ttl_seconds: None,
        suspend: false,
        health: draw
            .chance(30)
            .then(|| HealthPatience { first_seconds: draw.small(3, 20), again_seconds: draw.small(0, 10) }),
        parents: Vec::new(),
        run_of: None,
        kill: None,
        called: ("sim".into(), "job".into()),
    }
}

/// Whether it can happen to a job: its config is what it is, and it has neither updates nor stored configs.
pub(super) fn can_happen(disturbance: &Disturbance) -> bool {
    use Disturbance::*;
    !matches!(
        disturbance,
        Config(..)
            | Settings(_)
            | Scope(_)
            | Restart
            | Bad(_)
            | Unattended(_)
            | RollBack
            | Retry
            | DeleteUpdate
            | DeleteRevision(_)
            | WipeStatus
            | Recreate { .. }
    )
}

/// How a Pod of a job ends by itself, and after how many milliseconds.
pub(super) fn own_end(setting: &Setting, pod: &Pod) -> (i32, u64) {
    let mut draw = Draw::of(setting.seed, &[40, pod.instance.into(), pod.run.into()]);
    // One that is tried again without end has to come to one before the world does.
    if pod.run > 12 { (0, 200) } else { (i32::from(draw.chance(40)), draw.between(200, 60_000)) }
}

/// What is known of a job's Pods and status from the store.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// Pods that have failed by what they did themselves, or since they took too long.
    failed: BTreeMap<Instance, BTreeSet<Uid>>,
    /// Pods that have succeeded.
    succeeded: BTreeMap<Instance, BTreeSet<Uid>>,
    ended: Option<BatchStatus>,
}

impl Truth {
    /// Counts how the job has ended.
    pub(super) fn count(&self, tally: &mut Tally) {
        match self.ended.as_ref().map(|ended| ended.phase) {
            Some(model::Phase::Complete) => tally.completed += 1,
            Some(_) => tally.failed += 1,
            None => {}
        }
    }

    /// A Pod is as this in the store now; what is wrong with that.
    pub(super) fn pod(&mut self, store: &Store, pod: &Pod, is_new: bool) -> Option<String> {
        let instance = pod.instance;
        if is_new {
            let there = |uid: &&Uid| store.pod(**uid).is_some();
            let done = self.succeeded.get(&instance).and_then(|pods| pods.iter().find(there));
            let recorded = recorded(store).is_some_and(|batch| batch.succeeded.contains(instance));
            let stale = recorded.then_some("as is recorded").or(done.map(|_| "as its Pod shows"));
            return stale
                .map(|how| format!("again: a Pod of instance {instance}, which has succeeded {how}"));
        }
        if !pod.has_ended() || pod.is_given_up() {
            return None;
        }
        let intent = pod.intent.map(|(intent, _)| intent);
        let timed = matches!(intent, Some(Intent::TimeOut | Intent::Unhealthy));
        let for_its_own = timed || matches!(intent, None | Some(Intent::Finish));
        let is_undisturbed = pod.deleting.is_none() && !pod.disrupted && for_its_own;
        let by_itself = !pod.containers.is_empty() && pod.reason.is_none();
        let list = match pod.phase {
            Phase::Succeeded if is_undisturbed => &mut self.succeeded,
            // It was told to go because it took too long, and exits with 0 as it goes.
            Phase::Succeeded if timed && pod.deleting.is_some() => &mut self.failed,
            Phase::Failed if timed || by_itself => &mut self.failed,
            _ => return None,
        };
        list.entry(instance).or_default().insert(pod.meta.uid);
        None
    }

    /// The status is this now; what is wrong with that.
    pub(super) fn status(&mut self, store: &Store, object: &ServiceObject) -> Option<String> {
        let said = object.status.as_ref()?.batch.as_deref()?;
        if let Some(ended) = &self.ended {
            return (ended != said).then(|| format!("terminal: {ended:?} became {said:?}"));
        }
        let max = object.service.batch.as_ref().and_then(|batch| batch.max_task_failures);
        for (count, instances) in &said.failures {
            for instance in instances.iter() {
                let known = self.failed.get(&instance).map_or(0, BTreeSet::len);
                if *count as usize > known || max.is_some_and(|max| *count > max) {
                    return Some(format!(
                        "counts {count} failures of instance {instance}, it has had {known}"
                    ));
                }
            }
        }
        let early = said.failed.iter().find(|it| max.is_none_or(|max| said.failures_of(*it) < max));
        if let Some(instance) = early {
            return Some(format!("gives up instance {instance} after {}", said.failures_of(instance)));
        }
        if let Some(instance) = said.succeeded.iter().find(|it| !self.succeeded.contains_key(it)) {
            return Some(format!("says that instance {instance} has succeeded"));
        }
        if said.phase.is_terminal() {
            self.ended = Some(said.clone());
            if let Some(pod) = store.pods.values().find(|pod| pod.is_live()) {
                return Some(format!("over while run {} of instance {} lives", pod.run, pod.instance));
            }
            return outcome(object, said);
        }
        None
    }
}

/// What is wrong with how a job is said to have ended.
fn outcome(object: &ServiceObject, said: &BatchStatus) -> Option<String> {
    let batch = object.service.batch.as_ref()?;
    let all = object.status.as_ref()?.counts.desired;
    let within = |instances: &Ranges| instances.iter().filter(|it| *it < all).count();
    let (succeeded, failed) = (within(&said.succeeded), within(&said.failed));
    let enough = succeeded >= batch.min_succeeded.unwrap_or(all).min(all) as usize;
    let is_right = match said.failure {
        None => enough,
        Some(BatchFailure::Instances) => !enough && succeeded + failed >= all as usize,
        Some(BatchFailure::TimedOut) => batch.job_timeout_seconds.is_some(),
        Some(BatchFailure::Killed(_)) => true,
    };
    (!is_right).then(|| format!("ends as {said:?} with {all} instances"))
}

fn recorded(store: &Store) -> Option<&BatchStatus> {
    store.service.as_ref()?.status.as_ref()?.batch.as_deref()
}

/// What is wrong with a job's plan.
pub(super) fn objection(snapshot: &Snapshot, plan: &Plan, local: Timestamp) -> Option<String> {
    let batch = snapshot.object.service.batch.as_ref()?;
    let find = |uid: Uid| snapshot.tasks.iter().find(|task| task.uid == uid);
    let mut created = 0;
    for action in &plan.actions {
        let what = match action {
            Action::Create { instance, .. } => {
                created += 1;
                creates(snapshot, *instance)
            }
            // Only such a one may be left out where live Pods are counted.
            Action::End { uid, intent, how, .. } if how.gives_up() => {
                ends::objection(snapshot, plan, *uid, *intent, *how, local)
            }
            Action::End { uid, intent, .. } => match find(*uid) {
                None => Some(format!("ends a task nobody has seen: {}", short(*uid))),
                Some(task) => stops(snapshot, batch, task, *intent, local),
            },
            Action::Prune { uid, .. } => find(*uid).and_then(|task| prunes(snapshot, task)),
            Action::Retire { .. } => None,
            other => Some(format!("does what is no business of a job's: {other:?}")),
        };
        if what.is_some() {
            return what;
        }
    }
    let live: BTreeSet<Instance> =
        snapshot.tasks.iter().filter(|task| !task.is_terminal()).map(|task| task.instance).collect();
    let room = batch.parallelism.unwrap_or(u32::MAX) as usize;
    (created > 0 && live.len() + created > room).then(|| format!("{created} more beside {}", live.len()))
}

fn creates(snapshot: &Snapshot, instance: Instance) -> Option<String> {
    let mut tasks = snapshot.tasks.iter().filter(|task| task.instance == instance);
    if tasks.clone().any(|task| !task.is_terminal()) {
        return Some(format!("plans a Pod beside a live one of instance {instance}"));
    }
    let batch = snapshot.object.status.as_ref()?.batch.as_deref();
    let is_over = batch.is_some_and(|batch| batch.ended.is_some() || batch.succeeded.contains(instance));
    let is_done = tasks.any(|task| task.state == TaskState::Finished && task.ending.is_none());
    let suspended = snapshot.object.service.batch.as_ref().is_some_and(|batch| batch.suspend);
    (is_over || is_done || suspended).then(|| format!("plans a Pod of instance {instance}, which is done"))
}

fn stops(
    snapshot: &Snapshot,
    batch: &Batch,
    task: &Task,
    intent: Intent,
    local: Timestamp,
) -> Option<String> {
    if task.ending.is_some() {
        return None;
    }
    let Task { instance, run, .. } = *task;
    let since = |at: Option<Timestamp>| at.map(|at| local.duration_since(at));
    let at_least = |at, seconds: Option<u32>| {
        let seconds = seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
        since(at).zip(seconds).is_some_and(|(taken, limit)| taken >= limit)
    };
    let said = snapshot.object.status.as_ref().and_then(|status| status.batch.as_deref());
    let has_twin = snapshot
        .tasks
        .iter()
        .any(|other| other.instance == instance && other.run > run && !other.is_terminal());
    let is_done =
        snapshot.tasks.iter().any(|other| other.instance == instance && other.state == TaskState::Finished);
    let is_due = match intent {
        Intent::Finish => task.half_ended,
        Intent::TimeOut => at_least(task.started, batch.timeout_seconds) && !snapshot.frozen,
        Intent::Unhealthy => {
            let health = batch.health;
            let never = task.ready_since.is_none();
            let first = at_least(task.started, health.map(|health| health.first_seconds));
            let again = at_least(task.unready_since, health.map(|health| health.again_seconds));
            !task.ready && !snapshot.frozen && if never { first } else { again }
        }
        Intent::Kill => {
            let decided = said.is_some_and(|said| said.ended.is_some() || said.succeeded.contains(instance));
            let unwanted =
                batch.suspend || decided || is_done || instance >= snapshot.object.service.instances;
            has_twin || (unwanted && !snapshot.frozen)
        }
        Intent::Lose | Intent::Restart | Intent::Drain | Intent::Preempt => false,
    };
    (!is_due).then(|| format!("ends run {run} of instance {instance} for {intent:?}"))
}

/// What an ended Pod says is recorded before it goes.
fn prunes(snapshot: &Snapshot, task: &Task) -> Option<String> {
    let said = snapshot.object.status.as_ref()?.batch.as_deref()?;
    let Task { instance, run, state, .. } = *task;
    let is_recorded = match state {
        _ if said.phase.is_terminal() => true,
        TaskState::Finished => task.ending.is_some() || said.succeeded.contains(instance),
        _ => said.failures_of(instance) >= u32::from(task.failures),
    };
    (!task.is_terminal() || !is_recorded).then(|| format!("prunes run {run} of instance {instance}"))
}

/// Whether a job has come to rest as it should, and if not, why not.
pub(super) fn rest(world: &World, leader: usize, snapshot: &Snapshot) -> Result<(), String> {
    let Some(said) = recorded(&world.store) else { return Err("there is no status".to_owned()) };
    if !said.phase.is_terminal() {
        return Err(format!("it is {:?}", said.phase));
    }
    if let Some(pod) = world.store.pods.values().find(|pod| pod.is_live()) {
        return Err(format!("run {} of instance {} lives", pod.run, pod.instance));
    }
    let local = world.local(leader);
    let left = requests(plan(&snapshot.view(), local), snapshot, local, 0);
    if left.is_empty() { Ok(()) } else { Err(format!("still to do: {left:?}")) }
}
