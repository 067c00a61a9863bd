//! Finds room for Pods that are pending: where they fit, what to wait for, or who has to go, and as few as possible.
//!
//! Decides for many at a time, in an order of its own: what the scheduler ranks higher first, then the older; but of the
//! places in that line that a role has, its most important Pods take the first. Room that is given to one is taken for all
//! after it, and nobody is a victim twice. It evicts nobody and writes nothing down; that is up to the caller, the pass
//! over what is pending.
//!
//! Pods that have owner and demand in common share the work: all nodes are looked at once, for what each would cost at
//! least (or only up to one that costs nothing), and then only the cheapest are looked at closely until one costs no more
//! than any other can. When a slot is given, its node is looked at anew. What else a slot changes makes other nodes
//! dearer, which is seen when their turn comes; where it may make one cheaper, since a Pod leaves that others were
//! spread from, all are looked at anew.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use super::{
    fit::{Asker, Tally, expected},
    neighbours::{MOST_SPREADS, Neighbours},
    outcome::{Ask, Budgets, Decision, Given, Outcome, Rejected, Victim, Why},
    rule::{Spared, preemptor},
    site::{Decided, Found, Price, View, is_overdue},
};
use crate::model::{Claim, Host, NodeId, Tier, Uid};

/// Finds room for these Pods. Those that are not on the board, are ending or have a node are left out. One decision each,
/// in the order they were made.
pub fn search<B: Budgets>(given: &Given<'_, B>, asks: &[Ask]) -> Vec<Decision> {
    let mut search = Search::new(given);
    let asking = asks.iter().filter_map(|ask| Some((ask, given.board.claim(ask.claim)?)));
    let asking = asking.filter(|(_, claim)| claim.node.is_none() && claim.ends.is_none());
    in_line(asking.collect()).into_iter().map(|(ask, claim)| search.decide(ask, claim)).collect()
}

/// Puts Pods in line.
fn in_line<'a>(mut asking: Vec<(&'a Ask, &'a Claim)>) -> Vec<(&'a Ask, &'a Claim)> {
    asking.sort_by_key(|(_, claim)| (Reverse(claim.owner.rank), claim.created, claim.uid));
    asking.dedup_by_key(|(ask, _)| ask.claim);
    let line = |claim: &Claim| (claim.owner.rank, Arc::clone(&claim.owner.role));
    let mut places: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, (_, claim)) in asking.iter().enumerate() {
        places.entry(line(claim)).or_default().push(at);
    }
    let mut sorted = asking.clone();
    for places in places.values() {
        let mut of_role: Vec<_> = places.iter().map(|at| asking[*at]).collect();
        of_role.sort_by_key(|(_, claim)| Reverse(claim.owner.priority));
        for (at, ask) in places.iter().zip(of_role) {
            sorted[*at] = ask;
        }
    }
    sorted
}

/// The most kinds of Pods that are kept in mind; of more the first are looked around for again, which tests see, too.
const KINDS: usize = if cfg!(test) { 2 } else { 32 };

struct Search<'b, B> {
    given: Given<'b, B>,
    decided: Decided<'b>,
    kinds: Vec<Kind<'b>>,
    /// How many slots were given.
    epoch: u32,
}

/// Pods that have owner and demand in common, and what the nodes cost them.
struct Kind<'b> {
    asker: Asker<'b>,
    tier: &'b Tier,
    /// Where it matters which of them it is, since room is kept for it already: its own uid.
    only: Option<Uid>,
    present: Neighbours<'b>,
    future: Neighbours<'b>,
    offers: BinaryHeap<Reverse<Offer>>,
    /// From which node on they have not been looked at yet; `None` once all have.
    unseen: Option<NodeId>,
    /// How many times a node was looked at anew.
    versions: BTreeMap<NodeId, u32>,
    /// That there is no room, and when that was found.
    no_room: Option<(u32, (Outcome, Vec<Rejected>))>,
}

