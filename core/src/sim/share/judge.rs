//! Says what must never be, and what must have come of it in the end, by rules of its own.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    ShareTally,
    scheduler::within,
    world::{Pod, World},
};
use crate::{
    admit::{
        Board, Decision,
        pass::{Action, Decisions, Verdict},
    },
    model::{Claim, Host, NodeId, Uid},
};

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Judge {
    tally: ShareTally,
    /// What each victim was ended for.
    ended: BTreeMap<Uid, Ended>,
}

/// What a victim was ended for.
#[derive(Debug)]
struct Ended {
    /// The Pod.
    claim: Uid,
    /// Where that was to have its place.
    node: String,
    /// When.
    at: Timestamp,
    /// How it lost that room, as soon as it has.
    lost: Option<Lost>,
}

/// How a Pod lost room that was made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// By what was known then, or was decided here.
    Here,
    /// By what others did later.
    ToOthers,
}

impl Judge {
    /// A pass was made; each new slot is compared with the fewest victims that would have done, those of the slots
    /// before it counted as gone. Pods with a budget are left out of those that would have done instead.
    pub(super) fn passed(
        &mut self,
        decisions: &Decisions,
        board: &Board,
        has_budget: impl Fn(&Uid) -> bool,
        now: Timestamp,
    ) {
        self.tally.passes += 1;
        let mut after = board.clone();
        let held = |claim: &Claim| claim.slot.as_ref().and_then(|slot| slot.held.clone());
        for gone in board.unbound().filter_map(held).flat_map(|held| held.victims) {
            after.remove_claim(gone);
        }
        // What those leave who are ending belongs to those who were told to wait for it.
        for (claim, verdict) in &decisions.verdicts {
            let Verdict::Found(Decision { outcome, .. }) = verdict else { continue };
            if let (Some(claim), Some(host)) = (board.claim(*claim), outcome.host()) {
                after.set_claim(Claim { nominated: Some(host), ..claim.clone() });
            }
        }
        for action in &decisions.actions {
            let Action::Keep { claim, slot, node } = action else { continue };
            let (Some(claim), Some(new)) = (board.claim(*claim), &slot.held) else { continue };
            let Some(host) = board.hosts().find(|(host, _)| host.name == *node).map(|(host, _)| host.id)
            else {
                continue;
            };
            if held(claim).is_some() {
                continue;
            }
            self.tally.slots += 1;
            let may = |victim: &Claim| {
                let pod = Pod { claim: victim.clone(), grace: 0, budget: None, job: None };
                allowed(claim, &pod) && !has_budget(&victim.uid) && !is_young(victim, now)
            };
            let fewest = fewest(&after, claim, new.victims.len(), may);
            self.tally.too_many += (new.victims.len() - fewest) as u64;
            for gone in &new.victims {
                after.remove_claim(*gone);
            }
            after.set_claim(Claim { nominated: Some(host), ..claim.clone() });
        }
    }

    /// A Pod is ended for another: whether that was right, as things are and not as they were seen.
    pub(super) fn ended(&mut self, world: &World, victim: Uid, claim: Uid, node: &str) -> Result<(), String> {
        let Some(pod) = world.pods.get(&victim).filter(|pod| pod.claim.ends.is_none()) else { return Ok(()) };
        self.tally.victims += 1;
        let ended = Ended { claim, node: node.to_owned(), at: world.now, lost: None };
        if let Some(before) = self.ended.insert(victim, ended) {
            return Err(format!("{victim:?} was ended for {:?}, and again for {claim:?}", before.claim));
        }
        let Some(for_whom) = world.pods.get(&claim) else { return Ok(()) };
        if !allowed(&for_whom.claim, pod) {
            return Err(format!(
                "{victim:?} was ended for {claim:?} against the rule: {pod:?} for {for_whom:?}"
            ));
        }
        if is_young(&pod.claim, world.now) {
            return Err(format!("{victim:?} was ended before it had run for as long as its tier lets it"));
        }
        let slot = for_whom.claim.slot.as_ref().and_then(|slot| slot.held.as_ref());
        if slot.is_none_or(|held| &*held.node != node || !held.victims.contains(&victim)) {
            return Err(format!(
                "{victim:?} was ended for {claim:?}, whose note says nothing of it: {slot:?}"
            ));
        }
        Ok(())
    }

    pub(super) fn withdrawn(&mut self) {
        self.tally.failed += 1;
    }

    pub(super) fn crashed(&mut self) {
        self.tally.crashes += 1;
    }

    pub(super) fn conflict(&mut self) {
        self.tally.conflicts += 1;
    }

