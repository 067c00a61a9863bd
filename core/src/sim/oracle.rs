//! What must never be, whatever goes wrong: looked at with every change in the store and every plan made.
//!
//! It knows the store as it is and what was done to it from outside, and nothing of how the planner thinks. What
//! must be in the end is `verdict`'s question.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    model::*,
    plan::{Action, Plan},
    state::can_go,
};

use super::{
    Tally,
    cache::Snapshot,
    ends, in_place, jobs,
    objects::{Kind, Object, Pod, UpdateObject},
    steps,
    store::{Change, Store},
    trace::short,
};

/// What an update found when it, or the first of its chain, began.
#[derive(Debug, Clone)]
pub(super) struct Before {
    /// How many instances there were to be.
    pub(super) count: u32,
    /// The config each of them ran; one that was being replaced is not there.
    pub(super) instances: BTreeMap<Instance, Revision>,
    /// The service's generation as the update began.
    pub(super) generation: i64,
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// What was wrong, once something is.
    pub(super) objection: Option<String>,
    /// The Pod that has had a name, and its service.
    names: BTreeMap<(Instance, Run), (Uid, Option<Uid>)>,
    /// Instances that have two live Pods, as an update has asked for.
    twins: BTreeSet<Instance>,
    /// Pods that were given up. What else is written on them later, they are the lost node's.
    lost: BTreeSet<Uid>,
    updates: BTreeSet<Uid>,
    /// An update has asked for two live Pods of an instance.
    surged: bool,
    progress: BTreeMap<Uid, Progress>,
    befores: BTreeMap<u32, Before>,
    /// The config a service without status was taken up with, and since which version, unless the spec has
    /// changed since.
    pub(super) adopted: Option<(Revision, u64)>,
    /// Objects the operator relies on were removed or emptied.
    pub(super) meddled: bool,
    had_status: bool,
    /// What is known of the Pods of a job.
    job: jobs::Truth,
}

impl Oracle {
    pub(super) fn object(&mut self, what: impl FnOnce() -> String) {
        if self.objection.is_none() {
            self.objection = Some(what());
        }
    }

    /// Counts what has become of updates and Pods.
    pub(super) fn count(&self, tally: &mut Tally) {
        tally.given_up = self.lost.len() as u64;
        self.job.count(tally);
        for progress in self.progress.values() {
            match progress.state {
                UpdateState::RolledForward => tally.rolled_forward += 1,
                UpdateState::RolledBack => tally.rolled_back += 1,
                UpdateState::Aborted => tally.aborted += 1,
                UpdateState::Failed | UpdateState::Error => tally.halted += 1,
                UpdateState::RollingForward
                | UpdateState::RollingBack
                | UpdateState::RollForwardPaused
                | UpdateState::RollBackPaused
                | UpdateState::RollForwardAwaitingPulse
                | UpdateState::RollBackAwaitingPulse => {}
            }
        }
    }

    // What others do.

    pub(super) fn meddled(&mut self) {
        self.meddled = true;
        self.befores.clear();
    }

    pub(super) fn wiped(&mut self) {
        self.meddled();
        // The greatest runs were in the status.
        self.names.clear();
    }

    /// All that the service had goes with it.
    pub(super) fn collected(&mut self) {
        self.meddled();
    }

    pub(super) fn spec_changed(&mut self, before: &Service, service: &Service) {
        if service.revision != before.revision || service.update != before.update {
            self.adopted = None;
        }
    }

    /// Whether a run has had a Pod.
    pub(super) fn has_had(&self, instance: Instance, run: Run) -> bool {
        self.names.contains_key(&(instance, run))
    }

    /// What the newest update would go back to, where nobody has meddled.
    pub(super) fn before(&self, number: u32) -> Option<&Before> {
        self.befores.get(&number)
    }

    // What changes.

