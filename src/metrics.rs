//! What is counted and measured, under bounded labels: kinds, verbs, codes and states, never names of
//! objects but those of roles.
//!
//! Every value a label can take that somebody may alert on is there from the start, at zero. Cheap to clone; all
//! clones count into the same registry, which `server` prints.

mod crons;
mod levels;
mod preemption;
mod quota;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use borealis_core::model::{PendingReason, Phase, TaskState, UpdateState};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use self::{crons::Crons, levels::ServiceLevels, preemption::Preemption, quota::Quota};
use crate::{checks::Kind, index::Extent, lease::Fence};

/// What a call to the API server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(missing_docs, reason = "the API's own verbs")]
#[allow(non_camel_case_types, reason = "a label value is spelled as its variant")]
pub enum Verb {
    get,
    list,
    create,
    update,
    patch,
    delete,
}

impl Verb {
    const ALL: [Self; 6] = [Self::get, Self::list, Self::create, Self::update, Self::patch, Self::delete];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    verb: Verb,
    code: String,
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
    queue_depth: Gauge,
    calls: Family<Call, Counter>,
    fenced: Counter,
    conflicts: Counter,
    stale: Counter,
    events_dropped: Counter,
    unsettled: Gauge,
    pods: Gauge,
    nodes: Gauge,
    pending: Gauge,
    instances: Family<State, Gauge>,
    updates: Family<State, Gauge>,
    jobs: Family<JobPhase, Gauge>,
    duplicates: Counter,
    leader: Gauge,
    term: Gauge,
    unreadable: Counter,
    lists: Counter,
    settled: Counter,
    impossible: Counter,
    checks: Family<Measured, Counter>,
    unplaced: Family<Pending, Gauge>,
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
            queue_depth: Gauge::default(),
            calls: Family::default(),
            fenced: Counter::default(),
            conflicts: Counter::default(),
            stale: Counter::default(),
            events_dropped: Counter::default(),
            unsettled: Gauge::default(),
            pods: Gauge::default(),
            nodes: Gauge::default(),
            pending: Gauge::default(),
            instances: Family::default(),
            updates: Family::default(),
            jobs: Family::default(),
            duplicates: Counter::default(),
            leader: Gauge::default(),
            term: Gauge::default(),
            unreadable: Counter::default(),
            lists: Counter::default(),
            settled: Counter::default(),
            impossible: Counter::default(),
            checks: Family::default(),
            unplaced: Family::default(),
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
        let reconcile = self.reconcile.clone();
        r.register_with_unit(
            "reconcile",
            "Time from taking a service up to its plan's end",
            Unit::Seconds,
            reconcile,
        );
        r.register("queue_depth", "Services that wait to be looked at", self.queue_depth.clone());
        let calls = "Calls to the API server but for watches, by verb and answer";
        r.register("api_calls", calls, self.calls.clone());
        r.register("fenced_writes", "Writes held back because the lease was not ours", self.fenced.clone());
        r.register("conflicts", "Writes refused because the object had changed", self.conflicts.clone());
        r.register("stale_events", "Watch events older than what was known", self.stale.clone());
        r.register("events_dropped", "Kubernetes Events not written: too many", self.events_dropped.clone());
        r.register("unsettled_services", "Services with a write of unknown fate", self.unsettled.clone());
        r.register("index_pods", "Pods of the cluster that have not ended, whoever's", self.pods.clone());
        r.register("index_nodes", "Nodes of the cluster", self.nodes.clone());
        let pending = "Pods that the scheduler has found no place for, whoever's";
        r.register("index_pending_pods", pending, self.pending.clone());
        r.register("instances", "Tasks by Aurora's state", self.instances.clone());
        r.register("updates", "Updates by Aurora's state", self.updates.clone());
        r.register("jobs", "AuroraJobs by how far they have come", self.jobs.clone());
        r.register(
            "duplicate_instances",
            "Second live Pods of an instance seen: must stay 0",
            self.duplicates.clone(),
        );
        r.register("is_leader", "Whether this replica may write", self.leader.clone());
        r.register("term", "Term of the lease while it is ours, otherwise 0", self.term.clone());
        r.register("unreadable_objects", "Objects left out: they can't be read", self.unreadable.clone());
        r.register("watch_lists", "Complete lists by watches, the first included", self.lists.clone());
        r.register("settled_services", "Live reads of one service", self.settled.clone());
        let impossible = "Changes of a task's state seen that cannot be";
        r.register("impossible_changes", impossible, self.impossible.clone());
        let checks = "Measurements for the checks of updates, by outcome";
        r.register("check_measurements", checks, self.checks.clone());
        let pending =
            "Pods of the whole cluster without a place, by the nearest reason; 0 where the lease is not held";
        r.register("unplaced_pods", pending, self.unplaced.clone());
        self.crons.register(r);
        self.levels.register(r);
        self.preemption.register(r);
        self.quota.register(r);
    }

    fn start_at_zero(&self) {
        for verb in Verb::ALL {
            for code in ["200", "409", "429", "500", "timeout", "broken"] {
                let _ = self.calls.get_or_create(&Call { verb, code: code.to_owned() });
            }
        }
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

    /// So many services wait.
    pub fn queue_depth(&self, depth: usize) {
        self.0.queue_depth.set(signed(depth));
    }

    /// A call was answered: an HTTP status code, `timeout` or `broken`.
    pub fn call(&self, verb: Verb, code: &str) {
        self.0.calls.get_or_create(&Call { verb, code: code.to_owned() }).inc();
    }

    /// A call was answered so.
    pub fn answered<T>(&self, verb: Verb, answer: &kube::Result<T>) {
        match answer {
            Ok(_) => self.call(verb, "200"),
            Err(kube::Error::Api(status)) => self.call(verb, &status.code.to_string()),
            // Kube's own enum: the connection broke, or the answer can't be read.
            Err(_) => self.call(verb, "broken"),
        }
    }

    /// A write was held back by the fence.
    pub fn fenced(&self) {
        self.0.fenced.inc();
    }

    /// A write was refused because the object had changed.
    pub fn conflict(&self) {
        self.0.conflicts.inc();
    }

    /// A watch event told less than was known.
    pub fn stale_event(&self) {
        self.0.stale.inc();
    }

    /// A Kubernetes Event was not written.
    pub fn event_dropped(&self) {
        self.0.events_dropped.inc();
    }

    /// So many services have a write of unknown fate.
    pub fn unsettled(&self, services: usize) {
        self.0.unsettled.set(signed(services));
    }

    /// So much of the cluster is known.
    pub fn extent(&self, extent: Extent) {
        self.0.pods.set(signed(extent.pods));
        self.0.nodes.set(signed(extent.nodes));
        self.0.pending.set(signed(extent.pending));
    }

    /// So many tasks are in this state.
    pub fn instances(&self, state: TaskState, count: usize) {
        self.0.instances.get_or_create(&State { state: task_state(state) }).set(signed(count));
    }

    /// So many updates are in this state.
    pub fn updates(&self, state: UpdateState, count: usize) {
        self.0.updates.get_or_create(&State { state: state.name().to_owned() }).set(signed(count));
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

    /// An object is left out of the index because it can't be read.
    pub fn unreadable(&self) {
        self.0.unreadable.inc();
    }

    /// A watch has listed all of its kind.
    pub fn listed(&self) {
        self.0.lists.inc();
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
            "borealis_watch_lists_total 0",
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
        gate.open(4, tokio::time::Instant::now() + Duration::from_secs(60));
        metrics.call(Verb::create, "409");
        let text = metrics.print(&fence).unwrap();
        assert!(text.contains("borealis_is_leader 1\n"), "{text}");
        assert!(text.contains("borealis_term 4\n"), "{text}");
        assert!(text.contains("borealis_api_calls_total{verb=\"create\",code=\"409\"} 1\n"), "{text}");
    }
}
