//! What a plan does to stored configs and updates: record, mark, begin, remove and adopt them.
//!
//! What is made here says what others do for a long time, so the service is read live before it. An object that
//! exists under a wanted name is taken for ours only if its controller is. Called by `executor`.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use borealis_core::{
    model::{Revision, Uid},
    plan::NewUpdate,
};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource,
    api::{PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    calls::Failed,
    configs::Stored,
    run::{Run, Undone, Whose, delete, merge},
};
use crate::{
    api::{
        AuroraJob, TaskConfig, changes, convert, in_place, labels, revision::controller_revision_name,
        update::update_name,
    },
    metrics::Verb,
};

impl Run<'_> {
    /// Stores the config of the spec, if the spec still says it.
    pub(super) async fn record_revision(&self, revision: Revision, last_good: bool) -> Result<(), Undone> {
        let service = self.live_service().await?;
        let originals = self.originals(&service.spec.references()).await?;
        let config =
            TaskConfig { tracked: originals.tracked.clone(), ..service.spec.task_config(&self.facts.tier) };
        let found = config.revision().map_err(|error| Undone::stale(error.to_string()))?;
        if found != revision {
            // Of Secrets no watch tells, and that of ConfigMaps may be behind.
            if !originals.tracked.is_empty() {
                self.index.unsettle(self.key);
            }
            return Err(Undone::stale(format!("the spec says {found} by now, not {revision}")));
        }
        let number = self.facts.highest_revision + 1;
        let owner = self.job().owner();
        let mut stored = config
            .to_controller_revision(&self.key.namespace, &self.key.name, owner, number)
            .map_err(|error| Undone::stale(error.to_string()))?;
        if last_good {
            let marks = stored.metadata.labels.get_or_insert_default();
            marks.insert(labels::LAST_GOOD.to_owned(), labels::TRUE.to_owned());
        }
        let parameters = PostParams::default();
        let name = controller_revision_name(&self.key.name, revision);
        let created = self.calls.write(Verb::create, |_| self.revisions.create(&parameters, &stored)).await;
        match created {
            Ok(stored) => {
                self.note_write();
                self.index.learn_revision(&stored);
                let uid = stored.metadata.uid.unwrap_or_default();
                let stored = self.configs.put(self.facts.uid, revision, config, uid);
                self.keep_snapshots(revision, &stored, originals).await
            }
            Err(Failed::Exists(_)) => {
                let stored = self.meet_record(&self.revisions, "ControllerRevision", &name).await?;
                self.index.learn_revision(&stored);
                Ok(())
            }
            Err(failed) => Err(self.undone_or_refused("to store the config", &name, &failed)),
        }
    }

    /// Sets or takes away the marks of a stored config.
    pub(super) async fn mark_revision(
        &self,
        revision: Revision,
        last_good: bool,
        failed: bool,
    ) -> Result<(), Undone> {
        let name = controller_revision_name(&self.key.name, revision);
        let mark = |on: bool| if on { Value::from(labels::TRUE) } else { Value::Null };
        let marks = json!({labels::LAST_GOOD: mark(last_good), labels::FAILED: mark(failed)});
        let patch = kube::api::Patch::Merge(json!({"metadata": {"labels": marks}}));
        let parameters = PatchParams::default();
        let patched =
            self.calls.write(Verb::patch, |_| self.revisions.patch(&name, &parameters, &patch)).await;
        match patched {
            Ok(stored) => {
                self.note_write();
                self.index.learn_revision(&stored);
                Ok(())
            }
            Err(failed) => {
                if matches!(failed, Failed::Missing(_)) {
                    self.index.unsettle(self.key);
                }
                Err(self.undone(&format!("marking ControllerRevision {name}"), &failed))
            }
        }
    }

    /// Removes a stored config that nothing names any more.
    pub(super) async fn prune_revision(&self, revision: Revision, uid: Uid) -> Result<(), Undone> {
        let name = controller_revision_name(&self.key.name, revision);
        self.remove(&self.revisions, &name, uid).await?;
        self.index.learn_revision_gone(self.key, uid);
        Ok(())
    }

    /// Takes over a stored config that has no controller.
    pub(super) async fn adopt_revision(&self, revision: Revision, uid: Uid) -> Result<(), Undone> {
        self.live_service().await?;
        let name = controller_revision_name(&self.key.name, revision);
        match self.adopt(&self.revisions, &name, uid).await? {
            Some(stored) => self.index.learn_revision(&stored),
            None => self.index.learn_revision_gone(self.key, uid),
        }
        Ok(())
    }

    /// Begins an update, if the spec is still the one it was planned from.
    pub(super) async fn start_update(&self, new: &NewUpdate) -> Result<(), Undone> {
        let service = self.live_service().await?;
        if service.metadata.generation != Some(self.facts.generation) {
            return Err(Undone::stale("the spec has changed since the update was planned"));
        }
        // An update ends tasks before it makes others: what those need is there, or it does not begin.
        if let Some((to, _)) = new.instructions.to.as_ref().filter(|_| new.instructions.takes_back.is_none())
        {
            self.config(*to).await?;
        }
        let changes = self.changes(new).await?;
        let mut new = new.clone();
        new.instructions.in_place = self.changeable(&new).await?;
        let new = &new;
        let update = convert::new_update(&service.metadata, self.job().owner(), new, changes);
        let parameters = PostParams::default();
        let name = update_name(&self.key.name, new.number);
        match self.calls.write(Verb::create, |_| self.updates.create(&parameters, &update)).await {
            Ok(update) => {
                self.note_write();
                self.index.learn_update(&update);
                Ok(())
            }
            Err(Failed::Exists(_)) => {
                let update = self.meet_record(&self.updates, "AuroraUpdate", &name).await?;
                self.index.learn_update(&update);
                // Whoever made it may have planned something else: what to do next hangs on what it says.
                Err(Undone::stale(format!("AuroraUpdate {name} is there already")))
            }
            Err(failed) => Err(self.undone_or_refused("the AuroraUpdate", &name, &failed)),
        }
    }

    /// What the update changes, for people: best effort, since a config of before may be gone.
    async fn changes(&self, new: &NewUpdate) -> Result<Vec<String>, Undone> {
        let most = new.instructions.from.iter().max_by_key(|(_, instances)| instances.len());
        let (Some((from, _)), Some((to, _))) = (most, &new.instructions.to) else { return Ok(Vec::new()) };
        // An update that takes another back only goes back, from what it names as its end.
        let (from, to) = if new.instructions.takes_back.is_some() { (to, from) } else { (from, to) };
        let mut configs = Vec::new();
        for revision in [from, to] {
            match self.readable_config(*revision).await? {
                Some(stored) => configs.push(stored),
                None => return Ok(Vec::new()),
            }
        }
        let [from, to] = configs.as_slice() else { return Ok(Vec::new()) };
        changes(&from.config, &to.config).map_err(|error| Undone::stale(error.to_string()))
    }

    /// The configs that Pods can change out of and into in place. What is not there is not among them.
    async fn changeable(&self, new: &NewUpdate) -> Result<Vec<Revision>, Undone> {
        let Some((to, _)) = new.instructions.to.as_ref().filter(|_| new.settings.in_place) else {
            return Ok(Vec::new());
        };
        let Some(goal) = self.config_at_hand(*to).await? else { return Ok(Vec::new()) };
        let sides = new.instructions.from.iter().chain(&new.instructions.base);
        let others: BTreeSet<Revision> = sides.map(|(revision, _)| *revision).filter(|it| it != to).collect();
        let mut found = Vec::new();
        for revision in others {
            let Some(stored) = self.config_at_hand(revision).await? else { continue };
            if in_place::is_between(&stored.config, &goal.config).unwrap_or(false) {
                found.push(revision);
            }
        }
        Ok(found)
    }

    /// A stored config, if it is there. That it can't be read now must not decide how a whole update goes.
    async fn config_at_hand(&self, revision: Revision) -> Result<Option<Arc<Stored>>, Undone> {
        match self.stored_config(revision).await {
            Err(Undone::Refused(_)) => Ok(None),
            found => found,
        }
    }

    /// A stored config, if it is there and can be read now.
    async fn readable_config(&self, revision: Revision) -> Result<Option<Arc<Stored>>, Undone> {
        match self.stored_config(revision).await {
            Ok(config) => Ok(config),
            Err(Undone::Fenced) => Err(Undone::Fenced),
            Err(_) => Ok(None),
        }
    }

    /// Removes an update of long ago.
    pub(super) async fn prune_update(&self, number: u32, uid: Uid) -> Result<(), Undone> {
        self.remove(&self.updates, &update_name(&self.key.name, number), uid).await?;
        self.index.learn_update_gone(self.key, uid);
        Ok(())
    }

    /// Takes over an update that has no controller.
    pub(super) async fn adopt_update(&self, number: u32, uid: Uid) -> Result<(), Undone> {
        self.live_service().await?;
        match self.adopt(&self.updates, &update_name(&self.key.name, number), uid).await? {
            Some(update) => self.index.learn_update(&update),
            None => self.index.learn_update_gone(self.key, uid),
        }
        Ok(())
    }

    /// Makes the service the controller of an object that has none. `None` when there is no such object any more.
    ///
    /// The object is read live and patched at just that version: its other owners stay.
    pub(super) async fn adopt<K>(&self, api: &Api<K>, name: &str, uid: Uid) -> Result<Option<K>, Undone>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let what = format!("adopting {} {name}", K::kind(&()));
        let object = match self.calls.read(Verb::get, api.get_metadata(name)).await {
            Ok(object) => object,
            Err(Failed::Missing(_)) => return Ok(None),
            Err(failed) => return Err(self.undone(&what, &failed)),
        };
        let uid = uid.to_string();
        if object.metadata.uid.as_ref() != Some(&uid) {
            return Ok(None);
        }
        if self.whose(&object.metadata) == Whose::Foreign {
            return Err(self.name_conflict(&K::kind(&()), name));
        }
        let mut owners = object.metadata.owner_references.unwrap_or_default();
        owners.retain(|owner| owner.uid != self.uid);
        owners.push(self.job().owner());
        let body = json!({"metadata": {
            "ownerReferences": owners,
            "resourceVersion": object.metadata.resource_version,
        }});
        let (patch, parameters) = (merge(&uid, body), PatchParams::default());
        match self.calls.write(Verb::patch, |_| api.patch(name, &parameters, &patch)).await {
            Ok(adopted) => {
                self.note_write();
                Ok(Some(adopted))
            }
            Err(Failed::Missing(_)) => Ok(None),
            Err(failed) => Err(self.undone(&what, &failed)),
        }
    }

    /// An object of a wanted name is there; it is only ours if the service controls it.
    async fn meet_record<K>(&self, api: &Api<K>, kind: &str, name: &str) -> Result<K, Undone>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let read = self.calls.read(Verb::get, api.get(name)).await;
        let object = read.map_err(|failed| {
            self.index.unsettle(self.key);
            self.undone(&format!("reading {kind} {name}, which exists"), &failed)
        })?;
        match self.whose(object.meta()) {
            Whose::Ours => Ok(object),
            Whose::Nobodys | Whose::Foreign => Err(self.name_conflict(kind, name)),
        }
    }

    /// Removes the job itself, and its Pods with it.
    pub(super) async fn remove_job(&self, uid: Uid) -> Result<(), Undone> {
        self.remove(&self.objects::<AuroraJob>(), &self.key.name, uid).await
    }

    /// Deletes the object of this uid; that it is gone already is as good.
    pub(super) async fn remove<K>(&self, api: &Api<K>, name: &str, uid: Uid) -> Result<(), Undone>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let uid = uid.to_string();
        let failed = match self
            .calls
            .write(Verb::delete, |_| async { api.delete(name, &delete(uid.clone())).await })
            .await
        {
            Ok(_) => {
                self.note_write();
                return Ok(());
            }
            Err(Failed::Missing(_)) => return Ok(()),
            Err(failed) => failed,
        };
        if matches!(failed, Failed::Conflict(_)) && self.is_another(api, name, &uid).await? {
            return Ok(());
        }
        Err(self.undone(&format!("deleting {} {name}", K::kind(&())), &failed))
    }

    /// Whether there is another object than that of this uid under the name, or none.
    pub(super) async fn is_another<K>(&self, api: &Api<K>, name: &str, uid: &str) -> Result<bool, Undone>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        match self.calls.read(Verb::get, api.get_metadata(name)).await {
            Ok(found) => Ok(found.metadata.uid.as_deref() != Some(uid)),
            Err(Failed::Missing(_)) => Ok(true),
            Err(failed) => Err(self.undone(&format!("reading {} {name}", K::kind(&())), &failed)),
        }
    }
}
