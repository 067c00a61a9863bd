//! What a job's status says after a plan: the facts that outlive its Pods, counts, and the conditions.

use crate::model::{
    Batch, BatchStatus, Condition, ConditionType, Instance, Parent, ParentKind, Phase, ServiceStatus, reasons,
};

use super::{
    super::{
        Action, Event, Plan, Problem,
        fleet::Fleet,
        status::{self as common, settle},
    },
    Scene,
    course::{Course, Wait, parents_ended},
    words::{self, Told},
};

/// The status after this plan's decisions.
pub(super) fn status(scene: &Scene<'_>, course: &Course, throttled: u32, plan: &mut Plan) -> ServiceStatus {
    let Scene { fleet, known, .. } = scene;
    let service = fleet.view.service;
    let mut status = common::census(fleet, (*known).clone(), std::iter::empty());
    status.observed_generation = service.generation;
    // What waits or is suspended has to be granted its quota anew before it starts.
    status.observed_revision = match course {
        Course::Waits(_) | Course::Suspended => None,
        Course::Runs(_) => Some(service.revision),
        Course::Over { .. } => known.observed_revision,
    };
    status.observed_count = status.observed_revision.map(|_| service.instances);
    status.last_good = status.observed_revision;
    // How many there were to be when it was decided is what its end was judged by.
    let is_decided = known.batch.as_ref().is_some_and(|batch| batch.ended.is_some());
    status.counts.desired = if is_decided { known.counts.desired } else { service.instances };
    status.counts.updated = status.counts.live;
    status.counts.throttled = throttled;
    let batch = facts(scene, course, status.counts.live);
    if let [first, more @ ..] = &scene.tally.given_up[..] {
        let more =
            if more.is_empty() { String::new() } else { format!("; and {} more were given up", more.len()) };
        let message = format!("{}{more}", words::given_up(scene, first, plan));
        plan.events.push(Event { warning: true, reason: "InstanceFailed", message, update: None });
    }
    let runs = matches!(course, Course::Runs(_));
    let wanted = |instance: &Instance| runs && scene.tally.is_wanted(*instance, service.instances);
    let pending = common::pending(fleet, (0..service.instances).filter(wanted), &plan.held);
    plan.events.extend(common::pending_news(fleet.view.status, &pending));
    let wait = if let Course::Waits(wait) = course { Some(wait) } else { None };
    let frozen = plan.held.iter().any(|held| held.reason == reasons::FROZEN);
    let told = words::tell(scene, &status, &batch, wait, frozen, plan);
    let placed = common::placed(&pending, (0..service.instances).filter(wanted).count());
    status.conditions = conditions(fleet, &batch, told, placed);
    status.batch = Some(Box::new(batch));
    status
}

/// The status of a job that nothing can be done for now; what is known of it stays.
pub(super) fn blocked(fleet: &Fleet<'_>, batch: &Batch, problem: &Problem) -> ServiceStatus {
    let mut status = common::blocked(fleet, problem);
    let known = status.batch.get_or_insert_default();
    if known.ended.is_none() {
        known.parents_ended = ended(fleet, batch);
    }
    status
}

fn ended(fleet: &Fleet<'_>, batch: &Batch) -> Vec<String> {
    parents_ended(fleet.view.service, batch, fleet.view.status, &fleet.view.upstream)
}

fn facts(scene: &Scene<'_>, course: &Course, live: u32) -> BatchStatus {
    if let Some(over) = scene.known.batch.as_deref().filter(|batch| batch.phase.is_terminal()) {
        return over.clone();
    }
    let tally = &scene.tally;
    let facts = BatchStatus {
        succeeded: tally.succeeded.clone(),
        failed: tally.failed.clone(),
        failures: tally.by_count(),
        first_failure: tally.first,
        parents_ended: ended(scene.fleet, scene.batch),
        ..BatchStatus::default()
    };
    match course {
        Course::Waits(wait) => BatchStatus { phase: Phase::Waiting, waits_for: waits_for(wait), ..facts },
        Course::Suspended => BatchStatus { phase: Phase::Suspended, ..facts },
        Course::Runs(started) => BatchStatus { phase: Phase::Running, started: Some(*started), ..facts },
        Course::Over { started, ended, failure } => {
            let phase = match failure {
                _ if live > 0 => Phase::Ending,
                None => Phase::Complete,
                Some(_) => Phase::Failed,
            };
            BatchStatus { phase, started: *started, ended: Some(*ended), failure: *failure, ..facts }
        }
    }
}

fn waits_for(wait: &Wait) -> Vec<String> {
    match wait {
        Wait::Parents(parents) => parents.iter().map(parent_name).collect(),
        Wait::Cycle(_) | Wait::Unconfirmed => Vec::new(),
    }
}

/// A parent by its kind and name.
pub(super) fn parent_name(parent: &Parent) -> String {
    let kind = match parent.kind {
        ParentKind::Job => "AuroraJob",
        ParentKind::Cron => "AuroraCron",
    };
    format!("{kind}/{}", parent.name)
}

fn conditions(
    fleet: &Fleet<'_>,
    batch: &BatchStatus,
    told: Told,
    placed: (bool, &'static str, String),
) -> Vec<Condition> {
    // As of a Job of Kubernetes: they are there once they hold.
    let end = match batch.phase {
        Phase::Complete => Some((ConditionType::Complete, told.ready.clone())),
        Phase::Failed => Some((ConditionType::Failed, told.stalled.clone())),
        Phase::Waiting | Phase::Running | Phase::Suspended | Phase::Ending => None,
    };
    let all = [
        (ConditionType::Ready, told.ready),
        (ConditionType::Reconciling, told.reconciling),
        (ConditionType::Stalled, told.stalled),
        (ConditionType::Placed, placed),
    ];
    all.into_iter().chain(end).map(|(kind, words)| settle(fleet, kind, words)).collect()
}

/// Whether the Pod of a run is there, and stays.
pub(super) fn is_kept(scene: &Scene<'_>, of: (Instance, u32), plan: &Plan) -> bool {
    let there = scene.fleet.tasks(of.0).iter().any(|task| task.run == of.1);
    let goes = |action: &Action| match action {
        Action::Prune { instance, run, .. } => (*instance, *run) == of,
        _ => false,
    };
    there && !plan.actions.iter().any(goes)
}