    pub(super) fn kept(&mut self) {
        self.tally.kept += 1;
    }

    /// When all is over: each victim went for somebody who has its place, or whose note says why not.
    pub(super) fn rest(&self, world: &World) -> Result<(), String> {
        for (victim, Ended { claim, node, .. }) in &self.ended {
            let Some(pod) = world.pods.get(claim) else { continue };
            let told =
                pod.claim.slot.as_ref().is_some_and(|slot| slot.held.is_some() || slot.failed.is_some());
            if pod.claim.node.is_none() && !told {
                return Err(format!(
                    "{victim:?} went for {claim:?} on {node}, which has no place and no note of it"
                ));
            }
        }
        for pod in world.pods.values().filter(|pod| pod.claim.node.is_none() && pod.claim.ends.is_none()) {
            if let Some(host) = could_have(world, pod) {
                return Err(format!(
                    "{:?} waits although others could make room on {} by the rule: {:?}",
                    pod.claim.uid, host.name, pod.claim
                ));
            }
        }
        Ok(())
    }

    /// What a run did, over-eviction included.
    pub(super) fn tally(&self, world: &World) -> ShareTally {
        let in_vain = self.ended.values().filter(|Ended { claim, node, at, .. }| {
            // Those that are gone by now had their time.
            let Some(pod) = world.pods.get(claim) else { return false };
            let is_here = |pod: &Pod| pod.claim.node.is_some() && pod.claim.node == host_named(world, node);
            // Nobody could know of one that came later and ranks higher; it would have needed victims of its own.
            let came_later = |other: &Pod| {
                other.claim.owner.rank > pod.claim.owner.rank && other.claim.created >= *at && is_here(other)
            };
            !is_here(pod) && !world.pods.values().any(came_later)
        });
        let (unforeseen, in_vain): (Vec<_>, Vec<_>) =
            in_vain.partition(|ended| ended.lost == Some(Lost::ToOthers));
        ShareTally { in_vain: in_vain.len() as u64, unforeseen: unforeseen.len() as u64, ..self.tally }
    }

    /// A second is over: takes down how Pods lost the room that was made for them, where that is new.
    pub(super) fn follow(&mut self, world: &World) {
        for ended in self.ended.values_mut().filter(|ended| ended.lost.is_none()) {
            if let Some(pod) = world.pods.get(&ended.claim) {
                ended.lost = lost(world, pod, ended);
            }
        }
    }
}

/// How a Pod has just lost its room. Others had a hand in it only where nothing else can have: the room was still kept when
/// the Pod was placed elsewhere, or it was lost as its node went.
fn lost(world: &World, pod: &Pod, ended: &Ended) -> Option<Lost> {
    let held = pod.claim.slot.as_ref().and_then(|slot| slot.held.as_ref());
    let is_kept = held.is_some_and(|held| *held.node == *ended.node);
    let node = host_named(world, &ended.node).filter(|node| world.since.get(node) <= Some(&ended.at));
    let by_others = match pod.claim.node {
        Some(now) if Some(now) == node => return None,
        Some(now) => is_kept && !had_room(world, pod, now, ended.at),
        None if is_kept => return None,
        None => node.is_none_or(|node| was_let_in(world, pod, node, ended.at)),
    };
    Some(if by_others { Lost::ToOthers } else { Lost::Here })
}

/// Whether the scheduler has dropped the nomination of a Pod after this time, and in the same second placed one on that
/// node which the nomination would have kept off it.
fn was_let_in(world: &World, pod: &Pod, node: NodeId, at: Timestamp) -> bool {
    let Some(dropped) = world.dropped_at.get(&pod.claim.uid).filter(|dropped| **dropped > at) else {
        return false;
    };
    world.pods.values().map(|other| &other.claim).any(|other| {
        let is_new = other.node == Some(node) && other.started == Some(*dropped);
        is_new && other.owner.rank <= pod.claim.owner.rank && !has_room_kept(other, world, node)
    })
}

/// Whether a Pod would have room on the node where it is without what others did after this time: were those still there
/// that tenants took away since. Of the others there only those count that had been there already, or had room kept.
fn had_room(world: &World, pod: &Pod, node: NodeId, at: Timestamp) -> bool {
    let Some(host) = world.hosts.get(&node).filter(|_| world.since.get(&node) <= Some(&at)) else {
        return false;
    };
    let stays = |claim: &&Claim| {
        claim.uid != pod.claim.uid
            && claim.node == Some(node)
            && (claim.started <= Some(at) || has_room_kept(claim, world, node))
    };
    let stay = world.pods.values().map(|other| &other.claim).filter(stays);
    let is_gone = |uid: &Uid| !world.pods.contains_key(uid);
    let taken_away = world
        .taken_away
        .iter()
        .filter(|(uid, (claim, when))| is_gone(uid) && claim.node == Some(node) && *when > at);
    takes(host, &pod.claim, stay.chain(taken_away.map(|(_, (claim, _))| claim)))
}

