//! What nodes have and who takes it: every Pod of the cluster that has not ended, and every node, for placement and quota.
//!
//! Keeps the board of `borealis_core::admit` up to date with the watches of Pods and nodes, and with answers to our own
//! writes. Decides which news is newer and what has changed by it, never what follows. What the watch has not shown is
//! not known here: answers to our own writes only renew it, so none can bring back a Pod that is gone. Fed by `kinds`;
//! read by the loops that concern the whole cluster.

mod budgets;
mod changes;
mod claim;
mod demand;
mod foreign;
mod host;
mod owners;
mod ranks;
mod selectors;
mod shared;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, MutexGuard, PoisonError},
};

use borealis_core::{
    admit::Board,
    model::{Claim, Demand, NodeId, Uid},
};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;
use tokio::sync::Notify;

use self::{
    changes::Followers,
    foreign::Foreign,
    owners::Owners,
    ranks::Ranks,
    shared::{Names, Shared},
};
use super::{
    Index, Kind,
    lean::Node,
    meta::{self, Unreadable},
    pod,
    stamp::Source,
    tenancy::Tenancy,
};

pub use self::{
    changes::{Changes, Follower},
    foreign::ForeignUse,
};

/// What is shared among Pods.
#[derive(Debug, Default)]
struct Tables {
    names: Names,
    demands: Shared<Demand>,
    owners: Owners,
}

/// Nodes and Pods, and who is told of their changes.
#[derive(Debug, Default)]
pub(super) struct Capacity {
    board: Board,
    tables: Tables,
    foreign: Foreign,
    ranks: Ranks,
    followers: Followers,
    budgets: budgets::Budgets,
    /// The Pods that the relist under way has shown.
    shown: Option<HashSet<Uid>>,
}

/// How much is known, and what of it waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Pods that have not ended.
    pub pods: usize,
    /// Nodes.
    pub nodes: usize,
    /// Pods that the scheduler has found no place for.
    pub pending: usize,
}

impl Capacity {
    /// Takes a Pod that has not ended; returns the nodes that are no longer named because of it.
    fn offer(
        &mut self,
        object: &Pod,
        nodes: [Option<NodeId>; 2],
        source: Source,
        tenancy: &Tenancy,
    ) -> Result<[Option<NodeId>; 2], Unreadable> {
        let [node, nominated] = nodes;
        let (uid, version) = (meta::uid(&object.metadata)?, meta::version(&object.metadata)?);
        let known = self.board.claim(uid).map(|claim| claim.version);
        if self.show(uid, source) && known.is_none() || known.is_some_and(|known| known >= version) {
            return Ok(nodes);
        }
        let claim = claim::read(object, &mut self.tables, tenancy, node, nominated)?;
        let before = self.board.remove_claim(uid);
        self.account(before.as_ref(), Some(&claim));
        self.board.set_claim(claim);
        Ok(before.map_or([None; 2], |before| [before.node, before.nominated]))
    }

    /// Notes that a relist shows the Pod; whether it is only an answer to a write of our own.
    fn show(&mut self, uid: Uid, source: Source) -> bool {
        if let (Source::Relist, Some(shown)) = (source, &mut self.shown) {
            shown.insert(uid);
        }
        source == Source::Own
    }

    /// A Pod has ended or is gone, by news of this version where it has one.
    fn remove(&mut self, uid: Uid, version: u64) -> [Option<NodeId>; 2] {
        if self.board.claim(uid).is_none_or(|known| known.version > version) {
            return [None; 2];
        }
        let Some(before) = self.board.remove_claim(uid) else { return [None; 2] };
        self.account(Some(&before), None);
        [before.node, before.nominated]
    }

    /// A relist is complete; returns the nodes that are no longer named by those it did not show.
    fn relisted(&mut self) -> Vec<NodeId> {
        let Some(shown) = self.shown.take() else { return Vec::new() };
        let gone: Vec<Uid> =
            self.board.claims().map(|claim| claim.uid).filter(|uid| !shown.contains(uid)).collect();
        gone.into_iter().flat_map(|uid| self.remove(uid, u64::MAX)).flatten().collect()
    }

    fn account(&mut self, before: Option<&Claim>, after: Option<&Claim>) {
        let mut changes = compare(before, after);
        changes.roles.extend(self.foreign.account(before, after));
        self.ranks.account(before, after);
        self.followers.tell(&changes);
    }

    /// Roles or tiers have changed: Pods belong to whom they belong now.
    fn renew(&mut self, tenancy: &Tenancy) {
        let renamed = self.tables.owners.renew(tenancy);
        if renamed.is_empty() {
            return;
        }
        let owner = |claim: &Claim| renamed.get(&Arc::as_ptr(&claim.owner)).cloned();
        let all = self.board.claims();
        let changed: Vec<Claim> =
            all.filter_map(|claim| Some(Claim { owner: owner(claim)?, ..claim.clone() })).collect();
        for claim in changed {
            let before = self.board.remove_claim(claim.uid);
            self.account(before.as_ref(), Some(&claim));
            self.board.set_claim(claim);
        }
    }
}

