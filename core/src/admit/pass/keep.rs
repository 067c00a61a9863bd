//! Sees to a slot that stands: what `slots` says is to be done about it, and what the other slots are told of it.
//!
//! Called by `pass`, for one slot after the other.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Action, Decisions, Situation, Slots, Verdict,
    ahead::Ahead,
    later,
    look::{Looked, look},
};
use crate::{
    admit::{
        Budgets,
        memory::Memory,
        slots::{self, Room, Step, WaitsFor},
    },
    model::{Claim, Held, SlotFailure, Uid},
};

/// Sees to a slot that stands. `doomed` are the victims of all slots that have not been told to end, `ahead` those who
/// might take the room before its Pod.
pub(super) fn keep<B: Budgets>(
    given: &Situation<'_, B>,
    memory: &Memory,
    (doomed, ahead): (&BTreeSet<Uid>, &Ahead<'_>),
    claim: &Claim,
    held: &Held,
    slots: &mut Slots,
    all: &mut Decisions,
) {
    let Looked { seen, host, rules } = look(given, memory, (doomed, slots), claim, held);
    let node = || Arc::clone(&held.node);
    let slot = claim.slot.as_deref().cloned().unwrap_or_default();
    let kept = |waits| {
        let victims = held.victims.iter().copied().filter(|uid| given.board.claim(*uid).is_some());
        Verdict::Kept { node: node(), waits, victims: victims.collect() }
    };
    let verdict = match slots::step(held, &seen, given.bounds, given.now) {
        Step::Over => return,
        // What stands goes on, and is counted; only its note stays as it is.
        Step::Withdraw(_) | Step::Assert if given.apart.contains(&claim.uid) => Verdict::Unwritten,
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
        Step::End(victims) => match host.and_then(|host| ahead.taker(claim, host, doomed)) {
            Some((_, again)) => {
                all.by(later(held.since, given.bounds.hold));
                again.into_iter().for_each(|at| all.by(at));
                kept(WaitsFor::Ahead)
            }
            None => {
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
        },
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
