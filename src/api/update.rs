//! The kind `AuroraUpdate`: one update of one service. Made by the operator, kept as its record, and
//! the place of its controls.
//!
//! `instructions` never change: they are what a rollback, a restart of the operator or a later version
//! goes by. `controls` are the users'. Progress is the status. The update planner decides; the
//! executor writes.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no mistake")]
#![expect(unreachable_pub, reason = "the derive repeats the struct inside a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observed;
use super::settings::UpdateSettings;
use super::status::RevisionInstances;

/// One update of one service.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "borealis.dev",
    version = "v1alpha1",
    kind = "AuroraUpdate",
    plural = "auroraupdates",
    singular = "auroraupdate",
    shortname = "aupd",
    category = "borealis",
    namespaced,
    derive = "PartialEq",
    status = "AuroraUpdateStatus",
    doc = "One update of one AuroraService: made by the operator, the record of what happened, and the place to pause, abort or roll it back (spec.controls).",
    printcolumn(
        name = "Service",
        type_ = "string",
        json_path = ".spec.service",
        description = "The AuroraService"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "State of the update, in Aurora's words"
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "Instances that are through, of all in scope"
    ),
    printcolumn(
        name = "Failures",
        type_ = "integer",
        json_path = ".status.counts.failed",
        description = "Instances that failed"
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".spec.instructions.to.revision",
        description = "The config that is rolled out",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".spec.message",
        description = "What the change is about",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AuroraUpdateSpec {
    /// Name of the AuroraService, in the same namespace. Cannot be changed.
    #[schemars(length(min = 1, max = 63))]
    pub service: String,
    /// Number of the update, counting up from 1 for the service. Cannot be changed.
    #[schemars(range(min = 1))]
    pub number: i32,
    /// What the update does. Cannot be changed.
    pub instructions: Instructions,
    /// What the change is about: annotation `borealis.dev/message` of the service when the update was made. Cannot be
    /// changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// Who last changed the spec of the service, as its field managers say. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub author: Option<String>,
    /// What differs between the config that most of its instances had and the new one, a line each. Cannot be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 256)))]
    pub changes: Vec<String>,
    /// What people ask of the update while it goes on, or after it.
    #[serde(default)]
    pub controls: Controls,
}

/// What the update does: computed once, when it is made (Aurora: JobUpdateInstructions).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instructions {
    /// The configs that the instances in scope had before; instances that did not exist are absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub from: Vec<RevisionInstances>,
    /// The config that is rolled out and the instances that get it: those that change or come, none where
    /// instances only go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RevisionInstances>,
    /// What a rollback goes back to when this update superseded others half way: all instances as they
    /// were before the first of them; one that is not named is removed. Default: `from`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub base: Vec<RevisionInstances>,
    /// Instances the service shall have with the update.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10000))]
    pub instances: i32,
    /// Instances the service asked for. Default: `instances`, from which it differs where `settings.instances` leaves
    /// out some that would come or go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub asked: Option<i32>,
    /// Instances it had before: a rollback goes back to this number, too.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10000))]
    pub previous_instances: i32,
    /// Hash of the last good config when the update was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub last_good: Option<String>,
    /// Number of the update that is taken back by this one, which only goes back: from `to` to `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub takes_back: Option<i32>,
    /// Configs that differ from `to` in nothing else than what can be changed in place, found when the update was made:
    /// between these and `to`, forward and back, Pods need not be made anew. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub in_place: Vec<String>,
    /// `spec.update` of the service as it was when the update was made.
    #[serde(default)]
    pub settings: UpdateSettings,
}

/// What people ask of an update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Controls {
    /// Whether the update starts nothing new. Instances that are being replaced go on. Default: false.
    pub paused: bool,
    /// Ask to stop the update where it is; the instances stay as they are. Cannot be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Request>,
    /// Ask to go back to the configs before the update. Where it has ended ROLLED_FORWARD or FAILED, a new
    /// AuroraUpdate takes it back. Cannot be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Request>,
    /// Ask to try the config of a failed update again, by a new AuroraUpdate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Request>,
    /// Go on after this batch, counted from 1, where the strategy pauses after each. A number beyond all batches
    /// lets it go through. Default: 0.
    #[schemars(range(min = 0, max = 10000))]
    pub resume_after_batch: i32,
    /// The last pulse: a sign from outside that the update may go on. Aurora: pulseJobUpdate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulse: Option<Pulse>,
}

