//! Keeping a service's PodDisruptionBudget and headless Service as they should be.
//!
//! An annotation says what an object was made from; while the index has seen the right one nothing is asked or
//! written. An object of the wanted name that is not the service's is never touched. Called by `executor`.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use borealis_core::model::Uid;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{core::v1::Service, policy::v1::PodDisruptionBudget},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource,
    api::{PatchParams, PostParams},
};
use lru::LruCache;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    calls::Failed,
    children::{build_headless_service, build_pdb, min_available},
    run::{Run, Undone, Whose, delete, merge},
};
use crate::{api::labels, metrics::Verb};

/// The way children are built; another one has them all written again.
const BUILD: u32 = 1;
/// How long the watch may take to show what was written.
const WATCH_LAG: Duration = Duration::from_secs(60);
/// How many children are remembered that long.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(4096) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

/// A kind of children.
trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug
{
}
impl Child for PodDisruptionBudget {}
impl Child for Service {}

/// What was lately found or made right, so that it is not looked at again before the watch has shown it.
pub(super) struct Recent(Mutex<LruCache<(Uid, String), (String, Instant)>>);

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Recent {
    fn has(&self, service: Uid, kind: &str, content: &str) -> bool {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.get(&(service, kind.to_owned()));
        known.is_some_and(|(known, at)| known == content && at.elapsed() < WATCH_LAG)
    }

    fn note(&self, service: Uid, kind: &str, content: String) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.put((service, kind.to_owned()), (content, Instant::now()));
    }
}

