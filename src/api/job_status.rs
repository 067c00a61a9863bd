//! `AuroraJob.status`: what has become of the instances, bounded whatever their number.
//!
//! Not all of it can be computed anew: of an instance whose Pods are gone, what it says here is all that is known.
//! Written by the executor from what the planner computed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{grant::Granted, observed, status::Counts};

/// What has become of a job. Written by the operator only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuroraJobStatus {
    /// The metadata.generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "observed::read")]
    pub observed_generation: Option<i64>,
    /// Hash of the config that is run, once it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_revision: Option<String>,
    /// `spec.instances` that was last acted upon. Unit: instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_count: Option<i32>,
    /// How far the job has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<JobPhase>,
    /// When it started. Gone while it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it was decided how it ends; the last Pods may end later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
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
    /// How many instances have succeeded. Unit: instances.
    pub succeeded_count: i32,
    /// Which instances have succeeded, as inclusive ranges such as `0-17,20`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40000))]
    pub succeeded: Option<String>,
    /// How many instances were given up. Unit: instances.
    pub failed_count: i32,
    /// Which instances were given up, as inclusive ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40000))]
    pub failed: Option<String>,
    /// Failures so far, of all instances together. Unit: failures.
    pub failures: i32,
    /// Which instances have failed, by how often.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10000))]
    pub instance_failures: Vec<InstanceFailures>,
    /// The first instance that was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<FirstFailure>,
    /// Why the job has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<JobFailure>,
    /// The parents that it waits for, by kind and name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub waits_for: Vec<String>,
    /// The parents that have ended as they must, by kind and name. It goes by this, so they may be gone when it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub parents_ended: Vec<String>,
    /// Full name of the job: cluster/role/environment/name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_key: Option<String>,
    /// The role (tenant) the job belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Instances whose node is not reachable, as inclusive ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40000))]
    pub lost: Option<String>,
    /// What it was granted of its role's quota. Default: nothing, because it waits for quota or none limits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Granted>,
    /// `Ready`, `Reconciling`, `Stalled`, `Placed`; `Complete` or `Failed` once it has ended, its Pods included.
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JobPhase {
    /// It waits: for its parents, or for its cron to know of it.
    Waiting,
    /// Its instances run, or are to.
    Running,
    /// It is suspended.
    Suspended,
    /// It is over, and its last Pods are ending.
    Ending,
    /// It has succeeded.
    Complete,
    /// It has failed.
    Failed,
}

/// Why a job has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JobFailure {
    /// Too many instances were given up.
    Failed,
    /// It has taken longer than `spec.jobTimeoutSeconds`.
    TimedOut,
    /// The next run of its cron took its place.
    Killed,
    /// A person asked for it.
    KilledAsked,
}

/// The instances that have failed so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceFailures {
    /// How often. Unit: failures of each instance.
    pub failures: i32,
    /// The instances as inclusive ranges, such as `0-17,20`.
    #[schemars(length(max = 40000))]
    pub instances: String,
}

/// The first instance that was given up, by its last run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirstFailure {
    /// The instance.
    pub instance: i32,
    /// Its run: the Pod is `<job>-<instance>-<run>`.
    pub run: i32,
    /// Why it ended, one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Exit code of the container, if one exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When it ended.
    pub time: Time,
}
