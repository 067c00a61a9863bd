//! Borealis.

pub mod api;
pub mod apply;
