//! The state machine of an update (Aurora: JobUpdateStateMachine), and what each wish of a person means in it.

use crate::model::UpdateState::{self, *};

/// Whether an update may go from one state to another. Staying where it is is always legal and means nothing.
pub fn can_go(from: UpdateState, to: UpdateState) -> bool {
    if from == to {
        return true;
    }
    match from {
        RollingForward => matches!(
            to,
            RollingBack
                | RollForwardPaused
                | RollForwardAwaitingPulse
                | RolledForward
                | Aborted
                | Failed
                | Error
        ),
        RollingBack => {
            matches!(to, RollBackPaused | RollBackAwaitingPulse | RolledBack | Aborted | Error | Failed)
        }
        RollForwardPaused => {
            matches!(to, RollingBack | RollingForward | RollForwardAwaitingPulse | Aborted | Error)
        }
        RollBackPaused => matches!(to, RollingBack | RollBackAwaitingPulse | Aborted | Error),
        RollForwardAwaitingPulse => {
            matches!(to, RollingBack | RollingForward | RollForwardPaused | Aborted | Error)
        }
        RollBackAwaitingPulse => matches!(to, RollingBack | RollBackPaused | Aborted | Error),
        RolledForward | RolledBack | Aborted | Failed | Error => false,
    }
}

/// What may be asked of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Start nothing more (Aurora: pauseJobUpdate).
    Pause,
    /// Go on (Aurora: resumeJobUpdate).
    Resume,
    /// Give up and leave everything as it is (Aurora: abortJobUpdate).
    Abort,
    /// Take it back (Aurora: rollbackJobUpdate).
    RollBack,
    /// Try its config again.
    Retry,
    /// A pulse is fresh (Aurora: pulseJobUpdate).
    Pulse,
    /// The last pulse has run out.
    PulseLost,
}

impl Wish {
    /// Every wish.
    pub const ALL: [Self; 7] =
        [Self::Pause, Self::Resume, Self::Abort, Self::RollBack, Self::Retry, Self::Pulse, Self::PulseLost];
}

/// What becomes of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The update goes to this state.
    Goes(UpdateState),
    /// It means nothing, or is done already.
    Stays,
    /// The update has ended, and another is begun.
    Anew,
    /// It can't be done.
    Refused,
}

