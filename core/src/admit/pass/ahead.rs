//! Who ranks higher and waits: it gets what victims leave before the Pod they left for.
//!
//! A nomination keeps room from equals and from those below alone, and whoever has one takes any other node as well that
//! has room sooner. So nobody is ended for a Pod while another would take its room: that one is placed first. But one that
//! has waited for longer than a slot is held, though there is a node that it fits on, is kept from its place by something
//! that is not known here: room is no use to it, and nobody waits for it. Called by `keep` and `seek`.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Situation, later, look::first_veto};
use crate::{
    admit::{Board, fit::fits_somewhere},
    model::{Claim, NodeId, Uid},
};

/// Those who wait: of those that have owner and demand in common, the last that came.
pub(super) struct Ahead<'a> {
    board: &'a Board,
    waiting: Vec<Waiting<'a>>,
}

struct Waiting<'a> {
    claim: &'a Claim,
    /// For longer than a slot is held.
    long: bool,
    /// Room is no use to it: asked when it matters, since all nodes are looked at for that.
    stuck: OnceCell<bool>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new<B>(given: &Situation<'a, B>) -> Self {
        let mut kinds = BTreeMap::new();
        for claim in given.board.pending().filter(|claim| claim.demand.unknown.is_none()) {
            let last = kinds.entry((Arc::as_ptr(&claim.owner), Arc::as_ptr(&claim.demand))).or_insert(claim);
            if last.unschedulable < claim.unschedulable {
                *last = claim;
            }
        }
        let is_long = |claim: &Claim| {
            claim.unschedulable.is_none_or(|since| later(since, given.bounds.hold) <= given.now)
        };
        let waiting = |claim| Waiting { claim, long: is_long(claim), stuck: OnceCell::new() };
        let mut waiting: Vec<Waiting<'_>> = kinds.into_values().map(waiting).collect();
        waiting.sort_by_key(|other| other.claim.uid);
        Self { board: given.board, waiting }
    }

    /// Who would take the room on a node that a Pod is to have there when these have left.
    pub(super) fn taker(&self, claim: &Claim, host: NodeId, leaving: &BTreeSet<Uid>) -> Option<Uid> {
        let higher = self.waiting.iter().filter(|other| other.claim.owner.rank > claim.owner.rank);
        let mut takers = higher.filter(|other| {
            first_veto(self.board, other.claim, host, leaving).is_none() && !self.is_stuck(other)
        });
        takers.next().map(|other| other.claim.uid)
    }

    fn is_stuck(&self, other: &Waiting<'_>) -> bool {
        other.long && *other.stuck.get_or_init(|| fits_somewhere(self.board, other.claim))
    }
}
