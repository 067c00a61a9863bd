//! What was measured, as Markdown tables and as JSON. Over several runs: the median, and the least and the most.
//!
//! Pure. Called by the binary `borealis-bench`.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use serde_json::{Value, json};

use super::{Sizes, probe::Phase};

/// All runs as Markdown.
///
/// # Errors
/// Never: text takes all that is written to it.
pub fn markdown(sizes: Sizes, runs: &[Vec<Phase>]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let count = runs.len();
    let plural = if count == 1 { "run" } else { "runs" };
    writeln!(
        out,
        "{} instances, {} simulated nodes, {} changed at a time; {count} {plural}\n",
        sizes.instances, sizes.nodes, sizes.batch
    )?;
    own(&mut out, sizes, runs)?;
    out.push('\n');
    programs(&mut out, runs)?;
    out.push('\n');
    writes(&mut out, sizes, runs)?;
    Ok(out)
}

/// One run as JSON.
pub fn run_json(order: &str, load: &str, phases: &[Phase]) -> Value {
    let phases: Vec<Value> = phases.iter().map(Phase::json).collect();
    json!({ "order": order, "loadBefore": load, "phases": phases })
}

/// What each step took, and cost the one whose work it was.
fn own(out: &mut String, sizes: Sizes, runs: &[Vec<Phase>]) -> fmt::Result {
    let each = f64::from(sizes.instances);
    row(
        out,
        [
            "step",
            "work of",
            "wall s",
            "its CPU s",
            "its peak MiB",
            "its writes",
            "per instance",
            "all writes per instance",
            "others' CPU s",
        ],
    )?;
    rule(out, 9)?;
    for name in names(runs) {
        let phases = of(runs, name);
        let by = phases.first().and_then(|phase| phase.by).unwrap_or("the benchmark");
        let cost =
            |what: fn(&Phase) -> Option<f64>| -> Vec<f64> { phases.iter().filter_map(|p| what(p)).collect() };
        let own_writes = cost(|phase| phase.own_writes().map(count));
        let all_writes: Vec<f64> = phases.iter().map(|phase| count(phase.all_writes()) / each).collect();
        row(
            out,
            [
                name,
                by,
                &spread(&cost(|phase| Some(phase.wall.as_secs_f64())), 1),
                &spread(&cost(|phase| phase.own_cost().map(|cost| cost.cpu)), 1),
                &spread(&cost(|phase| phase.own_cost().map(|cost| mib(cost.peak))), 0),
                &spread(&own_writes, 0),
                &spread(&own_writes.iter().map(|writes| writes / each).collect::<Vec<_>>(), 2),
                &spread(&all_writes, 2),
                &spread(&cost(|phase| Some(phase.others)), 1),
            ],
        )?;
    }
    Ok(())
}

/// Seconds of CPU by program.
fn programs(out: &mut String, runs: &[Vec<Phase>]) -> fmt::Result {
    let all: BTreeSet<&str> =
        runs.iter().flatten().flat_map(|phase| phase.programs.keys()).map(String::as_str).collect();
    row(out, std::iter::once("CPU s").chain(all.iter().copied()))?;
    rule(out, all.len() + 1)?;
    for name in names(runs) {
        let phases = of(runs, name);
        let cells: Vec<String> = all
            .iter()
            .map(|program| {
                let cpu = phases.iter().filter_map(|phase| phase.programs.get(*program)).map(|cost| cost.cpu);
                spread(&cpu.collect::<Vec<_>>(), 1)
            })
            .collect();
        row(out, std::iter::once(name).chain(cells.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// Writes per instance by verb and resource; what is rarer than one in twenty instances is left to the JSON.
fn writes(out: &mut String, sizes: Sizes, runs: &[Vec<Phase>]) -> fmt::Result {
    let each = f64::from(sizes.instances);
    let per = |phase: &Phase, key: &str| count(phase.api_writes.get(key).copied().unwrap_or_default()) / each;
    let phases = || runs.iter().flatten();
    let all: BTreeSet<&str> = phases()
        .flat_map(|phase| phase.api_writes.keys().filter(move |key| per(phase, key) >= 0.05))
        .map(String::as_str)
        .collect();
    // A step that writes nothing has nothing to show.
    let names: Vec<&str> = names(runs)
        .into_iter()
        .filter(|name| of(runs, name).iter().any(|phase| all.iter().any(|key| per(phase, key) > 0.0)))
        .collect();
    row(out, std::iter::once("writes per instance").chain(names.iter().copied()))?;
    rule(out, names.len() + 1)?;
    for key in all {
        let cells: Vec<String> = names
            .iter()
            .map(|name| of(runs, name).iter().map(|phase| per(phase, key)).collect::<Vec<_>>())
            .map(|values| if values.iter().all(|v| *v == 0.0) { "–".to_owned() } else { spread(&values, 2) })
            .collect();
        row(out, std::iter::once(key).chain(cells.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// The steps in the order of the first run, the service's first.
fn names(runs: &[Vec<Phase>]) -> Vec<&'static str> {
    let mut phases: Vec<&Phase> = runs.first().into_iter().flatten().collect();
    phases.sort_by_key(|phase| (phase.by.is_none(), phase.by));
    phases.iter().map(|phase| phase.name).collect()
}

fn of<'a>(runs: &'a [Vec<Phase>], name: &str) -> Vec<&'a Phase> {
    runs.iter().flatten().filter(|phase| phase.name == name).collect()
}

/// The median, and the least and the most where there are several.
pub(super) fn spread(values: &[f64], digits: usize) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return "–".to_owned() };
    let middle = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    if sorted.len() == 1 {
        return format!("{middle:.digits$}");
    }
    format!("{middle:.digits$} ({least:.digits$}–{most:.digits$})")
}

fn mib(kib: u64) -> f64 {
    count(kib) / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

pub(super) fn row<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) -> fmt::Result {
    let cells: Vec<&str> = cells.into_iter().collect();
    writeln!(out, "| {} |", cells.join(" | "))
}

pub(super) fn rule(out: &mut String, columns: usize) -> fmt::Result {
    writeln!(out, "|---|{}", "--:|".repeat(columns.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_and_both_ends() {
        assert_eq!(spread(&[], 1), "–");
        assert_eq!(spread(&[2.0], 1), "2.0");
        assert_eq!(spread(&[3.0, 1.0, 2.0], 1), "2.0 (1.0–3.0)");
        assert_eq!(spread(&[3.0, 1.0], 0), "2 (1–3)");
    }
}