    pub(super) fn changed(&mut self, store: &Store, change: &Change) {
        match change {
            Change::Put(Object::Pod(pod)) => self.pod_changed(store, pod),
            Change::Put(Object::Update(update)) => self.update_changed(store, update),
            Change::Put(Object::Service(object)) => {
                let wrong = self.job.status(store, object);
                wrong.into_iter().for_each(|what| self.object(|| what));
                if let (Some(status), false) = (&object.status, self.had_status) {
                    let matches = status.observed_revision == Some(object.service.revision);
                    self.adopted = matches.then_some((object.service.revision, object.meta.version));
                }
                self.had_status = object.status.is_some();
            }
            Change::Put(Object::Revision(_) | Object::Node(_)) => {}
            Change::Gone(Kind::Service, ..) => self.had_status = false,
            Change::Gone(..) => {}
        }
    }

    fn pod_changed(&mut self, store: &Store, pod: &Pod) {
        let Pod { instance, run, .. } = *pod;
        let uid = pod.meta.uid;
        let known = self.names.insert((instance, run), (uid, pod.meta.owner));
        if store.service.as_ref().is_some_and(|object| object.service.batch.is_some()) {
            let wrong = self.job.pod(store, pod, known.is_none_or(|(known, _)| known != uid));
            wrong.into_iter().for_each(|what| self.object(|| what));
        }
        if pod.is_given_up() {
            self.lost.insert(uid);
        }
        let is_live = |pod: &&Pod| pod.is_live() && !self.lost.contains(&pod.meta.uid);
        let mut lives = BTreeMap::<Instance, Vec<Run>>::new();
        for pod in store.pods.values().filter(is_live) {
            lives.entry(pod.instance).or_default().push(pod.run);
        }
        lives.retain(|_, runs| runs.len() > 1);
        if let Some(runs) = lives.get(&instance)
            && !(self.twins.contains(&instance) && runs.len() == 2)
            && (runs.len() > 2 || lives.len() > self.surge(store, instance) as usize)
        {
            let what = format!("two live: runs {runs:?} of instance {instance}");
            self.object(|| what);
        }
        self.twins = lives.into_keys().collect();
    }

    /// How many instances may have two live Pods, as the newest update says, where this is one of them.
    fn surge(&self, store: &Store, instance: Instance) -> u32 {
        // What update it was for may be gone, or not know of it any more.
        if self.meddled && self.surged {
            return u32::MAX;
        }
        let works = |update: &&UpdateObject| {
            update.progress.as_ref().is_some_and(|progress| progress.working.contains(instance))
        };
        let newest = store.updates.values().next_back();
        newest.filter(works).map_or(0, |it| it.settings.surge(it.instructions.all()))
    }

    fn update_changed(&mut self, store: &Store, update: &UpdateObject) {
        let uid = update.meta.uid;
        let number = update.number;
        self.surged |= update.settings.surge(1) > 0;
        let Some(progress) = &update.progress else {
            self.progress.remove(&uid);
            if self.updates.insert(uid) {
                self.begun(store, update);
            }
            return;
        };
        if let Some(old) = self.progress.insert(uid, progress.clone()) {
            if old.state.is_terminal()
                && (Progress { refused: progress.refused.clone(), ..old.clone() }) != *progress
            {
                self.object(|| {
                    format!("terminal: update {number} changed after its end: {old:?} to {progress:?}")
                });
            }
            // One write may say two steps: turned back, and paused on the way or with nothing to take back.
            let by = |via: &UpdateState| can_go(old.state, *via) && can_go(*via, progress.state);
            if !UpdateState::ALL.iter().any(by) {
                self.object(|| {
                    format!("illegal: update {number} from {:?} to {:?}", old.state, progress.state)
                });
            }
        }
        let sizes = update.settings.strategy.sizes(update.instructions.all());
        if progress.working.len() > sizes.into_iter().max().unwrap_or(0) {
            self.object(|| format!("too many: update {number} works on {} at a time", progress.working));
        }
        if !progress.state.is_terminal()
            && let Some((newest, _)) = store.updates.last_key_value().filter(|(newest, _)| **newest > number)
        {
            self.object(|| format!("two updates: {number} goes on beside {newest}"));
        }
    }

