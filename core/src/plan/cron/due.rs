//! Which times of a schedule are due: on time, late but made up for, or missed for good.

use jiff::{SignedDuration, Timestamp};

use crate::{model::CatchUp, schedule::Schedule};

use super::turn::{Turn, spread, whole};

/// For how long a time is on time, whoever was there when it was due.
const ON_TIME: SignedDuration = SignedDuration::from_secs(60);
/// The same where whoever plans was there, and had others to see to first.
const AT_WORK: SignedDuration = SignedDuration::from_mins(10);
/// The most times that are made up for, and that are counted of those that were missed.
const MOST: usize = 100;

/// What is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// All up to this time are dealt with by that: they are before `run`, or there is none.
    pub(super) passed: Option<Timestamp>,
    /// Those of them that were missed.
    pub(super) missed: Option<Missed>,
    /// What is to run next.
    pub(super) run: Option<Run>,
}

/// A time that is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) time: Timestamp,
    pub(super) kind: Kind,
}

/// How a time comes to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is due now.
    OnTime,
    /// It was missed, and is the one that is made up for.
    Late,
    /// It was missed, and is the oldest of all that are made up for, one after the other.
    Backlog,
}

/// Times that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missed {
    /// How many, a hundred at the most.
    pub(super) count: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// Nothing of before is made up for where the schedule is another now, or was suspended.
pub(super) fn anchor(turn: &mut Turn<'_>) {
    let text = &turn.cron.schedule_text;
    let changed = turn.recorded.observed_schedule.as_ref() != Some(text);
    let resumed = turn.recorded.suspended && !turn.cron.suspend;
    turn.status.observed_schedule = Some(text.clone());
    turn.status.suspended = turn.cron.suspend;
    if changed || resumed {
        turn.deal(whole(turn.now));
        // A clock that was ahead may have claimed a time that is still to come.
        let claimed = turn.status.pending.filter(|pending| pending.cause.is_schedules());
        claimed.into_iter().for_each(|pending| turn.deal(pending.time));
    }
}

/// The oldest time that may still be on time.
pub(super) fn on_time_from(turn: &Turn<'_>) -> Timestamp {
    let back = |by| turn.until.checked_sub(by).unwrap_or(turn.until);
    let watched = turn.view.watched_since.checked_sub(spread(turn.cron)).unwrap_or(Timestamp::MIN);
    back(ON_TIME).min(watched.max(back(AT_WORK)))
}

/// What is due of the times after `dealt` up to `until`, those from `fresh` on on time. A time of which `had_run` holds was not
/// missed.
pub(super) fn due(
    schedule: &Schedule,
    catch_up: CatchUp,
    (dealt, fresh, until): (Timestamp, Timestamp, Timestamp),
    had_run: impl Fn(Timestamp) -> bool,
) -> Due {
    let Some(newest) = schedule.latest(dealt, until) else { return Due::default() };
    let age = until.duration_since(newest);
    let on_time = (newest >= fresh).then_some(Run { time: newest, kind: Kind::OnTime });
    let run = match catch_up {
        CatchUp::None => on_time,
        CatchUp::Latest { window_seconds } => {
            let late = Run { time: newest, kind: Kind::Late };
            on_time.or((age <= seconds(window_seconds)).then_some(late))
        }
        CatchUp::All { window_seconds } => {
            let from = until.checked_sub(seconds(window_seconds)).unwrap_or(dealt);
            let before = if on_time.is_some() { just_before(newest) } else { until };
            let oldest = oldest_of_last(schedule, dealt.max(just_before(from)), before);
            oldest.map(|time| Run { time, kind: Kind::Backlog }).or(on_time)
        }
    };
    let end = run.map_or(newest, |run| just_before(run.time));
    let passed = schedule.latest(dealt, end);
    Due { passed, missed: passed.and_then(|last| missed(schedule, dealt, last, had_run)), run }
}

/// The oldest of the last hundred times after `after` up to `until`.
fn oldest_of_last(schedule: &Schedule, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
    // Looks back twice as far each time, as `Schedule::latest` does.
    let mut back = SignedDuration::from_hours(1);
    loop {
        let from = until.checked_sub(back).map_or(after, |from| from.max(after));
        let times: Vec<Timestamp> = schedule.between(from, until).collect();
        if times.len() >= MOST || from <= after {
            return times.get(times.len().saturating_sub(MOST)).copied();
        }
        back = back.checked_mul(2)?;
    }
}

/// `last` is the last time of all.
fn missed(
    schedule: &Schedule,
    dealt: Timestamp,
    last: Timestamp,
    had_run: impl Fn(Timestamp) -> bool,
) -> Option<Missed> {
    let times: Vec<Timestamp> = schedule.between(dealt, last).take(MOST).collect();
    let all = times.len() < MOST;
    let missed: Vec<Timestamp> = times.into_iter().filter(|time| !had_run(*time)).collect();
    let (first, counted) = (*missed.first()?, *missed.last()?);
    let last = if all { counted } else { last };
    Some(Missed { count: u32::try_from(missed.len()).unwrap_or(u32::MAX), first, last })
}

fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(seconds.into())
}

/// Times of schedules are whole seconds.
fn just_before(time: Timestamp) -> Timestamp {
    time.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(time)
}
