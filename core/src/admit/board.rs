//! What is known of the nodes and of the Pods on them, kept up to date one change at a time.
//!
//! The board decides nothing. A change costs what it touches: the Pods of one node, and the counts of one owner. What comes in an odd order is kept: a Pod may be bound to a node that is not known yet, and be known before its node.
//! Filled by whoever watches the cluster, and by the simulation; read by `fit` and `search`.

use std::collections::BTreeMap;

use super::census::Census;
use crate::model::{Claim, Host, NodeId, Resources, Uid};

/// The nodes of a cluster and all Pods that have not ended.
#[derive(Debug, Clone, Default)]
pub struct Board {
    rooms: BTreeMap<NodeId, Room>,
    hosts: u32,
    /// Pods without a node.
    unbound: BTreeMap<Uid, Claim>,
    /// Where the others are.
    bound: BTreeMap<Uid, NodeId>,
    census: Census,
}

/// One node and what is on it.
#[derive(Debug, Clone, Default)]
pub struct Room {
    host: Option<Host>,
    claims: Vec<Claim>,
    used: Resources,
    nominees: Vec<Uid>,
}

impl Room {
    /// The node; `None` while only Pods on it are known.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The Pods that are bound to it, those that are ending too, in the order of their uids.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// What they take together.
    pub fn used(&self) -> &Resources {
        &self.used
    }

    fn is_empty(&self) -> bool {
        self.host.is_none() && self.claims.is_empty() && self.nominees.is_empty()
    }
}

impl Board {
    /// A board without nodes and Pods.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes down a node as it is now, and says whether that is news.
    pub fn set_host(&mut self, host: Host) -> bool {
        let room = self.rooms.entry(host.id).or_default();
        if room.host.as_ref() == Some(&host) {
            return false;
        }
        self.hosts += u32::from(room.host.is_none());
        room.host = Some(host);
        true
    }

    /// Forgets a node, and says whether it was known. The Pods that are bound to it stay known.
    pub fn remove_host(&mut self, id: NodeId) -> bool {
        let removed = self.rooms.get_mut(&id).and_then(|room| room.host.take()).is_some();
        self.hosts -= u32::from(removed);
        self.tidy(id);
        removed
    }

    /// Takes down a Pod as it is now, and says whether that is news.
    pub fn set_claim(&mut self, claim: Claim) -> bool {
        if self.claim(claim.uid) == Some(&claim) {
            return false;
        }
        self.remove_claim(claim.uid);
        let Some(node) = claim.node else {
            if let Some(host) = claim.nominated {
                self.rooms.entry(host).or_default().nominees.push(claim.uid);
            }
            self.unbound.insert(claim.uid, claim);
            return true;
        };
        self.census.add(&claim, node);
        self.bound.insert(claim.uid, node);
        let room = self.rooms.entry(node).or_default();
        room.used.add(&claim.demand.requests);
        let at = room.claims.binary_search_by_key(&claim.uid, |claim| claim.uid).unwrap_or_else(|at| at);
        if room.claims.len() == room.claims.capacity() {
            // Doubling would leave half of a large cluster's memory unused.
            room.claims.reserve_exact(room.claims.len() / 8 + 1);
        }
        room.claims.insert(at, claim);
        true
    }

    /// Forgets a Pod, and returns what was known of it.
    pub fn remove_claim(&mut self, uid: Uid) -> Option<Claim> {
        if let Some(claim) = self.unbound.remove(&uid) {
            if let Some(host) = claim.nominated {
                if let Some(room) = self.rooms.get_mut(&host) {
                    room.nominees.retain(|nominee| *nominee != uid);
                }
                self.tidy(host);
            }
            return Some(claim);
        }
        let node = self.bound.remove(&uid)?;
        let room = self.rooms.get_mut(&node)?;
        let at = room.claims.binary_search_by_key(&uid, |claim| claim.uid).ok()?;
        let claim = room.claims.remove(at);
        room.used.subtract(&claim.demand.requests);
        self.census.remove(&claim, node);
        self.tidy(node);
        Some(claim)
    }

