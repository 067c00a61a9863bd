//! ISO-8601 repeating intervals, as Chronos had them: `R10/2026-01-01T00:00:00Z/PT2H`.

use jiff::{SignedDuration, Span, Timestamp, civil::DateTime, tz::TimeZone};

use super::{error::ScheduleError, walltime};

/// Runs at a first time and again after each interval.
///
/// Years, months, weeks and days of the interval are counted on the calendar of the time zone, from the first time on, so
/// that the 31st comes back after a shorter month and three o'clock stays three o'clock when the clocks change. Hours,
/// minutes and seconds are time that passes.
#[derive(Debug, Clone)]
pub(super) struct Interval {
    /// None: without end.
    runs: Option<u32>,
    first: Timestamp,
    days: Option<Span>,
    time: SignedDuration,
}

/// More intervals of a minute than there are minutes to the last year.
const MOST_RUNS: i64 = 1 << 33;

const SHORTEST: SignedDuration = SignedDuration::from_mins(1);

impl Interval {
    pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Self, ScheduleError> {
        let [count, start, interval] = *text.trim().split('/').collect::<Vec<_>>() else {
            return Err(ScheduleError::Interval { text: text.to_owned() });
        };
        let (days, time) = length(text, interval)?;
        Ok(Self {
            runs: runs(text, &count[1..])?,
            first: first(start, zone).map_err(|problem| ScheduleError::Start {
                text: text.to_owned(),
                start: start.to_owned(),
                problem,
            })?,
            days,
            time,
        })
    }

    /// The first run due after `after`.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let is_later = |run| self.due(run, zone).is_none_or(|due| due > after);
        // Runs are due in the order of their numbers: search between one that is not later and one that is.
        let (mut first, mut last) = (0, self.runs.map_or(MOST_RUNS, i64::from));
        while first < last {
            let middle = first + (last - first) / 2;
            if is_later(middle) {
                last = middle;
            } else {
                first = middle + 1;
            }
        }
        let within = self.runs.is_none_or(|runs| first < i64::from(runs));
        within.then(|| self.due(first, zone)).flatten()
    }

    /// When the run of this number, from 0 on, is due. None beyond the last year, as for all later runs.
    fn due(&self, run: i64, zone: &TimeZone) -> Option<Timestamp> {
        let day = match &self.days {
            Some(days) => {
                let local = zone.to_datetime(self.first).checked_add(days.checked_mul(run).ok()?).ok()?;
                // The first time itself may be the second of a time that comes twice.
                if run == 0 { self.first } else { walltime::due(local, zone)? }
            }
            None => self.first,
        };
        let passed = SignedDuration::from_secs(self.time.as_secs().checked_mul(run)?);
        let due = day.checked_add(passed).ok()?;
        (zone.to_datetime(due).year() <= walltime::LAST_YEAR).then_some(due)
    }
}

fn runs(text: &str, count: &str) -> Result<Option<u32>, ScheduleError> {
    if count.is_empty() {
        return Ok(None);
    }
    let runs = count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse().ok()).flatten();
    match runs.filter(|runs| *runs > 0) {
        Some(runs) => Ok(Some(runs)),
        None => Err(ScheduleError::Count { text: text.to_owned(), count: count.to_owned() }),
    }
}

fn first(start: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let unreadable = || "is not understood".to_owned();
    let first = match start.parse::<Timestamp>() {
        Ok(first) => first,
        Err(_) => {
            // The parser would pass over the name of another zone in brackets.
            if start.contains('[') {
                return Err("names a time zone, which has a field of its own".to_owned());
            }
            let local: DateTime = start.parse().map_err(|_| unreadable())?;
            walltime::due(local, zone).ok_or("is too late")?
        }
    };
    if first.subsec_nanosecond() != 0 {
        return Err("has a fraction of a second".to_owned());
    }
    if zone.to_datetime(first).year() > walltime::LAST_YEAR {
        return Err("is too late".to_owned());
    }
    Ok(first)
}

/// The calendar's part of the interval, and the time that passes.
fn length(text: &str, interval: &str) -> Result<(Option<Span>, SignedDuration), ScheduleError> {
    let refuse = |problem: &str| ScheduleError::Duration {
        text: text.to_owned(),
        interval: interval.to_owned(),
        problem: problem.to_owned(),
    };
    let too_short = || ScheduleError::TooShort { text: text.to_owned(), interval: interval.to_owned() };
    // The parser also takes spans as "2 hours", which other readers of ISO-8601 don't.
    if !interval.trim_start_matches(['+', '-']).starts_with(['P', 'p']) {
        return Err(refuse("is not understood"));
    }
    let span: Span = interval.parse().map_err(|_| refuse("is not understood"))?;
    let seconds = span.get_hours() as i64 * 3600 + span.get_minutes() * 60 + span.get_seconds();
    let fraction =
        span.get_milliseconds() != 0 || span.get_microseconds() != 0 || span.get_nanoseconds() != 0;
    if fraction {
        return Err(refuse("has a fraction of a second"));
    }
    let days = Span::new()
        .years(span.get_years())
        .months(span.get_months())
        .weeks(span.get_weeks())
        .days(span.get_days());
    let days = (!days.is_zero()).then_some(days);
    let time = SignedDuration::from_secs(seconds);
    if span.is_negative() || (days.is_none() && time < SHORTEST) {
        return Err(too_short());
    }
    Ok((days, time))
}
