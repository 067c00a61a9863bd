//! What must be in the end: nothing is forgotten, left over or lost.

use jiff::SignedDuration;

use super::{CronTrouble, judge::check, store::Store};
use crate::{model::*, schedule::jitter};

/// What must be when the world has come to rest.
pub(super) fn rest(store: &Store) -> Result<(), String> {
    let version = store.newest();
    let (cron, Some(status)) = (&version.cron, version.status.as_ref()) else {
        return Err("there is no status".to_owned());
    };
    let long = SignedDuration::from_secs(20);
    let until = store.now - jitter(&cron.uid.to_string(), cron.jitter_seconds) - long;
    // A time that waits for parents, which may never end as they must, may be left over, and what comes after it.
    let stuck = cron.schedule.is_some() && status.pending.is_some() && !status.waits_for.is_empty();
    let waits = status.pending.filter(|pending| !stuck && pending.time <= until);
    check(waits.is_none(), || format!("a claim is left over: {waits:?}"))?;
    let due = cron.schedule.as_ref().and_then(|schedule| {
        schedule.next(status.last_scheduled.unwrap_or(cron.created)).filter(|due| !stuck && *due <= until)
    });
    check(due.is_none(), || format!("a time was forgotten: {due:?}"))?;
    let known = |run: &RunSeen| status.runs.iter().any(|record| record.uid == Some(run.uid));
    let stray =
        store.runs.values().find(|run| !known(run) && run.end.is_none() && run.created <= store.now - long);
    check(stray.is_none(), || format!("a run is left over that nobody claimed: {stray:?}"))?;
    let judge = &store.judge;
    for record in status.runs.iter().filter(|record| record.outcome != RunOutcome::Active) {
        let Some(uid) = record.uid else { continue };
        let ran = judge.started.get(&record.time) == Some(&uid) || judge.taken.contains(&uid);
        check(ran, || format!("a run never started: {record:?}"))?;
    }
    let lost = judge.removed.difference(&judge.taken).next();
    check(lost.is_none(), || format!("a run was taken for removed by people, but was not: {lost:?}"))?;
    check(status.observed_run_at == judge.asked, || {
        format!("the run that was asked for is {:?}, dealt with is {:?}", judge.asked, status.observed_run_at)
    })
}

/// Where only leaders fail, each time has had its run.
pub(super) fn each_time_ran(store: &Store, trouble: CronTrouble) -> Result<(), String> {
    let version = store.newest();
    let (Some(schedule), Some(status)) = (&version.cron.schedule, &version.status) else { return Ok(()) };
    if trouble == CronTrouble::All {
        return Ok(());
    }
    let dealt = status.last_scheduled.unwrap_or(version.cron.created);
    let goes_on = status.runs.iter().find(|record| record.outcome == RunOutcome::Active);
    let lost = schedule.between(version.cron.created, dealt).find(|time| {
        !store.judge.started.contains_key(time) && goes_on.is_none_or(|record| record.time != *time)
    });
    check(lost.is_none(), || format!("no run started of {lost:?}"))
}
