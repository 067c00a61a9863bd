//! Rules of five fields, and their nicknames.

use croner::parser::{CronParser, Seconds, Year};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    error::ScheduleError,
    field::{self, DAY_OF_MONTH, DAY_OF_WEEK, FIELDS},
    walltime,
};

const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The days of each month in a leap year.
const MOST_DAYS: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A rule that says which local minutes are due. It takes some 5 kB: croner has a byte for each year.
#[derive(Debug, Clone)]
pub(super) struct Cron(Box<croner::Cron>);

impl Cron {
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let trimmed = text.trim();
        if trimmed.starts_with('@') {
            let named = NICKNAMES.iter().find(|(name, _)| trimmed.eq_ignore_ascii_case(name));
            let (_, fields) = named.ok_or_else(|| ScheduleError::Nickname { text: text.to_owned() })?;
            return Self::parse(fields);
        }
        let given: Vec<&str> = trimmed.split_whitespace().collect();
        if given.len() != FIELDS.len() {
            return Err(ScheduleError::FieldCount { text: text.to_owned(), found: given.len() });
        }
        let mut fields = Vec::with_capacity(FIELDS.len());
        for (field, given) in FIELDS.iter().zip(given) {
            fields.push(field::numeric(field, given).map_err(|(part, problem)| ScheduleError::Field {
                text: text.to_owned(),
                field: field.name,
                part,
                problem,
            })?);
        }
        let mut pattern = read(text, &fields)?;
        // A day field that allows all days asks for none, as in Aurora: croner takes only a bare star for that.
        let all_days = pattern.pattern.days.values().len() == 31;
        let all_weekdays = pattern.pattern.days_of_week.values().len() == 7;
        if all_days {
            fields[DAY_OF_MONTH] = "*".to_owned();
        }
        if all_weekdays {
            fields[DAY_OF_WEEK] = "*".to_owned();
        }
        if all_days || all_weekdays {
            pattern = read(text, &fields)?;
        }
        if all_weekdays && !has_a_date(&pattern) {
            return Err(ScheduleError::NeverFires { text: text.to_owned() });
        }
        Ok(Self(Box::new(pattern)))
    }

    /// The first instant after `after` at which a local time of this rule is due.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut local = zone.to_datetime(after);
        loop {
            local = self.0.find_next_occurrence(&local, false).ok()?;
            let due = walltime::due(local, zone)?;
            // Where the clock goes through an hour again, its local times were due before.
            if due > after {
                return Some(due);
            }
        }
    }
}

fn read(text: &str, fields: &[String]) -> Result<croner::Cron, ScheduleError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
    let read = parser.build().parse(&fields.join(" "));
    read.map_err(|problem| ScheduleError::Unreadable { text: text.to_owned(), problem: problem.to_string() })
}

/// Whether one of the months ever has one of the days.
fn has_a_date(pattern: &croner::Cron) -> bool {
    let first = pattern.pattern.days.values().into_iter().min().unwrap_or(u16::MAX);
    let months = pattern.pattern.months.values();
    months.iter().any(|month| first <= MOST_DAYS[usize::from(*month) - 1])
}
