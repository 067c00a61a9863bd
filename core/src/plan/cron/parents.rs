//! Which ends of others a cron waits for: each parent has to have ended as it must since the cron's own last run began.

use jiff::Timestamp;

use crate::model::{Parent, ParentSeen};

use super::{
    super::kind_of,
    runs,
    turn::{Turn, whole},
};

/// The time of the run that the parents' ends call for by themselves: the latest of them.
pub(super) fn due(turn: &Turn<'_>) -> Option<Timestamp> {
    let parents = &turn.cron.parents;
    if turn.cron.schedule.is_some() || parents.is_empty() || !waits_for(turn).is_empty() {
        return None;
    }
    parents.iter().enumerate().filter_map(|(at, parent)| end(turn, at, parent)).max()
}

/// The parents that have not ended as they must, as `Kind/name`.
pub(super) fn waits_for(turn: &Turn<'_>) -> Vec<String> {
    let since = since(turn);
    let late = |(at, parent): &(usize, &Parent)| end(turn, *at, parent).is_none_or(|end| end <= since);
    let late = turn.cron.parents.iter().enumerate().filter(late);
    late.map(|(_, parent)| format!("{}/{}", kind_of(parent.kind), parent.name)).collect()
}

fn end(turn: &Turn<'_>, at: usize, parent: &Parent) -> Option<Timestamp> {
    let seen = turn.view.parents.get(at).copied().unwrap_or(ParentSeen::default());
    seen.end(parent.when).map(whole)
}

/// Ends up to and including this time have had their run.
fn since(turn: &Turn<'_>) -> Timestamp {
    let last = runs::last(&turn.status).map(|record| record.time.max(record.started.unwrap_or(record.time)));
    // Without a schedule the times that are dealt with are those of its parents.
    let dealt = if turn.cron.schedule.is_none() { turn.dealt() } else { turn.cron.created };
    last.map_or(dealt, |last| last.max(dealt))
}
