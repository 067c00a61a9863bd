//! What is recorded of a cron first, and what people read in its status.

use jiff::Timestamp;

use crate::model::{Condition, ConditionType, CronStatus, RunCause, RunOutcome, RunRecord, RunSeen, reasons};

use super::{
    CronPlan, CronView,
    claim::{self, Wait},
    parents, run_name, runs,
    turn::{Turn, spread, whole},
};
use crate::plan::Held;

/// The first status: times up to the cron's creation are dealt with. Runs that are there already, since a status was lost,
/// go on; what has not started is nobody's yet.
pub(super) fn first(view: &CronView<'_>, now: Timestamp) -> CronPlan {
    let cron = view.cron;
    let mut status = CronStatus::default();
    let begun = |run: &&RunSeen| run.owned && (run.end.is_some() || run.started.is_some());
    for run in view.runs.iter().filter(begun) {
        let outcome = run
            .end
            .map_or(RunOutcome::Active, |end| end.failure.map_or(RunOutcome::Succeeded, RunOutcome::Failed));
        let ended = run.end.map(|end| whole(end.at));
        let (time, cause) = (run.time, RunCause::Schedule);
        let record = RunRecord { time, cause, uid: Some(run.uid), started: run.started, ended, outcome };
        runs::ended(&mut status, &record);
        status.runs.insert(0, record);
    }
    let dealt = status.runs.first().map_or(cron.created, |newest| newest.time.max(cron.created));
    status.last_scheduled = Some(whole(dealt));
    // What was asked for before there was this cron was asked of another.
    status.observed_run_at = cron.run_at.map(whole).filter(|at| *at <= dealt);
    let mut turn = Turn::new(view, &status, now);
    if !turn.blocked() {
        turn.status.observed_schedule = Some(cron.schedule_text.clone());
        turn.status.suspended = cron.suspend;
    }
    finish(turn)
}

/// What there is to say, when all is decided.
pub(super) fn finish(mut turn: Turn<'_>) -> CronPlan {
    runs::trim(&mut turn.status);
    turn.status.observed_generation = turn.cron.generation;
    let wait = if turn.blocked() { None } else { claim::wait(&turn) };
    if wait.is_some() {
        turn.plan.held.push(Held { instance: None, reason: reasons::WAITING, until: None });
    }
    turn.status.waits_for = waits_for(&turn, wait.as_ref());
    turn.status.next = next(&turn);
    if let Some(next) = turn.status.next {
        turn.check_at(next);
    }
    turn.status.conditions = conditions(&turn, wait.as_ref());
    let only_claims = claims_what_was_promised(&turn);
    let Turn { recorded, status, mut plan, .. } = turn;
    plan.status = Some(if only_claims { recorded.clone() } else { status });
    plan
}

/// Nothing is new but the claim of a run that was promised: the status that names its object says as much, one write later.
fn claims_what_was_promised(turn: &Turn<'_>) -> bool {
    let Turn { status, recorded, .. } = turn;
    let promised = status.pending.is_some() && status.pending == turn.promised();
    promised && CronStatus { pending: None, next: recorded.next, ..status.clone() } == **recorded
}

/// When the next run is due.
fn next(turn: &Turn<'_>) -> Option<Timestamp> {
    let schedule = turn.cron.schedule.as_ref().filter(|_| !turn.cron.suspend && !turn.blocked())?;
    let next = schedule.next(turn.dealt().max(turn.until))?;
    next.checked_add(spread(turn.cron)).ok()
}

fn waits_for(turn: &Turn<'_>, wait: Option<&Wait>) -> Vec<String> {
    match wait {
        Some(Wait::Parents(parents)) => parents.clone(),
        None if turn.cron.schedule.is_none() && !turn.cron.suspend && !turn.blocked() => {
            parents::waits_for(turn)
        }
        _ => Vec::new(),
    }
}

type Words = (bool, &'static str, String);

fn conditions(turn: &Turn<'_>, wait: Option<&Wait>) -> Vec<Condition> {
    let quiet = (false, reasons::SETTLED, String::new());
    let stalled = stalled(turn, wait);
    let busy = busy(turn, wait).filter(|_| stalled.is_none());
    let ready = ready(turn);
    let ready = stalled.as_ref().map_or(ready, |(_, reason, message)| (false, *reason, message.clone()));
    let settle = |kind, (holds, reason, message): Words| {
        let before = turn.recorded.conditions.iter().find(|known| known.kind == kind && known.holds == holds);
        let since = before.map_or(turn.now, |known| known.since);
        Condition { kind, holds, reason, message, since }
    };
    vec![
        settle(ConditionType::Ready, ready),
        settle(ConditionType::Reconciling, busy.unwrap_or_else(|| quiet.clone())),
        settle(ConditionType::Stalled, stalled.unwrap_or(quiet)),
    ]
}

/// What a person has to see to.
fn stalled(turn: &Turn<'_>, wait: Option<&Wait>) -> Option<Words> {
    if let Some(problem) = turn.view.problem {
        return Some((true, problem.reason, problem.message.clone()));
    }
    if let Some(cycle) = turn.view.cycle {
        let words = format!("it waits for itself: {cycle}; take one of these out of spec.parents");
        return Some((true, reasons::DEPENDENCY_CYCLE, words));
    }
    let pending = turn.status.pending.filter(|_| wait == Some(&Wait::Name))?;
    let name = run_name(&turn.cron.name, pending.time);
    let leave = match pending.cause {
        RunCause::Asked => "take spec.runAt away, or change it,",
        RunCause::Schedule | RunCause::CatchUp | RunCause::Parents => "suspend the cron",
    };
    let words = format!(
        "AuroraJob {name} has the name of the run of {} and is not this cron's: remove it, or {leave} to leave this time \
         out",
        pending.time
    );
    Some((true, reasons::NAME_CONFLICT, words))
}

/// What the claimed run waits for.
fn busy(turn: &Turn<'_>, wait: Option<&Wait>) -> Option<Words> {
    if turn.plan.held.iter().any(|held| held.reason == reasons::FROZEN) {
        return Some((true, reasons::FROZEN, "the freeze holds back what is to be done".to_owned()));
    }
    let name = run_name(&turn.cron.name, turn.status.pending?.time);
    let words = match wait? {
        Wait::Active => format!("run {name} waits for the end of the last one"),
        Wait::Parents(parents) => format!("run {name} waits for {}", parents.join(", ")),
        Wait::Name => return None,
    };
    Some((true, reasons::WAITING, words))
}

fn ready(turn: &Turn<'_>) -> Words {
    let cron = turn.cron;
    if cron.suspend {
        let words = "spec.suspend is set: nothing is started, and what is due meanwhile is not made up for";
        return (true, reasons::SUSPENDED, words.to_owned());
    }
    if cron.schedule.is_some() && turn.status.next.is_none() {
        return (true, reasons::SCHEDULE_ENDED, "its schedule has no times left".to_owned());
    }
    let words = if cron.schedule.is_some() {
        "runs start by its schedule"
    } else {
        "a run starts whenever all its parents have ended"
    };
    (true, reasons::SCHEDULED, words.to_owned())
}
