//! What was measured, as it is kept: tables and plots are made of this, also later and of runs of other days.
//!
//! Pure but for the file. Called by the binary `borealis-bench`.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Sizes, probe::Phase};

/// All that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// How much was asked for.
    pub sizes: Sizes,
    /// One for each run, workload and contender, in their order.
    pub rounds: Vec<Round>,
}

/// What one workload took one contender in one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Which run, from 1.
    pub run: usize,
    /// What was asked.
    pub workload: String,
    /// Who was asked.
    pub contender: String,
    /// Instances of all objects together.
    pub instances: u32,
    /// What the machine had to do before.
    pub load_before: String,
    /// The steps.
    pub phases: Vec<Phase>,
    /// What was seen besides, each as often as it was looked at.
    pub figures: BTreeMap<String, Vec<f64>>,
}

impl Report {
    /// Reads one.
    ///
    /// # Errors
    /// When the file is none.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| format!("{} is no report", file.display()))
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(file, format!("{text}\n")).with_context(|| file.display().to_string())
    }

    /// The workloads that were run, in their order.
    pub(super) fn workloads(&self) -> Vec<&str> {
        distinct(self.rounds.iter().map(|round| round.workload.as_str()))
    }

    /// The contenders of a workload, in their order.
    pub(super) fn contenders<'a>(&'a self, workload: &str) -> Vec<&'a str> {
        let rounds = self.rounds.iter().filter(|round| round.workload == workload);
        distinct(rounds.map(|round| round.contender.as_str()))
    }

    /// The rounds of a workload.
    pub(super) fn of<'a>(&'a self, workload: &'a str) -> impl Iterator<Item = &'a Round> {
        self.rounds.iter().filter(move |round| round.workload == workload)
    }

    /// Who did what in a workload, in the order in which it was done.
    pub(super) fn steps(&self, workload: &str) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        for contender in self.contenders(workload) {
            let rounds: Vec<&Round> =
                self.rounds.iter().filter(|r| r.workload == workload && r.contender == contender).collect();
            for name in distinct(rounds.iter().flat_map(|r| &r.phases).map(|phase| phase.name.as_str())) {
                let phases = rounds.iter().flat_map(|r| &r.phases).filter(|phase| phase.name == name);
                let instances = rounds.first().map_or(1, |round| round.instances.max(1));
                let contender = rounds.first().map_or("", |round| round.contender.as_str());
                steps.push(Step { contender, name, instances, phases: phases.collect() });
            }
        }
        steps
    }
}

/// One step of one contender, once a run.
pub(super) struct Step<'a> {
    pub(super) contender: &'a str,
    pub(super) name: &'a str,
    pub(super) instances: u32,
    pub(super) phases: Vec<&'a Phase>,
}

impl Step<'_> {
    /// What is said of it, of each run that says it.
    pub(super) fn values(&self, what: impl Fn(&Phase) -> Option<f64>) -> Vec<f64> {
        self.phases.iter().filter_map(|phase| what(phase)).collect()
    }
}

/// Each once, in the order in which they come first.
pub(super) fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in all {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Two runs of two contenders.
    pub(in crate::bench) fn example() -> Report {
        let phase = |name: &str, by: Option<&str>, wall: f64, peak: u64| {
            let program = by.unwrap_or("kube-apiserver");
            json!({
                "name": name, "by": by, "wallSeconds": wall,
                "programs": { program: { "cpuSeconds": wall / 10.0, "peakKiB": peak, "residentKiB": peak / 2 } },
                "othersCpuSeconds": 0.5,
                "apiWrites": { "POST pods": 100, "PATCH pods/status": 150, "POST events": 3 },
                "ownCalls": by.map(|_| json!({ "create 201": 100, "get 200": 7 })),
            })
        };
        let round = |run: usize, contender: &str, phases: serde_json::Value| {
            json!({
                "run": run, "workload": "large", "contender": contender, "instances": 100,
                "loadBefore": "0.10", "phases": phases, "figures": { "start, s": [run as f64] },
            })
        };
        let report = json!({
            "sizes": Sizes::default(),
            "rounds": [
                round(1, "Borealis", json!([phase("comes up", Some("borealis"), 10.0, 2048), phase("at rest", Some("borealis"), 20.0, 2048)])),
                round(1, "bare loop", json!([phase("comes up", None, 8.0, 0)])),
                round(2, "Borealis", json!([phase("comes up", Some("borealis"), 14.0, 4096), phase("at rest", Some("borealis"), 20.0, 4096)])),
            ],
        });
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn steps_come_in_order_with_all_their_runs() {
        let report = example();
        let steps: Vec<(&str, &str, usize)> =
            report.steps("large").iter().map(|s| (s.contender, s.name, s.phases.len())).collect();
        let expected =
            [("Borealis", "comes up", 2), ("Borealis", "at rest", 2), ("bare loop", "comes up", 1)];
        assert_eq!(steps, expected);
        assert!(report.steps("many").is_empty());
    }

    #[test]
    fn what_is_written_is_read() {
        let file = std::env::temp_dir().join(format!("borealis-bench-{}.json", std::process::id()));
        let report = example();
        report.write(&file).unwrap();
        let read = Report::read(&file);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(serde_json::to_value(read.unwrap()).unwrap(), serde_json::to_value(report).unwrap());
    }
}
