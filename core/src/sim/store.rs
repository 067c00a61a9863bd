//! The API server's store: objects by name, one history of versions, and the lease with its term.
//!
//! Every change gets the next version and stands in the log, which watches read at their own pace. What may be
//! written, and on which conditions, is `server`'s business.

use std::collections::BTreeMap;

use crate::model::{Instance, NodeId, Revision, Run, Uid};

use super::{
    objects::{Kind, Meta, Node, Object, Pod, RevisionObject, ServiceObject, UpdateObject},
    time::Millis,
};

/// One change of one object.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// It was made or changed.
    Put(Object),
    /// It was removed.
    Gone(Kind, Uid),
}

impl Change {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Put(object) => object.kind(),
            Self::Gone(kind, _) => *kind,
        }
    }
}

/// Who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lease {
    pub(super) holder: Option<usize>,
    /// Counts the acquisitions.
    pub(super) term: u64,
    /// Counts the renewals, so that a reader sees that it changed.
    pub(super) renewed: u64,
}

/// All objects, and how they came to be so.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) service: Option<ServiceObject>,
    pub(super) pods: BTreeMap<(Instance, Run), Pod>,
    pub(super) revisions: BTreeMap<Revision, RevisionObject>,
    pub(super) updates: BTreeMap<u32, UpdateObject>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) lease: Lease,
    /// When each term began.
    pub(super) terms: Vec<(Millis, u64)>,
    pub(super) log: Vec<Change>,
    uids: u128,
}

impl Store {
    /// What a new object has.
    pub(super) fn new_meta(&mut self, owner: Option<Uid>) -> Meta {
        self.uids += 1;
        Meta { uid: Uid::new(self.uids), version: 0, owner }
    }

    /// The version of the last change.
    pub(super) fn version(&self) -> u64 {
        self.log.len() as u64
    }

    /// Stores an object under its name, as the next version; returns it as it then is.
    pub(super) fn put(&mut self, object: impl Into<Object>) -> Object {
        let mut object = object.into();
        object.meta_mut().version = self.version() + 1;
        match object.clone() {
            Object::Service(service) => self.service = Some(*service),
            Object::Pod(pod) => drop(self.pods.insert((pod.instance, pod.run), *pod)),
            Object::Revision(revision) => drop(self.revisions.insert(revision.revision, revision)),
            Object::Update(update) => drop(self.updates.insert(update.number, *update)),
            Object::Node(node) => drop(self.nodes.insert(node.id, node)),
        }
        self.log.push(Change::Put(object.clone()));
        object
    }

    /// Removes the object of this uid.
    pub(super) fn remove(&mut self, kind: Kind, uid: Uid) -> Change {
        match kind {
            Kind::Service => self.service = self.service.take().filter(|object| object.meta.uid != uid),
            Kind::Pod => self.pods.retain(|_, object| object.meta.uid != uid),
            Kind::Revision => self.revisions.retain(|_, object| object.meta.uid != uid),
            Kind::Update => self.updates.retain(|_, object| object.meta.uid != uid),
            Kind::Node => self.nodes.retain(|_, object| object.meta.uid != uid),
        }
        let change = Change::Gone(kind, uid);
        self.log.push(change.clone());
        change
    }

    pub(super) fn pod(&self, uid: Uid) -> Option<&Pod> {
        self.pods.values().find(|pod| pod.meta.uid == uid)
    }

    /// Changes a Pod that is there; an unchanged one makes no version.
    pub(super) fn edit_pod(&mut self, uid: Uid, edit: impl FnOnce(&mut Pod)) {
        let Some(pod) = self.pod(uid) else { return };
        let mut edited = pod.clone();
        edit(&mut edited);
        if edited != *pod {
            self.put(edited);
        }
    }

    /// All objects of a kind as they were after so many changes.
    pub(super) fn list(&self, kind: Kind, version: u64) -> Vec<Object> {
        let mut all: BTreeMap<Uid, &Object> = BTreeMap::new();
        for change in self.log.iter().take(usize::try_from(version).unwrap_or(usize::MAX)) {
            match change {
                Change::Put(object) if object.kind() == kind => drop(all.insert(object.meta().uid, object)),
                Change::Gone(of, uid) if *of == kind => drop(all.remove(uid)),
                Change::Put(_) | Change::Gone(..) => {}
            }
        }
        all.into_values().cloned().collect()
    }

    /// All objects of a kind as they are.
    pub(super) fn list_now(&self, kind: Kind) -> Vec<Object> {
        match kind {
            Kind::Service => self.service.clone().map(Object::from).into_iter().collect(),
            Kind::Pod => self.pods.values().cloned().map(Object::from).collect(),
            Kind::Revision => self.revisions.values().copied().map(Object::Revision).collect(),
            Kind::Update => self.updates.values().cloned().map(Object::from).collect(),
            Kind::Node => self.nodes.values().copied().map(Object::Node).collect(),
        }
    }

    /// The term an apiserver knows of whose view of the lease is so much behind.
    pub(super) fn term_seen(&self, now: Millis, lag: Millis) -> u64 {
        let seen = self.terms.iter().rev().find(|(at, _)| at + lag <= now);
        seen.map_or(0, |(_, term)| *term)
    }
}
