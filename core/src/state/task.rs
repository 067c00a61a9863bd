//! The state machine of a task: which changes are legal, and what each entails (Aurora: TaskStateMachine).
//!
//! Two things differ from Aurora's table. A watch may skip states, so every step forward may be a leap, and a task
//! seen for the first time may be in any state. And a Pod that has a node but has not started there can be
//! partitioned too, since nothing else would ever end its wait.

use crate::model::TaskState::{self, *};

/// What a job's tasks are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They run forever.
    Service,
    /// They run to success.
    Job,
}

/// Whether the instance shall run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// No: nobody lost anything.
    #[default]
    No,
    /// Yes.
    Yes,
    /// Yes, unless the job's failures are used up.
    WithinFailures,
}

/// What a change of state entails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// It counts as a failure of the instance.
    pub count_failure: bool,
    /// Whether the instance shall run again.
    pub replace: Replace,
    /// The task is to be given up as LOST at once.
    pub give_up: bool,
    /// What still runs of it is to be stopped.
    pub kill: bool,
}

/// A change of state that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task cannot go from {from:?} to {to:?}")]
pub struct Illegal {
    /// The state it has.
    pub from: TaskState,
    /// The state it was said to have.
    pub to: TaskState,
}

/// What it entails that a task goes from one state to another.
///
/// # Errors
/// `Illegal` where it can't be; the change is to be dropped and counted, as in Aurora.
pub fn transition(kind: Kind, from: TaskState, to: TaskState) -> Result<Effects, Illegal> {
    if from == to {
        return Ok(Effects::default());
    }
    match from {
        Finished | Failed | Killed | Lost => Err(Illegal { from, to }),
        Throttled => match to {
            Pending | Killing => Ok(Effects::default()),
            _ => Err(Illegal { from, to }),
        },
        Init | Pending | Assigned | Starting | Running => active(kind, from, to),
        Partitioned => partitioned(kind, to),
        Preempting | Restarting | Draining => ending(from, to, Replace::Yes),
        Killing => ending(from, to, Replace::No),
    }
}

/// How far a task has come on its way to RUNNING.
fn advance(state: TaskState) -> Option<u8> {
    match state {
        Init => Some(0),
        Pending => Some(1),
        Assigned => Some(2),
        Starting => Some(3),
        Running => Some(4),
        Throttled | Preempting | Restarting | Draining | Killing | Partitioned | Finished | Failed
        | Killed | Lost => None,
    }
}

/// From a state on the way to RUNNING.
fn active(kind: Kind, from: TaskState, to: TaskState) -> Result<Effects, Illegal> {
    match to {
        Init | Pending | Assigned | Starting | Running if advance(from) < advance(to) => {
            Ok(Effects::default())
        }
        Init | Pending | Assigned | Starting | Running => Err(Illegal { from, to }),
        Throttled if from == Init => Ok(Effects::default()),
        Throttled => Err(Illegal { from, to }),
        // Without a node there is none to lose.
        Partitioned if from == Pending => Err(Illegal { from, to }),
        Partitioned => Ok(Effects::default()),
        Preempting | Restarting | Draining | Killing => Ok(Effects { kill: true, ..Effects::default() }),
        Finished | Failed | Killed => Ok(ended_by_itself(kind, to)),
        // A task that never ran may still be about to start where it was placed.
        Lost => Ok(Effects { replace: Replace::Yes, kill: from == Assigned, ..Effects::default() }),
    }
}

fn ended_by_itself(kind: Kind, to: TaskState) -> Effects {
    let replace = match (kind, to) {
        (Kind::Service, _) | (Kind::Job, Killed) => Replace::Yes,
        (Kind::Job, Failed) => Replace::WithinFailures,
        (Kind::Job, _) => Replace::No,
    };
    Effects { count_failure: to == Failed, replace, ..Effects::default() }
}

fn partitioned(kind: Kind, to: TaskState) -> Result<Effects, Illegal> {
    match to {
        // The node came back and says how far the task is.
        Assigned | Starting | Running => Ok(Effects::default()),
        Finished | Failed | Killed => Ok(ended_by_itself(kind, to)),
        Lost => Ok(Effects { replace: Replace::Yes, kill: true, ..Effects::default() }),
        // Nobody answers on a lost node: whoever wants the task ended gives it up.
        Preempting | Restarting | Draining | Killing => Ok(Effects { give_up: true, ..Effects::default() }),
        Init | Throttled | Pending | Partitioned => Err(Illegal { from: Partitioned, to }),
    }
}

