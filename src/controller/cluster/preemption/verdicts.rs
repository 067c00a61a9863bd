//! What preemption found about each Pod that waits, in words for its people, put together by whom they are told.
//!
//! Nobody is told the names of another role's work. Decides nothing. Filled by the loop of preemption after each pass;
//! read by the loop that says why Pods have no place, which is woken when there is something else to say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use borealis_core::{
    admit::{
        Board, Decision, Outcome,
        pass::Verdict,
        pending::{Job, instance},
        slots::WaitsFor,
    },
    model::{Claim, Ranges, SlotFailure, Uid},
};
use jiff::Timestamp;

use crate::index::Follower;

/// Names told at most, of Pods and of nodes.
const NAMES: usize = 5;

/// What is the matter with each Pod that waits, as preemption last saw it. Clones are the same table.
#[derive(Debug, Clone)]
pub struct Verdicts {
    all: Arc<Mutex<HashMap<Uid, Verdict>>>,
    /// Who tells of it.
    reader: Arc<Follower>,
}

/// In what way preemption does something for a Pod, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Its tier lets it wait for a while.
    Early,
    /// Its last slot came to nothing, and the next is not looked for yet.
    BacksOff(SlotFailure),
    /// Another waits that ranks higher and would take the room.
    Ahead,
    /// Its role has had its victims for this minute.
    Limited,
    /// The cluster is frozen.
    Frozen,
    /// Its note could not be written a moment ago.
    Unwritten,
    /// These would go, and do not.
    DryRun,
    /// Pods leave anyway that make the room.
    Leaving,
    /// A disruption budget keeps the rest of its victims.
    Budget,
    /// Its room is free, or the scheduler means another: it is the scheduler's turn.
    Scheduler,
    /// There is nobody who may go and whose room would do.
    Nobody,
    /// It demands what can't be told to fit.
    Unknown(&'static str),
}

impl Kind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::BacksOff(_) => "backsOff",
            Self::Ahead => "ahead",
            Self::Limited => "limited",
            Self::Frozen => "frozen",
            Self::Unwritten => "unwritten",
            Self::DryRun => "dryRun",
            Self::Leaving => "leaving",
            Self::Budget => "budget",
            Self::Scheduler => "scheduler",
            Self::Nobody => "nobody",
            Self::Unknown(_) => "unknown",
        }
    }

    /// What there is to say of a verdict; `None` where the Pod's note says all, or nobody makes room for it here.
    fn of(verdict: &Verdict) -> Option<Self> {
        Some(match verdict {
            Verdict::Early(_) => Self::Early,
            Verdict::Backoff { why, .. } => Self::BacksOff(*why),
            Verdict::Behind(_) => Self::Ahead,
            Verdict::Limited(_) => Self::Limited,
            Verdict::Frozen => Self::Frozen,
            Verdict::Unwritten => Self::Unwritten,
            Verdict::Would(_) => Self::DryRun,
            Verdict::Kept { waits, .. } => match waits {
                WaitsFor::Ahead => Self::Ahead,
                WaitsFor::Budget => Self::Budget,
                WaitsFor::Scheduler | WaitsFor::Elsewhere => Self::Scheduler,
                WaitsFor::Victims | WaitsFor::Frozen => return None,
            },
            Verdict::Found(Decision { outcome, .. }) => match outcome {
                Outcome::Wait { .. } => Self::Leaving,
                Outcome::NoRoom { .. } => Self::Nobody,
                Outcome::Unknown(demand) => Self::Unknown(demand),
                Outcome::Fits { .. } | Outcome::Slot { .. } | Outcome::NotOurs(_) => return None,
            },
        })
    }
}

/// What there is to say of Pods of one job, the same of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// In a word.
    pub kind: Kind,
    /// In words, after what keeps the Pods off the nodes.
    pub words: String,
    /// How many Pods.
    pub pods: u32,
    /// Which instances; empty of Pods that are no service's.
    pub instances: Ranges,
}

impl Verdicts {
    /// An empty table that this reader tells of.
    pub fn new(reader: Arc<Follower>) -> Self {
        Self { all: Arc::default(), reader }
    }

    /// What there is to say of all who wait, by job.
    pub fn by_job(&self, board: &Board) -> BTreeMap<Job, Vec<Remark>> {
        let job = |claim: &Claim| Job {
            namespace: Arc::clone(&claim.owner.namespace),
            name: Arc::clone(&claim.owner.job),
            ours: claim.owner.ours,
        };
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        remarks(board, all.iter(), job)
    }

    /// Takes what was decided anew; the rest stays as long as its Pods wait. Returns those of whom something else is to
    /// be said than before.
    pub(super) fn put(&self, board: &Board, new: BTreeMap<Uid, Verdict>) -> BTreeMap<Uid, Verdict> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|uid, _| board.claim(*uid).is_some_and(|claim| claim.node.is_none()));
        let mut news = BTreeMap::new();
        for (uid, verdict) in new {
            let before = all.get(&uid).and_then(Kind::of);
            if Kind::of(&verdict) != before {
                news.insert(uid, verdict.clone());
            }
            all.insert(uid, verdict);
        }
        if !news.is_empty() {
            self.reader.woken().notify_one();
        }
        news
    }
}

