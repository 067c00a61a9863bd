//! Which time of an instance counts for the platform, which against it, and which not at all.

use jiff::Timestamp;

use super::{Spent, WINDOW_SECONDS};
use crate::model::{Ending, Instance, Intent, TaskState};

/// What an instance is to the platform (Aurora: SlaState).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It runs.
    Up,
    /// It ran, and the platform ended it or lost it, and has not brought it up again.
    Down,
    /// It is not there by its user's doing, or has never run: not counted.
    Removed,
}

impl Class {
    /// What an instance is from the moment on that its task comes into a state, given what it was. `ending` is how the
    /// task was told to end.
    #[must_use]
    pub fn next(self, state: TaskState, ending: Option<Ending>) -> Self {
        match state {
            TaskState::Running | TaskState::Partitioned => Self::Up,
            TaskState::Lost | TaskState::Draining | TaskState::Preempting => Self::Down,
            TaskState::Throttled
            | TaskState::Finished
            | TaskState::Restarting
            | TaskState::Failed
            | TaskState::Killing => Self::Removed,
            // What was down still is; what was up was made anew at a wish.
            TaskState::Init | TaskState::Pending | TaskState::Assigned | TaskState::Starting => {
                self.unless_up()
            }
            TaskState::Killed => match ending {
                _ if self != Self::Up => self,
                // Aurora's rule: nobody has asked for it.
                None => Self::Down,
                // A watch may not have shown that it was being ended.
                Some(Ending { intent: Some(Intent::Drain | Intent::Preempt | Intent::Lose), .. }) => {
                    Self::Down
                }
                Some(Ending {
                    intent:
                        None
                        | Some(
                            Intent::Kill
                            | Intent::Restart
                            | Intent::Finish
                            | Intent::TimeOut
                            | Intent::Unhealthy,
                        ),
                    ..
                }) => Self::Removed,
            },
        }
    }

    fn unless_up(self) -> Self {
        if self == Self::Up { Self::Removed } else { self }
    }
}

/// An instance became something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) instance: Instance,
    /// What it was till then.
    pub(super) from: Class,
    pub(super) at: Timestamp,
}

/// How an instance that is `class` now has spent the window that ends now, given what it was before, oldest first.
pub(super) fn spent(class: Class, changes: &[Change], now: Timestamp) -> Spent {
    let window = i64::from(WINDOW_SECONDS) * 1_000;
    let mut spent = Spent::default();
    // Milliseconds before now; the clocks of nodes may differ, so a change may seem to come before the one it followed.
    let (mut class, mut end) = (class, 0);
    for change in changes.iter().rev() {
        let ago = now.as_millisecond().saturating_sub(change.at.as_millisecond()).clamp(end, window);
        spent.add(class, ago - end);
        (class, end) = (change.from, ago);
    }
    spent.add(class, window - end);
    spent
}
