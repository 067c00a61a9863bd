//! The loop of services: takes a key, plans its view, has the plan carried out, and says when to look again.
//!
//! Jobs that end are looked after as services are. Decides nothing. Run by `operator`.

use std::{sync::Arc, time::Duration};

use borealis_core::{
    admit::ledger::plan_admitted,
    model::{TaskState, UpdateState},
    plan::{Plan, ServiceView},
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug, warn};

use super::{
    cluster::PendingTable,
    memory::Memory,
    ports::{Execute, Planner, Settle},
    rounds::{Rounds, Worker, turn},
};
use crate::{
    JobKey,
    apply::Facts,
    checks::Checks,
    index::{Index, Tenant, Viewed},
    quota::Quota,
};

/// What the loop needs.
pub struct Controller<E, L> {
    /// What is known.
    pub index: Arc<Index>,
    /// Carries plans out.
    pub executor: E,
    /// Reads services live.
    pub live: L,
    /// What decides.
    pub planner: Planner,
    /// What is measured for updates.
    pub checks: Checks,
    /// Why Pods have no place.
    pub pending: PendingTable,
    /// What each service may bring about.
    pub quota: Arc<Quota>,
    /// The cluster's name, first part of a job's key.
    pub cluster: String,
    /// How many ended Pods may be kept in the whole cluster.
    pub max_ended: usize,
    /// When each is looked after.
    pub rounds: Rounds<JobKey>,
}

impl<E: Execute, L: Settle> Controller<E, L> {
    /// Looks after all services until `stop`, then lets what is under way come to its end.
    pub async fn run(self, stop: CancellationToken) {
        turn(self, stop).await;
    }

    fn plan(
        &self,
        memory: &Memory<JobKey>,
        key: &JobKey,
        mut view: ServiceView<'_>,
        mut facts: Facts,
    ) -> (Plan, Facts) {
        view.keep_allowed = self.index.ended() < self.max_ended;
        view.frozen = self.rounds.is_frozen();
        facts.frozen = view.frozen;
        let tenant = self.index.tenant(&key.namespace);
        facts.role = tenant.role.name.to_string();
        facts.job_key = tenant.job_key(&self.cluster, &key.name);
        let refusal = memory.refusal(key, view.service.generation);
        let measurements = self.checks.measurements(key, view.update);
        let problem = view.problem.or(refusal.as_ref());
        let pending = self.pending.of(key);
        let view = ServiceView { problem, measurements: &measurements, pending: &pending, ..view };
        let plan = self.plan_admitted(key, &view, &mut facts, &tenant);
        let planned = plan.progress.as_ref().map(|(_, progress)| progress);
        let goes_on = view.update.and_then(|update| {
            let progress = planned.or(update.progress.as_ref())?;
            Some((update, progress.state))
        });
        self.checks.follow(key, goes_on);
        (plan, facts)
    }

    /// The plan of what the service may bring about now.
    fn plan_admitted(
        &self,
        key: &JobKey,
        view: &ServiceView<'_>,
        facts: &mut Facts,
        tenant: &Tenant,
    ) -> Plan {
        let tier = self.index.tier(&view.service.work.tier);
        let (admission, obstacle) =
            self.quota.stand(key, view.service, view.status, &view.upstream, tenant, tier.as_deref());
        plan_admitted(view, &admission, obstacle.as_ref(), |within| {
            if within.service.revision != view.service.revision {
                facts.revision = within.service.revision;
                // Of a config that is held back the names are, too.
                facts.discovery = None;
            }
            (self.planner)(within, Timestamp::now())
        })
    }

    async fn settle(&self, memory: &Memory<JobKey>, key: &JobKey) -> Duration {
        match self.live.settle(&self.index, key).await {
            Ok(()) if self.index.view(key, |_, _| ()) != Viewed::Unsettled => Duration::ZERO,
            Ok(()) => {
                debug!(service = %key, "it was read live, and again something of it is not known");
                memory.failed(key)
            }
            Err(error) => {
                warn!(service = %key, %error, "it could not be read live");
                memory.failed(key)
            }
        }
    }
}

impl<E: Execute, L: Settle> Worker for Controller<E, L> {
    type Key = JobKey;

    fn rounds(&self) -> &Rounds<JobKey> {
        &self.rounds
    }

    async fn round(&self, memory: &Memory<JobKey>, key: &JobKey) -> Option<Duration> {
        let (plan, facts) = match self.index.view(key, |view, facts| self.plan(memory, key, view, facts)) {
            Viewed::Of(step) => step,
            Viewed::Absent => {
                memory.forget(key);
                self.checks.follow(key, None);
                self.quota.touch(key);
                return None;
            }
            Viewed::Unsettled => return Some(self.settle(memory, key).await),
        };
        Span::current().record("actions", plan.actions.len());
        let next_check = plan.next_check;
        // Deletions the watch shows while our own answers are on their way must outlive those.
        let awaited = self.index.await_answers(key);
        let outcome = self.executor.execute(key, &facts, plan).await;
        drop(awaited);
        // What its status records by now is what it is charged.
        self.quota.touch(key);
        Some(self.rounds.conclude(memory, key, outcome, facts.generation, next_check))
    }

    fn measure(&self) {
        let metrics = &self.rounds.metrics;
        let census = self.index.census();
        for state in TaskState::ALL {
            metrics.instances(state, census.tasks.get(&state).copied().unwrap_or(0));
        }
        for state in UpdateState::ALL {
            metrics.updates(state, census.updates.get(&state).copied().unwrap_or(0));
        }
        metrics.jobs(&census.jobs);
        metrics.unsettled(census.unsettled);
        metrics.extent(self.index.extent());
        metrics.frozen(self.rounds.is_frozen());
        let queue = &self.rounds.queue;
        // Where nothing is planned, all wait, and for nothing.
        let oldest = if self.rounds.may_plan() { queue.oldest() } else { Duration::ZERO };
        metrics.queue(queue.depth(), oldest);
    }

    fn reckon(&self) {
        self.rounds.metrics.service_levels(&self.index.service_levels(Timestamp::now()));
    }
}

#[cfg(test)]
mod tests;
