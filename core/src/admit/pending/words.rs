//! What keeps Pods off the nodes, in words that begin with what is nearest to be mended (Aurora: NearestFit).

use std::{collections::BTreeSet, sync::Arc};

use super::super::{Board, Veto, Vetoes};
use crate::model::{Claim, Held, PendingReason, Uid};

/// Vetoes told at most; what is beyond is counted.
const VETOES: usize = 4;
/// Names of leaving Pods told at most.
const NAMES: usize = 5;

/// A reason, what its words begin with, and the rest of them.
pub(super) type Words = (PendingReason, String, String);

/// What was found for a Pod. `unknown` is what it demands and nobody looks at here.
pub(super) fn found(vetoes: &Vetoes, unknown: Option<&str>) -> Words {
    let Vetoes { hosts, fitting, counts, left_out, .. } = vetoes;
    if *hosts == 0 {
        return (PendingReason::NoNodes, "There are no nodes".to_owned(), String::new());
    }
    if *fitting > 0 {
        let topic = match unknown {
            Some(unknown) => format!("Only the scheduler can place {unknown}"),
            None => "The scheduler has not placed it yet".to_owned(),
        };
        return (
            PendingReason::Scheduling,
            topic,
            format!(", and all else fits on {fitting} of {hosts} nodes"),
        );
    }
    let mut told = counts.iter().take(VETOES);
    let Some(nearest) = told.next() else {
        return (PendingReason::Scheduling, "The scheduler has found no node".to_owned(), String::new());
    };
    let mut detail = format!(" on {} of {hosts} nodes", nearest.hosts);
    detail.extend(told.map(|count| format!(", {} on {}", count.veto, count.hosts)));
    let more =
        u32::try_from(counts.len().saturating_sub(VETOES)).unwrap_or(u32::MAX).saturating_add(*left_out);
    if more > 0 {
        detail.push_str(&format!(", and {more} more"));
    }
    (reason(&nearest.veto), nearest.veto.to_string(), detail)
}

fn reason(veto: &Veto) -> PendingReason {
    match veto {
        Veto::Insufficient(_) => PendingReason::InsufficientResources,
        Veto::Port(_) => PendingReason::PortTaken,
        Veto::Limit(_) => PendingReason::LimitNotSatisfied,
        Veto::Spread(_) => PendingReason::SpreadNotSatisfied,
        Veto::Apart(_) | Veto::Beside(_) => PendingReason::AffinityNotSatisfied,
        Veto::Constraint(_) => PendingReason::ConstraintNotSatisfied,
        Veto::Draining => PendingReason::HostDraining,
        Veto::Tainted(_) => PendingReason::HostTainted,
        Veto::Dedicated => PendingReason::HostDedicated,
    }
}

/// Who leaves for Pods that room is kept for.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    pods: BTreeSet<Uid>,
    /// Those of the same role; others' names are nobody's business.
    names: BTreeSet<Box<str>>,
    nodes: BTreeSet<Arc<str>>,
}

impl Leaving {
    pub(super) fn add(&mut self, board: &Board, claim: &Claim, held: &Held) {
        self.nodes.insert(Arc::clone(&held.node));
        for victim in held.victims.iter().filter_map(|uid| board.claim(*uid)) {
            self.pods.insert(victim.uid);
            if victim.owner.role == claim.owner.role {
                self.names.insert(victim.name.clone());
            }
        }
    }

    pub(super) fn words(&self) -> Words {
        let nodes = match self.nodes.first().filter(|_| self.nodes.len() == 1) {
            Some(node) => format!(" on node {node}"),
            None => format!(" on {} nodes", self.nodes.len()),
        };
        if self.pods.is_empty() {
            return (PendingReason::Scheduling, "Room is kept".to_owned(), nodes);
        }
        let mut detail =
            format!("{nodes}: {} Pod{}", self.pods.len(), if self.pods.len() == 1 { "" } else { "s" });
        if !self.names.is_empty() {
            let names: Vec<&str> = self.names.iter().take(NAMES).map(AsRef::as_ref).collect();
            let which = if self.names.len() > NAMES || self.names.len() < self.pods.len() {
                "among them "
            } else {
                ""
            };
            detail.push_str(&format!(", {which}{}", names.join(", ")));
        }
        (PendingReason::WaitingForVictims, "Waiting for Pods to leave".to_owned(), detail)
    }
}
