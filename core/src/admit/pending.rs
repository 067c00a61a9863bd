//! Why Pods have no place: what keeps those off the nodes that the scheduler has found none for, in words, by job.
//!
//! Pods that have owner and demand in common are looked at once for all, and again only after a while and when something
//! has changed: what it costs goes by how many different ones wait, not by how many wait. It decides nothing; that
//! somebody waits for victims is read off the note on the Pod. Called by the cluster's loop.

mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{Board, Vetoes, vetoes};
use crate::model::{Claim, Demand, FailedSlot, Held, Instance, JobKind, Owner, PendingReason, Ranges, Uid};

/// How long what was found of a config stands, however much changes.
const STANDS: SignedDuration = SignedDuration::from_secs(5);
/// Names of Pods told at most.
const NAMES: usize = 5;

/// What was found, kept from one look to the next.
#[derive(Debug, Default)]
pub struct Explainer {
    known: BTreeMap<Config, Known>,
}

/// Owner and demand by their places in memory, which `Known` keeps from being used again.
type Config = (usize, usize);

#[derive(Debug)]
struct Known {
    _owner: Arc<Owner>,
    _demand: Arc<Demand>,
    /// One of those that wait.
    sample: Uid,
    /// What was found, and when.
    found: Option<(Arc<Vetoes>, Timestamp)>,
    /// Something has changed since.
    stale: bool,
}

/// Pods of one job that wait for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Why, in a word.
    pub reason: PendingReason,
    /// What the words begin with, and stays while only numbers in them change.
    pub topic: String,
    /// The words after that.
    pub detail: String,
    /// How many.
    pub count: u32,
    /// Which instances; empty of Pods that are no service's.
    pub instances: Ranges,
    /// The names of some.
    pub names: Vec<Box<str>>,
    /// When the scheduler first found no node for one of them, or the first of them was made.
    pub since: Timestamp,
    /// What keeps them off the nodes, where they don't wait for others to leave.
    pub vetoes: Option<Arc<Vetoes>>,
    /// The slots that stand for them; at most [`Group::SLOTS`].
    pub slots: Vec<Kept>,
    /// The last slots that came to nothing; at most as many.
    pub failed: Vec<(Box<str>, FailedSlot)>,
}

impl Group {
    /// How many slots are told of.
    pub const SLOTS: usize = 16;
}

/// Room that is kept for a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The Pod's name.
    pub pod: Box<str>,
    /// The slot.
    pub held: Held,
    /// Who has not left yet, `namespace/name`, whoever's they are.
    pub leaving: Vec<String>,
}

/// The job of waiting Pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name: of an AuroraService or AuroraJob, or of whatever else controls the Pods.
    pub name: Arc<str>,
    /// Which of the two it is, if one.
    pub ours: Option<JobKind>,
}

/// The Pods of a job that wait, whose they are, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Whose they are.
    pub owner: Arc<Owner>,
    /// Those of the same reason together, the most first.
    pub groups: Vec<Group>,
}

fn config(claim: &Claim) -> Config {
    (Arc::as_ptr(&claim.owner).addr(), Arc::as_ptr(&claim.demand).addr())
}

fn held(claim: &Claim) -> Option<&Held> {
    claim.slot.as_ref()?.held.as_ref()
}

/// The Pods that are known to have no place.
fn waiting(board: &Board) -> impl Iterator<Item = &Claim> {
    let waits = |claim: &&Claim| claim.unschedulable.is_some() || held(claim).is_some();
    board.unbound().filter(|claim| claim.ends.is_none()).filter(waits)
}

impl Explainer {
    /// Takes down who waits; says whom to look at now, one for each config that was not looked at lately, the new ones
    /// first. `changed` says that something has since the last call.
    pub fn begin(&mut self, board: &Board, changed: bool, now: Timestamp) -> Vec<Uid> {
        let mut current = BTreeSet::new();
        for claim in waiting(board).filter(|claim| held(claim).is_none()) {
            if current.insert(config(claim)) {
                let known = self.known.entry(config(claim)).or_insert_with(|| Known {
                    _owner: Arc::clone(&claim.owner),
                    _demand: Arc::clone(&claim.demand),
                    sample: claim.uid,
                    found: None,
                    stale: false,
                });
                known.sample = claim.uid;
                known.stale |= changed;
            }
        }
        self.known.retain(|config, _| current.contains(config));
        let due = |known: &&Known| match &known.found {
            None => true,
            Some((_, at)) => known.stale && now.duration_since(*at) >= STANDS,
        };
        let mut due: Vec<&Known> = self.known.values().filter(due).collect();
        due.sort_by_key(|known| (known.found.as_ref().map(|(_, at)| *at), known.sample));
        due.into_iter().map(|known| known.sample).collect()
    }

