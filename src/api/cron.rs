//! The kind `AuroraCron`: when a job is run. The grammar of schedules and the collision policies are Aurora's, the rest is
//! what Chronos and CronJobs had.
//!
//! Rules between fields are in `rules`, the schema is finished in `schema`; whether a schedule and a zone can be read is
//! found by the conversion. Written by users; the operator writes its status only.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no mistake")]
#![expect(unreachable_pub, reason = "the derive repeats the struct inside a function")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cron_status::AuroraCronStatus;
use super::job::AuroraJobSpec;
use super::parent::Parent;

/// A job that is run again and again: by a schedule, after others, or when it is asked for.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "borealis.dev",
    version = "v1alpha1",
    kind = "AuroraCron",
    plural = "auroracrons",
    singular = "auroracron",
    shortname = "acron",
    category = "borealis",
    namespaced,
    derive = "PartialEq",
    status = "AuroraCronStatus",
    doc = "A cron job with Apache Aurora's semantics: each run is an AuroraJob named by its scheduled time, made exactly once.",
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".status.schedule",
        description = "When runs are due"
    ),
    printcolumn(
        name = "Zone",
        type_ = "string",
        json_path = ".status.timeZone",
        description = "Time zone of the schedule"
    ),
    printcolumn(
        name = "Suspended",
        type_ = "boolean",
        json_path = ".spec.suspend",
        description = "No run is started"
    ),
    printcolumn(
        name = "Last run",
        type_ = "date",
        json_path = ".status.lastRunTime",
        description = "The time that the last run is the run of"
    ),
    printcolumn(
        name = "Outcome",
        type_ = "string",
        json_path = ".status.lastOutcome",
        description = "What became of the last run"
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextRunTime",
        description = "When the next run is due"
    ),
    printcolumn(
        name = "Active",
        type_ = "integer",
        json_path = ".status.active",
        description = "Runs that go on"
    ),
    printcolumn(
        name = "Missed",
        type_ = "integer",
        json_path = ".status.missed",
        description = "Times that nobody was there for",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AuroraCronSpec {
    /// When runs are due: at all times that any of these rules says. Each is of five fields such as `30 3 * * MON-FRI`, a
    /// word such as `@hourly`, or a repeating interval such as `R/2026-01-01T00:00:00Z/PT90M`. May be none where
    /// `parents` names some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)))]
    pub schedules: Vec<String>,
    /// IANA name of the time zone of the schedules, such as `Europe/Berlin`. A local time that a change of the clocks
    /// leaves out runs right after the gap, one that comes twice runs once. Default: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Whether no run is started, but for one that `runAt` asks for. What is due meanwhile is not made up. Runs that go on
    /// are not touched. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// What happens where a run is due while one goes on. Default: `KillExisting`. Aurora: Job.cron_collision_policy.
    #[serde(default)]
    pub collision_policy: CollisionPolicy,
    /// Which of the times are made up that were missed, since no operator was there.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Over how long starts are spread: each cron has a delay of its own below this, always the same. Unit: seconds.
    /// Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub jitter_seconds: i32,
    /// How many runs are kept that have ended.
    #[serde(default)]
    pub history: RunHistory,
    /// Asks for one run, once this time has come, whatever the schedules say. Another time asks for another run.
    /// Default: none. Aurora: startCronJob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Time>,
    /// What has to have ended since the last run before the next one starts: AuroraJobs, or runs of AuroraCrons. All of
    /// them. Without schedules their ends are when runs are due. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub parents: Vec<Parent>,
    /// The job that each run is. A change is for later runs only.
    pub job: RunTemplate,
}

/// What happens where a run is due while one goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CollisionPolicy {
    /// The run that goes on is ended; when its Pods are gone the next one starts.
    #[default]
    KillExisting,
    /// The run that is due is left out.
    CancelNew,
    /// The run that is due waits for the end of the other; one waits at the most.
    Queue,
}

/// Which of the times are made up that were missed: more than a minute went by, or the next time came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CatchUp {
    /// Which. Default: `None`, as in Aurora.
    pub policy: CatchUpPolicy,
    /// How old a time may be that is made up. Unit: seconds. Default: 3600. Not read with `None`.
    #[schemars(range(min = 60, max = 2_592_000))]
    pub window_seconds: i32,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { policy: CatchUpPolicy::None, window_seconds: 3600 }
    }
}

/// Which of the times are made up that were missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CatchUpPolicy {
    /// None.
    #[default]
    None,
    /// The last one within the window.
    Latest,
    /// All within the window, one after the other, a hundred at the most.
    All,
}

/// How many runs are kept that have ended, each with its AuroraJob and the Pods that this keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunHistory {
    /// The newest that succeeded. Unit: runs. Default: 3.
    #[schemars(range(min = 0, max = 100))]
    pub succeeded: i32,
    /// The newest that did not. Unit: runs. Default: 3.
    #[schemars(range(min = 0, max = 100))]
    pub failed: i32,
}

impl Default for RunHistory {
    fn default() -> Self {
        Self { succeeded: 3, failed: 3 }
    }
}

/// The job that each run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunTemplate {
    /// Labels and annotations of the AuroraJobs.
    #[serde(default, skip_serializing_if = "RunMetadata::is_empty")]
    pub metadata: RunMetadata,
    /// Spec of the AuroraJobs.
    pub spec: AuroraJobSpec,
}

/// Labels and annotations of the AuroraJobs. None may begin with `borealis.dev/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunMetadata {
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl RunMetadata {
    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}
