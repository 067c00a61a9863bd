//! `AuroraRole.status.quota`: what a role may use, what is used of it and where, who waits, and what was granted that
//! its job has not taken up yet.
//!
//! The grants are the operator's memory; all else is for people, and bounded. Written by the quota loop alone.

use std::collections::BTreeMap;

use borealis_core::model::JobKind;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grant::Granted;
use crate::{kind_name, kind_named};

/// What a role may use and what is used of it. Amounts are by resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleQuota {
    /// What its production work may use: spec.quota as it was last usable.
    pub limit: BTreeMap<String, Quantity>,
    /// What its services and jobs were granted that the quota limits: those neither preemptible nor revocable, nor on dedicated
    /// nodes. Aurora: prodSharedConsumption.
    pub production: BTreeMap<String, Quantity>,
    /// What its services and jobs on dedicated nodes ask for. Aurora: prodDedicatedConsumption, nonProdDedicatedConsumption.
    pub dedicated: BTreeMap<String, Quantity>,
    /// What its preemptible and revocable services and jobs ask for. Aurora: nonProdSharedConsumption.
    pub non_production: BTreeMap<String, Quantity>,
    /// What Pods of its production tiers request that belong to no AuroraService or AuroraJob; it counts like `production`.
    pub foreign: BTreeMap<String, Quantity>,
    /// What Pods of its other tiers, or of none, request that belong to no AuroraService or AuroraJob; no quota limits that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign_non_production: BTreeMap<String, Quantity>,
    /// By how much `production` and `foreign` together are beyond the limit. Nothing is taken away for that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub over: BTreeMap<String, Quantity>,
    /// The same by namespace, in the order of their names; of more than 64 the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub namespaces: Vec<NamespaceUse>,
    /// Services and jobs that wait for quota. Unit: services and jobs.
    pub held: i32,
    /// Those of them that have waited longest, and what each lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub held_jobs: Vec<HeldJob>,
    /// Grants that stand here until their services and jobs have recorded them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub grants: Vec<PendingGrant>,
}

/// What is used in one namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceUse {
    /// The namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its services and jobs. Unit: services and jobs.
    pub services: i32,
    /// What they were granted that the quota limits.
    pub production: BTreeMap<String, Quantity>,
    /// What they ask for on dedicated nodes.
    pub dedicated: BTreeMap<String, Quantity>,
    /// What they ask for that is preemptible or revocable.
    pub non_production: BTreeMap<String, Quantity>,
    /// What Pods of production tiers request that belong to no AuroraService or AuroraJob.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<String, Quantity>,
    /// What such Pods of other tiers, or of none, request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign_non_production: BTreeMap<String, Quantity>,
}

/// A service or job that waits for quota.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldJob {
    /// Its kind. Default: `AuroraService`.
    #[serde(default = "service", skip_serializing_if = "is_service")]
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// What it lacks.
    pub missing: BTreeMap<String, Quantity>,
}

/// A grant that its service or job has not recorded yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingGrant {
    /// Its kind. Default: `AuroraService`.
    #[serde(default = "service", skip_serializing_if = "is_service")]
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its uid.
    #[schemars(length(max = 63))]
    pub uid: String,
    /// What it was granted.
    pub grant: Granted,
}

fn service() -> String {
    kind_name(JobKind::Service).to_owned()
}

fn is_service(kind: &str) -> bool {
    kind_named(kind) == Some(JobKind::Service)
}
