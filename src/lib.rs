//! Borealis: Apache Aurora's semantics for Kubernetes, as an operator.
//!
//! `index` watches and remembers, `controller` asks `borealis_core` for a plan, `apply` carries it out, under the
//! lease of `lease`. `checks` measures what updates name. `operator` puts them together.

pub mod admission;
pub mod api;
pub mod apply;
pub mod checks;
pub mod controller;
mod followed;
pub mod freeze;
pub mod index;
mod key;
pub mod lease;
mod listen;
pub mod metrics;
pub mod operator;
mod outbound;
pub mod probe;
pub mod quota;
pub mod server;
pub mod settings;
pub mod telemetry;
pub mod tenancy;
#[cfg(test)]
pub(crate) mod testing;
pub mod traces;

pub use key::{CronKey, JobKey, KeyRef, kind_name, kind_named};
pub use operator::run;
pub use settings::Settings;
