//! Beginning and concluding updates: what a change of the spec's config leads to, and what is left of an update
//! that has ended. The status says up to where conclusions were drawn, so a crash in between draws them again.

use std::collections::BTreeMap;

use crate::model::{
    Failure, Instructions, Progress, Ranges, Revision, RevisionRecord, Service, ServiceStatus, Update,
    UpdateRef, UpdateState, reasons,
};

use super::{Action, Held, NewUpdate, Plan, fleet::Fleet, instructions::instructions, targets};

/// Draws the conclusions of the newest update, begins the next where the spec asks for one, and returns the status
/// with the facts as they are then.
pub(super) fn conclude(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    progress: Option<&Progress>,
    plan: &mut Plan,
) -> ServiceStatus {
    let service = fleet.view.service;
    let mut facts = known.clone();
    let newest = fleet.view.update.zip(progress);
    let running = newest.filter(|(_, progress)| !progress.state.is_terminal());
    if let Some((update, progress)) = newest {
        settle(fleet, update, progress, &mut facts);
    }
    if facts.failure.as_ref().is_some_and(|failure| failure.revision != service.revision) {
        facts.failure = None;
    }
    if running.is_none() {
        begin(fleet, newest, &mut facts, plan);
    }
    mark(fleet, &facts, newest.map(|(_, progress)| progress), plan);
    restore(fleet, &facts, plan);
    facts
}

/// Stores the last good config anew where somebody removed it and the spec still has it.
fn restore(fleet: &Fleet<'_>, facts: &ServiceStatus, plan: &mut Plan) {
    let revision = fleet.view.service.revision;
    let recorded = |action: &Action| matches!(action, Action::RecordRevision { .. });
    if facts.last_good == Some(revision) && !fleet.is_stored(revision) && !plan.actions.iter().any(recorded) {
        plan.actions.push(Action::RecordRevision { revision, last_good: true });
    }
}

/// What an update means for its service.
fn settle(fleet: &Fleet<'_>, update: &Update, progress: &Progress, facts: &mut ServiceStatus) {
    // The newest was removed: of this one the conclusions were drawn long ago.
    if facts.update.is_some_and(|known| known.number > update.number) {
        return;
    }
    let news = UpdateRef { number: update.number, state: progress.state };
    // Conclusions are drawn once: the spec may have gone on to another config, and even come back, since.
    if facts.update.replace(news) == Some(news) {
        return;
    }
    let Some((to, _)) = &update.instructions.to else { return };
    if *to == fleet.view.service.revision {
        facts.observed_revision = Some(*to);
    }
    if progress.state == UpdateState::RolledForward {
        facts.last_good = Some(*to);
        facts.failure = None;
    }
    if let Some((instance, failures)) =
        progress.cause.as_ref().filter(|_| progress.state != UpdateState::RolledForward)
    {
        facts.failure = Some(Failure {
            revision: *to,
            update: update.number,
            instance: *instance,
            reason: failures.reason,
            exit_code: failures.exit_code,
            message: failures.message.clone(),
            at: failures.at,
        });
    }
}

