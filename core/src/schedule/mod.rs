//! When the runs of a cron are due: pure, by the times it is given.
//!
//! A schedule is one or several rules in one time zone. `cron` has the five-field rules, whose fields `field` checks and
//! whose matching local times the crate `croner` finds; `interval` has ISO-8601 repeating intervals; `walltime` says
//! which instant a local time is, also where the clocks change; `jitter` spreads what would start at once. A rule
//! never fires twice for one instant, nor do several.

mod cron;
mod error;
mod field;
mod interval;
mod jitter;
mod walltime;
mod zone;

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use error::{FieldProblem, ScheduleError};
pub use jitter::jitter;

use cron::Cron;
use interval::Interval;

/// When runs are due: the union of its rules in one time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    rules: Vec<Rule>,
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Rule {
    Cron(Cron),
    Interval(Interval),
}

impl Schedule {
    /// Reads rules as people write them, and the IANA name of their time zone: `UTC` where none is given.
    pub fn parse<S: AsRef<str>>(rules: &[S], zone: Option<&str>) -> Result<Self, ScheduleError> {
        if rules.is_empty() {
            return Err(ScheduleError::NoSchedule);
        }
        let zone = zone::find(zone.unwrap_or("UTC"))?;
        let rules = rules.iter().map(|rule| Rule::parse(rule.as_ref(), &zone));
        Ok(Self { rules: rules.collect::<Result<_, _>>()?, zone })
    }

    /// The first time a run is due after `after`, never at it. None when the schedule has ended, as all
    /// have after the year 4999.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let due = self.rules.iter().filter_map(|rule| match rule {
            Rule::Cron(cron) => cron.next(after, &self.zone),
            Rule::Interval(interval) => interval.next(after, &self.zone),
        });
        due.min()
    }

    /// All times after `after` up to and including `until` at which runs are due, oldest first. There may be very many:
    /// who does not know the span takes as many as it can use.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next(after), |due| self.next(*due)).take_while(move |due| *due <= until)
    }

    /// The last time after `after` up to and including `until` at which a run is due.
    pub fn latest(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        // Looks back twice as far each time, so that years of missed minutes need not be stepped through.
        let mut back = SignedDuration::from_hours(1);
        loop {
            let from = until.checked_sub(back).map_or(after, |from| from.max(after));
            if let Some(due) = self.between(from, until).last() {
                return Some(due);
            }
            if from <= after {
                return None;
            }
            back = back.checked_mul(2)?;
        }
    }
}

impl Rule {
    fn parse(text: &str, zone: &TimeZone) -> Result<Self, ScheduleError> {
        // No nickname and no field of cron begins with R.
        if text.trim_start().starts_with(['R', 'r']) {
            return Interval::parse(text, zone).map(Self::Interval);
        }
        Cron::parse(text).map(Self::Cron)
    }
}
