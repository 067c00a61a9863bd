//! Whoever ranks higher comes first, since it would take the room of others.

use super::*;

/// Waits for a place, and goes before one Pod of the role of all that run.
fn of_the_same_role(uid: u128) -> Claim {
    asks_as(uid, owner(&batch(), "batch", 1), 500)
}

#[test]
fn nobody_ends_for_a_pod_while_one_that_ranks_higher_would_take_the_room() {
    let mut world = full();
    world.put(of_the_same_role(1));
    world.put(Claim { unschedulable: Some(world.now), ..asks(2, 500) });
    for second in 0..5 {
        let pass = world.pass();
        assert_eq!(pass.actions, [], "after {second} s");
        assert!(matches!(pass.verdicts[&Uid::new(2)], Verdict::Early(_)));
        world.seconds(1);
    }
    assert!(world.claim(1).slot.is_none() && world.victims.is_empty());
    for _ in 0..60 {
        world.pass();
        world.schedule();
        world.seconds(1);
        let others_wait = world.claim(2).node.is_none();
        assert!(!others_wait || world.claim(1).slot.is_none(), "a slot, too, has it take any room there is");
    }
    let for_whom: Vec<Uid> = world.victims.iter().map(|(_, whom)| *whom).collect();
    assert_eq!(for_whom, [Uid::new(2), Uid::new(1)]);
}

#[test]
fn a_slot_waits_for_one_that_came_after_it_and_ranks_higher() {
    let mut world = full();
    world.put(of_the_same_role(1));
    world.pass();
    assert!(world.claim(1).slot.is_some());
    world.put(Claim { unschedulable: Some(world.now), ..asks(2, 500) });
    let pass = world.pass();
    assert_eq!(world.ended(&pass), []);
    let Verdict::Kept { waits, .. } = pass.verdicts[&Uid::new(1)] else { panic!("{:?}", pass.verdicts) };
    assert_eq!(waits, WaitsFor::Ahead);
    world.board.remove_claim(Uid::new(2));
    let pass = world.pass();
    assert_eq!(world.ended(&pass).len(), 1);
}

#[test]
fn who_has_no_use_for_the_room_keeps_nobody_waiting() {
    let rows = [
        ("too large for it", asks(2, 1_500)),
        ("the same rank", asks_as(2, owner(&batch(), "other", 9), 500)),
    ];
    for (what, other) in rows {
        let mut world = full();
        world.put(of_the_same_role(1));
        world.put(other);
        world.pass();
        assert!(world.claim(1).slot.is_some(), "{what}");
    }
}

#[test]
fn one_is_waited_for_unless_it_does_not_take_the_room_that_there_is() {
    let lately = NOW - SignedDuration::from_mins(1);
    let long_ago = NOW - Bounds::default().hold;
    for (since, is_room, is_waited_for) in
        [(lately, false, true), (lately, true, true), (long_ago, false, true), (long_ago, true, false)]
    {
        let mut world = full();
        if is_room {
            world.board.set_host(host(9, 300));
        }
        world.put(of_the_same_role(1));
        world.put(Claim { unschedulable: Some(since), ..asks_as(2, native(), 300) });
        let verdict = world.pass().verdicts[&Uid::new(1)].clone();
        assert_eq!(verdict == Verdict::Behind(Uid::new(2)), is_waited_for, "since {since}: {verdict:?}");
        assert_eq!(world.claim(1).slot.is_none(), is_waited_for, "since {since}");
    }
}

#[test]
fn one_that_came_lately_is_waited_for_whoever_waits_besides_for_long() {
    let mut world = full();
    world.board.set_host(host(9, 300));
    world.put(of_the_same_role(1));
    let lately = asks_as(3, native(), 300);
    for uid in [2, 4] {
        let long_ago = Some(NOW - Bounds::default().hold);
        world.put(Claim { uid: Uid::new(uid), unschedulable: long_ago, ..lately.clone() });
    }
    world.put(lately);
    assert_eq!(world.pass().verdicts[&Uid::new(1)], Verdict::Behind(Uid::new(3)));
}

#[test]
fn one_that_nobody_makes_room_for_is_not_waited_for_for_ever() {
    let untiered = Owner { tier: None, ..owner(&production(), "prod", 0) };
    let long_ago = NOW - Bounds::default().hold;
    for (since, is_waited_for) in [(NOW, true), (long_ago, false)] {
        let mut world = full();
        world.put(of_the_same_role(1));
        world.put(Claim { unschedulable: Some(since), ..asks_as(2, untiered.clone(), 500) });
        let verdict = world.pass().verdicts[&Uid::new(1)].clone();
        assert_eq!(verdict == Verdict::Behind(Uid::new(2)), is_waited_for, "since {since}: {verdict:?}");
    }
}

#[test]
fn a_slot_looks_again_when_the_other_has_waited_for_long() {
    let mut world = full();
    world.put(of_the_same_role(1));
    world.pass();
    let since = NOW - Bounds::default().hold / 2;
    world.put(Claim { unschedulable: Some(since), ..asks_as(2, native(), 500) });
    let pass = world.pass();
    assert!(matches!(pass.verdicts[&Uid::new(1)], Verdict::Kept { waits: WaitsFor::Ahead, .. }));
    assert_eq!(pass.next_check, Some(since + Bounds::default().hold));
}

fn native() -> Owner {
    Owner { preempts_natively: true, ..owner(&production(), "prod", 0) }
}
