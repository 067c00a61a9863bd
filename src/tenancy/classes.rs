//! The PriorityClass of each Tier, and foreign ones that outrank tiers.
//!
//! What a PriorityClass says of value and preemption can't be changed, so that one which says something else is never
//! touched, but told of.

use std::sync::Arc;

use borealis_core::model::{Preemption, Tier};
use k8s_openapi::{api::scheduling::v1::PriorityClass, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde_json::{Value, json};

use super::owned_by;
use crate::{
    api::{
        Tier as TierObject, labels,
        tier::{CLASS_PREFIX, class_name},
    },
    index::Object,
};

/// Policy of Pods for which the scheduler makes no room.
pub const NEVER: &str = "Never";
/// Policy of Pods for which it does.
pub const PREEMPTS: &str = "PreemptLowerPriority";
/// What the names of Kubernetes' own classes begin with: they outrank all work, and are meant to.
const SYSTEM: &str = "system-";

/// The policy of a tier's Pods.
#[must_use]
pub fn policy(tier: &Tier) -> &'static str {
    match tier.preemption {
        Preemption::Borealis | Preemption::DryRun => NEVER,
        Preemption::Scheduler => PREEMPTS,
    }
}

/// The PriorityClass of a tier.
#[must_use]
pub fn class(object: &Object, tier: &Tier) -> PriorityClass {
    PriorityClass {
        metadata: ObjectMeta {
            name: Some(class_name(&tier.name, tier.band)),
            labels: Some(
                [
                    (labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned()),
                    (labels::TIER.to_owned(), tier.name.to_string()),
                ]
                .into(),
            ),
            owner_references: Some(vec![owned_by::<TierObject>(object)]),
            ..ObjectMeta::default()
        },
        value: Some(tier.band),
        preemption_policy: Some(policy(tier).to_owned()),
        global_default: None,
        description: Some(format!("Pods of tier {} of Borealis.", tier.name)),
    }
}

/// What is to be done about a class.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is as it shall be.
    Keep,
    /// There is none.
    Create,
    /// Its labels or its owner are to be set: a merge patch.
    Mend(Value),
    /// An object of that name says something else, which can't be changed.
    Conflict(String),
}

/// Compares what there is with what shall be.
#[must_use]
pub fn compare(wanted: &PriorityClass, found: Option<&PriorityClass>) -> Verdict {
    let Some(found) = found else { return Verdict::Create };
    let name = wanted.metadata.name.as_deref().unwrap_or_default();
    let policy =
        |class: &PriorityClass| class.preemption_policy.clone().unwrap_or_else(|| PREEMPTS.to_owned());
    if found.value != wanted.value || policy(found) != policy(wanted) {
        return Verdict::Conflict(format!(
            "PriorityClass {name} has value {} and preemptionPolicy {}, which can't be changed, instead of {} and {}; \
             delete it, and it is made anew",
            found.value.unwrap_or_default(),
            policy(found),
            wanted.value.unwrap_or_default(),
            policy(wanted)
        ));
    }
    let all = found.metadata.labels.as_ref();
    let has = |(key, value): (&String, &String)| all.is_some_and(|all| all.get(key) == Some(value));
    let labelled = wanted.metadata.labels.iter().flatten().all(has);
    let owner = |class: &PriorityClass| {
        class.metadata.owner_references.iter().flatten().next().map(|it| it.uid.clone())
    };
    if labelled && owner(found) == owner(wanted) {
        return Verdict::Keep;
    }
    Verdict::Mend(json!({
        "metadata": {"labels": wanted.metadata.labels, "ownerReferences": wanted.metadata.owner_references},
    }))
}

/// A class of others that the scheduler makes room for, whatever tiers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its name.
    pub name: Arc<str>,
    /// Its value.
    pub value: i32,
}

/// Classes of others whose Pods preempt by themselves, Kubernetes' own left out.
#[must_use]
pub fn foreign<'a>(classes: impl IntoIterator<Item = &'a PriorityClass>) -> Vec<Foreign> {
    let is_foreign = |class: &&PriorityClass| {
        let name = class.metadata.name.as_deref().unwrap_or_default();
        !name.starts_with(CLASS_PREFIX)
            && !name.starts_with(SYSTEM)
            && class.preemption_policy.as_deref() != Some(NEVER)
    };
    let all = classes.into_iter().filter(is_foreign);
    all.map(|class| Foreign {
        name: class.metadata.name.as_deref().unwrap_or_default().into(),
        value: class.value.unwrap_or_default(),
    })
    .collect()
}
