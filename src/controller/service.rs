//! The loop of services: takes a key, plans its view, has the plan carried out, and says when to look again.
//!
//! Decides when a service is planned, never what is done. A service that fails, or whose planner panics, waits by
//! its own backoff and takes none down with it. Refusals by the API server are remembered until a plan goes
//! through or the spec changes, so that the status can say them. Run by `operator`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use borealis_core::{
    admit::ledger::plan_admitted,
    model::{TaskState, UpdateState},
    plan::{Plan, Problem, ServiceView},
};
use jiff::Timestamp;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    backoff::{Backoff, spread},
    barrier::Opening,
    cluster::PendingTable,
    ports::{Execute, Planner, Settle},
    queue::Queue,
};
use crate::{
    JobKey,
    apply::{Facts, Outcome},
    checks::Checks,
    index::{Index, Tenant, Viewed},
    lease::Fence,
    metrics::Metrics,
    quota::Quota,
};

/// How soon a planned check may follow.
const FLOOR: Duration = Duration::from_millis(200);
/// Rounds of one service without a pause; more look like a plan that never comes to rest.
const ROUNDS: u32 = 256;
/// How long to wait where this process may not write now: it may again, or it ends.
const CLOSED: Duration = Duration::from_secs(1);
/// Over how many milliseconds all services are spread at most; one a millisecond otherwise.
const SPREAD_MILLIS: u64 = 5_000;
/// How often everything is counted for the metrics.
const COUNT: Duration = Duration::from_secs(10);

/// How services are looked after.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster's name, first part of a job's key.
    pub cluster: String,
    /// How many services are worked on at a time.
    pub concurrency: usize,
    /// How long a service is left alone at most, give or take a tenth.
    pub resync: Duration,
    /// How many ended Pods may be kept in the whole cluster.
    pub max_ended: usize,
    /// The freeze switch: nothing voluntary is done. Whoever turns it off calls `plan_all`.
    pub frozen: Arc<AtomicBool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cluster: "default".to_owned(),
            concurrency: 8,
            resync: Duration::from_secs(600),
            max_ended: 2_000,
            frozen: Arc::default(),
        }
    }
}

/// What the loop needs.
pub struct Controller<E, L> {
    /// What is known.
    pub index: Arc<Index>,
    /// Which service is next; the index adds to it.
    pub queue: Arc<Queue<JobKey>>,
    /// Carries plans out.
    pub executor: E,
    /// Reads services live.
    pub live: L,
    /// Whether this process may write.
    pub fence: Fence,
    /// Whether the index is new enough.
    pub opening: Opening,
    /// What decides.
    pub planner: Planner,
    /// What is measured for updates.
    pub checks: Checks,
    /// Why Pods have no place.
    pub pending: PendingTable,
    /// What each service may bring about.
    pub quota: Arc<Quota>,
    /// What counts.
    pub metrics: Metrics,
    /// How it is done.
    pub settings: Settings,
}

/// What is remembered of services between rounds; all of it may be lost.
#[derive(Default)]
struct Memory {
    backoff: Backoff<JobKey>,
    /// The last refusal, and the generation of the spec that was refused.
    refusals: Mutex<HashMap<JobKey, (i64, Problem)>>,
    /// Rounds in a row that wrote something.
    rounds: Mutex<HashMap<JobKey, u32>>,
}

/// When to look at a service again.
#[derive(Debug, PartialEq, Eq)]
enum Again {
    /// After this.
    After(Duration),
    /// When it is there: it isn't now.
    Never,
}

