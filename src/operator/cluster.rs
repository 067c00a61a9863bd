//! Starts the loops that concern the whole cluster: tenancy, quota, why Pods have no place, and preemption.
//!
//! Puts each together and says what wakes it; what they do is theirs. Called by `operator`.

use std::sync::{Arc, atomic::AtomicBool};

use tokio::{sync::Notify, task::JoinSet};

use super::Operator;
use crate::{
    JobKey,
    apply::{Announcer, Preemption, RoleWriter, TenancyWriter},
    controller::{
        Queue,
        cluster::{
            DecisionLog, Kept, May, PendingLoop, PendingTable, PreemptionLoop, QuotaRound, Round,
            TenancyRound, Verdicts, turn,
        },
    },
    index::Index,
    quota::Quota,
};

/// What the loops work with.
pub(super) struct Whole {
    pub(super) index: Arc<Index>,
    pub(super) queue: Arc<Queue<JobKey>>,
    pub(super) quota: Arc<Quota>,
    pub(super) writes: Preemption,
    pub(super) announcer: Announcer,
    pub(super) frozen: Arc<AtomicBool>,
}

impl Operator<'_> {
    /// Starts them all; returns what services are told of Pods without a place.
    pub(super) fn start_cluster(&self, of: &Whole, may: &May, tasks: &mut JoinSet<()>) -> PendingTable {
        let (round, woken) = self.tenancy(of);
        self.spawn_round(round, woken, may, tasks);
        let (round, woken) = self.quota(of);
        self.spawn_round(round, woken, may, tasks);
        let (round, woken) = self.explaining(of);
        let (table, verdicts) = (round.table.clone(), round.verdicts.clone());
        self.spawn_round(round, woken, may, tasks);
        let (round, woken) = self.preemption(of, verdicts);
        self.spawn_round(round, woken, may, tasks);
        table
    }

    fn spawn_round<R: Round + 'static>(
        &self,
        round: R,
        woken: Arc<Notify>,
        may: &May,
        tasks: &mut JoinSet<()>,
    ) {
        let (may, stop) = (may.clone(), self.stop.clone());
        tasks.spawn(async move { turn(round, may, &woken, stop).await });
    }

    /// Keeps what tenancy becomes.
    fn tenancy(&self, of: &Whole) -> (TenancyRound, Arc<Notify>) {
        let (limits, fence) = (self.settings.limits(), self.fence.clone());
        let writer = TenancyWriter::new(self.client.clone(), limits, fence, self.metrics.clone());
        let woken: Arc<Notify> = Arc::default();
        of.index.wake_on_tenancy(Arc::clone(&woken));
        (TenancyRound::new(Arc::clone(&of.index), writer, &self.settings.namespace), woken)
    }

    /// Grants quota.
    fn quota(&self, of: &Whole) -> (QuotaRound, Arc<Notify>) {
        let (limits, fence) = (self.settings.limits(), self.fence.clone());
        let writer = RoleWriter::new(self.client.clone(), limits, fence, self.metrics.clone());
        let woken = Arc::clone(&of.quota.woken);
        of.index.wake_on_tenancy(Arc::clone(&woken));
        let follower = of.index.changes_waking(Arc::clone(&woken));
        let (index, quota, queue) = (Arc::clone(&of.index), Arc::clone(&of.quota), Arc::clone(&of.queue));
        (QuotaRound::new(index, quota, writer, queue, self.metrics.clone(), follower), woken)
    }

    /// Finds out why Pods have no place, and shows it.
    fn explaining(&self, of: &Whole) -> (PendingLoop, Arc<Notify>) {
        let (table, index) = (PendingTable::default(), Arc::clone(&of.index));
        let shown = table.clone();
        self.health.show("pending", move || shown.show(&index));
        let (index, queue) = (Arc::clone(&of.index), Arc::clone(&of.queue));
        let round = PendingLoop::new(index, table, queue, self.metrics.clone());
        let woken = Arc::clone(round.follower.woken());
        (round, woken)
    }

    /// Makes room, and shows what it decided.
    fn preemption(&self, of: &Whole, verdicts: Verdicts) -> (PreemptionLoop, Arc<Notify>) {
        let log = DecisionLog::default();
        let shown = log.clone();
        self.health.show("preemptions", move || shown.json());
        let changes = of.index.changes();
        let woken = Arc::clone(changes.woken());
        let round = PreemptionLoop {
            index: Arc::clone(&of.index),
            changes,
            writes: of.writes.clone(),
            announcer: of.announcer.clone(),
            metrics: self.metrics.clone(),
            settings: self.settings.preemption(Arc::clone(&of.frozen)),
            log,
            verdicts,
            kept: Kept::default(),
        };
        (round, woken)
    }
}
