//! Slots that are challenged: by rivals, by the scheduler, by the node.

use super::*;
use crate::model::{Effect, Taint};

/// A world in which room is being made for Pod 1, and the node's number.
fn making_room() -> (World, NodeId) {
    let mut world = full();
    world.put(asks(1, 1_000));
    world.pass();
    world.pass();
    let node = world.claim(1).nominated.unwrap();
    (world, node)
}

fn withdrawn(pass: &Decisions) -> Vec<(Uid, SlotFailure)> {
    let all = pass.actions.iter().filter_map(|action| match action {
        Action::Withdraw { claim, why, .. } => Some((*claim, *why)),
        Action::Keep { .. } | Action::End { .. } => None,
    });
    all.collect()
}

#[test]
fn rivals_of_the_same_class_do_not_get_the_room() {
    let (mut world, node) = making_room();
    for uid in 2..7 {
        let older = NOW - SignedDuration::from_hours(9);
        world.put(Claim { created: older, ..asks_as(uid, owner(&production(), "rival", 9), 500) });
    }
    // The others are victims themselves, so that nothing but the room that is kept becomes free.
    world.most.insert("rival".into(), 0);
    for _ in 0..95 {
        world.pass();
        world.schedule();
        world.seconds(1);
    }
    assert_eq!(world.claim(1).node, Some(node));
    assert_eq!(world.victims.len(), 2);
}

#[test]
fn a_rival_of_a_higher_class_takes_the_room_and_another_is_made() {
    let (mut world, node) = making_room();
    world.seconds(31);
    let highest = Owner { tier: None, rank: 2_000_000_000, ..owner(&production(), "system", 0) };
    let rival = asks_as(2, highest, 1_000);
    world.put(Claim { node: Some(node), unschedulable: None, ..rival });
    let pass = world.pass();
    assert_eq!(withdrawn(&pass), [(Uid::new(1), SlotFailure::Taken)]);
    let slot = world.claim(1).slot.unwrap();
    assert_eq!((slot.held.as_ref(), slot.tries, world.claim(1).nominated), (None, 1, None));
    assert!(matches!(pass.verdicts[&Uid::new(1)], Verdict::Backoff { why: SlotFailure::Taken, .. }));
    world.seconds(9);
    assert_eq!(world.pass().actions, [], "not at once");
    world.seconds(1);
    world.pass();
    let again = world.claim(1).slot.unwrap();
    assert_ne!(*again.held.unwrap().node, *format!("n{}", node.0), "elsewhere");
    assert_eq!(again.tries, 1, "it is not forgotten");
    world.pass();
    assert_eq!(world.victims.len(), 4);
}

#[test]
fn of_two_that_share_what_was_taken_one_gives_way_at_a_time() {
    let mut world = World::new(1, 1_000);
    let whose = Arc::new(owner(&batch(), "batch", 0));
    world.put(running(10, &whose, &Arc::new(demand(500)), 0));
    world.put(running(11, &whose, &Arc::new(demand(500)), 0));
    world.put(asks(1, 500));
    world.put(asks(2, 500));
    world.pass();
    world.pass();
    world.seconds(31);
    let highest = Owner { tier: None, rank: 2_000_000_000, ..owner(&production(), "system", 0) };
    world.put(Claim { node: Some(NodeId(0)), unschedulable: None, ..asks_as(3, highest, 500) });
    assert_eq!(withdrawn(&world.pass()).len(), 1);
    assert_eq!(withdrawn(&world.pass()).len(), 0, "there is room for the other");
    world.schedule();
    let placed = [1, 2].into_iter().filter(|uid| world.claim(*uid).node.is_some()).count();
    assert_eq!(placed, 1);
}

#[test]
fn a_lost_nomination_is_written_again_but_not_for_ever() {
    let (mut world, node) = making_room();
    for asserted in 1..=20 {
        world.change(1, |claim| claim.nominated = None);
        world.pass();
        assert_eq!(world.claim(1).nominated, Some(node));
        assert_eq!(world.claim(1).slot.unwrap().held.unwrap().asserted, asserted);
    }
    world.change(1, |claim| claim.nominated = None);
    assert_eq!(withdrawn(&world.pass()), [(Uid::new(1), SlotFailure::Lost)]);
}

#[test]
fn nobody_is_ended_before_a_lost_nomination_is_back() {
    let mut world = full();
    world.put(asks(1, 1_000));
    world.pass();
    world.change(1, |claim| claim.nominated = None);
    let pass = world.pass();
    assert!(matches!(pass.actions[..], [Action::Keep { .. }]), "{pass:?}");
    let pass = world.pass();
    assert_eq!(world.ended(&pass).len(), 2);
}

#[test]
fn a_node_that_goes_or_changes_takes_the_slot_with_it() {
    let (mut world, node) = making_room();
    world.board.remove_host(node);
    assert_eq!(withdrawn(&world.pass()), [(Uid::new(1), SlotFailure::NodeGone)]);

    let (mut world, node) = making_room();
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        value: "".into(),
        effect: Effect::NoSchedule,
    };
    let host = world.board.host(node).unwrap().clone();
    world.board.set_host(crate::model::Host { taints: Arc::new([taint]), ..host });
    assert_eq!(withdrawn(&world.pass()), [(Uid::new(1), SlotFailure::Unfit)]);
}

