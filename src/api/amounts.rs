//! Amounts of resources as maps of quantities and in words: the way out, as `quantity` is the way in.
//!
//! Written is the shortest form that says the same. Decides nothing. Called wherever a request or a quota is told.

use std::{collections::BTreeMap, fmt};

use borealis_core::model::Resources;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// CPU.
pub const CPU: &str = "cpu";
/// Memory.
pub const MEMORY: &str = "memory";
/// Ephemeral storage.
pub const EPHEMERAL: &str = "ephemeral-storage";

/// Amounts as a map by resource: those that are not 0, and CPU and memory, which everything has.
#[must_use]
pub fn quantities(amounts: &Resources) -> BTreeMap<String, Quantity> {
    let shown = amounts_of(amounts).filter(|(name, amount)| *amount != 0 || *name == CPU || *name == MEMORY);
    shown.map(|(name, amount)| (name.to_owned(), Quantity(text(name, amount)))).collect()
}

/// The amounts above 0 as a map by resource.
#[must_use]
pub fn positive(amounts: &Resources) -> BTreeMap<String, Quantity> {
    let shown = amounts_of(amounts).filter(|(_, amount)| *amount > 0);
    shown.map(|(name, amount)| (name.to_owned(), Quantity(text(name, amount)))).collect()
}

/// An amount of a resource as its quantity: thousandths of CPU, units of anything else.
#[must_use]
pub fn text(name: &str, amount: i64) -> String {
    match name {
        CPU if amount % 1_000 == 0 => (amount / 1_000).to_string(),
        CPU => format!("{amount}m"),
        MEMORY | EPHEMERAL => bytes(amount),
        _ => amount.to_string(),
    }
}

/// Each resource with its amount.
pub fn amounts_of(amounts: &Resources) -> impl Iterator<Item = (&str, i64)> {
    let Resources { cpu_milli, memory, ephemeral, extended } = amounts;
    let three = [(CPU, *cpu_milli), (MEMORY, *memory), (EPHEMERAL, *ephemeral)];
    three.into_iter().chain(extended.iter().map(|(name, amount)| (&**name, *amount)))
}

/// The amount of a resource.
#[must_use]
pub fn amount(amounts: &Resources, name: &str) -> i64 {
    amounts_of(amounts).find(|(known, _)| *known == name).map_or(0, |(_, amount)| amount)
}

/// Amounts in a sentence: `2 cpu, 4Gi memory`.
pub struct Told<'a>(pub &'a Resources);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = amounts_of(self.0).filter(|(_, amount)| *amount != 0).peekable();
        if shown.peek().is_none() {
            return f.write_str("nothing");
        }
        for (at, (name, amount)) in shown.enumerate() {
            write!(f, "{}{} {name}", if at == 0 { "" } else { ", " }, text(name, amount))?;
        }
        Ok(())
    }
}

fn bytes(amount: i64) -> String {
    let units = [("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let whole = |(_, shift): &&(&str, u32)| amount != 0 && amount % (1_i64 << shift) == 0;
    match units.iter().find(whole) {
        Some((unit, shift)) => format!("{}{unit}", amount >> shift),
        None => amount.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::quantity::resources;

    #[test]
    fn what_is_written_is_read_back() {
        for (name, amount, written) in [
            (CPU, 1_500, "1500m"),
            (CPU, 2_000, "2"),
            (CPU, 0, "0"),
            (MEMORY, 1 << 31, "2Gi"),
            (MEMORY, (1 << 30) + (1 << 20), "1025Mi"),
            (MEMORY, 1_000, "1000"),
            (EPHEMERAL, 3 << 50, "3Pi"),
            ("nvidia.com/gpu", 8, "8"),
        ] {
            assert_eq!(text(name, amount), written);
            let map = BTreeMap::from([(name.to_owned(), Quantity(written.to_owned()))]);
            let read = resources(Some(&map));
            assert!(amounts_of(&read).any(|found| found == (name, amount)), "{written}");
        }
        let mut some = Resources { cpu_milli: 250, memory: 1 << 20, ..Resources::NONE };
        some.extended.insert("example.com/fpga".into(), 3);
        assert_eq!(resources(Some(&quantities(&some))), some);
        assert_eq!(Told(&some).to_string(), "250m cpu, 1Mi memory, 3 example.com/fpga");
        assert_eq!(Told(&Resources::NONE).to_string(), "nothing");
        assert_eq!(quantities(&Resources::NONE).len(), 2, "CPU and memory are shown as 0");
    }
}
