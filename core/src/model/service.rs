//! A service, or a job whose instances run to their end, as the planner sees it: what its spec asks for, without the
//! template.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Amount, Batch, Check, Dedicated, Instance, JobKind, OnFailure, Ranges, Resources, Revision, Uid,
};

/// One AuroraService or AuroraJob, read from its spec and metadata.
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
    /// No update is begun; one that goes on is not touched by it.
    pub hold_updates: bool,
    /// A change waits until the update before it has ended, instead of taking its place.
    pub queue_updates: bool,
    /// How tasks that end young are held back.
    pub flapping: Flapping,
    /// What happens to tasks on a node that was lost.
    pub partition: Partition,
    /// Which ended tasks keep their Pod and logs.
    pub history: History,
    /// What it is to the cluster and to its role.
    pub work: Work,
    /// What makes it end; `None` of a service, which never does.
    pub batch: Option<Box<Batch>>,
}

impl Service {
    /// What kind of job it is.
    pub fn kind(&self) -> JobKind {
        if self.batch.is_some() { JobKind::Job } else { JobKind::Service }
    }
}

/// What a job is to the cluster and to its role: how it ranks, and how much it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// When the job was made: of two that wait for quota the older comes first.
    pub created: Timestamp,
    /// The name of its tier.
    pub tier: Arc<str>,
    /// Its importance within the role (Aurora: TaskConfig.priority).
    pub priority: i32,
    /// What one instance asks for.
    pub each: Resources,
    /// The pool of dedicated nodes it runs on.
    pub dedicated: Option<Dedicated>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            created: Timestamp::UNIX_EPOCH,
            tier: "preemptible".into(),
            priority: 0,
            each: Resources::NONE,
            dedicated: None,
        }
    }
}

/// How a change of config is rolled out (Aurora: JobUpdateSettings).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSettings {
    /// In which groups instances are changed.
    pub strategy: Strategy,
    /// The instances that may be changed, come or go; all of them where it says nothing (Aurora:
    /// updateOnlyTheseInstances).
    pub scope: Option<Ranges>,
    /// Tasks made before this are replaced although their config is right.
    pub restart_at: Option<Timestamp>,
    /// Seconds an instance must have been RUNNING to be called good (Aurora: minWaitInInstanceRunningMs).
    pub watch_seconds: u32,
    /// Failures of one instance that are borne (Aurora: maxPerInstanceFailures).
    pub max_per_instance_failures: u32,
    /// Failed instances that are borne (Aurora: maxFailedInstances).
    pub max_failed_instances: Amount,
    /// Whether a failed update is taken back (Aurora: rollbackOnFailure).
    pub rollback_on_failure: bool,
    /// Seconds an instance has to become RUNNING; 0 is no limit.
    pub max_wait_seconds: u32,
    /// Seconds a pulse lasts; without a fresh one nothing goes on. 0 asks for none (Aurora: blockIfNoPulsesAfterMs).
    pub pulse_interval_seconds: u32,
    /// What must hold on the way forward, at most [`super::MAX_CHECKS`].
    pub checks: Vec<Check>,
    /// Whether Pods are changed in place where that is possible.
    pub in_place: bool,
    /// The most instances that have two live tasks at a time, the next run beside the one it takes the place of. 0: the
    /// next run is only made once the last has ended.
    pub max_surge: Amount,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            strategy: Strategy::Queue { group_size: Amount::Count(1) },
            scope: None,
            restart_at: None,
            watch_seconds: 45,
            max_per_instance_failures: 0,
            max_failed_instances: Amount::Count(0),
            rollback_on_failure: true,
            max_wait_seconds: 600,
            pulse_interval_seconds: 0,
            checks: Vec::new(),
            in_place: false,
            max_surge: Amount::Count(0),
        }
    }
}

impl UpdateSettings {
    /// Whether an instance may be changed, come or go.
    pub fn allows(&self, instance: Instance) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.contains(instance))
    }

    /// The checks that mean this when they fail.
    pub fn checks_that(&self, on_failure: OnFailure) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.on_failure == on_failure)
    }

    /// How many instances of so many may have two live tasks at a time: a share is at least 1.
    pub fn surge(&self, all: u32) -> u32 {
        match self.max_surge {
            Amount::Count(count) => count,
            Amount::Percent(_) => self.max_surge.of(all).max(1),
        }
    }
}

/// In which groups instances are changed (Aurora: JobUpdateStrategy). A share is of all instances of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// A sliding window: the next instance starts when any is done.
    Queue {
        /// The most instances being changed at a time, at least 1.
        group_size: Amount,
    },
    /// One group after the other: the next starts when the last is done as a whole.
    Batch {
        /// The size of a group, at least 1.
        group_size: Amount,
        /// It is paused after each group.
        autopause: bool,
    },
    /// The same with groups of several sizes (Aurora: VariableBatchJobUpdateStrategy).
    VariableBatch {
        /// The sizes of the groups, each at least 1; the last one goes for all that follow.
        group_sizes: Vec<Amount>,
        /// It is paused after each group.
        autopause: bool,
    },
}

impl Strategy {
    /// The sizes of its groups in a job of so many instances: at least one, none of them 0. The last one repeats.
    pub fn sizes(&self, all: u32) -> Vec<u32> {
        let sizes = match self {
            Self::Queue { group_size } | Self::Batch { group_size, .. } => std::slice::from_ref(group_size),
            Self::VariableBatch { group_sizes, .. } => group_sizes,
        };
        let sizes: Vec<u32> = sizes.iter().map(|size| size.of(all).max(1)).collect();
        if sizes.is_empty() { vec![1] } else { sizes }
    }

    /// Whether it pauses after each group.
    pub fn autopauses(&self) -> bool {
        match self {
            Self::Queue { .. } => false,
            Self::Batch { autopause, .. } | Self::VariableBatch { autopause, .. } => *autopause,
        }
    }
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
