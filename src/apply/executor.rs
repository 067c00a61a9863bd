//! The order of a plan's parts, and what stops it.
//!
//! Progress first (what the actions build on; its failure stops the rest), then the actions in their order, the
//! children, the status, the events. A failed record stops everything, since the status may speak of it; a failed
//! Pod stops only what comes after it, so that its refusal is still told. Called by the service controller.

use std::{sync::Arc, time::Duration};

use borealis_core::plan::{Action, Plan};
use futures::{StreamExt, stream};
use kube::Client;
use tracing::info;

use super::{
    Facts, Learn, Outcome,
    calls::Calls,
    configs::Configs,
    events::Announcer,
    run::{Run, Undone},
    slow_start::rounds,
    status::Pace,
    tasks::{Target, Wanted},
    upkeep::Recent,
};
use crate::{ServiceKey, lease::Fence, metrics::Metrics};

/// What the executor keeps to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most calls on their way at a time, over all services.
    pub in_flight: usize,
    /// How long one call may take.
    pub call_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 32, call_timeout: Duration::from_secs(15) }
    }
}

/// Carries plans out. One for the process: its limits are the process's.
pub struct Executor {
    client: Client,
    index: Arc<dyn Learn>,
    announcer: Announcer,
    in_flight: usize,
    calls: Calls,
    configs: Configs,
    pace: Pace,
    recent: Recent,
}

impl Executor {
    /// An executor that writes while the fence lets it, and tells the index. The client must not retry by itself.
    pub fn new(
        client: Client,
        limits: Limits,
        fence: Fence,
        index: Arc<dyn Learn>,
        metrics: Metrics,
        announcer: Announcer,
    ) -> Self {
        Self {
            client,
            index,
            announcer,
            in_flight: limits.in_flight.max(1),
            calls: Calls::new(fence, limits.in_flight, limits.call_timeout, metrics),
            configs: Configs::default(),
            pace: Pace::default(),
            recent: Recent::default(),
        }
    }

    /// Does what the plan says. Never called for one service twice at a time.
    pub async fn execute(&self, key: &ServiceKey, facts: &Facts, plan: Plan) -> Outcome {
        if self.calls.term().is_none() {
            return Outcome::Fenced;
        }
        let run = Run::new(&self.client, &self.calls, &*self.index, &self.configs, key, facts);
        match self.carry_out(&run, plan).await {
            Ok(()) => Outcome::Done { wrote: run.wrote() },
            Err(Undone::Fenced) => Outcome::Fenced,
            Err(Undone::Retry { after, why }) => Outcome::Retry { after, why },
            Err(Undone::Refused(problem)) => Outcome::Refused { problem },
        }
    }

    async fn carry_out(&self, run: &Run<'_>, plan: Plan) -> Result<(), Undone> {
        let Plan { progress, mut actions, status, events, next_check: _, held: _ } = plan;
        match &progress {
            Some((uid, progress)) => run.write_progress(*uid, progress).await?,
            None => run.repair_ended_mark().await?,
        }
        actions.sort_by_key(Action::order);
        let mut failed = None;
        for group in actions.chunk_by(|one, next| one.order() == next.order()) {
            if let Err(undone) = self.carry_out_group(run, group).await {
                let is_record = group.iter().any(|action| !is_about_task(action));
                if is_record || matches!(undone, Undone::Fenced) {
                    return Err(undone);
                }
                failed = Some(undone);
                break;
            }
        }
        let kept = run.keep_children(&self.client, &self.recent).await;
        let told = match &status {
            Some(status) => run.write_status(&self.pace, status).await,
            None => Ok(()),
        };
        if failed.is_none() {
            // Even when the status has to wait: what it tells may not be found out a second time.
            for event in events {
                self.announcer.announce(run.key, run.facts, event);
            }
        }
        let undone = failed.into_iter().chain(kept.err()).chain(told.err()).reduce(Undone::worse);
        undone.map_or(Ok(()), Err)
    }

    /// Does actions of one kind side by side; creates begin with one, since what one meets all will.
    async fn carry_out_group(&self, run: &Run<'_>, group: &[Action]) -> Result<(), Undone> {
        let ramp = matches!(group, [Action::Create { .. }, ..]);
        for round in rounds(group, ramp, self.in_flight) {
            // Collected first: a closure kept in the stream would make the future of `execute` unfit to be spawned.
            let calls: Vec<_> = round.iter().map(|action| act(run, action)).collect();
            let done = stream::iter(calls).buffer_unordered(self.in_flight);
            let failures = done.filter_map(|done| async { done.err() }).collect::<Vec<_>>().await;
            if let Some(undone) = failures.into_iter().reduce(Undone::worse) {
                return Err(undone);
            }
        }
        Ok(())
    }
}

/// Whether the action is about a Pod, not about what others build on.
fn is_about_task(action: &Action) -> bool {
    match action {
        Action::End { .. } | Action::Retire { .. } | Action::Create { .. } | Action::Prune { .. } => true,
        // Removing what nothing names any more is as harmless.
        Action::PruneRevision { .. } | Action::PruneUpdate { .. } => true,
        Action::AdoptTask { .. }
        | Action::AdoptRevision { .. }
        | Action::AdoptUpdate { .. }
        | Action::RecordRevision { .. }
        | Action::MarkRevision { .. }
        | Action::StartUpdate(_) => false,
    }
}

async fn act(run: &Run<'_>, action: &Action) -> Result<(), Undone> {
    let service = run.key;
    match *action {
        Action::AdoptTask { uid, instance, run: number } => {
            run.adopt_task(Target { uid, instance, run: number }).await?;
            info!(%service, instance, run = number, "adopted a task");
        }
        Action::AdoptRevision { revision, uid } => {
            run.adopt_revision(revision, uid).await?;
            info!(%service, %revision, "adopted a stored config");
        }
        Action::AdoptUpdate { number, uid } => {
            run.adopt_update(number, uid).await?;
            info!(%service, update = number, "adopted an update");
        }
        Action::RecordRevision { revision, last_good } => {
            run.record_revision(revision, last_good).await?;
            info!(%service, %revision, last_good, "stored a config");
        }
        Action::MarkRevision { revision, last_good, failed } => {
            run.mark_revision(revision, last_good, failed).await?;
            info!(%service, %revision, last_good, failed, "marked a stored config");
        }
        Action::PruneRevision { revision, uid } => run.prune_revision(revision, uid).await?,
        Action::PruneUpdate { number, uid } => run.prune_update(number, uid).await?,
        Action::StartUpdate(ref new) => {
            run.start_update(new).await?;
            info!(%service, update = new.number, instances = new.instructions.instances, "began an update");
        }
        Action::End { uid, instance, run: number, intent, how } => {
            run.end_task(Target { uid, instance, run: number }, intent, how).await?;
            info!(%service, instance, run = number, ?intent, ?how, "ended a task");
        }
        Action::Retire { uid, instance, run: number } => {
            run.retire_task(Target { uid, instance, run: number }).await?;
        }
        Action::Prune { uid, instance, run: number } => {
            run.delete_task(Target { uid, instance, run: number }).await?;
        }
        Action::Create { instance, run: number, revision, flaps, failures } => {
            run.create_task(Wanted { instance, run: number, revision, flaps, failures }).await?;
            info!(%service, instance, run = number, %revision, flaps, "started a task");
        }
    }
    Ok(())
}
