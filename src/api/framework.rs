//! The kind `Framework`: a foreign system whose Pods join a role and its tiers (Aurora: a framework beside Aurora on
//! the same Mesos cluster).
//!
//! The operator renders each as a MutatingAdmissionPolicy, so that the API server itself ranks the Pods that Spark,
//! Jenkins, Airflow or a plain Job make. Whether the role may use the tier is not said here: a policy refuses a Pod
//! whose role may not. Written by whoever runs the cluster; the operator writes its status only.

#![allow(clippy::duplicated_attributes, reason = "columns of the same type are no mistake")]
#![expect(unreachable_pub, reason = "the derive repeats the struct inside a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observed;

/// A foreign system whose Pods join a role and its tiers.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "borealis.dev",
    version = "v1alpha1",
    kind = "Framework",
    plural = "frameworks",
    singular = "framework",
    shortname = "fw",
    category = "borealis",
    derive = "PartialEq",
    status = "FrameworkStatus",
    doc = "A foreign system (Spark, Jenkins, Airflow, plain Jobs) whose Pods join a role: which Pods those are, and which tier and priority each kind of them gets when it is created.",
    printcolumn(
        name = "Role",
        type_ = "string",
        json_path = ".spec.role",
        description = "The role its Pods count to"
    ),
    printcolumn(
        name = "Tier",
        type_ = "string",
        json_path = ".spec.tier",
        description = "Tier of the Pods that no entry of spec.pods is about"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Reason of the condition Ready"
    ),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".status.policy",
        description = "Its MutatingAdmissionPolicy",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct FrameworkSpec {
    /// The role its Pods count to: the name of an AuroraRole, or of a namespace that none claims. Pods in namespaces
    /// of other roles are left alone, whatever else is said here.
    #[schemars(length(min = 1, max = 63))]
    pub role: String,
    /// Whose Pods they are: the accounts that create them. Pods of a Job, a Deployment or the like are created by
    /// Kubernetes' own controllers, not by whoever made the Job. Default: anybody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub service_accounts: Vec<Account>,
    /// The namespaces they are in, by name. Default: all of the role's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub namespaces: Vec<String>,
    /// Labels they have when they are created. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// The tier of the Pods that no entry of `pods` is about. Default: the default tier of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub tier: Option<String>,
    /// The importance of those Pods within the role. No unit. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: i32,
    /// Kinds of Pods with a tier or priority of their own, such as drivers and executors; of several entries that
    /// are about a Pod the first counts. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub pods: Vec<PodKind>,
}

/// An account that creates Pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Namespace of the ServiceAccount.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the ServiceAccount.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A kind of Pods of a framework.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodKind {
    /// Labels that tell it from others, such as `spark-role: driver`.
    pub selector: LabelSelector,
    /// Its tier. Default: `spec.tier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub tier: Option<String>,
    /// Its importance within the role. No unit. Default: `spec.priority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: Option<i32>,
}

/// What the operator made of the framework. Written by the operator only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FrameworkStatus {
    /// The metadata.generation this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "observed::read")]
    pub observed_generation: Option<i64>,
    /// Name of its MutatingAdmissionPolicy and of the binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Ready: whether the API server knows of it. Overlap: whether an older Framework may be about the same Pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}
