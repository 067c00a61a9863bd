//! `AuroraService.status`: what the operator found and did, bounded whatever the number of instances.
//!
//! Everything here can be recomputed from Pods, ControllerRevisions and AuroraUpdates: a wiped status
//! costs nothing. Written by the executor from what the planner computed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{grant::Granted, observed, update::UpdateState};

/// What the operator found and did. Written by the operator only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuroraServiceStatus {
    /// The metadata.generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "observed::read")]
    pub observed_generation: Option<i64>,
    /// Hash of the config of the spec that was last acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_revision: Option<String>,
    /// `spec.update.instances` that was last acted upon. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub observed_instances: Option<String>,
    /// `spec.update.restartAt` that was last acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_restart: Option<Time>,
    /// `spec.instances` that was last acted upon, or taken back with a config that failed. Unit: instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_count: Option<i32>,
    /// Hash of the last config known to be good: replacements outside of an update are made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    /// Hash of the config that an update rolls out, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_revision: Option<String>,
    /// Live Pods. Unit: Pods. The scale subresource reads it.
    pub replicas: i32,
    /// Label selector of the live Pods. The scale subresource reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The greatest run any instance has had: a floor for the runs of instances whose Pods are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highest_run: Option<i32>,
    /// Instances by what they do.
    pub counts: Counts,
    /// Which instances have which config.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub revisions: Vec<RevisionInstances>,
    /// Full name of the job: cluster/role/environment/name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_key: Option<String>,
    /// The role (tenant) the job belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The current or, if none is going on, the last update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateRef>,
    /// The first instance that failed in the last failed update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Instances on nodes that are not reachable, as ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40000))]
    pub lost: Option<String>,
    /// What the job was granted of its role's quota: it brings about no more than this. None where its work is not
    /// limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Granted>,
    /// Ready, Reconciling and Stalled, as kstatus reads them, and Placed: it is False while instances have no place, and
    /// says which and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// Instances by what they do. Unit: instances, but Pods for `ended`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Wanted, as far as the operator has seen.
    pub desired: i32,
    /// Waiting for a node.
    pub pending: i32,
    /// On a node, not yet ready.
    pub starting: i32,
    /// Ready.
    pub running: i32,
    /// Of the wanted config, in whatever state.
    pub updated: i32,
    /// Being ended.
    pub ending: i32,
    /// Pods of ended runs that are kept with their logs.
    pub ended: i32,
    /// Held back because they keep ending soon after their start.
    pub throttled: i32,
}

/// The instances that have one config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionInstances {
    /// Hash of the config.
    #[schemars(length(max = 63))]
    pub revision: String,
    /// The instances as inclusive ranges, such as `0-17,20`.
    #[schemars(length(max = 40000))]
    pub instances: String,
}

/// One update, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRef {
    /// Name of the AuroraUpdate.
    pub name: String,
    /// Its state.
    pub state: UpdateState,
    /// Its number, counting up from 1 for the service.
    pub number: i32,
}

/// Why an update failed: the first instance that did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Hash of the config that failed.
    pub revision: String,
    /// The instance.
    pub instance: i32,
    /// Why its Pod ended, one word.
    pub reason: String,
    /// Why its Pod ended, in the words of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 4096))]
    pub message: String,
    /// Exit code of the container, if one exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When it ended.
    pub time: Time,
    /// Name of the AuroraUpdate.
    pub update: String,
}
