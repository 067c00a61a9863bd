//! What is counted of crons.

use borealis_core::plan::cron::REASONS;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Event {
    event: &'static str,
}

/// What counts of crons.
#[derive(Default)]
pub(super) struct Crons {
    events: Family<Event, Counter>,
}

impl Crons {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "cron_events",
            "What became of runs of crons, by the reason of its Event",
            self.events.clone(),
        );
    }

    pub(super) fn start_at_zero(&self) {
        for event in REASONS {
            let _ = self.events.get_or_create(&Event { event });
        }
    }
}

impl Metrics {
    /// Something became of a run of a cron.
    pub fn cron_event(&self, reason: &'static str) {
        self.0.crons.events.get_or_create(&Event { event: reason }).inc();
    }
}
