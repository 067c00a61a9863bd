//! The kind `AuroraService`: what a user asks for. The fields and defaults are those of Aurora's jobs and
//! updates, the template is a Pod template.
//!
//! Rules between fields are in `rules`, the schema is finished in `schema`. Read by the service
//! controller; the operator writes its status only, never its spec.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no mistake")]
#![expect(unreachable_pub, reason = "the derive repeats the struct inside a function")]

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::constraints::Constraint;
use super::health::HealthCheck;
use super::references::{Reference, references};
use super::revision::TaskConfig;
use super::settings::{Discovery, Flapping, History, PartitionPolicy, Sla, TrackConfig, UpdateSettings};
use super::status::AuroraServiceStatus;
use super::task_spec::TaskSpec;

/// A long-running job: `instances` copies of one Pod template, each replaced whenever it ends.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "borealis.dev",
    version = "v1alpha1",
    kind = "AuroraService",
    plural = "auroraservices",
    singular = "auroraservice",
    shortname = "asvc",
    category = "borealis",
    namespaced,
    derive = "PartialEq",
    status = "AuroraServiceStatus",
    doc = "A long-running job with Apache Aurora's semantics: numbered instances of one Pod template, replaced whenever they end, updated in groups, rolled back when an update fails.",
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
        name = "Running",
        type_ = "integer",
        json_path = ".status.counts.running",
        description = "Instances that are RUNNING"
    ),
    printcolumn(
        name = "Updated",
        type_ = "integer",
        json_path = ".status.counts.updated",
        description = "Instances that have the wanted config"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Reason of the condition Ready"
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.currentRevision",
        description = "Last good config",
        priority = 1
    ),
    printcolumn(
        name = "Update",
        type_ = "string",
        json_path = ".status.update.name",
        description = "Current or last AuroraUpdate",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AuroraServiceSpec {
    /// Instances wanted, numbered from 0. Unit: instances. Default: 1. Changing only this adds or
    /// removes instances of the last good config; it is no update.
    #[serde(default = "default_instances")]
    #[schemars(range(min = 0, max = 10000))]
    pub instances: i32,
    /// Name of its Tier: who may take its place, and whose place it may take. Changing it updates all instances.
    /// Default: the default tier of the AuroraRole that has the namespace, `preemptible` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub tier: Option<String>,
    /// Importance within the role: of the same tier, work of a higher priority may take the place of preemptible work of a
    /// lower one. Changing it updates all instances. No unit. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: i32,
    /// The Pod of an instance. restartPolicy is `Never` unless given: an instance that ends is replaced
    /// by a new Pod. The operator sets hostname, subdomain, activeDeadlineSeconds and the class of priority itself.
    pub template: PodTemplateSpec,
    /// How the health of an instance is checked: exactly one of `http`, `tcp` and `exec`. Checking begins
    /// as soon as the container runs; an instance becomes RUNNING after `minConsecutiveSuccesses` good
    /// checks, and failures don't count during `initialIntervalSeconds`. A running instance fails after
    /// more than `maxConsecutiveFailures` bad checks in a row and is replaced. A container with probes of
    /// its own keeps those instead. Default: none, an instance is RUNNING when its Pod is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// On which nodes the Pods may be, by attributes of the nodes; all of them must hold, and their order means nothing.
    /// Changing them updates all instances. Default: none. Aurora: Job.constraints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub constraints: Vec<Constraint>,
    /// The pool of dedicated nodes that the Pods run on, and nowhere else: `role` or `role/pool` of the service's own role,
    /// or `*/pool`, one for every role. The role must be allowed to use it (`spec.dedicated` of the AuroraRole). Its nodes
    /// have the label `borealis.dev/dedicated`, and the taint, with the value `role`, `role.pool` or `ANY.pool`. What they
    /// take counts towards no quota. Changing it updates all instances. Default: none, and then never on such nodes.
    /// Aurora: the constraint `dedicated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 61))]
    pub dedicated: Option<String>,
    /// How a change of the config reaches the instances.
    #[serde(default)]
    pub update: UpdateSettings,
    /// How instances that keep ending soon after their start are held back. With the defaults the delays
    /// before the runs are 0, 60, 120, 240, 300, 300 … seconds.
    #[serde(default)]
    pub flapping: Flapping,
    /// What happens to instances on a node that is no longer reachable.
    #[serde(default)]
    pub partition: PartitionPolicy,
    /// How many Pods of ended runs are kept with their logs. Pods with volume claims are never kept.
    #[serde(default)]
    pub history: History,
    /// If set (`{}`), a headless Service of the same name gives each instance the stable DNS name
    /// `<name>-<instance>.<name>.<namespace>.svc`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// How many instances must stay up when Pods are moved on purpose (drains, maintenance, autoscaler):
    /// exactly one of `count` and `percentage`. Whatever it says, one instance may always be down.
    /// Default: all but 5 percent, or all but one if that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla: Option<Sla>,
}

fn default_instances() -> i32 {
    1
}

impl AuroraServiceSpec {
    /// What it has in common with a job.
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

    /// What shapes a Pod: the part whose change starts an update, with this tier where it names none. What the objects
    /// hold that it names is left to those who can read them.
    #[must_use]
    pub fn task_config(&self, default_tier: &str) -> TaskConfig {
        TaskConfig { discovery: self.discovery.is_some(), ..self.task().config(default_tier) }
    }

    /// The objects the template names whose contents are part of the config, each once, sorted.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let track = self.update.track_config.unwrap_or(TrackConfig::ConfigMaps);
        let spec = self.template.spec.as_ref();
        spec.map(|spec| references(spec, |kind| track.tracks(kind))).unwrap_or_default()
    }
}
