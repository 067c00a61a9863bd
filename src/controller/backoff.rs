//! How long a service waits after a failure: 100 ms, doubled up to a minute, with jitter seeded by its key.
//!
//! Decides delays only; the queue keeps them. Forgotten on success and when the service is gone.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row, by key.
#[derive(Debug)]
pub(super) struct Backoff<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> Backoff<K> {
    /// Notes a failure; returns how long to wait now.
    pub(super) fn failed(&self, key: &K) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(key.clone()).or_insert(0);
        let nominal = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        // Between three quarters and all of it, so that many that failed together don't come back together.
        let share = spread(&(key, *count));
        nominal.mul_f64(0.75 + 0.25 * share)
    }

    /// Forgets the failures.
    pub(super) fn clear(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
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
    use super::*;

    #[test]
    fn doubles_to_a_minute_and_starts_again_after_success() {
        let backoff = Backoff::default();
        let mut before = Duration::ZERO;
        for round in 0..12 {
            let delay = backoff.failed(&"a");
            let nominal = (FIRST * (1 << round)).min(LONGEST);
            assert!(delay <= nominal && delay >= nominal.mul_f64(0.75), "round {round}: {delay:?}");
            assert!(delay > before || nominal == LONGEST);
            before = delay;
        }
        for _ in 0..100 {
            assert!(backoff.failed(&"a") <= LONGEST);
        }
        assert!(backoff.failed(&"b") <= FIRST, "another key has its own count");
        backoff.clear(&"a");
        assert!(backoff.failed(&"a") <= FIRST);
    }

    #[test]
    fn keys_that_fail_together_come_back_apart() {
        let backoff = Backoff::default();
        let delays: std::collections::BTreeSet<_> = (0..100).map(|key| backoff.failed(&key)).collect();
        assert!(delays.len() > 90);
        assert_eq!(spread(&"same"), spread(&"same"));
    }
}
