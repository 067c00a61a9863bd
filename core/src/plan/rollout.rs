//! Beginning and concluding updates: what a change of the spec's config leads to, and what is left of an update
//! that has ended. The status says up to where conclusions were drawn, so a crash in between draws them again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    model::{
        Failure, Instructions, Progress, Ranges, Revision, RevisionRecord, ServiceStatus, Update, UpdateRef,
        UpdateSettings, UpdateState, reasons,
    },
    state::{Answer, Wish, answer},
};

use super::{
    Action, Event, Held, NewUpdate, Plan,
    fleet::Fleet,
    instructions::{instructions, undoing},
    targets,
};

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
    let instructions = &update.instructions;
    let Some((to, _)) = &instructions.to else { return };
    if *to == fleet.view.service.revision && update.settings.scope == fleet.view.service.update.scope {
        observe(&update.settings, *to, facts);
    }
    if progress.state == UpdateState::RolledForward {
        facts.failure = None;
        // A config that runs in part only is not what new instances get, nor where a rollback of the rest goes.
        if is_everywhere(fleet, facts, &update.settings, *to, instructions.instances) {
            facts.last_good = Some(*to);
        }
        if *to != fleet.view.service.revision {
            // What waits in the spec finds the job as this update has left it.
            facts.counts.desired = instructions.instances;
        }
    }
    if instructions.takes_back.is_some() {
        // From its begin on: what comes meanwhile shall not be of the config that goes.
        facts.last_good = instructions.last_good.or(facts.last_good);
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

/// Notes what of the spec was acted on.
fn observe(settings: &UpdateSettings, revision: Revision, facts: &mut ServiceStatus) {
    facts.observed_revision = Some(revision);
    facts.observed_scope = settings.scope.clone();
    // A restart is acted on once, also where the update after it says nothing of one.
    facts.observed_restart = settings.restart_at.or(facts.observed_restart);
}

/// Whether every instance of the job runs the config, or is to.
fn is_everywhere(
    fleet: &Fleet<'_>,
    facts: &ServiceStatus,
    settings: &UpdateSettings,
    revision: Revision,
    count: u32,
) -> bool {
    let runs = |instance| targets::own_revision(fleet, facts, instance, count);
    let mut outside = (0..count).filter(|instance| !settings.allows(*instance));
    settings.scope.is_none() || outside.all(|instance| runs(instance) == Some(revision))
}

/// Begins an update where what the spec asks for was not acted on yet, or somebody asks to try it again or to take it
/// back.
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
        progress.state == UpdateState::RolledForward && progress.finished.is_some()
    });
    // It gave way to another config, which is gone again before its own update began. One that lost its progress has
    // no end to speak of, and does not count.
    let came_back = of_spec.is_some_and(|(update, progress)| {
        progress.state == UpdateState::Aborted
            && update.controls.abort.is_none()
            && progress.finished.is_some()
    });
    let other_config = facts.observed_revision != Some(service.revision) || came_back;
    let scope_moved = facts.observed_scope != service.update.scope;
    let restart = restart(fleet, facts, plan);
    // What failed or was given up is not begun again because somebody wants more of it, or the rest made anew. A restart
    // of the last good config that failed is no verdict on the config.
    let given_up = facts.last_good != Some(service.revision)
        && of_spec.is_some_and(|(_, progress)| {
            progress.state.is_terminal() && progress.state != UpdateState::RolledForward
        });
    if given_up && !other_config {
        facts.observed_scope.clone_from(&service.update.scope);
        if restart.is_some() && !retried {
            plan.held.push(Held { instance: None, reason: reasons::UPDATE_FAILED, until: None });
        }
    }
    let changed = other_config || (!given_up && (scope_moved || restart.is_some()));
    if !changed
        && !retried
        && let Some(instructions) = taken_back(fleet, of_spec, facts)
    {
        return start(fleet, newest, instructions, facts, plan);
    }
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
    if service.instances == 0 && superseded.is_none() && service.update.scope.is_none() {
        observe(&due_settings(fleet), service.revision, facts);
        facts.last_good = Some(service.revision);
        if !fleet.is_stored(service.revision) {
            plan.actions.push(Action::RecordRevision { revision: service.revision, last_good: true });
        }
        return;
    }
    let base = superseded.map(|(update, _)| base(fleet, update, facts));
    let again = restart.or_else(|| targets::restart_due(fleet).filter(|_| retried || came_back));
    let instructions = match instructions(fleet, facts, base, again) {
        Some(instructions) => instructions,
        None if retried => over_again(fleet, facts),
        None if superseded.is_some() => Instructions {
            to: Some((service.revision, Ranges::default())),
            instances: service.instances,
            asked: service.instances,
            previous_instances: service.instances,
            last_good: facts.last_good,
            ..Instructions::default()
        },
        None => {
            if changed {
                nothing_differs(fleet, facts, plan);
            }
            return;
        }
    };
    // Instances that only go need no update. Nor do those that failed and were borne: what stood beside the new run of
    // theirs has stayed.
    let is_borne =
        |instance| newest.is_some_and(|(update, progress)| targets::is_borne(update, progress, instance));
    let comes = |(_, ranges): &(Revision, Ranges)| ranges.iter().any(|instance| !is_borne(instance));
    if !(changed || retried || instructions.to.as_ref().is_some_and(comes)) {
        return;
    }
    if service.hold_updates {
        plan.held.push(Held { instance: None, reason: reasons::UPDATE_HELD, until: None });
        return;
    }
    start(fleet, newest, instructions, facts, plan);
}

