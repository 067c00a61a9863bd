//! Leader election on a Lease of our own: all replicas watch, only its holder writes.
//!
//! `decide` says what to do about the lease, the elector does it, with updates guarded by resourceVersion, and
//! opens the fence. It must not end the program: when the lease is lost `run` returns, and the caller leaves.
//! Called by `operator`; the rest of the program knows the `Fence` only.

mod decide;
mod fence;

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::Lease,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::decide::{Decision, Record, decide};
pub use self::fence::{Fence, Gate, fence};
use crate::metrics::{Metrics, Verb};

/// How the lease is held. client-go's defaults are 15 s, 10 s, 2 s.
#[derive(Debug, Clone)]
pub struct LeaseSettings {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are; no other process may say the same.
    pub identity: String,
    /// How long others wait after the last renewal they saw; whole seconds, at least 1.
    pub duration: Duration,
    /// How long we act on our last renewal, and try to renew: less than `duration`.
    pub renew_deadline: Duration,
    /// How long to wait between two tries.
    pub retry_period: Duration,
}

/// Why the elector ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The lease is another's, or gone.
    #[error("the lease {0} was taken, released or deleted by somebody else")]
    Taken(String),
    /// It could not be renewed in time.
    #[error("the lease {0} could not be renewed within its deadline: {1}")]
    Late(String, String),
}

/// Why one call came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("no answer from the API server in time")]
    Timeout,
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

impl Failed {
    /// The lease is not as we knew it: another writer, or none left.
    fn is_stale(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found())
    }
}

/// Takes the lease and holds it.
pub struct Elector {
    leases: Api<Lease>,
    settings: LeaseSettings,
    gate: Gate,
    metrics: Metrics,
    /// The lease as last read or written, and since when we have seen its record as it is.
    lease: Option<Lease>,
    first_seen: Instant,
    /// The term this process holds, and when its last renewal was sent.
    held: Option<(u64, Instant)>,
}

impl Elector {
    /// An elector that has not looked at the lease yet. The client must not retry by itself.
    pub fn new(client: Client, settings: LeaseSettings, gate: Gate, metrics: Metrics) -> Self {
        let leases = Api::namespaced(client, &settings.namespace);
        Self { leases, settings, gate, metrics, lease: None, first_seen: Instant::now(), held: None }
    }

    /// Takes the lease when it is free and renews it until `stop`, then gives it back. Calls `beat` once a try.
    ///
    /// # Errors
    /// When a lease that was held is lost: the program must end, since what it assumes of its writes is void.
    pub async fn run(mut self, stop: CancellationToken, beat: impl Fn() + Send) -> Result<(), Lost> {
        let outcome = loop {
            beat();
            let step = async {
                let pause = self.step().await?;
                sleep(pause).await;
                Ok(())
            };
            match stop.run_until_cancelled(step).await {
                None => break Ok(()),
                Some(Err(lost)) => break Err(lost),
                Some(Ok(())) => {}
            }
        };
        self.gate.close();
        if outcome.is_ok() {
            self.release().await;
        }
        outcome
    }

    /// Does once what is to be done about the lease, and says how long to wait before the next time.
    async fn step(&mut self) -> Result<Duration, Lost> {
        let done = match self.held {
            Some((term, sent)) => {
                let deadline = sent + self.settings.renew_deadline;
                let kept = timeout_at(deadline, self.keep(term)).await.unwrap_or(Ok(Err(Failed::Timeout)))?;
                match kept {
                    Err(failed) if Instant::now() >= deadline => {
                        return Err(Lost::Late(self.name(), failed.to_string()));
                    }
                    done => done,
                }
            }
            None => self.seek().await,
        };
        let pause = done.unwrap_or_else(|failed| {
            warn!(lease = %self.name(), error = %failed, "the lease could not be read or written");
            self.settings.retry_period
        });
        Ok(pause)
    }

    /// Takes the lease if it is free.
    async fn seek(&mut self) -> Result<Duration, Failed> {
        self.read().await?;
        match self.decide() {
            Decision::Create => self.write(1).await?,
            Decision::Take { term } => self.write(term).await?,
            // No longer than until it can be taken: a failover waits for nothing else.
            Decision::Wait { until } => {
                return Ok(self.settings.retry_period.min(until.saturating_duration_since(Instant::now())));
            }
            Decision::Renew | Decision::Lost => {}
        }
        Ok(self.settings.retry_period)
    }

