//! Slots and disruption budgets.

use super::*;
use crate::admit::budgets::Budget;

fn budget(allowed: u32) -> Budget {
    Budget { name: "b".into(), selector: Vec::new(), allowed }
}

fn allow(world: &mut World, allowed: u32) {
    world.budgets.set(&"batch".into(), Uid::new(1), budget(allowed));
}

#[test]
fn a_budget_is_asked_and_not_overdrawn() {
    let mut world = full();
    allow(&mut world, 3);
    for uid in 1..=4 {
        world.put(asks(uid, 1_000));
    }
    world.pass();
    let pass = world.pass();
    let by_budget = |action: &Action| matches!(action, Action::End { budget: true, .. });
    assert_eq!(pass.actions.iter().filter(|action| by_budget(action)).count(), 2);
    assert_eq!(world.victims.len(), 2, "a third alone makes no room for anybody");
}

#[test]
fn who_is_pledged_to_a_slot_is_counted() {
    let mut world = full();
    allow(&mut world, 2);
    world.put(asks(1, 1_000));
    world.pass();
    // Nobody has been ended yet, so the budget still says 2.
    world.put(asks(2, 1_000));
    let decisions = world.decide();
    let keeps = decisions.actions.iter().filter(|action| matches!(action, Action::Keep { .. })).count();
    assert_eq!(keeps, 0, "{decisions:?}");
}

#[test]
fn a_slot_whose_budget_is_used_up_before_anybody_ended_is_given_up() {
    let mut world = full();
    allow(&mut world, 2);
    world.put(asks(1, 1_000));
    world.pass();
    allow(&mut world, 0);
    let pass = world.pass();
    assert!(matches!(pass.actions[..], [Action::Withdraw { why: SlotFailure::Budget, .. }]), "{pass:?}");
    assert_eq!(world.victims.len(), 0);
}

#[test]
fn a_slot_whose_budget_lets_only_some_go_is_given_up() {
    let mut world = full();
    allow(&mut world, 2);
    world.put(asks(1, 1_000));
    world.pass();
    allow(&mut world, 1);
    let pass = world.pass();
    assert!(matches!(pass.actions[..], [Action::Withdraw { why: SlotFailure::Budget, .. }]), "{pass:?}");
    assert_eq!(world.victims.len(), 0, "one alone would have gone in vain");
}

#[test]
fn two_slots_share_what_a_budget_lets_go() {
    let mut world = full();
    allow(&mut world, 4);
    world.put(asks(1, 1_000));
    world.put(asks(2, 1_000));
    world.pass();
    allow(&mut world, 3);
    world.pass();
    assert_eq!(world.victims.len(), 2, "both would have begun, and one could not have ended");
    assert!(world.claim(1).slot.unwrap().held.is_some() && world.claim(2).slot.unwrap().held.is_none());
}

#[test]
fn a_slot_whose_budget_is_used_up_half_way_waits() {
    let mut world = full();
    allow(&mut world, 2);
    world.put(asks(1, 1_000));
    world.pass();
    world.writes_left = Some(1);
    world.pass();
    world.writes_left = None;
    allow(&mut world, 0);
    let pass = world.pass();
    assert_eq!((pass.actions.as_slice(), world.victims.len()), (&[][..], 1));
    assert!(matches!(pass.verdicts[&Uid::new(1)], Verdict::Kept { waits: WaitsFor::Budget, .. }));
    allow(&mut world, 1);
    world.pass();
    assert_eq!(world.victims.len(), 2);
}

#[test]
fn what_the_api_server_refuses_is_not_tried_again_and_again() {
    for (is_budget, why) in [(true, SlotFailure::Budget), (false, SlotFailure::Victim)] {
        let mut world = full();
        world.put(asks(1, 1_000));
        world.pass();
        let victims = world.claim(1).slot.unwrap().held.unwrap().victims;
        world.refuses.extend(victims.iter().map(|victim| (*victim, is_budget)));
        world.pass();
        let pass = world.pass();
        assert!(
            matches!(&pass.actions[..], [Action::Withdraw { why: found, .. }] if *found == why),
            "{pass:?}"
        );
        world.seconds(10);
        world.pass();
        let others = world.claim(1).slot.unwrap().held.unwrap().victims;
        assert!(others.iter().all(|other| !victims.contains(other)), "others are taken");
        world.pass();
        assert_eq!(world.victims.len(), 2);
    }
}
