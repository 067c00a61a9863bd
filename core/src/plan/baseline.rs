//! Taking up a service that has no status: a new one, one restored from a backup, or one made again after its
//! Pods were orphaned. What runs is adopted as it is; adopting never starts an update.

use crate::model::{Intent, Revision, ServiceStatus, Task, UpdateRef, UpdateState};

use super::{Action, Plan, ServiceView, fleet::Fleet, status};

/// Takes over what carries the service's name and belongs to nobody.
pub(super) fn adopt(view: &ServiceView<'_>, plan: &mut Plan) {
    // What is being deleted need not be taken over, and may still be a service's that had this name before.
    let stays = |task: &&Task| {
        task.intent() != Some(Intent::Lose) && !task.ending.is_some_and(|ending| ending.deleting)
    };
    let tasks = view.tasks.iter().filter(|task| !task.owned).filter(stays);
    plan.actions.extend(tasks.map(|task| Action::AdoptTask {
        uid: task.uid,
        instance: task.instance,
        run: task.run,
    }));
    let revisions = view.revisions.iter().filter(|record| !record.owned);
    plan.actions
        .extend(revisions.map(|record| Action::AdoptRevision { revision: record.revision, uid: record.uid }));
    let newest = view.update.filter(|update| !update.owned).map(|update| (update.number, update.uid));
    let past = view.past_updates.iter().filter(|update| !update.owned);
    let updates = past.map(|update| (update.number, update.uid)).chain(newest);
    plan.actions.extend(updates.map(|(number, uid)| Action::AdoptUpdate { number, uid }));
}

/// The first status of a service, from what is there.
pub(super) fn status(fleet: &Fleet<'_>, plan: &mut Plan) -> ServiceStatus {
    let view = fleet.view;
    let spec = view.service.revision;
    let last_good = last_good(fleet).unwrap_or(spec);
    if last_good == spec && !fleet.is_stored(spec) {
        plan.actions.push(Action::RecordRevision { revision: spec, last_good: true });
    }
    let runs = view.tasks.iter().map(|task| task.run).chain(view.seen_runs.values().copied());
    let status = ServiceStatus {
        observed_generation: view.service.generation,
        observed_revision: Some(spec),
        observed_scope: view.service.update.scope.clone(),
        // One whose time is to come is still to be brought about.
        observed_restart: view.service.update.restart_at.filter(|at| *at <= fleet.now),
        last_good: Some(last_good),
        highest_run: runs.max().unwrap_or(0),
        update: view.update.map(|update| UpdateRef {
            number: update.number,
            state: update.progress.as_ref().map_or_else(
                || lost_state(view, last_good, update.instructions.to.as_ref().map(|(to, _)| *to)),
                |progress| progress.state,
            ),
        }),
        // A status that only said what stands in the way may have recorded a grant as well.
        admitted: view.status.and_then(|status| status.admitted.clone()),
        ..ServiceStatus::default()
    };
    status::first(fleet, status)
}

/// The config that was called good, else what most live tasks run.
fn last_good(fleet: &Fleet<'_>) -> Option<Revision> {
    let marked =
        fleet.view.revisions.iter().filter(|record| record.last_good).max_by_key(|record| record.number);
    if let Some(record) = marked {
        return Some(record.revision);
    }
    let live = || fleet.view.tasks.iter().filter(|task| !task.is_terminal()).map(|task| task.revision);
    let common = live().max_by_key(|revision| (live().filter(|other| other == revision).count(), *revision));
    common.filter(|revision| fleet.is_stored(*revision))
}

/// How an update ended whose status was lost, as far as the marks on the configs say. It never goes on: what its
/// status knew, which instances it had changed, is gone.
fn lost_state(view: &ServiceView<'_>, last_good: Revision, to: Option<Revision>) -> UpdateState {
    let failed = |to| view.revisions.iter().any(|record| record.revision == to && record.failed);
    match to {
        Some(to) if to == last_good => UpdateState::RolledForward,
        Some(to) if failed(to) => UpdateState::RolledBack,
        Some(_) | None => UpdateState::Aborted,
    }
}
