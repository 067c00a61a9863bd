//! Which instant a local time is, also where clocks change.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// Nothing is due after it: croner ends there, and intervals with it.
pub(super) const LAST_YEAR: i16 = 4999;

/// The instant a local time is due: a time that comes twice at its first, a time that is skipped right after the gap.
/// A later local time is never due before an earlier one. None after the last year.
pub(super) fn due(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    if local.year() > LAST_YEAR {
        return None;
    }
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            // Read by the clock as it goes after the gap, a skipped time lies before the change.
            let early = after.to_timestamp(local).ok()?;
            let change = zone.following(early).find(|change| change.offset() == after)?;
            Some(change.timestamp())
        }
    }
}
