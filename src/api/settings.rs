//! The parts of `AuroraService.spec` beside the template: how it is updated, throttled, kept and
//! protected. Types, defaults and bounds only; their meaning is `borealis_core`'s.
//!
//! Unions are objects of optional members and have no default in the schema: with one, switching the
//! member by `kubectl apply` would merge the new one beside the defaulted one.

use k8s_openapi::apimachinery::pkg::{apis::meta::v1::Time, util::intstr::IntOrString};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::Check;
use super::references::SourceKind;

/// How a change of the config reaches the instances (Aurora: JobUpdateSettings).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateSettings {
    /// Which instances are worked on together: exactly one of `queue`, `batch` and `variableBatch`.
    /// Default: `queue` with a group size of 1. Aurora: JobUpdateSettings.updateStrategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<UpdateStrategy>,
    /// The instances that may be changed, come or go, as inclusive ranges such as `0-4,17`; all others stay as
    /// they are. Widening it later goes on with what is added. Default: all. Aurora:
    /// JobUpdateSettings.updateOnlyTheseInstances.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 1024),
        regex(pattern = r"^([0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*)?$")
    )]
    pub instances: Option<String>,
    /// How long an instance must stay RUNNING and Ready to count as updated. Unit: seconds, counted from when it
    /// became Ready. If it stops being Ready meanwhile, that is a failure of the instance. 0: RUNNING is enough,
    /// which is right for services with `health`. Default: 45. Aurora: JobUpdateSettings.minWaitInInstanceRunningMs.
    #[schemars(range(min = 0, max = 86400))]
    pub watch_seconds: i32,
    /// Failures of one instance that are tolerated while it is updated: ends by itself, and losses of readiness within
    /// the watch, after which it is made anew. Unit: failures. Default: 0, the first one makes it a failed
    /// instance. Preemption, drains, evictions and lost nodes don't count. Aurora:
    /// JobUpdateSettings.maxPerInstanceFailures.
    #[schemars(range(min = 0, max = 1000))]
    pub max_per_instance_failures: i32,
    /// Failed instances that are tolerated; one more fails the update. A number of instances, or a percentage of
    /// the service's such as `10%`, rounded down. Default: 0. Aurora: JobUpdateSettings.maxFailedInstances.
    pub max_failed_instances: IntOrString,
    /// Whether a failed update is rolled back to the last good config. Default: true. Aurora:
    /// JobUpdateSettings.rollbackOnFailure.
    pub rollback_on_failure: bool,
    /// How long an instance may take to become RUNNING before it counts as failed. Unit: seconds.
    /// 0: for ever, as in Aurora. Default: 600.
    #[schemars(range(min = 0, max = 86400))]
    pub max_wait_seconds: i32,
    /// If set, an update waits for a pulse before it begins, and goes on only while the last one is younger than
    /// this: `controls.pulse` of the AuroraUpdate is to be written at least as often. Unit: seconds. Default: no
    /// pulses are asked for. Aurora: JobUpdateSettings.blockIfNoPulsesAfterMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub pulse_interval_seconds: Option<i32>,
    /// What must hold while an update goes forward, as far as it is measured from outside. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub checks: Vec<Check>,
    /// If above 0, the next Pod of an instance is made beside the one that runs, which ends once the new one has
    /// passed its watch; so many instances have two at a time at most, and the rest of their group waits. For that
    /// while both have the instance's number and host name. Not with host ports, volume claims, required anti-affinity or a limit per
    /// domain. A number of instances, or a percentage of the service's such as `10%`, rounded down but at least 1.
    /// Default: 0, one after the other, as in Aurora.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrString>,
    /// Whether no new update begins. One that goes on is not touched; `controls.paused` of the AuroraUpdate does
    /// that. Default: false.
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// What a change of the spec does while an update goes on. Default: `Supersede`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub while_updating: Option<WhileUpdating>,
    /// Which objects that the template names are part of the config, with what they hold: their change is an update,
    /// and a rollback brings their old contents back. Each config has immutable copies of them, which its Pods use.
    /// Secrets need a right that a namespace gives. Default: `ConfigMaps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_config: Option<TrackConfig>,
    /// Asks for a rolling restart: an update that makes anew every Pod made before this time, once it has come.
    /// Default: none. Aurora: restartShards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_at: Option<Time>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What a change of the spec does while an update goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhileUpdating {
    /// The update is given up, and one to what the spec says now takes its place. If that fails, it is rolled back
    /// to what ran before the first.
    Supersede,
    /// The change waits until the update has ended.
    Queue,
}

/// Which objects that the template names are part of the config, with what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrackConfig {
    /// Those of no kind: Pods use them as they are at the time.
    None,
    /// ConfigMaps.
    ConfigMaps,
    /// ConfigMaps and Secrets. The operator may read Secrets only where a Role of the namespace lets it.
    ConfigMapsAndSecrets,
}

impl TrackConfig {
    /// Whether objects of the kind are part of the config.
    #[must_use]
    pub fn tracks(self, kind: SourceKind) -> bool {
        match (self, kind) {
            (Self::None, _) | (Self::ConfigMaps, SourceKind::Secret) => false,
            (Self::ConfigMaps | Self::ConfigMapsAndSecrets, _) => true,
        }
    }
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            strategy: None,
            watch_seconds: 45,
            max_per_instance_failures: 0,
            max_failed_instances: IntOrString::Int(0),
            rollback_on_failure: true,
            max_wait_seconds: 600,
            instances: None,
            pulse_interval_seconds: None,
            checks: Vec::new(),
            max_surge: None,
            paused: false,
            while_updating: None,
            track_config: None,
            restart_at: None,
        }
    }
}

