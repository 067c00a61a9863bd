//! Borealis's decisions, as pure functions of a snapshot and a time.
//!
//! `model` says what there is, `state` which changes are legal, `plan` what to do next, `admit` who gets which room,
//! `schedule` when runs of a cron are due, `service_levels` how well services are served, and `sim` (feature `sim`) drives
//! the real planner through seeded faults. Nothing here reads a clock, draws a random number, does I/O or knows Kubernetes'
//! types; the operator (the root crate) observes, calls `plan` and executes.

#![deny(missing_docs)]

pub mod admit;
pub mod model;
pub mod plan;
pub mod schedule;
pub mod service_levels;
#[cfg(feature = "sim")]
pub mod sim;
pub mod state;