    /// Looks what keeps the Pods of a config off the nodes.
    pub fn look(&mut self, board: &Board, sample: Uid, now: Timestamp) {
        let Some(claim) = board.claim(sample).filter(|claim| claim.node.is_none()) else { return };
        if let Some(known) = self.known.get_mut(&config(claim)) {
            known.found = Some((Arc::new(vetoes(board, claim)), now));
            known.stale = false;
        }
    }

    /// When what was found is to be looked at again.
    pub fn next(&self) -> Option<Timestamp> {
        let stale = self.known.values().filter(|known| known.stale);
        stale.filter_map(|known| known.found.as_ref()?.1.checked_add(STANDS).ok()).min()
    }

    /// Everybody who waits, by job, and why. Those of whom nothing was found yet are left out.
    pub fn report(&self, board: &Board) -> BTreeMap<Job, Waiting> {
        let mut jobs: BTreeMap<Job, (Arc<Owner>, BTreeMap<Key, Many>)> = BTreeMap::new();
        for claim in waiting(board) {
            let (key, found) = match held(claim) {
                Some(_) => (Key::Slot, None),
                None => {
                    let known = self.known.get(&config(claim)).and_then(|known| known.found.as_ref());
                    let Some((found, _)) = known else { continue };
                    let (reason, topic, detail) = words::found(found, claim.demand.unknown);
                    (Key::Words(reason, topic, detail), Some(found))
                }
            };
            let Owner { namespace, job, ours, .. } = &*claim.owner;
            let job = Job { namespace: Arc::clone(namespace), name: Arc::clone(job), ours: *ours };
            let (_, groups) = jobs.entry(job).or_insert_with(|| (Arc::clone(&claim.owner), BTreeMap::new()));
            groups.entry(key).or_default().add(board, claim, found);
        }
        let job = |(job, (owner, groups)): (Job, (Arc<Owner>, BTreeMap<Key, Many>))| {
            let mut groups: Vec<Group> = groups.into_iter().map(|(key, many)| many.group(key)).collect();
            groups.sort_by_key(|group| std::cmp::Reverse(group.count));
            (job, Waiting { owner, groups })
        };
        jobs.into_iter().map(job).collect()
    }
}

/// What Pods of a job are grouped by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Room is kept for them.
    Slot,
    /// These words.
    Words(PendingReason, String, String),
}

/// The Pods of a group.
#[derive(Debug, Default)]
struct Many {
    count: u32,
    instances: Vec<Instance>,
    names: Vec<Box<str>>,
    since: Option<Timestamp>,
    vetoes: Option<Arc<Vetoes>>,
    slots: Vec<Kept>,
    failed: Vec<(Box<str>, FailedSlot)>,
    leaving: words::Leaving,
}

impl Many {
    fn add(&mut self, board: &Board, claim: &Claim, found: Option<&Arc<Vetoes>>) {
        self.count += 1;
        self.instances.extend(instance(claim));
        if self.names.len() < NAMES {
            self.names.push(claim.name.clone());
        }
        let since = claim.unschedulable.unwrap_or(claim.created);
        self.since = Some(self.since.map_or(since, |first| first.min(since)));
        if self.vetoes.is_none() {
            self.vetoes = found.cloned();
        }
        if let Some(held) = held(claim) {
            self.leaving.add(board, claim, held);
            if self.slots.len() < Group::SLOTS {
                let leaving = held.victims.iter().filter_map(|uid| board.claim(*uid));
                let leaving = leaving.map(|it| format!("{}/{}", it.owner.namespace, it.name)).collect();
                self.slots.push(Kept { pod: claim.name.clone(), held: held.clone(), leaving });
            }
        }
        let failed = claim.slot.as_ref().and_then(|slot| slot.failed.clone());
        if let Some(failed) = failed.filter(|_| self.failed.len() < Group::SLOTS) {
            self.failed.push((claim.name.clone(), failed));
        }
    }

    fn group(self, key: Key) -> Group {
        let (reason, topic, detail) = match key {
            Key::Words(reason, topic, detail) => (reason, topic, detail),
            Key::Slot => self.leaving.words(),
        };
        Group {
            reason,
            topic,
            detail,
            count: self.count,
            instances: self.instances.into_iter().collect(),
            names: self.names,
            since: self.since.unwrap_or(Timestamp::MAX),
            vetoes: self.vetoes,
            slots: self.slots,
            failed: self.failed,
        }
    }
}

/// The instance of a job's Pod, whose name is `<job>-<instance>-<run>`.
pub fn instance(claim: &Claim) -> Option<Instance> {
    let rest = claim.name.strip_prefix(&*claim.owner.job).filter(|_| claim.owner.ours.is_some())?;
    rest.strip_prefix('-')?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests;
