//! The order of a plan's parts, and what stops it.
//!
//! Progress first (what the actions build on; its failure stops the rest), then the actions in their order, the
//! children, the status; events after what they tell of. A failed record stops everything, since the status may speak
//! of it; a failed Pod stops only what comes after it, so that its refusal is still told. Called by the service
//! controller.

use std::{sync::Arc, time::Duration};

use borealis_core::{
    model::Revision,
    plan::{Action, Event, Plan},
};
use futures::{StreamExt, stream::FuturesUnordered};
use kube::Client;
use tracing::{debug, info};

use super::{
    Facts, Learn, Outcome,
    calls::Calls,
    configs::Configs,
    crons::CronExecutor,
    events::Announcer,
    in_place::InPlace,
    preemption::Preemption,
    run::{Run, Undone},
    slow_start::Window,
    status::Pace,
    tasks::{Target, Wanted},
    upkeep::Recent,
};
use crate::{JobKey, index::Index, lease::Fence, metrics::Metrics};

/// Pods that are made, ended or removed in one go; the rest is planned anew.
const PORTION: usize = 256;

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
    calls: Arc<Calls>,
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
            calls: Arc::new(Calls::new(fence, limits.in_flight, limits.call_timeout, metrics)),
            configs: Configs::default(),
            pace: Pace::default(),
            recent: Recent::default(),
        }
    }

    /// What writes for preemption, within the same limits.
    pub fn preemption(&self) -> Preemption {
        Preemption::new(self.client.clone(), Arc::clone(&self.calls), Arc::clone(&self.index))
    }

    /// What carries out the plans of crons, within the same limits.
    pub fn crons(&self, index: Arc<Index>, metrics: Metrics) -> CronExecutor {
        CronExecutor::new(
            self.client.clone(),
            Arc::clone(&self.calls),
            index,
            self.announcer.clone(),
            metrics,
        )
    }

    /// Does what the plan says. Never called for one service twice at a time.
    pub async fn execute(&self, key: &JobKey, facts: &Facts, plan: Plan) -> Outcome {
        if self.calls.term().is_none() {
            return Outcome::Fenced;
        }
        let run = Run::new(&self.client, &self.calls, &*self.index, &self.configs, key, facts);
        self.carry_out(&run, plan).await.map(|rest| rest || run.wrote()).into()
    }

    /// Whether something was left to the next plan.
    async fn carry_out(&self, run: &Run<'_>, plan: Plan) -> Result<bool, Undone> {
        let Plan { progress, mut actions, status, events, next_check: _, held: _ } = plan;
        match &progress {
            Some((uid, progress)) => run.write_progress(*uid, progress).await?,
            None => run.repair_ended_mark().await?,
        }
        // An event is told when what it tells is recorded: it is not found out a second time.
        let (of_update, of_service): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| event.update.is_some());
        self.announce(run, of_update);
        let rest = leave_to_the_next(&mut actions);
        let mut failed = None;
        for group in actions.chunk_by(|one, next| kind(one) == kind(next)) {
            let Err(undone) = self.carry_out_group(run, group).await else { continue };
            let is_refused = matches!(undone, Undone::Refused(_));
            let is_record = group.iter().any(|action| !is_about_task(action));
            // What is refused of one config is no reason not to make the Pods of another, nor not to say so.
            let goes_on = is_refused && group.iter().all(is_apart);
            if (is_record && !goes_on) || matches!(undone, Undone::Fenced) {
                return Err(undone);
            }
            failed = failed.into_iter().chain([undone]).reduce(Undone::worse);
            if !goes_on {
                break;
            }
        }
        if failed.is_none() {
            sum_up(run.key, &actions);
        }
        let kept = run.keep_children(&self.client, &self.recent, status.as_ref()).await;
        let told = match &status {
            Some(status) => run.write_status(&self.pace, status).await,
            None => Ok(()),
        };
        if told.is_ok() {
            self.announce(run, of_service);
        }
        let told = if rest { told.or_else(Undone::unless_merely_early) } else { told };
        let undone = failed.into_iter().chain(kept.err()).chain(told.err()).reduce(Undone::worse);
        undone.map_or(Ok(rest), Err)
    }

    fn announce(&self, run: &Run<'_>, events: Vec<Event>) {
        events.into_iter().for_each(|event| self.announcer.announce(run.key, run.facts, event));
    }

    /// Does actions of one kind side by side, as many as have room; begins nothing more after a failure.
    async fn carry_out_group(&self, run: &Run<'_>, group: &[Action]) -> Result<(), Undone> {
        let mut window = Window::new(matches!(group, [Action::Create { .. }, ..]), self.in_flight);
        let mut waiting = group.iter();
        let mut under_way = FuturesUnordered::new();
        let mut failed: Option<Undone> = None;
        loop {
            while failed.is_none() && window.has_room(under_way.len()) {
                let Some(action) = waiting.next() else { break };
                under_way.push(act(run, action));
            }
            match under_way.next().await {
                Some(Ok(())) => window.widen(),
                Some(Err(undone)) => {
                    failed = failed.into_iter().chain([undone]).reduce(Undone::worse);
                }
                None => return failed.map_or(Ok(()), Err),
            }
        }
    }
}

