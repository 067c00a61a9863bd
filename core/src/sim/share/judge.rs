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
    model::{Claim, Host, Uid},
};

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Judge {
    tally: ShareTally,
    /// For whom each victim was ended, where, and when.
    ended: BTreeMap<Uid, (Uid, String, Timestamp)>,
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
                let pod = Pod { claim: victim.clone(), grace: 0, budget: None, job: None, ended_for: None };
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
        if let Some((other, ..)) = self.ended.insert(victim, (claim, node.to_owned(), world.now)) {
            return Err(format!("{victim:?} was ended for {other:?}, and again for {claim:?}"));
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
        for (victim, (claim, node, _)) in &self.ended {
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
        let host = |node: &str| world.hosts.values().find(|host| &*host.name == node).map(|host| host.id);
        let in_vain = self.ended.values().filter(|(claim, node, at)| {
            // Those that are gone by now had their time.
            let Some(pod) = world.pods.get(claim) else { return false };
            let is_here = |pod: &Pod| pod.claim.node.is_some() && pod.claim.node == host(node);
            // Nobody could know of one that came later and ranks higher; it would have needed victims of its own.
            let came_later = |other: &Pod| {
                other.claim.owner.rank > pod.claim.owner.rank && other.claim.created >= *at && is_here(other)
            };
            !is_here(pod) && !world.pods.values().any(came_later)
        });
        let in_vain = in_vain.count();
        ShareTally { in_vain: in_vain as u64, ..self.tally }
    }
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
