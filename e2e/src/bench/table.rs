//! What was measured, as Markdown tables. Over several runs: the median, and the least and the most.
//!
//! Pure. Called by the binary `borealis-bench`, and by those of the other benchmarks for their own tables.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use super::report::{Report, Step, distinct};

/// A report as Markdown: what docs/benchmarks.md shows of it.
///
/// # Errors
/// Never: text takes all that is written to it.
pub fn markdown(report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::new();
    for (nth, workload) in report.workloads().into_iter().enumerate() {
        if nth > 0 {
            out.push('\n');
        }
        head(&mut out, report, workload)?;
        let steps = report.steps(workload);
        if !steps.is_empty() {
            costs(&mut out, &steps)?;
            out.push('\n');
            writes(&mut out, &steps)?;
            out.push('\n');
            programs(&mut out, &steps)?;
        }
        figures(&mut out, report, workload, !steps.is_empty())?;
    }
    Ok(out)
}

fn head(out: &mut String, report: &Report, workload: &str) -> fmt::Result {
    let sizes = report.sizes;
    let what = match workload {
        "many" => format!("{} objects of 2 instances", sizes.services),
        "large" => {
            format!("one object of {} instances, {} changed at a time", sizes.instances, sizes.batch())
        }
        "idle" => format!("{} objects of 1 instance, {} s at rest", sizes.idle, sizes.idle_seconds),
        _ => format!("one object of {} instances, two replicas", sizes.failover_instances),
    };
    let runs = distinct_runs(report, workload);
    let plural = if runs == 1 { "run" } else { "runs" };
    let loads = distinct(report.of(workload).filter_map(|round| round.load_before.split(' ').next()));
    let (nodes, loads) = (sizes.nodes, loads.join(", "));
    writeln!(
        out,
        "### {workload}: {what}\n\n{runs} {plural} on {nodes} simulated nodes; load before: {loads}.\n"
    )
}

fn distinct_runs(report: &Report, workload: &str) -> usize {
    report.of(workload).map(|round| round.run).collect::<BTreeSet<usize>>().len()
}

