//! What preemption remembers between passes. All of it may be lost: a new leader begins without, and is no less right.
//!
//! It holds how many victims each role had in the last minute, which Pods could not be ended, when a Pod was last
//! looked for in vain, and which slots stood, so that their end is told once. It decides nothing. Kept by whoever
//! calls `pass`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::slots::May;
use crate::model::{Claim, Held, Uid};

/// Over which time victims are counted.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
/// How long a Pod that could not be ended is left alone.
const REFUSED: SignedDuration = SignedDuration::from_secs(60);
/// How long after a Pod was told to end nobody tells it again.
const TOLD: SignedDuration = SignedDuration::from_secs(5);
/// How long after a search in vain the next follows; doubles up to the longest.
const PENALTY: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause between searches for a Pod.
const LONGEST_PENALTY: SignedDuration = SignedDuration::from_secs(10);

/// What is remembered.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    spent: BTreeMap<Arc<str>, VecDeque<(Timestamp, u32)>>,
    refused: BTreeMap<Uid, Refusal>,
    /// Who was told to end, and until when that is not said again.
    ended: BTreeMap<Uid, Timestamp>,
    searched: BTreeMap<Uid, Searched>,
    /// The slots that stood when last looked at.
    pub(super) standing: BTreeMap<Uid, Held>,
    is_seeded: bool,
}

/// A Pod that could not be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    until: Timestamp,
    may: May,
    why: Arc<str>,
}

/// A search in vain.
#[derive(Debug, Clone, Copy)]
struct Searched {
    next: Timestamp,
    pause: SignedDuration,
}

impl Memory {
    /// A Pod was to be ended, and the API server does not let it: for now, or, unless it is a budget's doing, at all.
    pub fn refuse(&mut self, victim: Uid, is_budget: bool, why: &str, now: Timestamp) {
        let may = if is_budget { May::NotNow } else { May::Never };
        self.refused.insert(victim, Refusal { until: later(now, REFUSED), may, why: why.into() });
    }

    /// A Pod was told to end. The board may not show it yet.
    pub fn ended(&mut self, victim: Uid, now: Timestamp) {
        self.ended.insert(victim, later(now, TOLD));
    }

    /// Whether a Pod was told to end a moment ago.
    pub(super) fn was_ended(&self, victim: Uid) -> bool {
        self.ended.contains_key(&victim)
    }

    /// Room could not be kept for a Pod: it is left alone for a while.
    pub fn put_off(&mut self, claim: Uid, now: Timestamp) {
        self.in_vain(claim, now);
    }