/// Sorts the actions and cuts off what is too much for one go; whether anything was.
///
/// A plan for thousands of Pods takes minutes, in which the status would stand still and nothing new be seen.
fn leave_to_the_next(actions: &mut Vec<Action>) -> bool {
    actions.sort_by_key(kind);
    let first = actions.partition_point(|action| !is_about_task(action));
    let rest = actions.len() > first + PORTION;
    actions.truncate(first + PORTION);
    rest
}

/// What is carried out side by side: actions of one order, creates of one config.
fn kind(action: &Action) -> (u8, Option<Revision>) {
    let revision = match action {
        Action::Create { revision, .. } => Some(*revision),
        _ => None,
    };
    (action.order(), revision)
}

/// One line for all Pods of a plan; each is told at the level below.
fn sum_up(service: &JobKey, actions: &[Action]) {
    let started = actions.iter().filter(|action| matches!(action, Action::Create { .. })).count();
    let ended = actions.iter().filter(|action| matches!(action, Action::End { .. })).count();
    if started + ended > 0 {
        info!(%service, started, ended, "started and ended tasks");
    }
}

/// Whether the action is about a Pod, not about what others build on.
fn is_about_task(action: &Action) -> bool {
    match action {
        Action::End { .. } | Action::Retire { .. } | Action::Create { .. } | Action::Prune { .. } => true,
        Action::SetGate { .. } | Action::ChangeInPlace { .. } => true,
        // Removing what nothing names any more is as harmless.
        Action::PruneRevision { .. } | Action::PruneUpdate { .. } => true,
        Action::AdoptTask { .. }
        | Action::AdoptRevision { .. }
        | Action::AdoptUpdate { .. }
        | Action::RecordRevision { .. }
        | Action::MarkRevision { .. }
        | Action::StartUpdate(_)
        | Action::RemoveJob { .. } => false,
    }
}

/// Whether nothing else of the plan stands on it: a config that is not yet acted on, an update that has not begun, a Pod.
fn is_apart(action: &Action) -> bool {
    matches!(
        action,
        Action::RecordRevision { last_good: false, .. } | Action::StartUpdate(_) | Action::Create { .. }
    )
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
            debug!(%service, instance, run = number, ?intent, ?how, "ended a task");
        }
        Action::SetGate { uid, instance, run: number, open } => {
            run.set_gate(Target { uid, instance, run: number }, open).await?;
            debug!(%service, instance, run = number, open, "set the gate of a task");
        }
        Action::ChangeInPlace { uid, instance, run: number, from, revision, update, instead } => {
            let change = InPlace { from, to: revision, update, instead };
            run.change_task(Target { uid, instance, run: number }, change).await?;
            debug!(%service, instance, run = number, %revision, "changed a task in place");
        }
        Action::Retire { uid, instance, run: number } => {
            run.retire_task(Target { uid, instance, run: number }).await?;
        }
        Action::Prune { uid, instance, run: number } => {
            run.delete_task(Target { uid, instance, run: number }).await?;
        }
        Action::Create { instance, run: number, revision, flaps, failures } => {
            run.create_task(Wanted { instance, run: number, revision, flaps, failures }).await?;
            debug!(%service, instance, run = number, %revision, flaps, "started a task");
        }
        Action::RemoveJob { uid } => {
            run.remove_job(uid).await?;
            info!(%service, "removed a job that has ended");
        }
    }
    Ok(())
}
