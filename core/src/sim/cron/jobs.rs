//! The AuroraJobs that are runs: each starts once its cron's status names its uid, runs for a while, and ends.

use jiff::SignedDuration;

use super::store::Store;
use crate::{model::*, sim::draw::Draw};

/// How long a run takes while the world comes to rest, in seconds.
const QUIET_LENGTH: u64 = 3;

pub(super) fn act(store: &mut Store, draw: &mut Draw, quiet: bool) -> Result<(), String> {
    let runs: Vec<RunSeen> = store.runs.values().filter(|run| run.end.is_none()).cloned().collect();
    for run in runs {
        match run.started {
            None => begin(store, &run, draw, quiet)?,
            Some(started) => end(store, &run, started, quiet),
        }
    }
    Ok(())
}

fn begin(store: &mut Store, run: &RunSeen, draw: &mut Draw, quiet: bool) -> Result<(), String> {
    let named = store.status().is_some_and(|status| status.runs.iter().any(|it| it.uid == Some(run.uid)));
    if !named || !(quiet || draw.chance(60)) {
        return Ok(());
    }
    let now = store.now;
    if let Some(run) = store.run(run.uid) {
        run.started = Some(now);
    }
    store.say(|| format!("started: {run:?}"));
    store.changed();
    let (version, runs) = (store.newest().clone(), store.runs.clone());
    store.judge.started(run, version.status.as_ref(), &runs, &mut store.tally)
}

/// A run takes as long as was drawn for it, or until a while after it was told to end.
fn end(store: &mut Store, run: &RunSeen, started: jiff::Timestamp, quiet: bool) {
    let mut own = Draw::of(run.time.as_second().unsigned_abs(), &[3]);
    let longest = if quiet { QUIET_LENGTH } else { store.longest };
    let length = SignedDuration::from_secs(i64::try_from(own.below(longest + 1)).unwrap_or(0));
    let (now, failed) = (store.now, own.chance(30));
    let ended = now.duration_since(started) >= length;
    let obeys = run.killed && own.clone().below(3) == now.as_second().unsigned_abs() / 2 % 3;
    if !ended && !obeys {
        return;
    }
    let killed = run.killed.then_some(BatchFailure::Killed(KillReason::Collision));
    let failure = killed.or(failed.then_some(BatchFailure::Instances));
    if let Some(run) = store.run(run.uid) {
        run.end = Some(RunEnd { at: now, failure });
    }
    store.say(|| format!("ended: {run:?}"));
    store.changed();
}
