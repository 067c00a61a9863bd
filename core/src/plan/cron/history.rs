//! Which runs are removed: those that have ended and are beyond what is kept, and those that nobody claimed. In a freeze
//! the former stay: people may be reading their logs. The latter never had any.

use jiff::{SignedDuration, Timestamp};

use crate::model::{RunOutcome, RunSeen};

use super::{CronAction, turn::Turn};

pub(super) fn tidy(turn: &mut Turn<'_>) {
    let mut ended: Vec<(&RunSeen, Timestamp, bool)> = Vec::new();
    for run in turn.view.runs.iter().filter(|run| run.owned && !run.deleting) {
        match run.end {
            Some(end) => ended.push((run, end.at, end.failure.is_none())),
            // Made of a claim that has long gone another way. That is sure where the status is the newest: once it has no
            // claim of this time and does not name the object, it never will.
            None if turn.record(run.uid).is_none() && !is_claimed(turn, run) => remove(turn, run),
            None => {}
        }
    }
    ended.sort_by_key(|(run, at, _)| std::cmp::Reverse((*at, run.time)));
    let (mut succeeded, mut failed) = (turn.cron.history.succeeded, turn.cron.history.failed);
    for (run, at, good) in ended {
        let room = if good { &mut succeeded } else { &mut failed };
        let ttl = run.ttl_seconds.map(|ttl| SignedDuration::from_secs(ttl.into()));
        let expiry = ttl.and_then(|ttl| at.checked_add(ttl).ok());
        if *room > 0 && expiry.is_none_or(|expiry| turn.now < expiry) {
            *room -= 1;
            expiry.into_iter().for_each(|expiry| turn.check_at(expiry));
        } else if !is_claimed(turn, run) && is_recorded(turn, run) {
            if turn.view.frozen {
                turn.freeze();
            } else {
                remove(turn, run);
            }
        }
    }
}

/// A claim, also one of this very plan, is for this object.
fn is_claimed(turn: &Turn<'_>, run: &RunSeen) -> bool {
    let mut claims = turn.status.pending.iter().chain(&turn.recorded.pending);
    claims.any(|pending| pending.time == run.time) || is_next(turn, run)
}

/// It is of the time that a status promises next: a leader by whose clock that is due may be about to record it.
fn is_next(turn: &Turn<'_>, run: &RunSeen) -> bool {
    let schedule = turn.cron.schedule.as_ref().filter(|_| !turn.cron.suspend);
    schedule.and_then(|schedule| schedule.next(turn.dealt())) == Some(run.time)
}

/// How the run ended is on record, or was and is forgotten.
fn is_recorded(turn: &Turn<'_>, run: &RunSeen) -> bool {
    let record = turn.recorded.runs.iter().find(|record| record.uid == Some(run.uid));
    record.is_none_or(|record| record.outcome != RunOutcome::Active)
}

fn remove(turn: &mut Turn<'_>, run: &RunSeen) {
    let (name, uid) = (run.name.clone(), run.uid);
    // Another leader may just have recorded what this status does not know.
    turn.plan.verify |= !turn.recorded.runs.iter().any(|record| record.uid == Some(uid));
    turn.plan.actions.push(CronAction::RemoveRun { name, uid });
}
