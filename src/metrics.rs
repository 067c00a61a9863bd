//! What is counted and measured, under bounded labels: kinds, verbs, codes and states, never names of
//! objects but those of roles.
//!
//! Every value a label can take that somebody may alert on is there from the start, at zero. Cheap to clone; all
//! clones count into the same registry, which `server` prints.

mod calls;
mod crons;
mod levels;
mod preemption;
mod quota;
mod watches;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use borealis_core::model::{PendingReason, Phase, TaskState, UpdateState};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

pub use self::calls::Verb;
use self::{
    calls::Calls, crons::Crons, levels::ServiceLevels, preemption::Preemption, quota::Quota, watches::Watches,
};
use crate::{checks::Kind, lease::Fence};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

/// Every phase of a job.
const PHASES: [Phase; 6] =
    [Phase::Waiting, Phase::Running, Phase::Suspended, Phase::Ending, Phase::Complete, Phase::Failed];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobPhase {
    phase: String,
}

impl JobPhase {
    fn of(phase: Phase) -> Self {
        Self { phase: format!("{phase:?}") }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pending {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Measured {
    outcome: &'static str,
}

impl Measured {
    const ALL: [Kind; 3] = [Kind::Holds, Kind::Fails, Kind::Unanswered];

    fn of(kind: Kind) -> Self {
        let outcome = match kind {
            Kind::Holds => "holds",
            Kind::Fails => "fails",
            Kind::Unanswered => "unanswered",
        };
        Self { outcome }
    }
}

/// The operator's metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconcile: Histogram,
    build_info: Family<Build, Gauge>,
    ready: Gauge,
    frozen: Gauge,
    queue_depth: Gauge,
    queue_oldest: Gauge<f64, AtomicU64>,
    events_dropped: Counter,
    unsettled: Gauge,
    instances: Family<State, Gauge>,
    updates: Family<State, Gauge>,
    update_ends: Family<State, Counter>,
    jobs: Family<JobPhase, Gauge>,
    duplicates: Counter,
    leader: Gauge,
    term: Gauge,
    settled: Counter,
    impossible: Counter,
    checks: Family<Measured, Counter>,
    unplaced: Family<Pending, Gauge>,
    calls: Calls,
    watches: Watches,
    quota: Quota,
    crons: Crons,
    levels: ServiceLevels,
    preemption: Preemption,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("borealis"),
            reconcile: Histogram::new(exponential_buckets(0.000_1, 4.0, 10)),
            build_info: Family::default(),
            ready: Gauge::default(),
            frozen: Gauge::default(),
            queue_depth: Gauge::default(),
            queue_oldest: Gauge::default(),
            events_dropped: Counter::default(),
            unsettled: Gauge::default(),
            instances: Family::default(),
            updates: Family::default(),
            update_ends: Family::default(),
            jobs: Family::default(),
            duplicates: Counter::default(),
            leader: Gauge::default(),
            term: Gauge::default(),
            settled: Counter::default(),
            impossible: Counter::default(),
            checks: Family::default(),
            unplaced: Family::default(),
            calls: Calls::default(),
            watches: Watches::default(),
            crons: Crons::default(),
            levels: ServiceLevels::default(),
            preemption: Preemption::default(),
            quota: Quota::default(),
        };
        inner.register();
        inner.start_at_zero();
        Self(Arc::new(inner))
    }
}

