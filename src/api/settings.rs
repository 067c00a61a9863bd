//! The parts of `AuroraService.spec` beside the template: how it is updated, throttled, kept and
//! protected. Types, defaults and bounds only; their meaning is `borealis_core`'s.
//!
//! Unions are objects of optional members and have no default in the schema: with one, switching the
//! member by `kubectl apply` would merge the new one beside the defaulted one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a change of the config reaches the instances (Aurora: JobUpdateSettings).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateSettings {
    /// Which instances are worked on together: exactly one of `queue` and `batch`.
    /// Default: `queue` with a group size of 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<UpdateStrategy>,
    /// How long an instance must stay RUNNING to count as updated. Unit: seconds, counted from when it
    /// became RUNNING. 0: RUNNING is enough, which is right for services with `health`. Default: 45.
    #[schemars(range(min = 0, max = 86400))]
    pub watch_seconds: i32,
    /// Ends of one instance that are tolerated while it is updated. Unit: ends. Default: 0, the first
    /// one makes it a failed instance. Preemption, drains and lost nodes don't count.
    #[schemars(range(min = 0, max = 1000))]
    pub max_per_instance_failures: i32,
    /// Failed instances that are tolerated; one more fails the update. Unit: instances. Default: 0.
    #[schemars(range(min = 0, max = 10000))]
    pub max_failed_instances: i32,
    /// Whether a failed update is rolled back to the last good config. Default: true.
    pub rollback_on_failure: bool,
    /// How long an instance may take to become RUNNING before it counts as failed. Unit: seconds.
    /// 0: for ever, as in Aurora. Default: 600.
    #[schemars(range(min = 0, max = 86400))]
    pub max_wait_seconds: i32,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            strategy: None,
            watch_seconds: 45,
            max_per_instance_failures: 0,
            max_failed_instances: 0,
            rollback_on_failure: true,
            max_wait_seconds: 600,
        }
    }
}

/// Which instances are worked on together. Exactly one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    /// A sliding window: the next instance begins as soon as one has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStrategy>,
    /// Groups: the next one begins when the whole group before it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchStrategy>,
}

/// A sliding window over the instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueStrategy {
    /// Instances worked on at a time. Unit: instances. Default: 1.
    #[schemars(range(min = 1, max = 10000))]
    pub group_size: i32,
}

impl Default for QueueStrategy {
    fn default() -> Self {
        Self { group_size: 1 }
    }
}

/// Groups of instances, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchStrategy {
    /// Instances in a group. Unit: instances. Default: 1.
    #[schemars(range(min = 1, max = 10000))]
    pub group_size: i32,
}

impl Default for BatchStrategy {
    fn default() -> Self {
        Self { group_size: 1 }
    }
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
    /// The newest failed runs that are kept. Unit: Pods of the service. Default: 3.
    #[schemars(range(min = 0, max = 100))]
    pub failed: i32,
    /// The newest runs kept that were ended on purpose. Unit: Pods of the service. Default: 1.
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
