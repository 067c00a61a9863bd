//! What is measured of the watches and of what they have shown.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, signed};
use crate::index::{Extent, Kind};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    kind: String,
}

impl Watched {
    /// As the log spells it.
    fn of(kind: Kind) -> Self {
        Self { kind: format!("{kind:?}") }
    }
}

/// What counts of watches.
#[derive(Default)]
pub(super) struct Watches {
    lists: Family<Watched, Counter>,
    stale: Counter,
    unreadable: Counter,
    pods: Gauge,
    nodes: Gauge,
    pending: Gauge,
}

impl Watches {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "watch_lists",
            "Complete lists by watches, the first included, by kind",
            self.lists.clone(),
        );
        r.register("stale_events", "Watch events older than what was known", self.stale.clone());
        r.register("unreadable_objects", "Objects left out: they can't be read", self.unreadable.clone());
        r.register("index_pods", "Pods of the cluster that have not ended, whoever's", self.pods.clone());
        r.register("index_nodes", "Nodes of the cluster", self.nodes.clone());
        let pending = "Pods that the scheduler has found no place for, whoever's";
        r.register("index_pending_pods", pending, self.pending.clone());
    }

    pub(super) fn start_at_zero(&self) {
        for kind in Kind::ALL {
            let _ = self.lists.get_or_create(&Watched::of(kind));
        }
    }
}

impl Metrics {
    /// A watch has listed all of its kind.
    pub fn listed(&self, kind: Kind) {
        self.0.watches.lists.get_or_create(&Watched::of(kind)).inc();
    }

    /// A watch event told less than was known.
    pub fn stale_event(&self) {
        self.0.watches.stale.inc();
    }

    /// An object is left out of the index because it can't be read.
    pub fn unreadable(&self) {
        self.0.watches.unreadable.inc();
    }

    /// So much of the cluster is known.
    pub fn extent(&self, extent: Extent) {
        self.0.watches.pods.set(signed(extent.pods));
        self.0.watches.nodes.set(signed(extent.nodes));
        self.0.watches.pending.set(signed(extent.pending));
    }
}
