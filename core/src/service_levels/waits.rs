//! How long tasks take from PENDING to the states on their way.

use jiff::{SignedDuration, Timestamp};

use super::{Sighting, WINDOW_SECONDS};
use crate::model::{Instance, Run, TaskState};

/// A state on the way of which it is told how soon tasks get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The task has a node (Aurora: MTTA).
    Assigned,
    /// Its first container has started (MTTS).
    Starting,
    /// It has become Ready (MTTR).
    Running,
}

impl Mark {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Assigned, Self::Starting, Self::Running];

    fn state(self) -> TaskState {
        match self {
            Self::Assigned => TaskState::Assigned,
            Self::Starting => TaskState::Starting,
            Self::Running => TaskState::Running,
        }
    }
}

/// A task has come to a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) instance: Instance,
    pub(super) run: Run,
    pub(super) mark: Mark,
    /// So long after its Pod was made.
    pub(super) seconds: u32,
}

/// The marks a task has come to with what was seen. A watch may skip states: then it has come to several.
pub(super) fn reached(seen: &Sighting<'_>, now: Timestamp) -> Vec<Reached> {
    let Some(task) = seen.after else { return Vec::new() };
    // A Pod that was changed in place begins anew, but was made long ago.
    if task.state > TaskState::Running || task.change().is_some() {
        return Vec::new();
    }
    let from = seen.before.map_or(TaskState::Init, |before| before.state);
    let is_new = |mark: &Mark| from < mark.state() && mark.state() <= task.state;
    let when = |mark: Mark| {
        let said = match mark {
            Mark::Assigned => seen.scheduled,
            Mark::Starting => task.started,
            Mark::Running => task.ready_since,
        };
        match seen.before {
            Some(_) => Some(said.unwrap_or(now)),
            // Seen for the first time, as after a start: what it says happened in this window, or before anybody looked.
            None => said.filter(|at| now.duration_since(*at) <= window()),
        }
    };
    let reached = |mark: Mark| {
        let seconds = when(mark)?.min(now).duration_since(task.created).as_secs();
        Some(Reached { instance: task.instance, run: task.run, mark, seconds: whole(seconds) })
    };
    Mark::ALL.into_iter().filter(is_new).filter_map(reached).collect()
}

pub(super) fn window() -> SignedDuration {
    SignedDuration::from_secs(WINDOW_SECONDS.into())
}

/// Clocks may differ: nothing takes less than no time.
pub(super) fn whole(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}
