//! What a plan may ask the executor to do. Nothing destructive can be said without the uid it is meant for.

use jiff::Timestamp;

use crate::model::{
    Instance, Instructions, Intent, Progress, Request, Revision, Run, ServiceStatus, Uid, UpdateSettings,
};

/// Everything to be done for one service or job now, in this order: progress, actions, status, events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The progress to write on the update of this uid before anything else: what the actions build on.
    pub progress: Option<(Uid, Progress)>,
    /// What to do; sorted by `Action::order`.
    pub actions: Vec<Action>,
    /// The status of the service; written where it differs from what is recorded.
    pub status: Option<ServiceStatus>,
    /// What to tell people; best effort.
    pub events: Vec<Event>,
    /// When to plan again though nothing happens.
    pub next_check: Option<Timestamp>,
    /// What is not done, and why.
    pub held: Vec<Held>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take over a Pod that belongs to no controller, after a live read of the service.
    AdoptTask {
        /// The Pod.
        uid: Uid,
        /// Its instance.
        instance: Instance,
        /// Its run.
        run: Run,
    },
    /// Take over a stored config, after a live read of the service.
    AdoptRevision {
        /// Which.
        revision: Revision,
        /// Its ControllerRevision.
        uid: Uid,
    },
    /// Take over an update, after a live read of the service.
    AdoptUpdate {
        /// Its number.
        number: u32,
        /// Its uid.
        uid: Uid,
    },
    /// Store the config that stands in the spec.
    RecordRevision {
        /// Its hash; the executor refuses when the live spec says another.
        revision: Revision,
        /// Mark it as the last good one: the first config of a service has no predecessor.
        last_good: bool,
    },
    /// Set or take away the marks of a stored config.
    MarkRevision {
        /// Which.
        revision: Revision,
        /// Whether it is the last good one.
        last_good: bool,
        /// Whether an update to it failed.
        failed: bool,
    },
    /// Remove a stored config that nothing names any more.
    PruneRevision {
        /// Which.
        revision: Revision,
        /// Its ControllerRevision.
        uid: Uid,
    },
    /// Remove an update of long ago.
    PruneUpdate {
        /// Its number.
        number: u32,
        /// Its uid.
        uid: Uid,
    },
    /// Begin an update.
    StartUpdate(Box<NewUpdate>),
    /// End a task.
    End {
        /// The Pod.
        uid: Uid,
        /// Its instance.
        instance: Instance,
        /// Its run.
        run: Run,
        /// Why; stands in an annotation where the Pod is kept or lost.
        intent: Intent,
        /// How.
        how: Ended,
    },
    /// Open or shut the readiness gate of a task that can be changed in place.
    SetGate {
        /// The Pod.
        uid: Uid,
        /// Its instance.
        instance: Instance,
        /// Its run.
        run: Run,
        /// Whether the Pod may be Ready.
        open: bool,
    },
    /// Change a task whose gate is shut into another config, in place.
    ChangeInPlace {
        /// The Pod.
        uid: Uid,
        /// Its instance.
        instance: Instance,
        /// Its run, which it keeps.
        run: Run,
        /// The config it has.
        from: Revision,
        /// The config it shall have.
        revision: Revision,
        /// The number of the update that wants it; stands in an annotation.
        update: u32,
        /// How it is ended where the change is refused.
        instead: Ended,
    },
    /// Take the live mark from an ended task that is kept.
    Retire {
        /// The Pod.
        uid: Uid,
        /// Its instance.
        instance: Instance,
        /// Its run.
        run: Run,
    },
    /// Remove an ended task.
    Prune {
        /// The Pod.
        uid: Uid,
        /// Its instance.
        instance: Instance,
        /// Its run.
        run: Run,
    },
    /// Make the Pod of an instance's next run.
    Create {
        /// Its instance.
        instance: Instance,
        /// Its run.
        run: Run,
        /// The config it shall run.
        revision: Revision,
        /// Predecessors in a row that flapped.
        flaps: u16,
        /// Times the instance has failed.
        failures: u16,
    },
    /// Remove the job itself, its Pods with it: it has ended long enough ago.
    RemoveJob {
        /// The job.
        uid: Uid,
    },
}

/// How a task is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// Stopped, and its Pod kept with its logs (activeDeadlineSeconds).
    Kept,
    /// Deleted.
    Deleted,
    /// Deleted and given up at once, its end not awaited: its node is lost, which has to be so still.
    Lost,
    /// Deleted and given up, its end awaited for long enough: its node does not obey.
    Overdue,
}

impl Ended {
    /// Whether its end is not awaited, or no longer.
    #[must_use]
    pub const fn gives_up(self) -> bool {
        matches!(self, Self::Lost | Self::Overdue)
    }
}

/// An update to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpdate {
    /// Its number.
    pub number: u32,
    /// What it shall do.
    pub instructions: Instructions,
    /// How.
    pub settings: UpdateSettings,
    /// The wish it comes from, where it takes another update back.
    pub request: Option<Request>,
}

impl Action {
    /// The place of this action among others: what others stand on first, room before what takes it.
    pub fn order(&self) -> u8 {
        match self {
            Self::AdoptRevision { .. } | Self::AdoptUpdate { .. } | Self::AdoptTask { .. } => 0,
            Self::RecordRevision { .. } => 1,
            Self::MarkRevision { .. } => 2,
            Self::StartUpdate(_) => 3,
            Self::End { .. } | Self::SetGate { .. } | Self::ChangeInPlace { .. } => 4,
            Self::Retire { .. } => 5,
            // What is refused must not keep what is over from being removed.
            Self::Prune { .. } => 6,
            Self::PruneRevision { .. } | Self::PruneUpdate { .. } => 7,
            Self::Create { .. } => 8,
            Self::RemoveJob { .. } => 9,
        }
    }

    /// Whether this starts, ends or changes a task: what a freeze holds back.
    pub fn touches_tasks(&self) -> bool {
        matches!(
            self,
            Self::End { .. }
                | Self::Create { .. }
                | Self::ChangeInPlace { .. }
                | Self::SetGate { open: false, .. }
        )
    }
}

/// Something people should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether it is bad news.
    pub warning: bool,
    /// In one PascalCase word.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
    /// It concerns the update of this number rather than the service.
    pub update: Option<u32>,
}

/// Something that is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it would concern.
    pub instance: Option<Instance>,
    /// Why, in one PascalCase word.
    pub reason: &'static str,
    /// When that will be over by itself.
    pub until: Option<Timestamp>,
}
