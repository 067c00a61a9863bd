//! Who ranks higher and waits: it gets what victims leave before the Pod they left for.
//!
//! A nomination keeps room from equals and from those below alone, and whoever has one takes any other node as well that
//! has room sooner. So nobody is ended for a Pod while another would take its room: that one is placed first. Not for ever:
//! what has waited for longer than a slot is held may be kept from its place by something that is not known here. Called
//! by `keep` and `seek`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Situation, later, look::first_veto};
use crate::{
    admit::Board,
    model::{Claim, NodeId, Uid},
};

/// Those who wait: of those that have owner and demand in common, one.
pub(super) struct Ahead<'a> {
    board: &'a Board,
    waiting: Vec<&'a Claim>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new<B>(given: &Situation<'a, B>) -> Self {
        let is_new = |claim: &&Claim| {
            claim.unschedulable.is_some_and(|since| later(since, given.bounds.hold) > given.now)
        };
        let waiting = given.board.pending().filter(is_new).filter(|claim| claim.demand.unknown.is_none());
        let kinds: BTreeMap<_, &Claim> =
            waiting.map(|claim| ((Arc::as_ptr(&claim.owner), Arc::as_ptr(&claim.demand)), claim)).collect();
        let mut waiting: Vec<&Claim> = kinds.into_values().collect();
        waiting.sort_by_key(|claim| claim.uid);
        Self { board: given.board, waiting }
    }

    /// Who would take the room on a node that a Pod is to have there when these have left.
    pub(super) fn taker(&self, claim: &Claim, host: NodeId, leaving: &BTreeSet<Uid>) -> Option<Uid> {
        let higher = self.waiting.iter().filter(|other| other.owner.rank > claim.owner.rank);
        let mut takers = higher.filter(|other| first_veto(self.board, other, host, leaving).is_none());
        takers.next().map(|other| other.uid)
    }
}