impl Inner {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("build_info", "1, with what was built", self.build_info.clone());
        r.register("ready", "Whether this replica could take over, as /readyz says", self.ready.clone());
        r.register("frozen", "Whether the freeze switch stands", self.frozen.clone());
        let reconcile = self.reconcile.clone();
        r.register_with_unit(
            "reconcile",
            "Time from taking a service up to its plan's end",
            Unit::Seconds,
            reconcile,
        );
        r.register("queue_depth", "Services that wait to be looked at", self.queue_depth.clone());
        let oldest =
            "How long the service that waits longest to be looked at has waited; 0 where nothing is planned";
        r.register_with_unit("queue_oldest", oldest, Unit::Seconds, self.queue_oldest.clone());
        r.register("events_dropped", "Kubernetes Events not written: too many", self.events_dropped.clone());
        r.register("unsettled_services", "Services with a write of unknown fate", self.unsettled.clone());
        r.register("instances", "Tasks by Aurora's state", self.instances.clone());
        r.register("updates", "Updates by Aurora's state", self.updates.clone());
        let ends = "Updates that this replica has ended, by the state they ended in";
        r.register("update_ends", ends, self.update_ends.clone());
        r.register("jobs", "AuroraJobs by how far they have come", self.jobs.clone());
        r.register(
            "duplicate_instances",
            "Second live Pods of an instance seen: must stay 0",
            self.duplicates.clone(),
        );
        r.register("is_leader", "Whether this replica may write", self.leader.clone());
        r.register("term", "Term of the lease while it is ours, otherwise 0", self.term.clone());
        r.register("settled_services", "Live reads of one service", self.settled.clone());
        let impossible = "Changes of a task's state seen that cannot be";
        r.register("impossible_changes", impossible, self.impossible.clone());
        let checks = "Measurements for the checks of updates, by outcome";
        r.register("check_measurements", checks, self.checks.clone());
        let pending =
            "Pods of the whole cluster without a place, by the nearest reason; 0 where the lease is not held";
        r.register("unplaced_pods", pending, self.unplaced.clone());
        self.calls.register(r);
        self.watches.register(r);
        self.crons.register(r);
        self.levels.register(r);
        self.preemption.register(r);
        self.quota.register(r);
    }

    fn start_at_zero(&self) {
        self.build_info.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        self.calls.start_at_zero();
        self.watches.start_at_zero();
        self.crons.start_at_zero();
        for state in TaskState::ALL {
            let _ = self.instances.get_or_create(&State { state: task_state(state) });
        }
        for reason in PendingReason::OF_PODS {
            let _ = self.unplaced.get_or_create(&Pending { reason: reason.name() });
        }
        for kind in Measured::ALL {
            let _ = self.checks.get_or_create(&Measured::of(kind));
        }
        for state in UpdateState::ALL {
            let _ = self.updates.get_or_create(&State { state: state.name().to_owned() });
            if state.is_terminal() {
                let _ = self.update_ends.get_or_create(&State { state: state.name().to_owned() });
            }
        }
        for phase in PHASES {
            let _ = self.jobs.get_or_create(&JobPhase::of(phase));
        }
    }
}

impl Metrics {
    /// A service was planned and its plan carried out.
    pub fn reconciled(&self, took: Duration) {
        self.0.reconcile.observe(took.as_secs_f64());
    }

    /// Whether this replica could take over.
    pub fn ready(&self, is_ready: bool) {
        self.0.ready.set(is_ready.into());
    }

    /// Whether the freeze switch stands.
    pub fn frozen(&self, is_frozen: bool) {
        self.0.frozen.set(is_frozen.into());
    }

    /// So many services wait, the first of them for so long.
    pub fn queue(&self, depth: usize, oldest: Duration) {
        self.0.queue_depth.set(signed(depth));
        self.0.queue_oldest.set(oldest.as_secs_f64());
    }

    /// A Kubernetes Event was not written.
    pub fn event_dropped(&self) {
        self.0.events_dropped.inc();
    }

    /// So many services have a write of unknown fate.
    pub fn unsettled(&self, services: usize) {
        self.0.unsettled.set(signed(services));
    }

    /// So many tasks are in this state.
    pub fn instances(&self, state: TaskState, count: usize) {
        self.0.instances.get_or_create(&State { state: task_state(state) }).set(signed(count));
    }

    /// So many updates are in this state.
    pub fn updates(&self, state: UpdateState, count: usize) {
        self.0.updates.get_or_create(&State { state: state.name().to_owned() }).set(signed(count));
    }

    /// An update has ended in this state.
    pub fn update_ended(&self, state: UpdateState) {
        self.0.update_ends.get_or_create(&State { state: state.name().to_owned() }).inc();
    }

