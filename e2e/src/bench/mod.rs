//! The benchmarks on a cluster: `workloads`, the same for Borealis, the Deployment of Kubernetes and any other controller;
//! production that arrives at once where all is full (`storm`); crons that are due in one minute (`crons`).
//!
//! `ground` is the cluster they stand on, `adapter` what is known of a controller and `controller` its process, `probe` reads
//! clocks and counters around each step, `process` and `counters` are where from; `report` keeps it, `table` and `plot` say it.
//! Wall time on a machine of two cores is mostly the API server's; what a controller itself costs in CPU, memory and
//! writes is what is compared. Called by the binaries `borealis-bench`, `borealis-storm` and `borealis-crons`.

mod adapter;
mod controller;
mod counters;
pub mod crons;
mod follow;
mod ground;
mod make;
mod plot;
mod probe;
pub(crate) mod process;
mod report;
pub mod storm;
mod table;
mod times;
mod workloads;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{
    adapter::Adapter,
    ground::{Ground, on_cluster},
    plot::plots,
    probe::Phase,
    report::{Report, Round},
    table::markdown,
    workloads::{Contender, Workload},
};

/// The benchmark's cluster.
pub const CLUSTER: &str = "bench";
/// Where the objects of the workloads are.
const NAMESPACE: &str = "bench";
/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(900);

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// Objects of the workload many, of two instances each
    #[arg(long, env = "SERVICES", default_value_t = 1000)]
    pub services: u32,
    /// Instances of the one object of the workload large
    #[arg(long, env = "INSTANCES", default_value_t = 5000)]
    pub instances: u32,
    /// Of those, how many are changed at a time [default: a tenth]
    #[arg(long, env = "BATCH")]
    pub batch: Option<u32>,
    /// Objects of the workload idle, of one instance each
    #[arg(long, env = "IDLE", default_value_t = 10_000)]
    pub idle: u32,
    /// Seconds for which they are at rest
    #[arg(long, env = "IDLE_SECONDS", default_value_t = 600)]
    pub idle_seconds: u64,
    /// How often the leader is killed, and as often suspended
    #[arg(long, env = "FAILOVERS", default_value_t = 3)]
    pub failovers: u32,
    /// Instances of the one object there
    #[arg(long, env = "FAILOVER_INSTANCES", default_value_t = 1000)]
    pub failover_instances: u32,
    /// Simulated nodes
    #[arg(long, env = "NODES", default_value_t = 500)]
    pub nodes: u32,
}

impl Sizes {
    /// How many instances are changed at a time.
    fn batch(self) -> u32 {
        self.batch.unwrap_or(self.instances / 10).max(1)
    }
}

#[cfg(test)]
impl Default for Sizes {
    fn default() -> Self {
        Self {
            services: 1000,
            instances: 100,
            batch: None,
            idle: 10_000,
            idle_seconds: 600,
            failovers: 3,
            failover_instances: 1000,
            nodes: 50,
        }
    }
}
