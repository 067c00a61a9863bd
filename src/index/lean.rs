//! Kinds of the API read in part: what the index keeps nothing of is not even decoded.
//!
//! A Node's images and a stored config's data are most of their size. Wire types only; used by `streams` and `feed`.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::ControllerRevision,
        core::v1::{NodeCondition, Taint},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
    },
};
use kube::Resource;
use serde::Deserialize;

/// A Node without its images, addresses and capacity.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Node {
    /// Its metadata.
    pub(super) metadata: ObjectMeta,
    /// The taints of its spec.
    #[serde(default)]
    pub(super) spec: NodeSpec,
    /// The conditions of its status.
    #[serde(default)]
    pub(super) status: NodeStatus,
}

/// The part of a Node's spec that matters here.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct NodeSpec {
    /// Its taints.
    #[serde(default)]
    pub(super) taints: Vec<Taint>,
    /// It takes no new Pods.
    #[serde(default)]
    pub(super) unschedulable: bool,
}

/// The part of a Node's status that matters here.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct NodeStatus {
    /// Its conditions.
    #[serde(default)]
    pub(super) conditions: Vec<NodeCondition>,
    /// What Pods can have of it.
    #[serde(default)]
    pub(super) allocatable: BTreeMap<String, Quantity>,
}

/// A ControllerRevision without its data.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct StoredRevision {
    /// Its metadata.
    pub(super) metadata: ObjectMeta,
    /// Its number.
    pub(super) revision: i64,
}

/// A PodDisruptionBudget: whom it is about, and how many of them may go.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Budget {
    /// Its metadata.
    pub(super) metadata: ObjectMeta,
    /// Whom it is about.
    #[serde(default)]
    pub(super) spec: BudgetSpec,
    /// What Kubernetes counts.
    #[serde(default)]
    pub(super) status: BudgetStatus,
}

/// The part of a budget's spec that matters here.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct BudgetSpec {
    /// Whom it is about; none is nobody.
    #[serde(default)]
    pub(super) selector: Option<LabelSelector>,
}

/// The part of a budget's status that matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetStatus {
    /// How many may go now.
    #[serde(default)]
    pub(super) disruptions_allowed: i32,
}

macro_rules! as_kind {
    ($lean:ty, $whole:ty, $scope:ty) => {
        impl Resource for $lean {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                <$whole>::kind(&())
            }
            fn group((): &()) -> Cow<'_, str> {
                <$whole>::group(&())
            }
            fn version((): &()) -> Cow<'_, str> {
                <$whole>::version(&())
            }
            fn plural((): &()) -> Cow<'_, str> {
                <$whole>::plural(&())
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

as_kind!(Node, k8s_openapi::api::core::v1::Node, k8s_openapi::ClusterResourceScope);
as_kind!(StoredRevision, ControllerRevision, NamespaceResourceScope);
as_kind!(Budget, PodDisruptionBudget, NamespaceResourceScope);

impl StoredRevision {
    /// The same of a whole one, as a write returns it.
    pub(super) fn of(whole: &ControllerRevision) -> Self {
        Self { metadata: whole.metadata.clone(), revision: whole.revision }
    }
}
