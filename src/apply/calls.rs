//! One call to the API server: fenced, limited, timed, counted, and its failure named by what follows from it.
//!
//! What matters of a failed write is whether it may have been applied: only then does the caller have to find out.
//! Nothing is tried again here. Called by every other module of `apply`; nobody else writes.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use borealis_core::model::UpdateState;
use kube::core::Status;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};
use tracing::{Instrument, trace_span, warn};

use super::refusals::Refusals;
use crate::{
    lease::Fence,
    metrics::{Metrics, Verb},
    traces,
};

/// Name of the ValidatingAdmissionPolicy that refuses Pods of another term; stands in its refusals.
pub const TERM_POLICY: &str = "borealis-term";

/// How long to leave a service alone whose namespace is being deleted.
const NAMESPACE_GOES: Duration = Duration::from_secs(30);

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The lease is not ours: nothing was sent.
    #[error("the lease is not ours any more")]
    Fenced,
    /// The API server refused our term: it knows of another, or not yet of ours. Nothing was written.
    #[error("the API server refused the term of this lease: {0}")]
    Term(String),
    /// It may have been applied.
    #[error("{0}")]
    Unknown(String),
    /// It was not applied, for a reason that passes.
    #[error("{why}")]
    Busy {
        /// When the API server wants to hear of us again.
        after: Option<Duration>,
        /// Its words.
        why: String,
    },
    /// There is no such object.
    #[error("{0}")]
    Missing(String),
    /// The object is another than the one meant, or has changed.
    #[error("{0}")]
    Conflict(String),
    /// An object of that name is there already.
    #[error("{0}")]
    Exists(String),
    /// Our account lacks a right, as all do for a moment after an API server's start. Nothing was done.
    #[error("{0}")]
    Denied(String),
    /// The API server does not want it, and won't the next time.
    #[error("{0}")]
    Refused(String),
}

impl Failed {
    /// Whether it also says what became of an earlier request for the same object that had no answer.
    pub(super) fn settles_a_create(&self) -> bool {
        matches!(self, Self::Fenced | Self::Exists(_))
    }
}

/// The way to the API server. One for the process: the limit is the process's.
pub(super) struct Calls {
    fence: Fence,
    in_flight: Semaphore,
    timeout: Duration,
    metrics: Metrics,
    refusals: Mutex<Refusals>,
}

impl Calls {
    pub(super) fn new(fence: Fence, in_flight: usize, timeout: Duration, metrics: Metrics) -> Self {
        let in_flight = Semaphore::new(in_flight.max(1));
        Self { fence, in_flight, timeout, metrics, refusals: Mutex::default() }
    }

    /// The term, while we may write.
    pub(super) fn term(&self) -> Option<u64> {
        self.fence.term()
    }

    /// An update was recorded as ended.
    pub(super) fn note_update_end(&self, state: UpdateState) {
        self.metrics.update_ended(state);
    }

    /// Sends a write, made for the term it is sent in. The fence is asked when it is this write's turn, not before.
    pub(super) async fn write<T, C>(&self, verb: Verb, call: impl FnOnce(u64) -> C) -> Result<T, Failed>
    where
        C: Future<Output = kube::Result<T>>,
    {
        let _turn = self.turn().await?;
        let Some(term) = self.fence.term() else {
            self.metrics.fenced();
            return Err(Failed::Fenced);
        };
        let sent = self.send(verb, call(term)).await;
        match &sent {
            Err(Failed::Conflict(_)) => self.metrics.conflict(),
            Err(Failed::Term(why)) => {
                self.metrics.term_refused();
                self.tell_refusal(term, why);
            }
            Ok(_) | Err(_) => {}
        }
        sent
    }