/// What a Pod's news changes for those who follow.
fn compare(before: Option<&Claim>, after: Option<&Claim>) -> Changes {
    let waits = |claim: &&Claim| {
        claim.node.is_none()
            && (claim.unschedulable.is_some() || claim.nominated.is_some() || claim.slot.is_some())
    };
    let waiting =
        |claim: Option<&Claim>| claim.filter(waits).map(|claim| Claim { version: 0, ..claim.clone() });
    let takes = |claim: Option<&Claim>| {
        let claim = claim.filter(|claim| claim.node.is_some())?;
        Some((claim.node, claim.ends, Arc::clone(&claim.demand), Arc::clone(&claim.owner)))
    };
    Changes {
        pending: waiting(before) != waiting(after),
        room: takes(before) != takes(after),
        ..Changes::default()
    }
}

impl Index {
    fn capacity(&self) -> MutexGuard<'_, Capacity> {
        self.capacity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows all nodes and Pods to `look`, as one snapshot, under the lock that news of Pods waits for.
    pub fn board<R>(&self, look: impl FnOnce(&Board) -> R) -> R {
        look(&self.capacity().board)
    }

    /// What a role's Pods outside of AuroraServices take, by namespace.
    pub fn foreign(&self, role: &str) -> BTreeMap<Arc<str>, ForeignUse> {
        self.capacity().foreign.of(role)
    }

    /// The Pods of each tier that have not ended, whoever's they are; tiers without any are left out. Unit: Pods.
    pub fn ranked(&self) -> BTreeMap<Arc<str>, usize> {
        self.capacity().ranks.all().clone()
    }

    /// Follows the changes of nodes and Pods, as long as what is returned is held.
    pub fn changes(&self) -> Arc<Follower> {
        self.changes_waking(Arc::default())
    }

    /// The same, for one who is also woken by others.
    pub fn changes_waking(&self, woken: Arc<Notify>) -> Arc<Follower> {
        self.capacity().followers.follow(woken)
    }

    /// Wakes all who follow: something else that they go by has changed, such as the freeze switch.
    pub fn wake_followers(&self) {
        self.capacity().followers.wake();
    }

    /// How much is known of the cluster.
    pub fn extent(&self) -> Extent {
        let capacity = self.capacity();
        Extent {
            pods: capacity.board.claim_count(),
            nodes: usize::try_from(capacity.board.host_count()).unwrap_or(usize::MAX),
            pending: capacity.board.pending().count(),
        }
    }

    /// Roles, namespaces or tiers have changed.
    pub(super) fn renew_owners(&self) {
        let mut capacity = self.capacity();
        capacity.renew(&self.read_tenancy());
    }

    /// Takes a Pod as a watch shows it.
    pub fn show_pod(&self, pod: &Pod) {
        self.feed(Kind::Pod, &Event::Apply(pod.clone()));
    }

    /// Takes news of a Pod, whoever's it is.
    pub(super) fn offer_claim(&self, object: &Pod, source: Source) -> Result<(), Unreadable> {
        if claim::has_ended(object) {
            return self.drop_claim(object);
        }
        let nodes = [pod::node_name(object), claim::nominated_node(object)];
        let nodes = nodes.map(|name| name.map(|name| self.nodes().pin(name)));
        let done = {
            let mut capacity = self.capacity();
            capacity.offer(object, nodes, source, &self.read_tenancy())
        };
        self.unpin(done.as_ref().map_or(nodes, |nodes| *nodes));
        done.map(|_| ())
    }

    /// The watch said that a Pod is gone, or it has ended.
    pub(super) fn drop_claim(&self, object: &Pod) -> Result<(), Unreadable> {
        let (uid, version) = (meta::uid(&object.metadata)?, meta::version(&object.metadata)?);
        let nodes = self.capacity().remove(uid, version);
        self.unpin(nodes);
        Ok(())
    }

    /// A relist of Pods begins.
    pub(super) fn list_claims(&self) {
        self.capacity().shown = Some(HashSet::new());
    }

    /// A relist of Pods is complete.
    pub(super) fn listed_claims(&self) {
        let nodes = self.capacity().relisted();
        self.unpin(nodes.into_iter().map(Some));
    }

    /// Takes news of a node.
    pub(super) fn offer_host(&self, node: &Node, id: NodeId) -> Result<(), Unreadable> {
        let mut capacity = self.capacity();
        let host = host::read(node, id, &mut capacity.tables)?;
        if capacity.board.set_host(host) {
            capacity.followers.tell(&Changes { hosts: true, ..Changes::default() });
        }
        Ok(())
    }

    /// A node is gone.
    pub(super) fn drop_host(&self, id: NodeId) {
        let mut capacity = self.capacity();
        if capacity.board.remove_host(id) {
            capacity.followers.tell(&Changes { hosts: true, ..Changes::default() });
        }
    }

    fn unpin(&self, nodes: impl IntoIterator<Item = Option<NodeId>>) {
        let nodes: Vec<NodeId> = nodes.into_iter().flatten().collect();
        if !nodes.is_empty() {
            let mut known = self.nodes();
            nodes.into_iter().for_each(|id| known.unpin(id));
        }
    }
}

#[cfg(test)]
mod tests;
