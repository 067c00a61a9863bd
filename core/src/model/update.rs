//! An update: its immutable instructions, what people ask of it, and how far it has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CheckRecord, EndReason, Instance, Ranges, Revision, Run, Uid, UpdateSettings};

/// The state of an update (Aurora: JobUpdateStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpdateState {
    /// Instances are being changed to the new config.
    RollingForward,
    /// Instances are being changed back.
    RollingBack,
    /// Halted by a person on the way forward.
    RollForwardPaused,
    /// Halted by a person on the way back.
    RollBackPaused,
    /// Halted on the way forward until a pulse comes.
    RollForwardAwaitingPulse,
    /// Halted on the way back until a pulse comes.
    RollBackAwaitingPulse,
    /// Done: every instance in its scope was changed.
    RolledForward,
    /// Taken back as a whole.
    RolledBack,
    /// Given up by a person or for a newer config; the job may be half changed.
    Aborted,
    /// It can't go on: its instructions are not usable.
    Error,
    /// Too many instances failed, and it was not, or could not be, taken back.
    Failed,
}

impl UpdateState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::RollingForward,
        Self::RollingBack,
        Self::RollForwardPaused,
        Self::RollBackPaused,
        Self::RollForwardAwaitingPulse,
        Self::RollBackAwaitingPulse,
        Self::RolledForward,
        Self::RolledBack,
        Self::Aborted,
        Self::Error,
        Self::Failed,
    ];

    /// Whether it has ended for good.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::RolledForward | Self::RolledBack | Self::Aborted | Self::Error | Self::Failed)
    }

    /// Whether it is on the way back, or came back.
    pub fn is_back(self) -> bool {
        matches!(
            self,
            Self::RollingBack | Self::RollBackPaused | Self::RollBackAwaitingPulse | Self::RolledBack
        )
    }

    /// The name Aurora gives it, as in `kubectl get`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RollingForward => "ROLLING_FORWARD",
            Self::RollingBack => "ROLLING_BACK",
            Self::RollForwardPaused => "ROLL_FORWARD_PAUSED",
            Self::RollBackPaused => "ROLL_BACK_PAUSED",
            Self::RollForwardAwaitingPulse => "ROLL_FORWARD_AWAITING_PULSE",
            Self::RollBackAwaitingPulse => "ROLL_BACK_AWAITING_PULSE",
            Self::RolledForward => "ROLLED_FORWARD",
            Self::RolledBack => "ROLLED_BACK",
            Self::Aborted => "ABORTED",
            Self::Error => "ERROR",
            Self::Failed => "FAILED",
        }
    }
}

/// What an update shall do; written once (Aurora: JobUpdateInstructions).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instructions {
    /// What ran, of the instances that change or go (Aurora: initialState).
    pub from: Vec<(Revision, Ranges)>,
    /// What shall run, and the instances that change or come; none of them where instances only go (Aurora:
    /// desiredState).
    pub to: Option<(Revision, Ranges)>,
    /// Where a rollback goes, when this update follows others that were superseded half way: all that ran before
    /// the first of them; an instance it doesn't name goes. Empty otherwise, and `from` says where.
    pub base: Vec<(Revision, Ranges)>,
    /// How many instances the job shall have with it.
    pub instances: u32,
    /// How many the spec asked for: a scope may keep an update from bringing that about.
    pub asked: u32,
    /// How many it had before; a failed edit of the spec is without effect as a whole.
    pub previous_instances: u32,
    /// The last good config as it was made.
    pub last_good: Option<Revision>,
    /// It takes back the update of this number, which had ended: it only goes back, from `to` to `from`.
    pub takes_back: Option<u32>,
    /// Configs out of which, and into which, a Pod can be changed in place: they differ from `to`, and so from each other,
    /// in nothing else than what can be changed. Only who has read the configs can say so.
    pub in_place: Vec<Revision>,
}

impl Instructions {
    /// Whether a Pod of one config can become one of the other in place.
    pub fn in_place_between(&self, one: Revision, other: Revision) -> bool {
        let to = self.to.as_ref().map(|(to, _)| *to);
        let is_one = |revision| to == Some(revision) || self.in_place.contains(&revision);
        !self.in_place.is_empty() && is_one(one) && is_one(other)
    }

