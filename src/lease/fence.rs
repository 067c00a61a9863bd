//! The fence: whether this process may write now, and in which term.
//!
//! Cheap to clone and to ask; the executor asks right before every write. It says yes only until the renew
//! deadline after the last renewal was *sent*, on the monotonic clock: a process that was suspended finds it
//! closed before its next write. Only the elector opens it.

use tokio::{sync::watch, time::Instant};

/// A term and until when it may be acted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grant {
    term: u64,
    until: Instant,
}

/// Asked before every write.
#[derive(Debug, Clone)]
pub struct Fence(watch::Receiver<Option<Grant>>);

/// The elector's end.
#[derive(Debug)]
pub struct Gate(watch::Sender<Option<Grant>>);

/// A closed fence and what opens it.
pub fn fence() -> (Gate, Fence) {
    let (sender, receiver) = watch::channel(None);
    (Gate(sender), Fence(receiver))
}

impl Fence {
    /// The term of the lease while this process may write, `None` otherwise.
    pub fn term(&self) -> Option<u64> {
        self.0.borrow().filter(|grant| Instant::now() < grant.until).map(|grant| grant.term)
    }

    /// Waits until this process may write, and says in which term; `None` when that can't happen any more.
    pub async fn gained(&mut self) -> Option<u64> {
        loop {
            self.0.borrow_and_update();
            if let Some(term) = self.term() {
                return Some(term);
            }
            self.0.changed().await.ok()?;
        }
    }
}

impl Gate {
    /// Lets this process write in the term until then.
    pub fn open(&self, term: u64, until: Instant) {
        self.0.send_replace(Some(Grant { term, until }));
    }

    /// Lets nothing through any more.
    pub fn close(&self) {
        self.0.send_replace(None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn closes_by_itself() {
        let (gate, mut fence) = fence();
        assert_eq!(fence.term(), None);
        gate.open(3, Instant::now() + Duration::from_secs(10));
        assert_eq!(fence.gained().await, Some(3));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(fence.term(), None);
        gate.open(3, Instant::now() + Duration::from_secs(10));
        gate.close();
        assert_eq!(fence.term(), None);
        drop(gate);
        assert_eq!(fence.gained().await, None);
    }
}
