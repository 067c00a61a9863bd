//! Carries plans out: the only part of the operator that writes.
//!
//! `Executor::execute` takes one service's plan and does what it says in its order, under the fence, with
//! preconditions and timeouts. It decides nothing about services: what is not in the plan is not done. It must
//! not retry by itself what may have been applied. Called by the service controller; `pods` and `children` are
//! the pure builders of what is written.

mod calls;
pub mod children;
mod configs;
mod crons;
mod events;
mod executor;
mod in_place;
mod outcome;
mod placement;
pub mod pods;
mod preemption;
mod records;
mod refusals;
mod roles;
mod run;
mod slow_start;
mod snapshots;
mod status;
mod tasks;
mod tenancy;
mod upkeep;

#[cfg(test)]
mod tests;

pub use calls::TERM_POLICY;
pub use crons::CronExecutor;
pub use events::{Announcer, EventWriter, events};
pub use executor::{Executor, Limits};
pub use outcome::{Facts, Learn, LostNode, Outcome, UpdateFacts};
pub use preemption::{PREEMPTION_REASON, PodRef, Preemption, Victim, Wrote};
pub use roles::{AnyRole, RoleVersion, RoleWrite, RoleWriter};
pub use tenancy::{Kind as TenancyKind, Refusal, TenancyWriter};
pub use upkeep::ASKED;
