//! When it is said that the API server refuses our term although the lease is ours.
//!
//! After the lease has changed hands it does so for a moment, until it has seen the Lease change. What lasts is
//! nobody's moment any more: no Pod starts. Pure: told by `calls`, which says it.

use std::time::Duration;

use tokio::time::Instant;

/// How long refusals are a matter of course.
const PATIENCE: Duration = Duration::from_secs(10);
/// Refusals further apart have nothing to do with each other. They are tried again far sooner.
const APART: Duration = Duration::from_secs(30);
/// How often it is said.
const PAUSE: Duration = Duration::from_secs(60);

/// Refusals of one term, one soon after the other.
#[derive(Debug, Clone, Copy)]
struct Row {
    term: u64,
    since: Instant,
    last: Instant,
}

/// What there was of refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    row: Option<Row>,
    said: Option<Instant>,
}

impl Refusals {
    /// A write of this term was refused; for how long they are already, if that is to be said now.
    pub(super) fn refused(&mut self, term: u64, now: Instant) -> Option<Duration> {
        let row = self.row.filter(|row| row.term == term && now.saturating_duration_since(row.last) <= APART);
        let since = row.map_or(now, |row| row.since);
        self.row = Some(Row { term, since, last: now });
        let lasts = now.saturating_duration_since(since);
        let was_said = self.said.is_some_and(|said| now.saturating_duration_since(said) < PAUSE);
        if lasts < PATIENCE || was_said {
            return None;
        }
        self.said = Some(now);
        Some(lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_once_a_minute() {
        let begin = Instant::now();
        for (case, refusals, expected) in [
            ("a moment", vec![(1, 0), (1, 1), (1, 9)], vec![]),
            ("it lasts", vec![(1, 0), (1, 5), (1, 10), (1, 11)], vec![(10, 10)]),
            ("once", vec![(1, 7)], vec![]),
            ("far apart", vec![(1, 0), (1, 31), (1, 62)], vec![]),
            ("two terms", vec![(1, 0), (2, 9), (2, 15), (2, 19)], vec![(19, 10)]),
            (
                "for minutes",
                (0..=15).map(|turn| (1, turn * 10)).collect(),
                vec![(10, 10), (70, 70), (130, 130)],
            ),
            (
                "another row within the minute",
                vec![(1, 0), (1, 10), (1, 41), (1, 60), (1, 70)],
                vec![(10, 10), (70, 29)],
            ),
        ] {
            let mut seen = Refusals::default();
            let mut said = Vec::new();
            for (term, second) in refusals {
                let lasts = seen.refused(term, begin + Duration::from_secs(second));
                said.extend(lasts.map(|lasts| (second, lasts.as_secs())));
            }
            assert_eq!(said, expected, "{case}");
        }
    }
}
