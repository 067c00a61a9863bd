//! Where a Pod fits, and what keeps it off the nodes where it does not.
//!
//! Asks what the scheduler's filters ask: taints, labels and name of the node, the Pods around, ports, resources, places
//! for Pods. Pods that room is kept for on a node count there, unless they rank below the one that asks. Decides
//! nothing; `search` asks the same of nodes that some Pods have left. Called for a Pod that is pending, to tell people why.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    board::{Board, Room},
    neighbours::{Neighbours, Relation},
    node,
    veto::{Count, Miss, Nearest, PODS, Vetoes},
};
use crate::model::{Claim, Demand, Host, HostPort, NodeId, Owner, Resources, Uid};

/// Something of a node that a Pod takes a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource<'a> {
    Cpu,
    Memory,
    Ephemeral,
    Extended(&'a str),
    /// A place for a Pod.
    Place,
}

impl<'a> Resource<'a> {
    /// What a Pod asks for, and how much of it. What it asks nothing of can be short without harm to it.
    pub(super) fn asked(demand: &'a Demand) -> Vec<(Self, i64)> {
        let requests = &demand.requests;
        let known = [
            (Self::Cpu, requests.cpu_milli),
            (Self::Memory, requests.memory),
            (Self::Ephemeral, requests.ephemeral),
        ];
        let extended = requests.extended.iter().map(|(name, amount)| (Self::Extended(name), *amount));
        known
            .into_iter()
            .chain(extended)
            .filter(|(_, amount)| *amount > 0)
            .chain([(Self::Place, 1)])
            .collect()
    }

    /// How much of it so many resources of one Pod are.
    pub(super) fn of_pod(self, resources: &Resources) -> i64 {
        match self {
            Self::Cpu => resources.cpu_milli,
            Self::Memory => resources.memory,
            Self::Ephemeral => resources.ephemeral,
            Self::Extended(name) => resources.extended(name),
            Self::Place => 1,
        }
    }

    /// How much of it a node has left.
    pub(super) fn left(self, room: &Room, host: &Host) -> i64 {
        if self == Self::Place {
            let pods = i64::try_from(room.claims().len()).unwrap_or(i64::MAX);
            return i64::from(host.pods) - pods;
        }
        self.of_pod(&host.allocatable).saturating_sub(self.of_pod(room.used()))
    }

    /// Its name in Kubernetes.
    fn name(self) -> &'a str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Ephemeral => "ephemeral-storage",
            Self::Extended(name) => name,
            Self::Place => PODS,
        }
    }

    /// How far from fitting it is to lack so much (Aurora: ResourceType.getScalingRange).
    fn score(self, lacking: i64) -> u64 {
        let range = match self {
            Self::Cpu => 16_000,
            Self::Memory => 24 << 30,
            Self::Ephemeral => 450 << 30,
            Self::Extended(_) => 4,
            Self::Place => 110,
        };
        let part = i128::from(lacking) * 1_000 / range;
        u64::try_from(part.clamp(1, 1_000)).unwrap_or(1_000)
    }
}

/// Whether two ports of one host are in each other's way.
pub(super) fn clashes(one: &HostPort, other: &HostPort) -> bool {
    let same = match (&one.address, &other.address) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    same && one.port == other.port && one.protocol == other.protocol
}

/// Whether room that is kept for a Pod is kept from one of this owner, too.
pub(super) fn is_kept_from(nominee: &Claim, owner: &Owner) -> bool {
    nominee.owner.rank >= owner.rank
}

/// The Pods that are in the way of one of this owner where room is kept for them.
pub(super) fn expected<'b>(
    board: &'b Board,
    asks: Uid,
    owner: &'b Owner,
) -> impl Iterator<Item = (&'b Claim, &'b Host)> {
    let kept = board.unbound().filter(|claim| claim.ends.is_none() && claim.nominated.is_some());
    kept.filter(move |claim| claim.uid != asks && is_kept_from(claim, owner))
        .filter_map(|claim| Some((claim, board.host(claim.nominated?)?)))
}

