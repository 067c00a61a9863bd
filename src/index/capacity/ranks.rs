//! How many Pods of each tier there are, those of services and all others together.
//!
//! Kept as they come and go, so that asking costs nothing. Called by `capacity`, under its lock.

use std::{collections::BTreeMap, sync::Arc};

use borealis_core::model::Claim;

/// Pods that have not ended, by the name of their tier; none is 0. Unit: Pods.
#[derive(Debug, Default)]
pub(super) struct Ranks(BTreeMap<Arc<str>, usize>);

impl Ranks {
    /// A Pod came, went or changed.
    pub(super) fn account(&mut self, before: Option<&Claim>, after: Option<&Claim>) {
        if let Some(tier) = before.and_then(tier)
            && let Some(count) = self.0.get_mut(tier)
        {
            *count -= 1;
            if *count == 0 {
                self.0.remove(tier);
            }
        }
        if let Some(tier) = after.and_then(tier) {
            *self.0.entry(Arc::clone(tier)).or_default() += 1;
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> &BTreeMap<Arc<str>, usize> {
        &self.0
    }
}

fn tier(claim: &Claim) -> Option<&Arc<str>> {
    claim.owner.tier.as_ref().map(|tier| &tier.name)
}
