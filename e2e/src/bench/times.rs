//! Durations of many things of one kind, and what so many percent of them do not exceed.
//!
//! Pure. Called by the figures of `storm` and `crons`.

use jiff::Timestamp;

/// Durations in seconds, in order.
pub(super) struct Times(pub(super) Vec<f64>);

impl Times {
    pub(super) fn of(all: impl Iterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = all.collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The least that so many percent do not exceed.
    pub(super) fn at(&self, percent: usize) -> Option<f64> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.checked_sub(1)?).copied()
    }
}

/// From one time to another.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let times = Times::of((1..=200).rev().map(f64::from));
        assert_eq!([50, 99, 100].map(|percent| times.at(percent)), [Some(100.0), Some(198.0), Some(200.0)]);
        assert_eq!(Times::of(std::iter::empty()).at(50), None);
    }
}