/// A sign from outside that an update may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pulse {
    /// When it was sent, by the sender's clock, RFC 3339 in whole seconds. A time to come counts as the time when it
    /// was seen.
    pub at: Time,
}

/// A wish and where it comes from. Both fields may be left out: `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// Why, in words; kept in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Who asks; kept in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub author: Option<String>,
}

/// State of an update, in Aurora's words (Aurora: JobUpdateStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpdateState {
    RollingForward,
    RollingBack,
    RollForwardPaused,
    RollBackPaused,
    RolledForward,
    RolledBack,
    Aborted,
    Error,
    Failed,
    RollForwardAwaitingPulse,
    RollBackAwaitingPulse,
}

/// Progress of an update. Written by the operator only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuroraUpdateStatus {
    /// The metadata.generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "observed::read")]
    pub observed_generation: Option<i64>,
    /// State of the update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<UpdateState>,
    /// When it began to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When instances were last taken on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advanced: Option<Time>,
    /// Instances that are through, of all in scope, such as `37/200`; on the way back, of all that have to go back.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub progress: String,
    /// The last pulse that was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulse: Option<TakenPulse>,
    /// Controls that are not acted on, and why.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub refused: String,
    /// When it reached a final state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
    /// Why it is in this state, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 4096))]
    pub message: String,
    /// The greatest run there was when the present direction began; the Pods this update makes have greater ones.
    pub floor: i32,
    /// Instances that were taken on in any way, as ranges; on the way back, those that have to go back.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 40000))]
    pub touched: String,
    /// Instances worked on now, as ranges.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 40000))]
    pub working: String,
    /// Instances that have been updated, as ranges.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 40000))]
    pub updated: String,
    /// Instances that have been rolled back, as ranges.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 40000))]
    pub rolled_back: String,
    /// Instances that failed on the way forward, as ranges.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 40000))]
    pub failed: String,
    /// Instances that failed on the way back, as ranges.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 40000))]
    pub failed_back: String,
    /// The instances that ended while they were worked on, in the present direction; at most 1000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub failures: Vec<InstanceFailure>,
    /// What failed the update: the first instance that ended more often than is tolerated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<InstanceFailure>,
    /// What the checks last said; written when that changes, not at each measurement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub checks: Vec<CheckStatus>,
    /// How many instances each of the ranges holds.
    pub counts: UpdateCounts,
    /// Ready, Reconciling and Stalled, as kstatus reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// A pulse that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenPulse {
    /// As it was sent.
    pub at: Time,
    /// From when it lasts.
    pub from: Time,
}

/// What a check last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// The check's name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was measured when that was found out. Absent where there was no value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub value: String,
    /// What was found, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub message: String,
    /// When it was measured.
    pub time: Time,
}

/// Instances of an update by what became of them. Unit: instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateCounts {
    /// All it is about.
    pub total: i32,
    /// Taken on in any way.
    pub touched: i32,
    /// Worked on now.
    pub working: i32,
    /// Updated.
    pub updated: i32,
    /// Rolled back.
    pub rolled_back: i32,
    /// Failed, on the way forward.
    pub failed: i32,
}

/// The ends of one instance while it was worked on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceFailure {
    /// The instance.
    pub instance: i32,
    /// Ends counted against it.
    pub count: i32,
    /// UID of the Pod counted last: each counts once, whoever looks again. Absent if no Pod came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub pod_uid: Option<String>,
    /// Run of that Pod. Default: 0, no Pod came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub run: Option<i32>,
    /// Why that Pod ended, one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Why that Pod ended, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Exit code of its container, if one exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Whether the instance failed: it ended more often than is tolerated.
    #[serde(default)]
    pub failed: bool,
    /// When that Pod ended.
    pub time: Time,
}

/// Name of the AuroraUpdate with this number.
#[must_use]
pub fn update_name(service: &str, number: u32) -> String {
    format!("{service}-{number}")
}
