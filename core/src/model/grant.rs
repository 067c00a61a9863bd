//! What a job was granted of its role's quota, and what of it is charged.
//!
//! A grant is made for the whole job when it is admitted, not for Pods as they come and go: `admit::ledger` decides
//! about it, the job's status records it.

use jiff::Timestamp;

use super::{Resources, Revision};

/// So many instances of one config.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Share {
    /// The config.
    pub revision: Revision,
    /// How many instances.
    pub instances: u32,
    /// What each of them asks for.
    pub each: Resources,
}

impl Share {
    /// What all of them ask for.
    pub fn total(&self) -> Resources {
        self.each.times(self.instances)
    }
}

/// What a job was granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Counts the grants of the job from 1.
    pub number: u32,
    /// What it may bring about.
    pub share: Share,
    /// What may run until that is brought about, and would run again if it is taken back.
    pub previous: Option<Share>,
    /// When it was granted.
    pub time: Timestamp,
}

impl Grant {
    /// What is charged: of each resource the greater of what runs and what is to run.
    pub fn charge(&self) -> Resources {
        let total = self.share.total();
        self.previous.as_ref().map_or_else(|| total.clone(), |previous| total.max(&previous.total()))
    }

    /// Whether so many instances of the config may be brought about by it.
    pub fn covers(&self, revision: Revision, instances: u32) -> bool {
        self.share.revision == revision && instances <= self.share.instances
    }
}

/// Which of a role's sums work is part of (Aurora: prodShared, prodDedicated, nonProd). Only the first is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Neither preemptible, nor revocable, nor on nodes kept for some.
    Production,
    /// On nodes kept for some.
    Dedicated,
    /// Preemptible or revocable.
    NonProduction,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(revision: u64, instances: u32, cpu_milli: i64, memory: i64) -> Share {
        let each = Resources { cpu_milli, memory, ..Resources::NONE };
        Share { revision: Revision::v1(revision), instances, each }
    }

    #[test]
    fn the_greater_of_old_and_new_is_charged_by_resource() {
        let mut grant = Grant {
            number: 1,
            share: share(2, 10, 100, 7),
            previous: Some(share(1, 4, 500, 9)),
            time: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(grant.charge(), Resources { cpu_milli: 2_000, memory: 70, ..Resources::NONE });
        grant.previous = None;
        assert_eq!(grant.charge(), Resources { cpu_milli: 1_000, memory: 70, ..Resources::NONE });
        let covered = |revision, instances| grant.covers(Revision::v1(revision), instances);
        assert!(covered(2, 10) && covered(2, 0));
        assert!(!covered(2, 11) && !covered(1, 4));
    }
}
