//! Condition types and reasons, and how one condition replaces another.
//!
//! The types follow kstatus: `Ready` says that the wanted instances run, `Reconciling` that the
//! operator is working on it, `Stalled` that it cannot go on without a person. Their reasons are
//! `borealis_core::model::reasons`. Decides nothing; the planners choose, the executor writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// The wanted number of instances runs the wanted config.
pub const READY: &str = "Ready";
/// The operator is changing something to get there.
pub const RECONCILING: &str = "Reconciling";
/// The operator cannot get there; the message says what to do.
pub const STALLED: &str = "Stalled";

/// Longest message the API server takes in a condition.
const MAX_MESSAGE: usize = 32_768;

/// One condition that became or stays what it says at `now`.
#[must_use]
pub fn condition(
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message: truncated(message),
        observed_generation: Some(generation),
        last_transition_time: Time(now),
    }
}

/// Puts `new` into `conditions`, keeping the transition time when the status did not change.
/// Returns whether anything but the time differs, that is, whether a patch is worth sending.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) -> bool {
    let Some(old) = conditions.iter_mut().find(|c| c.type_ == new.type_) else {
        conditions.push(new);
        return true;
    };
    if old.status == new.status {
        new.last_transition_time = old.last_transition_time.clone();
    }
    let changed = *old != new;
    *old = new;
    changed
}

fn truncated(message: &str) -> String {
    let end = (0..=message.len().min(MAX_MESSAGE)).rev().find(|&i| message.is_char_boundary(i));
    message[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use borealis_core::model::reasons::{REPLACING, RUNNING};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_condition_keeps_its_transition_time_while_its_status_holds() {
        let mut all = Vec::new();
        assert!(set(&mut all, condition(READY, true, RUNNING, "3 of 3 run", 1, at(10))));
        assert!(!set(&mut all, condition(READY, true, RUNNING, "3 of 3 run", 1, at(20))));
        assert!(set(&mut all, condition(READY, true, RUNNING, "4 of 4 run", 2, at(30))));
        assert_eq!(all[0].last_transition_time, Time(at(10)));
        assert!(set(&mut all, condition(READY, false, REPLACING, "3 of 4 run", 2, at(40))));
        assert_eq!(all[0].last_transition_time, Time(at(40)));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn messages_are_cut_at_a_character() {
        let long = "ä".repeat(MAX_MESSAGE);
        assert_eq!(truncated(&long).len(), MAX_MESSAGE);
        assert_eq!(truncated("short"), "short");
        assert_eq!(truncated(&format!("x{long}")).len(), MAX_MESSAGE - 1);
    }
}
