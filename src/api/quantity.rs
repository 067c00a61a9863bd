//! Quantities of resources (`250m`, `1.5Gi`, `2e3`), exactly, and the amounts made of them.
//!
//! Sums are made in the finest unit there is and rounded up once at their end, as the scheduler does. Pure; called by
//! whoever reads what containers request, nodes have, or a quota allows.

use std::collections::BTreeMap;

use borealis_core::model::Resources;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The finest part of a unit that a quantity can say.
const NANOS: i128 = 1_000_000_000;
/// One thousandth of a unit.
const MILLI: i128 = NANOS / 1_000;

/// A quantity in thousand-millionths, rounded up; `None` if it is none. What is too great is the greatest there is.
#[must_use]
pub fn nanos(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.as_str();
    let (sign, text) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let unit = unit(suffix)?;
    let all = format!("{whole}{part}");
    let all = all.trim_start_matches('0');
    if all.is_empty() {
        return Some(0);
    }
    // More digits than this make a number beyond any amount, or a part too fine to matter.
    let Ok(mut value) = all.parse::<i128>() else { return Some(sign * i128::MAX) };
    let mut decimals = i32::try_from(part.len()).ok()?;
    match unit {
        Unit::Binary(power) => {
            let Some(product) = value.checked_mul(1 << (10 * power)) else { return Some(sign * i128::MAX) };
            value = product;
        }
        Unit::Decimal(power) => decimals = decimals.saturating_sub(power),
    }
    Some(sign * scale(value, 9 - decimals.clamp(-60, 60)))
}

enum Unit {
    /// So many powers of 1024.
    Binary(u32),
    /// So many powers of ten.
    Decimal(i32),
}

