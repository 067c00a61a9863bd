//! A stateful API server for tests: what kube's client can ask of a real one, as far as this operator asks it.
//!
//! It keeps objects with resourceVersions, uids and generations, checks preconditions, separates status from the
//! rest, deletes with grace and finalizers, watches with selectors and bookmarks, and fails on demand: refusals,
//! conflicts, answers that get lost after the write was applied. It has no schema but the
//! status of objects of ours that have none yet, and no garbage collection.
//! `kubelet` gives tests the rest of a cluster, as far as Pods notice.

mod faults;
mod http;
mod kubelet;
mod page;
mod patch;
mod request;
mod selector;
mod store;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borealis_core::model::{Preemption, Tier};
use kube::Client;
use serde_json::Value;
use tokio::sync::watch as signal;

pub(crate) use self::faults::{Effect, Fault};
pub(crate) use self::kubelet::Kubelet;
pub(crate) use self::page::Page;
use self::store::Store;
pub(crate) use self::store::{Answer, Place};

/// The API server. Clones are the same server.
#[derive(Clone)]
pub(crate) struct FakeApi(Arc<Shared>);

struct Shared {
    store: Mutex<Store>,
    faults: Mutex<Vec<Fault>>,
    calls: Mutex<Vec<Call>>,
    /// The store's version, for watches to wait on.
    changed: signal::Sender<u64>,
    /// Counts how often all watches were broken.
    broken: signal::Sender<u64>,
}

/// A call that was made, and its answer.
#[derive(Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) place: Place,
    pub(crate) subresource: String,
    /// What was sent.
    pub(crate) body: Value,
    pub(crate) code: u16,
}

impl FakeApi {
    /// A server without objects.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            store: Mutex::default(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            changed: signal::Sender::new(0),
            broken: signal::Sender::new(0),
        }))
    }

    /// A client of this server, in namespace `default`. It does not retry.
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        Client::new(tower::service_fn(move |request| api.clone().answer(request)), "default")
    }

    /// Has the next matching calls fail.
    pub(crate) fn inject(&self, fault: Fault) {
        lock(&self.0.faults).push(fault);
    }

    /// Has nothing fail any more.
    pub(crate) fn heal(&self) {
        lock(&self.0.faults).clear();
    }

    /// Refuses Pods whose term label is not the transition count of this Lease, as the admission policy does.
    pub(crate) fn fence_terms(&self, namespace: &str, lease: &str) {
        self.change(|store| store.fence = Some(Place::new("leases", namespace, lease)));
    }

    /// The calls that were made and answered since the last time this was asked.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.0.calls))
    }

    /// The writes among them, as "verb resource/name code".
    pub(crate) fn take_writes(&self) -> Vec<String> {
        let writes = |call: &Call| !matches!(call.verb, "get" | "list" | "watch");
        let calls = self.take_calls();
        calls.iter().filter(|call| writes(call)).map(ToString::to_string).collect()
    }

    /// The object at a place.
    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        lock(&self.0.store).get(&Place::new(resource, namespace, name)).cloned()
    }

    /// All objects of a kind.
    pub(crate) fn all(&self, resource: &str) -> Vec<Value> {
        lock(&self.0.store).all(resource).cloned().collect()
    }

    /// Puts an object there as its creator would.
    pub(crate) fn create(&self, resource: &str, object: Value) -> Value {
        self.change(|store| store.create(resource, object)).unwrap()
    }

    /// Merges this into an object, its status included, as anybody who may.
    pub(crate) fn merge(&self, resource: &str, namespace: &str, name: &str, body: &Value) -> Value {
        self.change(|store| store.force(&Place::new(resource, namespace, name), body)).unwrap()
    }

    /// Removes an object at once, whatever its grace: the end of a deletion.
    pub(crate) fn remove(&self, resource: &str, namespace: &str, name: &str) {
        self.change(|store| store.remove(&Place::new(resource, namespace, name)));
    }

    /// Waits for the next change of anything.
    pub(crate) async fn changed(&self) {
        let mut changed = self.0.changed.subscribe();
        let _ = changed.changed().await;
    }

    /// Breaks the connection of every watch.
    pub(crate) fn break_watches(&self) {
        self.0.broken.send_modify(|epoch| *epoch += 1);
    }

    /// Forgets the history: watches from before have to list again.
    pub(crate) fn compact(&self) {
        lock(&self.0.store).compact();
        self.break_watches();
    }

    fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = lock(&self.0.store);
        let changed = change(&mut store);
        self.0.changed.send_replace(store.version());
        changed
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { verb, place, subresource, code, .. } = self;
        let slash = if subresource.is_empty() { "" } else { "/" };
        write!(f, "{verb} {}/{}{slash}{subresource} {code}", place.resource, place.name)
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A preemptible tier.
pub(crate) fn tier(name: &str, band: i32) -> Tier {
    Tier {
        name: name.into(),
        preemptible: true,
        revocable: false,
        band,
        preemption: Preemption::Borealis,
        preemption_delay_seconds: 5,
        min_runtime_seconds: 0,
        grace_seconds: None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
