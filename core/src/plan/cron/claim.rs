//! The way of a run from its claim to its start: the object is made once the claim is recorded and its turn has come, and
//! may start once a status names its uid.

use crate::model::{CatchUp, Collision, KillReason, PendingRun, RunCause, RunOutcome, RunRecord, Skipped};

use super::{
    CronAction, news, parents, run_name,
    turn::{Turn, whole},
};

/// Why a claimed run is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// A run goes on.
    Active,
    /// These have not ended as they must.
    Parents(Vec<String>),
    /// Another's object has its name.
    Name,
}

/// What the claimed run waits for, if not just for the next plan.
pub(super) fn wait(turn: &Turn<'_>) -> Option<Wait> {
    let pending = turn.status.pending?;
    if turn.at(pending.time).is_some_and(|run| !run.owned && !run.deleting) {
        return Some(Wait::Name);
    }
    if turn.active().is_some() {
        return Some(Wait::Active);
    }
    let parents = late_parents(turn, pending);
    (!parents.is_empty()).then_some(Wait::Parents(parents))
}

/// The claimed run may never be made: it waits for parents, which may not end as they must, or for a name that somebody
/// has to set free.
pub(super) fn is_stuck(turn: &Turn<'_>) -> bool {
    let Some(pending) = turn.status.pending else { return false };
    let kills = turn.cron.collision == Collision::KillExisting;
    match wait(turn) {
        Some(Wait::Parents(_) | Wait::Name) => true,
        // The run that goes on would long be ended for it.
        Some(Wait::Active) => kills && !late_parents(turn, pending).is_empty(),
        None => false,
    }
}

/// What was asked for does not wait for parents, and what they called for has them.
fn late_parents(turn: &Turn<'_>, pending: PendingRun) -> Vec<String> {
    if pending.cause.is_schedules() { parents::waits_for(turn) } else { Vec::new() }
}

/// Lets the claimed run start whose object is seen. No two runs go on at a time, so the last one has to have ended.
pub(super) fn confirm(turn: &mut Turn<'_>) {
    let claimed = turn.claimed().or_else(|| turn.promised());
    let Some(pending) = claimed.filter(|_| turn.may_start()) else { return };
    let Some(run) = turn.at(pending.time).filter(|run| run.owned) else { return };
    // The time has had its run, and the object is still there.
    let known = turn.record(run.uid).is_some();
    if !known && (run.deleting || turn.active().is_some()) {
        return;
    }
    turn.status.pending = None;
    if pending.cause != RunCause::Asked {
        turn.deal(pending.time);
    }
    if known {
        return;
    }
    turn.status.runs.insert(
        0,
        RunRecord {
            time: pending.time,
            cause: pending.cause,
            uid: Some(run.uid),
            started: Some(whole(turn.now)),
            ended: None,
            outcome: RunOutcome::Active,
        },
    );
    turn.plan.events.push(news::started(turn.cron, pending, &run.name));
}

/// Drops a claim that is not wanted any more: a suspended cron has none but those of people, and these can take back what
/// they have asked for. What is being made all the same is removed as unknown.
pub(super) fn drop_unwanted(turn: &mut Turn<'_>) {
    let Some(pending) = turn.status.pending else { return };
    let (unwanted, why) = match pending.cause {
        RunCause::Asked => (turn.cron.run_at.map(whole) != Some(pending.time), Skipped::Withdrawn),
        _ => (turn.cron.suspend, Skipped::Suspended),
    };
    if unwanted && turn.at(pending.time).is_none_or(|run| !run.owned) {
        turn.status.pending = None;
        turn.skip(pending.time, pending.cause, why);
        turn.plan.events.push(news::skipped(turn.cron, pending.time, why));
    }
}

/// The claim, which is stuck, is left out for a run that a person asks for.
pub(super) fn give_way(turn: &mut Turn<'_>) {
    if let Some(pending) = turn.status.pending.take() {
        turn.skip(pending.time, pending.cause, Skipped::AnotherWaits);
        turn.plan.events.push(news::gave_way(turn.cron, pending.time));
    }
}

/// Ends the run that goes on, where the one that is claimed takes its place and waits for nothing else.
pub(super) fn kill_existing(turn: &mut Turn<'_>) {
    let Some(pending) = turn.claimed().filter(|_| turn.cron.collision == Collision::KillExisting) else {
        return;
    };
    let backlog = pending.cause == RunCause::CatchUp && matches!(turn.cron.catch_up, CatchUp::All { .. });
    let ready = late_parents(turn, pending).is_empty();
    if backlog || !ready || wait(turn) != Some(Wait::Active) {
        return;
    }
    let uids = turn.status.runs.iter().filter(|record| record.outcome == RunOutcome::Active);
    let uids: Vec<_> = uids.filter_map(|record| record.uid).collect();
    let runs = turn.view.runs.iter().filter(|run| uids.contains(&run.uid));
    for run in runs.filter(|run| run.end.is_none() && !run.killed && !run.deleting) {
        let (name, uid, reason) = (run.name.clone(), run.uid, KillReason::Collision);
        turn.plan.actions.push(CronAction::KillRun { name, uid, reason });
        turn.plan.events.push(news::killed(turn.cron, &run.name, pending));
    }
}

/// Makes the object of the claimed run.
pub(super) fn create(turn: &mut Turn<'_>) {
    let Some(pending) = turn.claimed() else { return };
    if turn.at(pending.time).is_none() && wait(turn).is_none() {
        let name = run_name(&turn.cron.name, pending.time);
        turn.plan.actions.push(CronAction::CreateRun { name, time: pending.time });
    }
}
