//! How a run went: a line per scenario as it ends, and at the end a summary and the closing line.
//!
//! Called by `runner` and by the binary `borealis-e2e`. The closing line's form is fixed: CI reads it.

use std::{fmt, time::Duration};

/// How a scenario ended.
#[derive(Debug)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Not as it should, and why.
    Failed(String),
    /// It could not be run here, and why.
    Skipped(String),
}

/// One scenario's end.
#[derive(Debug)]
pub struct Line {
    /// The scenario.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// What it measured.
    pub notes: Vec<String>,
}

impl Line {
    /// What is no scenario, and took no time of its own.
    pub fn of(name: &'static str, outcome: Outcome) -> Self {
        Self { name, outcome, took: Duration::ZERO, notes: Vec::new() }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        };
        write!(f, "{word:<7} {:>6.1}s  {}", self.took.as_secs_f64(), self.name)?;
        if !self.notes.is_empty() {
            write!(f, "  ({})", self.notes.join("; "))?;
        }
        match &self.outcome {
            Outcome::Passed => Ok(()),
            Outcome::Failed(why) | Outcome::Skipped(why) => write!(f, "\n{}", indented(why)),
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("          {line}")).collect::<Vec<_>>().join("\n")
}

/// All scenarios of a run.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Takes a scenario's end into account and prints it.
    pub fn add(&mut self, line: Line) {
        println!("{line}");
        self.lines.push(line);
    }

    fn count(&self, which: fn(&Outcome) -> bool) -> usize {
        self.lines.iter().filter(|line| which(&line.outcome)).count()
    }

    /// Whether the run is to be called good: nothing failed, something ran, and where nothing may be skipped,
    /// nothing was.
    pub fn is_good(&self, skipping_allowed: bool) -> bool {
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        self.count(|outcome| matches!(outcome, Outcome::Failed(_))) == 0
            && self.lines.len() > skipped
            && (skipping_allowed || skipped == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            if let Outcome::Failed(why) = &line.outcome {
                writeln!(f, "FAILED  {}: {}", line.name, why.lines().next().unwrap_or_default())?;
            }
        }
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: Outcome) -> Line {
        Line { name: "a", outcome, took: Duration::ZERO, notes: Vec::new() }
    }

    #[test]
    fn the_closing_line_is_the_last_and_has_its_form() {
        let mut report = Report::default();
        report.add(line(Outcome::Passed));
        report.add(line(Outcome::Failed("broken\nin two lines".into())));
        report.add(line(Outcome::Skipped("no real node".into())));
        assert_eq!(report.to_string().lines().last(), Some("1 passed, 1 failed, 1 skipped"));
        assert!(!report.is_good(true));
    }

    #[test]
    fn a_run_is_good_when_something_passed_and_nothing_is_wanting() {
        let mut report = Report::default();
        assert!(!report.is_good(true), "nothing ran");
        report.add(line(Outcome::Passed));
        assert!(report.is_good(false));
        report.add(line(Outcome::Skipped("no real node".into())));
        assert!(report.is_good(true));
        assert!(!report.is_good(false));
    }
}