    /// Renews what we hold. Only a conflict is worth a read: everything else we wrote ourselves.
    async fn keep(&mut self, term: u64) -> Result<Result<Duration, Failed>, Lost> {
        let mut written = self.write(term).await;
        if written.as_ref().is_err_and(Failed::is_stale) {
            if let Err(failed) = self.read().await {
                return Ok(Err(failed));
            }
            match self.decide() {
                Decision::Renew => written = self.write(term).await,
                Decision::Create | Decision::Take { .. } | Decision::Wait { .. } | Decision::Lost => {
                    return Err(Lost::Taken(self.name()));
                }
            }
        }
        Ok(written.map(|()| self.settings.retry_period))
    }

    fn decide(&self) -> Decision {
        let record = self.lease.as_ref().map(record);
        let held = self.held.map(|(term, _)| term);
        decide(record.as_ref(), self.first_seen, Instant::now(), &self.settings.identity, held)
    }

    async fn read(&mut self) -> Result<(), Failed> {
        let lease = self.call(Verb::get, self.leases.get_opt(&self.settings.name)).await?;
        if lease.as_ref().map(record) != self.lease.as_ref().map(record) {
            self.first_seen = Instant::now();
        }
        self.lease = lease;
        Ok(())
    }

    /// Writes that we hold the term, guarded by the resourceVersion of what was last read, and opens the fence.
    async fn write(&mut self, term: u64) -> Result<(), Failed> {
        // Others count from when they see the renewal, which is later than now: what we count is on the safe side.
        let sent = Instant::now();
        let lease = self.renewed(term);
        let parameters = PostParams::default();
        let written = if self.lease.is_none() {
            self.call(Verb::create, self.leases.create(&parameters, &lease)).await?
        } else {
            self.call(Verb::update, self.leases.replace(&self.settings.name, &parameters, &lease)).await?
        };
        self.lease = Some(written);
        self.first_seen = Instant::now();
        if self.held.is_none() {
            info!(lease = %self.name(), term, identity = %self.settings.identity, "took the lease");
        }
        self.held = Some((term, sent));
        self.gate.open(term, sent + self.settings.renew_deadline);
        Ok(())
    }

    fn renewed(&self, term: u64) -> Lease {
        let mut lease = self.lease.clone().unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() },
            spec: None,
        });
        lease.metadata.managed_fields = None;
        let now = Some(MicroTime(Timestamp::now()));
        let spec = lease.spec.get_or_insert_default();
        if self.held.is_none() {
            spec.acquire_time.clone_from(&now);
        }
        spec.renew_time = now;
        spec.holder_identity = Some(self.settings.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.settings.duration.as_secs()).ok();
        spec.lease_transitions = i32::try_from(term).ok();
        lease
    }

    /// Gives the lease back, so that another need not wait for its end. Best effort.
    async fn release(&mut self) {
        let (Some((term, _)), true) = (self.held, self.lease.is_some()) else { return };
        let mut lease = self.renewed(term);
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        let replaced = self
            .call(Verb::update, self.leases.replace(&self.settings.name, &PostParams::default(), &lease))
            .await;
        match replaced {
            Ok(_) => info!(lease = %self.name(), term, "gave the lease back"),
            Err(failed) => warn!(lease = %self.name(), error = %failed, "could not give the lease back"),
        }
    }

    /// One call, with half the renew deadline, so that one that hangs leaves time for another.
    async fn call<T>(&self, verb: Verb, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failed> {
        let Ok(answer) = timeout(self.settings.renew_deadline / 2, call).await else {
            self.metrics.call(verb, "timeout");
            return Err(Failed::Timeout);
        };
        self.metrics.answered(verb, &answer);
        Ok(answer?)
    }

    fn name(&self) -> String {
        format!("{}/{}", self.settings.namespace, self.settings.name)
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    Record {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        term: spec
            .and_then(|spec| spec.lease_transitions)
            .map_or(0, |term| u64::try_from(term).unwrap_or_default()),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        renewed: spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0),
    }
}

#[cfg(test)]
mod tests;