    /// How many instances shares are of: the greater of before and after.
    pub fn all(&self) -> u32 {
        self.instances.max(self.previous_instances)
    }
}

/// A wish of a person about an update, with why and whose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Why.
    pub reason: String,
    /// Whose wish.
    pub author: String,
}

/// What people ask of an update; may change at any time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Controls {
    /// Start nothing more.
    pub paused: bool,
    /// Give up and leave everything as it is.
    pub abort: Option<Request>,
    /// Take it back.
    pub rollback: Option<Request>,
    /// Try its config again although it failed.
    pub retry: Option<Request>,
    /// Where it pauses after each group: go on after this one, counted from 1.
    pub resume_after_batch: u32,
    /// When an outside service last said that all is well, by its clock, in whole seconds (Aurora: pulseJobUpdate).
    pub pulse: Option<Timestamp>,
}

/// A pulse that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// As it was sent.
    pub at: Timestamp,
    /// From when it lasts: never from after it was seen, however wrong the sender's clock is.
    pub from: Timestamp,
}

/// The failures of one instance in an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// How many Pods failed.
    pub count: u32,
    /// The last one counted, so that every Pod counts once; `None` where no Pod came to be.
    pub last_pod: Option<Uid>,
    /// Its run; 0 where no Pod came to be.
    pub last_run: Run,
    /// Why it failed.
    pub reason: EndReason,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// What is to be said of it.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// How far an update has come: all of it durable, so that another operator can go on from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The state of the whole.
    pub state: UpdateState,
    /// When it was begun.
    pub started: Timestamp,
    /// When it ended; not known of one whose progress was lost.
    pub finished: Option<Timestamp>,
    /// The greatest run there was when the present direction began. What the update makes has greater ones, so its
    /// Pods are told from earlier ones of the same config without a clock.
    pub floor: Run,
    /// When instances were last taken on.
    pub advanced: Timestamp,
    /// Instances that were taken on in any way; on the way back, those that have to go back.
    pub touched: Ranges,
    /// Instances being changed now, in the direction of the state.
    pub working: Ranges,
    /// Instances that were changed and found good.
    pub updated: Ranges,
    /// Instances that failed on the way forward.
    pub failed: Ranges,
    /// Instances that were changed back and found good.
    pub rolled_back: Ranges,
    /// Instances that failed on the way back.
    pub failed_back: Ranges,
    /// Failures in the present direction, by instance.
    pub failures: BTreeMap<Instance, Failures>,
    /// What turned the update round or failed it: the first instance over its budget.
    pub cause: Option<(Instance, Failures)>,
    /// What is to be said of it.
    pub message: String,
    /// How many instances it is about; 0 where that was never written.
    pub total: u32,
    /// The last pulse.
    pub pulse: Option<Pulse>,
    /// What was asked for and is not done, and why.
    pub refused: String,
    /// What its checks last said.
    pub checks: Vec<CheckRecord>,
}

impl Progress {
    /// The progress of an update that has done nothing yet.
    pub fn new(state: UpdateState, started: Timestamp, floor: Run) -> Self {
        Self {
            state,
            started,
            finished: None,
            floor,
            advanced: started,
            touched: Ranges::default(),
            working: Ranges::default(),
            updated: Ranges::default(),
            failed: Ranges::default(),
            rolled_back: Ranges::default(),
            failed_back: Ranges::default(),
            failures: BTreeMap::new(),
            cause: None,
            message: String::new(),
            total: 0,
            pulse: None,
            refused: String::new(),
            checks: Vec::new(),
        }
    }
}

/// One AuroraUpdate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The object's uid.
    pub uid: Uid,
    /// Counts the service's updates from 1; part of the object's name.
    pub number: u32,
    /// What it shall do.
    pub instructions: Instructions,
    /// The settings it was made with; later changes of the service's don't touch it.
    pub settings: UpdateSettings,
    /// What people ask of it.
    pub controls: Controls,
    /// How far it has come; `None` before its first step, or when a restore lost it.
    pub progress: Option<Progress>,
    /// The object's controller is this very service.
    pub owned: bool,
}

impl Update {
    /// How many instances may have two live tasks at a time while it goes on.
    pub fn surge_limit(&self) -> u32 {
        self.settings.surge(self.instructions.all())
    }
}
