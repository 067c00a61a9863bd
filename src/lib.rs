//! Borealis: Apache Aurora's semantics for Kubernetes, as an operator.

pub mod api;
pub mod apply;
pub mod controller;
pub mod index;
mod key;
pub mod lease;
pub mod metrics;
#[cfg(test)]
pub(crate) mod testing;

pub use key::ServiceKey;
