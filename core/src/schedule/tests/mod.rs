mod clocks;
mod grammar;
mod intervals;
mod refused;
mod union;

use jiff::Timestamp;

use super::{Schedule, ScheduleError};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn schedule(rules: &[&str], zone: &str) -> Schedule {
    Schedule::parse(rules, Some(zone)).unwrap()
}

/// The first times due after `after`, as text.
fn first(count: usize, rule: &str, zone: &str, after: &str) -> Vec<String> {
    let schedule = schedule(&[rule], zone);
    let due = schedule.between(at(after), Timestamp::MAX).take(count);
    due.map(|due| due.to_string()).collect()
}

fn refusal(rule: &str) -> ScheduleError {
    Schedule::parse(&[rule], None).expect_err(rule)
}