    /// So many AuroraJobs are in each phase; none in those that are not among them.
    pub fn jobs(&self, counts: &BTreeMap<Phase, usize>) {
        for phase in PHASES {
            let count = counts.get(&phase).copied().unwrap_or(0);
            self.0.jobs.get_or_create(&JobPhase::of(phase)).set(signed(count));
        }
    }

    /// So many Pods have no place, by reason; none for those that are not among them.
    pub fn unplaced(&self, counts: &BTreeMap<PendingReason, u32>) {
        for reason in PendingReason::OF_PODS {
            let count = counts.get(&reason).copied().unwrap_or(0);
            self.0.unplaced.get_or_create(&Pending { reason: reason.name() }).set(count.into());
        }
    }

    /// Two live Pods of one instance were seen.
    pub fn duplicate_instance(&self) {
        self.0.duplicates.inc();
    }

    /// A service was read live.
    pub fn settled(&self) {
        self.0.settled.inc();
    }

    /// A task's state changed as it cannot.
    pub fn impossible_change(&self) {
        self.0.impossible.inc();
    }

    /// A check of an update was measured.
    pub fn check_measured(&self, kind: Kind) {
        self.0.checks.get_or_create(&Measured::of(kind)).inc();
    }

    /// Everything in the text format of OpenMetrics.
    ///
    /// # Errors
    /// When a value cannot be written, which none of ours is.
    pub fn print(&self, fence: &Fence) -> Result<String, std::fmt::Error> {
        let term = fence.term();
        self.0.leader.set(term.is_some().into());
        self.0.term.set(term.and_then(|term| i64::try_from(term).ok()).unwrap_or_default());
        let mut out = String::new();
        text::encode(&mut out, &self.0.registry)?;
        Ok(out)
    }
}

/// Aurora's spelling: `Running` is RUNNING.
fn task_state(state: TaskState) -> String {
    format!("{state:?}").to_uppercase()
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_from_the_start() {
        let (gate, fence) = crate::lease::fence();
        let metrics = Metrics::default();
        let text = metrics.print(&fence).unwrap();
        for line in [
            "borealis_duplicate_instances_total 0",
            "borealis_is_leader 0",
            "borealis_instances{state=\"RUNNING\"} 0",
            "borealis_jobs{phase=\"Running\"} 0",
            "borealis_updates{state=\"ROLLING_FORWARD\"} 0",
            "borealis_api_calls_total{verb=\"create\",code=\"409\"} 0",
            "borealis_reconcile_seconds_count 0",
            "borealis_unreadable_objects_total 0",
            "borealis_watch_lists_total{kind=\"Headless\"} 0",
            concat!("borealis_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "borealis_ready 0",
            "borealis_frozen 0",
            "borealis_queue_oldest_seconds 0.0",
            "borealis_update_ends_total{state=\"ROLLED_BACK\"} 0",
            "borealis_cron_events_total{event=\"RunMissed\"} 0",
            "borealis_term_refusals_total 0",
            "borealis_settled_services_total 0",
            "borealis_impossible_changes_total 0",
            "borealis_index_pods 0",
            "borealis_index_nodes 0",
            "borealis_index_pending_pods 0",
            "borealis_check_measurements_total{outcome=\"unanswered\"} 0",
            "borealis_sla_cluster_platform_uptime_ratio 1.0",
            "borealis_preemption_victims_total 0",
            "borealis_preemption_dry_runs_total 0",
            "borealis_preemption_failed_slots_total{reason=\"Taken\"} 0",
            "borealis_preemption_decision_seconds_count 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("borealis_update_ends_total{state=\"ROLLING_FORWARD\"}"), "{text}");
        gate.open(4, tokio::time::Instant::now() + Duration::from_secs(60));
        metrics.call(Verb::create, "409");
        let text = metrics.print(&fence).unwrap();
        assert!(text.contains("borealis_is_leader 1\n"), "{text}");
        assert!(text.contains("borealis_term 4\n"), "{text}");
        assert!(text.contains("borealis_api_calls_total{verb=\"create\",code=\"409\"} 1\n"), "{text}");
    }
}
