//! How long a service waits after a failure: 100 ms, doubled up to a minute, with jitter seeded by its key.
//!
//! Decides delays only; the queue keeps them. Forgotten on success and when the service is gone.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row, by key.
#[derive(Debug)]
pub(super) struct Backoff<K>(Mutex<HashMap<K, Failures>>);

/// What failed, as often as it was waited for.
#[derive(Debug)]
struct Failures {
    count: u32,
    /// When the last pause is over.
    over: Instant,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> Backoff<K> {
    /// Notes a failure; returns how long to wait now.
    ///
    /// News may have a key tried before its pause is over. That failure is none more: many news within a second would
    /// otherwise make a pause of a minute of a disturbance that is over in another.
    pub(super) fn failed(&self, key: &K) -> Duration {
        let now = Instant::now();
        let mut failures = self.lock();
        let failures = failures.entry(key.clone()).or_insert(Failures { count: 0, over: now });
        if now < failures.over {
            return failures.over - now;
        }
        let nominal = FIRST.saturating_mul(1 << failures.count.min(16)).min(LONGEST);
        failures.count = failures.count.saturating_add(1);
        // Between three quarters and all of it, so that many that failed together don't come back together.
        let delay = nominal.mul_f64(0.75 + 0.25 * spread(&(key, failures.count)));
        failures.over = now + delay;
        delay
    }

    /// Forgets the failures.
    pub(super) fn clear(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number from 0 to 1 that only what is hashed decides.
pub(crate) fn spread(seed: &impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn doubles_to_a_minute_and_starts_again_after_success() {
        let backoff = Backoff::default();
        let mut before = Duration::ZERO;
        for round in 0..12 {
            let delay = backoff.failed(&"a");
            let nominal = (FIRST * (1 << round)).min(LONGEST);
            assert!(delay <= nominal && delay >= nominal.mul_f64(0.75), "round {round}: {delay:?}");
            assert!(delay > before || nominal == LONGEST);
            before = delay;
            advance(delay).await;
        }
        for _ in 0..100 {
            let delay = backoff.failed(&"a");
            assert!(delay <= LONGEST);
            advance(delay).await;
        }
        assert!(backoff.failed(&"b") <= FIRST, "another key has its own count");
        backoff.clear(&"a");
        assert!(backoff.failed(&"a") <= FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_before_its_pause_is_over_waits_for_the_rest_of_it() {
        let backoff = Backoff::default();
        let pause = backoff.failed(&"a");
        for _ in 0..20 {
            advance(Duration::from_millis(1)).await;
            backoff.failed(&"a");
        }
        assert_eq!(backoff.failed(&"a"), pause - Duration::from_millis(20));
        advance(pause).await;
        assert!(backoff.failed(&"a") <= 2 * FIRST);
    }

    #[test]
    fn keys_that_fail_together_come_back_apart() {
        let backoff = Backoff::default();
        let delays: std::collections::BTreeSet<_> = (0..100).map(|key| backoff.failed(&key)).collect();
        assert!(delays.len() > 90);
        assert_eq!(spread(&"same"), spread(&"same"));
    }
}