fn unit(suffix: &str) -> Option<Unit> {
    Some(match suffix {
        "n" => Unit::Decimal(-9),
        "u" => Unit::Decimal(-6),
        "m" => Unit::Decimal(-3),
        "" => Unit::Decimal(0),
        "k" => Unit::Decimal(3),
        "M" => Unit::Decimal(6),
        "G" => Unit::Decimal(9),
        "T" => Unit::Decimal(12),
        "P" => Unit::Decimal(15),
        "E" => Unit::Decimal(18),
        "Ki" => Unit::Binary(1),
        "Mi" => Unit::Binary(2),
        "Gi" => Unit::Binary(3),
        "Ti" => Unit::Binary(4),
        "Pi" => Unit::Binary(5),
        "Ei" => Unit::Binary(6),
        _ => Unit::Decimal(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// Times so many powers of ten, rounded up.
fn scale(value: i128, power: i32) -> i128 {
    let factor = 10_i128.checked_pow(power.unsigned_abs());
    match (factor, power >= 0) {
        (Some(factor), true) => value.saturating_mul(factor),
        (None, true) => i128::MAX,
        (Some(factor), false) => up(value, factor),
        (None, false) => i128::from(value > 0),
    }
}

/// A quotient, rounded up.
fn up(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

/// Amounts by resource, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amounts(BTreeMap<String, i128>);

impl Amounts {
    /// Those of a list of the API. What is no quantity, which the API server refuses, is the greatest there is: it
    /// fits nowhere, and no quota allows it.
    #[must_use]
    pub fn of(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let read =
            |(name, quantity): (&String, &Quantity)| (name.clone(), nanos(quantity).unwrap_or(i128::MAX));
        Self(list.into_iter().flatten().map(read).collect())
    }

    /// So much more.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let own = self.0.entry(name.clone()).or_insert(0);
            *own = own.saturating_add(*amount);
        }
    }

    /// The greater of each; what only one of them names is that.
    pub fn max(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            self.0.entry(name.clone()).and_modify(|own| *own = *amount.max(own)).or_insert(*amount);
        }
    }

    /// What these name and the others don't is added to the others.
    pub fn fill_in(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            self.0.entry(name.clone()).or_insert(*amount);
        }
    }

    /// Sets the amounts that `which` names to those of the other, where that names them.
    pub fn replace(&mut self, other: &Self, which: impl Fn(&str) -> bool) {
        let named = other.0.iter().filter(|(name, _)| which(name));
        self.0.extend(named.map(|(name, amount)| (name.clone(), *amount)));
    }

    /// Whether it names one of these.
    pub fn names(&self, which: impl Fn(&str) -> bool) -> bool {
        self.0.keys().any(|name| which(name))
    }

    /// In whole units, CPU in thousandths, each rounded up. What is 0 is left out.
    #[must_use]
    pub fn resources(&self) -> Resources {
        let whole = |amount: i128, by: i128| i64::try_from(up(amount, by)).unwrap_or(i64::MAX);
        let mut resources = Resources::NONE;
        for (name, amount) in &self.0 {
            match name.as_str() {
                "cpu" => resources.cpu_milli = whole(*amount, MILLI),
                "memory" => resources.memory = whole(*amount, NANOS),
                "ephemeral-storage" => resources.ephemeral = whole(*amount, NANOS),
                name => match whole(*amount, NANOS) {
                    0 => {}
                    amount => drop(resources.extended.insert(name.into(), amount)),
                },
            }
        }
        resources
    }
}

/// A list of the API in whole units, CPU in thousandths.
#[must_use]
pub fn resources(list: Option<&BTreeMap<String, Quantity>>) -> Resources {
    Amounts::of(list).resources()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<i128> {
        nanos(&Quantity(text.to_owned()))
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, wanted) in [
            ("0", 0),
            ("1", NANOS),
            ("+1", NANOS),
            ("-2", -2 * NANOS),
            ("250m", 250 * MILLI),
            ("0.25", 250 * MILLI),
            (".25", 250 * MILLI),
            ("5.", 5 * NANOS),
            ("1u", 1_000),
            ("1n", 1),
            ("0.1n", 1),
            ("1k", 1_000 * NANOS),
            ("1.5Gi", 3 * (1 << 29) * NANOS),
            ("1Ki", 1_024 * NANOS),
            ("0.5Ki", 512 * NANOS),
            ("1E", 1_000_000_000_000_000_000 * NANOS),
            ("2E3", 2_000 * NANOS),
            ("2e3", 2_000 * NANOS),
            ("2e-3", 2 * MILLI),
            ("1e-30", 1),
            ("1e99", i128::MAX),
            ("99999999999999999999999999999999999999999Ei", i128::MAX),
        ] {
            assert_eq!(read(text), Some(wanted), "{text}");
        }
        for text in ["", "-", ".", "m", "1.2.3", "1 ", " 1", "1K", "1ki", "0x1", "1e", "--1", "1mm"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_sum_is_rounded_up_once() {
        let half = Amounts(BTreeMap::from([("cpu".to_owned(), MILLI / 2), ("memory".to_owned(), NANOS / 2)]));
        let mut sum = half.clone();
        sum.add(&half);
        let of = |amounts: &Amounts| (amounts.resources().cpu_milli, amounts.resources().memory);
        assert_eq!((of(&half), of(&sum)), ((1, 1), (1, 1)));
        sum.add(&half);
        assert_eq!(of(&sum), (2, 2));
        let unreadable = BTreeMap::from([("cpu".to_owned(), Quantity("much".to_owned()))]);
        assert_eq!(resources(Some(&unreadable)).cpu_milli, i64::MAX);
    }

    proptest! {
        #[test]
        fn nothing_is_too_strange_to_read(text in "\\PC{0,24}") {
            let _ = read(&text);
        }

        #[test]
        fn what_is_written_out_is_read_back(milli in -1_000_000_000_i64..1_000_000_000) {
            prop_assert_eq!(read(&format!("{milli}m")), Some(i128::from(milli) * MILLI));
            prop_assert_eq!(read(&format!("{milli}")), Some(i128::from(milli) * NANOS));
            prop_assert_eq!(read(&format!("{milli}Mi")), Some(i128::from(milli) * (1 << 20) * NANOS));
        }
    }
}
