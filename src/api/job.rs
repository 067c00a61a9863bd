//! The kind `AuroraJob`: instances that each run to success, once. The fields and defaults are those of Aurora's jobs
//! that are no services, the template is a Pod template.
//!
//! Rules between fields are in `rules`, the schema is finished in `schema`. Written by users and, as the runs of an
//! AuroraCron, by the operator, which else writes its status only.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no mistake")]
#![expect(unreachable_pub, reason = "the derive repeats the struct inside a function")]

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::constraints::Constraint;
use super::health::HealthCheck;
use super::job_status::AuroraJobStatus;
use super::parent::Parent;
use super::settings::{Flapping, History, PartitionPolicy};
use super::task_spec::TaskSpec;

/// A job that ends: `instances` copies of one Pod template, each of which runs to success.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "borealis.dev",
    version = "v1alpha1",
    kind = "AuroraJob",
    plural = "aurorajobs",
    singular = "aurorajob",
    shortname = "ajob",
    category = "borealis",
    namespaced,
    derive = "PartialEq",
    status = "AuroraJobStatus",
    doc = "A job that ends, with Apache Aurora's semantics: numbered instances of one Pod template, each tried until it succeeds or has failed too often. The runs of an AuroraCron are AuroraJobs.",
    scale(
        spec_replicas_path = ".spec.instances",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Job",
        type_ = "string",
        json_path = ".status.jobKey",
        description = "Job key: cluster/role/environment/name"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".spec.instances",
        description = "Instances wanted"
    ),
    printcolumn(
        name = "Succeeded",
        type_ = "integer",
        json_path = ".status.succeededCount",
        description = "Instances that have succeeded"
    ),
    printcolumn(
        name = "Running",
        type_ = "integer",
        json_path = ".status.counts.running",
        description = "Instances that are RUNNING"
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.failedCount",
        description = "Instances that were given up"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.phase",
        description = "How far the job has come"
    ),
    printcolumn(
        name = "Started",
        type_ = "date",
        json_path = ".status.startTime",
        description = "When it started",
        priority = 1
    ),
    printcolumn(
        name = "Ended",
        type_ = "date",
        json_path = ".status.endTime",
        description = "When it was decided how it ends",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AuroraJobSpec {
    /// Instances wanted, numbered from 0. Unit: instances. Default: 1. May be changed while the job runs: more are added, or
    /// those with the greatest numbers are ended.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 10000))]
    pub instances: i32,
    /// Name of its Tier: who may take its place, and whose place it may take. Cannot be changed. Default: the default
    /// tier of the AuroraRole that has the namespace, `preemptible` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub tier: Option<String>,
    /// Importance within the role: of the same tier, work of a higher priority may take the place of preemptible work of a
    /// lower one. Cannot be changed. No unit. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: i32,
    /// The Pod of an instance. restartPolicy is `Never` unless given: what fails is tried again by a new Pod. The
    /// operator sets hostname, activeDeadlineSeconds and the class of priority itself. Cannot be changed.
    pub template: PodTemplateSpec,
    /// How the health of an instance is checked: exactly one of `http`, `tcp` and `exec`. It becomes a readiness probe:
    /// an instance that is not Ready in time, or stops being so, is ended by the operator and has failed. A container
    /// with probes of its own keeps those instead. Cannot be changed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// On which nodes the Pods may be, by attributes of the nodes; all of them must hold, and their order means nothing.
    /// Cannot be changed. Default: none. Aurora: Job.constraints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub constraints: Vec<Constraint>,
    /// The pool of dedicated nodes that the Pods run on, and nowhere else: `role` or `role/pool` of the job's own role,
    /// or `*/pool`, one for every role. What they take counts towards no quota. Cannot be changed. Default: none, and then
    /// never on such nodes. Aurora: the constraint `dedicated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 61))]
    pub dedicated: Option<String>,
    /// How instances that keep failing soon after their start are held back. With the defaults the delays
    /// before the runs are 0, 60, 120, 240, 300, 300 … seconds.
    #[serde(default)]
    pub flapping: Flapping,
    /// What happens to instances on a node that is no longer reachable.
    #[serde(default)]
    pub partition: PartitionPolicy,
    /// How many Pods of ended runs are kept with their logs. Pods with volume claims are never kept.
    #[serde(default)]
    pub history: History,
    /// Failures at which an instance is given up; -1 tries it again without end. What is preempted, drained, evicted, lost
    /// or ended from outside has not failed and is started again. Unit: failures of one instance. Default: 1, no second
    /// try. Aurora: Job.max_task_failures.
    #[serde(default = "one")]
    #[schemars(range(min = -1, max = 1000))]
    pub max_task_failures: i32,
    /// The most instances that have a live Pod at a time. Unit: instances. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub parallelism: Option<i32>,
    /// Instances that must succeed for the job to be complete; the others are then ended. Unit: instances. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub min_succeeded: Option<i32>,
    /// Time that one try of an instance may take, from the start of its first container; then it is ended and has failed.
    /// Unit: seconds. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub timeout_seconds: Option<i32>,
    /// Time that the whole job may take, from its start or the last end of a suspension; then all is ended and the job has
    /// failed. Unit: seconds. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub job_timeout_seconds: Option<i32>,
    /// Time after its end at which the job is removed with its Pods. A run of an AuroraCron is removed only once that has
    /// recorded its end. Unit: seconds. Default: it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// Whether what runs is ended, without a failure, and nothing is started. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// What has to have ended before it starts: AuroraJobs, or runs of AuroraCrons since this job was made. All of them.
    /// Cannot be changed. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub parents: Vec<Parent>,
}

fn one() -> i32 {
    1
}

impl AuroraJobSpec {
    /// What it has in common with a service.
    #[must_use]
    pub fn task(&self) -> TaskSpec<'_> {
        TaskSpec {
            tier: self.tier.as_deref(),
            priority: self.priority,
            template: &self.template,
            health: self.health.as_ref(),
            constraints: &self.constraints,
            dedicated: self.dedicated.as_deref(),
            flapping: &self.flapping,
            partition: &self.partition,
            history: &self.history,
        }
    }
}