impl<E: Execute, L: Settle> Controller<E, L> {
    /// Looks after all services until `stop`, then lets what is under way come to its end.
    pub async fn run(self, stop: CancellationToken) {
        let concurrency = self.settings.concurrency.max(1);
        let mut opening = self.opening.clone();
        let this = Arc::new((self, Memory::default()));
        let queue = Arc::clone(&this.0.queue);
        let mut working: JoinSet<()> = JoinSet::new();
        let mut keys: HashMap<Id, JobKey> = HashMap::new();
        let mut count = interval(COUNT);
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = async {
                opening.opened().await;
                queue.next().await
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = working.join_next_with_id() => this.0.ended(&this.1, &mut keys, ended),
                _ = count.tick() => this.0.measure(),
                key = next, if working.len() < concurrency => {
                    let task = working.spawn(round(Arc::clone(&this), key.clone()));
                    keys.insert(task.id(), key);
                }
            }
        }
        info!(services = working.len(), "planning ends; what is under way is finished");
        while working.join_next().await.is_some() {}
    }

    /// A round has ended, well or by a panic.
    fn ended(&self, memory: &Memory, keys: &mut HashMap<Id, JobKey>, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(failed) => failed.id(),
        };
        let Some(key) = keys.remove(&id) else { return };
        if let Err(failed) = ended {
            error!(service = %key, error = %failed, "planning or executing panicked");
            self.queue.add_after(&key, memory.backoff.failed(&key));
        }
        self.queue.done(&key);
    }

    fn measure(&self) {
        let census = self.index.census();
        for state in TaskState::ALL {
            self.metrics.instances(state, census.tasks.get(&state).copied().unwrap_or(0));
        }
        for state in UpdateState::ALL {
            self.metrics.updates(state, census.updates.get(&state).copied().unwrap_or(0));
        }
        self.metrics.jobs(&census.jobs);
        self.metrics.unsettled(census.unsettled);
        self.metrics.extent(self.index.extent());
        self.metrics.queue_depth(self.queue.depth());
    }

    /// Plans one service once and has it carried out.
    async fn reconcile(&self, memory: &Memory, key: &JobKey) -> Again {
        if !self.opening.is_open(&self.fence) {
            return Again::After(CLOSED);
        }
        let (plan, facts) = match self.index.view(key, |view, facts| self.plan(memory, key, view, facts)) {
            Viewed::Of(step) => step,
            Viewed::Absent => {
                memory.forget(key);
                self.checks.follow(key, None);
                self.quota.touch(key);
                return Again::Never;
            }
            Viewed::Unsettled => return self.settle(memory, key).await,
        };
        let next_check = plan.next_check;
        // Deletions the watch shows while our own answers are on their way must outlive those.
        let awaited = self.index.await_answers(key);
        let outcome = self.executor.execute(key, &facts, plan).await;
        drop(awaited);
        // What its status records by now is what it is charged.
        self.quota.touch(key);
        self.conclude(memory, key, outcome, facts.generation, next_check)
    }

    fn plan(
        &self,
        memory: &Memory,
        key: &JobKey,
        mut view: ServiceView<'_>,
        mut facts: Facts,
    ) -> (Plan, Facts) {
        view.keep_allowed = self.index.ended() < self.settings.max_ended;
        view.frozen = self.settings.frozen.load(Ordering::Relaxed);
        facts.frozen = view.frozen;
        let tenant = self.index.tenant(&key.namespace);
        facts.role = tenant.role.name.to_string();
        facts.job_key = tenant.job_key(&self.settings.cluster, &key.name);
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

    async fn settle(&self, memory: &Memory, key: &JobKey) -> Again {
        match self.live.settle(&self.index, key).await {
            Ok(()) if self.index.view(key, |_, _| ()) != Viewed::Unsettled => Again::After(Duration::ZERO),
            Ok(()) => {
                debug!(service = %key, "it was read live, and again something of it is not known");
                Again::After(memory.backoff.failed(key))
            }
            Err(error) => {
                warn!(service = %key, %error, "it could not be read live");
                Again::After(memory.backoff.failed(key))
            }
        }
    }

    /// When to look again after this outcome.
    fn conclude(
        &self,
        memory: &Memory,
        key: &JobKey,
        outcome: Outcome,
        generation: i64,
        next_check: Option<Timestamp>,
    ) -> Again {
        match outcome {
            Outcome::Done { wrote } => {
                memory.backoff.clear(key);
                let was_refused = memory.accept(key);
                // Its own writes are in the index already: what they make possible need not wait for the watch.
                // And a refusal that is over is still shown.
                if (wrote || was_refused) && memory.another_round(key) {
                    return Again::After(Duration::ZERO);
                }
                if wrote {
                    warn!(service = %key, "its plans do not come to rest");
                    return Again::After(memory.backoff.failed(key));
                }
                memory.rest(key);
                Again::After(self.idle(key, next_check))
            }
            Outcome::Retry { after, why } => {
                debug!(service = %key, why, "not all of it could be done");
                memory.rest(key);
                Again::After(after.unwrap_or_else(|| memory.backoff.failed(key)))
            }
            Outcome::Fenced => Again::After(CLOSED),
            Outcome::Refused { problem } => {
                warn!(service = %key, reason = problem.reason, message = problem.message, "refused");
                memory.rest(key);
                memory.refuse(key, generation, problem);
                Again::After(memory.backoff.failed(key))
            }
        }
    }

    /// How long a service at rest is left alone.
    fn idle(&self, key: &JobKey, next_check: Option<Timestamp>) -> Duration {
        let resync = self.settings.resync.mul_f64(0.9 + 0.2 * spread(&(key, Timestamp::now().as_second())));
        let until =
            |at: Timestamp| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
        next_check.map_or(resync, |at| until(at).max(FLOOR).min(resync))
    }
}

/// Plans every service again, each at its own moment within a few seconds: what a new leader begins with.
pub fn plan_all(index: &Index, queue: &Queue<JobKey>) {
    let keys = index.keys();
    let window = Duration::from_millis(u64::try_from(keys.len()).unwrap_or(u64::MAX).min(SPREAD_MILLIS));
    queue.put_off(|key| window.mul_f64(spread(key)));
    keys.iter().for_each(|key| queue.add_after(key, window.mul_f64(spread(key))));
}

/// One round of one service.
async fn round<E: Execute, L: Settle>(this: Arc<(Controller<E, L>, Memory)>, key: JobKey) {
    let (controller, memory) = &*this;
    let began = Instant::now();
    let again = controller.reconcile(memory, &key).await;
    controller.metrics.reconciled(began.elapsed());
    match again {
        Again::After(delay) => controller.queue.add_after(&key, delay),
        Again::Never => {}
    }
}

impl Memory {
    fn forget(&self, key: &JobKey) {
        self.backoff.clear(key);
        self.accept(key);
        self.rest(key);
    }

    /// The refusal to show, if it was of this very spec.
    fn refusal(&self, key: &JobKey, generation: i64) -> Option<Problem> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.get(key).filter(|(refused, _)| *refused == generation).map(|(_, problem)| problem.clone())
    }

    fn refuse(&self, key: &JobKey, generation: i64, problem: Problem) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.insert(key.clone(), (generation, problem));
    }

    /// Everything went through; whether something had been refused before.
    fn accept(&self, key: &JobKey) -> bool {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(key).is_some()
    }

    /// Whether a service that wrote something may go on at once.
    fn another_round(&self, key: &JobKey) -> bool {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let count = rounds.entry(key.clone()).or_insert(0);
        *count += 1;
        *count < ROUNDS
    }

    fn rest(&self, key: &JobKey) {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests;
