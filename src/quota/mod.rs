//! Quota in the cluster: the one ledger of the process, who has to be looked at again, and what each job may do.
//!
//! The ledger decides (`borealis_core::admit::ledger`); here stands what it needs to know of services (`job`), whether
//! a service may be at all (`place`), and the words (`words`). The service controller asks for each plan and says when
//! a service has changed; the quota loop (`controller::cluster::quota`) turns the ledger. Locks: its own, never while
//! the index is asked for a service.

pub mod job;
pub mod place;
pub mod words;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use borealis_core::{
    admit::ledger::{Admission, JobName, Ledger, Verdict},
    model::{Bucket, Service, ServiceStatus, Tier, Upstream},
    plan::{Problem, batch::asks},
};
use tokio::sync::Notify;

use crate::{JobKey, index::Tenant};

/// The quota of all roles. One for the process, shared.
#[derive(Debug, Default)]
pub struct Quota {
    state: Mutex<State>,
    /// Wakes the loop.
    pub woken: Arc<Notify>,
}

/// What is known, and what has to be looked at.
#[derive(Debug, Default)]
pub struct State {
    /// The ledger.
    pub ledger: Ledger,
    /// All has to be learned anew before anything is decided.
    pub stale: bool,
    /// Counts how often that came about.
    pub term: u64,
    /// Services that may have changed.
    pub changed: HashSet<JobKey>,
}

impl Quota {
    /// The service may have changed.
    pub fn touch(&self, key: &JobKey) {
        let mut state = self.lock();
        if !state.changed.contains(key) {
            state.changed.insert(key.clone());
            self.woken.notify_one();
        }
    }

    /// Another term begins: nothing that was known before goes.
    pub fn restart(&self) {
        let mut state = self.lock();
        *state = State { stale: true, term: state.term + 1, ..State::default() };
        drop(state);
        self.woken.notify_one();
    }

    /// What is known. Held for a moment only.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a service may do now, and what keeps it from what it asks for.
    #[must_use]
    pub fn stand(
        &self,
        key: &JobKey,
        service: &Service,
        status: Option<&ServiceStatus>,
        upstream: &Upstream<'_>,
        tenant: &Tenant,
        tier: Option<&Tier>,
    ) -> (Admission, Option<Problem>) {
        let known = {
            let state = self.lock();
            if state.stale { Admission::unknown() } else { state.ledger.admission(&name(key)) }
        };
        let bucket = match place::bucket(service, tenant, tier) {
            Ok(bucket) => bucket,
            Err(problem) => return (known, Some(problem)),
        };
        let recorded = status.and_then(|status| status.admitted.as_ref());
        let Admission { grant, verdict } = known;
        // What the ledger knows may be of a moment ago, when it was other work.
        let verdict = match (bucket, verdict) {
            (Bucket::Dedicated | Bucket::NonProduction, Verdict::Unknown) => {
                return (Admission { grant: recorded.cloned(), verdict: Verdict::Free }, None);
            }
            (Bucket::Dedicated | Bucket::NonProduction, _) => Verdict::Free,
            (Bucket::Production, Verdict::Free) => Verdict::Unknown,
            (Bucket::Production, verdict) => verdict,
        };
        let asked = asks(service, status, upstream);
        let covers = recorded.is_some_and(|grant| grant.covers(service.revision, asked));
        let obstacle = match &verdict {
            Verdict::Held(shortage) if !covers => Some(words::exceeded(&tenant.role.name, shortage)),
            Verdict::Held(_) | Verdict::Unknown | Verdict::Free | Verdict::Limited => None,
        };
        (Admission { grant, verdict }, obstacle)
    }
}

/// A service's name in the ledger.
#[must_use]
pub fn name(key: &JobKey) -> JobName {
    JobName { kind: key.kind, namespace: Arc::clone(&key.namespace), name: Arc::clone(&key.name) }
}

/// The service of a name in the ledger.
#[must_use]
pub fn key(name: &JobName) -> JobKey {
    JobKey { kind: name.kind, namespace: Arc::clone(&name.namespace), name: Arc::clone(&name.name) }
}
