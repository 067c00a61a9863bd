//! How well services are served, by role and tier.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use borealis_core::service_levels::{Mark, PERCENTILES, Spent, Tally};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::Metrics;
use crate::index::{Group, Levels};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    role: String,
    tier: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Share {
    role: String,
    tier: String,
    percentile: u32,
}

/// What is measured of service levels.
#[derive(Default)]
pub(super) struct ServiceLevels {
    assigned: Family<Of, Gauge<f64, AtomicU64>>,
    starting: Family<Of, Gauge<f64, AtomicU64>>,
    running: Family<Of, Gauge<f64, AtomicU64>>,
    uptime: Family<Share, Gauge<f64, AtomicU64>>,
    platform: Family<Of, Gauge<f64, AtomicU64>>,
    cluster: Gauge<f64, AtomicU64>,
    /// The groups that are told, to be taken back when they are gone.
    told: Mutex<BTreeSet<Group>>,
}

impl ServiceLevels {
    pub(super) fn register(&self, r: &mut Registry) {
        let mtta = "Median time from PENDING to ASSIGNED of tasks that got there in the last minute";
        r.register_with_unit("sla_mtta", mtta, Unit::Seconds, self.assigned.clone());
        let mtts = "Median time from PENDING to STARTING of tasks that got there in the last minute";
        r.register_with_unit("sla_mtts", mtts, Unit::Seconds, self.starting.clone());
        let mttr = "Median time from PENDING to RUNNING of tasks that got there in the last minute";
        r.register_with_unit("sla_mttr", mttr, Unit::Seconds, self.running.clone());
        let uptime = "For how long so many percent of the RUNNING instances have been that at least";
        r.register_with_unit("sla_job_uptime", uptime, Unit::Seconds, self.uptime.clone());
        let platform = "Share of the last minute in which instances were up that the platform had to keep up";
        r.register("sla_platform_uptime_ratio", platform, self.platform.clone());
        let cluster = "The same of all services of the cluster";
        r.register("sla_cluster_platform_uptime_ratio", cluster, self.cluster.clone());
        self.cluster.set(Spent::default().ratio());
    }

    fn tell(&self, group: &Group, tally: &Tally) {
        for mark in Mark::ALL {
            let family = match mark {
                Mark::Assigned => &self.assigned,
                Mark::Starting => &self.starting,
                Mark::Running => &self.running,
            };
            set(family, &Of::new(group), tally.median(mark));
        }
        for percentile in PERCENTILES {
            set(&self.uptime, &Share::new(group, percentile), tally.uptime(percentile));
        }
        self.platform.get_or_create(&Of::new(group)).set(tally.spent().ratio());
    }

    fn take_back(&self, group: &Group) {
        self.tell(group, &Tally::default());
        self.platform.remove(&Of::new(group));
    }
}

impl Of {
    fn new(group: &Group) -> Self {
        Self { role: group.role.to_string(), tier: group.tier.to_string() }
    }
}

impl Share {
    fn new(group: &Group, percentile: u8) -> Self {
        let Of { role, tier } = Of::new(group);
        Self { role, tier, percentile: percentile.into() }
    }
}

/// Where there is nothing to tell there is no series: 0 seconds would be a very good figure.
fn set<L>(family: &Family<L, Gauge<f64, AtomicU64>>, labels: &L, seconds: Option<u32>)
where
    L: Clone + std::hash::Hash + Eq,
{
    match seconds {
        Some(seconds) => drop(family.get_or_create(labels).set(seconds.into())),
        None => drop(family.remove(labels)),
    }
}

impl Metrics {
    /// How well services were served in the last window.
    pub fn service_levels(&self, levels: &Levels) {
        let mine = &self.0.levels;
        levels.iter().for_each(|(group, tally)| mine.tell(group, tally));
        let all = levels.values().fold(Spent::default(), |sum, tally| sum.with(tally.spent()));
        mine.cluster.set(all.ratio());
        let now: BTreeSet<Group> = levels.keys().cloned().collect();
        let mut told = mine.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.difference(&now).for_each(|group| mine.take_back(group));
        *told = now;
    }
}
