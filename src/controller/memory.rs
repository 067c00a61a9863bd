//! What is remembered of keys between rounds; all of it may be lost.
//!
//! Refusals by the API server are remembered until a plan goes through or the spec changes, so that the status can say
//! them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use borealis_core::plan::Problem;

use super::backoff::Backoff;
use crate::key::Key;

/// Rounds of one key without a pause; more look like a plan that never comes to rest.
const ROUNDS: u32 = 256;

pub(super) struct Memory<K> {
    backoff: Backoff<K>,
    /// The last refusal, and the generation of the spec that was refused.
    refusals: Mutex<HashMap<K, (i64, Problem)>>,
    /// Rounds in a row that wrote something.
    rounds: Mutex<HashMap<K, u32>>,
}

impl<K> Default for Memory<K> {
    fn default() -> Self {
        Self { backoff: Backoff::default(), refusals: Mutex::default(), rounds: Mutex::default() }
    }
}

impl<K: Key> Memory<K> {
    pub(super) fn forget(&self, key: &K) {
        self.accept(key);
        self.rest(key);
    }

    /// A round has failed; how long to wait.
    pub(super) fn failed(&self, key: &K) -> Duration {
        self.backoff.failed(key)
    }

    /// Everything went through; whether something had been refused before.
    pub(super) fn accept(&self, key: &K) -> bool {
        lock(&self.refusals).remove(key).is_some()
    }

    /// The refusal to show, if it was of this very spec.
    pub(super) fn refusal(&self, key: &K, generation: i64) -> Option<Problem> {
        let refusals = lock(&self.refusals);
        refusals.get(key).filter(|(refused, _)| *refused == generation).map(|(_, problem)| problem.clone())
    }

    pub(super) fn refuse(&self, key: &K, generation: i64, problem: Problem) {
        lock(&self.refusals).insert(key.clone(), (generation, problem));
    }

    /// Whether a key that wrote something may go on at once.
    pub(super) fn another_round(&self, key: &K) -> bool {
        let mut rounds = lock(&self.rounds);
        let count = rounds.entry(key.clone()).or_insert(0);
        *count += 1;
        *count < ROUNDS
    }

    /// It has come to rest: what it wrote and what failed before counts no more.
    pub(super) fn rest(&self, key: &K) {
        self.backoff.clear(key);
        self.pause(key);
    }

    /// It goes on after a while.
    pub(super) fn pause(&self, key: &K) {
        lock(&self.rounds).remove(key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
