//! The loop of crons: takes a key, plans its view, has the plan carried out, and says when to look again.
//!
//! Decides nothing. Run by `operator`.

use std::{sync::Arc, time::Duration};

use borealis_core::plan::{
    Problem,
    cron::{CronPlan, CronView, plan_cron},
};
use jiff::Timestamp;
use kube::Client;
use tokio_util::sync::CancellationToken;
use tracing::{Span, warn};

use super::{
    everything::Everything,
    memory::Memory,
    rounds::{Rounds, Worker, turn},
};
use crate::{
    CronKey,
    apply::CronExecutor,
    index::{CronSeen, Index, Viewed, settle_cron},
};

/// What the loop needs.
pub struct CronController {
    /// What is known.
    pub index: Arc<Index>,
    /// Carries plans out.
    pub executor: CronExecutor,
    /// Reads crons live.
    pub live: Client,
    /// Since when what is due meets its planner.
    pub everything: Everything,
    /// When each is looked after.
    pub rounds: Rounds<CronKey>,
}

impl CronController {
    /// Looks after all crons until `stop`, then lets what is under way come to its end.
    pub async fn run(self, stop: CancellationToken) {
        turn(self, stop).await;
    }

    fn plan(&self, seen: &CronSeen, refusal: Option<&Problem>) -> CronPlan {
        let view = CronView {
            cron: &seen.cron,
            status: seen.status.as_deref(),
            runs: &seen.runs,
            settled: seen.settled,
            parents: &seen.parents,
            cycle: seen.cycle.as_deref(),
            frozen: self.rounds.is_frozen(),
            watched_since: self.everything.since(),
            problem: seen.problem.as_ref().or(refusal),
        };
        plan_cron(&view, Timestamp::now())
    }

    async fn settle(&self, memory: &Memory<CronKey>, key: &CronKey) -> Duration {
        match settle_cron(&self.live, &self.index, key).await {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                warn!(%key, %error, "it could not be read live");
                memory.failed(key)
            }
        }
    }
}

impl Worker for CronController {
    type Key = CronKey;

    fn rounds(&self) -> &Rounds<CronKey> {
        &self.rounds
    }

    async fn round(&self, memory: &Memory<CronKey>, key: &CronKey) -> Option<Duration> {
        let seen = match self.index.cron(key) {
            Viewed::Of(seen) => seen,
            Viewed::Absent => {
                memory.forget(key);
                return None;
            }
            Viewed::Unsettled => return Some(self.settle(memory, key).await),
        };
        let refusal = memory.refusal(key, seen.facts.generation);
        let plan = self.plan(&seen, refusal.as_ref());
        if plan.unsettled {
            return Some(self.settle(memory, key).await);
        }
        Span::current().record("actions", plan.actions.len());
        let next_check = plan.next_check;
        let awaited = self.index.await_cron(key);
        let outcome = self.executor.execute(key, &seen.facts, plan).await;
        drop(awaited);
        Some(self.rounds.conclude(memory, key, outcome, seen.facts.generation, next_check))
    }
}
