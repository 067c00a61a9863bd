//! The copies of ConfigMaps and Secrets that the Pods of a config use: made with the config, seen to before a Pod.
//!
//! A copy is only ever made from an original that holds what the config says, and is taken for one only if it belongs
//! to the stored config and holds the same; so a Pod of a config finds what that config was tried with, or is not
//! made. Nothing here changes or removes an object: a copy goes with the stored config, by garbage collection. Called
//! by `run` and `records`.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use borealis_core::{
    model::{Revision, reasons},
    plan::Problem,
};
use k8s_openapi::{
    api::{
        apps::v1::ControllerRevision,
        core::v1::{ConfigMap, Secret},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Resource, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tracing::{debug, info};

use super::{
    calls::Failed,
    configs::Stored,
    run::{Run, Undone},
};
use crate::{
    api::{
        references::{ConfigSource, Reference, SourceKind},
        snapshot::{Content, snapshot_metadata, snapshot_name},
    },
    metrics::Verb,
};

/// How long copies are taken to be there that were seen.
const FRESH: Duration = Duration::from_secs(60);
/// How long garbage collection is given to remove the copies of a config that was stored before under the same name.
const COLLECTION: Duration = Duration::from_secs(2);

/// What is read here as a whole.
trait Held: Content + Serialize + DeserializeOwned + Clone + Debug {}
impl Held for ConfigMap {}
impl Held for Secret {}

/// Originals that were read when a config was put together.
#[derive(Default)]
pub(super) struct Originals {
    maps: BTreeMap<ConfigSource, ConfigMap>,
    secrets: BTreeMap<ConfigSource, Secret>,
    /// What they hold, as a config says it.
    pub(super) tracked: BTreeMap<String, String>,
}

/// Whose an object under the name of a copy is.
enum Standing {
    /// The stored config's.
    Ours,
    /// That of a config which was stored under this name before.
    Former,
    /// Somebody else's.
    Foreign,
}

impl Run<'_> {
    /// Reads what the spec names. An optional one that is not there is left out.
    pub(super) async fn originals(&self, references: &[Reference]) -> Result<Originals, Undone> {
        let mut all = Originals::default();
        for Reference { source, optional } in references {
            let content = match source.kind {
                SourceKind::ConfigMap => self.original(&self.maps, source).await?.map(|map| {
                    let content = map.content();
                    all.maps.insert(source.clone(), map);
                    content
                }),
                SourceKind::Secret => self.original(&self.secrets, source).await?.map(|secret| {
                    let content = secret.content();
                    all.secrets.insert(source.clone(), secret);
                    content
                }),
            };
            match content {
                Some(content) => {
                    let content = content.map_err(|error| Undone::stale(error.to_string()))?;
                    all.tracked.insert(source.key(), content.to_string());
                }
                None if *optional => {}
                // The next plan says it.
                None => {
                    self.index.unsettle(self.key);
                    return Err(Undone::stale(format!("{source} is gone")));
                }
            }
        }
        Ok(all)
    }

    /// Sees to it that all copies are there that the Pods of the config use.
    pub(super) async fn keep_snapshots(
        &self,
        revision: Revision,
        stored: &Stored,
        originals: Originals,
    ) -> Result<(), Undone> {
        if stored.config.tracked.is_empty() {
            return Ok(());
        }
        let mut seen = stored.seen.lock().await;
        if seen.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let Originals { mut maps, mut secrets, tracked: _ } = originals;
        for (key, content) in &stored.config.tracked {
            let copy = Snapshot { revision, stored: &stored.uid, content };
            match ConfigSource::from_key(key) {
                Some(source) if source.kind == SourceKind::ConfigMap => {
                    self.keep_snapshot(&self.maps, &source, maps.remove(&source), copy).await?;
                }
                Some(source) => {
                    self.keep_snapshot(&self.secrets, &source, secrets.remove(&source), copy).await?;
                }
                None => return Err(self.lacks(format!("config {revision} names {key}, which is no object"))),
            }
        }
        *seen = Some(Instant::now());
        Ok(())
    }

    async fn keep_snapshot<K: Held>(
        &self,
        api: &Api<K>,
        source: &ConfigSource,
        original: Option<K>,
        copy: Snapshot<'_>,
    ) -> Result<(), Undone> {
        let name = snapshot_name(source, &self.key.name, copy.revision);
        let snapshot = ConfigSource { kind: source.kind, name: name.as_str().into() };
        match self.calls.read(Verb::get, api.get(&name)).await {
            Ok(found) => return self.check(&found, source, &name, copy),
            Err(Failed::Missing(_)) => {}
            // The right was taken away since the copy was made. What runs is to go on, and the kubelet starts no
            // container without it.
            Err(Failed::Denied(why)) if K::KIND == SourceKind::Secret && original.is_none() => {
                debug!(service = %self.key, name, why, "a snapshot can't be looked at; it is taken to be there");
                return Ok(());
            }
            Err(failed) => {
                let denied = self.denied_or(source, &failed);
                return Err(denied.unwrap_or_else(|| self.undone(&format!("reading {snapshot}"), &failed)));
            }
        }
        let original = match original {
            Some(original) => Some(original),
            None => self.original(api, source).await?,
        };
        let Some(original) = original else {
            return Err(self.lost(source, &name, copy, "does not exist any more"));
        };
        if !holds(&original, copy)? {
            return Err(self.lost(source, &name, copy, "holds something else by now"));
        }
        let metadata =
            snapshot_metadata(source, &self.key.namespace, &self.key.name, copy.revision, copy.stored);
        let wanted = original.copied(metadata);
        let parameters = PostParams::default();
        match self.calls.write(Verb::create, |_| api.create(&parameters, &wanted)).await {
            Ok(_) => {
                self.note_write();
                info!(service = %self.key, %source, name, "made a snapshot");
                Ok(())
            }
            Err(Failed::Exists(_)) => Err(Undone::stale(format!("{snapshot} is there already"))),
            Err(failed) => Err(self.denied_or(source, &failed).unwrap_or_else(|| {
                self.undone_or_refused(&format!("the snapshot of {source}"), &name, &failed)
            })),
        }
    }

    /// Whether what is there under the copy's name is the copy.
    fn check<K: Held>(
        &self,
        found: &K,
        source: &ConfigSource,
        name: &str,
        copy: Snapshot<'_>,
    ) -> Result<(), Undone> {
        match standing(found.meta(), copy) {
            Standing::Ours if holds(found, copy)? => Ok(()),
            Standing::Ours => Err(self.lacks(format!(
                "{} {}/{name}, the snapshot of {source} that config {} uses, holds something else than it did; delete \
                 it, so that it is made again from {source} if that still holds the same, or change the config",
                source.kind, self.key.namespace, copy.revision
            ))),
            Standing::Former => {
                self.configs.forget(self.facts.uid, copy.revision);
                let why = format!("{} {name} belongs to a config that was removed; it goes soon", source.kind);
                Err(Undone::Retry { after: Some(COLLECTION), why })
            }
            Standing::Foreign => Err(self.name_conflict(&source.kind.to_string(), name)),
        }
    }

    /// Reads an object, if it is there.
    async fn original<K: Held>(&self, api: &Api<K>, source: &ConfigSource) -> Result<Option<K>, Undone> {
        match self.calls.read(Verb::get, api.get(&source.name)).await {
            Ok(found) => Ok(Some(found)),
            Err(Failed::Missing(_)) => Ok(None),
            Err(failed) => Err(self
                .denied_or(source, &failed)
                .unwrap_or_else(|| self.undone(&format!("reading {source}"), &failed))),
        }
    }

    /// That the right to Secrets is missing, which a namespace gives or not.
    fn denied_or(&self, source: &ConfigSource, failed: &Failed) -> Option<Undone> {
        let Failed::Denied(words) = failed else { return None };
        (source.kind == SourceKind::Secret).then(|| {
            let message = format!(
                "{words}; spec.update.trackConfig asks for it: give the operator's account a Role in namespace {} with \
                 get and create on secrets, or set trackConfig to ConfigMaps",
                self.key.namespace
            );
            Undone::Refused(Problem { reason: reasons::CONFIG_DENIED, message, blocks: false })
        })
    }

    fn lost(&self, source: &ConfigSource, name: &str, copy: Snapshot<'_>, what: &str) -> Undone {
        let revision = copy.revision;
        self.lacks(format!(
            "no Pod of config {revision} can be made: its snapshot {} {}/{name} is gone, and {source} {what}; bring back \
             what {source} held, or change the config",
            source.kind, self.key.namespace
        ))
    }

    fn lacks(&self, message: String) -> Undone {
        Undone::Refused(Problem { reason: reasons::CONFIG_MISSING, message, blocks: false })
    }
}

/// What a copy is to be.
#[derive(Clone, Copy)]
struct Snapshot<'a> {
    revision: Revision,
    /// The uid of the ControllerRevision it belongs to.
    stored: &'a str,
    /// The hash of what it holds.
    content: &'a str,
}

fn holds<K: Held>(object: &K, copy: Snapshot<'_>) -> Result<bool, Undone> {
    let content = object.content().map_err(|error| Undone::stale(error.to_string()))?;
    Ok(content.to_string() == copy.content)
}

fn standing(meta: &ObjectMeta, copy: Snapshot<'_>) -> Standing {
    let mut owners = meta.owner_references.iter().flatten();
    match owners.find(|owner| owner.controller == Some(true)) {
        Some(owner) if owner.uid == copy.stored => Standing::Ours,
        Some(owner)
            if owner.kind == ControllerRevision::kind(&())
                && owner.api_version == ControllerRevision::api_version(&())
                && meta.name.as_deref().is_some_and(|name| name.ends_with(&owner.name)) =>
        {
            Standing::Former
        }
        Some(_) | None => Standing::Foreign,
    }
}
