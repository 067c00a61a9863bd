//! A task: one run of one instance, that is one Pod, reduced to what decisions need.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{InPlace, Instance, Revision, Run, Uid};

/// The state of a task (Aurora: ScheduleStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Not yet seen.
    Init,
    /// Wanted, and held back because its predecessors flapped; it has no Pod.
    Throttled,
    /// The Pod exists and has no node.
    Pending,
    /// The Pod has a node and does not run there yet.
    Assigned,
    /// Its containers run and it has not been Ready yet.
    Starting,
    /// It has become Ready.
    Running,
    /// Being ended to make room for a more important one.
    Preempting,
    /// Being ended at a person's wish, to be replaced.
    Restarting,
    /// Being ended because its node is emptied.
    Draining,
    /// Being ended: its instance is removed, changed or it was deleted from outside.
    Killing,
    /// Its node is lost; whether it runs is not known.
    Partitioned,
    /// Ended by itself with success.
    Finished,
    /// Ended by itself without success.
    Failed,
    /// Ended on purpose.
    Killed,
    /// Given up as lost, or never run: counts as nobody's failure.
    Lost,
}

impl TaskState {
    /// Every state, in order.
    pub const ALL: [Self; 15] = [
        Self::Init,
        Self::Throttled,
        Self::Pending,
        Self::Assigned,
        Self::Starting,
        Self::Running,
        Self::Preempting,
        Self::Restarting,
        Self::Draining,
        Self::Killing,
        Self::Partitioned,
        Self::Finished,
        Self::Failed,
        Self::Killed,
        Self::Lost,
    ];

    /// Whether the task has ended for good.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed | Self::Lost)
    }

    /// Whether the task was told to end and has not yet.
    pub fn is_ending(self) -> bool {
        matches!(self, Self::Preempting | Self::Restarting | Self::Draining | Self::Killing)
    }
}

/// Why Borealis ends a task; stands in the Pod's annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Intent {
    /// The instance is removed or changed, or the service deleted.
    Kill,
    /// A person asked for a restart.
    Restart,
    /// The node is emptied.
    Drain,
    /// A more important task takes the room.
    Preempt,
    /// The node was lost and the partition policy's delay is over.
    Lose,
    /// One of its containers has ended for good, so the task has; the others are stopped.
    Finish,
    /// It has taken longer than its job lets a task: it has failed.
    TimeOut,
    /// It was without health for longer than its job bears: it has failed.
    Unhealthy,
}

/// How far the ending of a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Why, as its annotation says; `None` where it was merely deleted.
    pub intent: Option<Intent>,
    /// When it was ordered: its deletion, once it is being deleted.
    pub at: Timestamp,
    /// Seconds it has from then to stop by itself: of its own Pod, whatever the service's config says by now.
    pub grace_seconds: u32,
    /// The Pod is being deleted; otherwise it was told to end and keep its Pod (activeDeadlineSeconds).
    pub deleting: bool,
}

/// A node in the index's own numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// Why a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EndReason {
    /// A container exited; the code says how.
    Exited,
    /// A container needed more memory than its limit.
    OutOfMemory,
    /// The Pod used more of a local resource than its own limit (ephemeral storage).
    OwnLimit,
    /// Stopped: by its deadline, which Borealis or its template set, or by being deleted.
    Stopped,
    /// The kubelet refused it (OutOfcpu, admission, affinity).
    Rejected,
    /// Evicted, preempted or drained: DisruptionTarget, or the kubelet short of something.
    Disrupted,
    /// The node was shut down, lost, or removed.
    NodeLost,
    /// It was stopped, since it took longer than its job lets a task.
    TimedOut,
    /// It was stopped, since it was without health for longer than its job bears.
    Unhealthy,
    /// It ended and nobody said why.
    Unknown,
    /// It has not ended: an update has waited for it long enough.
    TooSlow,
    /// It has not ended: it stopped being Ready while an update watched it.
    Unready,
    /// It has not ended: a check of its update failed while the update watched it.
    CheckFailed,
}

/// What a task that does not run yet waits for, as the cluster says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Waiting {
    /// The scheduler has found no node.
    Unschedulable,
    /// An image cannot be pulled (ErrImagePull, ImagePullBackOff).
    ImagePull,
    /// An image's name is none (InvalidImageName).
    ImageName,
    /// A container cannot be made of what the template names (CreateContainerConfigError).
    ContainerConfig,
    /// A container cannot be made or started (CreateContainerError, RunContainerError).
    ContainerStart,
    /// A container keeps ending and is held back (CrashLoopBackOff).
    CrashLoop,
}

impl Waiting {
    /// What a reason of the scheduler's or the kubelet's means; most mean nothing that a person could mend.
    pub fn of(reason: &str) -> Option<Self> {
        Some(match reason {
            "Unschedulable" => Self::Unschedulable,
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "RegistryUnavailable" => {
                Self::ImagePull
            }
            "InvalidImageName" => Self::ImageName,
            "CreateContainerConfigError" => Self::ContainerConfig,
            "CreateContainerError" | "RunContainerError" => Self::ContainerStart,
            "CrashLoopBackOff" => Self::CrashLoop,
            _ => return None,
        })
    }

    /// In words, after "its Pod …".
    pub fn words(self) -> &'static str {
        match self {
            Self::Unschedulable => "fits on no node (Unschedulable)",
            Self::ImagePull => "cannot pull an image (ImagePullBackOff)",
            Self::ImageName => "names an image that can be none (InvalidImageName)",
            Self::ContainerConfig => "names something that is not there (CreateContainerConfigError)",
            Self::ContainerStart => "cannot start a container (CreateContainerError)",
            Self::CrashLoop => "has a container that keeps ending (CrashLoopBackOff)",
        }
    }
}

/// One run of one instance: a Pod, reduced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The Pod's uid.
    pub uid: Uid,
    /// Which instance.
    pub instance: Instance,
    /// Which run of it.
    pub run: Run,
    /// The config it runs.
    pub revision: Revision,
    /// What the state machine makes of what was seen.
    pub state: TaskState,
    /// The last active state before a terminal one: what the end has to be judged by.
    pub before: TaskState,
    /// Its Ready condition is true now.
    pub ready: bool,
    /// When it last became Ready.
    pub ready_since: Option<Timestamp>,
    /// When it stopped being Ready, or came to be without.
    pub unready_since: Option<Timestamp>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
    /// When the Pod was created.
    pub created: Timestamp,
    /// When its first regular container started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it ended.
    pub end: Option<EndReason>,
    /// The exit code of the container that ended it.
    pub exit_code: Option<i32>,
    /// It is being ended, or was ended on purpose.
    pub ending: Option<Ending>,
    /// A regular container has ended for good while others run: the task has, too (the phase does not say so).
    pub half_ended: bool,
    /// What lets it be changed in place, and its last change; `None` of a Pod that was made without its gate. Few have
    /// one, so the record of the others stays small.
    pub in_place: Option<Box<InPlace>>,
    /// How many predecessors in a row had flapped when it was made.
    pub flaps: u16,
    /// How many times the instance had failed when it was made (Aurora: failureCount).
    pub failures: u16,
    /// Its node.
    pub node: Option<NodeId>,
    /// It still carries the label that says it is live.
    pub live_label: bool,
    /// Its controller is this very service.
    pub owned: bool,
}

impl Task {
    /// Whether it has ended for good.
    pub fn is_terminal(&self) -> bool {
        self.state.is_terminal()
    }

    /// Why it was ended on purpose, if it was.
    pub fn intent(&self) -> Option<Intent> {
        self.ending.and_then(|ending| ending.intent)
    }
}
