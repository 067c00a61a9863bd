//! What keeps a Pod off a node, in Aurora's words, and what keeps it off all of them, nearest fit first.
//!
//! Here are only the words and how they weigh; `fit` finds them. Read by whoever tells people why a Pod is pending.

use std::{fmt, sync::Arc};

use crate::model::{NodeId, Taint};

/// The taint of nodes that are for those who ask for them by this key only.
pub const DEDICATED: &str = "borealis.dev/dedicated";
/// The taint of nodes that take no new Pods.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// The name of the resource that is a place for a Pod.
pub const PODS: &str = "pods";

/// One thing that keeps a Pod off a node (Aurora: Veto).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Veto {
    /// There is too little of a resource: `cpu`, `memory`, `ephemeral-storage`, `pods`, or an extended one.
    Insufficient(Arc<str>),
    /// Another Pod has the port of the host.
    Port(u16),
    /// There are as many of its like as may be where the value of this label is the node's.
    Limit(Arc<str>),
    /// It would be spread too unevenly over the values of this label.
    Spread(Arc<str>),
    /// Where the value of this label is the node's, a Pod is that it must not be beside, or that must not be beside it.
    Apart(Arc<str>),
    /// Where the value of this label is the node's, no Pod is that it must be beside.
    Beside(Arc<str>),
    /// The node's label is not what is asked for.
    Constraint(Arc<str>),
    /// The node takes no new Pods.
    Draining,
    /// The node has a taint that is not borne.
    Tainted(Taint),
    /// The node is for others.
    Dedicated,
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient(resource) => write!(f, "Insufficient {resource}"),
            Self::Port(port) => write!(f, "Host port taken: {port}"),
            Self::Limit(key) => write!(f, "Limit not satisfied: {key}"),
            Self::Spread(key) => write!(f, "Spread not satisfied: {key}"),
            Self::Apart(key) => write!(f, "Anti-affinity not satisfied: {key}"),
            Self::Beside(key) => write!(f, "Affinity not satisfied: {key}"),
            Self::Constraint(key) => write!(f, "Constraint not satisfied: {key}"),
            Self::Draining => f.write_str("Host draining for maintenance"),
            Self::Tainted(Taint { key, value, .. }) if value.is_empty() => {
                write!(f, "Host is tainted: {key}")
            }
            Self::Tainted(Taint { key, value, .. }) => write!(f, "Host is tainted: {key}={value}"),
            Self::Dedicated => f.write_str("Host is dedicated"),
        }
    }
}

/// A veto by what it is about, before anybody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Miss<'a> {
    Insufficient(&'a str),
    Port(u16),
    Limit(&'a Arc<str>),
    Spread(&'a Arc<str>),
    Apart(&'a Arc<str>),
    Beside(&'a Arc<str>),
    Constraint(&'a Arc<str>),
    Draining,
    Tainted(&'a Taint),
    Dedicated,
}

impl Miss<'_> {
    /// How far from fitting a node is for it (Aurora: Veto.score). What is lacking of resources has a score by how much
    /// it is, up to that of a port.
    pub(super) fn score(self) -> u64 {
        match self {
            Self::Insufficient(_) | Self::Port(_) => 1_000,
            Self::Limit(_) | Self::Spread(_) | Self::Apart(_) | Self::Beside(_) | Self::Constraint(_) => {
                10_000
            }
            Self::Draining | Self::Tainted(_) => 100_000,
            Self::Dedicated => 1_000_000,
        }
    }

    pub(super) fn veto(self) -> Veto {
        match self {
            Self::Insufficient(resource) => Veto::Insufficient(resource.into()),
            Self::Port(port) => Veto::Port(port),
            Self::Limit(key) => Veto::Limit(Arc::clone(key)),
            Self::Spread(key) => Veto::Spread(Arc::clone(key)),
            Self::Apart(key) => Veto::Apart(Arc::clone(key)),
            Self::Beside(key) => Veto::Beside(Arc::clone(key)),
            Self::Constraint(key) => Veto::Constraint(Arc::clone(key)),
            Self::Draining => Veto::Draining,
            Self::Tainted(taint) => Veto::Tainted(taint.clone()),
            Self::Dedicated => Veto::Dedicated,
        }
    }
}

/// What keeps a Pod off the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vetoes {
    /// How many nodes there are.
    pub hosts: u32,
    /// How many would take it as they are.
    pub fitting: u32,
    /// The node that is nearest to taking it, if none does.
    pub nearest: Option<Nearest>,
    /// Each veto with the nodes it stands on, that of the nearest fit first: by score, then by how many nodes. At most
    /// [`Vetoes::MOST`]. A node's vetoes are those of the first category that has any.
    pub counts: Vec<Count>,
    /// How many vetoes are left out for that.
    pub left_out: u32,
}

impl Vetoes {
    /// How many different vetoes are told apart.
    pub const MOST: usize = 16;
}

/// The node that is nearest to taking a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The node.
    pub host: NodeId,
    /// What keeps the Pod off it.
    pub vetoes: Vec<Veto>,
    /// How far from fitting it is.
    pub score: u64,
}

/// A veto, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The veto.
    pub veto: Veto,
    /// On how many nodes.
    pub hosts: u32,
    /// Its least score on any of them.
    pub score: u64,
}
