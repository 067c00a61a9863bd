//! The question that is asked before a healthy task is ended on purpose: may it go now?
//!
//! The planner asks it in one place, for every task and cause; what is refused is held back with the reason and
//! asked again at the next plan. Nothing refuses yet but in tests: services have no windowed SLA so far.

use jiff::Timestamp;

use crate::model::Task;

/// Why a task is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its instance gets another config.
    Change,
    /// Its instance goes.
    Remove,
    /// It is made anew with the config it has.
    Restart,
}

/// Why a task may not be ended now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Veto {
    /// In one PascalCase word.
    pub reason: &'static str,
    /// When that will be over by itself.
    pub until: Option<Timestamp>,
}

/// Who is asked.
pub trait Sla {
    /// Why the task may not be ended now; `None` where it may.
    fn veto(&self, task: &Task, cause: Cause) -> Option<Veto>;
}

/// Allows everything.
#[derive(Debug, Clone, Copy)]
pub struct NoSla;

impl Sla for NoSla {
    fn veto(&self, _task: &Task, _cause: Cause) -> Option<Veto> {
        None
    }
}