/// Begins an update where the spec's config was not acted on yet, or somebody asks to try it again.
fn begin(
    fleet: &Fleet<'_>,
    newest: Option<(&Update, &Progress)>,
    facts: &mut ServiceStatus,
    plan: &mut Plan,
) {
    let service = fleet.view.service;
    let of_spec = newest
        .filter(|(update, _)| update.instructions.to.as_ref().is_some_and(|(to, _)| *to == service.revision));
    let retried = of_spec.is_some_and(|(update, progress)| {
        update.controls.retry.is_some() && progress.state != UpdateState::RolledForward
    });
    // Instances that came while the update ran were made of the last good config, not of one not yet proven.
    // An update that lost its progress is no reason: what was adopted stays.
    let left_over = of_spec.is_some_and(|(_, progress)| {
        progress.state == UpdateState::RolledForward && !progress.touched.is_empty()
    });
    // It gave way to another config, which is gone again before its own update began. One that lost its progress has
    // no end to speak of, and does not count.
    let came_back = of_spec.is_some_and(|(update, progress)| {
        progress.state == UpdateState::Aborted
            && update.controls.abort.is_none()
            && progress.finished.is_some()
    });
    let changed = facts.observed_revision != Some(service.revision) || came_back;
    if !(changed || retried || left_over) {
        return;
    }
    // A person who aborts an update accepts what it left; one that was superseded is of no account. Whatever follows it
    // is an update, if an empty one, so that the chain has an end.
    let superseded = newest.filter(|(update, progress)| {
        changed
            && progress.state == UpdateState::Aborted
            && update.controls.abort.is_none()
            && progress.finished.is_some()
    });
    if service.instances == 0 && superseded.is_none() {
        facts.observed_revision = Some(service.revision);
        facts.last_good = Some(service.revision);
        if !fleet.is_stored(service.revision) {
            plan.actions.push(Action::RecordRevision { revision: service.revision, last_good: true });
        }
        return;
    }
    let base = superseded.map(|(update, _)| base(fleet, update, facts));
    let instructions = match instructions(fleet, facts, base) {
        Some(instructions) => instructions,
        None if retried => over_again(service, facts),
        None if superseded.is_some() => Instructions {
            to: Some((service.revision, Ranges::default())),
            instances: service.instances,
            previous_instances: service.instances,
            ..Instructions::default()
        },
        None => {
            if changed {
                facts.observed_revision = Some(service.revision);
                facts.last_good = Some(service.revision);
            }
            return;
        }
    };
    // Instances that only go need no update.
    if !(changed || retried) && instructions.to.as_ref().is_none_or(|(_, ranges)| ranges.is_empty()) {
        return;
    }
    if fleet.view.frozen {
        plan.held.push(Held { instance: None, reason: reasons::FROZEN, until: None });
        return;
    }
    if !fleet.is_stored(service.revision) {
        plan.actions.push(Action::RecordRevision { revision: service.revision, last_good: false });
        return;
    }
    let number =
        facts.update.map_or(0, |update| update.number).max(newest.map_or(0, |(update, _)| update.number)) + 1;
    plan.actions.push(Action::StartUpdate(NewUpdate {
        number,
        instructions,
        settings: service.update.clone(),
    }));
}

/// An update to a config that all instances run already: it is judged anew, and its way back is the last good one.
fn over_again(service: &Service, facts: &ServiceStatus) -> Instructions {
    let all = |revision| (revision, Ranges::up_to(service.instances));
    Instructions {
        from: vec![all(service.revision)],
        to: Some(all(service.revision)),
        base: facts.last_good.map(all).into_iter().collect(),
        instances: service.instances,
        previous_instances: service.instances,
    }
}

/// Where the rollback of an update that supersedes another goes: to what ran before the first of them, with the count
/// as it has been changed since by itself.
fn base(fleet: &Fleet<'_>, superseded: &Update, facts: &ServiceStatus) -> Vec<(Revision, Ranges)> {
    let count = targets::settled_count(fleet, facts);
    let mut before = BTreeMap::<Revision, Ranges>::new();
    for instance in 0..count {
        // An instance the updates were not about has what it had.
        let own = || targets::own_revision(fleet, facts, instance, count);
        if let Some(revision) = superseded.instructions.back(instance).or_else(own) {
            before.entry(revision).or_default().insert(instance);
        }
    }
    before.into_iter().collect()
}

/// Brings the marks of the stored configs in line: which is the last good one, which failed.
fn mark(fleet: &Fleet<'_>, facts: &ServiceStatus, progress: Option<&Progress>, plan: &mut Plan) {
    let spec = fleet.view.service.revision;
    let gave_up = progress
        .is_some_and(|progress| matches!(progress.state, UpdateState::RolledBack | UpdateState::Failed))
        && facts.failure.as_ref().is_some_and(|failure| failure.revision == spec);
    for record in fleet.view.revisions {
        let RevisionRecord { revision, last_good, failed, .. } = *record;
        let is_good = facts.last_good == Some(revision);
        // It failed and is still what the spec asks for; after any other spec it may be tried again.
        let has_failed = revision == spec && !is_good && (failed || gave_up);
        if (last_good, failed) != (is_good, has_failed) {
            plan.actions.push(Action::MarkRevision { revision, last_good: is_good, failed: has_failed });
        }
    }
}
