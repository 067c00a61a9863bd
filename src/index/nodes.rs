//! Nodes by number, which of them are lost and since when, and which services have tasks on them.
//!
//! A node is lost while its Ready condition is not True, or it carries the taint of a lost one, or it was there and
//! is no more. One that was never seen is not: the news of a fresh node may come after that of a Pod on it, and
//! Pods on a node that never comes are the garbage collector's. Decides nothing about the tasks: the partition policy is the planner's. Called by `feed`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use borealis_core::model::{NodeId, Uid};
use jiff::Timestamp;

use super::{
    lean::Node,
    meta::{Unreadable, uid, version},
    stamp::{Epoch, Version},
    state::Slot,
};

/// Taints the node lifecycle controller sets on a node it can't reach or that is not ready.
const LOST: [&str; 2] = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"];

/// What news of a node did: its number, and the services to plan again.
pub(super) type Offer = (NodeId, Vec<Arc<Slot>>);

/// The nodes.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    numbers: HashMap<Arc<str>, NodeId>,
    rows: HashMap<NodeId, Row>,
    lost: Arc<BTreeMap<NodeId, Timestamp>>,
    next: u32,
}

#[derive(Debug)]
struct Row {
    name: Arc<str>,
    object: Option<Object>,
    /// Tasks that are being read, and Pods that are on it or have room kept there.
    pins: u32,
    /// Services with tasks on it, and how many; momentarily below zero when news of a move comes in parts.
    tasks: BTreeMap<u32, (Arc<Slot>, i32)>,
}

/// Nodes that are there no more.
#[derive(Debug, Default)]
pub(super) struct Vanished {
    pub(super) nodes: Vec<NodeId>,
    /// The services to plan again because of it.
    pub(super) services: Vec<Arc<Slot>>,
}

#[derive(Debug, Clone, Copy)]
struct Object {
    uid: Uid,
    version: Version,
    epoch: Epoch,
}

impl Nodes {
    /// The number of the node of this name, which stays until `unpin` even if it is not there and no task is on it.
    pub(super) fn pin(&mut self, name: &str) -> NodeId {
        let id = self.number(name);
        if let Some(row) = self.rows.get_mut(&id) {
            row.pins += 1;
        }
        id
    }

