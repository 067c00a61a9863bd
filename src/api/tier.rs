//! The kind `Tier`: how work ranks against other work of the cluster (Aurora: TierInfo, `tiers.json`).
//!
//! A tier is one PriorityClass, whose value and policy can't be changed: so neither can the band and the preemption of
//! a tier. Rules between fields are in `rules`. Written by whoever runs the cluster; the operator writes its status only.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no mistake")]
#![expect(unreachable_pub, reason = "the derive repeats the struct inside a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observed;

/// How work ranks against other work of the cluster.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "borealis.dev",
    version = "v1alpha1",
    kind = "Tier",
    plural = "tiers",
    singular = "tier",
    category = "borealis",
    derive = "PartialEq",
    status = "TierStatus",
    doc = "How work ranks against other work of the cluster: whether others may take its place, how the scheduler ranks it, and who makes room for it. Each tier is one PriorityClass.",
    printcolumn(
        name = "Preemptible",
        type_ = "boolean",
        json_path = ".spec.preemptible",
        description = "Others may take its place"
    ),
    printcolumn(
        name = "Revocable",
        type_ = "boolean",
        json_path = ".spec.revocable",
        description = "It lives on what others leave unused"
    ),
    printcolumn(
        name = "Band",
        type_ = "integer",
        json_path = ".spec.band",
        description = "Value of its PriorityClass"
    ),
    printcolumn(
        name = "Services",
        type_ = "integer",
        json_path = ".status.usedBy.services",
        description = "AuroraServices of this tier"
    ),
    printcolumn(
        name = "Pods",
        type_ = "integer",
        json_path = ".status.usedBy.pods",
        description = "Pods of this tier, whoever made them",
        priority = 1
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Reason of the condition Ready"
    ),
    printcolumn(
        name = "Class",
        type_ = "string",
        json_path = ".status.priorityClass",
        description = "Its PriorityClass",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TierSpec {
    /// Whether work that is not preemptible may take its place, whoever's it is. What is neither preemptible nor
    /// revocable is production work, which quota limits.
    pub preemptible: bool,
    /// Whether it lives on what others leave unused; what is revocable must be preemptible. Default: false.
    #[serde(default)]
    pub revocable: bool,
    /// Value of its PriorityClass: how it ranks with the scheduler, and among victims, of which the lower ones go
    /// first. Cannot be changed. No unit.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub band: i32,
    /// Who makes room for its Pods: `Borealis`, by Aurora's rule, or `Scheduler`, by priority alone, which asks neither
    /// for roles nor for quota. Cannot be changed. Default: `Borealis`.
    #[serde(default)]
    pub preemption: Preemption,
    /// Whether room for its Pods is only told of: it is decided and said who would end for them, and nobody does. Only
    /// where Borealis makes room. Default: false.
    #[serde(default)]
    pub dry_run: bool,
    /// How long a Pod is without a place before others go for it. Unit: seconds. Default: 5.
    #[serde(default = "default_delay")]
    #[schemars(range(min = 0, max = 86400))]
    pub preemption_delay_seconds: i32,
    /// How long a Pod has run before it can be a victim. Unit: seconds. Default: 0, it can be at once.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800))]
    pub min_runtime_seconds: i32,
    /// How long its Pods have to stop where their template says nothing. Unit: seconds. Default: 30, as everywhere in
    /// Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub grace_seconds: Option<i32>,
}

/// Who makes room for a tier's Pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Preemption {
    /// Borealis, by Aurora's rule.
    #[default]
    Borealis,
    /// The scheduler, by priority alone.
    Scheduler,
}

/// What the operator made of the tier, and who uses it. Written by the operator only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TierStatus {
    /// The metadata.generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "observed::read")]
    pub observed_generation: Option<i64>,
    /// Name of its PriorityClass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class: Option<String>,
    /// Who uses it. A tier that is used can't be deleted.
    pub used_by: TierUse,
    /// Ready, and what stands in the way of its preemption.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// Who uses a tier. Unit: objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TierUse {
    /// AuroraServices of this tier.
    pub services: i32,
    /// Pods of its PriorityClass that have not ended, whoever made them.
    pub pods: i32,
    /// AuroraRoles that allow it.
    pub roles: i32,
    /// Frameworks that give it to Pods.
    pub frameworks: i32,
}

/// The tier of whoever asks for none (Aurora: the default tier of `tiers.json`).
pub const DEFAULT_TIER: &str = "preemptible";

fn default_delay() -> i32 {
    5
}

/// Name of a tier's PriorityClass. It holds the value, since that of a PriorityClass can't be changed.
#[must_use]
pub fn class_name(tier: &str, band: i32) -> String {
    format!("{CLASS_PREFIX}{tier}-{band}")
}

/// What the names of all our PriorityClasses begin with.
pub const CLASS_PREFIX: &str = "borealis-";

/// The tier and the value that a PriorityClass of this name would have, were it ours.
#[must_use]
pub fn named_by_class(class: &str) -> Option<(&str, i32)> {
    let (tier, band) = class.strip_prefix(CLASS_PREFIX)?.rsplit_once('-')?;
    let band: i32 = band.parse().ok()?;
    (class_name(tier, band) == class).then_some((tier, band))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_names_its_tier() {
        for (tier, band, name) in [
            ("preemptible", 20_000, "borealis-preemptible-20000"),
            ("a-1", 0, "borealis-a-1-0"),
            ("1", 1_000_000_000, "borealis-1-1000000000"),
        ] {
            assert_eq!(class_name(tier, band), name);
            assert_eq!(named_by_class(name), Some((tier, band)));
        }
        for foreign in
            ["system-node-critical", "borealis-", "borealis-a", "borealis-a-01", "borealis-a-x", "a-1"]
        {
            assert_eq!(named_by_class(foreign), None, "{foreign}");
        }
    }
}
