//! All scenarios, by what they are about.
//!
//! Each file opens with what its scenarios show. Called by the binary `borealis-e2e`; run by `runner`.

mod adoption;
mod aurora;
mod belongings;
mod chaos;
mod checks;
mod config;
mod config_kept;
mod constraints;
mod control_states;
mod controls;
mod crons;
mod failover;
mod fence;
mod gitops_example;
mod healing;
mod in_place;
mod jobs;
mod log;
mod malformed;
mod nodes;
mod preemption;
mod pulses;
mod quota;
mod quota_admission;
mod real_node;
mod refused;
mod restored;
mod soak;
mod spark;
mod spoiled;
mod start;
mod surge;
mod tenancy;
mod update_bad;
mod update_good;
mod update_groups;
mod update_scope;
mod why_pending;

use std::time::Duration;

use crate::runner::Scenario;

/// How long something may take that takes long even on an idle machine.
const LONG: Duration = Duration::from_secs(120);

/// Every scenario there is, those first that take long or need to be seen first.
pub fn all() -> Vec<Scenario> {
    [
        spark::all(),
        real_node::all(),
        in_place::all(),
        config::all(),
        config_kept::all(),
        start::all(),
        nodes::all(),
        healing::all(),
        constraints::all(),
        preemption::all(),
        why_pending::all(),
        controls::all(),
        control_states::all(),
        update_good::all(),
        update_bad::all(),
        update_groups::all(),
        update_scope::all(),
        surge::all(),
        jobs::all(),
        crons::all(),
        pulses::all(),
        checks::all(),
        aurora::all(),
        refused::all(),
        adoption::all(),
        restored::all(),
        belongings::all(),
        log::all(),
        gitops_example::all(),
        malformed::all(),
        fence::all(),
        tenancy::all(),
        quota::all(),
        quota_admission::all(),
        failover::all(),
        spoiled::all(),
        chaos::all(),
        soak::all(),
    ]
    .concat()
}