/// Who asks where it fits: Pods that have owner and demand in common.
#[derive(Debug, Clone)]
pub(super) struct Asker<'a> {
    pub(super) owner: &'a Owner,
    pub(super) demand: &'a Demand,
    asked: Vec<(Resource<'a>, i64)>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(owner: &'a Owner, demand: &'a Demand) -> Self {
        Self { owner, demand, asked: Resource::asked(demand) }
    }

    /// What it asks for, and how much of it is lacking on a node; below 0 is left over.
    pub(super) fn lacking(
        &self,
        room: &Room,
        host: &Host,
        kept: &[&Claim],
    ) -> impl Iterator<Item = (Resource<'a>, i64)> {
        self.asked.iter().map(|(resource, amount)| {
            let kept: i64 = kept.iter().map(|nominee| resource.of_pod(&nominee.demand.requests)).sum();
            (*resource, amount + kept - resource.left(room, host))
        })
    }

    /// The ports it asks for that one of these Pods has.
    pub(super) fn taken(&self, by: &Claim) -> Option<u16> {
        let takes = |port: &&HostPort| by.demand.host_ports.iter().any(|other| clashes(port, other));
        self.demand.host_ports.iter().find(takes).map(|port| port.port)
    }

    /// What keeps it off a node, by the first category that has any, with scores: where room is kept for some Pods, some
    /// are gone for certain, and some may go, who are not among them.
    pub(super) fn misses(
        &'a self,
        around: &'a Neighbours<'_>,
        (host, room): (&'a Host, &Room),
        kept: &[&Claim],
        gone: &[&Claim],
        may_go: &[(&Claim, Relation)],
        misses: &mut Vec<(Miss<'a>, u64)>,
    ) {
        misses.clear();
        let first = node::miss(self.demand, host);
        let first =
            first.or_else(|| if around.is_nothing() { None } else { around.wanting(host, may_go).err() });
        if let Some(miss) = first {
            misses.push((miss, miss.score()));
            return;
        }
        let leaves = |claim: &Claim| {
            gone.iter().chain(may_go.iter().map(|(claim, _)| claim)).any(|other| other.uid == claim.uid)
        };
        if !self.demand.host_ports.is_empty() {
            let stay = room.claims().iter().filter(|claim| !leaves(claim)).chain(kept.iter().copied());
            let taken: BTreeSet<u16> = stay.filter_map(|claim| self.taken(claim)).collect();
            misses.extend(taken.into_iter().map(Miss::Port).map(|miss| (miss, miss.score())));
        }
        for (resource, lacking) in self.lacking(room, host, kept) {
            let go = gone.iter().chain(may_go.iter().map(|(claim, _)| claim));
            let lacking = lacking - go.map(|claim| resource.of_pod(&claim.demand.requests)).sum::<i64>();
            if lacking > 0 {
                misses.push((Miss::Insufficient(resource.name()), resource.score(lacking)));
            }
        }
    }
}

/// What keeps a Pod off the nodes as they are, nearest fit first (Aurora: NearestFit). What it demands that is not known
/// here (`Demand::unknown`) is no part of it.
///
/// The Pod need not be on the board, and is not in its own way if it is.
pub fn vetoes(board: &Board, claim: &Claim) -> Vetoes {
    let (asker, around) = (Asker::new(&claim.owner, &claim.demand), around(board, claim));
    let (mut tally, mut misses) = (Tally::default(), Vec::new());
    for (host, room) in board.hosts() {
        let kept = kept_from(board, host.id, claim);
        asker.misses(&around, (host, room), &kept, &[], &[], &mut misses);
        tally.count(host.id, &misses);
    }
    tally.vetoes()
}

/// Whether there is a node that a Pod fits on as things are. As with [`vetoes`], as far as is known here.
pub(super) fn fits_somewhere(board: &Board, claim: &Claim) -> bool {
    let (asker, around) = (Asker::new(&claim.owner, &claim.demand), around(board, claim));
    let mut misses = Vec::new();
    board.hosts().any(|(host, room)| {
        let kept = kept_from(board, host.id, claim);
        asker.misses(&around, (host, room), &kept, &[], &[], &mut misses);
        misses.is_empty()
    })
}

/// Who is around a Pod as things are, those with them that room is kept for.
fn around<'a>(board: &'a Board, claim: &'a Claim) -> Neighbours<'a> {
    let mut around = Neighbours::new(board, &claim.owner, &claim.demand, true);
    for (nominee, host) in expected(board, claim.uid, &claim.owner) {
        around.expect(nominee, host, 1);
    }
    around
}

/// For whom room is kept on a node, which is not this Pod's then.
pub(super) fn kept_from<'b>(board: &'b Board, host: NodeId, claim: &Claim) -> Vec<&'b Claim> {
    let others = board.nominees(host).filter(|nominee| nominee.uid != claim.uid);
    others.filter(|nominee| is_kept_from(nominee, &claim.owner)).collect()
}

/// Counts vetoes, one node after the other.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    hosts: u32,
    fitting: u32,
    counts: BTreeMap<Miss<'a>, (u32, u64)>,
    /// The nearest nodes, the nearest first.
    nearest: Vec<(u64, NodeId, Vec<Miss<'a>>)>,
}

impl<'a> Tally<'a> {
    /// How many nodes are kept as the nearest.
    const NEAREST: usize = 3;

    pub(super) fn count(&mut self, host: NodeId, misses: &[(Miss<'a>, u64)]) {
        self.hosts += 1;
        if misses.is_empty() {
            self.fitting += 1;
            return;
        }
        for (miss, score) in misses {
            let (hosts, least) = self.counts.entry(*miss).or_insert((0, u64::MAX));
            *hosts += 1;
            *least = (*least).min(*score);
        }
        let score = misses.iter().map(|(_, score)| score).sum();
        let at = self.nearest.partition_point(|(other, _, _)| *other <= score);
        if at < Self::NEAREST {
            self.nearest.insert(at, (score, host, misses.iter().map(|(miss, _)| *miss).collect()));
            self.nearest.truncate(Self::NEAREST);
        }
    }

    /// The nearest nodes with their vetoes, the nearest first.
    pub(super) fn nearest(&self) -> impl Iterator<Item = Nearest> {
        self.nearest.iter().map(|(score, host, misses)| Nearest {
            host: *host,
            vetoes: misses.iter().map(|miss| miss.veto()).collect(),
            score: *score,
        })
    }

    pub(super) fn vetoes(self) -> Vetoes {
        let nearest = self.nearest().next().filter(|_| self.fitting == 0);
        let mut counts: Vec<_> = self.counts.into_iter().collect();
        counts.sort_by_key(|(miss, (hosts, score))| (*score, Reverse(*hosts), *miss));
        let left_out = u32::try_from(counts.len().saturating_sub(Vetoes::MOST)).unwrap_or(u32::MAX);
        counts.truncate(Vetoes::MOST);
        let counts = counts
            .into_iter()
            .map(|(miss, (hosts, score))| Count { veto: miss.veto(), hosts, score })
            .collect();
        Vetoes { hosts: self.hosts, fitting: self.fitting, nearest, counts, left_out }
    }
}
