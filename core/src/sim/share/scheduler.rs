//! A model of the scheduler: the highest rank first, a nominated node before others, nobody ended.
//!
//! It knows resources and places alone, by sums of its own, and keeps nominated room from its equals and from those
//! below, as kube-scheduler does.

use super::{
    Trouble,
    world::{Pod, World},
};
use crate::{
    model::{NodeId, Resources, Uid},
    sim::draw::Draw,
};

/// Tries to place every Pod that has no node.
pub(super) fn place(world: &mut World, draw: &mut Draw) {
    let mut queue: Vec<(i32, Uid)> = world
        .pods
        .values()
        .filter(|pod| waits(pod))
        .map(|pod| (-pod.claim.owner.rank, pod.claim.uid))
        .collect();
    queue.sort_unstable();
    for (_, uid) in queue {
        let Some(pod) = world.pods.get(&uid) else { continue };
        let nominated = pod.claim.nominated.filter(|node| fits(world, pod, *node));
        let all: Vec<NodeId> = world.hosts.keys().copied().filter(|node| fits(world, pod, *node)).collect();
        let node = nominated.or_else(|| (!all.is_empty()).then(|| draw.pick(&all)));
        let now = world.now;
        match node {
            Some(node) => {
                world.say(&format!(
                    "{} of rank {} is placed on {}",
                    pod.claim.name, pod.claim.owner.rank, node.0
                ));
                world.change(uid, |pod| {
                    pod.claim.node = Some(node);
                    pod.claim.started = Some(now);
                    pod.claim.nominated = None;
                    pod.claim.unschedulable = None;
                });
            }
            None if pod.claim.unschedulable.is_none() => {
                world.change(uid, |pod| pod.claim.unschedulable = Some(now));
            }
            None if pod.claim.nominated.is_some() && world.trouble == Trouble::All && draw.chance(5) => {
                world.dropped += 1;
                world.dropped_at.insert(uid, now);
                world.change(uid, |pod| pod.claim.nominated = None);
            }
            None => {}
        }
    }
}

fn waits(pod: &Pod) -> bool {
    pod.claim.node.is_none() && pod.claim.ends.is_none()
}

/// Whether a Pod has room on a node, those counted that room is kept for against it.
pub(super) fn fits(world: &World, pod: &Pod, node: NodeId) -> bool {
    let Some(host) = world.hosts.get(&node) else { return false };
    let mut taken = pod.claim.demand.requests.clone();
    let mut places = 1;
    for other in world.pods.values().filter(|other| other.claim.uid != pod.claim.uid) {
        let kept = waits(other)
            && other.claim.nominated == Some(node)
            && other.claim.owner.rank >= pod.claim.owner.rank;
        if other.claim.node == Some(node) || kept {
            taken.add(&other.claim.demand.requests);
            places += 1;
        }
    }
    places <= host.pods && within(&taken, &host.allocatable)
}

pub(super) fn within(taken: &Resources, room: &Resources) -> bool {
    taken.cpu_milli <= room.cpu_milli && taken.memory <= room.memory
}
