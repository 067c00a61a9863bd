//! What Tiers, AuroraRoles and Frameworks become in the cluster: PriorityClasses, annotations of namespaces, admission
//! policies, and what their statuses say.
//!
//! Pure: out of what the index knows of tenancy it makes the objects that shall be there and the words for people.
//! Nothing here reads a clock or talks to the API server. Called by `controller::cluster::tenancy`, which has
//! `apply::tenancy` write.

mod cel;
pub mod classes;
pub mod frameworks;
pub mod namespaces;
mod overlap;
pub mod statuses;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use crate::index::Object;

/// The reference by which garbage collection removes what was made of an object with it.
fn owned_by<K: Resource<DynamicType = ()>>(object: &Object) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: object.name.to_string(),
        uid: object.uid.to_string(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// Names for people, of many the first few: `a, b, c and 4 more`.
fn listed<I>(names: I) -> String
where
    I: IntoIterator,
    I::Item: std::fmt::Display,
{
    const SHOWN: usize = 8;
    let all: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
