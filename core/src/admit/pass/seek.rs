//! Looks for room for those who have none kept and have waited long enough, and gives slots to those who need victims.
//!
//! Called by `pass` when all slots that stand have been seen to.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::{Action, Decisions, Situation, Slots, Told, Verdict, ahead::Ahead, later, look, mode, most};
use crate::{
    admit::{
        Ask, Board, Budgets, Decision, Given, Group, Outcome,
        memory::Memory,
        preemptor, search,
        slots::{self, Mode, WaitsFor},
    },
    model::{Claim, Held, Uid},
};

/// Looks for room for those who have none kept and have waited long enough.
pub(super) fn seek<B: Budgets>(
    given: &Situation<'_, B>,
    memory: &mut Memory,
    (slots, ahead): (&Slots, &Ahead<'_>),
    free: Vec<(&Claim, Timestamp)>,
    all: &mut Decisions,
) {
    if given.mode == Mode::Off {
        return;
    }
    let mut due = Vec::new();
    for (claim, since) in free {
        let tier = match preemptor(&claim.owner) {
            Ok(tier) => tier,
            Err(why) => {
                let outcome = Outcome::NotOurs(why);
                let none = Decision { claim: claim.uid, outcome, rejected: Vec::new() };
                all.verdicts.insert(claim.uid, Verdict::Found(none));
                continue;
            }
        };
        let ripe = later(since, SignedDuration::from_secs(tier.preemption_delay_seconds.into()));
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
        } else if given.apart.contains(&claim.uid) {
            all.verdicts.insert(claim.uid, Verdict::Unwritten);
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
    // A dry run by itself: nobody waits for Pods to leave that do not.
    let (dry, real): (Vec<_>, Vec<_>) = due.iter().partition(|(claim, _)| mode(given, claim) == Mode::DryRun);
    let asks = |of: Vec<(&Claim, Timestamp)>| -> Vec<Ask> {
        of.iter().map(|(claim, _)| ask(given.board, memory, claim)).collect()
    };
    let (dry, real) = (asks(dry), asks(real));
    let budgets = Left { budgets: given.budgets, memory: &*memory, pledged: &slots.pledged };
    let given_to_search =
        Given { board: given.board, budgets: &budgets, leaving: &slots.leaving, now: given.now };
    let mut decisions = search(&given_to_search, &real);
    decisions.extend(search(&given_to_search, &dry));
    all.searched = u32::try_from(decisions.len()).unwrap_or(u32::MAX);
    let due: BTreeMap<Uid, (&Claim, Timestamp)> =
        due.into_iter().map(|(claim, ripe)| (claim.uid, (claim, ripe))).collect();
    let mut leaving = slots.leaving.clone();
    for decision in decisions {
        let Some((claim, ripe)) = due.get(&decision.claim) else { continue };
        let really = decision.slot().filter(|_| mode(given, claim) == Mode::On);
        let taker = really.and_then(|(host, victims)| {
            leaving.extend(victims.iter().map(|victim| victim.uid));
            ahead.taker(claim, host, &leaving)
        });
        if let Some((taker, _)) = taker {
            all.by(memory.in_vain(claim.uid, given.now));
            all.verdicts.insert(claim.uid, Verdict::Behind(taker));
        } else {
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
    let slot = decision.slot().and_then(|(host, victims)| Some((given.board.host(host)?, victims)));
    let Some((host, victims)) = slot else {
        let next = memory.in_vain(claim.uid, given.now);
        all.by(next);
        all.told.push(Told::Decided(decision.clone()));
        all.verdicts.insert(claim.uid, Verdict::Found(decision));
        return;
    };
    if mode(given, claim) == Mode::DryRun {
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
