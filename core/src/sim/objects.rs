//! The objects of the world as its API server keeps them.
//!
//! A Pod here has what `PodFacts` asks for, so that what the planner sees has gone through the operator's real
//! table of Pod status to task state. Nothing here decides anything.

use jiff::Timestamp;

use crate::{
    model::*,
    state::{ContainerFacts, Phase, PodFacts, observe},
};

/// The kinds of objects operators watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Service,
    Pod,
    Revision,
    Update,
    Node,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Service, Self::Pod, Self::Revision, Self::Update, Self::Node];
}

/// What every object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) uid: Uid,
    pub(super) version: u64,
    /// The uid of its controller.
    pub(super) owner: Option<Uid>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceObject {
    pub(super) meta: Meta,
    pub(super) service: Service,
    pub(super) status: Option<ServiceStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) meta: Meta,
    pub(super) instance: Instance,
    pub(super) run: Run,
    pub(super) revision: Revision,
    pub(super) grace_seconds: u32,
    pub(super) flaps: u16,
    pub(super) failures: u16,
    pub(super) created: Timestamp,
    pub(super) live_label: bool,
    /// The annotations that say why it is ended, and when that was ordered.
    pub(super) intent: Option<(Intent, Timestamp)>,
    /// activeDeadlineSeconds was set.
    pub(super) deadline: bool,
    /// When its deletion was asked for.
    pub(super) deleting: Option<Timestamp>,
    pub(super) node: Option<NodeId>,
    pub(super) phase: Phase,
    pub(super) reason: Option<&'static str>,
    pub(super) ready_since: Option<Timestamp>,
    pub(super) unready_since: Option<Timestamp>,
    pub(super) disrupted: bool,
    pub(super) containers: Vec<ContainerFacts>,
    /// Its gate and last change, where it was made with a gate.
    pub(super) in_place: Option<InPlace>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RevisionObject {
    pub(super) meta: Meta,
    pub(super) revision: Revision,
    pub(super) number: i64,
    pub(super) last_good: bool,
    pub(super) failed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UpdateObject {
    pub(super) meta: Meta,
    pub(super) number: u32,
    pub(super) instructions: Instructions,
    pub(super) settings: UpdateSettings,
    pub(super) controls: Controls,
    pub(super) progress: Option<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) meta: Meta,
    pub(super) id: NodeId,
    pub(super) lost: Option<Timestamp>,
}

/// Any object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Service(Box<ServiceObject>),
    Pod(Box<Pod>),
    Revision(RevisionObject),
    Update(Box<UpdateObject>),
    Node(Node),
}

impl From<ServiceObject> for Object {
    fn from(object: ServiceObject) -> Self {
        Self::Service(Box::new(object))
    }
}

impl From<Pod> for Object {
    fn from(pod: Pod) -> Self {
        Self::Pod(Box::new(pod))
    }
}

impl From<RevisionObject> for Object {
    fn from(object: RevisionObject) -> Self {
        Self::Revision(object)
    }
}

impl From<UpdateObject> for Object {
    fn from(object: UpdateObject) -> Self {
        Self::Update(Box::new(object))
    }
}

impl From<Node> for Object {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

impl Object {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Service(_) => Kind::Service,
            Self::Pod(_) => Kind::Pod,
            Self::Revision(_) => Kind::Revision,
            Self::Update(_) => Kind::Update,
            Self::Node(_) => Kind::Node,
        }
    }

    pub(super) fn meta(&self) -> &Meta {
        match self {
            Self::Service(object) => &object.meta,
            Self::Pod(object) => &object.meta,
            Self::Revision(object) => &object.meta,
            Self::Update(object) => &object.meta,
            Self::Node(object) => &object.meta,
        }
    }

    pub(super) fn meta_mut(&mut self) -> &mut Meta {
        match self {
            Self::Service(object) => &mut object.meta,
            Self::Pod(object) => &mut object.meta,
            Self::Revision(object) => &mut object.meta,
            Self::Update(object) => &mut object.meta,
            Self::Node(object) => &mut object.meta,
        }
    }
}

impl Pod {
    /// Whether something of it may still run where the cluster can tell: neither ended nor given up as lost.
    pub(super) fn is_live(&self) -> bool {
        !self.has_ended() && !self.is_given_up()
    }

    /// Whether it is Ready and meant to go on.
    pub(super) fn serves(&self) -> bool {
        self.is_live() && self.ready_since.is_some() && self.deleting.is_none() && self.intent.is_none()
    }

    /// Whether it was given up as lost.
    pub(super) fn is_given_up(&self) -> bool {
        self.deleting.is_some() && self.intent.is_some_and(|(intent, _)| intent == Intent::Lose)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// What an operator makes of it that knew it as `known` before.
    pub(super) fn task(&self, known: Option<&Task>) -> Task {
        let intent = self.intent.map(|(intent, _)| intent);
        let facts = PodFacts {
            phase: self.phase,
            reason: self.reason,
            scheduled: self.node.is_some(),
            ready_since: self.ready_since,
            disrupted: self.disrupted,
            deleting: self.deleting,
            intent,
            in_place: self.in_place.as_ref(),
            containers: &self.containers,
        };
        let seen = observe(&facts, known);
        let ending = (intent.is_some() || self.deleting.is_some()).then(|| Ending {
            intent,
            at: self.deleting.or(self.intent.map(|(_, at)| at)).unwrap_or(self.created),
            grace_seconds: self.grace_seconds,
            deleting: self.deleting.is_some(),
        });
        Task {
            uid: self.meta.uid,
            instance: self.instance,
            run: self.run,
            revision: self.revision,
            state: seen.state,
            before: seen.before,
            ready: seen.ready,
            ready_since: seen.ready_since,
            unready_since: self.unready_since,
            waiting: None,
            created: self.created,
            started: seen.started,
            ended: seen.ended.or_else(|| seen.state.is_terminal().then_some(self.created)),
            end: seen.end,
            exit_code: seen.exit_code,
            ending,
            half_ended: seen.half_ended,
            in_place: self.in_place.map(Box::new),
            flaps: self.flaps,
            failures: self.failures,
            node: self.node,
            live_label: self.live_label,
            owned: false,
        }
    }
}
