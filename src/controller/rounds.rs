//! Rounds: keys are taken one after the other, worked on some at a time, and asked for again when they are to be.
//!
//! Common to services, jobs and crons; decides when a key is worked on, never what is done. A key that fails, or whose
//! planner panics, waits by its own backoff and takes none down with it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use borealis_core::service_levels::WINDOW_SECONDS;
use jiff::Timestamp;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, error, field::Empty, info, trace_span, warn};

use super::{backoff::spread, barrier::Opening, memory::Memory, queue::Queue};
use crate::{apply::Outcome, key::Key, lease::Fence, metrics::Metrics, traces};

/// How soon a planned check may follow.
pub(super) const FLOOR: Duration = Duration::from_millis(200);
/// How long to wait where this process may not write now: it may again, or it ends.
const CLOSED: Duration = Duration::from_secs(1);
/// Over how many milliseconds all keys are spread at most; one a millisecond otherwise.
const SPREAD_MILLIS: u64 = 5_000;
/// How often everything is counted for the metrics.
const COUNT: Duration = Duration::from_secs(10);
/// How often it is reckoned how well services are served.
const RECKON: Duration = Duration::from_secs(WINDOW_SECONDS as u64);

/// What all rounds of keys of one sort need.
pub struct Rounds<K> {
    /// Which key is next; the index adds to it.
    pub queue: Arc<Queue<K>>,
    /// Whether this process may write.
    pub fence: Fence,
    /// Whether the index is new enough.
    pub opening: Opening,
    /// The freeze switch: nothing voluntary is done. Whoever turns it off has everything planned again.
    pub frozen: Arc<AtomicBool>,
    /// How many keys are worked on at a time.
    pub concurrency: usize,
    /// How long a key is left alone at most, give or take a tenth.
    pub resync: Duration,
    /// What counts.
    pub metrics: Metrics,
}

/// Who looks after keys of one sort.
pub(super) trait Worker: Send + Sync + Sized + 'static {
    /// What a key is of this sort.
    type Key: Key;

    /// What the rounds need.
    fn rounds(&self) -> &Rounds<Self::Key>;

    /// Plans one key once and has it carried out; called while this process may write.
    fn round(
        &self,
        memory: &Memory<Self::Key>,
        key: &Self::Key,
    ) -> impl Future<Output = Option<Duration>> + Send;

    /// Counts everything for the metrics.
    fn measure(&self) {}

    /// Reckons how well services were served since the last time.
    fn reckon(&self) {}
}

/// Looks after all keys until `stop`, then lets what is under way come to its end.
pub(super) async fn turn<W: Worker>(worker: W, stop: CancellationToken) {
    let concurrency = worker.rounds().concurrency.max(1);
    let mut opening = worker.rounds().opening.clone();
    let this = Arc::new((worker, Memory::default()));
    let queue = Arc::clone(&this.0.rounds().queue);
    let mut working: JoinSet<()> = JoinSet::new();
    let mut keys: HashMap<Id, W::Key> = HashMap::new();
    let mut count = interval(COUNT);
    count.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reckon = interval(RECKON);
    reckon.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            opening.opened().await;
            queue.next().await
        };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = working.join_next_with_id() => {
                let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
                let Some(key) = keys.remove(&id) else { continue };
                if let Err(failed) = ended {
                    error!(%key, error = %failed, "planning or executing panicked");
                    queue.add_after(&key, this.1.failed(&key));
                }
                queue.done(&key);
            }
            _ = count.tick() => this.0.measure(),
            _ = reckon.tick() => this.0.reckon(),
            key = next, if working.len() < concurrency => {
                let task = working.spawn(one(Arc::clone(&this), key.clone()));
                keys.insert(task.id(), key);
            }
        }
    }
    info!(rounds = working.len(), "planning ends; what is under way is finished");
    while working.join_next().await.is_some() {}
}

async fn one<W: Worker>(this: Arc<(W, Memory<W::Key>)>, key: W::Key) {
    let (worker, memory) = &*this;
    let rounds = worker.rounds();
    let began = Instant::now();
    let again = if rounds.may_plan() {
        let span = trace_span!(target: traces::TARGET, "round", kind = key.kind(), %key, actions = Empty, outcome = Empty);
        worker.round(memory, &key).instrument(span).await
    } else {
        Some(CLOSED)
    };
    rounds.metrics.reconciled(began.elapsed());
    if let Some(delay) = again {
        rounds.queue.add_after(&key, delay);
    }
}

impl<K: Key> Rounds<K> {
    /// Whether keys are planned now.
    pub(super) fn may_plan(&self) -> bool {
        self.opening.is_open(&self.fence)
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// How long until a key is looked at again after this outcome.
    pub(super) fn conclude(
        &self,
        memory: &Memory<K>,
        key: &K,
        outcome: Outcome,
        generation: i64,
        next_check: Option<Timestamp>,
    ) -> Duration {
        Span::current().record("outcome", outcome.name());
        match outcome {
            Outcome::Done { wrote } => {
                let was_refused = memory.accept(key);
                // Its own writes are in the index already: what they make possible need not wait for the watch.
                // And a refusal that is over is still shown.
                if (wrote || was_refused) && memory.another_round(key) {
                    return Duration::ZERO;
                }
                if wrote {
                    warn!(%key, "its plans do not come to rest");
                    return memory.failed(key);
                }
                memory.rest(key);
                self.idle(key, next_check)
            }
            Outcome::Retry { after, why } => {
                debug!(%key, why, "not all of it could be done");
                memory.pause(key);
                after.unwrap_or_else(|| memory.failed(key))
            }
            Outcome::Fenced => CLOSED,
            Outcome::Refused { problem } => {
                warn!(%key, reason = problem.reason, message = problem.message, "refused");
                memory.pause(key);
                memory.refuse(key, generation, problem);
                memory.failed(key)
            }
        }
    }

    /// How long a key at rest is left alone.
    fn idle(&self, key: &K, next_check: Option<Timestamp>) -> Duration {
        let resync = self.resync.mul_f64(0.9 + 0.2 * spread(&(key, Timestamp::now().as_second())));
        let until =
            |at: Timestamp| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
        next_check.map_or(resync, |at| until(at).max(FLOOR).min(resync))
    }
}

/// Plans every key again, each at its own moment within a few seconds: what a new leader begins with.
pub(super) fn plan_all<K: Key>(keys: &[K], queue: &Queue<K>) {
    let window = Duration::from_millis(u64::try_from(keys.len()).unwrap_or(u64::MAX).min(SPREAD_MILLIS));
    queue.put_off(|key| window.mul_f64(spread(key)));
    keys.iter().for_each(|key| queue.add_after(key, window.mul_f64(spread(key))));
}