    /// A Pod.
    pub fn claim(&self, uid: Uid) -> Option<&Claim> {
        if let Some(claim) = self.unbound.get(&uid) {
            return Some(claim);
        }
        let room = self.rooms.get(self.bound.get(&uid)?)?;
        room.claims.binary_search_by_key(&uid, |claim| claim.uid).ok().and_then(|at| room.claims.get(at))
    }

    /// A node.
    pub fn host(&self, id: NodeId) -> Option<&Host> {
        self.rooms.get(&id)?.host()
    }

    /// A node with what is on it, also while only Pods on it are known.
    pub fn room(&self, id: NodeId) -> Option<&Room> {
        self.rooms.get(&id)
    }

    /// The nodes that are known, with what is on them, in the order of their numbers.
    pub fn hosts(&self) -> impl Iterator<Item = (&Host, &Room)> {
        self.rooms.values().filter_map(|room| Some((room.host.as_ref()?, room)))
    }

    /// The same from a number on.
    pub(super) fn hosts_from(&self, id: NodeId) -> impl Iterator<Item = (&Host, &Room)> {
        self.rooms.range(id..).filter_map(|(_, room)| Some((room.host.as_ref()?, room)))
    }

    /// How many nodes are known.
    pub fn host_count(&self) -> u32 {
        self.hosts
    }

