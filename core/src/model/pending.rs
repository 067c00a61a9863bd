//! Why instances have no place, in a word that is counted and in words for people.

use super::Ranges;

/// Why an instance, or any Pod, has no place (Aurora: the pending reason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PendingReason {
    /// All nodes have too little of a resource, or no place for another Pod.
    InsufficientResources,
    /// Other Pods have the port of the host.
    PortTaken,
    /// There are as many of its like as may be.
    LimitNotSatisfied,
    /// It would be spread too unevenly.
    SpreadNotSatisfied,
    /// It must be beside other Pods, or must not be.
    AffinityNotSatisfied,
    /// The nodes' labels are not what is asked for.
    ConstraintNotSatisfied,
    /// The nodes take no new Pods.
    HostDraining,
    /// The nodes have taints that it does not bear.
    HostTainted,
    /// The nodes are for others.
    HostDedicated,
    /// There is no node.
    NoNodes,
    /// It would fit, as far as can be told; the scheduler has not placed it yet.
    Scheduling,
    /// Pods are leaving that make room for it.
    WaitingForVictims,
    /// It ended young too often, and waits for its next start.
    Flapping,
    /// Its config is not stored any more.
    ConfigMissing,
    /// Something is in the way that a condition of the service tells.
    Held,
}

impl PendingReason {
    /// Those that are found of Pods, beside those of instances that have none.
    pub const OF_PODS: [Self; 12] = [
        Self::InsufficientResources,
        Self::PortTaken,
        Self::LimitNotSatisfied,
        Self::SpreadNotSatisfied,
        Self::AffinityNotSatisfied,
        Self::ConstraintNotSatisfied,
        Self::HostDraining,
        Self::HostTainted,
        Self::HostDedicated,
        Self::NoNodes,
        Self::Scheduling,
        Self::WaitingForVictims,
    ];

    /// Its name in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::InsufficientResources => "InsufficientResources",
            Self::PortTaken => "PortTaken",
            Self::LimitNotSatisfied => "LimitNotSatisfied",
            Self::SpreadNotSatisfied => "SpreadNotSatisfied",
            Self::AffinityNotSatisfied => "AffinityNotSatisfied",
            Self::ConstraintNotSatisfied => "ConstraintNotSatisfied",
            Self::HostDraining => "HostDraining",
            Self::HostTainted => "HostTainted",
            Self::HostDedicated => "HostDedicated",
            Self::NoNodes => "NoNodes",
            Self::Scheduling => "Scheduling",
            Self::WaitingForVictims => "WaitingForVictims",
            Self::Flapping => "Flapping",
            Self::ConfigMissing => "ConfigMissing",
            Self::Held => "Held",
        }
    }
}

/// Instances of a service that have no place, all for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Why, in a word.
    pub reason: PendingReason,
    /// What the words begin with, and stays while only numbers in them change.
    pub topic: String,
    /// The words after that.
    pub detail: String,
    /// Which instances.
    pub instances: Ranges,
}
