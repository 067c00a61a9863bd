//! What the controller calls: the planner, the executor, the live read. Real ones here, others in its tests.

use borealis_core::plan::{Plan, ServiceView};
use jiff::Timestamp;
use kube::Client;

use crate::{
    JobKey,
    apply::{Executor, Facts, Outcome},
    index::{Index, SettleError, settle},
};

/// A pure planner: `borealis_core::plan::plan`.
pub type Planner = fn(&ServiceView<'_>, Timestamp) -> Plan;

/// Carries a plan out.
pub trait Execute: Send + Sync + 'static {
    /// Does what the plan says; never called for one service twice at a time.
    fn execute(&self, key: &JobKey, facts: &Facts, plan: Plan) -> impl Future<Output = Outcome> + Send;
}

/// Reads a service live into the index.
pub trait Settle: Send + Sync + 'static {
    /// Reads it.
    ///
    /// # Errors
    /// When the API server can't be read; the service then stays unsettled.
    fn settle(&self, index: &Index, key: &JobKey) -> impl Future<Output = Result<(), SettleError>> + Send;
}

impl Execute for Executor {
    async fn execute(&self, key: &JobKey, facts: &Facts, plan: Plan) -> Outcome {
        Self::execute(self, key, facts, plan).await
    }
}

impl Settle for Client {
    async fn settle(&self, index: &Index, key: &JobKey) -> Result<(), SettleError> {
        settle(self, index, key).await
    }
}
