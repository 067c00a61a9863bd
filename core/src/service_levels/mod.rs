//! How well services are served (Aurora: SLA metrics): how soon tasks get there, how long instances have been up, and
//! what share of the time the platform kept up what it had brought up.
//!
//! `uptime` says which time counts for and against the platform, `waits` how long tasks took, `ledger` what has to be
//! remembered of a service from one reckoning to the next, `tally` what comes out. Decides nothing about services; `plan/sla.rs`
//! is another matter, the veto before a task is ended.

mod ledger;
mod tally;
#[cfg(test)]
mod tests;
mod uptime;
mod waits;

pub use ledger::{Ledger, Sighting, Standing};
pub use tally::{Spent, Tally};
pub use uptime::Class;
pub use waits::Mark;

/// Over how many seconds each reckoning looks back, and how often there is one: each second is counted once then. A minute
/// as in Aurora (`sla_stat_refresh_interval`), and no shorter than what is commonly scraped.
pub const WINDOW_SECONDS: u32 = 60;

/// The shares of the instances, in percent, of which it is told how long they have been up at least.
pub const PERCENTILES: [u8; 5] = [50, 75, 90, 95, 99];
