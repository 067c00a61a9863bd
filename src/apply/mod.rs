//! Carries plans out: the only part of the operator that writes.
//!
//! `Executor::execute` takes one service's plan and does what it says in its order, under the fence, with
//! preconditions and timeouts. It decides nothing about services: what is not in the plan is not done. It must
//! not retry by itself what may have been applied. Called by the service controller; `pods` and `children` are
//! the pure builders of what is written.

pub mod children;
mod executor;
mod outcome;
pub mod pods;

pub use executor::Executor;
pub use outcome::{Facts, Learn, Outcome, UpdateFacts};
