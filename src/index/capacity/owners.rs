//! Whose Pods are: one owner for all Pods that have it in common, and who it is once roles or tiers have changed.
//!
//! An owner is known by all but its role and its tier, which follow from its namespace and its PriorityClass and may
//! change with these. Called by `claim` and `capacity`, under the latter's lock.

use std::{
    collections::{HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use borealis_core::model::Owner;

use super::super::tenancy::Tenancy;

/// Below this many owners they are not looked through for those that nobody holds.
const FEW: usize = 256;

/// An owner, and the name of its Pods' PriorityClass.
#[derive(Debug)]
struct Entry {
    class: Option<Arc<str>>,
    owner: Arc<Owner>,
}

impl Entry {
    fn key(&self) -> impl Eq + Hash + '_ {
        let Owner { namespace, job, ours, priority, rank, preempts_natively, labels, role: _, tier: _ } =
            &*self.owner;
        (&self.class, namespace, job, ours, priority, rank, preempts_natively, labels)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The owners of all Pods.
#[derive(Debug)]
pub(super) struct Owners {
    all: HashSet<Entry>,
    full: usize,
}

impl Default for Owners {
    fn default() -> Self {
        Self { all: HashSet::new(), full: FEW }
    }
}

/// Owners that have become others, by where they were.
pub(super) type Renamed = HashMap<*const Owner, Arc<Owner>>;

impl Owners {
    /// The one of this class that is the same but for its role and tier.
    pub(super) fn share(&mut self, class: Option<Arc<str>>, owner: Owner) -> Arc<Owner> {
        let entry = Entry { class, owner: Arc::new(owner) };
        if let Some(known) = self.all.get(&entry) {
            return Arc::clone(&known.owner);
        }
        if self.all.len() >= self.full {
            self.all.retain(|entry| Arc::strong_count(&entry.owner) > 1);
            self.full = FEW.max(self.all.len() * 2);
            self.all.shrink_to(self.full);
        }
        let owner = Arc::clone(&entry.owner);
        self.all.insert(entry);
        owner
    }

    /// Roles or tiers have changed: the owners that are others now. Those that nobody holds are dropped.
    pub(super) fn renew(&mut self, tenancy: &Tenancy) -> Renamed {
        let mut renamed = Renamed::new();
        let entries = std::mem::take(&mut self.all).into_iter();
        for entry in entries.filter(|entry| Arc::strong_count(&entry.owner) > 1) {
            let role = Arc::clone(&tenancy.tenant(&entry.owner.namespace).role.name);
            let tier = entry.class.as_deref().and_then(|class| tenancy.tier_of_class(class));
            let owner = if role == entry.owner.role && tier == entry.owner.tier {
                entry.owner
            } else {
                let owner = Arc::new(Owner { role, tier, ..Owner::clone(&entry.owner) });
                renamed.insert(Arc::as_ptr(&entry.owner), Arc::clone(&owner));
                owner
            };
            self.all.insert(Entry { class: entry.class, owner });
        }
        renamed
    }
}
