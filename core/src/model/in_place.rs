//! A task that can be changed in place: its Pod's readiness gate, and the last change of it.

use jiff::Timestamp;

use super::Task;

/// The gate of a Pod that was made to be changed in place, and its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InPlace {
    /// The gate is open: the Pod is Ready when its containers are.
    pub open: bool,
    /// Since when it is open or shut; `None` where it never was set.
    pub since: Option<Timestamp>,
    /// The last change; `None` where its config is the one it was made with.
    pub change: Option<Change>,
}

/// A change of a Pod in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The number of the update it was made for.
    pub update: u32,
    /// When it was asked for; no two changes of a Pod have the same time.
    pub at: Timestamp,
    /// What the kubelet has made of it.
    pub stage: Stage,
}

/// What the kubelet has made of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has not carried it out yet.
    Pending,
    /// Everything that was changed is as it shall be; the containers need not be Ready.
    Done,
    /// It can't, or not now: the task has to be made anew.
    Stuck,
}

impl Change {
    /// Whether it is the same change, however far it has come.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.update, self.at) == (other.update, other.at)
    }
}

impl Task {
    /// The last change of it in place.
    pub fn change(&self) -> Option<Change> {
        self.in_place.as_ref()?.change
    }

    /// Whether its gate keeps it from being Ready, or is about to.
    pub fn is_shut(&self) -> bool {
        self.in_place.as_ref().is_some_and(|gate| !gate.open)
    }

    /// Whether nothing is left to be done of its last change: it is what its config says, and may be Ready.
    pub fn is_settled(&self) -> bool {
        !self.is_shut() && self.change().is_none_or(|change| change.stage == Stage::Done)
    }

    /// Whether the update of this number has changed it in place.
    pub fn changed_by(&self, update: u32) -> bool {
        self.change().is_some_and(|change| change.update == update)
    }

    /// When it began to be what it is: it was made, or changed.
    pub fn begun(&self) -> Timestamp {
        self.change().map_or(self.created, |change| change.at.max(self.created))
    }
}
