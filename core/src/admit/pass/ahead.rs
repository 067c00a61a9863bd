//! Who ranks higher and waits: it gets what victims leave before the Pod they left for.
//!
//! A nomination keeps room from equals and from those below alone, and whoever has one takes any other node as well that
//! has room sooner. So nobody is ended for a Pod while another would take its room: that one is placed first. But one that
//! has waited for longer than a slot is held, though there is a node that it fits on, is kept from its place by something
//! that is not known here: room is no use to it, and nobody waits for it. Nor for as long for one that nobody makes room
//! for, such as a Pod of a tier on trial. Called by `keep` and `seek`.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{Situation, later, look::first_veto, mode, most};
use crate::{
    admit::{Board, NoPreemptor, fit::fits_somewhere, preemptor, slots::Mode},
    model::{Claim, NodeId, Uid},
};

/// Those who wait: of those that have owner and demand in common, the last that came.
pub(super) struct Ahead<'a> {
    board: &'a Board,
    waiting: Vec<Waiting<'a>>,
}

struct Waiting<'a> {
    claim: &'a Claim,
    /// When it will have waited for longer than a slot is held; `None` where it has.
    long_from: Option<Timestamp>,
    /// Nobody makes room for it, or room is no use to it: that is asked when it matters, since all nodes are looked at.
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
        let waiting = |claim: &'a Claim| {
            let since = claim.unschedulable.unwrap_or(Timestamp::UNIX_EPOCH);
            let long_from = Some(later(since, given.bounds.hold)).filter(|at| *at > given.now);
            let stuck = if is_served(given, claim) { OnceCell::new() } else { OnceCell::from(true) };
            Waiting { claim, long_from, stuck }
        };
        let mut waiting: Vec<Waiting<'_>> = kinds.into_values().map(waiting).collect();
        waiting.sort_by_key(|other| other.claim.uid);
        Self { board: given.board, waiting }
    }

    /// Who would take the room on a node that a Pod is to have there when these have left, and when it is to be asked
    /// again, if nothing happens before.
    pub(super) fn taker(
        &self,
        claim: &Claim,
        host: NodeId,
        leaving: &BTreeSet<Uid>,
    ) -> Option<(Uid, Option<Timestamp>)> {
        let higher = self.waiting.iter().filter(|other| other.claim.owner.rank > claim.owner.rank);
        let mut takers = higher.filter(|other| {
            first_veto(self.board, other.claim, host, leaving).is_none() && !self.is_stuck(other)
        });
        takers.next().map(|other| (other.claim.uid, other.long_from))
    }

    fn is_stuck(&self, other: &Waiting<'_>) -> bool {
        other.long_from.is_none() && *other.stuck.get_or_init(|| fits_somewhere(self.board, other.claim))
    }
}

/// Whether somebody makes room for a Pod: this operator, or the scheduler.
fn is_served<B>(given: &Situation<'_, B>, claim: &Claim) -> bool {
    match preemptor(&claim.owner) {
        Ok(_) => mode(given, claim) == Mode::On && most(given, claim) > 0,
        Err(why) => why == NoPreemptor::Native,
    }
}
