//! What one scenario works with: a namespace of its own in the shared world, and the things scenarios do often.
//!
//! Made by `runner` for each scenario. `asks` has the waits and reads that several scenarios share.

mod asks;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    cron::Cron,
    kube_api::FIELD_MANAGER,
    observer::{Entry, Facts, Mark},
    service::Service,
    world::World,
};

/// One scenario's view of the world.
#[derive(Clone)]
pub struct Scene {
    /// What all scenarios share.
    pub world: Arc<World>,
    /// Its own namespace, named after the scenario.
    pub namespace: String,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    /// A scene in a new namespace of this name.
    ///
    /// # Errors
    /// When the namespace can't be made.
    pub async fn open(world: Arc<World>, name: &str) -> Result<Self> {
        world.kube.make_namespace(name).await?;
        Ok(Self { world, namespace: name.to_owned(), notes: Arc::default() })
    }

    /// Adds something that was measured to the report.
    pub fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// What was noted.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies a service or job as `kubectl apply --server-side` does.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn apply(&self, service: &Service) -> Result<Value> {
        let kube = &self.world.kube;
        let all = match service.kind() {
            "AuroraJob" => kube.jobs(&self.namespace),
            _ => kube.services(&self.namespace),
        };
        put(&all, service.name(), &service.manifest(&self.namespace)).await
    }

    /// The same for a cron.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn apply_cron(&self, cron: &Cron) -> Result<Value> {
        put(&self.world.kube.crons(&self.namespace), cron.name(), &cron.manifest(&self.namespace)).await
    }

    /// A job as it is now.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn job(&self, name: &str) -> Result<Value> {
        json_of(self.world.kube.jobs(&self.namespace).get(name).await?)
    }

    /// A cron as it is now.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn cron(&self, name: &str) -> Result<Value> {
        json_of(self.world.kube.crons(&self.namespace).get(name).await?)
    }

    /// A service as it is now.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn service(&self, name: &str) -> Result<Value> {
        json_of(self.world.kube.services(&self.namespace).get(name).await?)
    }

    /// An update of a service as it is now.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn update(&self, service: &str, number: u32) -> Result<Value> {
        json_of(self.world.kube.updates(&self.namespace).get(&update_name(service, number)).await?)
    }

    /// Sets controls of an update, as a person does with `kubectl patch`.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn control(&self, service: &str, number: u32, controls: Value) -> Result<()> {
        let patch = json!({ "spec": { "controls": controls } });
        let updates = self.world.kube.updates(&self.namespace);
        updates.patch(&update_name(service, number), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// Runs kubectl in the namespace.
    ///
    /// # Errors
    /// When it fails.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let all: Vec<&str> =
            ["--namespace", &self.namespace].into_iter().chain(args.iter().copied()).collect();
        self.world.cluster.kubectl(&all).await
    }

    /// Where the witness's record stands now.
    pub fn mark(&self) -> Mark {
        self.world.observer.mark()
    }

    /// What the witness saw of a service since a mark.
    pub fn history(&self, mark: Mark, service: &str) -> Vec<Entry> {
        self.world.observer.ledger().since(mark, &self.namespace, service).cloned().collect()
    }

    /// The live Pods of a service by instance, as the witness has them.
    pub fn live(&self, service: &str) -> Vec<Facts> {
        let ledger = self.world.observer.ledger();
        let of_service = ledger.pods(&self.namespace).into_iter().filter(|pod| pod.key.service == service);
        let mut live: Vec<Facts> = of_service.filter(|pod| pod.is_live()).cloned().collect();
        live.sort_by_key(|pod| (pod.key.instance, pod.run));
        live
    }

    /// Fails when a Pod of the namespace was made, ended or changed since the mark.
    ///
    /// # Errors
    /// When one was.
    pub fn untouched_since(&self, mark: Mark) -> Result<()> {
        let touched = self.world.observer.ledger().touched(mark, &self.namespace);
        anyhow::ensure!(touched.is_empty(), "no Pod should have been touched, but: {}", touched.join("; "));
        Ok(())
    }

    /// The most instances that were down at once since the mark.
    pub fn most_down(&self, mark: Mark, service: &str, instances: u32) -> u32 {
        self.world.observer.ledger().most_down(mark, &self.namespace, service, instances)
    }
}

/// The name of an update.
pub fn update_name(service: &str, number: u32) -> String {
    format!("{service}-{number}")
}

async fn put(all: &Api<DynamicObject>, name: &str, manifest: &Value) -> Result<Value> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied = all.patch(name, &params, &Patch::Apply(manifest)).await;
    json_of(applied.with_context(|| format!("could not apply {name}"))?)
}

fn json_of(object: DynamicObject) -> Result<Value> {
    Ok(serde_json::to_value(object)?)
}
