//! The whole product of what a slot can be in and what can be seen of it.

use super::*;

const HOLD: i64 = 300;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn uid(number: usize) -> Uid {
    Uid::new(number as u128)
}

fn held(victims: usize, asserted: u32) -> Held {
    Held { node: "n".into(), since: at(0), victims: (0..victims).map(uid).collect(), asserted }
}

fn each(look: impl Fn(&Held, &Seen, i64)) -> usize {
    let mut count = 0;
    let mays: [&[May]; 9] = [
        &[],
        &[May::End],
        &[May::NotNow],
        &[May::Never],
        &[May::End, May::End],
        &[May::End, May::NotNow],
        &[May::NotNow, May::NotNow],
        &[May::End, May::Never],
        &[May::NotNow, May::Never],
    ];
    for place in [Place::Waits, Place::Here, Place::Elsewhere] {
        for nomination in [Nomination::Stands, Nomination::Lost, Nomination::Other] {
            for room in [Room::Gone, Room::Unfit, Room::Taken, Room::WhenAllLeft, Room::WithoutMore] {
                for mays in mays {
                    for leaving in [None, Some(at(90)), Some(at(HOLD))] {
                        for (frozen, mode) in [
                            (false, Mode::On),
                            (true, Mode::On),
                            (false, Mode::DryRun),
                            (false, Mode::Off),
                            (true, Mode::Off),
                        ] {
                            for (asserted, now) in [(0, 1), (19, 1), (20, 1), (0, HOLD), (0, HOLD + 30)] {
                                let standing =
                                    mays.iter().enumerate().map(|(n, may)| (uid(n), *may)).collect();
                                let seen = Seen { place, nomination, room, standing, leaving, frozen, mode };
                                look(&held(2, asserted), &seen, now);
                                count += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    count
}

/// What is to be done, said once more in another way: a row for each reason, the first that holds.
fn expected(held: &Held, seen: &Seen, now: i64) -> Step {
    use SlotFailure as F;
    let end = if seen.leaving == Some(at(HOLD)) { HOLD + 30 } else { HOLD };
    let over = now >= end;
    let (stands, may) =
        (seen.standing.len(), |what| seen.standing.iter().filter(|(_, m)| *m == what).count());
    let begun = stands < held.victims.len();
    let ends = || seen.standing.iter().filter(|(_, m)| *m == May::End).map(|(u, _)| *u).collect();
    let wait = |what| Step::Wait(what, at(end));
    let in_the_way = seen.room == Room::WhenAllLeft && stands > 0;
    let rows = [
        (seen.place != Place::Waits, Step::Over),
        (seen.frozen, wait(WaitsFor::Frozen)),
        (seen.mode != Mode::On, Step::Withdraw(F::Off)),
        (seen.room == Room::Gone, Step::Withdraw(F::NodeGone)),
        (seen.room == Room::Unfit, Step::Withdraw(F::Unfit)),
        (seen.room == Room::Taken, Step::Withdraw(F::Taken)),
        (seen.nomination == Nomination::Other && over, Step::Withdraw(F::Elsewhere)),
        (seen.nomination == Nomination::Other, wait(WaitsFor::Elsewhere)),
        (over, Step::Withdraw(F::Expired)),
        (seen.nomination == Nomination::Lost && held.asserted >= 20, Step::Withdraw(F::Lost)),
        (seen.nomination == Nomination::Lost, Step::Assert),
        (in_the_way && may(May::Never) > 0, Step::Withdraw(F::Victim)),
        (in_the_way && may(May::End) == stands, Step::End(ends())),
        (in_the_way && !begun, Step::Withdraw(F::Budget)),
        (in_the_way && may(May::End) > 0, Step::End(ends())),
        (in_the_way, wait(WaitsFor::Budget)),
        (seen.leaving.is_some(), wait(WaitsFor::Victims)),
    ];
    let row = rows.into_iter().find(|(holds, _)| *holds);
    row.map_or_else(|| wait(WaitsFor::Scheduler), |(_, step)| step)
}

#[test]
fn every_slot_in_every_situation() {
    let count = each(|held, seen, now| {
        let found = step(held, seen, &Bounds::default(), at(now));
        assert_eq!(found, expected(held, seen, now), "{held:?} {seen:?} at {now}");
    });
    assert_eq!(count, 3 * 3 * 5 * 9 * 3 * 5 * 5);
}

#[test]
fn nobody_is_ended_for_a_slot_that_is_not_worth_it() {
    each(|held, seen, now| {
        let found = step(held, seen, &Bounds::default(), at(now));
        let Step::End(victims) = &found else { return };
        assert!(!victims.is_empty() && victims.iter().all(|victim| held.victims.contains(victim)));
        assert!(seen.place == Place::Waits && seen.nomination == Nomination::Stands, "{seen:?}");
        assert!(seen.room == Room::WhenAllLeft && seen.mode == Mode::On && !seen.frozen, "{seen:?}");
        for victim in victims {
            assert!(seen.standing.contains(&(*victim, May::End)), "{seen:?}");
        }
    });
}

#[test]
fn a_frozen_cluster_changes_nothing() {
    each(|held, seen, now| {
        if seen.frozen && seen.place == Place::Waits {
            let found = step(held, seen, &Bounds::default(), at(now));
            assert!(matches!(found, Step::Wait(WaitsFor::Frozen, _)), "{found:?}");
        }
    });
}

#[test]
fn those_who_take_long_to_end_are_waited_for() {
    let bounds = Bounds::default();
    let hours = Some(at(3_600));
    assert_eq!(held_until(&held(1, 0), None, &bounds), at(HOLD));
    assert_eq!(held_until(&held(1, 0), Some(at(90)), &bounds), at(HOLD));
    assert_eq!(held_until(&held(1, 0), hours, &bounds), at(3_630));
}

#[test]
fn a_slot_that_came_to_nothing_is_followed_by_longer_and_longer_waits() {
    let bounds = Bounds::default();
    let mut slot = Slot::default();
    let mut waits = Vec::new();
    for _ in 0..9 {
        slot = begin(Some(&slot), held(2, 0));
        slot = withdrawn(&slot, SlotFailure::Taken, &bounds, at(0));
        assert_eq!(slot.held, None, "at most one slot stands");
        let failed = slot.failed.clone().unwrap();
        assert_eq!((&*failed.node, failed.why), ("n", SlotFailure::Taken));
        waits.push(failed.until.duration_since(at(0)).as_secs());
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
    assert_eq!(backoff(u32::MAX, &bounds).as_secs(), 600);
    assert_eq!(slot.tries, 9);
}

#[test]
fn an_assertion_is_counted() {
    let slot = begin(None, held(2, 0));
    assert_eq!(asserted(&asserted(&slot)).held.unwrap().asserted, 2);
    assert_eq!(asserted(&Slot::default()), Slot::default());
}
