//! What Pods outside of AuroraServices take, by role and namespace.
//!
//! Kept as they come and go, so that asking costs nothing. What the quota makes of it is the ledger's. Called by
//! `capacity`, under its lock.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use borealis_core::model::{Claim, Resources, Tier};

/// What Pods outside of AuroraServices take. Those that have not been placed yet count, those that have ended don't.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignUse {
    /// Of a tier that quota limits.
    pub production: Resources,
    /// Of other tiers, or of none.
    pub non_production: Resources,
    /// How many Pods these are.
    pub pods: u32,
}

impl ForeignUse {
    /// So much more.
    pub fn add(&mut self, other: &Self) {
        self.production.add(&other.production);
        self.non_production.add(&other.non_production);
        self.pods = self.pods.saturating_add(other.pods);
    }

    fn side(&mut self, claim: &Claim) -> &mut Resources {
        let production = claim.owner.tier.as_deref().is_some_and(Tier::is_production);
        if production { &mut self.production } else { &mut self.non_production }
    }
}

/// By role, then by namespace.
#[derive(Debug, Default)]
pub(super) struct Foreign(HashMap<Arc<str>, BTreeMap<Arc<str>, ForeignUse>>);

impl Foreign {
    /// A Pod came, went or changed; says which roles take more or less than before.
    pub(super) fn account(&mut self, before: Option<&Claim>, after: Option<&Claim>) -> Vec<Arc<str>> {
        let is_foreign = |claim: &&Claim| claim.owner.ours.is_none();
        let (before, after) = (before.filter(is_foreign), after.filter(is_foreign));
        if let (Some(before), Some(after)) = (before, after) {
            let same = Arc::ptr_eq(&before.owner, &after.owner)
                && (Arc::ptr_eq(&before.demand, &after.demand)
                    || before.demand.requests == after.demand.requests);
            if same {
                return Vec::new();
            }
        }
        if let Some(claim) = before {
            self.take_away(claim);
        }
        if let Some(claim) = after {
            let namespaces = self.0.entry(Arc::clone(&claim.owner.role)).or_default();
            let usage = namespaces.entry(Arc::clone(&claim.owner.namespace)).or_default();
            usage.side(claim).add(&claim.demand.requests);
            usage.pods += 1;
        }
        let mut roles: Vec<_> =
            before.iter().chain(&after).map(|claim| Arc::clone(&claim.owner.role)).collect();
        roles.dedup();
        roles
    }

    fn take_away(&mut self, claim: &Claim) {
        let Some(namespaces) = self.0.get_mut(&claim.owner.role) else { return };
        if let Some(usage) = namespaces.get_mut(&claim.owner.namespace) {
            usage.side(claim).subtract(&claim.demand.requests);
            usage.pods = usage.pods.saturating_sub(1);
            if usage.pods == 0 {
                namespaces.remove(&claim.owner.namespace);
            }
        }
        if namespaces.is_empty() {
            self.0.remove(&claim.owner.role);
        }
    }

    /// What a role's Pods take, by namespace.
    pub(super) fn of(&self, role: &str) -> BTreeMap<Arc<str>, ForeignUse> {
        self.0.get(role).cloned().unwrap_or_default()
    }
}
