//! Schedules of crons: five fields, nicknames and repeating intervals, with a time zone.
//!
//! The first line is the zone, each further one a rule.
#![no_main]

use borealis_core::schedule::Schedule;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let zone = lines.next().filter(|zone| !zone.is_empty());
    let rules: Vec<&str> = lines.take(4).collect();
    let schedule = match Schedule::parse(&rules, zone) {
        Ok(schedule) => schedule,
        Err(error) => {
            let said = error.to_string();
            assert!(!said.chars().any(char::is_control), "{said:?} would break a line of the log");
            return;
        }
    };
    let mut after = Timestamp::UNIX_EPOCH;
    for _ in 0..8 {
        let Some(due) = schedule.next(after) else { break };
        assert!(due > after, "{rules:?} is due at {due}, which is not after {after}");
        assert_eq!(schedule.latest(after, due), Some(due), "{rules:?}: nothing lies between");
        after = due;
    }
});
