//! Measuring what updates name as checks: asks HTTP and Prometheus servers, and says what came of it.
//!
//! Decides nothing about updates: `borealis_core` does, by what `measurements` says. A task a check measures from when
//! a plan finds its update going forward until one finds it elsewhere, and only while this process holds the lease; each
//! measurement asks for another plan. Nothing of it is durable: whoever takes over measures anew. `hosts` says who may
//! be asked, `ask` asks, `answer` reads and judges the answer. Called by the controller.

mod answer;
mod ask;
mod hosts;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use borealis_core::model::{Check, Measurement, Outcome, Source, Uid, Update, UpdateState};
use jiff::Timestamp;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use self::{answer::Reading, ask::Asker};
use crate::{JobKey, controller::spread, lease::Fence, metrics::Metrics};

pub use self::{answer::Kind, hosts::Hosts};

/// Measurements on their way at a time.
const AT_ONCE: usize = 16;
/// How many of one update, so that those who don't answer one service don't keep the others' waiting.
const OF_ONE_UPDATE: usize = 4;
/// Over how long the first measurements of an update are spread.
const FIRST: Duration = Duration::from_millis(500);

/// The checks of all updates that go forward. One for the process.
pub struct Checks(Arc<Inner>);

struct Inner {
    hosts: Hosts,
    asker: Asker,
    fence: Fence,
    metrics: Metrics,
    permits: Semaphore,
    services: Mutex<HashMap<JobKey, Followed>>,
    again: Box<dyn Fn(&JobKey) + Send + Sync>,
}

/// The checks of one update.
struct Followed {
    update: Uid,
    seen: Vec<Seen>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// What was seen of a check.
#[derive(Default)]
struct Seen {
    name: String,
    newest: Option<(Timestamp, Reading)>,
    held_at: Option<Timestamp>,
    /// When it failed, in the last measurements: as many as make it fail.
    bad_in_a_row: VecDeque<Timestamp>,
    failing: bool,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").field("services", &self.0.services().len()).finish_non_exhaustive()
    }
}

impl Checks {
    /// Measures while the fence lets it, and calls `again` with each service of which something new is known; that must
    /// not call back.
    pub fn new(
        hosts: Hosts,
        fence: Fence,
        metrics: Metrics,
        again: impl Fn(&JobKey) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            hosts,
            asker: Asker::default(),
            fence,
            metrics,
            permits: Semaphore::new(AT_ONCE),
            services: Mutex::default(),
            again: Box::new(again),
        }))
    }

    /// What is known of the checks of a service's newest update.
    pub fn measurements(&self, key: &JobKey, update: Option<&Update>) -> Vec<Measurement> {
        let Some(update) = update.filter(|update| !update.settings.checks.is_empty()) else {
            return Vec::new();
        };
        let services = self.0.services();
        let followed = services.get(key).filter(|followed| followed.update == update.uid);
        let of_check = |check: &Check| {
            let outcome = match self.0.hosts.refuse(url(check)) {
                Some(why) => Outcome::Refused(why),
                None => followed?.seen.iter().find(|seen| seen.name == check.name)?.outcome()?,
            };
            Some(Measurement { check: check.name.clone(), outcome })
        };
        update.settings.checks.iter().filter_map(of_check).collect()
    }

    /// Takes up the checks of a service's newest update where they mean something in the state it has now, and lets go of
    /// them, and of what was measured, where they don't.
    pub fn follow(&self, key: &JobKey, update: Option<(&Update, UpdateState)>) {
        let goes_on =
            |state| matches!(state, UpdateState::RollingForward | UpdateState::RollForwardAwaitingPulse);
        let checked = update.filter(|(update, state)| goes_on(*state) && !update.settings.checks.is_empty());
        let mut services = self.0.services();
        let Some((update, _)) = checked else {
            services.remove(key);
            return;
        };
        if services.get(key).is_some_and(|followed| followed.update == update.uid) {
            return;
        }
        let own = Arc::new(Semaphore::new(OF_ONE_UPDATE));
        let allowed = update.settings.checks.iter().filter(|check| self.0.hosts.refuse(url(check)).is_none());
        let (seen, tasks) = allowed
            .map(|check| {
                let own = Arc::clone(&own);
                let probe = probe(Arc::clone(&self.0), own, key.clone(), update.uid, check.clone());
                let task = AbortOnDropHandle::new(tokio::spawn(probe));
                (Seen { name: check.name.clone(), ..Seen::default() }, task)
            })
            .unzip();
        services.insert(key.clone(), Followed { update: update.uid, seen, _tasks: tasks });
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        // The tasks hold what holds them.
        self.0.services().clear();
    }
}

/// Who is asked.
fn url(check: &Check) -> &str {
    match &check.source {
        Source::Http { url, .. } => url,
        Source::Prometheus { address, .. } => address,
    }
}

/// Measures one check until it is dropped.
async fn probe(inner: Arc<Inner>, own: Arc<Semaphore>, key: JobKey, update: Uid, check: Check) {
    let part = spread(&(&key, update, &check.name));
    sleep(FIRST.mul_f64(part)).await;
    // Not all at the same moment for ever, and never less often than is promised.
    let interval = Duration::from_secs(check.interval_seconds.into()).mul_f64(1.0 - 0.1 * part);
    loop {
        let next = Instant::now() + interval;
        if inner.fence.term().is_some() {
            let Ok(turn) = own.acquire().await else { return };
            let Ok(permit) = inner.permits.acquire().await else { return };
            let at = Timestamp::now();
            let reading = inner.asker.measure(&check).await;
            drop((permit, turn));
            inner.note(&key, update, &check, at, reading);
        }
        sleep_until(next).await;
    }
}

impl Inner {
    fn note(&self, key: &JobKey, update: Uid, check: &Check, at: Timestamp, reading: Reading) {
        self.metrics.check_measured(reading.kind);
        debug!(service = %key, check = check.name, said = reading.message, "measured a check");
        let mut services = self.services();
        let followed = services.get_mut(key).filter(|followed| followed.update == update);
        let Some(seen) = followed.and_then(|it| it.seen.iter_mut().find(|seen| seen.name == check.name))
        else {
            return;
        };
        seen.note(check.failures_in_a_row, at, reading);
        drop(services);
        (self.again)(key);
    }

    fn services(&self) -> MutexGuard<'_, HashMap<JobKey, Followed>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self, failures_in_a_row: u32, at: Timestamp, reading: Reading) {
        if reading.holds() {
            (self.held_at, self.failing) = (Some(at), false);
            self.bad_in_a_row.clear();
        } else {
            self.bad_in_a_row.push_back(at);
            self.failing |= self.bad_in_a_row.len() >= failures_in_a_row as usize;
            while self.bad_in_a_row.len() > failures_in_a_row as usize {
                self.bad_in_a_row.pop_front();
            }
        }
        self.newest = Some((at, reading));
    }

    fn outcome(&self) -> Option<Outcome> {
        let (at, Reading { value, message, kind: _ }) = self.newest.as_ref()?;
        Some(Outcome::Measured {
            at: *at,
            held_at: self.held_at,
            fails_since: self.bad_in_a_row.front().copied().filter(|_| self.failing),
            failing: self.failing,
            value: value.clone(),
            message: message.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
