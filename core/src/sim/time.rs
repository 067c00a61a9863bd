//! The world's clock: milliseconds since it began, and how the API writes times.

use jiff::{SignedDuration, Timestamp};

/// Milliseconds since the world began.
pub(super) type Millis = u64;

pub(super) const SECOND: Millis = 1000;
pub(super) const MINUTE: Millis = 60 * SECOND;

/// When the world began.
const BEGAN: Timestamp = Timestamp::constant(1_700_000_000, 0);

/// What a clock shows that is off by so many milliseconds.
pub(super) fn clock(now: Millis, skew: i64) -> Timestamp {
    let since = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(skew);
    BEGAN.checked_add(SignedDuration::from_millis(since)).unwrap_or(Timestamp::MAX)
}

/// The world's time at which such a clock shows a time.
pub(super) fn world(at: Timestamp, skew: i64) -> Millis {
    let since = at.duration_since(BEGAN).as_millis();
    u64::try_from(since - i128::from(skew)).unwrap_or(0)
}

/// The API writes times in whole seconds.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
