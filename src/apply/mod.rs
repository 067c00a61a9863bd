//! What is written to the API server.

pub mod children;
pub mod pods;
