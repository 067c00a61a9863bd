//! Changing a Pod without making it anew: its readiness gate, and the patch that makes another config of it.
//!
//! The Pod is read live and patched at just that version, so a change that comes late meets nothing. What the API server
//! refuses is made anew instead, as without this. Called by `executor`.

use std::collections::BTreeMap;

use borealis_core::{
    model::{Intent, Revision},
    plan::Ended,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, ContainerStatus, Pod, PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tracing::debug;

use super::{
    calls::Failed,
    pods::let_evict,
    run::{Run, Undone},
    tasks::Target,
};
use crate::{
    api::{
        TaskConfig,
        in_place::{Note, RESIZABLE, changed_map},
        labels,
        revision::revision_of,
    },
    metrics::Verb,
};

/// How often a Pod is read again that changes while it is being changed, as a kubelet does that has seen the first part.
const TRIES: u32 = 5;

/// Which change is to be made of a Pod.
#[derive(Debug, Clone, Copy)]
pub(super) struct InPlace {
    /// The config it has.
    pub(super) from: Revision,
    /// The config it shall have.
    pub(super) to: Revision,
    /// The number of the update that wants it.
    pub(super) update: u32,
    /// How it is ended where it can't be changed.
    pub(super) instead: Ended,
}

impl Run<'_> {
    /// Opens or shuts the readiness gate of a Pod.
    pub(super) async fn set_gate(&self, target: Target, open: bool) -> Result<(), Undone> {
        let name = self.name_of(target);
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let (status, reason) = if open { ("True", "Settled") } else { ("False", "ChangingInPlace") };
        let body = json!({
            "metadata": {"uid": target.uid.to_string()},
            "status": {"conditions": [{
                "type": labels::IN_PLACE, "status": status, "reason": reason, "lastTransitionTime": now.to_string(),
            }]},
        });
        let (patch, parameters) = (Patch::Strategic(body), PatchParams::default());
        match self.calls.write(Verb::patch, |_| self.pods.patch_status(&name, &parameters, &patch)).await {
            Ok(pod) => {
                self.note_write();
                self.index.learn_pod(&pod);
                Ok(())
            }
            Err(failed) => self.meet_another(target, "setting the gate of", &failed).await,
        }
    }

    /// Changes a Pod whose gate is shut to another config, or ends it where that can't be done.
    pub(super) async fn change_task(&self, target: Target, change: InPlace) -> Result<(), Undone> {
        let to = self.config(change.to).await?;
        let Some(from) = self.stored_config(change.from).await? else {
            return self.end_task(target, Intent::Kill, change.instead).await;
        };
        let (name, uid) = (self.name_of(target), target.uid.to_string());
        for _ in 0..TRIES {
            let pod = match self.calls.read(Verb::get, self.pods.get(&name)).await {
                Ok(pod) if pod.metadata.uid.as_ref() == Some(&uid) => pod,
                Ok(_) | Err(Failed::Missing(_)) => {
                    self.index.learn_pod_gone(self.key, target.uid);
                    return Ok(());
                }
                Err(failed) => return Err(self.undone(&format!("reading Pod {name}"), &failed)),
            };
            if !is_as_planned(&pod, change.from) {
                self.index.learn_pod(&pod);
                return Err(Undone::stale(format!("Pod {name} has changed since its change was planned")));
            }
            let sent = match patches(&pod, &from.config, &to.config, change) {
                Some(patches) => self.send_patches(&name, patches).await,
                None => Err(Failed::Refused("it can't be changed in place".to_owned())),
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(Failed::Conflict(_)) => {}
                Err(Failed::Refused(why)) => {
                    debug!(service = %self.key, pod = name, why, "made anew instead of changed in place");
                    return self.end_task(target, Intent::Kill, change.instead).await;
                }
                Err(failed) => return self.meet_another(target, "changing", &failed).await,
            }
        }
        Err(Undone::stale(format!("Pod {name} changes too often to be changed")))
    }

    /// Resources first: once the Pod names its new config, nobody would know that they are not yet changed.
    async fn send_patches(&self, name: &str, patches: Patches) -> Result<(), Failed> {
        let Patches { mut version, resize, mut rest } = patches;
        let parameters = PatchParams::default();
        if let Some(operations) = resize {
            let patch = json_patch(at_version(&version, operations))?;
            let resized = self
                .calls
                .write(Verb::patch, |_| self.pods.patch_subresource("resize", name, &parameters, &patch))
                .await?;
            self.note_write();
            version = resized.metadata.resource_version.clone().unwrap_or_default();
            self.index.learn_pod(&resized);
        }
        // A policy compares the term of what changes a Pod's config with the present one.
        let Some(sent_in) = self.calls.term() else { return Err(Failed::Fenced) };
        rest.push(json!({"op": "add", "path": TERM_PATH, "value": sent_in.to_string()}));
        let patch = json_patch(at_version(&version, rest))?;
        let changed = self.calls.write(Verb::patch, |_| self.pods.patch(name, &parameters, &patch)).await?;
        self.note_write();
        self.index.learn_pod(&changed);
        Ok(())
    }
}

/// Where the term stands.
const TERM_PATH: &str = "/metadata/labels/borealis.dev~1term";

/// What changes a Pod, as it was read.
struct Patches {
    /// The version it was read at.
    version: String,
    /// Changes its resources, where those differ.
    resize: Option<Vec<Value>>,
    /// Changes all else, and says so.
    rest: Vec<Value>,
}

