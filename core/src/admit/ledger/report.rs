//! What is said of a role: its quota, what is used of it and where, and what is missing for those who wait.

use std::{collections::BTreeMap, sync::Arc};

use crate::model::Resources;

use super::JobName;

/// What is used of a role (Aurora: getQuota's accumulators).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// What jobs are charged that quota limits.
    pub production: Resources,
    /// What jobs on dedicated nodes ask for.
    pub dedicated: Resources,
    /// What preemptible and revocable jobs ask for.
    pub non_production: Resources,
}

impl Usage {
    pub(super) fn add(&mut self, other: &Self) {
        self.production.add(&other.production);
        self.dedicated.add(&other.dedicated);
        self.non_production.add(&other.non_production);
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.production.subtract(&other.production);
        self.dedicated.subtract(&other.dedicated);
        self.non_production.subtract(&other.non_production);
    }
}

/// How a role stands.
#[derive(Debug)]
pub struct Report<'a> {
    /// Its quota; `None` where no AuroraRole is there to give one.
    pub quota: Option<&'a Resources>,
    /// What its jobs use.
    pub usage: &'a Usage,
    /// What Pods use that belong to no job; it counts like production.
    pub foreign: &'a Resources,
    /// What its jobs use, by namespace.
    pub namespaces: &'a BTreeMap<Arc<str>, (usize, Usage)>,
    /// By how much more than its quota is in use.
    pub over: Resources,
    /// How many jobs wait for quota.
    pub held: usize,
    /// The oldest of those, and what each lacks.
    pub first_held: Vec<(JobName, Shortage)>,
}

/// Why a job is not granted what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// What the job would be charged.
    pub asked: Resources,
    /// What it is charged now.
    pub has: Resources,
    /// What all of the role use, this job and Pods of no job included.
    pub used: Resources,
    /// The role's quota.
    pub quota: Resources,
    /// What is missing, of the resources that are.
    pub missing: Resources,
}

/// What of `wanted` goes beyond `limit`: only amounts above 0.
pub(super) fn beyond(wanted: &Resources, limit: &Resources) -> Resources {
    let mut over = wanted.clone();
    over.subtract(limit);
    over.extended.retain(|_, amount| *amount > 0);
    over.max(&Resources::NONE)
}
