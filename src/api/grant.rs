//! Grants of quota as the API keeps them: in the status of the AuroraRole that gave one until the job has taken it up,
//! and in the status of the job as long as it stands.
//!
//! Decides nothing. Written by the executor from what the ledger decided, read by the index.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a job was granted of its role's quota.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// Counts the grants of the job from 1.
    pub number: i32,
    /// Hash of the config it may bring about.
    #[schemars(length(max = 63))]
    pub revision: String,
    /// How many instances of it. Unit: instances.
    pub instances: i32,
    /// What each of them asks for, by resource.
    pub each: BTreeMap<String, Quantity>,
    /// What may run until then, and would run again if it is taken back: of each resource the greater of both is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<GrantedShare>,
    /// When it was granted.
    pub time: Time,
}

/// So many instances of one config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantedShare {
    /// Hash of the config.
    #[schemars(length(max = 63))]
    pub revision: String,
    /// How many instances of it. Unit: instances.
    pub instances: i32,
    /// What each of them asks for, by resource.
    pub each: BTreeMap<String, Quantity>,
}
