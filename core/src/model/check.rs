//! Checks of an update: what must hold while it goes forward, and what was measured of it.
//!
//! How something is measured is not known here; what a measured value means is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most checks of an update.
pub const MAX_CHECKS: usize = 16;

/// Something that must hold while an update goes forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, unique in the update.
    pub name: String,
    /// Where its values come from.
    pub source: Source,
    /// What every value must be.
    pub must: Must,
    /// Seconds from one measurement to the next, at least 5.
    pub interval_seconds: u32,
    /// Seconds a measurement may take, at least 1.
    pub timeout_seconds: u32,
    /// Measurements in a row that must fail before it fails, at least 1.
    pub failures_in_a_row: u32,
    /// What it means that it fails.
    pub on_failure: OnFailure,
}

/// Where the values of a check come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A JSON document that an HTTP server gives.
    Http {
        /// Where it is.
        url: String,
        /// Where in it the values are (RFC 9535).
        json_path: String,
    },
    /// A query to a Prometheus server.
    Prometheus {
        /// The server, with the path below which it serves its API.
        address: String,
        /// The query, in PromQL.
        query: String,
        /// What it means that the query has no result.
        when_no_data: NoData,
    },
}

/// What it means that a query has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoData {
    /// The measurement fails.
    Fail,
    /// The measurement holds.
    Hold,
}

/// What it means that a check fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnFailure {
    /// Each instance that is in its watch then has failed once.
    FailInstance,
    /// The update stands still, as without a pulse, until the check holds again.
    LosePulse,
}

/// What a measured value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Must {
    /// How it is compared.
    pub be: Comparison,
    /// With what: a number, or for `Equal` and `NotEqual` any text.
    pub value: String,
}

/// How a measured value is compared with the one it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// Less.
    LessThan,
    /// Less or equal.
    AtMost,
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Greater or equal.
    AtLeast,
    /// Greater.
    GreaterThan,
}

impl Comparison {
    /// Whether it asks for an order, which texts don't have.
    pub fn needs_numbers(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

impl Must {
    /// Whether a value is what it must be: as numbers where both are, else as texts.
    pub fn holds(&self, measured: &str) -> bool {
        let Some((left, right)) = number(measured).zip(number(&self.value)) else {
            return match self.be {
                Comparison::Equal => measured == self.value,
                Comparison::NotEqual => measured != self.value,
                Comparison::LessThan | Comparison::AtMost | Comparison::AtLeast | Comparison::GreaterThan => {
                    false
                }
            };
        };
        match self.be {
            Comparison::LessThan => left < right,
            Comparison::AtMost => left <= right,
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::AtLeast => left >= right,
            Comparison::GreaterThan => left > right,
        }
    }

    /// In words, after "must be".
    pub fn words(&self) -> String {
        let how = match self.be {
            Comparison::LessThan => "less than",
            Comparison::AtMost => "at most",
            Comparison::Equal => "equal to",
            Comparison::NotEqual => "anything but",
            Comparison::AtLeast => "at least",
            Comparison::GreaterThan => "greater than",
        };
        format!("{how} {}", self.value)
    }
}

/// The number a text is, in the spelling of JSON or of Prometheus; infinities are numbers, NaN is none.
pub fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| !number.is_nan())
}

/// What is known of a check of the update at hand. Nothing of it is durable: another operator measures anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// The check's name.
    pub check: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of measuring a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is not measured: why, and what to do.
    Refused(String),
    /// It was measured.
    Measured {
        /// When the newest measurement was begun.
        at: Timestamp,
        /// When the newest that held was begun.
        held_at: Option<Timestamp>,
        /// When the first of the failed measurements was made that make it fail.
        fails_since: Option<Timestamp>,
        /// So many failed in a row that the check fails, and none has held since.
        failing: bool,
        /// What the newest measured; empty where there was no value.
        value: String,
        /// What is to be said of the newest, after the check's name.
        message: String,
    },
}

/// What a check last said, as it is recorded: written when that changes, not at each measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRecord {
    /// The check's name.
    pub check: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was measured when that was found out; empty where there was no value.
    pub value: String,
    /// What is to be said of it, after the check's name.
    pub message: String,
    /// When it was measured.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::{Comparison::*, *};

    #[test]
    fn values_are_compared_as_numbers_where_both_are() {
        // Measured, wanted, and the comparisons that hold of the six.
        let rows: [(&str, &str, &[Comparison]); 14] = [
            ("0.009", "0.01", &[LessThan, AtMost, NotEqual]),
            ("0.01", "1e-2", &[AtMost, Equal, AtLeast]),
            ("9", "10", &[LessThan, AtMost, NotEqual]),
            ("10", "9", &[NotEqual, AtLeast, GreaterThan]),
            ("-1", "0", &[LessThan, AtMost, NotEqual]),
            ("+Inf", "1e308", &[NotEqual, AtLeast, GreaterThan]),
            ("-Inf", "0", &[LessThan, AtMost, NotEqual]),
            ("1.0", "1", &[AtMost, Equal, AtLeast]),
            ("NaN", "1", &[NotEqual]),
            ("NaN", "NaN", &[Equal]),
            ("green", "green", &[Equal]),
            ("green", "red", &[NotEqual]),
            ("true", "1", &[NotEqual]),
            ("", "0", &[NotEqual]),
        ];
        for (measured, value, holding) in rows {
            for be in [LessThan, AtMost, Equal, NotEqual, AtLeast, GreaterThan] {
                let must = Must { be, value: value.to_owned() };
                assert_eq!(must.holds(measured), holding.contains(&be), "{measured} {}", must.words());
            }
        }
    }
}