/// What a node costs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    price: Price,
    host: NodeId,
    version: u32,
}

impl<'b, B: Budgets> Search<'b, B> {
    fn new(given: &Given<'b, B>) -> Self {
        let decided = Decided { leaving: given.leaving.clone(), ..Decided::default() };
        let given =
            Given { board: given.board, budgets: given.budgets, leaving: given.leaving, now: given.now };
        Self { given, decided, kinds: Vec::new(), epoch: 0 }
    }

    fn decide(&mut self, ask: &Ask, claim: &'b Claim) -> Decision {
        let none = |outcome| Decision { claim: claim.uid, outcome, rejected: Vec::new() };
        let tier = match preemptor(&claim.owner) {
            Ok(tier) => tier,
            Err(why) => return none(Outcome::NotOurs(why)),
        };
        if let Some(what) = claim.demand.unknown {
            return none(Outcome::Unknown(what));
        }
        if claim.demand.spread.len() > MOST_SPREADS {
            return none(Outcome::Unknown("more than 64 spec.topologySpreadConstraints"));
        }
        let mut kind = self.take_kind(claim, tier);
        let decision = self.best(&mut kind, ask, claim);
        self.kinds.push(kind);
        if let Some(host) = decision.outcome.host() {
            self.give(claim, host, decision.outcome.victims());
        }
        decision
    }

