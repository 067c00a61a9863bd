//! Tests of what several modules decide together, by table and against the plainest way to decide it.

mod fit;
mod naive;
mod search;
