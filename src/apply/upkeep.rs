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

use borealis_core::model::{JobKind, Revision, ServiceStatus, Uid};
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
    run::{Run, Undone, Whose, merge},
};
use crate::{api::labels, metrics::Verb};

/// The way children are built; another one has them all written again.
const BUILD: u32 = 1;
/// How the content of a budget ends that its service's spec asks for; the others are a matter of course.
pub const ASKED: &str = "-asked";
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

/// Whether the instances have stable names.
enum Named {
    /// As this config says.
    By(Revision),
    /// Not one of the configs in use says so.
    Not,
    /// One of them is not stored.
    Unknown,
}

impl Run<'_> {
    /// Brings both to what runs and shall run, by the status of the plan.
    ///
    /// A plan without a status is that of a service being deleted: what was made for it now, garbage collection would
    /// have to remove again. A job has no children: who wants a budget on it makes one.
    pub(super) async fn keep_children(
        &self,
        client: &Client,
        recent: &Recent,
        status: Option<&ServiceStatus>,
    ) -> Result<(), Undone> {
        if self.key.kind == JobKind::Job {
            return Ok(());
        }
        let Some(status) = status.filter(|_| !self.facts.blocked) else { return Ok(()) };
        let budget = self.keep_budget(client, recent, status.counts.desired).await;
        self.keep_headless(client, recent, status).await.and(budget)
    }

    /// `instances` is the count the plan holds to, not the spec's: what an update adds has to be proven before it
    /// counts, and what it takes away counts until it is gone, so that a drain neither waits for instances that are
    /// not there nor takes those that still serve.
    async fn keep_budget(&self, client: &Client, recent: &Recent, instances: u32) -> Result<(), Undone> {
        let sla = self.facts.sla.as_ref();
        let asked = if sla.is_some() { ASKED } else { "" };
        let content = format!("{BUILD}-{}{asked}", min_available(sla, instances));
        if self.facts.budget.as_ref() == Some(&content)
            || recent.has(self.facts.uid, "PodDisruptionBudget", &content)
        {
            return Ok(());
        }
        let mut budget = build_pdb(&self.job(), sla, instances);
        budget.metadata.annotations = Some([(labels::CONTENT.to_owned(), content.clone())].into());
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), &self.key.namespace);
        self.keep(&budgets, &budget, self.facts.budget.is_some(), &content, &[]).await?;
        recent.note(self.facts.uid, "PodDisruptionBudget", content);
        Ok(())
    }

    async fn keep_headless(
        &self,
        client: &Client,
        recent: &Recent,
        status: &ServiceStatus,
    ) -> Result<(), Undone> {
        if self.facts.discovery == Some(false) && self.facts.headless.is_none() {
            return Ok(());
        }
        let services: Api<Service> = Api::namespaced(client.clone(), &self.key.namespace);
        let revision = match self.named(status).await? {
            Named::By(revision) => revision,
            Named::Unknown => return Ok(()),
            Named::Not if self.facts.frozen => return Ok(()),
            Named::Not => return self.drop_headless(&services).await,
        };
        let content = format!("{BUILD}-{revision}");
        if self.facts.headless.as_ref() == Some(&content) || recent.has(self.facts.uid, "Service", &content) {
            return Ok(());
        }
        // Not stored yet, because it may not be acted on: what is there stays meanwhile.
        let Some(stored) = self.stored_config(revision).await? else { return Ok(()) };
        let mut service = build_headless_service(&self.job(), &stored.config);
        service.metadata.annotations = Some([(labels::CONTENT.to_owned(), content.clone())].into());
        // A config without ports has to take away those of the one before.
        self.keep(&services, &service, self.facts.headless.is_some(), &content, &["ports"]).await?;
        recent.note(self.facts.uid, "Service", content);
        Ok(())
    }

    /// Which config the names of the instances come from: the last good one before the spec's, which may yet turn out
    /// bad, and then those that still run. Only when none of them asks for names does nobody use them any more.
    async fn named(&self, status: &ServiceStatus) -> Result<Named, Undone> {
        let spec = self.facts.revision;
        let running = status.revisions.iter().map(|(revision, _)| *revision);
        let mut otherwise = Named::Not;
        for revision in status.last_good.into_iter().chain([spec]).chain(running) {
            let has_names = match self.facts.discovery {
                Some(has_names) if revision == spec => Some(has_names),
                _ => self.stored_config(revision).await?.map(|stored| stored.config.discovery),
            };
            match has_names {
                Some(true) => return Ok(Named::By(revision)),
                Some(false) => {}
                None => otherwise = Named::Unknown,
            }
        }
        Ok(otherwise)
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
            // A service that goes, of which the watch has not told yet: its children go before it.
            self.live_service().await?;
            // Most often that is all: nothing there has to be read.
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
        let uid = found.uid.as_deref().and_then(|uid| uid.parse().ok());
        match uid {
            Some(uid) => self.remove(services, name, uid).await,
            None => Err(Undone::stale(format!("Service {name} has no uid of its own"))),
        }
    }
}
