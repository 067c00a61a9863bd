//! The order of a plan's parts, and what stops it.
//!
//! Progress first (what the actions build on; its failure stops the rest), then the actions, the children, the
//! status, the events. Called by the service controller, one call a service at a time.

use std::sync::Arc;

use borealis_core::plan::Plan;
use kube::Client;

use super::{Facts, Learn, Outcome};
use crate::{ServiceKey, lease::Fence};

/// Carries plans out. One for the process: its limits are the process's.
pub struct Executor {
    #[expect(dead_code, reason = "the writes come next")]
    client: Client,
    fence: Fence,
    #[expect(dead_code, reason = "the writes come next")]
    index: Arc<dyn Learn>,
}

impl Executor {
    /// An executor that writes while the fence lets it, and tells the index. The client must not retry by itself.
    pub fn new(client: Client, fence: Fence, index: Arc<dyn Learn>) -> Self {
        Self { client, fence, index }
    }

    /// Does what the plan says. Never called for one service twice at a time.
    pub async fn execute(&self, _key: &ServiceKey, _facts: &Facts, _plan: Plan) -> Outcome {
        if self.fence.term().is_none() {
            return Outcome::Fenced;
        }
        Outcome::Done { wrote: false }
    }
}
