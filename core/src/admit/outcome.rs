//! What a search is given, and what it finds: the words between `search` and those who ask it.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{Board, NoPreemptor, Rule, Spared, Veto, Vetoes};
use crate::model::{Claim, NodeId, Uid};

/// A number of Pods of which so many may be disrupted: those of a disruption budget, or of a service's SLA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(pub u32);

/// Who may be disrupted at the moment, and how many of them.
pub trait Budgets {
    /// To which group a Pod belongs whose allowance it uses up when it goes; `None` if nobody counts. An error says in
    /// words why the Pod must not go at all. Asked only for Pods that could go by the rule, many times.
    fn group(&self, claim: &Claim) -> Result<Option<Group>, Arc<str>>;

    /// How many of a group may still go.
    fn allowance(&self, group: Group) -> u32;
}

/// Everybody may be disrupted.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBudgets;

impl Budgets for NoBudgets {
    fn group(&self, _: &Claim) -> Result<Option<Group>, Arc<str>> {
        Ok(None)
    }

    fn allowance(&self, _: Group) -> u32 {
        u32::MAX
    }
}

/// What a search goes by.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a, B> {
    /// The nodes and Pods.
    pub board: &'a Board,
    /// Who may be disrupted.
    pub budgets: &'a B,
    /// Pods that are to go for slots that stand, and are not ending yet: as good as gone, and nobody's victims any more.
    pub leaving: &'a BTreeSet<Uid>,
    /// The time it is.
    pub now: Timestamp,
}

/// Who asks for room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The Pod, which has no node.
    pub claim: Uid,
    /// Nodes it shall not be given, since they did not work out.
    pub avoid: Vec<NodeId>,
}

impl Ask {
    /// A Pod that takes any node.
    pub fn of(claim: Uid) -> Self {
        Self { claim, avoid: Vec::new() }
    }
}

/// What was found for a Pod, and what else there would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The Pod.
    pub claim: Uid,
    /// What was found.
    pub outcome: Outcome,
    /// The next best nodes and why they were not taken, the best first; at most [`Decision::MOST`].
    pub rejected: Vec<Rejected>,
}

impl Decision {
    /// How many rejected nodes are told.
    pub const MOST: usize = 3;

    /// The node that is given, and who has to go there, if anybody has.
    pub fn slot(&self) -> Option<(NodeId, &[Victim])> {
        match &self.outcome {
            Outcome::Slot { host, victims, .. } => Some((*host, victims)),
            Outcome::Fits { .. } | Outcome::Wait { .. } | Outcome::NoRoom { .. } => None,
            Outcome::NotOurs(_) | Outcome::Unknown(_) => None,
        }
    }
}

/// What was found for a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It fits as things are: nobody has to go.
    Fits {
        /// Where, for one.
        host: NodeId,
    },
    /// Pods that are ending, or leaving for another slot, make the room: nobody else has to go.
    Wait {
        /// Where that is soonest.
        host: NodeId,
        /// Who will have left by then, those left out that it does not take.
        leaving: Vec<Uid>,
        /// When they will be gone; `None` where that is not known, since some are not ending yet.
        until: Option<Timestamp>,
    },
    /// These have to go.
    Slot {
        /// The node that takes the Pod then.
        host: NodeId,
        /// Who has to go, the greatest loss first.
        victims: Vec<Victim>,
        /// What that costs.
        cost: Cost,
        /// Whether no other set on the node would cost less for certain: with dozens of Pods that all differ it may
        /// take too long to be sure.
        proven: bool,
    },
    /// It would fit nowhere even if all went who may.
    NoRoom {
        /// What would keep it off the nodes even then.
        vetoes: Vetoes,
        /// How many Pods are spared for which reason, of those on nodes that could take it otherwise. The times of
        /// those that have just started are the earliest.
        spared: Vec<(Spared, u32)>,
        /// How many Pods must not be disrupted by which budget, in its words; at most [`Decision::MOST`].
        kept: Vec<(Arc<str>, u32)>,
    },
    /// It demands something that can't be told to fit, so nobody is evicted for it.
    Unknown(&'static str),
    /// It is none that Borealis makes room for.
    NotOurs(NoPreemptor),
}

impl Outcome {
    /// The node that was found.
    pub fn host(&self) -> Option<NodeId> {
        match self {
            Self::Fits { host } | Self::Wait { host, .. } | Self::Slot { host, .. } => Some(*host),
            Self::NoRoom { .. } | Self::Unknown(_) | Self::NotOurs(_) => None,
        }
    }

    /// Who has to go.
    pub fn victims(&self) -> &[Victim] {
        if let Self::Slot { victims, .. } = self { victims } else { &[] }
    }
}

/// Who has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Victim {
    /// The Pod.
    pub uid: Uid,
    /// By which part of the rule.
    pub rule: Rule,
    /// Whose allowance it uses up.
    pub group: Option<Group>,
}

/// A node that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The node.
    pub host: NodeId,
    /// Why not.
    pub why: Why,
}

/// Why a node was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It costs no less.
    Cost(Cost),
    /// It would not fit even if all went who may.
    Vetoes(Vec<Veto>),
}

/// What a set of victims costs. The lesser is the better: fewer victims; then the set whose greatest loss is less, then
/// whose next greatest is, and so on. Equal ones are told apart by the number of the node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost {
    /// How many have to go.
    pub victims: usize,
    /// What is lost with each, the greatest first.
    pub losses: Vec<Loss>,
}

/// What is lost with a victim, the greater the worse: first by its tier, then by its priority, then by its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss {
    /// The band of its tier.
    pub band: i32,
    /// Its priority within its role.
    pub priority: i32,
    /// Since when it has run: the longer the worse. One that has not started is the youngest.
    pub since: Reverse<Timestamp>,
}

impl Loss {
    /// What is lost with a Pod.
    pub fn of(claim: &Claim) -> Self {
        Self {
            band: claim.owner.tier.as_ref().map_or(i32::MAX, |tier| tier.band),
            priority: claim.owner.priority,
            since: Reverse(claim.started.unwrap_or(Timestamp::MAX)),
        }
    }
}
