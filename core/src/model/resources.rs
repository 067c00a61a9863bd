//! Amounts of resources, as what a Pod asks for, a node has, or a role may use.

use std::{collections::BTreeMap, sync::Arc};

/// Amounts by resource. A resource that is not named is 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Resources {
    /// CPU, in thousandths of one.
    pub cpu_milli: i64,
    /// Memory, in bytes.
    pub memory: i64,
    /// Ephemeral storage, in bytes.
    pub ephemeral: i64,
    /// Any other resource by its full name (`nvidia.com/gpu`), in units; none of them 0.
    pub extended: BTreeMap<Arc<str>, i64>,
}

impl Resources {
    /// Nothing of anything.
    pub const NONE: Self = Self { cpu_milli: 0, memory: 0, ephemeral: 0, extended: BTreeMap::new() };

    /// The most of one resource that counts of one Pod (as much as 1 PiB), far beyond any node and any quota: so that the
    /// sum of many is exact, and one Pod that asks for absurdly much is gone from it without a trace.
    pub const MOST_OF_A_POD: i64 = 1 << 50;
    /// The same of all instances of a job together.
    pub const MOST_OF_A_JOB: i64 = 1 << 56;

    /// Whether it is nothing of anything.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// So many units of an extended resource.
    pub fn extended(&self, name: &str) -> i64 {
        self.extended.get(name).copied().unwrap_or(0)
    }

    /// Whether each amount is at most the other's.
    pub fn fits(&self, room: &Self) -> bool {
        self.cpu_milli <= room.cpu_milli
            && self.memory <= room.memory
            && self.ephemeral <= room.ephemeral
            && self.extended.iter().all(|(name, amount)| *amount <= room.extended(name))
    }

    /// So much more.
    pub fn add(&mut self, other: &Self) {
        self.apply(other, i64::saturating_add);
    }

    /// So much less; amounts may go below 0.
    pub fn subtract(&mut self, other: &Self) {
        self.apply(other, i64::saturating_sub);
    }

    /// The greater of each amount.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        let mut max = self.clone();
        max.apply(other, i64::max);
        max.extended.retain(|_, amount| *amount != 0);
        max
    }

    /// So many times this, and no more of anything than counts of a job.
    #[must_use]
    pub fn times(&self, count: u32) -> Self {
        self.each(|amount| amount.saturating_mul(count.into()).min(Self::MOST_OF_A_JOB))
    }

    /// No more of anything than counts of a Pod.
    #[must_use]
    pub fn of_one_pod(&self) -> Self {
        self.each(|amount| amount.min(Self::MOST_OF_A_POD))
    }

    fn each(&self, to: impl Fn(i64) -> i64) -> Self {
        let extended = self.extended.iter().map(|(name, amount)| (Arc::clone(name), to(*amount)));
        Self {
            cpu_milli: to(self.cpu_milli),
            memory: to(self.memory),
            ephemeral: to(self.ephemeral),
            extended: extended.filter(|(_, amount)| *amount != 0).collect(),
        }
    }

    fn apply(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.cpu_milli = with(self.cpu_milli, other.cpu_milli);
        self.memory = with(self.memory, other.memory);
        self.ephemeral = with(self.ephemeral, other.ephemeral);
        for (name, amount) in &other.extended {
            let own = self.extended.entry(Arc::clone(name)).or_insert(0);
            *own = with(*own, *amount);
            if *own == 0 {
                self.extended.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cpu_milli: i64, memory: i64, gpus: i64) -> Resources {
        let gpus = Some(("nvidia.com/gpu".into(), gpus)).filter(|(_, gpus)| *gpus != 0);
        Resources { cpu_milli, memory, ephemeral: 0, extended: gpus.into_iter().collect() }
    }

    #[test]
    fn what_was_added_and_taken_away_leaves_no_trace() {
        let mut sum = of(100, 5, 0);
        sum.add(&of(900, 1, 2));
        assert_eq!(sum, of(1_000, 6, 2));
        sum.subtract(&of(900, 1, 2));
        assert_eq!(sum, of(100, 5, 0));
        sum.subtract(&of(0, 0, 1));
        assert_eq!(sum, of(100, 5, -1), "it may be owed");
    }

    #[test]
    fn each_amount_has_to_fit() {
        let room = of(1_000, 6, 1);
        assert!(room.fits(&room) && Resources::NONE.fits(&room));
        for more in [of(1_001, 6, 1), of(1_000, 7, 1), of(1_000, 6, 2)] {
            assert!(!more.fits(&room), "{more:?}");
        }
        assert!(!of(0, 0, 1).fits(&of(1_000, 6, 0)), "what is not named is 0");
        assert_eq!(of(1, 7, 0).max(&of(3, 2, 1)), of(3, 7, 1));
        assert_eq!(of(1, 7, 2).times(3), of(3, 21, 6));
        assert!(of(1, 7, 2).times(0).is_none());
    }

    #[test]
    fn one_who_asks_for_absurdly_much_leaves_no_trace_in_a_sum() {
        let others = of(700, 5 << 30, 3);
        let absurd = of(i64::MAX, i64::MAX, i64::MAX).of_one_pod();
        let mut sum = others.clone();
        for much in [&absurd, &absurd.times(u32::MAX)] {
            (0..100).for_each(|_| sum.add(much));
            (0..100).for_each(|_| sum.subtract(much));
            assert_eq!(sum, others);
        }
    }
}
