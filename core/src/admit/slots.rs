//! What becomes of a slot: room that is kept on one node for one waiting Pod, while those leave who are in it.
//!
//! A nomination is advice: it holds against Pods of the same or a lower class, the scheduler may drop it, and the node
//! may change. So each look asks anew whether the slot is still worth what it costs, and nobody is ended for one that
//! is not. Level-triggered: all it goes by stands in the Pod's note and on the board. It picks no victims. Called by
//! `pass`.

use jiff::{SignedDuration, Timestamp};

use crate::model::{FailedSlot, Held, Slot, SlotFailure, Uid};

/// Whether room is made at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// It is.
    #[default]
    On,
    /// It is said what would be done, and nothing is.
    DryRun,
    /// Nobody looks for any.
    Off,
}

/// What slots keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long a slot is kept that does not become free.
    pub hold: SignedDuration,
    /// How much longer than its last victim needs it is kept.
    pub slack: SignedDuration,
    /// How many times a lost nomination is written again.
    pub asserts: u32,
    /// How long after the first slot that came to nothing the next is looked for; doubles each time.
    pub backoff: SignedDuration,
    /// What it doubles up to.
    pub longest_backoff: SignedDuration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            hold: SignedDuration::from_secs(300),
            slack: SignedDuration::from_secs(30),
            asserts: 20,
            backoff: SignedDuration::from_secs(10),
            longest_backoff: SignedDuration::from_secs(600),
        }
    }
}

/// Where the Pod is that the room is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// It waits.
    Waits,
    /// It got the node of the slot.
    Here,
    /// It got another.
    Elsewhere,
}

/// What became of the nomination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nomination {
    /// It stands.
    Stands,
    /// There is none.
    Lost,
    /// It names another node.
    Other,
}

/// What the node has for the Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Room {
    /// There is no such node.
    Gone,
    /// The Pod does not suit the node, whoever leaves.
    Unfit,
    /// Its victims leaving would not be enough: others have the room.
    Taken,
    /// There is room when all of its victims have left.
    WhenAllLeft,
    /// There is room now, or when those have left who are ending already.
    WithoutMore,
}

/// Whether a victim that has not been told to end yet may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum May {
    /// It may.
    End,
    /// A disruption budget allows no more for now.
    NotNow,
    /// By the rule it may not, or its Pod refuses to go.
    Never,
}

/// What is seen of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where the Pod is.
    pub place: Place,
    /// Its nomination.
    pub nomination: Nomination,
    /// The node.
    pub room: Room,
    /// Victims that have not been told to end.
    pub standing: Vec<(Uid, May)>,
    /// Until when those have that are ending; `None` when nobody is.
    pub leaving: Option<Timestamp>,
    /// Nothing voluntary is done.
    pub frozen: bool,
    /// Whether room is made at all.
    pub mode: Mode,
}

/// What to do about a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The Pod has a node.
    Over,
    /// Give it up.
    Withdraw(SlotFailure),
    /// Write the nomination again.
    Assert,
    /// End these victims.
    End(Vec<Uid>),
    /// Wait, and look again by then.
    Wait(WaitsFor, Timestamp),
}

/// What a slot waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitsFor {
    /// Its victims are leaving.
    Victims,
    /// A disruption budget is used up, and some of the victims have been ended already.
    Budget,
    /// There is room: the scheduler is to see it.
    Scheduler,
    /// The scheduler is about to place the Pod elsewhere.
    Elsewhere,
    /// Another Pod that ranks higher, which would take the room.
    Ahead,
    /// The cluster is frozen.
    Frozen,
}

/// What to do about a slot that stands.
pub fn step(held: &Held, seen: &Seen, bounds: &Bounds, now: Timestamp) -> Step {
    let until = held_until(held, seen.leaving, bounds);
    match seen.place {
        Place::Here | Place::Elsewhere => return Step::Over,
        Place::Waits => {}
    }
    if seen.frozen {
        return Step::Wait(WaitsFor::Frozen, until);
    }
    if seen.mode != Mode::On {
        return Step::Withdraw(SlotFailure::Off);
    }
    match seen.room {
        Room::Gone => return Step::Withdraw(SlotFailure::NodeGone),
        Room::Unfit => return Step::Withdraw(SlotFailure::Unfit),
        Room::Taken => return Step::Withdraw(SlotFailure::Taken),
        Room::WhenAllLeft | Room::WithoutMore => {}
    }
    match seen.nomination {
        Nomination::Other if now >= until => Step::Withdraw(SlotFailure::Elsewhere),
        Nomination::Other => Step::Wait(WaitsFor::Elsewhere, until),
        Nomination::Stands | Nomination::Lost if now >= until => Step::Withdraw(SlotFailure::Expired),
        Nomination::Lost if held.asserted >= bounds.asserts => Step::Withdraw(SlotFailure::Lost),
        Nomination::Lost => Step::Assert,
        Nomination::Stands => victims(held, seen, until),
    }
}

/// What to do about the victims of a slot that is worth it.
fn victims(held: &Held, seen: &Seen, until: Timestamp) -> Step {
    if seen.room == Room::WithoutMore || seen.standing.is_empty() {
        let waits = if seen.leaving.is_some() { WaitsFor::Victims } else { WaitsFor::Scheduler };
        return Step::Wait(waits, until);
    }
    if seen.standing.iter().any(|(_, may)| *may == May::Never) {
        return Step::Withdraw(SlotFailure::Victim);
    }
    let now: Vec<Uid> =
        seen.standing.iter().filter(|(_, may)| *may == May::End).map(|(uid, _)| *uid).collect();
    let is_untouched = seen.standing.len() == held.victims.len();
    if now.len() == seen.standing.len() || (!is_untouched && !now.is_empty()) {
        return Step::End(now);
    }
    // Nobody has been ended for it yet: then nobody needs to be.
    if is_untouched { Step::Withdraw(SlotFailure::Budget) } else { Step::Wait(WaitsFor::Budget, until) }
}

/// Until when a slot is kept: those who were told to end for it are waited for.
fn held_until(held: &Held, leaving: Option<Timestamp>, bounds: &Bounds) -> Timestamp {
    let hold = later(held.since, bounds.hold);
    leaving.map_or(hold, |leaving| hold.max(later(leaving, bounds.slack)))
}

/// The note of a Pod for which room is kept from now on.
pub fn begin(slot: Option<&Slot>, held: Held) -> Slot {
    let before = slot.cloned().unwrap_or_default();
    Slot { held: Some(held), ..before }
}

/// The note after the nomination was written again.
pub fn asserted(slot: &Slot) -> Slot {
    let held = slot.held.clone().map(|held| Held { asserted: held.asserted.saturating_add(1), ..held });
    Slot { held, ..slot.clone() }
}

/// The note after its slot came to nothing.
pub fn withdrawn(slot: &Slot, why: SlotFailure, bounds: &Bounds, now: Timestamp) -> Slot {
    let tries = slot.tries.saturating_add(1);
    let failed = slot.held.as_ref().map(|held| {
        let until = later(now, backoff(tries, bounds));
        FailedSlot { node: std::sync::Arc::clone(&held.node), until, why }
    });
    Slot { held: None, tries, failed: failed.or_else(|| slot.failed.clone()) }
}

/// How long to wait after so many slots in a row that came to nothing.
pub fn backoff(tries: u32, bounds: &Bounds) -> SignedDuration {
    let times = 2_i32.checked_pow(tries.saturating_sub(1)).unwrap_or(i32::MAX);
    bounds.backoff.checked_mul(times).unwrap_or(bounds.longest_backoff).min(bounds.longest_backoff)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