/// What becomes of a wish in a state. Where pulses are asked for, whoever resumes asks for `PulseLost` next.
pub fn answer(state: UpdateState, wish: Wish) -> Answer {
    use Answer::{Anew, Goes, Refused, Stays};
    match wish {
        Wish::Pause => match state {
            RollingForward | RollForwardAwaitingPulse => Goes(RollForwardPaused),
            RollingBack | RollBackAwaitingPulse => Goes(RollBackPaused),
            RollForwardPaused | RollBackPaused => Stays,
            RolledForward | RolledBack | Aborted | Error | Failed => Refused,
        },
        Wish::Resume => match state {
            RollForwardPaused => Goes(RollingForward),
            RollBackPaused => Goes(RollingBack),
            RollingForward | RollingBack | RollForwardAwaitingPulse | RollBackAwaitingPulse => Stays,
            RolledForward | RolledBack | Aborted | Error | Failed => Refused,
        },
        Wish::Abort => match state {
            Aborted => Stays,
            RolledForward | RolledBack | Error | Failed => Refused,
            RollingForward
            | RollingBack
            | RollForwardPaused
            | RollBackPaused
            | RollForwardAwaitingPulse
            | RollBackAwaitingPulse => Goes(Aborted),
        },
        Wish::RollBack => match state {
            RollingForward | RollForwardPaused | RollForwardAwaitingPulse => Goes(RollingBack),
            RollingBack | RollBackPaused | RollBackAwaitingPulse | RolledBack => Stays,
            RolledForward | Failed => Anew,
            Aborted | Error => Refused,
        },
        Wish::Retry => match state {
            RolledBack | Aborted | Error | Failed => Anew,
            RolledForward
            | RollingForward
            | RollingBack
            | RollForwardPaused
            | RollBackPaused
            | RollForwardAwaitingPulse
            | RollBackAwaitingPulse => Refused,
        },
        Wish::Pulse => match state {
            RollForwardAwaitingPulse => Goes(RollingForward),
            RollBackAwaitingPulse => Goes(RollingBack),
            // A pulse does not unpause, and one that comes after the end is as good as none.
            RollingForward | RollingBack | RollForwardPaused | RollBackPaused | RolledForward
            | RolledBack | Aborted | Error | Failed => Stays,
        },
        Wish::PulseLost => match state {
            RollingForward => Goes(RollForwardAwaitingPulse),
            RollingBack => Goes(RollBackAwaitingPulse),
            RollForwardPaused
            | RollBackPaused
            | RollForwardAwaitingPulse
            | RollBackAwaitingPulse
            | RolledForward
            | RolledBack
            | Aborted
            | Error
            | Failed => Stays,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state and every wish: where it goes, `=` where it stays, `+` for another update, `.` where refused.
    const WISHES: [&str; 11] = [
        // Pause Resume Abort RollBack Retry Pulse PulseLost
        "FP =  ab RB .  =  FA", // ROLLING_FORWARD
        "BP =  ab =  .  =  BA", // ROLLING_BACK
        "=  RF ab RB .  =  = ", // ROLL_FORWARD_PAUSED
        "=  RB ab =  .  =  = ", // ROLL_BACK_PAUSED
        "FP =  ab RB .  RF = ", // ROLL_FORWARD_AWAITING_PULSE
        "BP =  ab =  .  RB = ", // ROLL_BACK_AWAITING_PULSE
        ".  .  .  +  .  =  = ", // ROLLED_FORWARD
        ".  .  .  =  +  =  = ", // ROLLED_BACK
        ".  .  =  .  +  =  = ", // ABORTED
        ".  .  .  .  +  =  = ", // ERROR
        ".  .  .  +  +  =  = ", // FAILED
    ];
    const NAMES: [&str; 11] = ["RF", "RB", "FP", "BP", "FA", "BA", "rf", "rb", "ab", "er", "fa"];

    #[test]
    fn every_wish_in_every_state_is_as_the_table_says() {
        for (row, state) in WISHES.iter().zip(UpdateState::ALL) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            assert_eq!(cells.len(), Wish::ALL.len());
            for (cell, wish) in cells.into_iter().zip(Wish::ALL) {
                let expected = match cell {
                    "=" => Answer::Stays,
                    "+" => Answer::Anew,
                    "." => Answer::Refused,
                    name => Answer::Goes(UpdateState::ALL[NAMES.iter().position(|it| *it == name).unwrap()]),
                };
                assert_eq!(answer(state, wish), expected, "{state:?}, {wish:?}");
                if let Answer::Goes(to) = expected {
                    assert!(can_go(state, to), "{state:?}, {wish:?}");
                }
                let anew = matches!(expected, Answer::Anew);
                assert!(!anew || state.is_terminal(), "{state:?}, {wish:?}");
            }
        }
    }

    /// Aurora's table, row by row; the order of columns is that of `UpdateState::ALL`.
    const LEGAL: [&str; 11] = [
        // RF RB FP BP FA BA rf rb ab er fa
        "=  y  y  .  y  .  y  .  y  y  y", // ROLLING_FORWARD
        ".  =  .  y  .  y  .  y  y  y  y", // ROLLING_BACK
        "y  y  =  .  y  .  .  .  y  y  .", // ROLL_FORWARD_PAUSED
        ".  y  .  =  .  y  .  .  y  y  .", // ROLL_BACK_PAUSED
        "y  y  y  .  =  .  .  .  y  y  .", // ROLL_FORWARD_AWAITING_PULSE
        ".  y  .  y  .  =  .  .  y  y  .", // ROLL_BACK_AWAITING_PULSE
        ".  .  .  .  .  .  =  .  .  .  .", // ROLLED_FORWARD
        ".  .  .  .  .  .  .  =  .  .  .", // ROLLED_BACK
        ".  .  .  .  .  .  .  .  =  .  .", // ABORTED
        ".  .  .  .  .  .  .  .  .  =  .", // ERROR
        ".  .  .  .  .  .  .  .  .  .  =", // FAILED
    ];

    #[test]
    fn every_change_is_as_the_table_says() {
        for (row, from) in LEGAL.iter().zip(UpdateState::ALL) {
            for (cell, to) in row.split_whitespace().zip(UpdateState::ALL) {
                assert_eq!(can_go(from, to), cell != ".", "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn what_is_terminal_goes_nowhere() {
        for from in UpdateState::ALL {
            let leaves = UpdateState::ALL.iter().any(|to| *to != from && can_go(from, *to));
            assert_eq!(leaves, !from.is_terminal(), "{from:?}");
        }
    }
}
