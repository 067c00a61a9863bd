//! The kind `AuroraRole`: a tenant (Aurora: role). It owns the namespaces that its selector matches.
//!
//! A namespace that no AuroraRole claims is a role of its own name that may use the default tier only. Rules between
//! fields are in `rules`. Written by whoever runs the cluster; the operator writes its status only.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no mistake")]
#![expect(unreachable_pub, reason = "the derive repeats the struct inside a function")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{observed, role_quota::RoleQuota, tier::DEFAULT_TIER};

/// A tenant of the cluster.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "borealis.dev",
    version = "v1alpha1",
    kind = "AuroraRole",
    plural = "auroraroles",
    singular = "aurorarole",
    shortname = "arole",
    category = "borealis",
    derive = "PartialEq",
    status = "AuroraRoleStatus",
    doc = "A tenant of the cluster: the namespaces that are its own, the quota of its production work over all of them, and the tiers it may use.",
    printcolumn(
        name = "Namespaces",
        type_ = "integer",
        json_path = ".status.namespaceCount",
        description = "Namespaces it owns"
    ),
    printcolumn(
        name = "Tiers",
        type_ = "string",
        json_path = ".spec.tiers",
        description = "Tiers it may use beside its default"
    ),
    printcolumn(
        name = "CPU",
        type_ = "string",
        json_path = ".spec.quota.cpu",
        description = "CPU that its production work may use"
    ),
    printcolumn(
        name = "Memory",
        type_ = "string",
        json_path = ".spec.quota.memory",
        description = "Memory that its production work may use"
    ),
    printcolumn(
        name = "Used CPU",
        type_ = "string",
        json_path = ".status.quota.production.cpu",
        description = "CPU that its production services were granted"
    ),
    printcolumn(
        name = "Used Memory",
        type_ = "string",
        json_path = ".status.quota.production.memory",
        description = "Memory that its production services were granted"
    ),
    printcolumn(
        name = "Held",
        type_ = "integer",
        json_path = ".status.quota.held",
        description = "Services that wait for quota"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Reason of the condition Ready"
    ),
    printcolumn(
        name = "Contacts",
        type_ = "string",
        json_path = ".spec.contacts",
        description = "Whom to ask",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AuroraRoleSpec {
    /// Labels of the namespaces that belong to it; at least one must be asked for. Of several AuroraRoles that match
    /// a namespace the oldest has it.
    pub namespaces: LabelSelector,
    /// What its production work may use in all its namespaces together, by resource: `cpu`, `memory`,
    /// `ephemeral-storage`, and others by their full names (`nvidia.com/gpu`). Of a resource that is not named it may
    /// use nothing. Unit: quantities. Default: nothing of anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<String, Quantity>,
    /// Its share beside other roles where they compete: recorded, and without effect yet. No unit. Default: 1.
    #[serde(default = "default_weight")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: i32,
    /// The tier of its work that asks for none. A change updates the services that ask for none. Default:
    /// `preemptible`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub default_tier: Option<String>,
    /// The tiers it may use; its default tier must be one of them. Default: its default tier alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    pub tiers: Vec<String>,
    /// The pools of dedicated nodes it may use, by the value of their attribute `dedicated`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub dedicated: Vec<String>,
    /// Whom to ask about it: addresses, channels, rotas. For people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub contacts: Vec<String>,
    /// How many Pods of the cluster may be ended in a minute to make room for its own. Unit: Pods a minute.
    /// Default: 2000.
    #[serde(default = "default_victims")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_victims_per_minute: i32,
}

/// What the operator found of the role. Written by the operator only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuroraRoleStatus {
    /// The metadata.generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "observed::read")]
    pub observed_generation: Option<i64>,
    /// Namespaces it owns. Unit: namespaces.
    pub namespace_count: i32,
    /// The namespaces it owns, in the order of their names; of more than 64 the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub namespaces: Vec<String>,
    /// What it may use, what is used, and who waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<RoleQuota>,
    /// Ready, and Conflict where another AuroraRole claims a namespace as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

impl AuroraRoleSpec {
    /// The tier of work that asks for none.
    #[must_use]
    pub fn default_tier(&self) -> &str {
        self.default_tier.as_deref().unwrap_or(DEFAULT_TIER)
    }
}

fn default_weight() -> i32 {
    1
}

fn default_victims() -> i32 {
    2_000
}
