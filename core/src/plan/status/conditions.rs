//! Ready, Reconciling and Stalled (kstatus), and Placed, each with a reason and a sentence. The reason of Ready is the word
//! that `kubectl get` shows as the state.

use crate::model::{
    Condition, ConditionType, Counts, Pending, Progress, ServiceStatus, UpdateState, reasons,
};

use super::{
    super::{Problem, fleet::Fleet},
    placed,
};

/// What the conditions are about, beside the status itself.
pub(super) struct Situation<'a> {
    pub(super) fleet: &'a Fleet<'a>,
    pub(super) progress: Option<&'a Progress>,
    pub(super) problem: Option<&'a Problem>,
    /// Instances that shall run now.
    pub(super) wanted: usize,
    /// Something would be done, were it not for the freeze.
    pub(super) frozen: bool,
    /// An update would be begun, were it not for the spec.
    pub(super) update_held: bool,
    /// Instances that have no place.
    pub(super) pending: &'a [Pending],
}

/// The conditions that follow from the situation.
pub(super) fn conditions(situation: &Situation<'_>, status: &ServiceStatus) -> Vec<Condition> {
    let Verdict { ready, reconciling, stalled } = judge(situation, status);
    let placed = placed::words(situation.pending, situation.wanted);
    let all = [
        (ConditionType::Ready, ready),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stalled),
        (ConditionType::Placed, placed),
    ];
    all.into_iter().map(|(kind, words)| settle(situation.fleet, kind, words)).collect()
}

/// A condition of these words: one that did not change keeps its time.
pub(in crate::plan) fn settle(fleet: &Fleet<'_>, kind: ConditionType, words: Words) -> Condition {
    let (holds, reason, message) = words;
    let known = fleet.view.status.and_then(|status| status.condition(kind));
    let since = known.filter(|known| known.holds == holds).map_or(fleet.now, |known| known.since);
    Condition { kind, holds, reason, message, since }
}

