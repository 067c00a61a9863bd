//! One plan being carried out: what its actions share, and what a failure of one means for the plan.
//!
//! Made by `executor` for each plan; `tasks`, `records`, `upkeep` and `status` are its verbs. It keeps nothing
//! beyond the plan.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use borealis_core::{
    model::{JobKind, Revision, reasons},
    plan::Problem,
};
use k8s_openapi::{
    api::{
        apps::v1::ControllerRevision,
        core::v1::{ConfigMap, Pod, Secret},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, Preconditions},
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tracing::{debug, warn};

use super::{
    Facts, Learn, Outcome,
    calls::{Calls, Failed},
    configs::{Configs, Stored},
    pods::Job,
    snapshots::Originals,
};
use crate::{
    JobKey,
    api::{
        Any, AuroraJob, AuroraService, AuroraUpdate, JobObject, TaskConfig,
        revision::controller_revision_name,
    },
    index::Node,
    metrics::Verb,
};

/// How long an apiserver may take to see the Lease change; the fence settles who is right meanwhile.
const TERM_LAG: Duration = Duration::from_millis(500);

/// Why an action was not carried out.
#[derive(Debug)]
pub(super) enum Undone {
    /// We may not write any more.
    Fenced,
    /// It has to be planned anew.
    Retry { after: Option<Duration>, why: String },
    /// The API server won't have it.
    Refused(Problem),
}

impl Undone {
    /// What a failed call means for a plan; the caller sees to what has to be read live.
    pub(super) fn of(calls: &Calls, key: &impl Display, what: &str, failed: &Failed) -> Self {
        let why = format!("{what}: {failed}");
        debug!(%key, why, "not carried out");
        match failed {
            Failed::Fenced => Self::Fenced,
            Failed::Term(_) if calls.term().is_none() => Self::Fenced,
            Failed::Term(_) => Self::Retry { after: Some(TERM_LAG), why },
            Failed::Busy { after, .. } => Self::Retry { after: *after, why },
            // Nobody's spec is at fault where we lack a right that is ours.
            Failed::Unknown(_)
            | Failed::Missing(_)
            | Failed::Conflict(_)
            | Failed::Exists(_)
            | Failed::Denied(_)
            | Failed::Refused(_) => Self::Retry { after: None, why },
        }
    }

    /// Of two, the one that says more: who must stop, then what a person has to hear, then the later retry.
    pub(super) fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fenced, _) | (_, Self::Fenced) => Self::Fenced,
            (refused @ Self::Refused(_), _) | (_, refused @ Self::Refused(_)) => refused,
            // Without a time it is a failure, with one merely a wait.
            (retry @ Self::Retry { after: None, .. }, _) | (_, retry @ Self::Retry { after: None, .. }) => {
                retry
            }
            (Self::Retry { after, why }, Self::Retry { after: other, .. }) => {
                Self::Retry { after: after.max(other), why }
            }
        }
    }

    /// A failure, but for what has only to wait for its time.
    pub(super) fn unless_merely_early(self) -> Result<(), Self> {
        match self {
            Self::Retry { after: Some(_), .. } => Ok(()),
            undone => Err(undone),
        }
    }

    /// Something is not as the plan supposed.
    pub(super) fn stale(why: impl Into<String>) -> Self {
        Self::Retry { after: None, why: why.into() }
    }
}

impl From<Result<bool, Undone>> for Outcome {
    fn from(carried_out: Result<bool, Undone>) -> Self {
        match carried_out {
            Ok(wrote) => Self::Done { wrote },
            Err(Undone::Fenced) => Self::Fenced,
            Err(Undone::Retry { after, why }) => Self::Retry { after, why },
            Err(Undone::Refused(problem)) => Self::Refused { problem },
        }
    }
}

