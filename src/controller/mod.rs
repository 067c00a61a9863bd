//! The loops that bring about what users asked for: view, plan, execute, again.
//!
//! `queue` says which service is next, `backoff` how long one waits after a failure, `barrier` when planning may
//! begin, `service` plans one service or job at a time and hands the plan to the executor, `cron` does the same for crons, `cluster` turns the loops of which
//! there is one each. Nothing here writes to the API.

mod backoff;
mod barrier;
pub mod cluster;
mod cron;
mod ports;
mod queue;
mod service;

pub(crate) use backoff::spread;
pub use barrier::{Opening, keep_open, opening};
pub use cluster::{DecisionLog, Kept, PreemptionLoop, PreemptionSettings, Verdicts};
pub use cron::{CronController, plan_all_crons};
pub use ports::{Execute, Planner, Settle};
pub use queue::Queue;
pub use service::{Controller, Settings, plan_all};
