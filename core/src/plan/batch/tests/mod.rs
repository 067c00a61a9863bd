//! The planner of jobs in named cases: a small job whose Pods do what the case says, driven plan by plan.

mod course;
mod keep;
mod quota;
mod retry;
mod stop;
mod told;
mod world;
