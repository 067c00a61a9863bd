//! What to do about the lease: client-go's rule as a pure function.
//!
//! A lease has expired when its record has not changed for its own duration, counted from when *we* first saw
//! it so: clocks of different machines are never compared. Every acquisition counts the term up, even by an
//! identity that held the lease before: whoever holds an older term, or none in this very process, has lost.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The lease as it was read, without what others may write on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Who holds it; empty when it was released.
    pub(super) holder: String,
    /// How often it has changed hands: the term.
    pub(super) term: u64,
    /// How long it is valid after a renewal.
    pub(super) duration: Duration,
    /// When the holder says it renewed: compared with itself only.
    pub(super) renewed: Option<Timestamp>,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// There is no lease: make it, as our first term.
    Create,
    /// It is free: take it, as this term.
    Take {
        /// The new term.
        term: u64,
    },
    /// It is ours: renew it.
    Renew,
    /// It is another's, at least until then.
    Wait {
        /// When it expires if nothing changes.
        until: Instant,
    },
    /// We held it and don't any more.
    Lost,
}

/// Decides, from what the lease says, when we first saw it say so, and the term this process holds, if it does.
pub(super) fn decide(
    record: Option<&Record>,
    first_seen: Instant,
    now: Instant,
    me: &str,
    held: Option<u64>,
) -> Decision {
    match (record, held) {
        (None, None) => Decision::Create,
        (None, Some(_)) => Decision::Lost,
        (Some(record), Some(term)) if record.holder == me && record.term == term => Decision::Renew,
        (Some(_), Some(_)) => Decision::Lost,
        (Some(record), None) => {
            let until = first_seen + record.duration;
            if record.holder.is_empty() || now >= until {
                Decision::Take { term: record.term + 1 }
            } else {
                Decision::Wait { until }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: &str, term: u64) -> Record {
        Record { holder: holder.to_owned(), term, duration: Duration::from_secs(15), renewed: None }
    }

    #[test]
    fn follows_the_rule() {
        let seen = Instant::now();
        let expiry = seen + Duration::from_secs(15);
        let (early, late) = (expiry - Duration::from_millis(1), expiry);
        let wait = Decision::Wait { until: expiry };
        let take = Decision::Take { term: 8 };
        let cases = [
            ("no lease", None, early, None, Decision::Create),
            ("no lease, and we held it", None, early, Some(7), Decision::Lost),
            ("another's, valid", Some(record("b", 7)), early, None, wait.clone()),
            ("another's, expired", Some(record("b", 7)), late, None, take.clone()),
            ("released", Some(record("", 7)), early, None, take.clone()),
            ("ours", Some(record("a", 7)), early, Some(7), Decision::Renew),
            // Nobody has taken it, so it is still ours; whether we may write is the fence's question.
            ("ours, though late", Some(record("a", 7)), late, Some(7), Decision::Renew),
            ("taken from us", Some(record("b", 8)), early, Some(7), Decision::Lost),
            ("released behind our back", Some(record("", 7)), early, Some(7), Decision::Lost),
            ("taken by our name elsewhere", Some(record("a", 8)), early, Some(7), Decision::Lost),
            ("our name, another process", Some(record("a", 7)), early, None, wait),
            ("our name, another process, expired", Some(record("a", 7)), late, None, take),
        ];
        for (name, record, now, held, expected) in cases {
            assert_eq!(decide(record.as_ref(), seen, now, "a", held), expected, "{name}");
        }
    }
}
