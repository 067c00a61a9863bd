//! When the loss of room that was made is others' doing.

use std::sync::Arc;

use super::{
    super::{Trouble, world::Job},
    *,
};
use crate::{
    admit::testing::{owner, tier},
    model::{Demand, Held, Resources, Slot},
};

const VICTIM: Uid = Uid::new(100);

/// Two nodes. On the first a victim has just been told to end for the first Pod, for which room is kept there; the second
/// is full of the second Pod.
fn told() -> (World, Judge) {
    let mut world = World::new(0, Trouble::All);
    world.hosts.retain(|node, _| node.0 < 2);
    let room = Resources { cpu_milli: 1_000, memory: 1, ..Resources::NONE };
    for host in world.hosts.values_mut() {
        host.allocatable = room.clone();
    }
    let job = Job {
        owner: Arc::new(owner(&tier(false, false), "a", 0)),
        demand: Arc::new(Demand { requests: room, ..Demand::default() }),
        count: 1,
        grace: 0,
        budget: None,
    };
    world.add(0, &job);
    world.add(1, &job);
    let held = Held { node: "n0".into(), since: world.now, victims: vec![VICTIM], asserted: 0 };
    world.change(Uid::new(1), |pod| {
        pod.claim.nominated = Some(NodeId(0));
        pod.claim.slot = Some(Box::new(Slot { held: Some(held), ..Slot::default() }));
    });
    place(&mut world, 2, 1);
    let ended = Ended { claim: Uid::new(1), node: "n0".into(), at: world.now, lost: None };
    (world, Judge { ended: BTreeMap::from([(VICTIM, ended)]), ..Judge::default() })
}

fn place(world: &mut World, uid: u128, node: u32) {
    let now = world.now;
    world.change(Uid::new(uid), |pod| {
        pod.claim.node = Some(NodeId(node));
        pod.claim.started = Some(now);
    });
}

fn withdraw(world: &mut World) {
    world.change(Uid::new(1), |pod| pod.claim.slot = None);
}

fn drop_nomination(world: &mut World) {
    world.dropped_at.insert(Uid::new(1), world.now);
}

/// The second node comes free, and the first Pod gets its place there.
fn the_tenant_leaves(world: &mut World) {
    world.take_away(Uid::new(2));
    world.tick(0);
    place(world, 1, 1);
}

#[test]
fn what_others_did_later_can_not_have_been_known() {
    type Happens = fn(&mut World);
    let rows: [(&str, i64, Happens, Option<Lost>); 9] = [
        ("nothing", 1, |_| {}, None),
        ("it gets its place", 1, |world| place(world, 1, 0), None),
        ("a tenant leaves later", 1, the_tenant_leaves, Some(Lost::ToOthers)),
        ("a tenant had left", 0, the_tenant_leaves, Some(Lost::Here)),
        (
            "a node comes later",
            1,
            |world| {
                world.add_host(100);
                place(world, 1, 100);
            },
            Some(Lost::ToOthers),
        ),
        (
            "its node goes",
            1,
            |world| {
                world.remove_host(NodeId(0));
                withdraw(world);
            },
            Some(Lost::ToOthers),
        ),
        ("the slot is given up", 1, withdraw, Some(Lost::Here)),
        (
            "another is let in",
            1,
            |world| {
                drop_nomination(world);
                place(world, 2, 0);
                withdraw(world);
            },
            Some(Lost::ToOthers),
        ),
        (
            "another takes it without that",
            1,
            |world| {
                place(world, 2, 0);
                withdraw(world);
            },
            Some(Lost::Here),
        ),
    ];
    for (what, seconds, happens, expected) in rows {
        let (mut world, mut judge) = told();
        world.tick(seconds);
        happens(&mut world);
        judge.follow(&world);
        assert_eq!(judge.ended[&VICTIM].lost, expected, "{what}");
    }
}