/// What all actions of a plan share.
pub(super) struct Run<'a> {
    pub(super) calls: &'a Calls,
    pub(super) index: &'a dyn Learn,
    pub(super) configs: &'a Configs,
    pub(super) key: &'a JobKey,
    pub(super) facts: &'a Facts,
    /// The uid of the service or job as the API writes it.
    pub(super) uid: String,
    client: kube::Client,
    pub(super) pods: Api<Pod>,
    pub(super) revisions: Api<ControllerRevision>,
    pub(super) updates: Api<AuroraUpdate>,
    pub(super) maps: Api<ConfigMap>,
    pub(super) secrets: Api<Secret>,
    pub(super) nodes: Api<Node>,
    /// The service as it stands now, once an action had to know.
    live: OnceCell<AuroraService>,
    wrote: AtomicBool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        client: &kube::Client,
        calls: &'a Calls,
        index: &'a dyn Learn,
        configs: &'a Configs,
        key: &'a JobKey,
        facts: &'a Facts,
    ) -> Self {
        Self {
            calls,
            index,
            configs,
            key,
            facts,
            uid: facts.uid.to_string(),
            client: client.clone(),
            pods: Api::namespaced(client.clone(), &key.namespace),
            revisions: Api::namespaced(client.clone(), &key.namespace),
            updates: Api::namespaced(client.clone(), &key.namespace),
            maps: Api::namespaced(client.clone(), &key.namespace),
            secrets: Api::namespaced(client.clone(), &key.namespace),
            nodes: Api::all(client.clone()),
            live: OnceCell::new(),
            wrote: AtomicBool::new(false),
        }
    }

    pub(super) fn wrote(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// Remembers that a write went through.
    pub(super) fn note_write(&self) {
        self.wrote.store(true, Ordering::Relaxed);
    }

    pub(super) fn job(&self) -> Job<'_> {
        Job {
            kind: self.key.kind,
            scheduled: self.facts.scheduled,
            namespace: &self.key.namespace,
            service: &self.key.name,
            uid: &self.uid,
            key: &self.facts.job_key,
            role: &self.facts.role,
        }
    }

    /// The service, read live: still the one the plan was made for, and not being deleted.
    pub(super) async fn live_service(&self) -> Result<&AuroraService, Undone> {
        self.live.get_or_try_init(|| self.live()).await
    }

    async fn live<K: JobObject>(&self) -> Result<K, Undone> {
        let what = self.what();
        let read = self.calls.read(Verb::get, self.objects::<K>().get(&self.key.name)).await;
        let object = match read.map_err(|failed| self.undone(&format!("reading the {what}"), &failed))? {
            Any::Readable(object) => *object,
            Any::Unreadable { error, .. } => {
                return Err(Undone::stale(format!("the {what} can't be read: {error}")));
            }
        };
        if object.meta().uid.as_deref() != Some(&*self.uid) {
            return Err(Undone::stale(format!("the {what} was made anew meanwhile")));
        }
        if object.meta().deletion_timestamp.is_some() {
            return Err(Undone::stale(format!("the {what} is being deleted")));
        }
        Ok(object)
    }

    /// The objects that are jobs of this kind, in the namespace.
    pub(super) fn objects<K: JobObject>(&self) -> Api<Any<K>> {
        Api::namespaced(self.client.clone(), &self.key.namespace)
    }

    /// What the job is, in a word.
    fn what(&self) -> &'static str {
        match self.key.kind {
            JobKind::Service => "service",
            JobKind::Job => "job",
        }
    }

    /// The config of this name, which the plan supposes to be there, with all that its Pods use.
    pub(super) async fn config(&self, revision: Revision) -> Result<Arc<Stored>, Undone> {
        if self.key.kind == JobKind::Job {
            return self.job_config(revision).await;
        }
        let stored = self.stored_config(revision).await?.ok_or_else(|| {
            self.index.unsettle(self.key);
            Undone::stale(format!("config {revision} is not stored any more"))
        })?;
        self.keep_snapshots(revision, &stored, Originals::default()).await?;
        Ok(stored)
    }

    /// The config of a job. It is stored nowhere but in its spec, where it can't be changed.
    async fn job_config(&self, revision: Revision) -> Result<Arc<Stored>, Undone> {
        if let Some(config) = self.configs.get(self.facts.uid, revision) {
            return Ok(config);
        }
        let job = self.live::<AuroraJob>().await?;
        let config = job.spec.task().config(&self.facts.tier);
        let found = config.revision().map_err(|error| Undone::stale(error.to_string()))?;
        if found != revision {
            return Err(Undone::stale(format!("the spec says {found} by now, not {revision}")));
        }
        Ok(self.configs.put(self.facts.uid, revision, config, String::new()))
    }

    /// The stored config of this name, if there is one.
    pub(super) async fn stored_config(&self, revision: Revision) -> Result<Option<Arc<Stored>>, Undone> {
        if let Some(config) = self.configs.get(self.facts.uid, revision) {
            return Ok(Some(config));
        }
        let name = controller_revision_name(&self.key.name, revision);
        let stored = match self.calls.read(Verb::get, self.revisions.get(&name)).await {
            Ok(stored) => stored,
            Err(Failed::Missing(_)) => return Ok(None),
            Err(failed) => return Err(self.undone("reading the stored config", &failed)),
        };
        if self.whose(&stored.metadata) == Whose::Foreign {
            return Err(self.name_conflict("ControllerRevision", &name));
        }
        match TaskConfig::from_controller_revision(&stored) {
            Ok((found, config)) if found == revision => {
                let uid = stored.metadata.uid.unwrap_or_default();
                Ok(Some(self.configs.put(self.facts.uid, revision, config, uid)))
            }
            Ok((found, _)) => {
                Err(self
                    .unreadable(&format!("ControllerRevision {name} holds {found} instead of {revision}")))
            }
            Err(error) => Err(self.unreadable(&error.to_string())),
        }
    }

    fn unreadable(&self, what: &str) -> Undone {
        let message = format!("{what}; delete it, and change the spec to store the config anew");
        warn!(service = %self.key, message, "a stored config can't be used");
        Undone::Refused(Problem { reason: reasons::INVALID_SPEC, message, blocks: false })
    }

    /// Whose an object is.
    pub(super) fn whose(&self, meta: &ObjectMeta) -> Whose {
        let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        match controller {
            Some(owner) if owner.uid == self.uid => Whose::Ours,
            Some(_) => Whose::Foreign,
            None => Whose::Nobodys,
        }
    }

    /// An object that is not ours has a name we need. It is never touched.
    pub(super) fn name_conflict(&self, kind: &str, name: &str) -> Undone {
        let (namespace, what) = (&self.key.namespace, self.what());
        let message = format!(
            "{kind} {namespace}/{name} is not this {what}'s, and its name is needed; remove it, or rename the {what}"
        );
        Undone::Refused(Problem { reason: reasons::NAME_CONFLICT, message, blocks: false })
    }

    /// What a failure means for the plan. Where the outcome is not known the index is told to look.
    pub(super) fn undone(&self, what: &str, failed: &Failed) -> Undone {
        if let Failed::Unknown(_) = failed {
            self.index.unsettle(self.key);
        }
        Undone::of(self.calls, self.key, what, failed)
    }

    /// As `undone`, for what the user's spec asks for: a refusal is told to the user.
    ///
    /// The name is taken out of the words, so that the same refusal of many Pods is the same problem.
    pub(super) fn undone_or_refused(&self, what: &str, name: &str, failed: &Failed) -> Undone {
        if let Failed::Refused(words) = failed {
            let any = format!("{}-*", self.key.name);
            let words = if name == &*self.key.name { words.clone() } else { words.replace(name, &any) };
            let message = format!("The API server refuses {what}: {words}");
            return Undone::Refused(Problem { reason: reasons::TEMPLATE_REFUSED, message, blocks: false });
        }
        self.undone(&format!("creating or changing {what} {name}"), failed)
    }
}

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The service controls it.
    Ours,
    /// Something else does.
    Foreign,
    /// Nothing does.
    Nobodys,
}

/// A merge patch that only applies to the object of this uid.
pub(super) fn merge(uid: &str, mut body: Value) -> Patch<Value> {
    body["metadata"]["uid"] = Value::from(uid);
    Patch::Merge(body)
}

/// A patch of the whole status, for the object of this uid at this resourceVersion only.
///
/// A merge patch would leave behind what the new status no longer says.
pub(super) fn replace_status(
    uid: &str,
    resource_version: &str,
    status: &Value,
) -> Result<Patch<Value>, Failed> {
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/metadata/resourceVersion", "value": resource_version},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let patch = serde_json::from_value(operations);
    patch.map(Patch::Json).map_err(|error| Failed::Busy { after: None, why: error.to_string() })
}

/// A deletion of the object of this uid only, with its own grace.
pub(super) fn delete(uid: String) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid: Some(uid), resource_version: None })
}
