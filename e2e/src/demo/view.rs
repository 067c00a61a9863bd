//! Drawing the demo: one block that is redrawn on a terminal, a line for each change without one.
//!
//! Called by the story in `demo` with each frame.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    time::Duration,
};

use super::frame::{CronRow, Frame, Row};

/// Width of the bar of a service.
const BAR: i64 = 40;

/// Where the demo draws.
#[derive(Debug)]
pub struct View {
    terminal: bool,
    drawn: usize,
    last: String,
}

impl Default for View {
    fn default() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), drawn: 0, last: String::new() }
    }
}

impl View {
    /// Whether somebody sits in front of it.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says something that stays: what is done, and what came of it.
    pub fn say(&mut self, text: &str) {
        self.drawn = 0;
        self.last.clear();
        println!("{text}");
    }

    /// Shows a frame.
    pub fn show(&mut self, frame: &Frame) {
        if self.terminal {
            let block = block(frame);
            let mut out = String::new();
            if self.drawn > 0 {
                // Up to the first line of the block drawn before, and everything below it away.
                let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn);
            }
            out.push_str(&block);
            self.drawn = block.lines().count();
            print!("{out}");
            let _ = std::io::stdout().flush();
        } else {
            let line = line(frame);
            if line != self.last {
                println!("{} {line}", clock(frame.clock));
                self.last = line;
            }
        }
    }
}

/// Minutes and seconds.
pub(super) fn clock(since: Duration) -> String {
    format!("{:02}:{:02}", since.as_secs() / 60, since.as_secs() % 60)
}

fn block(frame: &Frame) -> String {
    let mut out = format!("\n  {}  {}\n", clock(frame.clock), frame.step);
    for row in &frame.rows {
        let _ = writeln!(out, "  {:<5} {} {:>3} of {:>3} run", row.name, bar(row), row.running, row.desired);
        let _ = writeln!(out, "        {:<22} {:>3} updated   {}", row.state, row.updated, row.update);
    }
    for cron in &frame.crons {
        let _ = writeln!(out, "  {}", ran(cron));
    }
    let (ready, all) = frame.nodes;
    let _ = writeln!(out, "  nodes {ready} of {all} ready");
    out
}

/// What runs the wanted config, what runs another, and what does not run.
fn bar(row: &Row) -> String {
    let cells = |count: i64| if row.desired > 0 { (count * BAR / row.desired).clamp(0, BAR) } else { 0 };
    let running = cells(row.running);
    let new = cells(row.updated).min(running);
    let part = |cell: &str, count: i64| cell.repeat(usize::try_from(count).unwrap_or_default());
    format!("[{}{}{}]", part("█", new), part("▒", running - new), part("·", BAR - running))
}

fn line(frame: &Frame) -> String {
    let mut out = String::new();
    for row in &frame.rows {
        let Row { name, desired, running, updated, state, update } = row;
        let state = if state.is_empty() { "not yet seen" } else { state };
        let _ = write!(out, "{name}: {running} of {desired} run, {updated} updated, {state}");
        if !update.is_empty() {
            let _ = write!(out, ", {update}");
        }
        out.push_str("; ");
    }
    for cron in &frame.crons {
        let _ = write!(out, "{}; ", ran(cron));
    }
    let (ready, all) = frame.nodes;
    let _ = write!(out, "{ready} of {all} nodes");
    out
}

/// What a cron did last.
fn ran(cron: &CronRow) -> String {
    let CronRow { name, last, outcome, active } = cron;
    let goes_on = if *active > 0 { ", one goes on" } else { "" };
    match last.get(11..16) {
        Some(minute) => format!("{name}: {minute} {outcome}{goes_on}"),
        None => format!("{name}: not yet run"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(running: i64, updated: i64) -> Row {
        Row {
            name: "web".into(),
            desired: 200,
            running,
            updated,
            state: "Updating".into(),
            update: "web-1".into(),
        }
    }

    #[test]
    fn a_bar_shows_new_old_and_missing() {
        let count = |bar: &str, cell: char| bar.chars().filter(|c| *c == cell).count();
        for (running, updated, expected) in
            [(200, 200, (40, 0, 0)), (100, 50, (10, 10, 20)), (0, 200, (0, 0, 40))]
        {
            let bar = bar(&row(running, updated));
            assert_eq!((count(&bar, '█'), count(&bar, '▒'), count(&bar, '·')), expected, "{bar}");
        }
        assert_eq!(bar(&Row::default()).chars().count(), 42);
    }

    #[test]
    fn without_a_terminal_it_is_one_line() {
        let report = CronRow {
            name: "report".into(),
            last: "2026-01-01T12:34:00Z".into(),
            outcome: "Succeeded".into(),
            active: 0,
        };
        let frame =
            Frame { rows: vec![row(160, 40)], crons: vec![report], nodes: (49, 50), ..Frame::default() };
        let said =
            "web: 160 of 200 run, 40 updated, Updating, web-1; report: 12:34 Succeeded; 49 of 50 nodes";
        assert_eq!(line(&frame), said);
        assert!(block(&frame).lines().count() > 3);
        assert_eq!(clock(Duration::from_secs(125)), "02:05");
    }
}
