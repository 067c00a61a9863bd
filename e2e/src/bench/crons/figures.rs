//! The figures of crons that are due at once, and their table.
//!
//! Pure. Called by the binary `borealis-crons`.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    By, Crons,
    witness::{Run, Seen},
};
use crate::bench::{
    probe::Phase,
    table::{count, row, rule, spread},
    times::{Times, seconds},
};

/// One figure: what, its digits, and what it is of a round, if it has it.
type Figure = (&'static str, usize, Option<f64>);

/// One round as it was measured.
#[derive(Debug, Clone)]
pub struct Round {
    /// Whose crons.
    pub by: By,
    figures: Vec<Figure>,
    phase: Phase,
}

impl Round {
    pub(super) fn new(by: By, crons: Crons, phase: Phase, due: Timestamp, seen: &Seen) -> Self {
        let times = |of: fn(&Run) -> Option<Timestamp>| {
            Times::of(seen.runs.values().filter_map(|run| Some(seconds(due, of(run)?))))
        };
        let (made, pods, ended) = (times(|run| run.made), times(|run| run.pod), times(|run| run.ended));
        let by_cron = seen.by_cron();
        let doubled: usize = by_cron.values().map(|runs| runs - 1).sum();
        let lost = crons.crons as usize - by_cron.len();
        let figures = vec![
            ("due to run made, p50 s", 1, made.at(50)),
            ("the same, p99 s", 1, made.at(99)),
            ("the same, longest s", 1, made.at(100)),
            ("due to Pod made, p50 s", 1, pods.at(50)),
            ("the same, p99 s", 1, pods.at(99)),
            ("due to Pod succeeded, p50 s", 1, ended.at(50)),
            ("the same, p99 s", 1, ended.at(99)),
            ("runs lost", 0, Some(count(lost as u64))),
            ("runs doubled", 0, Some(count(doubled as u64))),
        ];
        Self { by, figures: [figures, costs(by, &phase)].concat(), phase }
    }

    pub(super) fn of_loop(phase: Phase) -> Self {
        let wall = phase.wall;
        // In a loop the nth is made after its share of the time.
        let mut figures = vec![
            ("due to run made, p50 s", 1, Some(wall * 0.5)),
            ("the same, p99 s", 1, Some(wall * 0.99)),
            ("the same, longest s", 1, Some(wall)),
        ];
        let none =
            ["due to Pod made, p50 s", "the same, p99 s", "due to Pod succeeded, p50 s", "the same, p99 s"];
        figures.extend(none.map(|what| (what, 1, None)));
        figures.extend(["runs lost", "runs doubled"].map(|what| (what, 0, None)));
        figures.extend(costs(By::Loop, &phase));
        Self { by: By::Loop, figures, phase }
    }

    /// For the report.
    pub fn json(&self) -> Value {
        let figures: Vec<Value> = self.figures.iter().map(|(what, _, value)| json!([what, value])).collect();
        json!({ "by": self.by.name(), "figures": figures, "phase": self.phase })
    }
}

fn costs(by: By, phase: &Phase) -> Vec<Figure> {
    let own = phase.own_cost();
    let server = phase.programs.get("kube-apiserver");
    vec![
        ("CPU s of the controller", 1, own.map(|cost| cost.cpu)),
        ("peak MiB of the controller", 0, own.map(|cost| count(cost.peak) / 1024.0)),
        ("writes of the controller", 0, phase.own_writes().filter(|_| by != By::Loop).map(count)),
        ("CPU s of the API server", 1, server.map(|cost| cost.cpu)),
        ("all writes", 0, Some(count(phase.all_writes()))),
    ]
}

/// All rounds as Markdown: the median, and the least and the most where there are several.
///
/// # Errors
/// Never: text takes all that is written to it.
pub fn markdown(crons: Crons, rounds: &[Round]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{} crons due in one minute, on {} simulated nodes\n", crons.crons, crons.nodes)?;
    row(&mut out, ["", "AuroraCron", "CronJob", "bare loop of AuroraJobs"])?;
    rule(&mut out, 4)?;
    let Some(first) = rounds.first() else { return Ok(out) };
    for (at, (what, digits, _)) in first.figures.iter().enumerate() {
        let of = |by: By| {
            let rounds = rounds.iter().filter(|round| round.by == by);
            let values: Vec<f64> = rounds.filter_map(|round| round.figures.get(at)?.2).collect();
            spread(&values, *digits)
        };
        row(&mut out, [what, &*of(By::Borealis), &*of(By::CronJobs), &*of(By::Loop)])?;
    }
    Ok(out)
}
