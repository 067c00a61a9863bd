//! The last decisions of preemption, with what else there would have been: for people who ask why.
//!
//! Bounded, in memory, and of this process only. Decides nothing. Written by the loop; read by `server`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use borealis_core::{
    admit::{Board, Cost, Decision, Outcome, Why, pass::Told},
    model::{NodeId, Owner, Uid},
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// How many decisions are kept.
const MOST: usize = 512;

/// The last decisions, the newest first when they are read. Clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct DecisionLog(Arc<Mutex<VecDeque<Entry>>>);

/// A decision, and how often in a row it was made for this Pod.
#[derive(Debug)]
struct Entry {
    pod: Uid,
    first: Timestamp,
    last: Timestamp,
    times: u32,
    what: Value,
}

impl DecisionLog {
    /// Everything that is kept, as JSON, the newest first.
    #[must_use]
    pub fn json(&self) -> Value {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |entry: &Entry| {
            let mut shown = entry.what.clone();
            shown["at"] = entry.first.to_string().into();
            if entry.times > 1 {
                shown["last"] = entry.last.to_string().into();
                shown["times"] = entry.times.into();
            }
            shown
        };
        json!({ "decisions": entries.iter().rev().map(shown).collect::<Vec<_>>() })
    }

    /// Notes something that a pass has told. What it found for a Pod before and finds again is one entry.
    pub(super) fn note(&self, known: &Known, told: &Told, now: Timestamp) {
        let (pod, what) = describe(known, told);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.iter_mut().rev().find(|entry| entry.pod == pod);
        if let Some(known) = known.filter(|known| known.what == what) {
            known.last = now;
            known.times = known.times.saturating_add(1);
            return;
        }
        if entries.len() >= MOST {
            entries.pop_front();
        }
        entries.push_back(Entry { pod, first: now, last: now, times: 1, what });
    }
}

/// Who the Pods and nodes are that a pass tells of: taken off the board under its lock, so that the words need none.
#[derive(Debug, Default)]
pub(super) struct Known {
    pods: HashMap<Uid, (Box<str>, Arc<Owner>)>,
    nodes: HashMap<NodeId, Arc<str>>,
}

impl Known {
    pub(super) fn of(board: &Board, told: &[Told]) -> Self {
        let mut known = Self::default();
        for told in told {
            match told {
                Told::Decided(decision) | Told::Would(decision) => known.take(board, decision),
                Told::Withdrawn { claim, .. } | Told::Placed { claim, .. } => known.pod(board, *claim),
            }
        }
        known
    }

    fn take(&mut self, board: &Board, decision: &Decision) {
        let Decision { claim, outcome, rejected } = decision;
        let victims = outcome.victims().iter().map(|victim| victim.uid);
        let leaving = if let Outcome::Wait { leaving, .. } = outcome { leaving.as_slice() } else { &[] };
        for uid in victims.chain(leaving.iter().copied()).chain([*claim]) {
            self.pod(board, uid);
        }
        for host in rejected.iter().map(|rejected| rejected.host).chain(outcome.host()) {
            self.nodes.extend(board.host(host).map(|found| (host, Arc::clone(&found.name))));
        }
    }

    fn pod(&mut self, board: &Board, uid: Uid) {
        let found = board.claim(uid).map(|claim| (claim.name.clone(), Arc::clone(&claim.owner)));
        self.pods.extend(found.map(|found| (uid, found)));
    }
}

fn describe(known: &Known, told: &Told) -> (Uid, Value) {
    match told {
        Told::Decided(decision) => (decision.claim, decided(known, decision)),
        Told::Would(decision) => {
            let mut what = decided(known, decision);
            what["dryRun"] = true.into();
            (decision.claim, what)
        }
        Told::Withdrawn { claim, node, why } => {
            let mut what = about(known, *claim);
            what["outcome"] = "withdrawn".into();
            what["node"] = (**node).into();
            what["reason"] = why.name().into();
            what["why"] = format!("the room kept on node {node} {}", why.words()).into();
            (*claim, what)
        }
        Told::Placed { claim, node, here, in_vain } => {
            let mut what = about(known, *claim);
            what["outcome"] = if *here { "placed" } else { "placedElsewhere" }.into();
            what["node"] = (**node).into();
            what["endedInVain"] = (*in_vain).into();
            (*claim, what)
        }
    }
}

