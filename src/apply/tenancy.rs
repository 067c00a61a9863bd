//! Writing what tenancy becomes: cluster-scoped objects of ours, annotations of namespaces, and statuses.
//!
//! Each write is of one object and stands alone: whoever asks looks again soon, so nothing is tried again here, and what
//! is not known of a write shows then. Fenced, limited and timed like all others. Called by
//! `controller::cluster::tenancy`.

use std::fmt::Debug;

use k8s_openapi::{ClusterResourceScope, api::core::v1::Namespace};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Limits,
    calls::{Calls, Failed},
    run::merge,
};
use crate::{
    api::labels,
    lease::Fence,
    metrics::{Metrics, Verb},
};

/// As whom statuses and policies are applied, so that what others wrote stands beside it.
const FIELD_MANAGER: &str = "borealis-tenancy";

/// A kind that is written here.
pub trait Kind:
    Resource<DynamicType = (), Scope = ClusterResourceScope> + Serialize + DeserializeOwned + Clone + Debug
{
}
impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
{
}

/// The way to write.
pub struct TenancyWriter {
    client: Client,
    calls: Calls,
}

/// What the API server said to a call, or why none was sent.
pub type Refusal = String;

impl TenancyWriter {
    /// A writer that writes while the fence lets it.
    pub fn new(client: Client, limits: Limits, fence: Fence, metrics: Metrics) -> Self {
        // One at a time: it is never urgent, and others are.
        Self { client, calls: Calls::new(fence, 1, limits.call_timeout, metrics) }
    }

    /// All objects of a kind, or those of ours; none where there is no such kind.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn list<K: Kind>(&self, ours: bool) -> Result<Vec<K>, Refusal> {
        let selector = format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_VALUE);
        let params = if ours { ListParams::default().labels(&selector) } else { ListParams::default() };
        let api: Api<K> = Api::all(self.client.clone());
        let listed = self.calls.read(Verb::list, api.list(&params)).await;
        match listed {
            Ok(list) => Ok(list.items),
            // This Kubernetes does not have the kind: whoever needs it hears so when it is written.
            Err(Failed::Missing(_)) => Ok(Vec::new()),
            Err(failed) => Err(failed.to_string()),
        }
    }

    /// Makes an object, and answers as it is now.
    ///
    /// # Errors
    /// When it was not made, or that is not known.
    pub async fn create<K: Kind>(&self, object: &K) -> Result<K, Refusal> {
        let api: Api<K> = Api::all(self.client.clone());
        let parameters = PostParams::default();
        let made = self.calls.write(Verb::create, |_| api.create(&parameters, object)).await;
        made.map_err(|failed| failed.to_string())
    }

    /// Has an object say what this one says, and answers as it is now.
    ///
    /// # Errors
    /// When it does not, or that is not known.
    pub async fn apply<K: Kind>(&self, object: &K) -> Result<K, Refusal> {
        let api: Api<K> = Api::all(self.client.clone());
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let (name, patch) = (object.name_any(), Patch::Apply(object));
        let applied = self.calls.write(Verb::patch, |_| api.patch(&name, &parameters, &patch)).await;
        applied.map_err(|failed| failed.to_string())
    }

    /// Merges this into the object of this name and uid.
    ///
    /// # Errors
    /// When that was not done, or is not known.
    pub async fn merge<K: Kind>(&self, name: &str, uid: &str, body: Value) -> Result<K, Refusal> {
        let api: Api<K> = Api::all(self.client.clone());
        let (parameters, patch) = (PatchParams::default(), merge(uid, body));
        let merged = self.calls.write(Verb::patch, |_| api.patch(name, &parameters, &patch)).await;
        merged.map_err(|failed| failed.to_string())
    }

    /// Sets annotations of a namespace, by its metadata alone.
    ///
    /// # Errors
    /// When that was not done, or is not known.
    pub async fn annotate(&self, name: &str, uid: &str, body: Value) -> Result<(), Refusal> {
        self.merge::<Namespace>(name, uid, body).await.map(drop)
    }

    /// Has the status of an object say this, beside what others have written there.
    ///
    /// # Errors
    /// When it does not, or that is not known.
    pub async fn tell<K: Kind>(&self, name: &str, uid: &str, status: &impl Serialize) -> Result<(), Refusal> {
        let api: Api<K> = Api::all(self.client.clone());
        let body = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()),
            "metadata": {"name": name, "uid": uid}, "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&body);
        let told = self.calls.write(Verb::patch, |_| api.patch_status(name, &parameters, &patch)).await;
        told.map(drop).map_err(|failed| failed.to_string())
    }
}
