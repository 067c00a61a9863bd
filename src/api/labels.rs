//! Every label and annotation this operator writes or reads, in one place.
//!
//! Labels are what gets selected (by our watches, PodDisruptionBudgets, Services, admission
//! policies); annotations are the rest. All of them are part of the stored format: a name is never
//! reused with another meaning. Used by the builders of `apply`, by the index and the policies.

use borealis_core::model::JobKind;

/// Prefix of all of ours; users may not set such keys in a template.
pub const PREFIX: &str = "borealis.dev/";

/// Label: name of the AuroraService a Pod, revision, update or child belongs to.
pub const SERVICE: &str = "borealis.dev/service";
/// Label: name of the AuroraJob a Pod belongs to, in the place of [`SERVICE`].
pub const JOB: &str = "borealis.dev/job";
/// Label on an AuroraJob that is a run: name of its AuroraCron.
pub const CRON: &str = "borealis.dev/cron";
/// Label: instance number of a Pod, decimal.
pub const INSTANCE: &str = "borealis.dev/instance";
/// Label: run of the instance, decimal, counting up from 1.
pub const RUN: &str = "borealis.dev/run";
/// Label: versioned hash of the task config ([`crate::api::TaskConfig::revision`]).
pub const REVISION: &str = "borealis.dev/revision";
/// Label: the role (tenant) a Pod is charged to. Annotation on a namespace: the AuroraRole that owns it.
pub const ROLE: &str = "borealis.dev/role";
/// Label: name of the Pod's tier. For people and selectors: what counts is the Pod's PriorityClass.
pub const TIER: &str = "borealis.dev/tier";
/// Label: importance of the Pod within its role, decimal.
pub const PRIORITY: &str = "borealis.dev/priority";
/// Label: name of the Framework a Pod belongs to.
pub const FRAMEWORK: &str = "borealis.dev/framework";
/// Label on a namespace, written by its users: the environment of its jobs.
pub const ENVIRONMENT: &str = "borealis.dev/environment";
/// Label: `"true"` on a Pod that is its instance's task; removed when the Pod is kept as history.
pub const LIVE: &str = "borealis.dev/live";
/// Label: transition count of the lease under which the Pod was made, or last changed in place; the fencing policy
/// compares it.
pub const TERM: &str = "borealis.dev/term";
/// Label on a ControllerRevision: `"true"` when it is the last config known to be good.
pub const LAST_GOOD: &str = "borealis.dev/last-good";
/// Label on a ControllerRevision: `"true"` when an update to it failed and it is not to be retried.
pub const FAILED: &str = "borealis.dev/failed";
/// Label on an AuroraUpdate: `"true"` once it has ended, so that watches can leave it out.
pub const ENDED: &str = "borealis.dev/ended";

/// Annotation: consecutive short-lived runs before this one, decimal.
pub const FLAPS: &str = "borealis.dev/flaps";
/// Annotation: runs of this instance that failed before this one, decimal.
pub const FAILURES: &str = "borealis.dev/failures";
/// Annotation on an AuroraService, written by its users: what its next update is about, copied to that.
pub const MESSAGE: &str = "borealis.dev/message";
/// Annotation on an AuroraJob that is a run: the time it is the run of, RFC 3339.
pub const SCHEDULED_TIME: &str = "borealis.dev/scheduled-time";
/// Annotation on an AuroraJob: it is to end now, and why; its users may write `Asked`.
pub const KILL: &str = "borealis.dev/kill";
/// Annotation: full job key `cluster/role/environment/name`, for people.
pub const JOB_KEY: &str = "borealis.dev/job-key";
/// Annotation: why the operator ended a Pod, written before or with the end itself.
pub const END_REASON: &str = "borealis.dev/end-reason";
/// Annotation: when the operator asked for the Pod's end, RFC 3339.
pub const ENDED_AT: &str = "borealis.dev/ended-at";
/// Readiness gate, and its condition, of a Pod that can be changed in place; annotation with the note of the last such
/// change ([`crate::api::in_place::Note`]).
pub const IN_PLACE: &str = "borealis.dev/in-place";
/// Annotation on a Pod that waits for a place: the room that is made for it ([`crate::api::slot`]).
pub const SLOT: &str = "borealis.dev/slot";
/// Annotation on a Pod that ends to make room: for whom, and by which rule ([`crate::api::slot::Preempted`]).
pub const PREEMPTED: &str = "borealis.dev/preempted";
/// Annotation on the copy of a ConfigMap or Secret: the original's name, for people.
pub const SNAPSHOT_OF: &str = "borealis.dev/snapshot-of";
/// Annotation on a child object: hash of what it was made from; it is written again when this differs.
pub const CONTENT: &str = "borealis.dev/content";
/// Annotation on a namespace: comma-separated names of the PriorityClasses of ours that its Pods may have. The role that
/// owns the namespace stands beside it as [`ROLE`]. A namespace without may use the default tier only.
pub const CLASSES: &str = "borealis.dev/classes";

/// Annotation on a namespace: the quota of its role, `cpu=4,memory=8Gi`; of a resource that is not named it has nothing.
pub const QUOTA: &str = "borealis.dev/quota";
/// Annotation on a namespace: comma-separated names of the role's tiers that its quota limits, and `*` where its default
/// tier is one of them.
pub const PRODUCTION: &str = "borealis.dev/production";
/// Annotation on a namespace: of which resources all that the role's quota allows is in use, `cpu: all of 4 is in use; …`;
/// absent where there is room of all.
pub const FULL: &str = "borealis.dev/full";
/// The annotations that the operator writes on the namespaces of AuroraRoles, and nobody else.
pub const OF_NAMESPACES: [&str; 5] = [ROLE, CLASSES, QUOTA, PRODUCTION, FULL];

/// Environment of a namespace that has no label [`ENVIRONMENT`].
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// Label and taint of a node that is kept for a pool: its value is that pool's
/// ([`borealis_core::model::Dedicated::label_value`]). The cluster's administrators write it.
pub const DEDICATED: &str = "borealis.dev/dedicated";

/// Label: who manages a child object, for people and for `kubectl get -l`.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "borealis";
/// Annotation that lets the cluster autoscaler move a Pod that no Deployment owns.
pub const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// Value of a label that is either there or not.
pub const TRUE: &str = "true";

/// The label whose value is the name of the job that a Pod belongs to.
#[must_use]
pub fn of_kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Service => SERVICE,
        JobKind::Job => JOB,
    }
}

/// Label selector of all live Pods of a service or job, as `status.selector` and the scale subresource say it.
#[must_use]
pub fn live_selector(kind: JobKind, name: &str) -> String {
    format!("{}={name},{LIVE}={TRUE}", of_kind(kind))
}