    /// The kind of a Pod, out of those that are kept in mind if it is there.
    fn take_kind(&mut self, claim: &'b Claim, tier: &'b Tier) -> Kind<'b> {
        // The line goes by rank, so those that rank higher don't come again.
        self.kinds.retain(|kind| kind.asker.owner.rank == claim.owner.rank);
        let only = claim.nominated.map(|_| claim.uid);
        let same = |kind: &Kind<'b>| {
            std::ptr::eq(kind.asker.owner, &*claim.owner)
                && std::ptr::eq(kind.asker.demand, &*claim.demand)
                && kind.only == only
        };
        if let Some(at) = self.kinds.iter().position(same) {
            return self.kinds.remove(at);
        }
        if self.kinds.len() >= KINDS {
            self.kinds.remove(0);
        }
        let (board, owner, demand) = (self.given.board, &*claim.owner, &*claim.demand);
        let mut kind = Kind {
            asker: Asker::new(owner, demand),
            tier,
            only,
            present: Neighbours::new(board, owner, demand, true),
            future: Neighbours::new(board, owner, demand, false),
            offers: BinaryHeap::new(),
            unseen: Some(NodeId(0)),
            versions: BTreeMap::new(),
            no_room: None,
        };
        let placed = self.decided.placed.iter().flat_map(|(host, claims)| {
            let host = board.host(*host);
            claims.iter().filter_map(move |claim| Some((*claim, host?)))
        });
        let placed: Vec<(&Claim, &Host)> = placed.collect();
        let nominees =
            expected(board, claim.uid, owner).filter(|(claim, _)| !self.decided.moved.contains(&claim.uid));
        for (claim, host) in nominees.chain(placed.iter().copied()) {
            kind.present.expect(claim, host, 1);
            kind.future.expect(claim, host, 1);
        }
        if !kind.future.is_nothing() {
            let leaving = self.decided.leaving.iter().filter_map(|uid| board.claim(*uid));
            for claim in leaving.filter(|claim| claim.ends.is_none()) {
                if let Some(host) = claim.node.and_then(|host| board.host(host)) {
                    kind.future.depart(claim, host, 1);
                }
            }
            for claim in board.claims().filter(|claim| is_overdue(claim, self.given.now)) {
                if let Some(host) = claim.node.and_then(|host| board.host(host)) {
                    kind.future.depart(claim, host, -1);
                }
            }
        }
        kind
    }

    /// Takes down what nodes cost at least, one after the other, up to one that costs nothing: none is better.
    fn look_further(&self, kind: &mut Kind<'b>) {
        let Some(first) = kind.unseen.take() else { return };
        let (mut offers, mut free) = (Vec::new(), None);
        let view = self.view(kind, kind.only);
        for (host, room) in self.given.board.hosts_from(first) {
            if let Some(price) = view.glance(host, room) {
                let version = kind.versions.get(&host.id).copied().unwrap_or(0);
                let costs_nothing = price == Price::Nothing;
                offers.push(Reverse(Offer { price, host: host.id, version }));
                if costs_nothing {
                    free = Some(host.id);
                    break;
                }
            }
        }
        kind.unseen = free.and_then(|NodeId(id)| id.checked_add(1)).map(NodeId);
        kind.offers.append(&mut offers.into());
    }

    fn view<'s>(&'s self, kind: &'s Kind<'b>, uid: Option<Uid>) -> View<'b, 's, B> {
        View {
            board: self.given.board,
            budgets: self.given.budgets,
            now: self.given.now,
            decided: &self.decided,
            asker: &kind.asker,
            tier: kind.tier,
            uid,
            present: &kind.present,
            future: &kind.future,
        }
    }

    /// The best that can be had.
    fn best(&self, kind: &mut Kind<'b>, ask: &Ask, claim: &Claim) -> Decision {
        let mut avoided = Vec::new();
        let found = self.next(kind, ask, &mut avoided);
        let mut rejected = Vec::new();
        let outcome = match found {
            None => {
                let (outcome, nearest) = self.no_room(kind, ask);
                rejected = nearest;
                outcome
            }
            Some((offer, found)) => {
                let outcome = match (&offer.price, found) {
                    (Price::Victims(cost), Found::Slot { victims, proven }) => {
                        let mut others = Vec::new();
                        while others.len() < Decision::MOST
                            && let Some((other, _)) = self.next(kind, ask, &mut avoided)
                        {
                            if let Price::Victims(cost) = &other.price {
                                rejected.push(Rejected { host: other.host, why: Why::Cost(cost.clone()) });
                            }
                            others.push(Reverse(other));
                        }
                        kind.offers.extend(others);
                        Outcome::Slot { host: offer.host, victims, cost: cost.clone(), proven }
                    }
                    (_, Found::Wait { leaving, until }) => Outcome::Wait { host: offer.host, leaving, until },
                    _ => Outcome::Fits { host: offer.host },
                };
                kind.offers.push(Reverse(offer));
                outcome
            }
        };
        kind.offers.extend(avoided.into_iter().map(Reverse));
        Decision { claim: claim.uid, outcome, rejected }
    }

    /// Takes the cheapest node off the offers, with what is there exactly.
    fn next(&self, kind: &mut Kind<'b>, ask: &Ask, avoided: &mut Vec<Offer>) -> Option<(Offer, Found)> {
        loop {
            let free = kind.offers.peek().is_some_and(|Reverse(offer)| offer.price == Price::Nothing);
            if !free {
                self.look_further(kind);
            }
            let Reverse(mut offer) = kind.offers.pop()?;
            if kind.versions.get(&offer.host).copied().unwrap_or(0) != offer.version {
                continue;
            }
            if ask.avoid.contains(&offer.host) {
                avoided.push(offer);
                continue;
            }
            let Some(room) = self.given.board.room(offer.host) else { continue };
            let Some(host) = room.host() else { continue };
            let Some((price, found)) = self.view(kind, kind.only).survey(host, room) else { continue };
            offer.price = price;
            match kind.offers.peek() {
                Some(Reverse(next)) if *next < offer => kind.offers.push(Reverse(offer)),
                _ => return Some((offer, found)),
            }
        }
    }

    /// Takes down that a Pod gets a node, and what that is to the others.
    fn give(&mut self, claim: &'b Claim, on: NodeId, victims: &[Victim]) {
        let Some(host) = self.given.board.host(on) else { return };
        self.epoch += 1;
        // It gives up the room that was kept for it before.
        let before = claim.nominated.filter(|_| self.decided.moved.insert(claim.uid));
        let before = before.and_then(|host| self.given.board.host(host));
        self.decided.placed.entry(on).or_default().push(claim);
        self.decided.leaving.extend(victims.iter().map(|victim| victim.uid));
        for group in victims.iter().filter_map(|victim| victim.group) {
            *self.decided.used_up.entry(group).or_default() += 1;
        }
        let mut kinds = std::mem::take(&mut self.kinds);
        for kind in &mut kinds {
            kind.present.expect(claim, host, 1);
            kind.future.expect(claim, host, 1);
            let mut elsewhere = before.is_some();
            if let Some(before) = before.filter(|_| kind.only != Some(claim.uid)) {
                kind.present.expect(claim, before, -1);
                kind.future.expect(claim, before, -1);
            }
            for victim in victims.iter().filter_map(|victim| self.given.board.claim(victim.uid)) {
                elsewhere |= kind.future.depart(victim, host, 1);
            }
            if elsewhere {
                kind.offers.clear();
                kind.unseen = Some(NodeId(0));
                continue;
            }
            let version = kind.versions.entry(on).or_default();
            *version += 1;
            let version = *version;
            if kind.unseen.is_some_and(|unseen| unseen <= on) {
                continue;
            }
            let Some(room) = self.given.board.room(on) else { continue };
            if let Some(price) = self.view(kind, kind.only).glance(host, room) {
                kind.offers.push(Reverse(Offer { price, host: on, version }));
            }
        }
        self.kinds = kinds;
    }

    /// Why there is no room, and the nodes that are nearest to having it.
    fn no_room(&self, kind: &mut Kind<'b>, ask: &Ask) -> (Outcome, Vec<Rejected>) {
        if ask.avoid.is_empty()
            && let Some((epoch, found)) = &kind.no_room
            && *epoch == self.epoch
        {
            return found.clone();
        }
        let found = self.look_for_reasons(kind, ask);
        if ask.avoid.is_empty() {
            kind.no_room = Some((self.epoch, found.clone()));
        }
        found
    }

    fn look_for_reasons(&self, kind: &Kind<'b>, ask: &Ask) -> (Outcome, Vec<Rejected>) {
        let view = self.view(kind, kind.only);
        let (mut tally, mut misses) = (Tally::default(), Vec::new());
        let (mut spared, mut kept) = (Vec::<(Spared, u32)>::new(), BTreeMap::<Arc<str>, u32>::new());
        for (host, room) in self.given.board.hosts().filter(|(host, _)| !ask.avoid.contains(&host.id)) {
            view.misses(host, room, &mut misses);
            tally.count(host.id, &misses);
            view.spared(host, room, &mut |why| add(&mut spared, why), &mut |why| {
                *kept.entry(why).or_default() += 1;
            });
        }
        spared.sort_by_key(|(why, count)| (Reverse(*count), *why));
        let mut kept: Vec<(Arc<str>, u32)> = kept.into_iter().collect();
        kept.sort_by_key(|(_, count)| Reverse(*count));
        kept.truncate(Decision::MOST);
        let rejected =
            tally.nearest().map(|near| Rejected { host: near.host, why: Why::Vetoes(near.vetoes) });
        let rejected = rejected.collect();
        (Outcome::NoRoom { vetoes: tally.vetoes(), spared, kept }, rejected)
    }
}

/// Counts a reason; of those with a time the earliest stands for all.
fn add(spared: &mut Vec<(Spared, u32)>, why: Spared) {
    let same =
        |(other, _): &&mut (Spared, u32)| std::mem::discriminant(other) == std::mem::discriminant(&why);
    match spared.iter_mut().find(same) {
        Some((other, count)) => {
            *other = why.min(*other);
            *count += 1;
        }
        None => spared.push((why, 1)),
    }
}
