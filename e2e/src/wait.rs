//! Waiting for something to become true, with a deadline and with what was last seen in the error.
//!
//! Called by scenarios through `scene`, by `operator` and by the demo.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

/// How often is looked.
const PERIOD: Duration = Duration::from_millis(250);

/// What one look found.
pub enum Look<T> {
    /// It is true.
    Done(T),
    /// Not yet; what was seen instead, for the error.
    NotYet(String),
}

/// `NotYet` unless this holds.
pub fn when(holds: bool, otherwise: impl Into<String>) -> Look<()> {
    if holds { Look::Done(()) } else { Look::NotYet(otherwise.into()) }
}

/// Looks again and again until it is true.
///
/// A look that fails is as good as one that is not yet true: the API server is restarted in some scenarios.
///
/// # Errors
/// When the time is over; the error says what was waited for and what the last look saw.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Look<T>>>,
{
    let begin = Instant::now();
    let mut last = String::from("nothing was seen");
    loop {
        let left = limit.saturating_sub(begin.elapsed());
        match tokio::time::timeout(left.max(PERIOD), look()).await {
            Ok(Ok(Look::Done(found))) => return Ok(found),
            Ok(Ok(Look::NotYet(seen))) => last = seen,
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => last = format!("a look took too long; before it: {last}"),
        }
        if begin.elapsed() >= limit {
            return Err(anyhow!("waited {limit:?} for {what}; last seen: {last}"));
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Looks again and again that something stays true.
///
/// # Errors
/// When it is not true at any look.
pub async fn holds<F, Fut>(what: &str, period: Duration, mut look: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Look<()>>>,
{
    let begin = Instant::now();
    while begin.elapsed() < period {
        if let Look::NotYet(seen) = look().await? {
            return Err(anyhow!("{what} did not hold for {period:?}: {seen}"));
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(())
}
