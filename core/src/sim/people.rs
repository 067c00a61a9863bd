//! What people, the garbage collector and misfortune do: each disturbance of the script, as it strikes.

use crate::model::{Batch, Instance, KillReason, Request, ServiceStatus, Uid, UpdateSettings, UpdateState};

use super::{
    kubelet::Step,
    objects::{Kind, Pod, ServiceObject, UpdateObject},
    script::{Disturbance, Trouble},
    server::delete_pod,
    store::Change,
    time::{Millis, SECOND, clock, whole},
    world::{Event, World},
};

impl World {
    pub(super) fn disturb(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::Config(revision, instances) => self.edit_service(|object| {
                object.service.revision = revision;
                if let Some(instances) = instances {
                    object.service.instances = instances;
                }
            }),
            Disturbance::Scale(instances) => self.edit_service(|object| object.service.instances = instances),
            Disturbance::Settings(settings) => self.edit_service(|object| {
                let UpdateSettings { scope, restart_at, .. } = object.service.update.clone();
                object.service.update = UpdateSettings { scope, restart_at, ..settings };
            }),
            Disturbance::Scope(scope) => {
                self.is_scoped |= scope.is_some();
                self.edit_service(|object| object.service.update.scope = scope);
            }
            Disturbance::Restart => {
                let at = whole(clock(self.now, 0));
                self.edit_service(|object| object.service.update.restart_at = Some(at));
            }
            Disturbance::Bad(length) => self.bad_until = self.now + length,
            Disturbance::Unattended(length) => self.unattended_until = self.now + length,
            Disturbance::Pause if self.is_job() => self.edit_batch(|batch| batch.suspend = true),
            Disturbance::Resume if self.is_job() => self.edit_batch(|batch| batch.suspend = false),
            Disturbance::Abort if self.is_job() => {
                self.edit_batch(|batch| batch.kill = Some(KillReason::Asked));
            }
            Disturbance::Pause => self.edit_update(|update| update.controls.paused = true),
            Disturbance::Resume => self.edit_update(|update| update.controls.paused = false),
            Disturbance::Abort => {
                self.edit_update(|update| update.controls.abort = Some(Request::default()));
            }
            Disturbance::RollBack => {
                self.edit_update(|update| update.controls.rollback = Some(Request::default()));
            }
            Disturbance::Retry => {
                self.edit_update(|update| update.controls.retry = Some(Request::default()));
            }
            Disturbance::DeletePod(instance, force) => self.delete_pod_of(instance, force),
            Disturbance::DeleteUpdate => {
                if let Some(uid) = self.store.updates.values().next_back().map(|update| update.meta.uid) {
                    self.oracle.meddled();
                    self.store.remove(Kind::Update, uid);
                }
            }
            Disturbance::DeleteRevision(nth) => {
                let uid = self.store.revisions.values().nth(nth as usize).map(|record| record.meta.uid);
                if let Some(uid) = uid {
                    self.oracle.meddled();
                    self.store.remove(Kind::Revision, uid);
                }
            }
            Disturbance::WipeStatus => self.wipe_status(),
            Disturbance::Recreate { orphan, after, revision } => self.recreate(orphan, after, revision),
            Disturbance::Freeze(length) => {
                self.frozen_until = self.now + length;
                self.at(self.now + length, Event::Released);
            }
            Disturbance::InvalidSpec(length) => {
                self.invalid_until = self.now + length;
                self.at(self.now + length, Event::Released);
            }
            Disturbance::KeepNothing(length) => {
                self.no_keeping_until = self.now + length;
                self.at(self.now + length, Event::Released);
            }
            Disturbance::PodEnds(instance, code) => {
                if let Some(pod) = self.live_pod(instance).filter(|pod| !pod.containers.is_empty()) {
                    self.pod_step(pod.meta.uid, Step::Exit(code));
                }
            }
            Disturbance::Evict(instance) => {
                if let Some(pod) = self.live_pod(instance) {
                    self.store.edit_pod(pod.meta.uid, |pod| pod.disrupted = true);
                    delete_pod(&mut self.store, pod.meta.uid, self.now);
                }
            }
            Disturbance::Unready(instance, length) => {
                if let Some(pod) = self.live_pod(instance).filter(|pod| pod.ready_since.is_some()) {
                    let at = Some(whole(clock(self.now, 0)));
                    self.store
                        .edit_pod(pod.meta.uid, |pod| (pod.ready_since, pod.unready_since) = (None, at));
                    self.at(self.now + length, Event::Pod(pod.meta.uid, Step::Ready));
                }
            }
            Disturbance::Stubborn(length) => self.stubborn_until = self.now + length,
            Disturbance::NodeLost(node, length) => self.lose_node(node, length),
            Disturbance::NodeGone(node, length) => {
                self.lose_node(node, length);
                self.at(self.now + length / 2, Event::NodeGone(node));
            }
            Disturbance::Lag(operator, kind, length) => self.lag(operator, kind, length),
            Disturbance::Duplicate(operator, kind, count) => self.duplicate(operator, kind, count),
            Disturbance::Relist(operator, kind, length, back) => {
                self.break_watch(operator, kind, length, back);
            }
            Disturbance::Crash(operator, requests, away) => self.arm_crash(operator, requests, away),
            Disturbance::Stop { operator, requests, length, held } => {
                self.arm_stop(operator, requests, length, held);
            }
            Disturbance::Unrenewed(operator, length) => self.unrenewed(operator, length),
            Disturbance::Troubled(trouble, count) => {
                self.troubles.extend(std::iter::repeat_n(trouble, count as usize));
                if trouble == Trouble::Busy {
                    self.tally.troubles += 1;
                }
            }
        }
    }

    /// Changes the spec of the service; a change counts its generation up.
    fn edit_service(&mut self, edit: impl FnOnce(&mut ServiceObject)) {
        let Some(object) = self.store.service.clone().filter(|object| !object.service.deleting) else {
            return;
        };
        let mut edited = object.clone();
        edit(&mut edited);
        if edited != object {
            edited.service.generation += 1;
            self.oracle.spec_changed(&object.service, &edited.service);
            self.store.put(edited);
        }
    }

    pub(super) fn is_job(&self) -> bool {
        self.setting.service.batch.is_some()
    }

    /// Changes what the spec of a job says of its end.
    pub(super) fn edit_batch(&mut self, edit: impl FnOnce(&mut Batch)) {
        self.edit_service(|object| {
            if let Some(batch) = &mut object.service.batch {
                edit(batch);
            }
        });
    }

    /// Changes the controls of the newest update.
    fn edit_update(&mut self, edit: impl FnOnce(&mut UpdateObject)) {
        let Some(object) = self.store.updates.values().next_back().cloned() else { return };
        let mut edited = object.clone();
        edit(&mut edited);
        if edited != object {
            self.store.put(edited);
        }
    }

    /// Sends a pulse, and lets an update go on that has paused by itself.
    pub(super) fn attend(&mut self) {
        self.at(self.now + 4 * SECOND, Event::Attend);
        if self.now < self.unattended_until {
            return;
        }
        let at = whole(clock(self.now, 0));
        self.edit_update(|update| {
            let Some(progress) = update.progress.as_ref().filter(|progress| !progress.state.is_terminal())
            else {
                return;
            };
            if update.settings.pulse_interval_seconds > 0 {
                update.controls.pulse = Some(at);
            }
            if progress.state == UpdateState::RollForwardPaused && !update.controls.paused {
                update.controls.resume_after_batch += 1;
            }
        });
    }

    fn live_pod(&self, instance: Instance) -> Option<Pod> {
        let pods = self.store.pods.values().rev();
        pods.clone().find(|pod| pod.instance == instance && pod.is_live() && pod.deleting.is_none()).cloned()
    }

    fn delete_pod_of(&mut self, instance: Instance, force: bool) {
        let Some(pod) = self.store.pods.values().rev().find(|pod| pod.instance == instance) else { return };
        let uid = pod.meta.uid;
        if force {
            self.store.remove(Kind::Pod, uid);
        } else {
            delete_pod(&mut self.store, uid, self.now);
        }
    }

    /// A restore brings the objects back without status.
    fn wipe_status(&mut self) {
        self.oracle.wiped();
        let service_first = self.draw(&[30, self.now]).chance(50);
        for part in [service_first, !service_first] {
            if part {
                if let Some(object) = self.store.service.clone() {
                    self.store.put(ServiceObject { status: None::<ServiceStatus>, ..object });
                }
            } else {
                for update in self.store.updates.values().cloned().collect::<Vec<_>>() {
                    self.store.put(UpdateObject { progress: None, ..update });
                }
            }
        }
    }

    fn recreate(&mut self, orphan: bool, after: Millis, revision: Option<crate::model::Revision>) {
        let Some(object) = self.store.service.clone().filter(|object| !object.service.deleting) else {
            return;
        };
        self.oracle.wiped();
        let mut anew = object.clone();
        anew.status = None;
        anew.service.generation = 1;
        anew.service.revision = revision.unwrap_or(anew.service.revision);
        if orphan {
            let mut deleting = object;
            deleting.service.deleting = true;
            self.store.put(deleting);
            self.at(self.now + 500, Event::Orphan);
            self.at(self.now + 500 + after, Event::Anew(Box::new(anew)));
            return;
        }
        self.oracle.collected();
        self.store.remove(Kind::Service, object.meta.uid);
        for kind in [Kind::Pod, Kind::Revision, Kind::Update] {
            for owned in self.store.list_now(kind) {
                if owned.meta().owner == Some(object.meta.uid) {
                    self.collect_later(&Change::Put(owned));
                }
            }
        }
        self.at(self.now + after, Event::Anew(Box::new(anew)));
    }

    /// The garbage collector removes an object whose owner is gone.
    pub(super) fn collect(&mut self, kind: Kind, uid: Uid) {
        let object = self.store.list_now(kind).into_iter().find(|object| object.meta().uid == uid);
        let service = self.store.service.as_ref().map(|object| object.meta.uid);
        if object.is_none_or(|object| object.meta().owner == service || object.meta().owner.is_none()) {
            return;
        }
        if kind == Kind::Pod {
            delete_pod(&mut self.store, uid, self.now);
        } else {
            self.store.remove(kind, uid);
        }
    }

    /// The garbage collector leaves the objects of a deleted service to nobody, then lets it go.
    pub(super) fn orphan(&mut self) {
        let Some(service) = self.store.service.as_ref().map(|object| object.meta.uid) else { return };
        for kind in [Kind::Pod, Kind::Revision, Kind::Update] {
            for mut object in self.store.list_now(kind) {
                if object.meta().owner == Some(service) {
                    object.meta_mut().owner = None;
                    self.store.put(object);
                }
            }
        }
        self.store.remove(Kind::Service, service);
    }

    /// The service is made again, under its name.
    pub(super) fn make_anew(&mut self, mut object: ServiceObject) {
        object.meta = self.store.new_meta(None);
        object.service.uid = object.meta.uid;
        let at = whole(clock(self.now, 0));
        self.note(|| format!("the service is made anew at {at}"));
        self.store.put(object);
    }
}
