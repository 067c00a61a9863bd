//! Listening to a watch that may fall silent without ending.
//!
//! kube ends a stream that brings nothing for too long, but waits without an end for a request's answer to begin. So
//! each wait has its own end here; who meets it opens the watch anew. Called by `index::streams` and `followed`.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use futures::Stream;
use tokio::time::{Instant, sleep};

/// How long a page of a list may take.
const LIST_PATIENCE: Duration = Duration::from_secs(60);
/// A watch is woken by a bookmark about once a minute and ends after 290 s; one that isn't is dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(360);

/// The next event of the watch, its end, or an error when it was silent for too long.
///
/// Whatever wakes a watch counts as life, so that bookmarks do, which are not shown; once it has listed, `alive` is
/// told each time.
pub(crate) async fn next_event<S: Stream>(
    mut events: Pin<&mut S>,
    listing: bool,
    alive: impl Fn(),
) -> Result<Option<S::Item>, Silent> {
    let patience = if listing { LIST_PATIENCE } else { SILENCE };
    let mut end = pin!(sleep(patience));
    let mut is_woken = false;
    poll_fn(|cx| {
        // Asked first: being woken by it is no life of the watch's.
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Silent));
        }
        let event = events.as_mut().poll_next(cx);
        if is_woken {
            end.as_mut().reset(Instant::now() + patience);
            // A list's request wakes as well when it is only sent.
            if !listing {
                alive();
            }
        }
        is_woken = true;
        event.map(Ok)
    })
    .await
}

/// The API server has said nothing for longer than it ever should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silent;
