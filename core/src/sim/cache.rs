//! One operator's index: what its watches, its own writes and its live reads have told it.
//!
//! It keeps the index's rules: of two pieces of news on one name the greater version wins, a uid known to be gone
//! stays gone, a relist removes what it should have shown, and the record of a Pod from before helps to read it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    model::*,
    plan::{PastUpdate, Problem, ServiceView},
};

use super::{
    objects::{Kind, Meta, Node, Object, RevisionObject, ServiceObject, UpdateObject},
    store::Change,
};

#[derive(Debug, Default)]
pub(super) struct Cache {
    service: Option<ServiceObject>,
    pods: BTreeMap<(Instance, Run), (Meta, Task)>,
    revisions: BTreeMap<Revision, RevisionObject>,
    updates: BTreeMap<u32, UpdateObject>,
    nodes: BTreeMap<NodeId, Node>,
    seen_runs: BTreeMap<Instance, Run>,
    gone: BTreeSet<Uid>,
    /// Every Pod there was, for the oracle.
    seen: BTreeSet<Uid>,
}

/// Everything a plan is made from, of its own.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) object: ServiceObject,
    pub(super) tasks: Vec<Task>,
    pub(super) seen_runs: BTreeMap<Instance, Run>,
    pub(super) revisions: Vec<RevisionRecord>,
    pub(super) update: Option<Update>,
    /// The version its update was read at.
    pub(super) update_version: u64,
    pub(super) past_updates: Vec<PastUpdate>,
    pub(super) measurements: Vec<Measurement>,
    pub(super) lost_nodes: BTreeMap<NodeId, Timestamp>,
    pub(super) keep_allowed: bool,
    pub(super) frozen: bool,
    pub(super) problem: Option<Problem>,
}

impl Snapshot {
    pub(super) fn view(&self) -> ServiceView<'_> {
        ServiceView {
            service: &self.object.service,
            tasks: &self.tasks,
            seen_runs: &self.seen_runs,
            revisions: &self.revisions,
            update: self.update.as_ref(),
            past_updates: &self.past_updates,
            status: self.object.status.as_ref(),
            measurements: &self.measurements,
            pending: &[],
            upstream: Upstream::default(),
            lost_nodes: &self.lost_nodes,
            keep_allowed: self.keep_allowed,
            frozen: self.frozen,
            problem: self.problem.as_ref(),
        }
    }
}

impl Cache {
    /// Takes a piece of news; whether it was any.
    pub(super) fn take(&mut self, change: &Change) -> bool {
        match change {
            Change::Put(object) => self.offer(object),
            Change::Gone(kind, uid) => self.forget(*kind, *uid),
        }
    }

    /// Whether the operator has known of a Pod.
    pub(super) fn has_seen(&self, uid: Uid) -> bool {
        self.seen.contains(&uid)
    }

    fn offer(&mut self, object: &Object) -> bool {
        let meta = *object.meta();
        if self.gone.contains(&meta.uid) {
            return false;
        }
        let is_newer = |known: Option<&Meta>| known.is_none_or(|known| known.version < meta.version);
        match object {
            Object::Service(new) if is_newer(self.service.as_ref().map(|old| &old.meta)) => {
                self.service = Some((**new).clone());
                self.prune_runs();
            }
            Object::Pod(new) => {
                let key = (new.instance, new.run);
                let old = self.pods.get(&key);
                if !is_newer(old.map(|(meta, _)| meta)) {
                    return false;
                }
                let known = old.filter(|(old, _)| old.uid == meta.uid).map(|(_, task)| task);
                let task = new.task(known);
                self.pods.insert(key, (meta, task));
                self.seen.insert(meta.uid);
                let seen = self.seen_runs.entry(new.instance).or_insert(new.run);
                *seen = new.run.max(*seen);
            }
            Object::Revision(new) if is_newer(self.revisions.get(&new.revision).map(|old| &old.meta)) => {
                self.revisions.insert(new.revision, *new);
            }
            Object::Update(new) if is_newer(self.updates.get(&new.number).map(|old| &old.meta)) => {
                self.updates.insert(new.number, (**new).clone());
            }
            Object::Node(new) if is_newer(self.nodes.get(&new.id).map(|old| &old.meta)) => {
                self.nodes.insert(new.id, *new);
            }
            Object::Service(_) | Object::Revision(_) | Object::Update(_) | Object::Node(_) => return false,
        }
        true
    }