    /// Notes what an update finds: what runs, or what its predecessor had found where it takes that one's place.
    fn begun(&mut self, store: &Store, update: &UpdateObject) {
        let Some(object) = &store.service else { return };
        let generation = object.service.generation;
        let count = update.instructions.previous_instances;
        if let Some(undone) = update.instructions.takes_back {
            // It ends where that one began.
            if let Some(before) = self.befores.get(&undone).cloned() {
                self.befores.insert(update.number, Before { generation, count, ..before });
            }
            return;
        }
        let last = store.updates.range(..update.number).next_back();
        let superseded = last.filter(|(_, last)| {
            let state = last.progress.as_ref().map(|progress| progress.state);
            state == Some(UpdateState::Aborted) && last.controls.abort.is_none()
        });
        if let Some((last, _)) = superseded {
            if let Some(before) = self.befores.get(last).cloned() {
                // Where the count alone was changed in between, that stands.
                self.befores.insert(update.number, Before { generation, count, ..before });
            }
            return;
        }
        let live = store.pods.values().filter(|pod| pod.is_live() && pod.instance < count);
        let mut live: Vec<_> = live.collect();
        // Of two the one that does its work stands for the instance.
        live.sort_by_key(|pod| (pod.instance, pod.serves(), pod.run));
        let mut instances: BTreeMap<_, _> =
            live.into_iter().map(|pod| (pod.instance, pod.revision)).collect();
        let Instructions { from, to, base, .. } = &update.instructions;
        if to.as_ref().is_some_and(|(to, _)| from.iter().all(|(from, _)| from == to)) {
            // What runs already and is tried again goes back to what was good.
            instances.extend(base.iter().flat_map(|(good, on)| on.iter().map(|instance| (instance, *good))));
        }
        self.befores.insert(update.number, Before { count, instances, generation });
    }

    // What is planned.

