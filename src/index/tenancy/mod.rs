//! Whose every namespace is, and which tiers there are: what Tiers, AuroraRoles, Namespaces and Frameworks say together.
//!
//! Decides which of several AuroraRoles has a namespace (the oldest, by creation and then by name), and what becomes of
//! one that none claims: it is a role of its own name that may use the default tier only. Plans nothing and writes
//! nothing. Filled by `feed`; read through `Index` by all who need a role or a tier. A spec that can't be used leaves
//! what was last usable in force, and is said by whoever reads `problem`.

mod feed;
mod rows;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use borealis_core::model::{Resources, Role, Tier};
use kube::core::SelectorExt;

use super::stamp::{Epoch, Version};
use crate::api::{
    labels,
    tier::{DEFAULT_TIER, class_name, named_by_class},
};

pub use self::rows::{FrameworkRow, NamespaceRow, Object, RoleRow, TierRow};

/// What the role of an unclaimed namespace is called where an AuroraRole of that name exists: nobody becomes part of a
/// role by giving a namespace its name. No AuroraRole can have this name.
const UNCLAIMED: &str = "unclaimed.";
/// As for an AuroraRole that does not say.
const VICTIMS: u32 = 2_000;

/// Whose a namespace is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The role.
    pub role: Arc<Role>,
    /// An AuroraRole has it; otherwise the role is the namespace's own.
    pub claimed: bool,
    /// The environment of its jobs.
    pub environment: Arc<str>,
}

impl Tenant {
    /// The key of a job of this name, `cluster/role/environment/name`.
    #[must_use]
    pub fn job_key(&self, cluster: &str, job: &str) -> String {
        format!("{cluster}/{}/{}/{job}", self.role.name, self.environment)
    }
}

/// What a change of tenancy concerns.
#[derive(Debug, Default, PartialEq, Eq)]
struct Concerned {
    /// Namespaces that have become others', or whose role says something else.
    namespaces: Vec<Arc<str>>,
    /// Tiers, by name, that came, went or say something else.
    tiers: Vec<Arc<str>>,
    /// Anything else, such as a status, is different.
    other: bool,
}

impl Concerned {
    const OTHER: Self = Self { namespaces: Vec::new(), tiers: Vec::new(), other: true };

    /// Whether nothing has changed.
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// All that is known of tenancy.
#[derive(Debug, Default)]
pub struct Tenancy {
    tiers: BTreeMap<Arc<str>, Known<TierRow>>,
    roles: BTreeMap<Arc<str>, Known<RoleRow>>,
    frameworks: BTreeMap<Arc<str>, Known<FrameworkRow>>,
    namespaces: BTreeMap<Arc<str>, Known<NamespaceRow>>,
    tenants: HashMap<Arc<str>, Arc<Tenant>>,
    /// The AuroraRoles that claim each namespace, the one that has it first; only where there are any.
    claims: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

/// A row, and how new it is.
#[derive(Debug)]
struct Known<R> {
    row: R,
    version: Version,
    epoch: Epoch,
}

impl Tenancy {
    /// Whose the namespace is. One that is not known yet is its own.
    #[must_use]
    pub fn tenant(&self, namespace: &str) -> Arc<Tenant> {
        self.tenants.get(namespace).cloned().unwrap_or_else(|| Arc::new(self.own(namespace, None)))
    }

    /// The tier of this name, as it was last usable.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<Arc<Tier>> {
        self.tiers.get(name)?.row.tier.clone()
    }

    /// The tier of Pods of this PriorityClass.
    #[must_use]
    pub fn tier_of_class(&self, class: &str) -> Option<Arc<Tier>> {
        let (name, band) = named_by_class(class)?;
        self.tier(name).filter(|tier| tier.band == band)
    }

    /// The AuroraRole of this name, as it was last usable.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Arc<Role>> {
        self.roles.get(name)?.row.role.clone()
    }

    /// What a role of this name may do: the AuroraRole's, or what an unclaimed namespace of that name may.
    #[must_use]
    pub fn role_named(&self, name: &str) -> Arc<Role> {
        self.role(name).unwrap_or_else(|| self.own(name, None).role)
    }

