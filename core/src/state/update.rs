//! The state machine of an update (Aurora: JobUpdateStateMachine).

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

#[cfg(test)]
mod tests {
    use super::*;

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
