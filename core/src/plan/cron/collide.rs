//! What becomes of a time that is due while another run goes on, or waits for its turn.

use jiff::Timestamp;

use crate::model::{CatchUp, Collision, RunCause, Skipped};

use super::{
    claim,
    due::{self, Due, Kind, Run},
    news, parents,
    turn::{Turn, whole},
};

/// Claims or leaves out what is due: by schedule, by parents, by a person. One run is claimed at a time.
pub(super) fn take_due(turn: &mut Turn<'_>) {
    if turn.cron.suspend {
        return asked(turn);
    }
    let due = scheduled(turn);
    // A claim whose turn has come is a matter of moments: what is due meets its run then.
    let moves = turn.status.pending.is_some() && claim::wait(turn).is_none();
    match due.run.filter(|_| !moves) {
        // What was asked for is not made to wait for a long backlog, nor is a time missed for it.
        Some(run) if run.kind == Kind::Backlog => {
            missed(turn, &due);
            asked(turn);
            make_up(turn, run);
        }
        Some(run) => {
            missed(turn, &due);
            meet(turn, run);
            asked(turn);
        }
        None if moves => {}
        None => {
            missed(turn, &due);
            by_parents(turn);
            asked(turn);
        }
    }
}

/// Says what would be done, were it not for the freeze.
pub(super) fn hold_back(turn: &mut Turn<'_>) {
    let due = !turn.cron.suspend && scheduled(turn) != Due::default();
    if turn.view.frozen && (due || turn.status.pending.is_some()) {
        turn.freeze();
    }
}

fn scheduled(turn: &Turn<'_>) -> Due {
    let Some(schedule) = &turn.cron.schedule else { return Due::default() };
    let claimed = turn.status.pending.filter(|pending| pending.cause.is_schedules());
    let dealt = claimed.map_or(turn.dealt(), |pending| turn.dealt().max(pending.time));
    let times = (dealt, due::on_time_from(turn), turn.until);
    due::due(schedule, turn.cron.catch_up, times, |time| is_same(turn, time))
}

/// Leaves out what was missed.
fn missed(turn: &mut Turn<'_>, due: &Due) {
    due.passed.into_iter().for_each(|time| turn.deal(time));
    let Some(missed) = due.missed else { return };
    turn.status.missed = turn.status.missed.saturating_add(missed.count);
    turn.skip(missed.last, RunCause::Schedule, Skipped::Missed);
    turn.plan.events.push(news::missed(turn.cron, &missed));
}

/// A time that is due now, or the last that was missed: the collision policy says what happens.
fn meet(turn: &mut Turn<'_>, run: Run) {
    if same_run(turn, run) {
        return;
    }
    // Runs that are made up for are not disturbed: what becomes due meanwhile comes after them.
    let late = |cause| cause == RunCause::CatchUp;
    let backlog = turn.active().is_some_and(|active| late(active.cause))
        || turn.status.pending.is_some_and(|pending| late(pending.cause));
    if backlog && matches!(turn.cron.catch_up, CatchUp::All { .. }) {
        return;
    }
    let cause = if run.kind == Kind::OnTime { RunCause::Schedule } else { RunCause::CatchUp };
    if turn.status.pending.is_some() {
        leave_out(turn, run, cause, Skipped::AnotherWaits);
    } else if collides(turn) {
        leave_out(turn, run, cause, Skipped::Collision);
    } else {
        turn.claim(run.time, cause);
    }
}

fn leave_out(turn: &mut Turn<'_>, run: Run, cause: RunCause, why: Skipped) {
    turn.skip(run.time, cause, why);
    turn.plan.events.push(news::skipped(turn.cron, run.time, why));
}

/// The oldest of several that are made up for, one after the other.
fn make_up(turn: &mut Turn<'_>, run: Run) {
    let idle = turn.active().is_none() && turn.status.pending.is_none();
    if !same_run(turn, run) && idle {
        turn.claim(run.time, RunCause::CatchUp);
    }
}

/// Takes the run that there is of this time for its own.
fn same_run(turn: &mut Turn<'_>, run: Run) -> bool {
    let same = is_same(turn, run.time);
    if same {
        turn.deal(run.time);
    }
    same
}

/// A person has asked for a run of this very time: there is only one of a time.
fn is_same(turn: &Turn<'_>, time: Timestamp) -> bool {
    turn.has_run(time) || turn.status.pending.is_some_and(|pending| pending.time == time)
}

/// The run that a person asks for: it waits for a claimed one that is about to be made, takes the place of one that is
/// stuck, and meets the one that goes on like any other.
fn asked(turn: &mut Turn<'_>) {
    let Some(at) = turn.cron.run_at else { return };
    let time = whole(at);
    if turn.recorded.observed_run_at == Some(time) {
        return;
    }
    if turn.now < at {
        return turn.check_at(at);
    }
    if is_same(turn, time) || had_run(turn, time) {
        turn.status.observed_run_at = Some(time);
        return;
    }
    if turn.status.pending.is_some() && !claim::is_stuck(turn) {
        return;
    }
    turn.status.observed_run_at = Some(time);
    if collides(turn) {
        let run = Run { time, kind: Kind::OnTime };
        leave_out(turn, run, RunCause::Asked, Skipped::Collision);
    } else {
        claim::give_way(turn);
        turn.claim(time, RunCause::Asked);
    }
}

/// A run of this time is kept that the status has forgotten.
fn had_run(turn: &Turn<'_>, time: Timestamp) -> bool {
    turn.at(time).is_some_and(|run| run.owned && run.end.is_some())
}

/// A run that its parents' ends call for.
fn by_parents(turn: &mut Turn<'_>) {
    if turn.status.pending.is_some() {
        return;
    }
    let Some(time) = parents::due(turn) else { return };
    if collides(turn) {
        let run = Run { time, kind: Kind::OnTime };
        leave_out(turn, run, RunCause::Parents, Skipped::Collision);
    } else {
        turn.claim(time, RunCause::Parents);
    }
}

fn collides(turn: &Turn<'_>) -> bool {
    turn.cron.collision == Collision::CancelNew && turn.active().is_some()
}
