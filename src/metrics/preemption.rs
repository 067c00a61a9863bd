//! What is counted and measured of preemption.

use std::time::Duration;

use borealis_core::model::SlotFailure;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    reason: &'static str,
}

/// What counts of preemption.
pub(super) struct Preemption {
    searches: Counter,
    slots: Counter,
    victims: Counter,
    dry_runs: Counter,
    failed: Family<Failure, Counter>,
    over_evictions: Counter,
    latency: Histogram,
    pass: Histogram,
}

impl Default for Preemption {
    fn default() -> Self {
        Self {
            searches: Counter::default(),
            slots: Counter::default(),
            victims: Counter::default(),
            dry_runs: Counter::default(),
            failed: Family::default(),
            over_evictions: Counter::default(),
            latency: Histogram::new(exponential_buckets(0.004, 2.0, 14)),
            pass: Histogram::new(exponential_buckets(0.000_1, 4.0, 10)),
        }
    }
}

impl Preemption {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("preemption_searches", "Searches for room for a Pod that waits", self.searches.clone());
        r.register("preemption_slots", "Slots found: room that was kept for a Pod", self.slots.clone());
        r.register("preemption_victims", "Pods ended to make room", self.victims.clone());
        let dry = "Searches of dry runs by which Pods would have ended";
        r.register("preemption_dry_runs", dry, self.dry_runs.clone());
        r.register("preemption_failed_slots", "Slots that came to nothing, by reason", self.failed.clone());
        let over = "Pods ended for one that then got its room elsewhere, or for a slot that came to nothing";
        r.register("preemption_over_evictions", over, self.over_evictions.clone());
        r.register_with_unit(
            "preemption_decision",
            "Time from the end of a tier's delay to the decision who has to go",
            Unit::Seconds,
            self.latency.clone(),
        );
        r.register_with_unit("preemption_pass", "Time a pass takes", Unit::Seconds, self.pass.clone());
        for why in SlotFailure::ALL {
            let _ = self.failed.get_or_create(&Failure { reason: why.name() });
        }
    }
}

impl Metrics {
    /// So many searches for room were made.
    pub fn preemption_searches(&self, count: u32) {
        self.0.preemption.searches.inc_by(count.into());
    }

    /// Room is kept for a Pod from now on.
    pub fn slot_found(&self) {
        self.0.preemption.slots.inc();
    }

    /// A Pod was told to end to make room.
    pub fn victim(&self) {
        self.0.preemption.victims.inc();
    }

    /// Pods would have ended to make room, were it no dry run.
    pub fn dry_run(&self) {
        self.0.preemption.dry_runs.inc();
    }

    /// Room that was kept came to nothing.
    pub fn slot_failed(&self, why: SlotFailure) {
        self.0.preemption.failed.get_or_create(&Failure { reason: why.name() }).inc();
    }

    /// So many Pods were ended for one that got its room elsewhere, or whose slot came to nothing.
    pub fn over_evicted(&self, count: u32) {
        self.0.preemption.over_evictions.inc_by(count.into());
    }

    /// A Pod's victims were chosen so long after its tier's delay.
    pub fn preemption_latency(&self, latency: Duration) {
        self.0.preemption.latency.observe(latency.as_secs_f64());
    }

    /// A pass has taken so long.
    pub fn preemption_pass(&self, took: Duration) {
        self.0.preemption.pass.observe(took.as_secs_f64());
    }
}