/// Whether the note of a Pod says that room is kept for it on a node.
fn has_room_kept(claim: &Claim, world: &World, node: NodeId) -> bool {
    let held = claim.slot.as_ref().and_then(|slot| slot.held.as_ref());
    held.is_some_and(|held| host_named(world, &held.node) == Some(node))
}

fn host_named(world: &World, name: &str) -> Option<NodeId> {
    world.hosts.values().find(|host| &*host.name == name).map(|host| host.id)
}

/// Aurora's rule, once more, and what Borealis adds to it.
fn allowed(claim: &Claim, victim: &Pod) -> bool {
    let (Some(own), Some(other)) = (&claim.owner.tier, &victim.claim.owner.tier) else { return false };
    let by_rule = if own.preemptible == other.preemptible {
        claim.owner.role == victim.claim.owner.role && claim.owner.priority > victim.claim.owner.priority
    } else {
        other.preemptible
    };
    // The successor of one that ranks higher would take the room again.
    by_rule && victim.claim.owner.rank <= claim.owner.rank && !claim.owner.preempts_natively
}

fn is_young(claim: &Claim, now: Timestamp) -> bool {
    let least = claim.owner.tier.as_ref().map_or(0, |tier| tier.min_runtime_seconds);
    claim.started.is_some_and(|at| at + SignedDuration::from_secs(least.into()) > now)
}

/// The fewest Pods of any one node that have to go for a Pod, if that is fewer than so many; every set is tried.
fn fewest(board: &Board, claim: &Claim, known: usize, may: impl Fn(&Claim) -> bool) -> usize {
    let mut fewest = known;
    for (host, room) in board.hosts() {
        let all: Vec<&Claim> = room.claims().iter().filter(|other| other.ends.is_none()).collect();
        let may: Vec<&Claim> = all.iter().copied().filter(|other| may(other)).take(12).collect();
        let kept: Vec<&Claim> = board
            .nominees(host.id)
            .filter(|other| other.uid != claim.uid && other.owner.rank >= claim.owner.rank)
            .collect();
        for set in 1_u32..1 << may.len() {
            let goes = |other: &Claim| {
                may.iter().enumerate().any(|(at, one)| set & 1 << at != 0 && one.uid == other.uid)
            };
            let stay = all.iter().copied().filter(|other| !goes(other)).chain(kept.iter().copied());
            if (set.count_ones() as usize) < fewest && takes(host, claim, stay) {
                fewest = set.count_ones() as usize;
            }
        }
    }
    fewest
}

fn takes<'a>(host: &Host, claim: &Claim, stay: impl Iterator<Item = &'a Claim>) -> bool {
    let mut taken = claim.demand.requests.clone();
    let mut places = 1;
    for other in stay {
        taken.add(&other.demand.requests);
        places += 1;
    }
    places <= host.pods && within(&taken, &host.allocatable)
}

/// A node on which all who may go by the rule, budgets aside, would make room for a Pod.
fn could_have<'a>(world: &'a World, pod: &Pod) -> Option<&'a Host> {
    let native = pod.claim.owner.preempts_natively || pod.claim.owner.tier.is_none();
    if native {
        return None;
    }
    let waits = |other: &&Pod| other.claim.node.is_none() && other.claim.ends.is_none();
    let higher =
        world.pods.values().filter(waits).filter(|other| other.claim.owner.rank > pod.claim.owner.rank);
    let higher: Vec<&Pod> = higher.collect();
    world.hosts.values().find(|host| {
        let stay = |of: &Pod| {
            let of = of.claim.clone();
            let stays = world.pods.values().filter(move |other| {
                let is_here = other.claim.node == Some(host.id)
                    || (other.claim.nominated == Some(host.id)
                        && other.claim.uid != of.uid
                        && other.claim.owner.rank >= of.owner.rank);
                is_here && (other.budget.is_some() || !allowed(&pod.claim, other))
            });
            stays.map(|other| &other.claim)
        };
        // Whoever ranks higher would have the room.
        takes(host, &pod.claim, stay(pod))
            && !higher.iter().any(|other| takes(host, &other.claim, stay(other)))
    })
}

#[cfg(test)]
mod tests;
