//! All scenarios, by what they are about.
//!
//! Each file opens with what its scenarios show. Called by the binary `borealis-e2e`; run by `runner`.

mod adoption;
mod controls;
mod failover;
mod healing;
mod malformed;
mod nodes;
mod refused;
mod start;
mod update_bad;
mod update_good;

use crate::runner::Scenario;

/// Every scenario there is, those first that take long or need to be seen first.
pub fn all() -> Vec<Scenario> {
    [
        start::all(),
        nodes::all(),
        healing::all(),
        controls::all(),
        update_good::all(),
        update_bad::all(),
        refused::all(),
        adoption::all(),
        malformed::all(),
        failover::all(),
    ]
    .concat()
}
