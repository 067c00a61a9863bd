//! Passes on a small cluster that carries out what they decide.

mod ahead;
mod budgets;
mod holds;
mod world;

use super::*;
use crate::{
    admit::{
        Outcome,
        testing::{NOW, demand, host, owner, pending, running, tier},
    },
    model::{Claim, Owner, Tier},
};
use world::World;

fn batch() -> Tier {
    tier(true, false)
}

fn production() -> Tier {
    tier(false, false)
}

/// Four nodes of 1000 with two Pods of 500 of the batch role each.
fn full() -> World {
    let mut world = World::new(4, 1_000);
    let whose = Arc::new(owner(&batch(), "batch", 0));
    for uid in 0..8_u32 {
        world.put(running((10 + uid).into(), &whose, &Arc::new(demand(500)), uid / 2));
    }
    world
}

/// Waits for a place, and has for a minute.
fn asks(uid: u128, cpu: i64) -> Claim {
    pending(uid, &Arc::new(owner(&production(), "prod", 0)), &Arc::new(demand(cpu)))
}

fn asks_as(uid: u128, owner: Owner, cpu: i64) -> Claim {
    pending(uid, &Arc::new(owner), &Arc::new(demand(cpu)))
}

#[test]
fn room_is_kept_and_only_then_made() {
    let mut world = full();
    world.put(asks(1, 1_000));
    let first = world.pass();
    assert_eq!(world.ended(&first), [], "nobody ends before the note is seen");
    let slot = world.claim(1).slot.unwrap().held.unwrap();
    assert_eq!((slot.victims.len(), slot.since), (2, world.now));
    assert_eq!(world.name_of_nominated(1), Some(slot.node.clone()));
    let second = world.pass();
    assert_eq!(world.ended(&second), slot.victims);
    for _ in 0..50 {
        world.seconds(1);
        let waits = world.pass();
        assert_eq!(waits.actions, [], "at {}", world.now);
        let Verdict::Kept { waits, .. } = &waits.verdicts[&Uid::new(1)] else { panic!("it is kept") };
        let gone = world.board.claim(slot.victims[0]).is_none();
        assert_eq!(*waits, if gone { WaitsFor::Scheduler } else { WaitsFor::Victims });
    }
    world.schedule();
    let last = world.pass();
    assert_eq!(last.told, [Told::Placed { claim: Uid::new(1), node: slot.node, here: true, in_vain: 0 }]);
    assert_eq!(world.pass().told, [], "it is told once");
    assert_eq!(world.victims.len(), 2);
}

#[test]
fn a_tier_lets_its_pods_wait_before_room_is_made() {
    let mut world = full();
    world.put(Claim { unschedulable: Some(world.now), ..asks(1, 500) });
    for second in 0..5 {
        let pass = world.pass();
        assert_eq!(pass.actions, [], "after {second} s");
        assert_eq!(pass.next_check, Some(NOW + SignedDuration::from_secs(5)));
        world.seconds(1);
    }
    world.now += SignedDuration::from_millis(20);
    let pass = world.pass();
    assert_eq!(pass.actions.len(), 1);
    assert_eq!(pass.latencies, [SignedDuration::from_millis(20)], "since the end of the delay");
}

#[test]
fn nobody_is_ended_where_the_room_comes_by_itself() {
    let mut world = full();
    world.put(asks(1, 500));
    world.change(10, |claim| claim.ends = Some(NOW + SignedDuration::from_secs(20)));
    let pass = world.pass();
    assert_eq!(pass.actions, []);
    let Verdict::Found(decision) = &pass.verdicts[&Uid::new(1)] else { panic!("{:?}", pass.verdicts) };
    assert!(matches!(decision.outcome, Outcome::Wait { .. }), "{decision:?}");
    assert_eq!(
        pass.next_check,
        Some(NOW + SignedDuration::from_secs(1)),
        "it is looked at again all the same"
    );
}

#[test]
fn only_those_go_who_may_by_the_rule() {
    let rows: [(&str, Owner, usize); 5] = [
        ("production over all", owner(&production(), "prod", 0), 2),
        ("the same role, a higher priority", owner(&batch(), "batch", 1), 2),
        ("the same role and priority", owner(&batch(), "batch", 0), 0),
        ("another role, whatever its priority", owner(&batch(), "other", 9), 0),
        ("a lower class of the same role", owner(&tier(true, true), "batch", 9), 0),
    ];
    for (what, asks, expected) in rows {
        let mut world = full();
        world.put(asks_as(1, asks, 1_000));
        for _ in 0..5 {
            world.pass();
        }
        assert_eq!(world.victims.len(), expected, "{what}");
    }
}

