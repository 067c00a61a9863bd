//! Pods and nodes as placement sees them: what a Pod demands of a node, whose it is, and what a node has.
//!
//! What many Pods have in common is shared: `Demand` and `Owner` are one each for all Pods of a config.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{JobKind, NodeId, Resources, Slot, Tier, Uid};

/// Labels of an object, those left out that differ from Pod to Pod of one config.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// One Pod of the cluster that has not ended, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The Pod's uid.
    pub uid: Uid,
    /// The Pod's name, in its owner's namespace.
    pub name: Box<str>,
    /// The resourceVersion it was read at: what a write that depends on it is made against.
    pub version: u64,
    /// What it demands of a node.
    pub demand: Arc<Demand>,
    /// Whose it is.
    pub owner: Arc<Owner>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was started on its node.
    pub started: Option<Timestamp>,
    /// The node it is bound to.
    pub node: Option<NodeId>,
    /// The node room is kept on for it.
    pub nominated: Option<NodeId>,
    /// Since when the scheduler has found no place for it; `None` while it has not said so.
    pub unschedulable: Option<Timestamp>,
    /// It is being deleted, and will be gone by then.
    pub ends: Option<Timestamp>,
    /// What was done to make room for it; few have one, so the record of the others stays small.
    pub slot: Option<Box<Slot>>,
}

/// Whose a Pod is, and how it ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// The role that its namespace belongs to.
    pub role: Arc<str>,
    /// The AuroraService or AuroraJob it belongs to, or the name of whatever else controls it; for people and to group by.
    pub job: Arc<str>,
    /// Which of the two it belongs to, if to one.
    pub ours: Option<JobKind>,
    /// Its tier, by its PriorityClass; `None` for Pods outside of Borealis's tiers, which are never victims.
    pub tier: Option<Arc<Tier>>,
    /// Its importance within the role (Aurora: TaskConfig.priority).
    pub priority: i32,
    /// The value the scheduler goes by.
    pub rank: i32,
    /// The scheduler makes room for it by itself (preemptionPolicy is not Never), so Borealis does not.
    pub preempts_natively: bool,
    /// Its labels.
    pub labels: Arc<Labels>,
}

/// What Pods demand of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Demand {
    /// What it takes of the node: the greater of its containers together and of each of its init containers alone
    /// (with the sidecars before it), and its overhead.
    pub requests: Resources,
    /// Labels the node must have (nodeSelector).
    pub selector: Vec<(Arc<str>, Arc<str>)>,
    /// One of these must be satisfied, if there are any (required node affinity).
    pub affinity: Vec<NodeTerm>,
    /// Taints it bears.
    pub tolerations: Vec<Toleration>,
    /// Ports of the host it takes.
    pub host_ports: Vec<HostPort>,
    /// How its like must be spread; only what is DoNotSchedule.
    pub spread: Vec<Spread>,
    /// Pods it must not be beside (required anti-affinity).
    pub apart: Vec<Beside>,
    /// Pods it must be beside (required affinity).
    pub beside: Vec<Beside>,
    /// What it demands that is not known here, in words (`spec.volumes`, `spec.resourceClaims`): nobody makes room
    /// for what can't be told to fit.
    pub unknown: Option<&'static str>,
}

/// All of these must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeTerm {
    /// What is asked of the node's labels.
    pub labels: Vec<Requirement>,
    /// What is asked of its name (matchFields `metadata.name`).
    pub names: Vec<Requirement>,
}

/// What is asked of the value of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// The key.
    pub key: Arc<str>,
    /// What is asked.
    pub test: Test,
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// It is one of these.
    In(Vec<Arc<str>>),
    /// It is none of these, or there is none.
    NotIn(Vec<Arc<str>>),
    /// There is one.
    Exists,
    /// There is none.
    DoesNotExist,
    /// It is a whole number above this.
    Above(i64),
    /// It is a whole number below this.
    Below(i64),
}

/// A toleration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// The taint's key; `None` bears every key.
    pub key: Option<Arc<str>>,
    /// The taint's value; `None` bears every value.
    pub value: Option<Arc<str>>,
    /// The taint's effect; `None` bears every effect.
    pub effect: Option<Effect>,
}

/// What a taint does to Pods that don't bear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// They are not placed here.
    NoSchedule,
    /// They are rather placed elsewhere.
    PreferNoSchedule,
    /// They are not placed here, and those that are here go.
    NoExecute,
}

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The address; `None` is all of them.
    pub address: Option<Arc<str>>,
    /// The protocol, in capitals.
    pub protocol: Arc<str>,
    /// The port.
    pub port: u16,
}

/// How a Pod's like must be spread over domains (topologySpreadConstraints, DoNotSchedule).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spread {
    /// The label of nodes whose values are the domains; nodes without it are none.
    pub key: Arc<str>,
    /// How many more there may be in a domain than in the one with the fewest.
    pub max_skew: u32,
    /// With fewer domains than this the fewest are 0.
    pub min_domains: u32,
    /// Whom to count, in the Pod's own namespace.
    pub selector: Vec<Requirement>,
    /// Only nodes that the Pod's selector and affinity allow are domains (nodeAffinityPolicy Honor).
    pub honor_affinity: bool,
    /// Only nodes whose taints the Pod bears are domains (nodeTaintsPolicy Honor).
    pub honor_taints: bool,
}

/// Which other Pods must, or must not, be in the same domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Beside {
    /// The label of nodes whose values are the domains.
    pub key: Arc<str>,
    /// Whom it is about.
    pub selector: Vec<Requirement>,
    /// In which namespaces; empty is the Pod's own.
    pub namespaces: Vec<Arc<str>>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its number.
    pub id: NodeId,
    /// Its name.
    pub name: Arc<str>,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Its taints with an effect on placement, `unschedulable` as one.
    pub taints: Arc<[Taint]>,
    /// What Pods can have of it.
    pub allocatable: Resources,
    /// How many Pods it takes.
    pub pods: u32,
}

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// Its key.
    pub key: Arc<str>,
    /// Its value, empty where it has none.
    pub value: Arc<str>,
    /// What it does.
    pub effect: Effect,
}
