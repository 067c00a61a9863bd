//! The benchmarks on a cluster: one service and one Deployment of the same size, brought up and rolled (`steps`), and
//! production that arrives at once where all is full (`storm`), and crons that
//! are due in one minute (`crons`).
//!
//! `ground` is the cluster they stand on, `probe` reads clocks and counters around each step, `process` and `counters`
//! are where from, `table` says it. Wall time on a machine of two cores is mostly the API server's; what a controller
//! itself costs in CPU, memory and writes is what is compared. Called by the binaries `borealis-bench`,
//! `borealis-storm` and `borealis-crons`.

mod counters;
pub mod crons;
mod follow;
mod ground;
mod probe;
pub(crate) mod process;
mod steps;
pub mod storm;
mod table;
mod times;

use std::time::Duration;

use serde_json::{Value, json};

pub use self::{
    ground::{Ground, on_cluster},
    probe::Phase,
    steps::{Bench, Order},
    table::{markdown, run_json},
};

/// The benchmark's cluster.
pub const CLUSTER: &str = "bench";
/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(900);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Instances of the service, replicas of the Deployment.
    pub instances: u32,
    /// Simulated nodes.
    pub nodes: u32,
    /// Instances that are changed at a time: the batch of the service, maxUnavailable of the Deployment.
    pub batch: u32,
}

impl Sizes {
    /// For the report.
    pub fn json(self) -> Value {
        json!({ "instances": self.instances, "nodes": self.nodes, "batch": self.batch })
    }
}
