//! The loops for what concerns the whole cluster: one of each for the process, and only where the lease is held.
//!
//! Decides when such a loop turns: when it is woken, or when its last round said so, and never before the barrier is
//! passed. What a round does is its own; a round that panics is tried again later and takes no other down. Run by
//! `operator`.

mod pending;
mod preemption;
mod quota;
mod tenancy;

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use self::preemption::{DecisionLog, Kept, PreemptionLoop, PreemptionSettings, Verdicts};
use super::barrier::Opening;
use crate::lease::Fence;
pub use quota::QuotaRound;
pub use tenancy::TenancyRound;

/// How long after a round the next may follow at the soonest: what happens meanwhile is taken together.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a loop rests at the most.
const REST: Duration = Duration::from_secs(60);
/// How soon a round is tried again that panicked.
const AGAIN: Duration = Duration::from_secs(5);
/// How long to wait where this process may not write any more: it may again, or it ends.
const CLOSED: Duration = Duration::from_secs(1);

pub use pending::{PendingLoop, PendingTable};

/// Whether a loop may turn.
#[derive(Debug, Clone)]
pub struct May {
    /// Whether this process may write.
    pub fence: Fence,
    /// Whether the index is new enough.
    pub opening: Opening,
}

/// What a loop does.
pub trait Round: Send {
    /// Its name, for people.
    const NAME: &'static str;

    /// Does what there is to do now; says after how long it wants to be called again, if nothing wakes it before.
    fn round(&mut self) -> impl Future<Output = Option<Duration>> + Send;
}

/// Turns until `stop`.
pub async fn turn<R: Round>(mut what: R, mut may: May, woken: &Notify, stop: CancellationToken) {
    let run = async {
        loop {
            may.opening.opened().await;
            if !may.opening.is_open(&may.fence) {
                sleep(CLOSED).await;
                continue;
            }
            let began = Instant::now();
            let rest = match AssertUnwindSafe(what.round()).catch_unwind().await {
                Ok(rest) => rest.unwrap_or(REST).min(REST),
                Err(_) => {
                    error!(round = R::NAME, "a round panicked");
                    AGAIN
                }
            };
            sleep_until(began + PAUSE).await;
            tokio::select! {
                () = sleep(rest) => {}
                () = woken.notified() => {}
            }
        }
    };
    stop.run_until_cancelled(run).await;
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::{controller::opening, lease::fence};

    struct Counting(Arc<AtomicU32>);

    impl Round for Counting {
        const NAME: &'static str = "counting";

        async fn round(&mut self) -> Option<Duration> {
            assert_ne!(self.0.fetch_add(1, Ordering::Relaxed), 1, "a panic, as a test");
            Some(Duration::from_secs(20))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_turns_when_woken_or_due_and_only_where_it_may() {
        let (gate, fence) = fence();
        let (sender, opening) = opening();
        let (woken, rounds) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let stop = CancellationToken::new();
        let turning = tokio::spawn({
            let (woken, rounds, stop) = (Arc::clone(&woken), Arc::clone(&rounds), stop.clone());
            let may = May { fence: fence.clone(), opening };
            async move {
                turn(Counting(rounds), may, &woken, stop).await;
            }
        });
        let count = || rounds.load(Ordering::Relaxed);
        woken.notify_one();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(count(), 0, "it is not open");
        gate.open(1, Instant::now() + Duration::from_secs(600));
        sender.send_replace(Some(1));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(count(), 2, "the first round, and the one it was woken for");
        sleep(AGAIN).await;
        assert_eq!(count(), 3, "tried again after the panic");
        sleep(Duration::from_secs(21)).await;
        assert_eq!(count(), 4, "it was due");
        woken.notify_one();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(count(), 5);
        gate.close();
        woken.notify_one();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(count(), 5, "it is closed again");
        stop.cancel();
        turning.await.unwrap();
    }
}
