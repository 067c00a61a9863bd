//! Roles: who work belongs to.

use std::sync::Arc;

use super::Resources;

/// A role (Aurora: role): a tenant of the cluster, over all its namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: Arc<str>,
    /// What its production work may use; nothing of what is not named.
    pub quota: Resources,
    /// Its share beside other roles where they compete.
    pub weight: u32,
    /// The tier of its work that asks for none.
    pub default_tier: Arc<str>,
    /// The tiers it may use, its default among them, sorted.
    pub tiers: Vec<Arc<str>>,
    /// The pools of dedicated nodes it may use, sorted.
    pub dedicated: Vec<Arc<str>>,
    /// How many Pods may be ended in a minute to make room for its own.
    pub max_victims_per_minute: u32,
}

impl Role {
    /// Whether its work may be of this tier.
    pub fn allows(&self, tier: &str) -> bool {
        self.tiers.iter().any(|allowed| **allowed == *tier)
    }

    /// Whether it may use this pool of dedicated nodes.
    pub fn may_use(&self, pool: &str) -> bool {
        self.dedicated.iter().any(|own| **own == *pool)
    }
}
