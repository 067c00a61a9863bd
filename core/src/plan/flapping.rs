//! How long an instance whose tasks end young is held back (Aurora: RescheduleCalculator, TaskThrottler).
//!
//! Aurora walks the ancestors of a task; here the count travels on the Pods, so it outlives pruned ancestors and
//! the operator. The delays are Aurora's real ones: none for the first flap, then initial, doubled up to the cap.

use jiff::{SignedDuration, Timestamp};

use crate::{
    model::{EndReason, Flapping, Task},
    state::{Kind, transition},
};

/// What an instance inherits from its ended task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Inherited {
    pub(super) flaps: u16,
    pub(super) failures: u16,
    /// Not to be started before this.
    pub(super) due: Option<Timestamp>,
}

/// What the successor of an ended task inherits, if it runs the same config.
pub(super) fn inherit(task: &Task, flapping: &Flapping) -> Inherited {
    let counts =
        transition(Kind::Service, task.before, task.state).is_ok_and(|effects| effects.count_failure);
    let failures = task.failures.saturating_add(u16::from(counts));
    if !flapped(task, flapping) {
        return Inherited { flaps: 0, failures, due: None };
    }
    let flaps = task.flaps.saturating_add(1);
    let delay = penalty(flaps, flapping);
    let due = task.ended.unwrap_or(task.created).checked_add(SignedDuration::from_secs(delay.into())).ok();
    Inherited { flaps, failures, due: due.filter(|_| delay > 0) }
}

/// Whether the task ended by itself and young. Those that were ended, evicted or lost with their node did not.
fn flapped(task: &Task, flapping: &Flapping) -> bool {
    let own_end = match task.end {
        Some(EndReason::Stopped | EndReason::Disrupted | EndReason::NodeLost) => false,
        // An update's words for what has not ended.
        Some(EndReason::TooSlow | EndReason::Unready | EndReason::CheckFailed) => false,
        Some(EndReason::Exited | EndReason::OutOfMemory | EndReason::OwnLimit) => true,
        Some(EndReason::TimedOut | EndReason::Unhealthy) => true,
        Some(EndReason::Rejected | EndReason::Unknown) | None => true,
    };
    let (Some(ended), true) = (task.ended, own_end && task.is_terminal()) else { return false };
    let last_active = task.ready_since.or(task.started).unwrap_or(task.created);
    ended.duration_since(last_active) < SignedDuration::from_secs(flapping.threshold_seconds.into())
}

/// Seconds to hold back after so many flaps in a row.
fn penalty(flaps: u16, flapping: &Flapping) -> u32 {
    let Some(doublings) = flaps.checked_sub(2) else { return 0 };
    let factor = 1u32.checked_shl(doublings.into()).unwrap_or(u32::MAX);
    flapping.initial_delay_seconds.saturating_mul(factor).min(flapping.max_delay_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_delays_are_auroras() {
        let flapping = Flapping { threshold_seconds: 300, initial_delay_seconds: 60, max_delay_seconds: 300 };
        let delays: Vec<u32> = (0..8).map(|flaps| penalty(flaps, &flapping)).collect();
        assert_eq!(delays, [0, 0, 60, 120, 240, 300, 300, 300]);
        assert_eq!(penalty(u16::MAX, &flapping), 300);
    }
}
