//! When planning may begin: the lease is held and the index is at least as new as the moment it was taken.
//!
//! A watch can be a minute behind, and a new leader that plans from such a view may repeat what the old one did. So
//! each watch is restarted and its consistent list awaited, once a term; then every service is planned, spread over
//! a while. Decides nothing about services. Run beside the controller.

use std::{future::Future, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::lease::Fence;

/// How often the fence is looked at once it is open; the executor looks before every write.
const LOOK: Duration = Duration::from_millis(500);

/// The term whose barrier was passed.
#[derive(Debug, Clone)]
pub struct Opening(watch::Receiver<Option<u64>>);

impl Opening {
    /// Whether this process may plan and write now.
    pub fn is_open(&self, fence: &Fence) -> bool {
        let passed = *self.0.borrow();
        passed.is_some() && passed == fence.term()
    }

    /// Waits until it may.
    pub async fn opened(&mut self) {
        // An error means that nobody opens it any more; then nothing may ever be done.
        if self.0.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A closed opening and what opens it.
pub fn opening() -> (watch::Sender<Option<u64>>, Opening) {
    let (sender, receiver) = watch::channel(None);
    (sender, Opening(receiver))
}

/// Opens and closes with the lease until `stop`: `barrier` brings the index up to date, `begin` is called then.
pub async fn keep_open<B: Future<Output = ()>>(
    mut fence: Fence,
    opening: watch::Sender<Option<u64>>,
    barrier: impl Fn() -> B,
    begin: impl Fn(),
    stop: CancellationToken,
) {
    let run = async {
        while let Some(term) = fence.gained().await {
            let taken = Instant::now();
            info!(term, "the lease is held; the watches are brought up to date");
            barrier().await;
            if fence.term() != Some(term) {
                continue;
            }
            info!(term, took = ?taken.elapsed(), "planning begins");
            begin();
            opening.send_replace(Some(term));
            while fence.term() == Some(term) {
                sleep(LOOK).await;
            }
            opening.send_replace(None);
        }
    };
    stop.run_until_cancelled(run).await;
    opening.send_replace(None);
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use tokio::sync::Notify;

    use super::*;
    use crate::lease::fence;

    #[tokio::test(start_paused = true)]
    async fn planning_begins_only_behind_the_barrier_of_its_own_term() {
        let (gate, fence) = fence();
        let (sender, mut opening) = opening();
        let (passed, begun) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let far = || Instant::now() + Duration::from_secs(600);
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep_open(
            fence.clone(),
            sender,
            {
                let passed = Arc::clone(&passed);
                move || {
                    let passed = Arc::clone(&passed);
                    async move { passed.notified().await }
                }
            },
            {
                let begun = Arc::clone(&begun);
                move || {
                    begun.fetch_add(1, Ordering::Relaxed);
                }
            },
            stop.clone(),
        ));
        gate.open(6, far());
        sleep(Duration::from_secs(5)).await;
        gate.open(7, far());
        passed.notify_one();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(begun.load(Ordering::Relaxed), 0, "the barrier was of a term that is over");
        assert!(!opening.is_open(&fence), "the barrier was not passed");
        passed.notify_one();
        opening.opened().await;
        assert!(opening.is_open(&fence));
        gate.open(8, far());
        assert!(!opening.is_open(&fence), "another term has a barrier of its own");
        sleep(LOOK * 2).await;
        assert!(!opening.is_open(&fence));
        passed.notify_one();
        opening.opened().await;
        assert!(opening.is_open(&fence));
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        gate.close();
        assert!(!opening.is_open(&fence), "closed at once");
        stop.cancel();
        task.await.unwrap();
    }
}
