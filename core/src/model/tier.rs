//! Tiers: how work ranks against other work of the cluster.

use std::sync::Arc;

/// A tier (Aurora: TierInfo). Two tiers are the same when their names are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Its name.
    pub name: Arc<str>,
    /// Whether work that is not preemptible may take its place, whoever's it is.
    pub preemptible: bool,
    /// Whether it lives on what others leave unused. What is revocable is preemptible.
    pub revocable: bool,
    /// The value of its PriorityClass: how it ranks with the scheduler, and among victims.
    pub band: i32,
    /// Who makes room for it.
    pub preemption: Preemption,
    /// Seconds a Pod is without a place before others go for it (Aurora: preemption_delay).
    pub preemption_delay_seconds: u32,
    /// Seconds a Pod has run before it can be a victim.
    pub min_runtime_seconds: u32,
    /// Seconds its Pods have to stop where their template says nothing; `None` is Kubernetes' default.
    pub grace_seconds: Option<u32>,
}

impl Tier {
    /// Whether its work is what quota limits (Aurora: "production").
    pub fn is_production(&self) -> bool {
        !self.preemptible && !self.revocable
    }
}

/// Who makes room for a tier's Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preemption {
    /// Borealis, by Aurora's rule.
    Borealis,
    /// Nobody yet: Borealis only says who would go.
    DryRun,
    /// The scheduler, by priority alone.
    Scheduler,
}
