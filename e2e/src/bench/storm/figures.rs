//! The figures of a storm, and their table.
//!
//! Pure. Called by the binary `borealis-storm`.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    By, Storm,
    witness::{Arrival, Seen},
};
use crate::bench::{
    probe::{OPERATOR, Phase},
    table::{count, row, rule, spread},
    times::{Times, seconds},
};

/// Seconds a Pod of tier `preferred` waits before others go for it, by `deploy/`.
const DELAY: f64 = 5.0;

/// One figure: what, its digits, and what it is of a round, if it has it.
type Figure = (&'static str, usize, Option<f64>);

/// One storm as it was measured.
#[derive(Debug, Clone)]
pub struct Round {
    /// Who made room.
    pub by: By,
    figures: Vec<Figure>,
    phase: Phase,
}

impl Round {
    pub(super) fn new(by: By, storm: Storm, phase: Phase, seen: &Seen) -> Self {
        let arrivals = || seen.arrivals.iter();
        let times = |from: fn(&Arrival) -> Option<Timestamp>, to: fn(&Arrival) -> Option<Timestamp>| {
            Times::of(arrivals().filter_map(|(_, arrival)| Some(seconds(from(arrival)?, to(arrival)?))))
        };
        let decided =
            Times::of(times(|a| a.without_place, |a| a.decided).0.into_iter().map(|time| time - DELAY));
        let told = Times::of(arrivals().filter_map(|(uid, arrival)| {
            Some(seconds(arrival.without_place?, *seen.first_end.get(uid)?) - DELAY)
        }));
        let nominated = times(|a| a.made, |a| a.nominated);
        let running = times(|a| a.made, |a| a.running);
        let begin = arrivals().filter_map(|(_, arrival)| arrival.made).min();
        let since_begin = |at: Option<Timestamp>| Some(seconds(begin?, at?));
        let victims = count(seen.ended.len() as u64);
        let cpu = |program: &str| phase.programs.get(program).map(|cost| cost.cpu);
        let figures = vec![
            ("end of the tier's delay to decision, p50 s", 3, decided.at(50)),
            ("the same, p99 s", 3, decided.at(99)),
            ("the same, longest s", 3, decided.at(100)),
            ("end of the tier's delay to first victim told, p50 s", 3, told.at(50)),
            ("the same, p99 s", 3, told.at(99)),
            ("made to nominated, p50 s", 1, nominated.at(50)),
            ("the same, p99 s", 1, nominated.at(99)),
            ("made to running, p50 s", 1, running.at(50)),
            ("the same, p99 s", 1, running.at(99)),
            ("first made to first victim told, s", 1, since_begin(seen.ended.values().min().copied())),
            ("first made to last victim told, s", 1, since_begin(seen.ended.values().max().copied())),
            (
                "first made to all running, s",
                1,
                since_begin(arrivals().filter_map(|(_, arrival)| arrival.running).max()),
            ),
            ("victims", 0, Some(victims)),
            ("victims beyond the fewest", 0, Some(victims - f64::from(storm.fewest()))),
            ("slots that came to nothing", 0, (by == By::Borealis).then(|| failed(seen))),
            ("CPU s of the operator", 1, cpu(OPERATOR)),
            ("CPU s of the scheduler", 1, cpu("kube-scheduler")),
            ("CPU s of the API server", 1, cpu("kube-apiserver")),
            (
                "peak MiB of the operator",
                0,
                phase.programs.get(OPERATOR).map(|cost| count(cost.peak) / 1024.0),
            ),
            ("all writes", 0, Some(count(phase.all_writes()))),
        ];
        Self { by, figures, phase }
    }

    /// For the report.
    pub fn json(&self) -> Value {
        let figures: serde_json::Map<String, Value> =
            self.figures.iter().map(|(what, _, value)| ((*what).to_owned(), json!(value))).collect();
        json!({ "by": self.by.name(), "figures": figures, "phase": self.phase })
    }
}

/// All rounds as Markdown: the median, and the least and the most where there are several.
///
/// # Errors
/// Never: text takes all that is written to it.
pub fn markdown(storm: Storm, rounds: &[Round]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "{} Pods of production on {} simulated nodes full of batch; {} victims are the fewest\n",
        storm.production,
        storm.nodes,
        storm.fewest()
    )?;
    row(&mut out, ["", "Borealis", "the scheduler's own"])?;
    rule(&mut out, 3)?;
    let Some(first) = rounds.first() else { return Ok(out) };
    for (at, (what, digits, _)) in first.figures.iter().enumerate() {
        let of = |by: By| {
            let rounds = rounds.iter().filter(|round| round.by == by);
            let values: Vec<f64> = rounds.filter_map(|round| round.figures.get(at)?.2).collect();
            spread(&values, *digits)
        };
        row(&mut out, [what, &*of(By::Borealis), &*of(By::Scheduler)])?;
    }
    Ok(out)
}

fn failed(seen: &Seen) -> f64 {
    seen.arrivals.values().map(|arrival| count(arrival.tries.unsigned_abs())).sum()
}
