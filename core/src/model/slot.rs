//! Room that is made for a Pod on a node: the note of it, which the Pod carries in an annotation.
//!
//! The note is all that a new leader needs to go on; nothing of it is kept anywhere else.

use std::sync::Arc;

use jiff::Timestamp;

use super::Uid;

/// What was done to make room for a Pod. At most one slot stands at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    /// The room that is kept for it now.
    pub held: Option<Held>,
    /// How many slots in a row came to nothing.
    pub tries: u32,
    /// The last one that did.
    pub failed: Option<FailedSlot>,
}

/// Room that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The node's name.
    pub node: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// Who has to leave, or has left.
    pub victims: Vec<Uid>,
    /// How many times the nomination was written again after it was lost.
    pub asserted: u32,
}

/// A slot that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedSlot {
    /// The node's name.
    pub node: Arc<str>,
    /// Until when no other is looked for.
    pub until: Timestamp,
    /// Why it did.
    pub why: SlotFailure,
}

/// Why a slot came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotFailure {
    /// The room was taken by another Pod.
    Taken,
    /// The node is gone.
    NodeGone,
    /// The Pod does not fit there any more, for another reason than who is there.
    Unfit,
    /// A victim may not be ended: a disruption budget allows no more.
    Budget,
    /// A victim may not be ended any more by the rule, or its Pod can't be ended.
    Victim,
    /// The nomination was lost again and again.
    Lost,
    /// The scheduler means to place it elsewhere.
    Elsewhere,
    /// It was kept for as long as slots are.
    Expired,
    /// Preemption was turned off.
    Off,
}

impl SlotFailure {
    /// Every one of them.
    pub const ALL: [Self; 9] = [
        Self::Taken,
        Self::NodeGone,
        Self::Unfit,
        Self::Budget,
        Self::Victim,
        Self::Lost,
        Self::Elsewhere,
        Self::Expired,
        Self::Off,
    ];

    /// Its name in the annotation and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taken => "Taken",
            Self::NodeGone => "NodeGone",
            Self::Unfit => "Unfit",
            Self::Budget => "Budget",
            Self::Victim => "Victim",
            Self::Lost => "Lost",
            Self::Elsewhere => "Elsewhere",
            Self::Expired => "Expired",
            Self::Off => "Off",
        }
    }

    /// In words, after "the room kept on node X …".
    pub fn words(self) -> &'static str {
        match self {
            Self::Taken => "was taken by another Pod",
            Self::NodeGone => "is gone with its node",
            Self::Unfit => "does not suit the Pod any more",
            Self::Budget => "can't be freed: a disruption budget allows no more of its Pods to end",
            Self::Victim => "can't be freed: one of its Pods may not be ended",
            Self::Lost => "was given up by the scheduler again and again",
            Self::Elsewhere => "is not needed: the scheduler means to place the Pod elsewhere",
            Self::Expired => "did not become free in time",
            Self::Off => "is not kept any more: preemption was turned off",
        }
    }
}
