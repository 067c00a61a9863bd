//! Time zones by their IANA names, from the database that is built in: containers have none, and two replicas of the
//! operator must not differ.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::error::ScheduleError;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How many names are offered for one that is unknown.
const OFFERED: usize = 3;

pub(super) fn find(name: &str) -> Result<TimeZone, ScheduleError> {
    DATABASE
        .get(name)
        .map_err(|_| ScheduleError::UnknownZone { zone: name.to_owned(), nearest: nearest(name) })
}

/// The known names that differ from `name` in the fewest letters; a city alone is compared with cities.
fn nearest(name: &str) -> Vec<String> {
    let given = name.to_lowercase().replace(' ', "_");
    let mut known: Vec<(usize, String)> = DATABASE
        .available()
        .map(|zone| {
            let full = zone.as_str().to_lowercase();
            let city = full.rsplit('/').next().unwrap_or(&full);
            let distance = distance(&given, &full).min(distance(&given, city));
            (distance, zone.as_str().to_owned())
        })
        // Half of the letters wrong is another name.
        .filter(|(distance, _)| distance * 2 < given.chars().count())
        .collect();
    known.sort();
    known.into_iter().take(OFFERED).map(|(_, zone)| zone).collect()
}

/// How many letters must be put in, taken out or changed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 0..to.len() {
            let changed = diagonal + usize::from(letter != to[column]);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
