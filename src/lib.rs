//! Borealis: Apache Aurora's semantics for Kubernetes, as an operator.

pub mod api;
pub mod apply;
mod key;
pub mod lease;
pub mod metrics;

pub use key::ServiceKey;
