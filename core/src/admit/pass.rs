//! One pass of preemption: what is to be done now about all Pods that wait for a place.
//!
//! Slots that stand come first: each is seen as it is and `slots` says what becomes of it. Then those Pods are looked
//! for that have waited long enough, by `search`, and each that needs victims gets a slot: a note on the Pod. Victims
//! are ended only in a later pass, when the note is seen to stand, so that a new leader goes on where the last one
//! stopped and nobody is ended for a slot that nobody knows of. Writes nothing, and remembers only what `Memory`
//! says. Called by the cluster's loop and by the simulation.

mod look;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use self::look::{Looked, look};
use super::{
    Ask, Board, Budgets, Decision, Given, Group, Outcome, Rule,
    memory::Memory,
    preemptor, search,
    slots::{self, Bounds, Mode, Room, Step, WaitsFor},
};
use crate::model::{Claim, Held, NodeId, Slot, SlotFailure, Uid};

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
    /// Its role has had as many victims in the last minute as it may.
    Limited(Timestamp),
    /// The cluster is frozen.
    Frozen,
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
    let mut slots = Slots::default();
    let mut free = Vec::new();
    for claim in waiting() {
        match held(claim) {
            Some(held) => {
                memory.standing.insert(claim.uid, held.clone());
                keep(given, memory, &doomed, claim, held, &mut slots, &mut all);
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
    seek(given, memory, &slots, free, &mut all);
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

/// Sees to a slot that stands. `doomed` are the victims of all slots that have not been told to end.
fn keep<B: Budgets>(
    given: &Situation<'_, B>,
    memory: &Memory,
    doomed: &BTreeSet<Uid>,
    claim: &Claim,
    held: &Held,
    slots: &mut Slots,
    all: &mut Decisions,
) {
    let Looked { seen, host, rules } = look(given, memory, (doomed, &slots.going), claim, held);
    let node = || Arc::clone(&held.node);
    let slot = claim.slot.as_deref().cloned().unwrap_or_default();
    let kept = |waits| {
        let victims = held.victims.iter().copied().filter(|uid| given.board.claim(*uid).is_some());
        Verdict::Kept { node: node(), waits, victims: victims.collect() }
    };
    let verdict = match slots::step(held, &seen, given.bounds, given.now) {
        Step::Over => return,
        // Of several that share what somebody else has taken, one gives way at a time: that may be enough.
        Step::Withdraw(SlotFailure::Taken) if host.is_some_and(|host| !slots.taken_from.insert(host)) => {
            all.rest = true;
            kept(WaitsFor::Scheduler)
        }
        Step::Withdraw(why) => {
            let slot = slots::withdrawn(&slot, why, given.bounds, given.now);
            let until = slot.failed.as_ref().map_or(given.now, |failed| failed.until);
            all.by(until);
            all.verdicts.insert(claim.uid, Verdict::Backoff { until, node: node(), why });
            all.actions.push(Action::Withdraw { claim: claim.uid, slot, node: node(), why });
            return;
        }
        Step::Assert => {
            let slot = slots::asserted(&slot);
            all.actions.push(Action::Keep { claim: claim.uid, slot, node: node() });
            kept(WaitsFor::Victims)
        }
        Step::End(victims) => {
            let untold = victims.iter().filter(|victim| !memory.was_ended(**victim));
            let known = untold.filter_map(|victim| Some((*victim, *rules.get(victim)?)));
            all.actions.extend(known.map(|(victim, (rule, group))| Action::End {
                victim,
                claim: claim.uid,
                node: node(),
                rule,
                budget: group.is_some(),
            }));
            kept(WaitsFor::Victims)
        }
        Step::Wait(WaitsFor::Frozen, _) => Verdict::Frozen,
        Step::Wait(waits, until) => {
            all.by(until);
            kept(waits)
        }
    };
    all.verdicts.insert(claim.uid, verdict);
    slots.leaving.extend(seen.standing.iter().map(|(uid, _)| *uid));
    if seen.room == Room::WhenAllLeft {
        let rank = claim.owner.rank;
        slots.going.extend(seen.standing.iter().map(|(uid, _)| (*uid, rank)));
    }
    for group in rules.values().filter_map(|(_, group)| *group) {
        *slots.pledged.entry(group).or_default() += 1;
    }
}

/// Looks for room for those who have none kept and have waited long enough.
fn seek<B: Budgets>(
    given: &Situation<'_, B>,
    memory: &mut Memory,
    slots: &Slots,
    free: Vec<(&Claim, Timestamp)>,
    all: &mut Decisions,
) {
    if given.mode == Mode::Off {
        return;
    }
    let mut due = Vec::new();
    for (claim, since) in free {
        // Whom nobody makes room for is still told why it fits nowhere.
        let delay = preemptor(&claim.owner).map_or(0, |tier| tier.preemption_delay_seconds);
        let ripe = later(since, SignedDuration::from_secs(delay.into()));
        let failed = claim.slot.as_ref().and_then(|slot| slot.failed.as_ref());
        if ripe > given.now {
            all.by(ripe);
            all.verdicts.insert(claim.uid, Verdict::Early(ripe));
        } else if let Some(failed) = failed.filter(|failed| failed.until > given.now) {
            all.by(failed.until);
            let (until, node, why) = (failed.until, Arc::clone(&failed.node), failed.why);
            all.verdicts.insert(claim.uid, Verdict::Backoff { until, node, why });
        } else if given.frozen {
            all.verdicts.insert(claim.uid, Verdict::Frozen);
        } else if let Some(next) = memory.searched(claim.uid, given.now) {
            all.by(next);
        } else if let Err(until) = memory.may_spend(&claim.owner.role, most(given, claim), 1, given.now) {
            all.by(until);
            all.verdicts.insert(claim.uid, Verdict::Limited(until));
        } else {
            due.push((claim, ripe));
        }
    }
    // The search goes by the same order; here it says who is left to the next pass.
    due.sort_by_key(|(claim, ripe)| (Reverse(claim.owner.rank), *ripe, claim.uid));
    let portion = given.portion.saturating_sub(all.actions.len());
    all.rest |= due.len() > portion;
    due.truncate(portion);
    if due.is_empty() {
        return;
    }
    let asks: Vec<Ask> = due.iter().map(|(claim, _)| ask(given.board, memory, claim)).collect();
    let budgets = Left { budgets: given.budgets, memory: &*memory, pledged: &slots.pledged };
    let given_to_search =
        Given { board: given.board, budgets: &budgets, leaving: &slots.leaving, now: given.now };
    let decisions = search(&given_to_search, &asks);
    all.searched = u32::try_from(decisions.len()).unwrap_or(u32::MAX);
    let due: BTreeMap<Uid, (&Claim, Timestamp)> =
        due.into_iter().map(|(claim, ripe)| (claim.uid, (claim, ripe))).collect();
    for decision in decisions {
        if let Some((claim, ripe)) = due.get(&decision.claim) {
            take(given, memory, claim, *ripe, decision, all);
        }
    }
}

/// Acts on what was found for one Pod.
fn take<B: Budgets>(
    given: &Situation<'_, B>,
    memory: &mut Memory,
    claim: &Claim,
    ripe: Timestamp,
    decision: Decision,
    all: &mut Decisions,
) {
    let slot = match &decision.outcome {
        Outcome::Slot { host, victims, .. } => given.board.host(*host).map(|host| (host, victims)),
        _ => None,
    };
    let Some((host, victims)) = slot else {
        let next = memory.in_vain(claim.uid, given.now);
        all.by(next);
        // Whom nobody here makes room for is no decision.
        if !matches!(decision.outcome, Outcome::NotOurs(_)) {
            all.told.push(Told::Decided(decision.clone()));
        }
        all.verdicts.insert(claim.uid, Verdict::Found(decision));
        return;
    };
    if given.mode == Mode::DryRun {
        let next = memory.in_vain(claim.uid, given.now);
        all.by(next);
        all.told.push(Told::Would(decision.clone()));
        all.verdicts.insert(claim.uid, Verdict::Would(decision));
        return;
    }
    let role = &claim.owner.role;
    if let Err(until) = memory.may_spend(role, most(given, claim), victims.len(), given.now) {
        all.by(until);
        all.verdicts.insert(claim.uid, Verdict::Limited(until));
        return;
    }
    memory.spend(role, victims.len(), given.now);
    memory.found(claim.uid);
    let node = Arc::clone(&host.name);
    let victims: Vec<Uid> = victims.iter().map(|victim| victim.uid).collect();
    let held = Held { node: Arc::clone(&node), since: given.now, victims: victims.clone(), asserted: 0 };
    memory.standing.insert(claim.uid, held.clone());
    let before = claim.slot.as_deref();
    if before.is_none_or(|slot| slot.tries == 0) {
        all.latencies.push(given.now.duration_since(ripe));
    }
    all.actions.push(Action::Keep {
        claim: claim.uid,
        slot: slots::begin(before, held),
        node: Arc::clone(&node),
    });
    all.verdicts.insert(claim.uid, Verdict::Kept { node, waits: WaitsFor::Victims, victims });
    all.told.push(Told::Decided(decision));
}

/// What is asked for a Pod: any node but the one that did not work out last. That one, too, where no other was found:
/// it may be the only one that will do.
fn ask(board: &Board, memory: &Memory, claim: &Claim) -> Ask {
    let failed = claim.slot.as_ref().and_then(|slot| slot.failed.as_ref());
    let failed = failed.filter(|_| !memory.was_in_vain(claim.uid));
    let avoid = failed.and_then(|failed| look::host_named(board, &failed.node));
    Ask { claim: claim.uid, avoid: avoid.into_iter().collect() }
}

fn most<B>(given: &Situation<'_, B>, claim: &Claim) -> u32 {
    let own = given.victims_per_minute.get(&claim.owner.role);
    own.copied().unwrap_or(given.usual_victims_per_minute)
}

/// What is left of the budgets, and those Pods besides that could not be ended a moment ago.
struct Left<'a, B> {
    budgets: &'a B,
    memory: &'a Memory,
    pledged: &'a BTreeMap<Group, u32>,
}

impl<B: Budgets> Budgets for Left<'_, B> {
    fn group(&self, claim: &Claim) -> Result<Option<Group>, Arc<str>> {
        match self.memory.refusal(claim.uid) {
            Some((_, why)) => Err(Arc::clone(why)),
            None => self.budgets.group(claim),
        }
    }

    fn allowance(&self, group: Group) -> u32 {
        self.budgets.allowance(group).saturating_sub(self.pledged.get(&group).copied().unwrap_or(0))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