    /// Says that our term is refused, where it is ours and that lasts.
    fn tell_refusal(&self, term: u64, why: &str) {
        if self.fence.term() != Some(term) {
            return;
        }
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lasts) = refusals.refused(term, Instant::now()) else { return };
        drop(refusals);
        warn!(
            term,
            seconds = lasts.as_secs(),
            why,
            "the API server refuses Pods of this term although the lease is held, and no Pod starts where it does. \
             Either an API server has not seen the Lease change (restart the one that lags), or the policy \
             {TERM_POLICY} or its binding was changed or made anew (apply deploy/30-term-fence.yaml again, with \
             the namespace and name of the Lease). See the runbook BorealisTermRefusals"
        );
    }

    /// Sends a read, which always asks for the newest state.
    pub(super) async fn read<T>(
        &self,
        verb: Verb,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failed> {
        let _turn = self.turn().await?;
        self.send(verb, call).await
    }

    /// Waits until another call may be on its way.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Failed> {
        let wait = trace_span!(target: traces::TARGET, "wait for a call's turn");
        self.in_flight.acquire().instrument(wait).await.map_err(|_| Failed::Fenced)
    }

    async fn send<T>(&self, verb: Verb, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failed> {
        let call = call.instrument(trace_span!(target: traces::TARGET, "call", ?verb));
        let Ok(answer) = timeout(self.timeout, call).await else {
            self.metrics.call(verb, "timeout");
            return Err(Failed::Unknown(format!("no answer from the API server in {:?}", self.timeout)));
        };
        self.metrics.answered(verb, &answer);
        match answer {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) => Err(refusal(&status)),
            Err(kube::Error::BuildRequest(error)) => {
                Err(Failed::Busy { after: None, why: format!("the request can't be made: {error}") })
            }
            // Kube's own enum; whatever it is, something may have been sent.
            Err(error) => Err(Failed::Unknown(error.to_string())),
        }
    }
}

/// What an answer other than success means for us.
fn refusal(status: &Status) -> Failed {
    let why = status.message.clone();
    match status.code {
        404 => Failed::Missing(why),
        409 if status.is_already_exists() => Failed::Exists(why),
        409 => Failed::Conflict(why),
        429 => Failed::Busy { after: retry_after(status), why },
        // Our account is not known for the moment: its token is being renewed, or was taken away.
        401 => Failed::Busy { after: None, why },
        // Nothing is made any more in a namespace that goes, and soon our objects will be gone as well.
        403 if is_terminating(status) => Failed::Busy { after: Some(NAMESPACE_GOES), why },
        // A policy's refusal names it; that it can't find its parameter means that our Lease is gone.
        400..=499 if why.contains(&format!("'{TERM_POLICY}'")) => Failed::Term(why),
        // Admission comes before anything is stored, so nothing was.
        500 if why.contains("failed calling webhook") => Failed::Refused(why),
        403 if why.contains("forbidden: User ") => Failed::Denied(why),
        // The request may still be worked on.
        408 => Failed::Unknown(why),
        400..=499 => Failed::Refused(why),
        _ => Failed::Unknown(why),
    }
}

fn is_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_named_by_what_follows_from_them() {
        let status = |code, reason: &str, message: &str| Status::failure(message, reason).with_code(code);
        let of_term = "pods \"web-0-1\" is forbidden: ValidatingAdmissionPolicy 'borealis-term' with binding \
                       'borealis-term' denied request: term 3 is not 4";
        for (code, reason, message, expected) in [
            (404, "NotFound", "", "Missing"),
            (409, "AlreadyExists", "", "Exists"),
            (409, "Conflict", "", "Conflict"),
            (429, "TooManyRequests", "", "Busy"),
            (401, "Unauthorized", "", "Busy"),
            (403, "Forbidden", "exceeded quota", "Refused"),
            (403, "Forbidden", "pods is forbidden: User \"x\" cannot create resource \"pods\"", "Denied"),
            (403, "Forbidden", of_term, "Term"),
            (422, "Invalid", of_term, "Term"),
            (422, "Invalid", "", "Refused"),
            (400, "BadRequest", "", "Refused"),
            (500, "InternalError", "", "Unknown"),
            (500, "InternalError", "Internal error occurred: failed calling webhook \"x\"", "Refused"),
            (503, "ServiceUnavailable", "", "Unknown"),
            (504, "Timeout", "", "Unknown"),
        ] {
            let failed = format!("{:?}", refusal(&status(code, reason, message)));
            assert!(failed.starts_with(expected), "{code} {reason}: {failed}");
        }
    }
}