    /// Looks at a plan; `has_seen` says which Pods its operator has ever known of.
    pub(super) fn decided(
        &mut self,
        snapshot: &Snapshot,
        plan: &Plan,
        local: Timestamp,
        has_seen: impl Fn(Uid) -> bool,
    ) {
        let job = jobs::objection(snapshot, plan, local);
        job.into_iter().for_each(|what| self.object(|| what));
        let is_job = snapshot.object.service.batch.is_some();
        let step = plan.progress.as_ref().and_then(|(_, new)| steps::objection(snapshot, new, local));
        step.into_iter().for_each(|what| self.object(|| what));
        let mut created = BTreeSet::new();
        for action in &plan.actions {
            match action {
                // A job's tasks end by themselves, or as its own rules say.
                Action::End { .. } | Action::Prune { .. } if is_job => {}
                Action::End { uid, instance, intent, how, .. } => {
                    if *intent == Intent::Kill {
                        self.kills(snapshot, plan, *uid, *instance);
                    }
                    let ends = ends::objection(snapshot, plan, *uid, *intent, *how, local);
                    ends.into_iter().for_each(|what| self.object(|| what));
                }
                Action::SetGate { uid, instance, open: false, .. } => {
                    self.kills(snapshot, plan, *uid, *instance);
                }
                Action::ChangeInPlace { uid, instance, from, revision, update, .. } => {
                    let what = in_place::objection(snapshot, plan, *uid, (*from, *revision), *update);
                    what.into_iter().for_each(|what| self.object(|| format!("instance {instance}: {what}")));
                }
                Action::Create { instance, run, revision, .. } => {
                    if !created.insert(*instance) {
                        self.object(|| format!("plans two Pods for instance {instance}"));
                    }
                    let mut tasks = snapshot.tasks.iter().filter(|task| task.instance == *instance);
                    let live: Vec<&Task> = tasks.clone().filter(|task| !task.is_terminal()).collect();
                    if !live.is_empty() && !may_be_beside(snapshot, plan, &live) {
                        self.object(|| format!("plans a Pod beside a live one of instance {instance}"));
                    }
                    // Of a run that came and went unseen nobody can know, and its writer's term is over.
                    let service = Some(snapshot.object.meta.uid);
                    let had = self.names.get(&(*instance, *run));
                    if had.is_some_and(|(uid, of)| *of == service && has_seen(*uid)) {
                        self.object(|| format!("uses the name of run {run} of instance {instance} again"));
                    }
                    if tasks.any(|task| task.run >= *run) {
                        self.object(|| format!("plans run {run} of instance {instance} again"));
                    }
                    if !is_job && !snapshot.revisions.iter().any(|record| record.revision == *revision) {
                        self.object(|| format!("plans a Pod of {revision}, which is not stored"));
                    }
                }
                Action::StartUpdate(new) => self.starts(snapshot, plan, new.number),
                Action::Prune { uid, instance, .. } => self.prunes(snapshot, *uid, *instance),
                Action::PruneRevision { revision, .. } => {
                    let named = snapshot.tasks.iter().any(|task| task.revision == *revision)
                        || snapshot.object.service.revision == *revision
                        || snapshot.object.status.as_ref().and_then(|status| status.last_good)
                            == Some(*revision);
                    if named {
                        self.object(|| format!("plans to remove the config {revision}, which is in use"));
                    }
                }
                Action::AdoptTask { .. }
                | Action::AdoptRevision { .. }
                | Action::AdoptUpdate { .. }
                | Action::RecordRevision { .. }
                | Action::MarkRevision { .. }
                | Action::PruneUpdate { .. }
                | Action::SetGate { open: true, .. }
                | Action::Retire { .. }
                | Action::RemoveJob { .. } => {}
            }
        }
        if snapshot.object.status.is_none() && plan.actions.iter().any(Action::touches_tasks) {
            self.object(|| "touches tasks of a service without status".to_owned());
        }
    }

    /// A healthy task is only ended because it is one too many, or an update works on it and it has another config.
    fn kills(&mut self, snapshot: &Snapshot, plan: &Plan, uid: Uid, instance: Instance) {
        let Some(task) = snapshot.tasks.iter().find(|task| task.uid == uid) else {
            return self.object(|| format!("ends a task nobody has seen: {}", short(uid)));
        };
        let lost = task.node.is_some_and(|node| snapshot.lost_nodes.contains_key(&node));
        let is_healthy = task.state == TaskState::Running && task.ready && task.ending.is_none() && !lost;
        if !is_healthy {
            return;
        }
        let newer = |other: &&Task| other.instance == instance && other.run > task.run && serves(other);
        if snapshot.tasks.iter().any(|other| newer(&other)) {
            return;
        }
        let service = &snapshot.object.service;
        // Of two the only one that serves is not ended, whatever is wanted.
        let twin = |other: &&Task| other.instance == instance && other.uid != uid && !other.is_terminal();
        let twins = || snapshot.tasks.iter().filter(twin);
        if instance < service.instances && twins().next().is_some() && !twins().any(serves) {
            let run = task.run;
            self.object(|| format!("ends run {run} of instance {instance}, the only one that serves"));
        }
        let desired = snapshot.object.status.as_ref().map_or(u32::MAX, |status| status.counts.desired);
        let progress = plan.progress.as_ref().map(|(_, progress)| progress);
        let update = snapshot.update.as_ref();
        let progress = progress.or_else(|| update.and_then(|update| update.progress.as_ref()));
        if let Some((update, progress)) = update.zip(progress)
            && !progress.state.is_terminal()
        {
            let to = update.instructions.to.as_ref().filter(|(_, ranges)| ranges.contains(instance));
            let is_old =
                update.settings.restart_at.is_some_and(|at| task.created < at && task.run <= progress.floor);
            let forward = !progress.state.is_back();
            let matches = forward && !is_old && to.is_some_and(|(to, _)| *to == task.revision);
            if progress.working.contains(instance) && !matches && !snapshot.frozen {
                return;
            }
            // A scale-down counts at once, and so does taking back a scale-up that the update knows nothing of.
            let concerns = |(_, ranges): &(Revision, Ranges)| ranges.contains(instance);
            let mut scope = update.instructions.from.iter().chain(&update.instructions.to);
            let scaled = service.instances != update.instructions.asked;
            if instance >= service.instances && (scaled || !scope.any(concerns)) {
                return;
            }
        } else if instance >= service.instances.min(desired) && !snapshot.frozen {
            return;
        } else if instance >= service.instances.min(desired) {
            return self.object(|| format!("ends instance {instance} although frozen"));
        }
        let run = task.run;
        self.object(|| format!("ends the healthy run {run} of instance {instance} for nothing"));
    }