    /// Drops what is over. Of a new memory, counts the victims of slots that stand.
    pub(super) fn refresh<'a>(&mut self, waiting: impl Iterator<Item = &'a Claim>, now: Timestamp) {
        if !self.is_seeded {
            self.is_seeded = true;
            for claim in waiting {
                if let Some(held) = claim.slot.as_ref().and_then(|slot| slot.held.as_ref()) {
                    self.spend_at(&claim.owner.role, held.victims.len(), held.since);
                }
            }
        }
        let is_recent = |at: Timestamp| later(at, MINUTE) > now;
        for spent in self.spent.values_mut() {
            spent.retain(|(at, _)| is_recent(*at));
        }
        self.spent.retain(|_, spent| !spent.is_empty());
        self.refused.retain(|_, refusal| refusal.until > now);
        self.ended.retain(|_, until| *until > now);
        // One that is due for a minute and was not asked for is there no more.
        self.searched.retain(|_, searched| is_recent(searched.next));
    }

    /// Whether this role may have so many more victims now; otherwise when it is to be asked again.
    pub(super) fn may_spend(
        &self,
        role: &str,
        most: u32,
        victims: usize,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let Some(spent) = self.spent.get(role) else {
            // A set that is greater than the bound would never have its turn.
            return if most > 0 { Ok(()) } else { Err(later(now, MINUTE)) };
        };
        let sum: u64 = spent.iter().map(|(_, count)| u64::from(*count)).sum();
        if sum.saturating_add(victims as u64) <= most.into() {
            return Ok(());
        }
        Err(spent.front().map_or(later(now, MINUTE), |(at, _)| later(*at, MINUTE)))
    }

    /// So many Pods end for this role.
    pub(super) fn spend(&mut self, role: &Arc<str>, victims: usize, now: Timestamp) {
        self.spend_at(role, victims, now);
    }

    /// So many of those who were to end for this role by what was decided at this time do not: it was not written.
    pub fn refund(&mut self, role: &str, victims: usize, decided: Timestamp) {
        let Some(spent) = self.spent.get_mut(role) else { return };
        let mut left = u32::try_from(victims).unwrap_or(u32::MAX);
        // Of one pass there may be several, which are written in any order.
        for (_, count) in spent.iter_mut().filter(|(at, _)| *at == decided) {
            let back = left.min(*count);
            (*count, left) = (*count - back, left - back);
        }
        spent.retain(|(_, count)| *count > 0);
    }

    fn spend_at(&mut self, role: &Arc<str>, victims: usize, at: Timestamp) {
        let victims = u32::try_from(victims).unwrap_or(u32::MAX);
        self.spent.entry(Arc::clone(role)).or_default().push_back((at, victims));
    }

    /// Whether the API server lets a Pod be ended, as far as is known, and its words if not.
    pub(super) fn refusal(&self, victim: Uid) -> Option<(May, &Arc<str>)> {
        self.refused.get(&victim).map(|refusal| (refusal.may, &refusal.why))
    }

    /// When a Pod is to be looked for again, if not now.
    pub(super) fn searched(&self, claim: Uid, now: Timestamp) -> Option<Timestamp> {
        self.searched.get(&claim).map(|searched| searched.next).filter(|next| *next > now)
    }

    /// Whether a Pod was looked for in vain since it last had a slot.
    pub(super) fn was_in_vain(&self, claim: Uid) -> bool {
        self.searched.contains_key(&claim)
    }

    /// A search was in vain; says when the next is due.
    pub(super) fn in_vain(&mut self, claim: Uid, now: Timestamp) -> Timestamp {
        let searched = self.searched.entry(claim).or_insert(Searched { next: now, pause: PENALTY });
        searched.next = later(now, searched.pause);
        searched.pause = searched.pause.saturating_mul(2).min(LONGEST_PENALTY);
        searched.next
    }

    /// A search was not in vain.
    pub(super) fn found(&mut self, claim: Uid) {
        self.searched.remove(&claim);
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn a_role_has_so_many_victims_a_minute() {
        let (mut memory, role): (_, Arc<str>) = (Memory::default(), "a".into());
        assert_eq!(memory.may_spend("a", 3, 7, at(0)), Ok(()), "more than the bound, but nothing else");
        assert_eq!(memory.may_spend("a", 0, 1, at(0)), Err(at(60)));
        memory.spend(&role, 2, at(0));
        memory.spend(&role, 1, at(30));
        assert_eq!(memory.may_spend("a", 3, 1, at(59)), Err(at(60)));
        assert_eq!(memory.may_spend("a", 4, 1, at(59)), Ok(()));
        assert_eq!(memory.may_spend("b", 1, 1, at(59)), Ok(()), "another role");
        memory.refresh(std::iter::empty(), at(60));
        assert_eq!(memory.may_spend("a", 3, 2, at(60)), Ok(()));
        assert_eq!(memory.may_spend("a", 3, 3, at(60)), Err(at(90)));
        memory.refresh(std::iter::empty(), at(90));
        assert!(memory.spent.is_empty());
    }

    #[test]
    fn what_is_not_written_is_given_back() {
        let (mut memory, role): (_, Arc<str>) = (Memory::default(), "a".into());
        memory.spend(&role, 2, at(0));
        memory.spend(&role, 2, at(30));
        memory.refund("b", 2, at(30));
        memory.refund("a", 2, at(29));
        assert_eq!(memory.may_spend("a", 4, 1, at(30)), Err(at(60)), "nothing of that was decided then");
        memory.refund("a", 2, at(30));
        assert_eq!(memory.may_spend("a", 4, 2, at(30)), Ok(()));
        assert_eq!(memory.may_spend("a", 4, 3, at(30)), Err(at(60)));
        // Of one pass, in whatever order.
        memory.spend(&role, 1, at(30));
        memory.spend(&role, 1, at(30));
        memory.refund("a", 2, at(30));
        assert_eq!(memory.may_spend("a", 4, 2, at(30)), Ok(()));
    }

    #[test]
    fn searches_in_vain_become_rarer() {
        let mut memory = Memory::default();
        let (claim, mut now, mut pauses) = (Uid::new(1), at(0), Vec::new());
        for _ in 0..6 {
            let next = memory.in_vain(claim, now);
            assert_eq!(memory.searched(claim, now), Some(next));
            pauses.push(next.duration_since(now).as_secs());
            now = next;
            assert_eq!(memory.searched(claim, now), None, "it is due");
        }
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        memory.found(claim);
        assert_eq!(memory.in_vain(claim, now), later(now, PENALTY));
        memory.refresh(std::iter::empty(), at(1_000));
        assert!(memory.searched.is_empty(), "it is there no more");
    }

    #[test]
    fn a_refusal_holds_for_a_while() {
        let mut memory = Memory::default();
        memory.refuse(Uid::new(1), true, "used up", at(0));
        memory.refuse(Uid::new(2), false, "a policy", at(0));
        assert_eq!(memory.refusal(Uid::new(1)), Some((May::NotNow, &"used up".into())));
        assert_eq!(memory.refusal(Uid::new(2)), Some((May::Never, &"a policy".into())));
        memory.refresh(std::iter::empty(), at(60));
        assert_eq!(memory.refusal(Uid::new(1)), None);
    }
}