    /// All Pods, those without a node first.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.unbound.values().chain(self.rooms.values().flat_map(|room| &room.claims))
    }

    /// How many Pods are known.
    pub fn claim_count(&self) -> usize {
        self.unbound.len() + self.bound.len()
    }

    /// The Pods without a node, those that the scheduler has not looked at yet too, in the order of their uids.
    pub fn unbound(&self) -> impl Iterator<Item = &Claim> {
        self.unbound.values()
    }

    /// The Pods that the scheduler has found no place for, and that are not ending, in the order of their uids.
    pub fn pending(&self) -> impl Iterator<Item = &Claim> {
        self.unbound.values().filter(|claim| claim.unschedulable.is_some() && claim.ends.is_none())
    }

    /// The Pods that room is kept for on a node and that are not ending.
    pub fn nominees(&self, host: NodeId) -> impl Iterator<Item = &Claim> {
        self.rooms.get(&host).into_iter().flat_map(|room| self.nominees_of(room))
    }

    /// The same of a node that is at hand.
    pub(super) fn nominees_of(&self, room: &Room) -> impl Iterator<Item = &Claim> {
        room.nominees.iter().filter_map(|uid| self.unbound.get(uid)).filter(|claim| claim.ends.is_none())
    }

    /// Who is where, by what they have in common.
    pub(super) fn census(&self) -> &Census {
        &self.census
    }

    fn tidy(&mut self, id: NodeId) {
        if self.rooms.get(&id).is_some_and(Room::is_empty) {
            self.rooms.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use proptest::prelude::*;

    use super::*;
    use crate::admit::testing::{NOW, demand, owner, pending, running, tier};

    fn host(id: u32, pods: u32) -> Host {
        Host { pods, ..crate::admit::testing::host(id, 1_000) }
    }

    fn claim(uid: u128, cpu: i64, node: Option<u32>, nominated: Option<u32>) -> Claim {
        let (owner, demand) = (Arc::new(owner(&tier(true, false), "a", 0)), Arc::new(demand(cpu)));
        match node {
            Some(node) => running(uid, &owner, &demand, node),
            None => Claim { nominated: nominated.map(NodeId), ..pending(uid, &owner, &demand) },
        }
    }

    #[test]
    fn a_pod_may_be_known_before_its_node_and_stays_when_that_goes() {
        let mut board = Board::new();
        assert!(board.set_claim(claim(1, 100, Some(7), None)));
        assert_eq!((board.host_count(), board.hosts().count(), board.claim_count()), (0, 0, 1));
        assert!(board.set_host(host(7, 10)));
        let used = |board: &Board| board.room(NodeId(7)).unwrap().used().cpu_milli;
        assert_eq!((board.host_count(), used(&board)), (1, 100));
        assert!(board.remove_host(NodeId(7)) && !board.remove_host(NodeId(7)));
        assert_eq!((board.hosts().count(), used(&board)), (0, 100));
        assert!(board.remove_claim(Uid::new(1)).is_some());
        assert!(board.room(NodeId(7)).is_none(), "nothing is left of it");
    }

    #[test]
    fn what_is_no_news_is_said_so() {
        let mut board = Board::new();
        assert!(board.set_host(host(1, 10)) && !board.set_host(host(1, 10)) && board.set_host(host(1, 11)));
        let pod = claim(1, 100, None, Some(1));
        assert!(board.set_claim(pod.clone()) && !board.set_claim(pod.clone()));
        assert_eq!(board.nominees(NodeId(1)).count(), 1);
        assert!(board.set_claim(Claim { node: Some(NodeId(1)), ..pod }));
        assert_eq!((board.nominees(NodeId(1)).count(), board.pending().count()), (0, 0));
    }

    #[test]
    fn pending_is_what_the_scheduler_found_no_place_for() {
        let mut board = Board::new();
        board.set_claim(claim(1, 1, None, None));
        board.set_claim(Claim { unschedulable: None, ..claim(2, 1, None, None) });
        board.set_claim(Claim { ends: Some(NOW), nominated: Some(NodeId(1)), ..claim(3, 1, None, None) });
        board.set_claim(claim(4, 1, Some(1), None));
        let uids =
            |claims: &mut dyn Iterator<Item = &Claim>| claims.map(|claim| claim.uid).collect::<Vec<_>>();
        assert_eq!(uids(&mut board.pending()), [Uid::new(1)]);
        assert_eq!(uids(&mut board.unbound()), [1, 2, 3].map(Uid::new));
        assert_eq!(board.nominees(NodeId(1)).count(), 0, "who is ending needs no room");
    }

    proptest! {
        /// Whatever came before, the board is as if only the last word on each Pod and node had been said.
        #[test]
        fn the_order_of_news_leaves_no_trace(
            news in prop::collection::vec((0..6u128, 0..4i64, 0..8u32, 0..4u32), 0..60),
        ) {
            let mut board = Board::new();
            let mut claims = BTreeMap::new();
            let mut hosts = BTreeMap::new();
            for (uid, cpu, to, node) in news {
                match to {
                    0 => { claims.remove(&uid); board.remove_claim(Uid::new(uid)); }
                    1 => { hosts.insert(node, host(node, 9)); board.set_host(host(node, 9)); }
                    2 => { hosts.remove(&node); board.remove_host(NodeId(node)); }
                    _ => {
                        let pod = claim(uid, cpu, (to > 4).then_some(node), (to == 4).then_some(node));
                        claims.insert(uid, pod.clone());
                        board.set_claim(pod);
                    }
                }
            }
            let mut fresh = Board::new();
            claims.into_values().rev().for_each(|claim| { fresh.set_claim(claim); });
            hosts.into_values().for_each(|host| { fresh.set_host(host); });
            prop_assert_eq!(board.host_count(), fresh.host_count());
            prop_assert_eq!(board.claim_count(), fresh.claim_count());
            prop_assert!(board.claims().eq(fresh.claims()));
            prop_assert_eq!(board.rooms.keys().collect::<Vec<_>>(), fresh.rooms.keys().collect::<Vec<_>>());
            for id in board.rooms.keys() {
                prop_assert_eq!(board.room(*id).map(Room::used), fresh.room(*id).map(Room::used));
                let names = |board: &Board| board.nominees(*id).map(|claim| claim.uid).collect::<BTreeSet<_>>();
                prop_assert_eq!(names(&board), names(&fresh));
            }
            (0..6).for_each(|uid| { board.remove_claim(Uid::new(uid)); });
            prop_assert!(board.census().is_empty() && board.rooms.values().all(|room| room.host.is_some()));
        }
    }
}