/// What there is to say of these Pods, by whom it is told.
pub(super) fn remarks<'a, K: Ord>(
    board: &Board,
    verdicts: impl Iterator<Item = (&'a Uid, &'a Verdict)>,
    told: impl Fn(&Claim) -> K,
) -> BTreeMap<K, Vec<Remark>> {
    let mut all: BTreeMap<(K, Kind), Many> = BTreeMap::new();
    for (uid, verdict) in verdicts {
        if let (Some(claim), Some(kind)) = (board.claim(*uid), Kind::of(verdict)) {
            all.entry((told(claim), kind)).or_default().add(board, claim, verdict);
        }
    }
    let mut by: BTreeMap<K, Vec<Remark>> = BTreeMap::new();
    for ((whom, kind), many) in all {
        by.entry(whom).or_default().push(many.remark(kind));
    }
    by
}

/// Pods of whom the same is to be said.
#[derive(Debug, Default)]
struct Many {
    pods: u32,
    instances: Vec<u32>,
    /// When the last of them is looked at again.
    until: Option<Timestamp>,
    nodes: BTreeSet<Arc<str>>,
    /// Who goes or would go.
    victims: BTreeSet<Uid>,
    /// The names of those of the same role.
    names: BTreeSet<Box<str>>,
}

impl Many {
    fn add(&mut self, board: &Board, claim: &Claim, verdict: &Verdict) {
        self.pods += 1;
        self.instances.extend(instance(claim));
        match verdict {
            Verdict::Early(until) | Verdict::Limited(until) => self.until = self.until.max(Some(*until)),
            Verdict::Backoff { until, node, .. } => {
                self.until = self.until.max(Some(*until));
                self.nodes.insert(Arc::clone(node));
            }
            Verdict::Kept { node, victims, .. } => {
                self.nodes.insert(Arc::clone(node));
                self.go(board, claim, victims.iter().copied());
            }
            Verdict::Found(decision) | Verdict::Would(decision) => {
                let host = decision.outcome.host().and_then(|host| board.host(host));
                self.nodes.extend(host.map(|host| Arc::clone(&host.name)));
                self.go(board, claim, decision.outcome.victims().iter().map(|victim| victim.uid));
                if let Outcome::Wait { leaving, .. } = &decision.outcome {
                    self.go(board, claim, leaving.iter().copied());
                }
            }
            Verdict::Frozen | Verdict::Behind(_) | Verdict::Unwritten => {}
        }
    }

    fn go(&mut self, board: &Board, claim: &Claim, victims: impl Iterator<Item = Uid>) {
        for victim in victims.filter_map(|uid| board.claim(uid)) {
            self.victims.insert(victim.uid);
            if victim.owner.role == claim.owner.role {
                self.names.insert(victim.name.clone());
            }
        }
    }

    fn remark(self, kind: Kind) -> Remark {
        let (nodes, until) = (self.nodes(), self.until.unwrap_or(Timestamp::MAX));
        let words = match kind {
            Kind::Early => format!("its tier lets it wait until {until:.0} before others end for it"),
            Kind::BacksOff(why) => {
                format!("the room kept on {nodes} {}; other room is looked for at {until:.0}", why.words())
            }
            Kind::Ahead => "a Pod that ranks higher waits and would take the room: it comes first".to_owned(),
            Kind::Limited => {
                format!("its role has had as many victims in a minute as it may; more at {until:.0}")
            }
            Kind::Frozen => "nobody ends for it while the cluster is frozen".to_owned(),
            Kind::Unwritten => {
                "the API server does not take the note of the room that would be kept for it; the operator's log says why, \
                 and it is tried again"
                    .to_owned()
            }
            Kind::DryRun => {
                format!("in a dry run of preemption, {} would end on {nodes}", self.victims())
            }
            Kind::Leaving => format!("it waits for {} to leave {nodes}", self.victims()),
            Kind::Budget => format!("a disruption budget keeps some of {} on {nodes}", self.victims()),
            Kind::Scheduler => format!("the scheduler has not seen yet that there is room on {nodes}"),
            Kind::Nobody => "there is nobody who may end for it and whose room would do".to_owned(),
            Kind::Unknown(demand) => format!("nobody ends for a Pod whose {demand} can't be told to fit"),
        };
        Remark { kind, words, pods: self.pods, instances: self.instances.into_iter().collect() }
    }

    fn nodes(&self) -> String {
        match self.nodes.first() {
            Some(node) if self.nodes.len() == 1 => format!("node {node}"),
            _ => format!("{} nodes", self.nodes.len()),
        }
    }

    fn victims(&self) -> String {
        let count = self.victims.len();
        let pods = format!("{count} Pod{}", if count == 1 { "" } else { "s" });
        if self.names.is_empty() {
            return pods;
        }
        let names: Vec<&str> = self.names.iter().take(NAMES).map(AsRef::as_ref).collect();
        let among = if names.len() < count { "among them " } else { "" };
        format!("{pods} ({among}{})", names.join(", "))
    }
}

#[cfg(test)]
mod tests;