#[test]
fn the_scheduler_may_mean_to_place_it_elsewhere() {
    let mut world = full();
    world.put(asks(1, 1_000));
    world.pass();
    world.change(1, |claim| claim.nominated = Some(NodeId(3)));
    assert_eq!(world.pass().actions, [], "nobody is ended meanwhile");
    world.seconds(300);
    assert_eq!(withdrawn(&world.pass()), [(Uid::new(1), SlotFailure::Elsewhere)]);
}

#[test]
fn victims_that_take_long_are_waited_for() {
    let (mut world, node) = (full(), NodeId(0));
    world.grace = 90;
    world.put(asks(1, 1_000));
    world.pass();
    world.pass();
    for _ in 0..90 {
        // Cycles of the scheduler in between place nobody.
        world.schedule();
        assert_eq!(world.pass().actions, []);
        world.seconds(1);
    }
    world.schedule();
    assert_eq!(world.claim(1).node, Some(node));
}

#[test]
fn a_slot_that_never_becomes_free_is_given_up() {
    let (mut world, node) = making_room();
    world.seconds(31);
    // Something keeps it from being placed that is not known here.
    world.seconds(268);
    assert_eq!(world.pass().actions, []);
    world.seconds(1);
    assert_eq!(withdrawn(&world.pass()), [(Uid::new(1), SlotFailure::Expired)]);
    world.seconds(10);
    world.pass();
    let again = world.claim(1).nominated;
    assert!(again.is_some() && again != Some(node), "the node that did not work out is avoided: {again:?}");
}

#[test]
fn where_no_other_node_will_do_the_one_that_did_not_work_out_is_taken_again() {
    let mut world = World::new(1, 1_000);
    let whose = Arc::new(owner(&batch(), "batch", 0));
    world.put(running(10, &whose, &Arc::new(demand(1_000)), 0));
    world.put(asks(1, 1_000));
    world.pass();
    world.pass();
    // Who is of a higher class has the room for a while, and a successor of the victim is there before the Pod.
    world.seconds(31);
    let highest = Owner { tier: None, rank: 2_000_000_000, ..owner(&production(), "system", 0) };
    let rival = asks_as(2, highest, 1_000);
    world.put(Claim { node: Some(NodeId(0)), unschedulable: None, ..rival });
    assert_eq!(withdrawn(&world.pass()), [(Uid::new(1), SlotFailure::Taken)]);
    world.board.remove_claim(Uid::new(2));
    world.put(running(11, &whose, &Arc::new(demand(1_000)), 0));
    world.seconds(10);
    assert_eq!(world.pass().actions, [], "another node is looked for first");
    world.seconds(1);
    world.pass();
    assert_eq!(world.claim(1).nominated, Some(NodeId(0)));
    world.pass();
    let victims: Vec<Uid> = world.victims.iter().map(|(victim, _)| victim.uid).collect();
    assert_eq!(victims, [Uid::new(10), Uid::new(11)]);
}

#[test]
fn a_successor_does_not_preempt_its_own_kind() {
    let mut world = World::new(1, 1_000);
    let low = Arc::new(owner(&batch(), "batch", 0));
    let high = owner(&batch(), "batch", 5);
    world.put(running(10, &low, &Arc::new(demand(1_000)), 0));
    world.put(asks_as(1, high, 1_000));
    let mut next = 100;
    for _ in 0..600 {
        let before = world.victims.len();
        world.pass();
        // Whoever was ended comes back, as old as it was.
        let ended: Vec<Claim> = world.victims[before..].iter().map(|(victim, _)| victim.clone()).collect();
        for victim in ended {
            let minute = world.now - SignedDuration::from_mins(1);
            let successor = Claim { node: None, started: None, unschedulable: Some(minute), ..victim };
            world.put(Claim { uid: Uid::new(next), ..successor });
            next += 1;
        }
        world.schedule();
        world.seconds(1);
    }
    assert_eq!(world.victims.len(), 1, "it ends once");
    assert_eq!(world.claim(1).node, Some(NodeId(0)));
}

#[test]
fn whose_note_can_not_be_written_takes_nobody_s_turn() {
    let mut world = full();
    world.portion = 1;
    world.put(Claim { created: NOW - SignedDuration::from_hours(1), ..asks(1, 500) });
    world.put(asks(2, 500));
    world.apart.insert(Uid::new(1));
    let pass = world.pass();
    assert_eq!(pass.verdicts[&Uid::new(1)], Verdict::Unwritten);
    assert!(world.claim(1).slot.is_none() && world.claim(2).slot.is_some());
    assert_eq!((pass.searched, pass.rest), (1, false));
}

#[test]
fn a_slot_whose_note_can_not_be_written_is_neither_given_up_nor_told_again() {
    let mut world = full();
    world.put(asks(1, 500));
    world.pass();
    let before = world.claim(1).slot;
    world.apart.insert(Uid::new(1));
    world.change(1, |claim| claim.nominated = None);
    let pass = world.pass();
    assert_eq!((pass.actions.as_slice(), pass.rest), (&[][..], false));
    assert_eq!(pass.verdicts[&Uid::new(1)], Verdict::Unwritten);
    assert_eq!(world.claim(1).slot, before);
    world.apart.clear();
    assert!(!world.pass().actions.is_empty());
}
