//! A number of instances, given as such or as a share of all.

use std::{fmt, str::FromStr};

use super::ParseError;

/// A number of instances, or a share of all: `5`, `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred, 1 to 100.
    Percent(u8),
}

impl Amount {
    /// How many that is of so many: a share is rounded down.
    pub fn of(self, all: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let share = u64::from(all) * u64::from(percent) / 100;
                u32::try_from(share).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Amount {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a number, or a percentage from \"1%\" to \"100%\"");
        // A sign is read as part of a number, and means nothing here.
        let digits = text.strip_suffix('%').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        if digits.len() == text.len() {
            return digits.parse().map(Self::Count).map_err(|_| wrong());
        }
        let percent = digits.parse().ok().filter(|percent| (1..=100).contains(percent));
        percent.map(Self::Percent).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down() {
        for (percent, all, share) in
            [(10, 200, 20), (10, 19, 1), (10, 9, 0), (33, 10, 3), (100, 7, 7), (1, 0, 0)]
        {
            assert_eq!(Amount::Percent(percent).of(all), share, "{percent}% of {all}");
        }
        assert_eq!(Amount::Count(9).of(3), 9);
    }

    #[test]
    fn amounts_print_as_they_were_read() {
        for text in ["0", "7", "1%", "100%"] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
        for text in ["", "%", "0%", "101%", "-1", "+1", "1.5%", "10 %", "256%"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }
}
