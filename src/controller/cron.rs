//! The loop of crons: takes a key, plans its view, has the plan carried out, and says when to look again.
//!
//! As the loop of services and jobs, with less to see to. A cron that fails, or whose planner panics, waits by its own
//! backoff and takes none down with it. Run by `operator`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use borealis_core::plan::{
    Problem,
    cron::{CronPlan, CronView, plan_cron},
};
use jiff::Timestamp;
use kube::Client;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{
    backoff::{Backoff, spread},
    barrier::Opening,
    queue::Queue,
};
use crate::{
    CronKey,
    apply::{CronExecutor, Outcome},
    index::{CronSeen, Index, Viewed, settle_cron},
    lease::Fence,
};

/// How soon a planned check may follow.
const FLOOR: Duration = Duration::from_millis(50);
/// How long to wait where this process may not write now: it may again, or it ends.
const CLOSED: Duration = Duration::from_secs(1);
/// Over how many milliseconds all crons are spread at the most when a leader begins; one a millisecond otherwise.
const SPREAD_MILLIS: u64 = 5_000;

/// What the loop needs.
pub struct CronController {
    /// What is known.
    pub index: Arc<Index>,
    /// Which cron is next; the index adds to it.
    pub queue: Arc<Queue<CronKey>>,
    /// Carries plans out.
    pub executor: CronExecutor,
    /// Reads crons live.
    pub live: Client,
    /// Whether this process may write.
    pub fence: Fence,
    /// Whether the index is new enough.
    pub opening: Opening,
    /// The freeze switch.
    pub frozen: Arc<AtomicBool>,
    /// How many crons are worked on at a time.
    pub concurrency: usize,
    /// How long a cron is left alone at most, give or take a tenth.
    pub resync: Duration,
}

/// What is remembered of crons between rounds; all of it may be lost.
#[derive(Default)]
struct Memory {
    backoff: Backoff<CronKey>,
    /// The last refusal, and the generation of the spec that was refused.
    refusals: Mutex<HashMap<CronKey, (i64, Problem)>>,
}

impl CronController {
    /// Looks after all crons until `stop`, then lets what is under way come to its end.
    pub async fn run(self, stop: CancellationToken) {
        let mut opening = self.opening.clone();
        let concurrency = self.concurrency.max(1);
        let this = Arc::new((self, Memory::default()));
        let queue = Arc::clone(&this.0.queue);
        let mut working: JoinSet<()> = JoinSet::new();
        let mut keys: HashMap<Id, CronKey> = HashMap::new();
        loop {
            let next = async {
                opening.opened().await;
                queue.next().await
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = working.join_next_with_id() => this.0.ended(&this.1, &mut keys, ended),
                key = next, if working.len() < concurrency => {
                    let task = working.spawn(round(Arc::clone(&this), key.clone()));
                    keys.insert(task.id(), key);
                }
            }
        }
        while working.join_next().await.is_some() {}
    }

    fn ended(&self, memory: &Memory, keys: &mut HashMap<Id, CronKey>, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(failed) => failed.id(),
        };
        let Some(key) = keys.remove(&id) else { return };
        if let Err(failed) = ended {
            error!(cron = %key, error = %failed, "planning or executing panicked");
            self.queue.add_after(&key, memory.backoff.failed(&key));
        }
        self.queue.done(&key);
    }

    /// Plans one cron once and has it carried out; when to look again, unless it is gone.
    async fn reconcile(&self, memory: &Memory, key: &CronKey) -> Option<Duration> {
        if !self.opening.is_open(&self.fence) {
            return Some(CLOSED);
        }
        let seen = match self.index.cron(key) {
            Viewed::Of(seen) => seen,
            Viewed::Absent => {
                memory.backoff.clear(key);
                memory.accept(key);
                return None;
            }
            Viewed::Unsettled => return Some(self.settle(memory, key).await),
        };
        let refusal = memory.refusal(key, seen.facts.generation);
        let plan = self.plan(&seen, refusal.as_ref());
        if plan.unsettled {
            return Some(self.settle(memory, key).await);
        }
        let next_check = plan.next_check;
        self.index.await_cron(key);
        let outcome = self.executor.execute(key, &seen.facts, plan).await;
        self.index.cron_answered(key);
        Some(self.conclude(memory, key, outcome, seen.facts.generation, next_check))
    }

    fn plan(&self, seen: &CronSeen, refusal: Option<&Problem>) -> CronPlan {
        let view = CronView {
            cron: &seen.cron,
            status: seen.status.as_deref(),
            runs: &seen.runs,
            settled: seen.settled,
            parents: &seen.parents,
            cycle: seen.cycle.as_deref(),
            frozen: self.frozen.load(Ordering::Relaxed),
            problem: seen.problem.as_ref().or(refusal),
        };
        plan_cron(&view, Timestamp::now())
    }

    async fn settle(&self, memory: &Memory, key: &CronKey) -> Duration {
        match settle_cron(&self.live, &self.index, key).await {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                warn!(cron = %key, %error, "it could not be read live");
                memory.backoff.failed(key)
            }
        }
    }

    fn conclude(
        &self,
        memory: &Memory,
        key: &CronKey,
        outcome: Outcome,
        generation: i64,
        next_check: Option<Timestamp>,
    ) -> Duration {
        match outcome {
            Outcome::Done { wrote } => {
                memory.backoff.clear(key);
                let was_refused = memory.accept(key);
                if wrote || was_refused { Duration::ZERO } else { self.idle(key, next_check) }
            }
            Outcome::Retry { after, why } => {
                debug!(cron = %key, why, "not all of it could be done");
                after.unwrap_or_else(|| memory.backoff.failed(key))
            }
            Outcome::Fenced => CLOSED,
            Outcome::Refused { problem } => {
                warn!(cron = %key, reason = problem.reason, message = problem.message, "refused");
                memory.refuse(key, generation, problem);
                memory.backoff.failed(key)
            }
        }
    }

    /// How long a cron at rest is left alone: until something is due.
    fn idle(&self, key: &CronKey, next_check: Option<Timestamp>) -> Duration {
        let resync = self.resync.mul_f64(0.9 + 0.2 * spread(&(key, Timestamp::now().as_second())));
        let until =
            |at: Timestamp| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
        next_check.map_or(resync, |at| until(at).max(FLOOR).min(resync))
    }
}

/// Plans every cron again, each at its own moment within a few seconds: what a new leader begins with.
pub fn plan_all_crons(index: &Index, queue: &Queue<CronKey>) {
    let keys = index.cron_keys();
    let window = Duration::from_millis(u64::try_from(keys.len()).unwrap_or(u64::MAX).min(SPREAD_MILLIS));
    keys.iter().for_each(|key| queue.add_after(key, window.mul_f64(spread(key))));
}

async fn round(this: Arc<(CronController, Memory)>, key: CronKey) {
    let (controller, memory) = &*this;
    if let Some(delay) = controller.reconcile(memory, &key).await {
        controller.queue.add_after(&key, delay);
    }
}

impl Memory {
    fn refusal(&self, key: &CronKey, generation: i64) -> Option<Problem> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.get(key).filter(|(refused, _)| *refused == generation).map(|(_, problem)| problem.clone())
    }

    fn refuse(&self, key: &CronKey, generation: i64, problem: Problem) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.insert(key.clone(), (generation, problem));
    }

    /// Everything went through; whether something had been refused before.
    fn accept(&self, key: &CronKey) -> bool {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(key).is_some()
    }
}
