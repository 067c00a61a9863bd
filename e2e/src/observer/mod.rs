//! An independent witness: it watches every Pod of the cluster and records every event of a run.
//!
//! It knows nothing of the operator. `ledger` keeps the events and judges them as they come, `judge` looks back
//! over one service, `facts` is what is kept of a Pod. Started once by `world`; asked by scenarios and, at the end
//! of each, by `runner`.

mod facts;
mod judge;
mod ledger;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::task::JoinHandle;

pub use self::{
    facts::{FLAPS, Facts, INSTANCE, JOB, Key, LIVE, REVISION, RUN, SERVICE},
    judge::{CronRuns, RunSeen, cron_runs, each_once, groups, most_ended, runs},
    ledger::{Change, Entry, Ledger, Mark},
};

/// The witness. It stops watching when it is dropped.
#[derive(Debug)]
pub struct Observer {
    ledger: Arc<Mutex<Ledger>>,
    watching: JoinHandle<()>,
}

impl Observer {
    /// Starts to watch; what exists already is recorded as added.
    ///
    /// # Errors
    /// When the Pods can't be listed.
    pub async fn start(client: Client) -> Result<Self> {
        let pods: Api<Pod> = Api::all(client);
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut version = list(&pods, &ledger).await?;
        let shared = Arc::clone(&ledger);
        let watching = tokio::spawn(async move {
            loop {
                if let Err(error) = follow(&pods, &shared, &mut version).await {
                    // The API server is restarted on purpose in some scenarios. Only an expired version needs a new
                    // list, and with it something may have been missed; the rest goes on where it was.
                    if matches!(&error, kube::Error::Api(status) if status.code == 410)
                        && let Ok(listed) = list(&pods, &shared).await
                    {
                        version = listed;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
        Ok(Self { ledger, watching })
    }

    /// What was recorded so far.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic in a scenario that looked at it does not spoil it for the others.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the ledger stands now.
    pub fn mark(&self) -> Mark {
        self.ledger().mark()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn list(pods: &Api<Pod>, ledger: &Mutex<Ledger>) -> Result<String> {
    let all = pods.list(&ListParams::default()).await.context("the observer could not list Pods")?;
    let version = all.metadata.resource_version.clone().unwrap_or_default();
    lock(ledger).reconcile(Instant::now(), all.items.iter().filter_map(Facts::read).collect());
    Ok(version)
}

/// Follows one watch to its end, moving the version on with each event.
async fn follow(pods: &Api<Pod>, ledger: &Mutex<Ledger>, version: &mut String) -> Result<(), kube::Error> {
    let params = WatchParams::default().timeout(290);
    let mut events = Box::pin(pods.watch(&params, version).await?);
    while let Some(event) = events.try_next().await? {
        let (change, pod) = match event {
            WatchEvent::Added(pod) => (Change::Added, pod),
            WatchEvent::Modified(pod) => (Change::Modified, pod),
            WatchEvent::Deleted(pod) => (Change::Deleted, pod),
            WatchEvent::Bookmark(mark) => {
                version.clone_from(&mark.metadata.resource_version);
                continue;
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        if let Some(seen) = &pod.metadata.resource_version {
            version.clone_from(seen);
        }
        if let Some(facts) = Facts::read(&pod) {
            lock(ledger).record(Instant::now(), change, facts);
        }
    }
    Ok(())
}
