//! The annotations by which admission policies know a namespace's role, the classes its Pods may have, and the quota.
//!
//! Only namespaces that an AuroraRole claims have them; of all others the policies know what to say. None says how much is in
//! use, but of what all is: each change is a write for every namespace of the role.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use borealis_core::model::{Resources, Role};
use serde_json::{Value, json};

use crate::{
    api::{
        amounts::{amount, amounts_of, text},
        labels, quantity,
        role_quota::RoleQuota,
    },
    index::{NamespaceRow, RoleRow, Tenancy},
};

/// What stands for the tier of services that name none.
const NO_TIER: &str = "*";

/// What the annotations of a namespace say, by their keys.
type Notes = BTreeMap<&'static str, String>;

/// A namespace whose annotations are to be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Mend {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// A merge patch of these annotations alone.
    pub patch: Value,
}

/// The namespaces whose annotations are not as they shall be.
#[must_use]
pub fn mend(tenancy: &Tenancy) -> Vec<Mend> {
    let rows: HashMap<&str, &RoleRow> = tenancy.roles().map(|row| (&*row.object.name, row)).collect();
    let mut roles: HashMap<Arc<str>, Notes> = HashMap::new();
    let mut one = |row: &NamespaceRow| {
        let tenant = tenancy.tenant(&row.object.name);
        if !tenant.claimed {
            return mend_one(row, &Notes::new());
        }
        let (role, name) = (&tenant.role, &row.object.name);
        let wanted = roles.entry(Arc::clone(&role.name)).or_insert_with(|| {
            let status = rows.get(&*role.name).and_then(|row| row.status.as_ref()?.quota.as_ref());
            notes(tenancy, role, &tenancy.classes(name), status)
        });
        mend_one(row, wanted)
    };
    tenancy.namespaces().filter(|row| !row.object.deleting).filter_map(&mut one).collect()
}

fn mend_one(row: &NamespaceRow, wanted: &Notes) -> Option<Mend> {
    let differs = |key: &&&'static str| row.notes.get(**key) != wanted.get(**key);
    let keys = labels::OF_NAMESPACES.iter().filter(differs);
    let annotations: BTreeMap<_, _> = keys.map(|key| (*key, wanted.get(*key))).collect();
    (!annotations.is_empty()).then(|| Mend {
        name: row.object.name.to_string(),
        uid: row.object.uid.to_string(),
        patch: json!({"metadata": {"annotations": annotations}}),
    })
}

/// What the namespaces of an AuroraRole say.
fn notes(tenancy: &Tenancy, role: &Role, classes: &[String], status: Option<&RoleQuota>) -> Notes {
    let is_production = |name: &str| tenancy.tier(name).is_some_and(|tier| tier.is_production());
    let no_tier = is_production(&role.default_tier).then_some(NO_TIER);
    let named = role.tiers.iter().map(|tier| &**tier).filter(|tier| is_production(tier));
    let production: Vec<&str> = no_tier.into_iter().chain(named).collect();
    let quota: Vec<String> =
        amounts_of(&role.quota).map(|(name, amount)| format!("{name}={}", text(name, amount))).collect();
    let mut notes = Notes::from([
        (labels::ROLE, role.name.to_string()),
        (labels::CLASSES, classes.join(",")),
        (labels::QUOTA, quota.join(",")),
        (labels::PRODUCTION, production.join(",")),
    ]);
    notes.extend(status.and_then(|status| full(&role.quota, status)).map(|full| (labels::FULL, full)));
    notes
}

/// Of which resources all that the quota allows is in use, as the quota loop has recorded it: each as `name: words`. Not how
/// much that is: it says the same for as long as there is no room. Of what the quota does not name the policies know.
fn full(quota: &Resources, status: &RoleQuota) -> Option<String> {
    let mut used = quantity::resources(Some(&status.production));
    used.add(&quantity::resources(Some(&status.foreign)));
    let all = amounts_of(&used).map(|(name, used)| (name, used, amount(quota, name)));
    let full: Vec<String> = all
        .filter(|(_, used, limit)| *limit > 0 && used >= limit)
        .map(|(name, _, limit)| format!("{name}: all of {} is in use", text(name, limit)))
        .collect();
    (!full.is_empty()).then(|| full.join("; "))
}
