//! Which Pods are where, by what they have in common: whom spread and affinity ask about, without a walk over all Pods.
//!
//! Counts only. The board keeps it beside its Pods; `neighbours` reads it for one Pod that asks. Pods of one config share
//! their `Owner` and `Demand`, so these are told apart by where they lie in memory: as long as an entry is there, it
//! holds what it is about. Two that are equal are two entries, which sum up to the same.

use std::{collections::BTreeMap, sync::Arc};

use crate::model::{Claim, Demand, NodeId, Owner};

/// How many Pods there are on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Number {
    /// That are not ending.
    pub(super) live: u32,
    /// That are ending.
    pub(super) ending: u32,
}

/// How many of something are on each node, in the order of nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct ByHost(Vec<(NodeId, Number)>);

impl ByHost {
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, Number)> {
        self.0.iter().copied()
    }

    fn change(&mut self, host: NodeId, change: impl FnOnce(&mut Number)) {
        let at = match self.0.binary_search_by_key(&host, |(host, _)| *host) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (host, Number::default()));
                at
            }
        };
        let Some((_, number)) = self.0.get_mut(at) else { return };
        change(number);
        if *number == Number::default() {
            self.0.remove(at);
        }
    }
}

/// The Pods of one owner.
#[derive(Debug, Clone)]
pub(super) struct Kin {
    pub(super) owner: Arc<Owner>,
    pub(super) at: ByHost,
}

/// Pods of one namespace that must not be beside others.
#[derive(Debug, Clone)]
pub(super) struct Repelling {
    pub(super) demand: Arc<Demand>,
    pub(super) at: ByHost,
}

/// All Pods that have a node.
#[derive(Debug, Clone, Default)]
pub(super) struct Census {
    kin: BTreeMap<Arc<str>, BTreeMap<usize, Kin>>,
    repelling: BTreeMap<Arc<str>, BTreeMap<usize, Repelling>>,
}

impl Census {
    pub(super) fn add(&mut self, claim: &Claim, host: NodeId) {
        let kin = self.kin.entry(Arc::clone(&claim.owner.namespace)).or_default();
        let kin = kin
            .entry(Arc::as_ptr(&claim.owner).addr())
            .or_insert_with(|| Kin { owner: Arc::clone(&claim.owner), at: ByHost::default() });
        kin.at.change(host, |number| *side(number, claim) += 1);
        if !claim.demand.apart.is_empty() {
            let repelling = self.repelling.entry(Arc::clone(&claim.owner.namespace)).or_default();
            let repelling = repelling
                .entry(Arc::as_ptr(&claim.demand).addr())
                .or_insert_with(|| Repelling { demand: Arc::clone(&claim.demand), at: ByHost::default() });
            repelling.at.change(host, |number| *side(number, claim) += 1);
        }
    }

    pub(super) fn remove(&mut self, claim: &Claim, host: NodeId) {
        if let Some(all) = self.kin.get_mut(&claim.owner.namespace) {
            let key = Arc::as_ptr(&claim.owner).addr();
            if let Some(kin) = all.get_mut(&key) {
                kin.at.change(host, |number| *side(number, claim) -= 1);
                if kin.at.0.is_empty() {
                    all.remove(&key);
                }
            }
            if all.is_empty() {
                self.kin.remove(&claim.owner.namespace);
            }
        }
        if let Some(all) = self.repelling.get_mut(&claim.owner.namespace) {
            let key = Arc::as_ptr(&claim.demand).addr();
            if let Some(repelling) = all.get_mut(&key) {
                repelling.at.change(host, |number| *side(number, claim) -= 1);
                if repelling.at.0.is_empty() {
                    all.remove(&key);
                }
            }
            if all.is_empty() {
                self.repelling.remove(&claim.owner.namespace);
            }
        }
    }

    /// The owners of a namespace that have Pods on nodes.
    pub(super) fn kin(&self, namespace: &str) -> impl Iterator<Item = &Kin> {
        self.kin.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// Who must not be beside others, with their namespaces.
    pub(super) fn repelling(&self) -> impl Iterator<Item = (&Arc<str>, &Repelling)> {
        self.repelling.iter().flat_map(|(namespace, all)| all.values().map(move |one| (namespace, one)))
    }

    /// Whether nothing is counted, not even with 0.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.kin.is_empty() && self.repelling.is_empty()
    }
}

fn side<'n>(number: &'n mut Number, claim: &Claim) -> &'n mut u32 {
    if claim.ends.is_some() { &mut number.ending } else { &mut number.live }
}