/// Which instances are worked on together, and how they are changed. Exactly one of `queue`, `batch` and
/// `variableBatch`; none of them, beside `inPlace`, is `queue` with a group size of 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    /// A sliding window: the next instance begins as soon as one has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStrategy>,
    /// Groups: the next one begins when the whole group before it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchStrategy>,
    /// Groups of several sizes, such as one instance first and many later. Aurora: VariableBatchJobUpdateStrategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable_batch: Option<VariableBatchStrategy>,
    /// Whether Pods are changed in place where only images, labels, annotations, CPU or memory differ and the kubelet
    /// can do it: they keep their node and their run. Only Pods made while it says `IfPossible` can be; all others
    /// are made anew. Default: `Never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
}

/// Whether Pods are changed in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InPlace {
    /// Every change makes Pods anew.
    Never,
    /// Where that is possible; otherwise Pods are made anew.
    IfPossible,
}

/// A sliding window over the instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueStrategy {
    /// Instances worked on at a time: a number, or a percentage of the service's instances such as `10%`, rounded
    /// down but at least 1. Default: 1.
    pub group_size: IntOrString,
}

impl Default for QueueStrategy {
    fn default() -> Self {
        Self { group_size: IntOrString::Int(1) }
    }
}

/// Groups of instances, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchStrategy {
    /// Instances in a group: a number, or a percentage of the service's instances such as `10%`, rounded down but at
    /// least 1. Default: 1.
    pub group_size: IntOrString,
    /// Whether the update pauses after each group but the last, until `controls.resumeAfterBatch` of the AuroraUpdate
    /// lets it go on. Never on the way back. Default: false.
    pub autopause_after_batch: bool,
}

impl Default for BatchStrategy {
    fn default() -> Self {
        Self { group_size: IntOrString::Int(1), autopause_after_batch: false }
    }
}

/// Groups of several sizes, one after the other. On the way back they are gone through in reverse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VariableBatchStrategy {
    /// Instances in the first group, the second and so on; the last one goes for all that follow. Each is a number, or
    /// a percentage of the service's instances such as `10%`, rounded down but at least 1. At least one.
    #[schemars(length(max = 64))]
    pub group_sizes: Vec<IntOrString>,
    /// Whether the update pauses after each group but the last, until `controls.resumeAfterBatch` of the AuroraUpdate
    /// lets it go on. Never on the way back. Default: false.
    pub autopause_after_batch: bool,
}

/// How instances that keep ending soon after their start are held back. With the
/// defaults the delays before the runs are 0, 60, 120, 240, 300, 300 … seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Flapping {
    /// A run that lasted less than this is flapping. Unit: seconds. Default: 300.
    #[schemars(range(min = 0, max = 86400))]
    pub threshold_seconds: i32,
    /// Delay after the second flapping run; it doubles with each further one. Unit: seconds.
    /// Default: 60.
    #[schemars(range(min = 0, max = 86400))]
    pub initial_delay_seconds: i32,
    /// The longest delay. Unit: seconds. Default: 300.
    #[schemars(range(min = 0, max = 86400))]
    pub max_delay_seconds: i32,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { threshold_seconds: 300, initial_delay_seconds: 60, max_delay_seconds: 300 }
    }
}

/// What happens to instances on a node that is no longer reachable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PartitionPolicy {
    /// Whether such an instance is started elsewhere. If false, it waits for its node to return.
    /// Default: true, but false when the template uses a persistentVolumeClaim or an ephemeral volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reschedule: Option<bool>,
    /// How long to wait for the node first. Unit: seconds since the node was marked. Default: 0.
    #[schemars(range(min = 0, max = 604800))]
    pub delay_seconds: i32,
}

/// How many Pods of ended runs are kept with their logs. Pods with volume claims are never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// The newest failed runs that are kept. Unit: Pods of the service or job. Default: 3.
    #[schemars(range(min = 0, max = 100))]
    pub failed: i32,
    /// The newest runs kept that were ended on purpose; of a job, that succeeded. Unit: Pods of the service or job.
    /// Default: 1.
    #[schemars(range(min = 0, max = 100))]
    pub ended: i32,
    /// How long they are kept at most. Unit: seconds. Default: 172800 (2 days).
    #[schemars(range(min = 0, max = 31536000))]
    pub ttl_seconds: i32,
}

impl Default for History {
    fn default() -> Self {
        Self { failed: 3, ended: 1, ttl_seconds: 172_800 }
    }
}

/// Stable DNS names for the instances. The object being there is the wish; it has no fields yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discovery {}

/// How many instances must stay up when Pods are moved on purpose (drains, maintenance, autoscaler).
/// Exactly one member. Whatever it says, one instance may always be taken down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sla {
    /// Instances that must be up. Unit: instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub count: Option<i32>,
    /// Share of the instances that must be up. Unit: percent, rounded up to whole instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percentage: Option<i32>,
}
