//! How a slot looks on the board: where its Pod is, what became of the nomination, whom it still has to end.
//!
//! Asks `fit` whether the Pod would have room; decides nothing. Called by `pass`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Situation, Slots, is_standing, mode};
use crate::{
    admit::{
        Board, Budgets, Group, Rule, Veto,
        fit::{Asker, expected, kept_from},
        may_preempt,
        memory::Memory,
        neighbours::Neighbours,
        preemptor,
        slots::{May, Nomination, Place, Room, Seen},
    },
    model::{Claim, Held, NodeId, Uid},
};

/// What is seen, and what is needed to act on it.
pub(super) struct Looked {
    pub(super) seen: Seen,
    /// The node, if there is one of that name.
    pub(super) host: Option<NodeId>,
    /// By which rule each victim that still stands may be ended, and whose allowance it uses up.
    pub(super) rules: BTreeMap<Uid, (Rule, Option<Group>)>,
}

/// Looks at the slot of a Pod. `leaving` are the victims of all slots that have not been told to end, `before` the slots
/// that were looked at before it.
pub(super) fn look<B: Budgets>(
    given: &Situation<'_, B>,
    memory: &Memory,
    (leaving, before): (&BTreeSet<Uid>, &Slots),
    claim: &Claim,
    held: &Held,
) -> Looked {
    let board = given.board;
    let (nomination, host) = nomination(board, claim, held);
    let mut rules = BTreeMap::new();
    let mut standing = Vec::new();
    let mut pledged = before.pledged.clone();
    for uid in held.victims.iter().filter(|uid| is_standing(board, **uid)) {
        let Some(victim) = board.claim(*uid) else { continue };
        let (may, rule) = may_end(given, memory, &pledged, claim, victim);
        if let Some((_, Some(group))) = rule {
            *pledged.entry(group).or_default() += 1;
        }
        standing.push((*uid, may));
        rules.extend(rule.map(|rule| (*uid, rule)));
    }
    let room = room(board, claim, host, &standing, (leaving, &before.going));
    let leaving = held.victims.iter().filter_map(|uid| board.claim(*uid)?.ends).max();
    let place = match claim.node {
        None => Place::Waits,
        Some(node) if Some(node) == host => Place::Here,
        Some(_) => Place::Elsewhere,
    };
    let (frozen, mode) = (given.frozen, mode(given, claim));
    Looked { seen: Seen { place, nomination, room, standing, leaving, frozen, mode }, host, rules }
}

/// A node by its name.
pub(super) fn host_named(board: &Board, name: &str) -> Option<NodeId> {
    board.hosts().find(|(host, _)| &*host.name == name).map(|(host, _)| host.id)
}

/// What became of the nomination, and the node of the slot: most often that of the nomination.
fn nomination(board: &Board, claim: &Claim, held: &Held) -> (Nomination, Option<NodeId>) {
    let nominated = claim.nominated.and_then(|id| board.host(id));
    match nominated {
        Some(host) if host.name == held.node => (Nomination::Stands, Some(host.id)),
        _ => {
            let lost = if claim.nominated.is_some() { Nomination::Other } else { Nomination::Lost };
            (lost, host_named(board, &held.node))
        }
    }
}

/// Whether a victim may be ended, and by what, when so many of each group go besides.
fn may_end<B: Budgets>(
    given: &Situation<'_, B>,
    memory: &Memory,
    pledged: &BTreeMap<Group, u32>,
    claim: &Claim,
    victim: &Claim,
) -> (May, Option<(Rule, Option<Group>)>) {
    let Ok(tier) = preemptor(&claim.owner) else { return (May::Never, None) };
    let Ok(rule) = may_preempt(&claim.owner, tier, victim, given.now) else { return (May::Never, None) };
    if let Some((may, _)) = memory.refusal(victim.uid) {
        return (may, None);
    }
    match given.budgets.group(victim) {
        Err(_) => (May::NotNow, None),
        Ok(Some(group)) if given.budgets.allowance(group) <= *pledged.get(&group).unwrap_or(&0) => {
            (May::NotNow, None)
        }
        Ok(group) => (May::End, Some((rule, group))),
    }
}

/// What the node has for the Pod. Those count as gone who are ending, and the victims of other slots, whose room is
/// kept for others. Room that is made for a lower rank is not kept from this one: it would get it, and those who
/// leave for the other would have gone in vain. So nobody of its own is let off for that.
fn room(
    board: &Board,
    claim: &Claim,
    host: Option<NodeId>,
    standing: &[(Uid, May)],
    (leaving, going): (&BTreeSet<Uid>, &BTreeMap<Uid, i32>),
) -> Room {
    let Some(host) = host else { return Room::Gone };
    let is_own = |uid: &Uid| standing.iter().any(|(own, _)| own == uid);
    let kept_from_it = going.iter().filter(|(uid, rank)| !is_own(uid) && **rank >= claim.owner.rank);
    let others: BTreeSet<Uid> = kept_from_it.map(|(uid, _)| *uid).collect();
    match first_veto(board, claim, host, leaving) {
        None if standing.is_empty() || first_veto(board, claim, host, &others).is_none() => Room::WithoutMore,
        None => Room::WhenAllLeft,
        Some(Veto::Insufficient(_) | Veto::Port(_) | Veto::Limit(_) | Veto::Spread(_) | Veto::Apart(_)) => {
            Room::Taken
        }
        Some(Veto::Beside(_) | Veto::Constraint(_) | Veto::Draining | Veto::Tainted(_) | Veto::Dedicated) => {
            Room::Unfit
        }
    }
}

/// What keeps the Pod off the node when these have left, and all who are ending.
pub(super) fn first_veto(
    board: &Board,
    claim: &Claim,
    host: NodeId,
    leaving: &BTreeSet<Uid>,
) -> Option<Veto> {
    let (room, host) = (board.room(host)?, board.host(host)?);
    let (owner, demand) = (&*claim.owner, &*claim.demand);
    let mut around = Neighbours::new(board, owner, demand, false);
    if !around.is_nothing() {
        for (nominee, host) in expected(board, claim.uid, owner) {
            around.expect(nominee, host, 1);
        }
        let gone = leaving.iter().filter_map(|uid| board.claim(*uid));
        for (other, host) in gone.filter_map(|other| Some((other, board.host(other.node?)?))) {
            around.depart(other, host, 1);
        }
    }
    let kept = kept_from(board, host.id, claim);
    let leaves = |other: &&Claim| other.ends.is_some() || leaving.contains(&other.uid);
    let gone: Vec<&Claim> = room.claims().iter().filter(leaves).collect();
    let mut misses = Vec::new();
    let asker = Asker::new(owner, demand);
    asker.misses(&around, (host, room), &kept, &gone, &[], &mut misses);
    misses.first().map(|(miss, _)| miss.veto())
}