    fn starts(&mut self, snapshot: &Snapshot, plan: &Plan, number: u32) {
        let written = plan.progress.as_ref().map(|(_, progress)| progress);
        let progress = written.or_else(|| snapshot.update.as_ref()?.progress.as_ref());
        if progress.is_some_and(|progress| !progress.state.is_terminal()) {
            self.object(|| format!("begins update {number} while another goes on"));
        }
        if snapshot.frozen {
            self.object(|| format!("begins update {number} although frozen"));
        }
        let object = &snapshot.object;
        let controls = snapshot.update.as_ref().map(|update| &update.controls);
        let retried = controls.is_some_and(|it| it.retry.is_some() || it.rollback.is_some());
        // A restart whose time had not come when it was taken up.
        let observed = object.status.as_ref().and_then(|status| status.observed_restart);
        let restarted = object.service.update.restart_at != observed;
        if let Some((revision, version)) = self.adopted
            && revision == object.service.revision
            && object.meta.version >= version
            && !(retried || restarted)
            && progress.is_none_or(|progress| progress.touched.is_empty())
        {
            self.object(|| format!("adopted: begins update {number} to what it has taken up"));
        }
    }

    /// The newest ended Pod of a wanted instance keeps its name from being used again.
    fn prunes(&mut self, snapshot: &Snapshot, uid: Uid, instance: Instance) {
        let tasks = || snapshot.tasks.iter().filter(|task| task.instance == instance);
        let Some(task) = tasks().find(|task| task.uid == uid) else { return };
        if !task.is_terminal() {
            self.object(|| format!("prunes a task of instance {instance} that has not ended"));
        }
        let desired = snapshot.object.status.as_ref().map_or(0, |status| status.counts.desired);
        let wanted = instance < snapshot.object.service.instances.min(desired);
        let updating = snapshot.update.as_ref().is_some_and(|update| {
            update.progress.as_ref().is_none_or(|progress| !progress.state.is_terminal())
        });
        if wanted && !updating && tasks().all(|other| other.run <= task.run) {
            let run = task.run;
            self.object(|| format!("prunes run {run}, the newest of instance {instance}"));
        }
    }
}

/// Whether the next run may be made beside these: an update works on the instance and asks for it, and the only one
/// serves.
fn may_be_beside(snapshot: &Snapshot, plan: &Plan, live: &[&Task]) -> bool {
    let [task] = live else { return false };
    let Some(update) = &snapshot.update else { return false };
    let written = plan.progress.as_ref().map(|(_, progress)| progress);
    let Some(progress) = written.or(update.progress.as_ref()) else { return false };
    let asks = update.surge_limit() > 0;
    let rolls = matches!(progress.state, UpdateState::RollingForward | UpdateState::RollingBack);
    asks && rolls && progress.working.contains(task.instance) && serves(task) && !snapshot.frozen
}

fn serves(task: &Task) -> bool {
    task.state == TaskState::Running && task.ready && task.ending.is_none()
}