/// Whether a condition holds, why in a word, and why in a sentence.
pub(in crate::plan) type Words = (bool, &'static str, String);

struct Verdict {
    ready: Words,
    reconciling: Words,
    stalled: Words,
}

fn judge(situation: &Situation<'_>, status: &ServiceStatus) -> Verdict {
    let counts = &status.counts;
    let all_run = counts.running as usize == situation.wanted && counts.live as usize == situation.wanted;
    let census = census(situation, status);
    let quiet = (false, reasons::SETTLED, String::new());
    let unstalled = (false, reasons::SETTLED, String::new());
    let busy = |reason, message| (true, reason, message);
    if let Some(problem) = situation.problem {
        let stalled = (true, problem.reason, problem.message.clone());
        let ready = (false, problem.reason, format!("{census}; {}", problem.message));
        return Verdict { ready, reconciling: quiet, stalled };
    }
    if situation.frozen {
        let words = format!("{census}; the freeze holds back what the spec asks for");
        let ready = (false, reasons::FROZEN, words.clone());
        return Verdict { ready, reconciling: busy(reasons::FROZEN, words), stalled: unstalled };
    }
    if let Some((state, message)) = active(situation) {
        let words = format!("{message}; {census}");
        let ready = (false, state, words.clone());
        let reconciling = if state == reasons::UPDATE_PAUSED { quiet } else { busy(state, words) };
        return Verdict { ready, reconciling, stalled: unstalled };
    }
    let stalled = stalled(situation, status);
    let held = held(situation);
    // What the spec itself holds back is nothing to wait for: it runs as it is asked to.
    let running = if held.is_some() { held } else { part(situation, status) };
    let running = running.filter(|_| stalled.is_none());
    let usual = running.as_ref().map_or(reasons::RUNNING, |(reason, _)| *reason);
    let reason = stalled.as_ref().map_or(usual, |(reason, _)| *reason);
    let reconciling = if all_run { quiet } else { busy(reasons::REPLACING, census.clone()) };
    // Until all run for the first time, or again after none did, nothing is being replaced.
    let known = situation.fleet.view.status.and_then(|status| status.condition(ConditionType::Ready));
    let starts = status.counts.running == 0 || known.is_some_and(|known| known.reason == reasons::STARTING);
    let ready_reason = match (all_run, reason) {
        (true, _) => reason,
        (false, _) if stalled.is_some() => reason,
        (false, _) if starts => reasons::STARTING,
        (false, _) => reasons::REPLACING,
    };
    let ready_message = match stalled.as_ref().or(running.as_ref()) {
        Some((_, message)) => format!("{census}; {message}"),
        None => census,
    };
    let ready = (all_run && reason != reasons::UPDATE_FAILED, ready_reason, ready_message);
    let stalled = stalled.map_or(unstalled, |(reason, message)| (true, reason, message));
    Verdict { ready, reconciling, stalled }
}

/// The update that is under way, in a word and a sentence.
fn active(situation: &Situation<'_>) -> Option<(&'static str, String)> {
    let (update, progress) = situation.fleet.view.update.zip(situation.progress)?;
    let reason = match progress.state {
        UpdateState::RollingForward => reasons::UPDATING,
        UpdateState::RollingBack => reasons::ROLLING_BACK,
        UpdateState::RollForwardPaused | UpdateState::RollBackPaused => reasons::UPDATE_PAUSED,
        UpdateState::RollForwardAwaitingPulse | UpdateState::RollBackAwaitingPulse => reasons::AWAITING_PULSE,
        UpdateState::RolledForward
        | UpdateState::RolledBack
        | UpdateState::Aborted
        | UpdateState::Error
        | UpdateState::Failed => return None,
    };
    let scope = update.instructions.order().len();
    let done = if progress.state.is_back() {
        format!("{} of {} back", progress.rolled_back.len(), progress.touched.len())
    } else {
        format!("{} of {scope} updated", progress.updated.len())
    };
    let why = if progress.message.is_empty() { String::new() } else { format!(" ({})", progress.message) };
    Some((reason, format!("update {} {}: {done}{why}", update.number, progress.state.name())))
}

/// That the spec holds back the update it asks for.
fn held(situation: &Situation<'_>) -> Option<(&'static str, String)> {
    let spec = situation.fleet.view.service.revision;
    let words = format!("spec.update.paused holds the update to {spec}: set it to false to begin");
    situation.update_held.then_some((reasons::UPDATE_HELD, words))
}

/// Which part of the job runs the spec's config, where it is not meant to run everywhere.
fn part(situation: &Situation<'_>, status: &ServiceStatus) -> Option<(&'static str, String)> {
    let service = situation.fleet.view.service;
    let spec = Some(service.revision);
    let applies = status.observed_revision == spec && status.last_good != spec;
    let scope = service.update.scope.as_ref().filter(|_| applies)?;
    let Counts { updated, desired, .. } = status.counts;
    let spec = service.revision;
    let words = format!(
        "{updated} of {desired} have config {spec}, which spec.update.instances asks for {scope} alone"
    );
    Some((reasons::PARTLY_UPDATED, words))
}

/// Why the spec's config does not run and won't by itself.
fn stalled(situation: &Situation<'_>, status: &ServiceStatus) -> Option<(&'static str, String)> {
    let spec = situation.fleet.view.service.revision;
    let last_good = status.last_good?;
    if spec == last_good {
        return None;
    }
    let remedy = "change the config, or ask for a retry on the AuroraUpdate";
    let update = situation
        .fleet
        .view
        .update
        .zip(situation.progress)
        .filter(|(update, _)| update.instructions.to.as_ref().is_some_and(|(to, _)| *to == spec));
    let because = match &status.failure {
        Some(failure) => format!(": instance {} failed first, {}", failure.instance, failure.message),
        None => update.map_or_else(String::new, |(_, progress)| match progress.message.as_str() {
            "" => String::new(),
            message => format!(": {message}"),
        }),
    };
    let state = update.map(|(_, progress)| progress.state);
    Some(match state {
        Some(UpdateState::RolledBack) => {
            (reasons::ROLLED_BACK, format!("config {spec} was rolled back to {last_good}{because}; {remedy}"))
        }
        Some(UpdateState::Failed) => (
            reasons::UPDATE_FAILED,
            format!("the update to config {spec} failed and was halted{because}; {remedy}"),
        ),
        Some(UpdateState::Error) => {
            (reasons::UPDATE_ERROR, format!("the update to config {spec} can't go on{because}; {remedy}"))
        }
        Some(UpdateState::Aborted) => {
            (reasons::UPDATE_ABORTED, format!("the update to config {spec} was given up{because}; {remedy}"))
        }
        _ if Some(spec) != status.observed_revision => return None,
        _ if situation.fleet.view.service.update.scope.is_some() => return None,
        _ => (
            reasons::ADOPTED,
            format!(
                "what ran was adopted and runs config {last_good}, the spec says {spec}; change the config to roll it out"
            ),
        ),
    })
}

/// The instances in a sentence.
fn census(situation: &Situation<'_>, status: &ServiceStatus) -> String {
    let counts = &status.counts;
    let parts = [
        (counts.throttled, "held back after ending young"),
        (counts.pending, "waiting for a node or starting there"),
        (counts.starting, "not yet Ready"),
        (counts.ending, "ending"),
        (status.lost.len(), "on lost nodes"),
    ];
    let rest: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let all = format!("{} of {} instances run", counts.running, situation.wanted);
    if rest.is_empty() { all } else { format!("{all}, {}", rest.join(", ")) }
}
