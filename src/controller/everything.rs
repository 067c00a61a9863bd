//! All keys at once: when everything is planned again, and since when nothing has kept planning from what is due.
//!
//! Decides nothing. Called by `operator` when a term begins and when the freeze switch is turned, and by itself when the wall
//! clock jumps: sleeping keys wait by the clock that does not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{queue::Queue, rounds::plan_all};
use crate::{CronKey, JobKey, index::Index};

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(1);
/// By how much they may differ after that: a wall clock that is set right is slewed by less.
const JUMP: Duration = Duration::from_secs(1);

/// All services, jobs and crons.
#[derive(Clone)]
pub struct Everything {
    index: Arc<Index>,
    jobs: Arc<Queue<JobKey>>,
    crons: Arc<Queue<CronKey>>,
    since: Arc<Mutex<Timestamp>>,
}

impl Everything {
    /// All that the index knows, to be planned by way of these queues.
    pub fn new(index: Arc<Index>, jobs: Arc<Queue<JobKey>>, crons: Arc<Queue<CronKey>>) -> Self {
        Self { index, jobs, crons, since: Arc::new(Mutex::new(Timestamp::now())) }
    }

    /// Planning begins, or may do more or less than before: from now on what is due meets its planner.
    pub fn begin(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Timestamp::now();
        self.again();
    }

    /// Since when it does.
    pub fn since(&self) -> Timestamp {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn again(&self) {
        plan_all(&self.index.keys(), &self.jobs);
        plan_all(&self.index.cron_keys(), &self.crons);
    }

    /// Plans everything again whenever the wall clock jumps, until `stop`.
    pub async fn follow_clock(self, stop: CancellationToken) {
        let follow = async {
            loop {
                let (wall, steady) = (Timestamp::now(), Instant::now());
                sleep(LOOK).await;
                let by = jump(Timestamp::now().duration_since(wall), steady.elapsed());
                if by.unsigned_abs() > JUMP {
                    warn!(?by, "the clock has jumped; everything is planned again");
                    self.again();
                }
            }
        };
        stop.run_until_cancelled(follow).await;
    }
}

/// By how much the wall clock went further than the steady one.
fn jump(wall: SignedDuration, steady: Duration) -> SignedDuration {
    wall.saturating_sub(SignedDuration::try_from(steady).unwrap_or(SignedDuration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_what_only_the_wall_clock_has_seen() {
        let (second, hour) = (Duration::from_secs(1), SignedDuration::from_hours(1));
        let passed = SignedDuration::from_secs(1);
        assert_eq!(jump(passed, second), SignedDuration::ZERO);
        assert_eq!(jump(passed + hour, second), hour);
        assert_eq!(jump(passed - hour, second), -hour);
        // A process that was stopped for a while has seen both go on.
        assert_eq!(jump(hour, Duration::from_secs(3600)), SignedDuration::ZERO);
    }
}