impl Run<'_> {
    /// Brings both to what the spec asks for.
    pub(super) async fn keep_children(&self, client: &Client, recent: &Recent) -> Result<(), Undone> {
        let budget = self.keep_budget(client, recent).await;
        self.keep_headless(client, recent).await.and(budget)
    }

    async fn keep_budget(&self, client: &Client, recent: &Recent) -> Result<(), Undone> {
        let minimum = min_available(self.facts.sla.as_ref(), self.facts.instances);
        let content = format!("{BUILD}-{minimum}");
        if self.facts.budget.as_ref() == Some(&content)
            || recent.has(self.facts.uid, "PodDisruptionBudget", &content)
        {
            return Ok(());
        }
        let mut budget = build_pdb(&self.job(), self.facts.sla.as_ref(), self.facts.instances);
        budget.metadata.annotations = Some([(labels::CONTENT.to_owned(), content.clone())].into());
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), &self.key.namespace);
        self.keep(&budgets, &budget, self.facts.budget.is_some(), &content, &[]).await?;
        recent.note(self.facts.uid, "PodDisruptionBudget", content);
        Ok(())
    }

    async fn keep_headless(&self, client: &Client, recent: &Recent) -> Result<(), Undone> {
        let services: Api<Service> = Api::namespaced(client.clone(), &self.key.namespace);
        if !self.facts.discovery {
            return match self.facts.headless {
                Some(_) => self.drop_headless(&services).await,
                None => Ok(()),
            };
        }
        let content = format!("{BUILD}-{}", self.facts.revision);
        if self.facts.headless.as_ref() == Some(&content) || recent.has(self.facts.uid, "Service", &content) {
            return Ok(());
        }
        // Not stored yet, because it may not be acted on: what is there stays meanwhile.
        let Some(config) = self.stored_config(self.facts.revision).await? else { return Ok(()) };
        let mut service = build_headless_service(&self.job(), &config);
        service.metadata.annotations = Some([(labels::CONTENT.to_owned(), content.clone())].into());
        // A config without ports has to take away those of the one before.
        self.keep(&services, &service, self.facts.headless.is_some(), &content, &["ports"]).await?;
        recent.note(self.facts.uid, "Service", content);
        Ok(())
    }

    /// Writes the object as it should be. `exists` is what the index knows; `clear` names fields of the spec that go
    /// when it does not say them.
    async fn keep<K: Child>(
        &self,
        api: &Api<K>,
        wanted: &K,
        exists: bool,
        content: &str,
        clear: &[&str],
    ) -> Result<(), Undone> {
        let (kind, name) = (K::kind(&()), &*self.key.name);
        let parameters = PostParams::default();
        if !exists {
            // Most often that is all: nothing has to be read.
            match self.calls.write(Verb::create, |_| api.create(&parameters, wanted)).await {
                Ok(_) => {
                    self.note_write();
                    return Ok(());
                }
                Err(Failed::Exists(_)) => {}
                Err(failed) => return Err(self.undone_or_refused(&kind, name, &failed)),
            }
        }
        let found = self.own_child(api).await?;
        let is_right = |annotations: &BTreeMap<String, String>| {
            annotations.get(labels::CONTENT).is_some_and(|found| found == content)
        };
        if found.annotations.as_ref().is_some_and(is_right) {
            return Ok(());
        }
        let mut body = serde_json::to_value(wanted).map_err(|error| Undone::stale(error.to_string()))?;
        for field in clear {
            if body["spec"].get(field).is_none() {
                body["spec"][field] = Value::Null;
            }
        }
        let body =
            json!({"metadata": {"annotations": body["metadata"]["annotations"]}, "spec": body["spec"]});
        let patch = merge(&found.uid.unwrap_or_default(), body);
        let parameters = PatchParams::default();
        let patched = self.calls.write(Verb::patch, |_| api.patch(name, &parameters, &patch)).await;
        patched.map_err(|failed| self.undone_or_refused(&kind, name, &failed))?;
        self.note_write();
        Ok(())
    }

    /// The child that is there: the service's, or made so if it was left behind.
    async fn own_child<K: Child>(&self, api: &Api<K>) -> Result<ObjectMeta, Undone> {
        let (kind, name) = (K::kind(&()), &*self.key.name);
        let what = format!("{kind} {name}");
        let read = self.calls.read(Verb::get, api.get_metadata(name)).await;
        let found = read.map_err(|failed| self.undone(&format!("reading {what}"), &failed))?.metadata;
        match self.whose(&found) {
            Whose::Ours => {}
            // Left behind by a service of this name that was deleted without what it owned.
            Whose::Nobodys if self.is_marked(&found) => {
                let uid = found.uid.as_deref().and_then(|uid| uid.parse().ok());
                let uid = uid.ok_or_else(|| Undone::stale(format!("{what} has no uid of its own")))?;
                self.live_service().await?;
                self.adopt(api, name, uid).await?;
            }
            Whose::Nobodys | Whose::Foreign => return Err(self.name_conflict(&kind, name)),
        }
        Ok(found)
    }

    /// Whether an object carries the label that says it was made for a service of this name.
    fn is_marked(&self, found: &ObjectMeta) -> bool {
        found
            .labels
            .as_ref()
            .and_then(|labels| labels.get(labels::SERVICE))
            .is_some_and(|name| **name == *self.key.name)
    }

    /// Removes the headless Service of a service that has no more use for it.
    async fn drop_headless(&self, services: &Api<Service>) -> Result<(), Undone> {
        let name = &*self.key.name;
        let found = match self.calls.read(Verb::get, services.get_metadata(name)).await {
            Ok(found) => found.metadata,
            Err(Failed::Missing(_)) => return Ok(()),
            Err(failed) => return Err(self.undone(&format!("reading Service {name}"), &failed)),
        };
        if self.whose(&found) != Whose::Ours {
            return Ok(());
        }
        let uid = found.uid.unwrap_or_default();
        match self.calls.write(Verb::delete, |_| async { services.delete(name, &delete(uid)).await }).await {
            Ok(_) => {
                self.note_write();
                Ok(())
            }
            Err(Failed::Missing(_) | Failed::Conflict(_)) => Ok(()),
            Err(failed) => Err(self.undone(&format!("deleting Service {name}"), &failed)),
        }
    }
}