#[test]
fn whom_the_scheduler_makes_room_for_gets_none_from_here() {
    let native = Owner { preempts_natively: true, ..owner(&production(), "prod", 0) };
    let foreign = Owner { tier: None, ..owner(&production(), "prod", 0) };
    for owner in [native, foreign] {
        let mut world = full();
        world.put(asks_as(1, owner, 1_500));
        world.put(asks(2, 1_000));
        world.portion = 1;
        let pass = world.pass();
        assert!(matches!(
            pass.verdicts[&Uid::new(1)],
            Verdict::Found(Decision { outcome: Outcome::NotOurs(_), .. })
        ));
        assert!(
            matches!(pass.actions[..], [Action::Keep { .. }]),
            "nor does it take the turn of others: {pass:?}"
        );
    }
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let mut world = full();
    world.mode = Mode::DryRun;
    world.put(asks(1, 1_000));
    let pass = world.pass();
    assert_eq!((pass.actions.as_slice(), world.victims.len()), (&[][..], 0));
    let [Told::Would(decision)] = &pass.told[..] else { panic!("{:?}", pass.told) };
    assert!(matches!(&decision.outcome, Outcome::Slot { victims, .. } if victims.len() == 2), "{decision:?}");
    assert!(matches!(pass.verdicts[&Uid::new(1)], Verdict::Would(_)));
}

#[test]
fn a_frozen_cluster_rests_and_goes_on_later() {
    let mut world = full();
    world.put(asks(1, 1_000));
    world.pass();
    world.frozen = true;
    world.put(asks(2, 500));
    for _ in 0..400 {
        let pass = world.pass();
        assert_eq!(pass.actions, []);
        assert_eq!(pass.verdicts[&Uid::new(1)], Verdict::Frozen);
        assert_eq!(pass.verdicts[&Uid::new(2)], Verdict::Frozen);
        world.seconds(1);
    }
    world.frozen = false;
    let pass = world.pass();
    assert!(matches!(pass.actions[0], Action::Withdraw { why: SlotFailure::Expired, .. }), "{pass:?}");
}

#[test]
fn what_stands_is_given_up_where_preemption_is_turned_off() {
    let mut world = full();
    world.put(asks(1, 1_000));
    world.pass();
    world.put(asks(2, 500));
    world.mode = Mode::Off;
    let pass = world.pass();
    let [Action::Withdraw { claim, why: SlotFailure::Off, .. }] = &pass.actions[..] else {
        panic!("{pass:?}")
    };
    assert_eq!(*claim, Uid::new(1));
    assert_eq!(world.claim(1).nominated, None);
    world.seconds(1_000);
    assert_eq!(world.pass().actions, []);
}

#[test]
fn a_role_has_only_so_many_victims_a_minute() {
    let mut world = full();
    world.most.insert("prod".into(), 3);
    for uid in 1..=4 {
        world.put(asks(uid, 500));
    }
    let pass = world.pass();
    assert_eq!(pass.actions.len(), 3);
    assert_eq!(pass.verdicts[&Uid::new(4)], Verdict::Limited(NOW + SignedDuration::from_secs(60)));
    world.seconds(30);
    assert_eq!(world.pass().actions.len(), 3, "victims of slots that stand are not counted twice");
    // A new leader has not forgotten.
    world.memory = Memory::default();
    world.seconds(1);
    assert!(matches!(world.pass().verdicts[&Uid::new(4)], Verdict::Limited(_)));
    world.seconds(30);
    assert_eq!(world.pass().actions.len(), 1);
    world.pass();
    assert_eq!(world.victims.len(), 4);
}

#[test]
fn what_is_too_much_for_one_pass_is_left_to_the_next() {
    let mut world = full();
    world.portion = 3;
    for uid in 1..=8 {
        world.put(asks(uid, 500));
    }
    let mut passes = 0;
    loop {
        let pass = world.pass();
        assert!(pass.actions.len() <= 3);
        passes += 1;
        if !pass.rest && pass.actions.is_empty() {
            break;
        }
        assert!(passes < 30, "it comes to rest");
    }
    assert_eq!(world.victims.len(), 8);
}

#[test]
fn a_successor_goes_on_where_the_last_one_stopped() {
    // Killed after any number of its writes.
    for killed_after in 0..6 {
        let mut world = full();
        world.put(asks(1, 1_000));
        world.put(asks(2, 1_000));
        world.writes_left = Some(killed_after);
        for _ in 0..3 {
            world.pass();
        }
        world.writes_left = None;
        world.memory = Memory::default();
        for _ in 0..3 {
            world.pass();
        }
        assert_eq!(world.victims.len(), 4, "no second set of victims: killed after {killed_after} writes");
        world.seconds(40);
        world.schedule();
        assert!(world.claim(1).node.is_some() && world.claim(2).node.is_some(), "{killed_after}");
    }
}

#[test]
fn whoever_got_another_node_was_made_room_for_in_vain() {
    let mut world = full();
    world.put(asks(1, 1_000));
    world.pass();
    world.pass();
    world.board.set_host(host(9, 1_000));
    world.change(1, |claim| (claim.node, claim.nominated) = (Some(NodeId(9)), None));
    let pass = world.pass();
    assert!(matches!(pass.told[..], [Told::Placed { here: false, in_vain: 2, .. }]), "{:?}", pass.told);
}

#[test]
fn who_is_placed_before_its_victims_end_costs_nobody() {
    let mut world = full();
    world.put(asks(1, 1_000));
    world.pass();
    world.board.set_host(host(9, 1_000));
    world.change(1, |claim| (claim.node, claim.nominated) = (Some(NodeId(9)), None));
    let pass = world.pass();
    assert!(matches!(pass.told[..], [Told::Placed { here: false, in_vain: 0, .. }]), "{:?}", pass.told);
    assert_eq!((pass.actions.as_slice(), world.victims.len()), (&[][..], 0));
}
