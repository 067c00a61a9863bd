//! Condition types and reasons, and how one condition replaces another.
//!
//! The types follow kstatus: `Ready` says that the wanted instances run, `Reconciling` that the
//! operator is working on it, `Stalled` that it cannot go on without a person. Reasons are shown in
//! the STATE column, so each reads as a state. Decides nothing; the planners choose, the executor
//! writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// The wanted number of instances runs the wanted config.
pub const READY: &str = "Ready";
/// The operator is changing something to get there.
pub const RECONCILING: &str = "Reconciling";
/// The operator cannot get there; the message says what to do.
pub const STALLED: &str = "Stalled";

/// All instances run.
pub const RUNNING: &str = "Running";
/// `instances` is 0 and nothing runs.
pub const SCALED_TO_ZERO: &str = "ScaledToZero";
/// Instances are being started or replaced, no update is going on.
pub const STARTING: &str = "Starting";
/// Fewer instances run than wanted, after having been complete.
pub const DEGRADED: &str = "Degraded";
/// An update rolls forward.
pub const UPDATING: &str = "Updating";
/// An update rolls back.
pub const ROLLING_BACK: &str = "RollingBack";
/// An update is paused by its controls or after a batch.
pub const PAUSED: &str = "Paused";
/// The last update failed and was rolled back; the old config runs.
pub const ROLLED_BACK: &str = "RolledBack";
/// The last update failed and nothing was rolled back.
pub const UPDATE_FAILED: &str = "UpdateFailed";
/// The last update was aborted; the instances are of several configs.
pub const UPDATE_ABORTED: &str = "UpdateAborted";
/// The operator cannot act on this spec although the schema accepted it.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// The API server refused a Pod of this template; the message has its words.
pub const TEMPLATE_REFUSED: &str = "TemplateRefused";
/// The job key or the name of a child belongs to another object.
pub const NAME_CONFLICT: &str = "NameConflict";
/// The job asks for more than its role may have.
pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
/// The cluster-wide switch stops every voluntary action.
pub const FROZEN: &str = "Frozen";
/// The object is being deleted.
pub const TERMINATING: &str = "Terminating";
/// There is nothing to report: a condition is False because its opposite holds.
pub const AS_EXPECTED: &str = "AsExpected";

/// Every reason.
const REASONS: [&str; 17] = [
    RUNNING,
    SCALED_TO_ZERO,
    STARTING,
    DEGRADED,
    UPDATING,
    ROLLING_BACK,
    PAUSED,
    ROLLED_BACK,
    UPDATE_FAILED,
    UPDATE_ABORTED,
    INVALID_SPEC,
    TEMPLATE_REFUSED,
    NAME_CONFLICT,
    QUOTA_EXCEEDED,
    FROZEN,
    TERMINATING,
    AS_EXPECTED,
];

/// The reason of this name, if it is one: what a recorded condition says, as the planner writes it.
#[must_use]
pub fn known_reason(text: &str) -> Option<&'static str> {
    REASONS.into_iter().find(|reason| *reason == text)
}

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
        assert!(set(&mut all, condition(READY, false, DEGRADED, "3 of 4 run", 2, at(40))));
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