    /// All Tiers, by name.
    pub fn tiers(&self) -> impl Iterator<Item = &TierRow> {
        self.tiers.values().map(|known| &known.row)
    }

    /// All AuroraRoles, by name.
    pub fn roles(&self) -> impl Iterator<Item = &RoleRow> {
        self.roles.values().map(|known| &known.row)
    }

    /// All Frameworks, by name.
    pub fn frameworks(&self) -> impl Iterator<Item = &FrameworkRow> {
        self.frameworks.values().map(|known| &known.row)
    }

    /// All namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &NamespaceRow> {
        self.namespaces.values().map(|known| &known.row)
    }

    /// The namespaces that AuroraRoles claim, and which do, the one that has it first.
    pub fn claims(&self) -> impl Iterator<Item = (&Arc<str>, &[Arc<str>])> {
        self.claims.iter().map(|(namespace, roles)| (namespace, roles.as_slice()))
    }

    /// The PriorityClasses of ours that Pods of this namespace may have, in the order of their tiers' names. Tiers that
    /// there are not have none.
    #[must_use]
    pub fn classes(&self, namespace: &str) -> Vec<String> {
        let tenant = self.tenant(namespace);
        let tiers = tenant.role.tiers.iter().filter_map(|tier| self.tier(tier));
        tiers.map(|tier| class_name(&tier.name, tier.band)).collect()
    }

    /// Finds out anew whose the namespace is; whether that is another, or says something else.
    fn settle(&mut self, namespace: &Arc<str>) -> bool {
        let Some(Known { row, .. }) = self.namespaces.get(namespace) else {
            self.claims.remove(namespace);
            return self.tenants.remove(namespace).is_some();
        };
        let mut claiming: Vec<&RoleRow> = self
            .roles()
            .filter(|role| role.selector.as_ref().is_some_and(|it| it.matches(&row.labels)))
            .collect();
        claiming.sort_by(|one, other| {
            (one.object.created, &one.object.name).cmp(&(other.object.created, &other.object.name))
        });
        let owner = claiming.iter().find_map(|claiming| claiming.role.clone());
        let tenant = match owner {
            Some(role) => Tenant { role, claimed: true, environment: Arc::clone(&row.environment) },
            None => self.own(namespace, Some(row)),
        };
        let claiming: Vec<Arc<str>> = claiming.iter().map(|role| Arc::clone(&role.object.name)).collect();
        if claiming.is_empty() {
            self.claims.remove(namespace);
        } else {
            self.claims.insert(Arc::clone(namespace), claiming);
        }
        match self.tenants.get(namespace) {
            Some(known) if **known == tenant => false,
            _ => {
                self.tenants.insert(Arc::clone(namespace), Arc::new(tenant));
                true
            }
        }
    }

    /// The same for all namespaces; which have changed.
    fn settle_all(&mut self) -> Vec<Arc<str>> {
        let all: Vec<Arc<str>> = self.namespaces.keys().cloned().collect();
        all.into_iter().filter(|namespace| self.settle(namespace)).collect()
    }

    /// The namespace as a role of its own.
    fn own(&self, namespace: &str, row: Option<&NamespaceRow>) -> Tenant {
        let name = if self.roles.contains_key(namespace) {
            format!("{UNCLAIMED}{namespace}").into()
        } else {
            namespace.into()
        };
        let default: Arc<str> = DEFAULT_TIER.into();
        let role = Role {
            name,
            quota: Resources::NONE,
            weight: 1,
            default_tier: Arc::clone(&default),
            tiers: vec![default],
            dedicated: Vec::new(),
            max_victims_per_minute: VICTIMS,
        };
        let environment =
            row.map_or_else(|| labels::DEFAULT_ENVIRONMENT.into(), |row| Arc::clone(&row.environment));
        Tenant { role: Arc::new(role), claimed: false, environment }
    }
}

#[cfg(test)]
mod tests;
