//! Condition types and reasons, and how a condition is written.
//!
//! The types follow kstatus: `Ready` says that the wanted instances run, `Reconciling` that the
//! operator is working on it, `Stalled` that it cannot go on without a person. `Placed` tells people which instances have no
//! place. Their reasons are
//! `borealis_core::model::reasons`. Decides nothing; the planners choose, the executor writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// The wanted number of instances runs the wanted config.
pub const READY: &str = "Ready";
/// The operator is changing something to get there.
pub const RECONCILING: &str = "Reconciling";
/// The operator cannot get there; the message says what to do.
pub const STALLED: &str = "Stalled";
/// No instance is known to be without a place; the message says which are, and why.
pub const PLACED: &str = "Placed";
/// On an AuroraJob: it has succeeded.
pub const COMPLETE: &str = "Complete";
/// On an AuroraJob: it has failed; the message names the first instance that did.
pub const FAILED: &str = "Failed";

/// On an AuroraUpdate: some of its controls are not acted on; the message says which and why.
pub const REFUSED: &str = "Refused";

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

fn truncated(message: &str) -> String {
    let end = (0..=message.len().min(MAX_MESSAGE)).rev().find(|&i| message.is_char_boundary(i));
    message[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_a_character() {
        let long = "ä".repeat(MAX_MESSAGE);
        assert_eq!(truncated(&long).len(), MAX_MESSAGE);
        assert_eq!(truncated("short"), "short");
        assert_eq!(truncated(&format!("x{long}")).len(), MAX_MESSAGE - 1);
    }
}
