//! What a service's status says: durable facts the planner reads back, and counts and conditions for people.

use jiff::Timestamp;

use super::{BatchStatus, EndReason, Grant, Instance, Ranges, Revision, Run, UpdateState};

/// Tasks and instances by what they are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Instances that shall run.
    pub desired: u32,
    /// Live Pods.
    pub live: u32,
    /// Instances held back because they flapped.
    pub throttled: u32,
    /// Pods without a node, or not started there.
    pub pending: u32,
    /// Pods whose containers run and that have not been Ready yet.
    pub starting: u32,
    /// Pods that are Ready.
    pub running: u32,
    /// Wanted instances whose live Pod has the config that shall run.
    pub updated: u32,
    /// Pods that are being ended.
    pub ending: u32,
    /// Pods that have ended and are kept.
    pub kept: u32,
}

/// The conditions of a service: those of kstatus, and one for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Everything that shall run runs.
    Ready,
    /// Something is being brought about.
    Reconciling,
    /// It can't go on without somebody's doing.
    Stalled,
    /// No instance is known to be without a place.
    Placed,
    /// The job has succeeded.
    Complete,
    /// The job has failed.
    Failed,
}

/// One condition of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which.
    pub kind: ConditionType,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one PascalCase word.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
    /// Since when it holds or not.
    pub since: Timestamp,
}

/// The last update of a service, as its status names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateRef {
    /// Its number.
    pub number: u32,
    /// Its state, as far as the service has drawn its conclusions.
    pub state: UpdateState,
}

/// Why the last update failed: its first instance over the budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The config that failed.
    pub revision: Revision,
    /// The update.
    pub update: u32,
    /// The instance that failed first.
    pub instance: Instance,
    /// Why it ended.
    pub reason: EndReason,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// What is to be said of it.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// The status of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceStatus {
    /// The generation of the spec it was computed from.
    pub observed_generation: i64,
    /// The config of the spec that was last acted on: rolled out, adopted, given up or failed. `None` while none was:
    /// the status only says what stands in the way.
    pub observed_revision: Option<Revision>,
    /// The scope of updates that was last acted on with it.
    pub observed_scope: Option<Ranges>,
    /// The restart that was last acted on.
    pub observed_restart: Option<Timestamp>,
    /// The count of the spec that was last seen: another one is somebody's wish, even one that was taken back once.
    pub observed_count: Option<u32>,
    /// The last good config.
    pub last_good: Option<Revision>,
    /// The greatest run any instance has had: a floor for instances whose Pods are all gone.
    pub highest_run: Run,
    /// Tasks and instances by what they are doing.
    pub counts: Counts,
    /// Which instances run, or are to run again, which config; at most 32 configs.
    pub revisions: Vec<(Revision, Ranges)>,
    /// Instances whose node is lost.
    pub lost: Ranges,
    /// The last update.
    pub update: Option<UpdateRef>,
    /// Why the last update failed; gone when the config changes.
    pub failure: Option<Failure>,
    /// What it was granted of its role's quota; only what was recorded here is acted on.
    pub admitted: Option<Grant>,
    /// What has become of a job whose instances run to their end.
    pub batch: Option<Box<BatchStatus>>,
    /// Ready, Reconciling, Stalled, Placed; of a job whose instances run to their end, Complete and Failed as well.
    pub conditions: Vec<Condition>,
}

impl ServiceStatus {
    /// The condition of a kind, if the status has it.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}
