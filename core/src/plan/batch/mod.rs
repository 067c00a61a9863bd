//! What to do next for a job whose instances run to their end, once each (Aurora: a job that is no service).
//!
//! `tally` reads what has come out of the instances so far, `course` says what the job as a whole is up to, `tasks` ends
//! and starts Pods accordingly, `status` says it to people. Two rules order their writes. What ends a job is recorded
//! before its Pods are ended for it, so that a decision is never taken twice in two ways. And an ended Pod is removed
//! only when the status has what it says. There are no updates and no stored configs: a job's config never changes.

mod course;
mod status;
mod tally;
mod tasks;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{Batch, Instance, ServiceStatus, Task, reasons};

use super::{Action, Plan, ServiceView, ending::later, fleet::Fleet, history};

pub use course::asks;

use course::{Course, Wait, course};
use tally::{Tally, tally};

/// What is known of a job and its Pods.
struct Scene<'a> {
    /// The job with the Pods that are its own.
    fleet: &'a Fleet<'a>,
    batch: &'a Batch,
    /// What its status says; as good as empty where it has none.
    known: &'a ServiceStatus,
    /// What has come out of its instances.
    tally: Tally,
    /// Instances that have a live Pod which is not the job's.
    foreign: BTreeSet<Instance>,
}

/// What to do for the job now.
pub(super) fn plan(view: &ServiceView<'_>, batch: &Batch, now: Timestamp) -> Plan {
    // What belongs to nobody, or to a job that had this name before, is not taken over.
    let own: Vec<Task> = view.tasks.iter().filter(|task| task.owned).cloned().collect();
    let is_foreign = |task: &&Task| !task.owned && !task.is_terminal();
    let foreign = view.tasks.iter().filter(is_foreign).map(|task| task.instance).collect();
    let view = &ServiceView { tasks: &own, ..view.clone() };
    let (fleet, nothing) = (&Fleet::new(view, now), ServiceStatus::default());
    let known = view.status.unwrap_or(&nothing);
    let mut plan = Plan::default();
    if let Some(problem) = view.problem.filter(|problem| problem.blocks && !course::is_to_end(batch, known)) {
        plan.status = Some(status::blocked(fleet, batch, problem));
        return plan;
    }
    let scene = Scene { fleet, batch, known, tally: tally(fleet, batch, known), foreign };
    let course = course(&scene, &mut plan);
    let throttled = tasks::reconcile(&scene, &course, &mut plan);
    tidy(&scene, &course, &mut plan);
    // A run that its cron has not confirmed is about to begin, or to go: there is nothing to say of it yet.
    if view.status.is_some() || !matches!(course, Course::Waits(Wait::Unconfirmed)) {
        plan.status = Some(status::status(&scene, &course, throttled, &mut plan));
    }
    plan
}

/// Removes ended Pods beyond what is kept, and at last the job.
fn tidy(scene: &Scene<'_>, course: &Course, plan: &mut Plan) {
    let Scene { fleet, batch, known, tally, .. } = scene;
    let over = known.batch.as_ref().filter(|batch| batch.phase.is_terminal());
    let wanted = |instance| !course.is_over() && tally.is_wanted(instance, fleet.view.service.instances);
    let may_go = |task: &Task| over.is_some() || tally::is_recorded(task, known);
    history::tasks(fleet, wanted, may_go, plan);
    let ended = over.and_then(|batch| batch.ended).filter(|_| batch.run_of.is_none());
    let Some(due) = ended.zip(batch.ttl_seconds).map(|(ended, ttl)| later(ended, ttl.into())) else { return };
    if fleet.now < due {
        plan.check_at(due);
    } else if fleet.view.frozen {
        plan.held.push(super::Held { instance: None, reason: reasons::FROZEN, until: None });
    } else {
        plan.actions.push(Action::RemoveJob { uid: fleet.view.service.uid });
    }
}
