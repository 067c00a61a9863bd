//! What the specs of services and jobs have in common: the task, where it may run, and what becomes of it when it ends
//! or its node is lost.
//!
//! The kinds keep fields of their own, so that each says its defaults and descriptions; here is what is computed of them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::constraints::{Constraint, sorted};
use super::health::HealthCheck;
use super::revision::TaskConfig;
use super::settings::{Flapping, History, PartitionPolicy};

/// The fields that a service and a job both have.
#[derive(Debug, Clone, Copy)]
pub struct TaskSpec<'a> {
    /// The name of its tier, where it says one.
    pub tier: Option<&'a str>,
    /// Its importance within the role.
    pub priority: i32,
    /// The Pod of an instance.
    pub template: &'a PodTemplateSpec,
    /// How health is checked.
    pub health: Option<&'a HealthCheck>,
    /// On which nodes the Pods may be.
    pub constraints: &'a [Constraint],
    /// The pool of dedicated nodes that they run on.
    pub dedicated: Option<&'a str>,
    /// How instances that keep ending are held back.
    pub flapping: &'a Flapping,
    /// What happens to instances on a lost node.
    pub partition: &'a PartitionPolicy,
    /// How many Pods of ended runs are kept.
    pub history: &'a History,
}

impl TaskSpec<'_> {
    /// What shapes a Pod, with this tier where it names none. What the objects hold that it names is left to those who can
    /// read them.
    #[must_use]
    pub fn config(&self, default_tier: &str) -> TaskConfig {
        TaskConfig {
            template: self.template.clone(),
            health: self.health.cloned(),
            tier: self.tier.unwrap_or(default_tier).to_owned(),
            priority: self.priority,
            discovery: false,
            constraints: sorted(self.constraints),
            dedicated: self.dedicated.map(str::to_owned),
            tracked: BTreeMap::new(),
        }
    }

    /// Whether lost instances are started elsewhere: what the user said, else not when the template
    /// holds a volume claim, which the lost node may still have mounted.
    #[must_use]
    pub fn reschedules_lost(&self) -> bool {
        self.partition.reschedule.unwrap_or_else(|| !self.has_claims())
    }

    /// Whether the Pods have volume claims: named ones, or made for each Pod.
    #[must_use]
    pub fn has_claims(&self) -> bool {
        let spec = self.template.spec.as_ref();
        let volumes = spec.and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        volumes.iter().any(|volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some())
    }
}