/// What each step took, and cost the one whose work it was.
fn costs(out: &mut String, steps: &[Step<'_>]) -> fmt::Result {
    let columns = [
        "who",
        "step",
        "wall s",
        "its CPU s",
        "its peak MiB",
        "at the end MiB",
        "its writes per instance",
        "all writes per instance",
        "others' CPU s",
    ];
    row(out, columns)?;
    rule(out, columns.len())?;
    for step in steps {
        let each = f64::from(step.instances);
        row(
            out,
            [
                step.contender,
                step.name,
                &spread(&step.values(|phase| Some(phase.wall)), 1),
                &spread(&step.values(|phase| Some(phase.own_cost()?.cpu)), 1),
                &spread(&step.values(|phase| Some(mib(phase.own_cost()?.peak))), 0),
                &spread(&step.values(|phase| Some(mib(phase.own_cost()?.resident))), 0),
                &spread(&step.values(|phase| Some(count(phase.own_writes()?) / each)), 2),
                &spread(&step.values(|phase| Some(count(phase.all_writes()) / each)), 2),
                &spread(&step.values(|phase| Some(phase.others)), 1),
            ],
        )?;
    }
    Ok(())
}

/// Writes per instance by verb and resource; what is rarer than one in twenty instances is left to the JSON.
fn writes(out: &mut String, steps: &[Step<'_>]) -> fmt::Result {
    let per = |step: &Step<'_>, key: &str| {
        step.values(|phase| {
            let writes = phase.api_writes.get(key).copied().unwrap_or_default();
            Some(count(writes) / f64::from(step.instances))
        })
    };
    let keys = || steps.iter().flat_map(|step| &step.phases).flat_map(|phase| phase.api_writes.keys());
    let is_much = |key: &&str| steps.iter().any(|step| per(step, key).iter().any(|writes| *writes >= 0.05));
    let all: BTreeSet<&str> = keys().map(String::as_str).filter(is_much).collect();
    // A step that writes nothing has nothing to show.
    let writing: Vec<&Step<'_>> =
        steps.iter().filter(|step| all.iter().any(|key| per(step, key).iter().any(|w| *w > 0.0))).collect();
    let names: Vec<String> =
        writing.iter().map(|step| format!("{}: {}", step.contender, step.name)).collect();
    row(out, std::iter::once("writes per instance").chain(names.iter().map(String::as_str)))?;
    rule(out, names.len() + 1)?;
    for key in all {
        let cells: Vec<String> = writing
            .iter()
            .map(|step| per(step, key))
            .map(|values| if values.iter().all(|v| *v == 0.0) { "–".to_owned() } else { spread(&values, 2) })
            .collect();
        row(out, std::iter::once(key).chain(cells.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// Seconds of CPU by program.
fn programs(out: &mut String, steps: &[Step<'_>]) -> fmt::Result {
    let phases = steps.iter().flat_map(|step| &step.phases);
    let all: BTreeSet<&str> = phases.flat_map(|phase| phase.programs.keys()).map(String::as_str).collect();
    row(out, ["CPU s", ""].into_iter().chain(all.iter().copied()))?;
    rule(out, all.len() + 2)?;
    for step in steps {
        let cpu = |program: &&str| spread(&step.values(|phase| Some(phase.programs.get(*program)?.cpu)), 1);
        let cells: Vec<String> = all.iter().map(cpu).collect();
        row(out, [step.contender, step.name].into_iter().chain(cells.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// What was seen besides.
fn figures(out: &mut String, report: &Report, workload: &str, follows: bool) -> fmt::Result {
    let names: BTreeSet<&str> =
        report.of(workload).flat_map(|round| round.figures.keys()).map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    if follows {
        out.push('\n');
    }
    let seen = |contender: &str, name: &str| -> Vec<f64> {
        let rounds = report.of(workload).filter(|round| round.contender == contender);
        rounds.filter_map(|round| round.figures.get(name)).flatten().copied().collect()
    };
    let contenders: Vec<&str> = report
        .contenders(workload)
        .into_iter()
        .filter(|contender| names.iter().any(|name| !seen(contender, name).is_empty()))
        .collect();
    row(out, std::iter::once("seen").chain(contenders.iter().copied()))?;
    rule(out, contenders.len() + 1)?;
    for name in names {
        let cells: Vec<String> =
            contenders.iter().map(|contender| spread(&seen(contender, name), 2)).collect();
        row(out, std::iter::once(name).chain(cells.iter().map(String::as_str)))?;
    }
    Ok(())
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

pub(super) fn mib(kib: u64) -> f64 {
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
    use super::{super::report::tests::example, *};

    #[test]
    fn a_report_becomes_tables() {
        let text = markdown(&example()).unwrap();
        for line in [
            "### large: one object of 100 instances, 10 changed at a time",
            "2 runs on 50 simulated nodes; load before: 0.10.",
            "| Borealis | comes up | 12.0 (10.0–14.0) | 1.2 (1.0–1.4) | 3 (2–4) | 2 (1–2) | 1.00 (1.00–1.00) \
             | 2.53 (2.53–2.53) | 0.5 (0.5–0.5) |",
            "| bare loop | comes up | 8.0 | – | – | – | – | 2.53 | 0.5 |",
            "| PATCH pods/status | 1.50 (1.50–1.50) | 1.50 (1.50–1.50) | 1.50 |",
            "| Borealis | at rest | 2.0 (2.0–2.0) | – |",
            "| start, s | 1.50 (1.00–2.00) | 1.00 |",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        // Three in a hundred.
        assert!(!text.contains("POST events"), "{text}");
    }

    #[test]
    fn a_spread_has_the_middle_and_both_ends() {
        assert_eq!(spread(&[], 1), "–");
        assert_eq!(spread(&[2.0], 1), "2.0");
        assert_eq!(spread(&[3.0, 1.0, 2.0], 1), "2.0 (1.0–3.0)");
        assert_eq!(spread(&[3.0, 1.0], 0), "2 (1–3)");
    }
}
