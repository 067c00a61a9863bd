//! What a plan does, in short words.

use jiff::Timestamp;

use super::CronAction;
use crate::model::*;

/// A time of the day, and its seconds where it has some.
pub(super) fn clock(time: Timestamp) -> String {
    let text = time.to_string();
    let clock = text.split_once('T').map_or("", |(_, clock)| clock.trim_end_matches('Z'));
    clock.strip_suffix(":00").unwrap_or(clock).to_owned()
}

pub(super) fn action(action: &CronAction, runs: &[RunSeen]) -> String {
    let time =
        |uid: &Uid| runs.iter().find(|run| run.uid == *uid).map_or(String::new(), |run| clock(run.time));
    match action {
        CronAction::CreateRun { time, .. } => format!("make {}", clock(*time)),
        CronAction::KillRun { uid, .. } => format!("kill {}", time(uid)),
        CronAction::RemoveRun { uid, .. } => format!("remove {}", time(uid)),
    }
}

/// What the status tells, in the order of what happened to it.
pub(super) fn changes(before: &CronStatus, after: &CronStatus) -> Vec<String> {
    let mut words = Vec::new();
    let known = |record: &RunRecord| {
        before
            .runs
            .iter()
            .find(|known| (known.time, known.uid, known.cause) == (record.time, record.uid, record.cause))
    };
    for record in after.runs.iter().rev() {
        let time = clock(record.time);
        match (known(record), record.outcome) {
            (Some(known), outcome) if known.outcome == outcome => {}
            (_, RunOutcome::Active) => words.push(format!("start {time}")),
            (_, RunOutcome::Succeeded) => words.push(format!("done {time}")),
            (_, RunOutcome::Failed(_)) => words.push(format!("failed {time}")),
            (_, RunOutcome::Removed) => words.push(format!("gone {time}")),
            (_, RunOutcome::Skipped(Skipped::Missed)) => {
                words.push(format!("missed {} to {time}", after.missed - before.missed));
            }
            (_, RunOutcome::Skipped(why)) => words.push(format!("skip {time} {why:?}")),
        }
    }
    if after.pending != before.pending
        && let Some(pending) = after.pending
    {
        words.push(format!("claim {} {:?}", clock(pending.time), pending.cause));
    }
    words
}
