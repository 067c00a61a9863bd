//! The figures of a group of services, summed up from its instances.

use super::{Class, Mark};

/// How instances have spent the window, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub(super) up: i64,
    pub(super) down: i64,
}

impl Spent {
    pub(super) fn add(&mut self, class: Class, millis: i64) {
        match class {
            Class::Up => self.up += millis,
            Class::Down => self.down += millis,
            Class::Removed => {}
        }
    }

    /// The same of two groups.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { up: self.up + other.up, down: self.down + other.down }
    }

    /// What share of the time that counts the instances were up, 0 to 1; 1 where none counts.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio is a floating-point number")]
    pub fn ratio(self) -> f64 {
        let counted = self.up + self.down;
        if counted == 0 { 1.0 } else { self.up as f64 / counted as f64 }
    }
}

/// What was found of a group of services in one window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub(super) spent: Spent,
    /// Seconds that tasks took to each mark.
    pub(super) waits: [Vec<u32>; Mark::ALL.len()],
    /// Seconds for which each RUNNING instance has been that.
    pub(super) uptimes: Vec<u32>,
}

impl Tally {
    /// How the instances have spent the window.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// The median of the seconds from PENDING to the mark; `None` where no task got there.
    #[must_use]
    pub fn median(&self, mark: Mark) -> Option<u32> {
        at_least(&self.waits[mark as usize], 50)
    }

    /// For how many seconds so many percent of the RUNNING instances have been that at least; `None` where there are none.
    #[must_use]
    pub fn uptime(&self, percentile: u8) -> Option<u32> {
        at_least(&self.uptimes, percentile)
    }
}

/// The greatest of these numbers that is exceeded or met by more than so many percent of them: of an even count the median
/// is the lesser of the two in the middle, as in Aurora.
fn at_least(numbers: &[u32], percent: u8) -> Option<u32> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let above = sorted.len() * usize::from(percent.min(100)) / 100;
    sorted.len().checked_sub(above + 1).map(|at| sorted[at])
}
