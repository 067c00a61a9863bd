//! A service as the planner sees it: what its spec asks for, without the template.

use super::{Revision, Uid};

/// One AuroraService, read from its spec and metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The object's uid; a re-created service has another.
    pub uid: Uid,
    /// The object's generation: grows with every change of the spec.
    pub generation: i64,
    /// The object is being deleted; nothing is started any more.
    pub deleting: bool,
    /// How many instances shall run: `0..instances`.
    pub instances: u32,
    /// The config in the spec, by its hash.
    pub revision: Revision,
    /// How a change of config is rolled out.
    pub update: UpdateSettings,
    /// How tasks that end young are held back.
    pub flapping: Flapping,
    /// What happens to tasks on a node that was lost.
    pub partition: Partition,
    /// Which ended tasks keep their Pod and logs.
    pub history: History,
}

/// How a change of config is rolled out (Aurora: JobUpdateSettings).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSettings {
    /// In which groups instances are changed.
    pub strategy: Strategy,
    /// Seconds an instance must have been RUNNING to be called good (Aurora: minWaitInInstanceRunningMs).
    pub watch_seconds: u32,
    /// Failures of one instance that are borne (Aurora: maxPerInstanceFailures).
    pub max_per_instance_failures: u32,
    /// Failed instances that are borne (Aurora: maxFailedInstances).
    pub max_failed_instances: u32,
    /// Whether a failed update is taken back (Aurora: rollbackOnFailure).
    pub rollback_on_failure: bool,
    /// Seconds an instance has to become RUNNING; 0 is no limit.
    pub max_wait_seconds: u32,
}

/// In which groups instances are changed (Aurora: JobUpdateStrategy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// A sliding window: the next instance starts when any is done.
    Queue {
        /// The most instances being changed at a time, at least 1.
        group_size: u32,
    },
    /// One group after the other: the next starts when the last is done as a whole.
    Batch {
        /// The size of a group, at least 1.
        group_size: u32,
    },
}

/// How tasks that end young are held back: 0, initial, twice that … up to the maximum (Aurora: flapping task
/// threshold and delays).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// A task that ends by itself younger than this, in seconds, has flapped.
    pub threshold_seconds: u32,
    /// Seconds the second flap in a row is held back; the first is not.
    pub initial_delay_seconds: u32,
    /// The longest hold, in seconds.
    pub max_delay_seconds: u32,
}

/// What happens to tasks on a node that was lost (Aurora: PartitionPolicy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Whether they are replaced at all; otherwise they wait for the node.
    pub reschedule: bool,
    /// Seconds after the loss at which they are replaced.
    pub delay_seconds: u32,
}

/// Which ended tasks keep their Pod and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// How many that ended by themselves.
    pub failed: u32,
    /// How many that were ended on purpose.
    pub ended: u32,
    /// Seconds an ended task is kept at most.
    pub ttl_seconds: u32,
}

/// One stored config of the service: a ControllerRevision without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionRecord {
    /// Which config.
    pub revision: Revision,
    /// The object's uid.
    pub uid: Uid,
    /// Counts the service's stored configs from 1, in the order they were first seen.
    pub number: i64,
    /// The service's last good config: what new instances run and rollbacks go to.
    pub last_good: bool,
    /// An update to this config failed; it isn't tried again by itself.
    pub failed: bool,
    /// The object's controller is this very service.
    pub owned: bool,
}
