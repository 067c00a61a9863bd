//! The planner of jobs in named cases: a small job whose Pods do what the case says, driven plan by plan.

mod retry;
mod world;
