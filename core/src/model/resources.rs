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

    /// So many times this.
    #[must_use]
    pub fn times(&self, count: u32) -> Self {
        let times = |amount: i64| amount.saturating_mul(count.into());
        let extended = self.extended.iter().map(|(name, amount)| (Arc::clone(name), times(*amount)));
        Self {
            cpu_milli: times(self.cpu_milli),
            memory: times(self.memory),
            ephemeral: times(self.ephemeral),
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
}
