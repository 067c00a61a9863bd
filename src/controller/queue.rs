//! Which key is next: each at most once in the queue and never with two workers at a time.
//!
//! A key waits until it is due; asking again keeps the earlier time, so one that is put off can be expedited. A key
//! asked for while it is worked on waits until that is done. Decides nothing about what is done with a key.
//! Filled by the index and the controller, emptied by the controller.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// A place in the queue: when it is due, then first come, first served.
type Place = (Instant, u64);

/// A queue of keys with delays.
#[derive(Debug)]
pub struct Queue<K> {
    inner: Mutex<Inner<K>>,
    woken: Notify,
}

#[derive(Debug)]
struct Inner<K> {
    order: BTreeMap<Place, K>,
    waiting: HashMap<K, Place>,
    /// Keys that are worked on, and when each is due again, if it was asked for meanwhile.
    working: HashMap<K, Option<Instant>>,
    next: u64,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        let inner =
            Inner { order: BTreeMap::new(), waiting: HashMap::new(), working: HashMap::new(), next: 0 };
        Self { inner: Mutex::new(inner), woken: Notify::new() }
    }
}

impl<K: Hash + Eq + Clone> Queue<K> {
    /// Asks for the key now.
    pub fn add(&self, key: &K) {
        self.add_at(key, Instant::now());
    }

    /// Asks for the key after a while.
    pub fn add_after(&self, key: &K, delay: Duration) {
        self.add_at(key, Instant::now() + delay);
    }

    fn add_at(&self, key: &K, due: Instant) {
        let mut inner = self.lock();
        if let Some(again) = inner.working.get_mut(key) {
            *again = Some(again.map_or(due, |known| known.min(due)));
            return;
        }
        inner.put(key, due);
        drop(inner);
        self.woken.notify_one();
    }

    /// The next key that is due, now being worked on until `done`. To be called by one task only.
    pub async fn next(&self) -> K {
        loop {
            let first = {
                let mut inner = self.lock();
                match inner.order.first_key_value() {
                    Some((&place, _)) if place.0 <= Instant::now() => {
                        if let Some(key) = inner.take(place) {
                            return key;
                        }
                        None
                    }
                    Some((place, _)) => Some(place.0),
                    None => None,
                }
            };
            match first {
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.woken.notified() => {}
                },
                None => self.woken.notified().await,
            }
        }
    }

    /// The key is no longer worked on.
    pub fn done(&self, key: &K) {
        let mut inner = self.lock();
        if let Some(Some(due)) = inner.working.remove(key) {
            inner.put(key, due);
            drop(inner);
            self.woken.notify_one();
        }
    }

    /// Puts every waiting key off, each by its own delay; what asks for one again expedites it.
    pub fn put_off(&self, delay: impl Fn(&K) -> Duration) {
        let mut inner = self.lock();
        let now = Instant::now();
        for key in std::mem::take(&mut inner.order).into_values() {
            inner.waiting.remove(&key);
            let due = now + delay(&key);
            inner.put(&key, due);
        }
        drop(inner);
        self.woken.notify_one();
    }

    /// How many keys are due and wait for a worker.
    pub fn depth(&self) -> usize {
        let end = (Instant::now(), u64::MAX);
        self.lock().order.range(..=end).count()
    }

    /// How long the key that has been due longest waits for a worker already.
    pub fn oldest(&self) -> Duration {
        let first = self.lock().order.first_key_value().map(|((due, _), _)| *due);
        first.map_or(Duration::ZERO, |due| Instant::now().saturating_duration_since(due))
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> Inner<K> {
    fn put(&mut self, key: &K, due: Instant) {
        if let Some(place) = self.waiting.get(key).copied() {
            if place.0 <= due {
                return;
            }
            self.order.remove(&place);
        }
        let place = (due, self.next);
        self.next += 1;
        self.order.insert(place, key.clone());
        self.waiting.insert(key.clone(), place);
    }

    fn take(&mut self, place: Place) -> Option<K> {
        let key = self.order.remove(&place)?;
        self.waiting.remove(&key);
        self.working.insert(key.clone(), None);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::advance;

    use super::*;

    fn now_next(queue: &Queue<&'static str>) -> Option<&'static str> {
        queue.next().now_or_never()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_key_is_there_once_and_first_come_is_first_served() {
        let queue = Queue::default();
        for key in ["a", "b", "a", "b"] {
            queue.add(&key);
        }
        assert_eq!(queue.depth(), 2);
        assert_eq!((now_next(&queue), now_next(&queue), now_next(&queue)), (Some("a"), Some("b"), None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_who_has_been_due_longest() {
        let queue = Queue::default();
        assert_eq!(queue.oldest(), Duration::ZERO);
        queue.add_after(&"a", SECOND * 5);
        assert_eq!(queue.oldest(), Duration::ZERO);
        advance(SECOND * 7).await;
        queue.add(&"b");
        advance(SECOND).await;
        assert_eq!(queue.oldest(), SECOND * 3);
        assert_eq!(now_next(&queue), Some("a"));
        assert_eq!(queue.oldest(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_never_worked_on_twice_at_a_time() {
        let queue = Queue::default();
        queue.add(&"a");
        assert_eq!(now_next(&queue), Some("a"));
        queue.add_after(&"a", SECOND * 5);
        queue.add(&"a");
        queue.add_after(&"a", SECOND);
        assert_eq!(now_next(&queue), None);
        queue.done(&"a");
        assert_eq!(now_next(&queue), Some("a"), "the earliest wish counts");
        queue.done(&"a");
        assert_eq!(now_next(&queue), None);
        queue.done(&"a");
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_time_wins_and_expedites() {
        let queue = Queue::default();
        queue.add_after(&"a", SECOND * 10);
        queue.add_after(&"a", SECOND * 20);
        queue.add_after(&"b", SECOND * 30);
        assert_eq!(now_next(&queue), None);
        queue.add_after(&"b", SECOND * 2);
        let start = Instant::now();
        assert_eq!((queue.next().await, start.elapsed().as_secs()), ("b", 2));
        assert_eq!((queue.next().await, start.elapsed().as_secs()), ("a", 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_worker_is_woken_for_an_earlier_key() {
        let queue = std::sync::Arc::new(Queue::default());
        queue.add_after(&"late", SECOND * 60);
        let start = Instant::now();
        let worker = tokio::spawn({
            let queue = std::sync::Arc::clone(&queue);
            async move { queue.next().await }
        });
        advance(SECOND).await;
        queue.add(&"soon");
        assert_eq!(worker.await.unwrap(), "soon");
        assert_eq!(start.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_off_is_not_due() {
        let queue = Queue::default();
        queue.add(&"a");
        queue.add(&"b");
        queue.put_off(|key| if *key == "a" { SECOND * 3 } else { SECOND });
        assert_eq!((queue.depth(), now_next(&queue)), (0, None));
        assert_eq!((queue.next().await, queue.next().await), ("b", "a"));
        queue.add(&"c");
        assert_eq!(now_next(&queue), Some("c"));
    }
}
