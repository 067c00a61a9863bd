//! What became of the runs that go on, as far as the status does not know it yet.

use crate::model::{CronStatus, RunOutcome, RunRecord};

use super::{
    news,
    turn::{Turn, whole},
};

/// What became of the last so many times is kept.
const RECORDS: usize = 10;

/// Records the ends of runs. A run that is not seen is only taken for removed where that is sure: another leader may have
/// made and recorded it just now.
pub(super) fn observe(turn: &mut Turn<'_>) {
    for at in 0..turn.status.runs.len() {
        let mut record = turn.status.runs[at].clone();
        if record.outcome != RunOutcome::Active {
            continue;
        }
        match turn.view.runs.iter().find(|run| Some(run.uid) == record.uid) {
            Some(run) => {
                let Some(end) = run.end else { continue };
                record.started = run.started.or(record.started);
                record.ended = Some(whole(end.at));
                record.outcome = end.failure.map_or(RunOutcome::Succeeded, RunOutcome::Failed);
            }
            None if turn.view.settled => {
                record.ended = Some(whole(turn.now));
                record.outcome = RunOutcome::Removed;
            }
            None => {
                turn.plan.unsettled = true;
                continue;
            }
        }
        ended(&mut turn.status, &record);
        turn.plan.events.extend(news::ended(turn.cron, &record));
        turn.status.runs[at] = record;
    }
}

/// What those who wait for this cron go by.
pub(super) fn ended(status: &mut CronStatus, record: &RunRecord) {
    status.last_ended = status.last_ended.max(record.ended);
    if record.outcome == RunOutcome::Succeeded {
        status.last_succeeded = status.last_succeeded.max(record.ended);
    }
}

/// Forgets the oldest records; never of a run that goes on, nor of the last one there was, since parents have to end anew
/// after it.
pub(super) fn trim(status: &mut CronStatus) {
    let last = last(status).map(|record| record.uid);
    let mut seen = 0;
    status.runs.retain(|record| {
        seen += 1;
        seen <= RECORDS || record.outcome == RunOutcome::Active || Some(record.uid) == last
    });
}

/// The last run there was.
pub(super) fn last(status: &CronStatus) -> Option<&RunRecord> {
    status
        .runs
        .iter()
        .filter(|record| record.uid.is_some())
        .max_by_key(|record| record.started.max(Some(record.time)))
}
