//! The loops that bring about what users asked for: view, plan, execute, again.
//!
//! `rounds` takes key after key from a `queue`, with what `memory` keeps between rounds and `backoff` after failures;
//! `barrier` says when planning may begin, `everything` has all planned again. `service` plans one service or job at a time and hands the plan to the executor,
//! `cron` does the same for crons, `cluster` turns the loops of which there is one each. Nothing here writes to the API.

mod backoff;
mod barrier;
pub mod cluster;
mod cron;
mod everything;
mod memory;
mod ports;
mod queue;
mod rounds;
mod service;

pub(crate) use backoff::spread;
pub use barrier::{Opening, keep_open, opening};
pub use cluster::{DecisionLog, Kept, PreemptionLoop, PreemptionSettings, Verdicts};
pub use cron::CronController;
pub use everything::Everything;
pub use ports::{Execute, Planner, Settle};
pub use queue::Queue;
pub use rounds::Rounds;
pub use service::Controller;
