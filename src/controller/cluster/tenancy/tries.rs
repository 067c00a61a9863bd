//! What could not be written, and when each is tried again: five seconds after the first failure, then twice as long each
//! time, a minute at the most.
//!
//! Kept by object, so that one which is refused for ever costs a call a minute, and the others nothing.

use std::{collections::HashMap, future::Future, time::Duration};

use tokio::time::Instant;
use tracing::warn;

use crate::apply::Refusal;

/// How soon the first failure is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// How late any is.
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row, by what was to be written and its name.
#[derive(Debug, Default)]
pub(super) struct Tries(HashMap<(String, String), Failed>);

#[derive(Debug)]
struct Failed {
    why: Refusal,
    delay: Duration,
    due: Instant,
    /// It was to be written in this round.
    wanted: bool,
}

impl Tries {
    /// Writes, unless that failed a moment ago: then it answers as it did.
    pub(super) async fn write<T>(
        &mut self,
        what: &str,
        name: &str,
        write: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let key = (what.to_owned(), name.to_owned());
        if let Some(failed) = self.0.get_mut(&key) {
            failed.wanted = true;
            if Instant::now() < failed.due {
                return Err(failed.why.clone());
            }
        }
        let done = write.await;
        match &done {
            Ok(_) => drop(self.0.remove(&key)),
            Err(why) => {
                let delay = self.0.get(&key).map_or(AGAIN, |failed| (failed.delay * 2).min(LONGEST));
                warn!(name, why, seconds = delay.as_secs(), "{what} could not be written; tried again later");
                let due = Instant::now() + delay;
                self.0.insert(key, Failed { why: why.clone(), delay, due, wanted: true });
            }
        }
        done
    }

    /// Whether any of these is to be tried again now.
    pub(super) fn is_due(&self, what: &str) -> bool {
        let now = Instant::now();
        self.0.iter().any(|((of, _), failed)| of == what && failed.due <= now)
    }

    /// A round ends: what nobody wants to write any more is forgotten. When the first of the others is due.
    pub(super) fn next(&mut self) -> Option<Instant> {
        self.0.retain(|_, failed| std::mem::take(&mut failed.wanted));
        self.0.values().map(|failed| failed.due).min()
    }
}
