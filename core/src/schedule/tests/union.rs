//! Several rules, catching up, and jitter.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{super::jitter, at, schedule};

#[test]
fn what_several_rules_ask_for_is_due_once() {
    let union = schedule(&["0 8 * * *", "*/30 8 * * *", "R2/2026-05-01T08:30:00Z/PT15M"], "UTC");
    let due: Vec<_> = union.between(at("2026-05-01T00:00:00Z"), at("2026-05-02T08:00:00Z")).collect();
    assert_eq!(
        due,
        [
            at("2026-05-01T08:00:00Z"),
            at("2026-05-01T08:30:00Z"),
            at("2026-05-01T08:45:00Z"),
            at("2026-05-02T08:00:00Z")
        ]
    );
    // Skipped, and the end of the gap itself.
    let gap = schedule(&["10 2 * * *", "50 2 * * *", "0 3 * * *"], "Europe/Berlin");
    let due: Vec<_> = gap.between(at("2026-03-29T00:00:00Z"), at("2026-03-29T12:00:00Z")).collect();
    assert_eq!(due, [at("2026-03-29T01:00:00Z")]);
}

#[test]
fn the_latest_is_the_last_of_all() {
    let (after, until) = (at("2026-01-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
    for rule in
        ["0 8 * * *", "* * 1 1 *", "0 0 1 * *", "0 0 1 1 *", "0 0 1 5 *", "R/2026-02-03T04:05:06Z/P1M"]
    {
        let schedule = schedule(&[rule], "UTC");
        assert_eq!(schedule.latest(after, until), schedule.between(after, until).last(), "{rule}");
    }
    let hourly = schedule(&["@hourly"], "UTC");
    assert_eq!(hourly.latest(after, after), None);
    assert_eq!(hourly.latest(until, after), None);
    assert_eq!(hourly.latest(Timestamp::MIN, until), Some(until));
    let ended = schedule(&["R1/2026-01-01T00:00:00Z/PT1H"], "UTC");
    assert_eq!(ended.latest(Timestamp::MIN, Timestamp::MAX), Some(after));
}

#[test]
fn jitter_is_the_same_for_an_object_and_spread_over_objects() {
    assert_eq!(jitter("any", 0), SignedDuration::ZERO);
    // Written down: another version of the operator must not move what is due.
    assert_eq!(jitter("6b1c0f0e-5f0a-4b52-9d3e-6a8f1e2d3c4b", 300), SignedDuration::from_secs(192));
    let mut objects = BTreeMap::<i64, u32>::new();
    for object in 0..10_000 {
        *objects.entry(jitter(&format!("default/cron-{object}"), 9).as_secs()).or_default() += 1;
    }
    assert_eq!(objects.keys().copied().collect::<Vec<_>>(), (0..=9).collect::<Vec<_>>());
    assert!(objects.values().all(|count| (850..1150).contains(count)), "{objects:?}");
}
