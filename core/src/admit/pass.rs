//! One pass of preemption: what is to be done now about all Pods that wait for a place.
//!
//! Slots that stand come first: each is seen as it is and `slots` says what becomes of it. Then those Pods are looked
//! for that have waited long enough, by `search`, and each that needs victims gets a slot: a note on the Pod. Victims
//! are ended only in a later pass, when the note is seen to stand, so that a new leader goes on where the last one
//! stopped and nobody is ended for a slot that nobody knows of. Writes nothing, and remembers only what `Memory`
//! says. Called by the cluster's loop and by the simulation.

mod ahead;
mod keep;
mod look;
mod seek;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use self::{ahead::Ahead, keep::keep, seek::seek};
use super::{
    Board, Budgets, Decision, Group, Rule,
    memory::Memory,
    slots::{Bounds, Mode, WaitsFor},
};
use crate::model::{Claim, Held, NodeId, Preemption, Slot, SlotFailure, Uid};

/// What a pass is given.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a, B> {
    /// The nodes and Pods.
    pub board: &'a Board,
    /// Who may be disrupted.
    pub budgets: &'a B,
    /// What slots keep to.
    pub bounds: &'a Bounds,
    /// Whether room is made at all.
    pub mode: Mode,
    /// Nothing voluntary is done.
    pub frozen: bool,
    /// Pods whose notes can't be written just now: none is asked for, and they take nobody's turn. Slots that stand go on.
    pub apart: &'a BTreeSet<Uid>,
    /// How many victims a role may have a minute, where it is not the usual number.
    pub victims_per_minute: &'a BTreeMap<Arc<str>, u32>,
    /// The usual number.
    pub usual_victims_per_minute: u32,
    /// How much is done in one pass at the most; the rest follows in the next.
    pub portion: usize,
    /// The time it is.
    pub now: Timestamp,
}

/// What a pass wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Give the slot of a Pod up: write this note, and take the nomination away.
    Withdraw {
        /// The Pod.
        claim: Uid,
        /// Its note from now on.
        slot: Slot,
        /// The node's name.
        node: Arc<str>,
        /// Why.
        why: SlotFailure,
    },
    /// Keep room for a Pod, again or from now on: write this note and the nomination.
    Keep {
        /// The Pod.
        claim: Uid,
        /// Its note from now on.
        slot: Slot,
        /// The node's name.
        node: Arc<str>,
    },
    /// End a Pod.
    End {
        /// The Pod.
        victim: Uid,
        /// For whom.
        claim: Uid,
        /// The node's name.
        node: Arc<str>,
        /// By which part of the rule.
        rule: Rule,
        /// A disruption budget has its say.
        budget: bool,
    },
}

/// What is the matter with a Pod that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its tier lets it wait for a while before room is made.
    Early(Timestamp),
    /// A slot came to nothing; the next is looked for then.
    Backoff {
        /// When.
        until: Timestamp,
        /// Where the slot was.
        node: Arc<str>,
        /// What became of it.
        why: SlotFailure,
    },
    /// Room is kept for it.
    Kept {
        /// The node.
        node: Arc<str>,
        /// What that waits for.
        waits: WaitsFor,
        /// Who has not left yet.
        victims: Vec<Uid>,
    },
    /// This was found, and nobody had to go, or nobody goes for it.
    Found(Decision),
    /// These would go, and do not: it is a dry run.
    Would(Decision),
    /// Another waits that ranks higher and would take the room: that one comes first.
    Behind(Uid),
    /// Its role has had as many victims in the last minute as it may.
    Limited(Timestamp),
    /// The cluster is frozen.
    Frozen,
    /// Its note could not be written a moment ago, or nobody knows whether it was.
    Unwritten,
}

/// Something that a person may want to know of afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This was found for a Pod.
    Decided(Decision),
    /// This would be done for a Pod, were it no dry run.
    Would(Decision),
    /// A slot was given up.
    Withdrawn {
        /// Whose.
        claim: Uid,
        /// Where.
        node: Arc<str>,
        /// Why.
        why: SlotFailure,
    },
    /// A Pod that room was kept for has a node.
    Placed {
        /// The Pod.
        claim: Uid,
        /// Where room was kept.
        node: Arc<str>,
        /// It is that node.
        here: bool,
        /// How many had gone for it in vain.
        in_vain: u32,
    },
}