/// Whether the Pod still is as the plan supposed: of that config, going on, and nobody is sent to it.
fn is_as_planned(pod: &Pod, from: Revision) -> bool {
    let conditions = || pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    let is = |kind: &str, wanted: &str| {
        conditions().any(|condition| condition.type_ == kind && condition.status == wanted)
    };
    let is_ending = pod.metadata.deletion_timestamp.is_some()
        || pod.metadata.annotations.iter().flatten().any(|(key, _)| key == labels::END_REASON);
    revision_of(pod) == Some(from) && !is_ending && is(labels::IN_PLACE, "False") && !is("Ready", "True")
}

/// What makes one config of the other; `None` where this Pod, or its kubelet, is not up to it.
fn patches(pod: &Pod, from: &TaskConfig, to: &TaskConfig, change: InPlace) -> Option<Patches> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
    // A kubelet that does not say which version of a Pod it has seen can't say when it is done.
    status.observed_generation?;
    let (old, new) = (from.template.spec.as_ref()?, to.template.spec.as_ref()?);
    let (mut restarts, mut rest, mut resize) = (BTreeMap::new(), Vec::new(), Vec::new());
    for container in &new.containers {
        let at = spec.containers.iter().position(|live| live.name == container.name)?;
        let live = &spec.containers[at];
        // The end of what runs now must not be taken for the end of what it is to become.
        let runs = running(status.container_statuses.as_deref(), &container.name)?;
        if live.image != container.image {
            restarts.insert(container.name.clone(), runs.restart_count);
            let path = format!("/spec/containers/{at}/image");
            rest.push(json!({"op": "replace", "path": path, "value": container.image}));
        }
        if resources_of(old, &container.name) != container.resources.as_ref() {
            let value = resized(live, container.resources.as_ref()?);
            resize.push(
                json!({"op": "add", "path": format!("/spec/containers/{at}/resources"), "value": value}),
            );
        }
    }
    let note = Note {
        update: change.update,
        at: Timestamp::from_millisecond(Timestamp::now().as_millisecond()).ok()?,
        restarts,
        resized: !resize.is_empty(),
    };
    let (old, new) = (from.template.metadata.as_ref(), to.template.metadata.as_ref());
    let mut marks = changed_map(
        pod.metadata.labels.as_ref(),
        old.and_then(|old| old.labels.as_ref()),
        new.and_then(|new| new.labels.as_ref()),
    );
    marks.insert(labels::REVISION.to_owned(), change.to.to_string());
    let mut notes = changed_map(
        pod.metadata.annotations.as_ref(),
        old.and_then(|old| old.annotations.as_ref()),
        new.and_then(|new| new.annotations.as_ref()),
    );
    let_evict(&mut notes);
    notes.insert(labels::IN_PLACE.to_owned(), serde_json::to_string(&note).ok()?);
    rest.push(json!({"op": "add", "path": "/metadata/labels", "value": marks}));
    rest.push(json!({"op": "add", "path": "/metadata/annotations", "value": notes}));
    let version = pod.metadata.resource_version.clone()?;
    Some(Patches { version, resize: Some(resize).filter(|resize| !resize.is_empty()), rest })
}

/// The status of a container that runs: of another it can't be told later whether it was started again for its image.
fn running<'a>(statuses: Option<&'a [ContainerStatus]>, name: &str) -> Option<&'a ContainerStatus> {
    let found = statuses?.iter().find(|status| status.name == name)?;
    found.state.as_ref()?.running.as_ref().map(|_| found)
}

fn resources_of<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a ResourceRequirements> {
    spec.containers.iter().find(|container| container.name == name)?.resources.as_ref()
}

/// The resources of a container, with as much CPU and memory as a config says.
fn resized(live: &Container, wanted: &ResourceRequirements) -> ResourceRequirements {
    let mut all = live.resources.clone().unwrap_or_default();
    let amount =
        |side: Option<&BTreeMap<String, Quantity>>, name| side.and_then(|side| side.get(name)).cloned();
    for name in RESIZABLE {
        let (request, limit) = (amount(wanted.requests.as_ref(), name), amount(wanted.limits.as_ref(), name));
        // The API server had filled in a request that was not made: as much as the limit.
        let filled_in = || limit.clone().filter(|_| amount(all.requests.as_ref(), name).is_some());
        let request = request.or_else(filled_in);
        for (side, wanted) in [(&mut all.requests, request), (&mut all.limits, limit.clone())] {
            if let Some(wanted) = wanted {
                side.get_or_insert_default().insert(name.to_owned(), wanted);
            }
        }
    }
    all
}

/// The operations, for the object at this version only.
fn at_version(version: &str, operations: Vec<Value>) -> Vec<Value> {
    let mut all = vec![json!({"op": "add", "path": "/metadata/resourceVersion", "value": version})];
    all.extend(operations);
    all
}

fn json_patch(operations: Vec<Value>) -> Result<Patch<Value>, Failed> {
    let patch = serde_json::from_value(Value::Array(operations));
    patch.map(Patch::Json).map_err(|error| Failed::Busy { after: None, why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_for_the_version_that_was_read() {
        let Patch::Json::<Value>(patch) = json_patch(at_version("7", vec![])).unwrap() else {
            panic!("a JSON patch")
        };
        let mut read = json!({"metadata": {"resourceVersion": "8"}});
        json_patch::patch(&mut read, &patch).unwrap();
        // The API server compares it with the stored one.
        assert_eq!(read, json!({"metadata": {"resourceVersion": "7"}}));
    }

    #[test]
    fn the_path_of_the_term_is_its_labels() {
        assert_eq!(TERM_PATH, format!("/metadata/labels/{}", labels::TERM.replace('/', "~1")));
    }
}