    /// The object of this uid is no more.
    pub(super) fn forget(&mut self, kind: Kind, uid: Uid) -> bool {
        self.retain(kind, |meta| meta.uid != uid);
        self.gone.insert(uid)
    }

    /// A list of a kind, made at this version: what it doesn't show and is not newer is gone.
    pub(super) fn relist(&mut self, kind: Kind, objects: &[Object], version: u64) -> bool {
        let present: BTreeSet<Uid> = objects.iter().map(|object| object.meta().uid).collect();
        let mut lost = Vec::new();
        self.retain(kind, |meta| {
            let stays = meta.version > version || present.contains(&meta.uid);
            if !stays {
                lost.push(meta.uid);
            }
            stays
        });
        let mut changed = !lost.is_empty();
        self.gone.extend(lost);
        for object in objects {
            changed |= self.offer(object);
        }
        changed
    }

    fn retain(&mut self, kind: Kind, mut stays: impl FnMut(&Meta) -> bool) {
        match kind {
            Kind::Service => self.service = self.service.take().filter(|object| stays(&object.meta)),
            Kind::Pod => self.pods.retain(|_, (meta, _)| stays(meta)),
            Kind::Revision => self.revisions.retain(|_, object| stays(&object.meta)),
            Kind::Update => self.updates.retain(|_, object| stays(&object.meta)),
            Kind::Node => self.nodes.retain(|_, object| stays(&object.meta)),
        }
    }

    /// Forgets the runs of instances that are neither wanted nor there.
    fn prune_runs(&mut self) {
        let Some(object) = &self.service else { return };
        let wanted = object.service.instances;
        let pods = &self.pods;
        let is_there = |instance: Instance| pods.range((instance, 0)..=(instance, Run::MAX)).next().is_some();
        self.seen_runs.retain(|instance, _| *instance < wanted || is_there(*instance));
    }

    /// What a plan is made from; `None` without a service.
    pub(super) fn snapshot(&self, keep_allowed: bool, frozen: bool) -> Option<Snapshot> {
        let object = self.service.clone()?;
        let owned = |meta: &Meta| meta.owner == Some(object.meta.uid);
        let tasks = self.pods.values().map(|(meta, task)| Task { owned: owned(meta), ..task.clone() });
        let revisions = self.revisions.values().map(|record| RevisionRecord {
            revision: record.revision,
            uid: record.meta.uid,
            number: record.number,
            last_good: record.last_good,
            failed: record.failed,
            owned: owned(&record.meta),
        });
        let newest = self.updates.values().next_back();
        let past = self.updates.values().rev().skip(1).rev();
        Some(Snapshot {
            tasks: tasks.collect(),
            seen_runs: self.seen_runs.clone(),
            revisions: revisions.collect(),
            update: newest.map(|update| Update {
                uid: update.meta.uid,
                number: update.number,
                instructions: update.instructions.clone(),
                settings: update.settings.clone(),
                controls: update.controls.clone(),
                progress: update.progress.clone(),
                owned: owned(&update.meta),
            }),
            update_version: newest.map_or(0, |update| update.meta.version),
            past_updates: past
                .map(|update| PastUpdate {
                    number: update.number,
                    uid: update.meta.uid,
                    // A run of the simulation is shorter than any update is kept.
                    created: Timestamp::MAX,
                    owned: owned(&update.meta),
                })
                .collect(),
            measurements: Vec::new(),
            lost_nodes: self.nodes.values().filter_map(|node| Some((node.id, node.lost?))).collect(),
            keep_allowed,
            frozen,
            problem: None,
            object,
        })
    }
}
