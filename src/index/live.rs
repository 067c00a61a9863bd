//! Reads one service live, past the watches: after a write of which the outcome is not known.
//!
//! Every list is a consistent read (resourceVersion unset), so what it doesn't show at its version is gone.
//! Called by the service controller, which plans the service again afterwards.

use std::{collections::BTreeSet, time::Duration};

use borealis_core::model::{Task, Uid};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Pod};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{DeserializeGuard, ObjectList},
};
use serde::de::DeserializeOwned;

use super::{
    Index, Kind,
    feed::Feed,
    lean::StoredRevision,
    meta,
    stamp::{Epoch, Version},
    state::State,
};
use crate::{
    ServiceKey,
    api::{AuroraService, AuroraUpdate, labels},
};

const PAGE: u32 = 500;
/// How long the reads may take in all.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a service could not be read live.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The API server did not give a list.
    #[error("listing {kind:?} of the service failed: {source}")]
    List {
        /// Of which kind.
        kind: Kind,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// A list had no resourceVersion.
    #[error("the list of {kind:?} has no usable resourceVersion")]
    Version {
        /// Of which kind.
        kind: Kind,
    },
    /// It took too long.
    #[error("the API server took too long")]
    Timeout,
}

/// A complete list.
struct Listed<K> {
    version: Version,
    objects: Vec<K>,
}

/// Reads the service live and takes what was read for what is.
///
/// # Errors
/// When the API server can't be read; the service then stays unsettled.
pub async fn settle(client: &Client, index: &Index, key: &ServiceKey) -> Result<(), SettleError> {
    let awaited = index.awaited(key);
    awaited.0.lock().settling();
    let read = tokio::time::timeout(TIMEOUT, read(client, index, key)).await;
    let outcome = read.unwrap_or(Err(SettleError::Timeout));
    if outcome.is_ok() {
        awaited.0.lock().settled();
    }
    index.counters.settled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    outcome
}

async fn read(client: &Client, index: &Index, key: &ServiceKey) -> Result<(), SettleError> {
    let ours = ListParams::default().labels(&format!("{}={}", labels::SERVICE, key.name));
    let itself = ListParams::default().fields(&format!("metadata.name={}", key.name));
    let service: Listed<DeserializeGuard<AuroraService>> = list(client, key, Kind::Service, itself).await?;
    let revisions: Listed<StoredRevision> = list(client, key, Kind::Revision, ours.clone()).await?;
    let updates: Listed<DeserializeGuard<AuroraUpdate>> =
        list(client, key, Kind::Update, ours.clone()).await?;
    let pods: Listed<Pod> = list(client, key, Kind::Pod, ours).await?;
    index.take_live(key, Kind::Service, &service, |state, version, present, epoch| {
        (state.service.read_live(version, present, epoch).len(), Vec::new())
    });
    index.take_live(key, Kind::Revision, &revisions, |state, version, present, epoch| {
        (state.revisions.read_live(version, present, epoch).len(), Vec::new())
    });
    index.take_live(key, Kind::Update, &updates, |state, version, present, epoch| {
        (state.updates.read_live(version, present, epoch).len(), Vec::new())
    });
    index.take_live(key, Kind::Pod, &pods, |state, version, present, epoch| {
        let removed = state.pods.read_live(version, present, epoch);
        (removed.len(), removed)
    });
    Ok(())
}

impl Index {
    fn take_live<K: Feed>(
        &self,
        key: &ServiceKey,
        kind: Kind,
        listed: &Listed<K>,
        mut take: impl FnMut(&mut State, Version, &BTreeSet<Uid>, Epoch) -> (usize, Vec<Task>),
    ) {
        for object in &listed.objects {
            self.learn(kind, object);
        }
        let present = listed.objects.iter().filter_map(|object| meta::uid(object.meta()).ok()).collect();
        self.change(&key.namespace, &key.name, |slot, state| {
            let (removed, tasks) = take(state, listed.version, &present, self.epoch(kind));
            tasks.iter().for_each(|task| self.account(slot, Some(task), None));
            if removed > 0 {
                state.trim_updates();
                state.prune_runs();
            }
            false
        });
    }
}

async fn list<K>(
    client: &Client,
    key: &ServiceKey,
    kind: Kind,
    params: ListParams,
) -> Result<Listed<K>, SettleError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    let mut params = params.limit(PAGE);
    let mut objects = Vec::new();
    loop {
        let page: ObjectList<K> =
            api.list(&params).await.map_err(|source| SettleError::List { kind, source: Box::new(source) })?;
        objects.extend(page.items);
        // The pages of one list are of one version; only the last is sure to be followed by none.
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            let version = page.metadata.resource_version.and_then(|text| text.parse().ok());
            return Ok(Listed { version: version.ok_or(SettleError::Version { kind })?, objects });
        }
    }
}