/// Who a Pod is.
fn about(known: &Known, uid: Uid) -> Value {
    let Some((name, owner)) = known.pods.get(&uid) else { return json!({"uid": uid.to_string()}) };
    json!({
        "pod": format!("{}/{}", owner.namespace, name),
        "uid": uid.to_string(),
        "job": *owner.job,
        "role": *owner.role,
        "tier": owner.tier.as_ref().map(|tier| &*tier.name),
        "priority": owner.priority,
    })
}

fn decided(known: &Known, decision: &Decision) -> Value {
    let mut what = about(known, decision.claim);
    let name = |host: NodeId| known.nodes.get(&host).map_or("", |name| &**name);
    let pods = |all: &[Uid]| -> Vec<Value> { all.iter().map(|uid| about(known, *uid)).collect() };
    match &decision.outcome {
        Outcome::Fits { host } => {
            what["outcome"] = "fits".into();
            what["node"] = name(*host).into();
        }
        Outcome::Wait { host, leaving, until } => {
            what["outcome"] = "wait".into();
            what["node"] = name(*host).into();
            what["leaving"] = pods(leaving).into();
            what["until"] = until.map(|until| until.to_string()).into();
        }
        Outcome::Slot { host, victims, cost, proven } => {
            what["outcome"] = "slot".into();
            what["node"] = name(*host).into();
            what["cost"] = costs(cost);
            what["proven"] = (*proven).into();
            let victims = victims.iter().map(|victim| {
                let mut who = about(known, victim.uid);
                who["rule"] = victim.rule.to_string().into();
                who
            });
            what["victims"] = victims.collect::<Vec<_>>().into();
        }
        Outcome::NoRoom { vetoes, spared, kept } => {
            what["outcome"] = "none".into();
            let counts = vetoes
                .counts
                .iter()
                .map(|count| json!({"veto": count.veto.to_string(), "nodes": count.hosts}));
            what["vetoes"] = counts.collect::<Vec<_>>().into();
            let spared = spared.iter().map(|(why, pods)| json!({"why": why.to_string(), "pods": pods}));
            what["spared"] = spared.collect::<Vec<_>>().into();
            let kept = kept.iter().map(|(why, pods)| json!({"why": **why, "pods": pods}));
            what["keptByBudgets"] = kept.collect::<Vec<_>>().into();
        }
        Outcome::Unknown(demand) => {
            what["outcome"] = "unknown".into();
            what["why"] = format!("nobody is ended for a Pod whose {demand} can't be told to fit").into();
        }
        Outcome::NotOurs(why) => {
            what["outcome"] = "notOurs".into();
            what["why"] = why.to_string().into();
        }
    }
    let rejected = decision.rejected.iter().map(|rejected| match &rejected.why {
        Why::Cost(cost) => json!({"node": name(rejected.host), "cost": costs(cost)}),
        Why::Vetoes(vetoes) => {
            let vetoes: Vec<String> = vetoes.iter().map(ToString::to_string).collect();
            json!({"node": name(rejected.host), "vetoes": vetoes})
        }
    });
    what["rejected"] = rejected.collect::<Vec<_>>().into();
    what
}

fn costs(cost: &Cost) -> Value {
    let losses = cost
        .losses
        .iter()
        .map(|loss| json!({"band": loss.band, "priority": loss.priority, "since": loss.since.0.to_string()}));
    json!({"victims": cost.victims, "losses": losses.collect::<Vec<_>>()})
}