/// What a pass has decided.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// What is to be done.
    pub actions: Vec<Action>,
    /// What is the matter with each Pod that waits.
    pub verdicts: BTreeMap<Uid, Verdict>,
    /// What is worth telling.
    pub told: Vec<Told>,
    /// How many searches were made.
    pub searched: u32,
    /// How long after the end of its tier's delay each Pod got its first slot.
    pub latencies: Vec<SignedDuration>,
    /// Something was left to the next pass, which may follow at once.
    pub rest: bool,
    /// When to look again, if nothing happens before.
    pub next_check: Option<Timestamp>,
}

impl Decisions {
    fn by(&mut self, at: Timestamp) {
        self.next_check = Some(self.next_check.map_or(at, |next| next.min(at)));
    }
}

/// Decides what is to be done now.
pub fn decide<B: Budgets>(given: &Situation<'_, B>, memory: &mut Memory) -> Decisions {
    let mut all = Decisions::default();
    let waiting = || given.board.unbound().filter(|claim| claim.ends.is_none());
    memory.refresh(waiting(), given.now);
    conclude(given, memory, &mut all);
    let victims = waiting().filter_map(held).flat_map(|held| &held.victims).copied();
    let doomed: BTreeSet<Uid> = victims.filter(|uid| is_standing(given.board, *uid)).collect();
    let ahead = Ahead::new(given);
    let mut slots = Slots::default();
    let mut free = Vec::new();
    for claim in waiting() {
        match held(claim) {
            Some(held) => {
                memory.standing.insert(claim.uid, held.clone());
                keep(given, memory, (&doomed, &ahead), claim, held, &mut slots, &mut all);
            }
            None => free.extend(claim.unschedulable.map(|since| (claim, since))),
        }
    }
    all.actions.sort_by_key(|action| match action {
        Action::Withdraw { .. } => 0_u8,
        Action::End { .. } => 1,
        Action::Keep { .. } => 2,
    });
    if all.actions.len() > given.portion {
        all.actions.truncate(given.portion);
        all.rest = true;
    }
    let withdrawn = all.actions.iter().filter_map(|action| match action {
        Action::Withdraw { claim, node, why, .. } => {
            Some(Told::Withdrawn { claim: *claim, node: Arc::clone(node), why: *why })
        }
        Action::Keep { .. } | Action::End { .. } => None,
    });
    all.told.extend(withdrawn);
    seek(given, memory, (&slots, &ahead), free, &mut all);
    all
}

/// The slots that stand and go on standing.
#[derive(Debug, Default)]
struct Slots {
    /// Victims that have not been told to end.
    leaving: BTreeSet<Uid>,
    /// Those of them without whom there is no room, with the rank of whom they go for: each slot goes by the ones before
    /// it. Would each count on those of all others, nobody might ever go.
    going: BTreeMap<Uid, i32>,
    /// What those will use up of allowances.
    pledged: BTreeMap<Group, u32>,
    /// Nodes of which a slot was given up since others have the room.
    taken_from: BTreeSet<NodeId>,
}

fn held(claim: &Claim) -> Option<&Held> {
    claim.slot.as_ref()?.held.as_ref()
}

fn is_standing(board: &Board, uid: Uid) -> bool {
    board.claim(uid).is_some_and(|victim| victim.ends.is_none() && victim.node.is_some())
}

/// Tells of the slots whose Pod has got a node since, and forgets those whose Pod is gone.
fn conclude<B>(given: &Situation<'_, B>, memory: &mut Memory, all: &mut Decisions) {
    memory.standing.retain(|uid, held| {
        let Some(claim) = given.board.claim(*uid).filter(|claim| claim.ends.is_none()) else { return false };
        let Some(node) = claim.node else { return self::held(claim).is_some() };
        let here = given.board.host(node).is_some_and(|host| host.name == held.node);
        let gone = held.victims.iter().filter(|victim| !is_standing(given.board, **victim)).count();
        let in_vain = if here { 0 } else { u32::try_from(gone).unwrap_or(u32::MAX) };
        all.told.push(Told::Placed { claim: *uid, node: Arc::clone(&held.node), here, in_vain });
        false
    });
}

/// Whether room is made for this Pod: its tier may be on trial.
fn mode<B>(given: &Situation<'_, B>, claim: &Claim) -> Mode {
    let is_on_trial = claim.owner.tier.as_ref().is_some_and(|tier| tier.preemption == Preemption::DryRun);
    if given.mode == Mode::On && is_on_trial { Mode::DryRun } else { given.mode }
}

/// How many victims the Pod's role may have in a minute.
fn most<B>(given: &Situation<'_, B>, claim: &Claim) -> u32 {
    let own = given.victims_per_minute.get(&claim.owner.role);
    own.copied().unwrap_or(given.usual_victims_per_minute)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