fn ending(from: TaskState, to: TaskState, replace: Replace) -> Result<Effects, Illegal> {
    match to {
        Finished | Failed | Killed => Ok(Effects { replace, ..Effects::default() }),
        Lost => Ok(Effects { replace, kill: true, ..Effects::default() }),
        Partitioned => Ok(Effects { give_up: true, ..Effects::default() }),
        Killing => Ok(Effects { kill: true, ..Effects::default() }),
        Init | Throttled | Pending | Assigned | Starting | Running | Preempting | Restarting | Draining => {
            Err(Illegal { from, to })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NONE: Effects = Effects { count_failure: false, replace: Replace::No, give_up: false, kill: false };
    const KILL: Effects = Effects { kill: true, ..NONE };
    const GIVE_UP: Effects = Effects { give_up: true, ..NONE };
    const AGAIN: Effects = Effects { replace: Replace::Yes, ..NONE };
    const AGAIN_AND_KILL: Effects = Effects { kill: true, ..AGAIN };
    const FAILURE: Effects = Effects { count_failure: true, ..AGAIN };

    /// Every legal change of a service's task; whatever isn't here is illegal.
    fn expected() -> BTreeMap<(TaskState, TaskState), Effects> {
        let rows: &[(&[TaskState], &[TaskState], Effects)] = &[
            (&[Init], &[Throttled, Pending, Assigned, Starting, Running, Partitioned], NONE),
            (&[Throttled], &[Pending, Killing], NONE),
            (&[Pending], &[Assigned, Starting, Running], NONE),
            (&[Assigned], &[Starting, Running, Partitioned], NONE),
            (&[Starting], &[Running, Partitioned], NONE),
            (&[Running], &[Partitioned], NONE),
            (&[Partitioned], &[Assigned, Starting, Running], NONE),
            (
                &[Init, Pending, Assigned, Starting, Running],
                &[Preempting, Restarting, Draining, Killing],
                KILL,
            ),
            (&[Init, Pending, Assigned, Starting, Running, Partitioned], &[Finished, Killed], AGAIN),
            (&[Init, Pending, Assigned, Starting, Running, Partitioned], &[Failed], FAILURE),
            (&[Init, Pending, Starting, Running], &[Lost], AGAIN),
            (&[Assigned, Partitioned, Preempting, Restarting, Draining], &[Lost], AGAIN_AND_KILL),
            (&[Partitioned], &[Preempting, Restarting, Draining, Killing], GIVE_UP),
            (&[Preempting, Restarting, Draining], &[Finished, Failed, Killed], AGAIN),
            (&[Preempting, Restarting, Draining], &[Killing], KILL),
            (&[Preempting, Restarting, Draining, Killing], &[Partitioned], GIVE_UP),
            (&[Killing], &[Finished, Failed, Killed], NONE),
            (&[Killing], &[Lost], KILL),
        ];
        let mut map: BTreeMap<_, _> = TaskState::ALL.iter().map(|state| ((*state, *state), NONE)).collect();
        for (froms, tos, effects) in rows {
            for from in *froms {
                for to in *tos {
                    assert!(
                        map.insert((*from, *to), *effects).is_none(),
                        "{from:?} to {to:?} is there twice"
                    );
                }
            }
        }
        map
    }

    #[test]
    fn every_change_of_a_service_is_as_the_table_says() {
        let expected = expected();
        for from in TaskState::ALL {
            for to in TaskState::ALL {
                let wanted = expected.get(&(from, to)).copied().ok_or(Illegal { from, to });
                assert_eq!(transition(Kind::Service, from, to), wanted, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_job_differs_from_a_service_only_in_what_is_replaced() {
        for from in TaskState::ALL {
            for to in TaskState::ALL {
                let service = transition(Kind::Service, from, to);
                let by_itself =
                    service == Ok(FAILURE) || (service == Ok(AGAIN) && to == Finished && !from.is_ending());
                let wanted = service.map(|effects| match to {
                    Failed if by_itself => Effects { replace: Replace::WithinFailures, ..effects },
                    Finished if by_itself => Effects { replace: Replace::No, ..effects },
                    _ => effects,
                });
                assert_eq!(transition(Kind::Job, from, to), wanted, "{from:?} to {to:?}");
            }
        }
    }
}
