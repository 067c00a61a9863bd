//! Reads one service or job live, past the watches: after a write of which the outcome is not known, and whenever what the
//! ConfigMaps and Secrets hold that it names has to be read.
//!
//! Every read is a consistent one (resourceVersion unset), so what a list doesn't show at its version is gone.
//! Called by the service controller, which plans the service again afterwards.

use std::{collections::BTreeSet, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use borealis_core::model::{JobKind, Uid};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Pod, Secret},
};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{DeserializeGuard, ObjectList},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::warn;

use super::{
    Index, Kind, contents::Known, feed::Feed, lean::StoredRevision, meta, stamp::Version, streams::PAGE,
};
use crate::{
    JobKey,
    api::{
        AnyJob, AnyService, AuroraUpdate, labels,
        references::{ConfigSource, SourceKind},
        snapshot::Content,
    },
    metrics::{Metrics, Verb},
};

/// How long the reads may take in all.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// How a read is tried again by itself: all of a service's reads have to succeed, so one that fails now and then would have
/// them fail for long.
const AGAIN: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_secs(1))
    .with_max_times(4)
    .with_jitter();

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
    /// The API server did not give an object that the service names.
    #[error("reading {what} failed: {source}")]
    Content {
        /// Which.
        what: ConfigSource,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// What an object holds can't be hashed, or it has no resourceVersion.
    #[error("{what} can't be used: {why}")]
    Unusable {
        /// Which.
        what: ConfigSource,
        /// Why.
        why: String,
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
pub(super) struct Listed<K> {
    pub(super) version: Version,
    pub(super) objects: Vec<K>,
}

/// All that was read of a service or job, oldest first.
pub(super) struct Read {
    pub(super) job: JobRead,
    pub(super) pods: Listed<Pod>,
}

/// The job itself, and what a service has besides.
pub(super) enum JobRead {
    Service {
        service: Listed<AnyService>,
        revisions: Listed<StoredRevision>,
        updates: Listed<DeserializeGuard<AuroraUpdate>>,
    },
    Job(Listed<AnyJob>),
}

/// Reads the service live and takes what was read for what is.
///
/// # Errors
/// When the API server can't be read; the service then stays unsettled.
pub async fn settle(client: &Client, index: &Index, key: &JobKey) -> Result<(), SettleError> {
    timeout(TIMEOUT, async {
        let awaited = index.awaited(key);
        let unsettled = {
            let mut state = awaited.0.lock();
            state.settling();
            state.is_unsettled()
        };
        if unsettled {
            let read = read(client, key, &index.metrics).await?;
            index.take_live(key, &read);
            index.doubt(&awaited.0);
            awaited.0.lock().settled();
            index.metrics.settled();
        }
        let mut failed = None;
        for unread in index.unread(&awaited.0) {
            match read_content(client, key, &unread.0, &index.metrics).await {
                Ok(known) => index.learn_content(key, &unread, known),
                // What runs goes on from its copies: one object that can't be read must not keep it from that.
                Err(error) if index.goes_without(key, &unread) => {
                    warn!(service = %key, %error, "goes on without what can't be read");
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    })
    .await
    .map_err(|_| SettleError::Timeout)?
}

/// Whether an answer may be another in a moment. A server that has too much to do (429) is left alone for longer: the service's
/// own back-off sees to that.
fn passes(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code >= 500)
}

/// Reads an object for the hash of what it holds; the rest of it is dropped at once.
async fn read_content(
    client: &Client,
    key: &JobKey,
    source: &ConfigSource,
    metrics: &Metrics,
) -> Result<Known, SettleError> {
    match source.kind {
        SourceKind::ConfigMap => read_one::<ConfigMap>(client, key, source, metrics).await,
        SourceKind::Secret => read_one::<Secret>(client, key, source, metrics).await,
    }
}

async fn read_one<K>(
    client: &Client,
    key: &JobKey,
    source: &ConfigSource,
    metrics: &Metrics,
) -> Result<Known, SettleError>
where
    K: Content + DeserializeOwned + Clone + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    let ask = async || {
        let answer = api.get(&source.name).await;
        metrics.answered(Verb::get, &answer);
        answer
    };
    let answer = ask.retry(AGAIN).when(passes).await;
    let unusable = |why: String| SettleError::Unusable { what: source.clone(), why };
    match answer {
        Ok(object) => {
            let version = meta::version(object.meta()).map_err(|error| unusable(error.to_string()))?;
            let hash = object.content().map_err(|error| unusable(error.to_string()))?;
            Ok(Known::Held(version, hash))
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Known::Absent),
        // A namespace has to give the right to read its Secrets; ConfigMaps are the operator's everywhere.
        Err(kube::Error::Api(status)) if status.is_forbidden() && K::KIND == SourceKind::Secret => {
            Ok(Known::Denied)
        }
        Err(error) => Err(SettleError::Content { what: source.clone(), source: Box::new(error) }),
    }
}

async fn read(client: &Client, key: &JobKey, metrics: &Metrics) -> Result<Read, SettleError> {
    let ours = ListParams::default().labels(&format!("{}={}", labels::of_kind(key.kind), key.name));
    let itself = ListParams::default().fields(&format!("metadata.name={}", key.name));
    let job = match key.kind {
        JobKind::Service => JobRead::Service {
            service: list(client, &key.namespace, metrics, Kind::Service, itself).await?,
            revisions: list(client, &key.namespace, metrics, Kind::Revision, ours.clone()).await?,
            updates: list(client, &key.namespace, metrics, Kind::Update, ours.clone()).await?,
        },
        JobKind::Job => JobRead::Job(list(client, &key.namespace, metrics, Kind::Job, itself).await?),
    };
    Ok(Read { job, pods: list(client, &key.namespace, metrics, Kind::Pod, ours).await? })
}

impl Index {
    /// Takes what was read live for what is. Answers must be awaited (`await_answers`) since before the read.
    pub(super) fn take_live(&self, key: &JobKey, read: &Read) {
        let Read { job, pods } = read;
        match job {
            JobRead::Service { service, revisions, updates } => {
                self.learn_all(Kind::Service, service);
                self.learn_all(Kind::Revision, revisions);
                self.learn_all(Kind::Update, updates);
            }
            JobRead::Job(job) => self.learn_all(Kind::Job, job),
        }
        self.learn_all(Kind::Pod, pods);
        self.change(key, |slot, state| {
            let epoch = |kind| self.epoch(kind);
            match job {
                JobRead::Service { service, revisions, updates } => {
                    state.service.read_live(service.version, &uids(service), epoch(Kind::Service));
                    state.revisions.read_live(revisions.version, &uids(revisions), epoch(Kind::Revision));
                    state.updates.read_live(updates.version, &uids(updates), epoch(Kind::Update));
                }
                JobRead::Job(job) => {
                    state.service.read_live(job.version, &uids(job), epoch(Kind::Job));
                }
            }
            let removed = state.pods.read_live(pods.version, &uids(pods), epoch(Kind::Pod));
            for task in &removed {
                self.account(slot, Some(task), None);
                state.note(slot.key.kind, Some(task), None, None);
            }
            state.trim_updates();
            state.prune_runs();
            false
        });
    }

    pub(super) fn learn_all<K: Feed>(&self, kind: Kind, listed: &Listed<K>) {
        listed.objects.iter().for_each(|object| self.learn(kind, object));
    }
}

pub(super) fn uids<K: Feed>(listed: &Listed<K>) -> BTreeSet<Uid> {
    listed.objects.iter().filter_map(|object| meta::uid(object.meta()).ok()).collect()
}

pub(super) async fn list<K>(
    client: &Client,
    namespace: &str,
    metrics: &Metrics,
    kind: Kind,
    params: ListParams,
) -> Result<Listed<K>, SettleError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let mut params = params.limit(PAGE);
    let mut objects = Vec::new();
    loop {
        let ask = async || {
            let page: kube::Result<ObjectList<K>> = api.list(&params).await;
            metrics.answered(Verb::list, &page);
            page
        };
        let page = ask.retry(AGAIN).when(passes).await;
        let page = page.map_err(|source| SettleError::List { kind, source: Box::new(source) })?;
        objects.extend(page.items);
        // The pages of one list are of one version; only the last is sure to be followed by none.
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            let version = page.metadata.resource_version.and_then(|text| text.parse().ok());
            return Ok(Listed { version: version.ok_or(SettleError::Version { kind })?, objects });
        }
    }
}

#[cfg(test)]
mod tests;