/// Begins an update, once its config is stored.
fn start(
    fleet: &Fleet<'_>,
    newest: Option<(&Update, &Progress)>,
    instructions: Instructions,
    facts: &ServiceStatus,
    plan: &mut Plan,
) {
    let revision = fleet.view.service.revision;
    if fleet.view.frozen {
        plan.held.push(Held { instance: None, reason: reasons::FROZEN, until: None });
        return;
    }
    if !fleet.is_stored(revision) {
        plan.actions.push(Action::RecordRevision { revision, last_good: false });
        return;
    }
    let known = facts.update.map_or(0, |update| update.number);
    let number = known.max(newest.map_or(0, |(update, _)| update.number)) + 1;
    let undone = newest.filter(|(update, _)| instructions.takes_back == Some(update.number));
    let request = undone.and_then(|(update, _)| update.controls.rollback.clone());
    let new = NewUpdate { number, instructions, settings: due_settings(fleet), request };
    plan.actions.push(Action::StartUpdate(Box::new(new)));
}

/// The settings of an update that is begun now.
fn due_settings(fleet: &Fleet<'_>) -> UpdateSettings {
    UpdateSettings { restart_at: targets::restart_due(fleet), ..fleet.view.service.update.clone() }
}

/// The restart that is to be brought about now; one whose time has not come is waited for.
fn restart(fleet: &Fleet<'_>, facts: &ServiceStatus, plan: &mut Plan) -> Option<Timestamp> {
    let asked = fleet.view.service.update.restart_at.filter(|at| facts.observed_restart != Some(*at))?;
    if asked <= fleet.now {
        return Some(asked);
    }
    plan.check_at(asked);
    None
}

/// Nothing of what the spec asks for is to be changed; where a scope is the reason, people are told.
fn nothing_differs(fleet: &Fleet<'_>, facts: &mut ServiceStatus, plan: &mut Plan) {
    let service = fleet.view.service;
    // What comes is made of the last good config first, whatever the scope; then those in it differ.
    if service.update.scope.is_some() && service.instances > targets::settled_count(fleet, facts) {
        facts.counts.desired = service.instances;
        return;
    }
    observe(&due_settings(fleet), service.revision, facts);
    let count = targets::settled_count(fleet, facts);
    if is_everywhere(fleet, facts, &service.update, service.revision, count) {
        facts.last_good = Some(service.revision);
        return;
    }
    let scope = service.update.scope.clone().unwrap_or_default();
    plan.events.push(Event {
        warning: false,
        reason: "NothingToUpdate",
        message: format!("no instance of spec.update.instances ({scope}) differs from the spec"),
        update: None,
    });
}

/// What takes back the update that brought about what the spec asks for, where somebody wants it back.
fn taken_back(
    fleet: &Fleet<'_>,
    of_spec: Option<(&Update, &Progress)>,
    facts: &ServiceStatus,
) -> Option<Instructions> {
    let (update, progress) = of_spec.filter(|(update, _)| update.controls.rollback.is_some())?;
    // One that failed on its way back was asked already.
    if answer(progress.state, Wish::RollBack) != Answer::Anew || !progress.failed_back.is_empty() {
        return None;
    }
    undoing(fleet, facts, update)
}

/// An update to a config that all instances in its scope run already: it is judged anew, and its way back is the last
/// good one.
fn over_again(fleet: &Fleet<'_>, facts: &ServiceStatus) -> Instructions {
    let service = fleet.view.service;
    let count = service.instances;
    let settings = &service.update;
    let again: Ranges = (0..count).filter(|instance| settings.allows(*instance)).collect();
    let mut base = BTreeMap::<Revision, Ranges>::new();
    for instance in 0..count {
        let own = || targets::own_revision(fleet, facts, instance, count);
        let before = if settings.allows(instance) { facts.last_good } else { own() };
        before.into_iter().for_each(|revision| base.entry(revision).or_default().insert(instance));
    }
    Instructions {
        from: vec![(service.revision, again.clone())],
        to: Some((service.revision, again)),
        base: base.into_iter().collect(),
        instances: count,
        asked: count,
        previous_instances: count,
        last_good: facts.last_good,
        takes_back: None,
        in_place: Vec::new(),
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