    /// What the number was asked for has been counted, was no news, or is gone.
    pub(super) fn unpin(&mut self, id: NodeId) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.pins = row.pins.saturating_sub(1);
        }
        self.drop_unused(id);
    }

    fn number(&mut self, name: &str) -> NodeId {
        if let Some(id) = self.numbers.get(name) {
            return *id;
        }
        let id = NodeId(self.next);
        self.next = self.next.wrapping_add(1);
        let name: Arc<str> = name.into();
        self.numbers.insert(Arc::clone(&name), id);
        self.rows.insert(id, Row { name, object: None, pins: 0, tasks: BTreeMap::new() });
        id
    }

    /// How many nodes are known, those included that are only named.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The name of a node.
    pub(super) fn name(&self, id: NodeId) -> Option<Arc<str>> {
        Some(Arc::clone(&self.rows.get(&id)?.name))
    }

    /// Which nodes are lost, and since when.
    pub(super) fn lost(&self) -> Arc<BTreeMap<NodeId, Timestamp>> {
        Arc::clone(&self.lost)
    }

    /// A task of the service left one node for another, came or went.
    pub(super) fn moved(&mut self, slot: &Arc<Slot>, from: Option<NodeId>, to: Option<NodeId>) {
        if let Some(row) = to.and_then(|to| self.rows.get_mut(&to)) {
            count(row, slot, 1);
        }
        if let Some(from) = from {
            if let Some(row) = self.rows.get_mut(&from) {
                count(row, slot, -1);
            }
            self.drop_unused(from);
        }
    }

    /// Forgets a node that is not there and that no task names.
    fn drop_unused(&mut self, id: NodeId) {
        let Some(row) = self.rows.get(&id) else { return };
        if row.object.is_some() || row.pins > 0 || !row.tasks.is_empty() {
            return;
        }
        self.numbers.remove(&row.name);
        self.rows.remove(&id);
        if self.lost.contains_key(&id) {
            Arc::make_mut(&mut self.lost).remove(&id);
        }
    }

    /// Takes news of a node, unless it is old; returns its number, and the services to plan again because it was lost or
    /// came back.
    pub(super) fn offer(&mut self, node: &Node, epoch: Epoch) -> Result<Option<Offer>, Unreadable> {
        let name = node.metadata.name.as_deref().ok_or(Unreadable::Metadata("name"))?;
        let (uid, version) = (uid(&node.metadata)?, version(&node.metadata)?);
        let id = self.number(name);
        let Some(row) = self.rows.get_mut(&id) else { return Ok(None) };
        match &mut row.object {
            Some(known) if known.version > version => {
                if known.uid == uid {
                    known.epoch = epoch;
                }
                Ok(None)
            }
            object => {
                *object = Some(Object { uid, version, epoch });
                Ok(Some((id, self.set_lost(id, lost_since(node)))))
            }
        }
    }

    /// The watch said that the node is gone.
    pub(super) fn delete(&mut self, node: &Node, now: Timestamp) -> Vanished {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let Some(id) = self.numbers.get(name).copied() else { return Vanished::default() };
        let uid = uid(&node.metadata).ok();
        let known = self.rows.get(&id).and_then(|row| row.object.as_ref()).map(|object| object.uid);
        if known != uid {
            return Vanished::default();
        }
        Vanished { nodes: vec![id], services: self.vanish(id, now) }
    }

    /// A relist that began in this epoch is complete.
    pub(super) fn relisted(&mut self, epoch: Epoch, now: Timestamp) -> Vanished {
        let absent = |row: &Row| row.object.is_some_and(|object| object.epoch != epoch);
        let mut gone: Vec<NodeId> =
            self.rows.iter().filter(|(_, row)| absent(row)).map(|(id, _)| *id).collect();
        gone.sort_unstable();
        let services = gone.iter().flat_map(|id| self.vanish(*id, now)).collect();
        Vanished { nodes: gone, services }
    }

    fn vanish(&mut self, id: NodeId, now: Timestamp) -> Vec<Arc<Slot>> {
        if let Some(row) = self.rows.get_mut(&id) {
            row.object = None;
        }
        let since = self.lost.get(&id).copied().unwrap_or(now);
        let dirty = self.set_lost(id, Some(since));
        self.drop_unused(id);
        dirty
    }

    fn set_lost(&mut self, id: NodeId, since: Option<Timestamp>) -> Vec<Arc<Slot>> {
        if self.lost.get(&id).copied() == since {
            return Vec::new();
        }
        let lost = Arc::make_mut(&mut self.lost);
        match since {
            Some(since) => lost.insert(id, since),
            None => lost.remove(&id),
        };
        let tasks = self.rows.get(&id).map(|row| &row.tasks);
        tasks.into_iter().flat_map(BTreeMap::values).map(|(slot, _)| Arc::clone(slot)).collect()
    }
}

fn count(row: &mut Row, slot: &Arc<Slot>, by: i32) {
    let (_, count) = row.tasks.entry(slot.number).or_insert_with(|| (Arc::clone(slot), 0));
    *count += by;
    if *count == 0 {
        row.tasks.remove(&slot.number);
    }
}

/// Since when the node is lost, by its own object.
fn lost_since(node: &Node) -> Option<Timestamp> {
    let created = node.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let ready = node.status.conditions.iter().find(|condition| condition.type_ == "Ready");
    if let Some(ready) = ready.filter(|ready| ready.status != "True") {
        return Some(ready.last_transition_time.as_ref().map_or(created, |time| time.0));
    }
    let mut taints = node.spec.taints.iter();
    let taint = taints.find(|taint| taint.effect == "NoExecute" && LOST.contains(&taint.key.as_str()))?;
    Some(taint.time_added.as_ref().map_or(created, |time| time.0))
}

#[cfg(test)]
mod tests;
