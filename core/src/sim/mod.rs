//! A seeded simulation: the real planner in a world that goes wrong.
//!
//! Two operators with caches that lag behind plan one service by `plan` and carry it out against a store with the
//! real preconditions, while Pods fail, nodes are lost, people change their minds and requests get no answer. One
//! number draws all of it. An oracle says at every step what must never be, and after the last disturbance what
//! must be in the end. A failing seed is shortened to the disturbances that matter. `share` is a world of its own: many
//! tenants on the nodes of one cluster; `cron` another: one cron, and leaders that nothing keeps from acting at once. Called by
//! the tests alone.

mod cache;
mod carry;
mod checks;
mod cron;
mod draw;
mod ends;
mod in_place;
mod jobs;
mod kubelet;
mod lease;
mod objects;
mod operator;
mod oracle;
mod people;
mod request;
mod script;
mod server;
mod setting;
mod share;
mod steps;
mod store;
mod time;
mod trace;
mod verdict;
mod watches;
mod world;

#[cfg(test)]
mod tests;

use std::{fmt, ops::AddAssign};

pub use cron::{CronTally, CronTrouble, run_cron};
pub use share::{ShareTally, Trouble, run_share};

use script::{Disturbance, draw_script};
use setting::Setting;
use time::Millis;
use world::World;

/// What a run did: a simulation that does little proves little.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Plans made.
    pub plans: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests that met trouble.
    pub troubles: u64,
    /// Requests refused because of their term.
    pub fenced: u64,
    /// Operators that died.
    pub crashes: u64,
    /// Times the lease was taken.
    pub terms: u64,
    /// Pods made.
    pub pods: u64,
    /// Pods given up as lost.
    pub given_up: u64,
    /// Changes in place that were carried out.
    pub changed: u64,
    /// Changes in place that could not be.
    pub stuck: u64,
    /// Updates that went through.
    pub rolled_forward: u64,
    /// Updates that were taken back.
    pub rolled_back: u64,
    /// Updates that were given up.
    pub aborted: u64,
    /// Updates that failed and were left, or couldn't go on.
    pub halted: u64,
    /// Jobs that were complete in the end.
    pub completed: u64,
    /// Jobs that have failed.
    pub failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.plans += other.plans;
        self.requests += other.requests;
        self.troubles += other.troubles;
        self.fenced += other.fenced;
        self.crashes += other.crashes;
        self.terms += other.terms;
        self.pods += other.pods;
        self.given_up += other.given_up;
        self.changed += other.changed;
        self.stuck += other.stuck;
        self.rolled_forward += other.rolled_forward;
        self.rolled_back += other.rolled_back;
        self.aborted += other.aborted;
        self.halted += other.halted;
        self.completed += other.completed;
        self.failed += other.failed;
    }
}

/// Where a run went wrong.
#[derive(Debug)]
struct Broken {
    at: Millis,
    what: String,
    trace: Vec<String>,
}

/// A seed whose world went wrong.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was wrong, and when.
    pub what: String,
    /// The disturbances that are enough for it.
    pub script: Vec<String>,
    /// What happened, with those alone.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        writeln!(f, "with {} disturbances:", self.script.len())?;
        self.script.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Runs the world of a seed.
///
/// # Errors
/// The failure, shortened to what is needed for it.
pub fn run(seed: u64) -> Result<Tally, Box<Failure>> {
    run_setting(&Setting::draw(seed))
}

/// Runs the world of a seed in which only operators and their ways to the API server go wrong, around one good
/// update: every instance gets just two Pods, as if nothing had gone wrong.
///
/// # Errors
/// The failure, shortened to what is needed for it.
pub fn run_steady(seed: u64) -> Result<Tally, Box<Failure>> {
    run_setting(&Setting::draw_steady(seed))
}

/// Runs the world of a seed around a job whose instances run to their end.
///
/// # Errors
/// The failure, shortened to what is needed for it.
pub fn run_job(seed: u64) -> Result<Tally, Box<Failure>> {
    run_setting(&Setting::draw_job(seed))
}

fn run_setting(setting: &Setting) -> Result<Tally, Box<Failure>> {
    let script = draw_script(setting);
    let mut world = World::new(setting.clone(), script.clone(), false);
    match world.run() {
        Ok(()) => {
            world.oracle.count(&mut world.tally);
            Ok(world.tally)
        }
        Err(broken) => Err(Box::new(shorten(setting, script, &broken))),
    }
}

type Script = Vec<(Millis, Disturbance)>;

/// Leaves out one disturbance after the other while the same goes wrong.
fn shorten(setting: &Setting, mut script: Script, broken: &Broken) -> Failure {
    // The first words say what kind of wrong it is, the rest where.
    let word = |what: &str| {
        what.split(' ').filter(|word| word.parse::<u64>().is_err()).take(9).collect::<Vec<_>>().join(" ")
    };
    let wanted = word(&broken.what);
    let fails = |script: &Script, traced| {
        let broken = World::new(setting.clone(), script.clone(), traced).run().err();
        broken.filter(|broken| word(&broken.what) == wanted)
    };
    let mut shorter = true;
    while std::mem::take(&mut shorter) {
        for at in (0..script.len()).rev() {
            if setting.steady && matches!(script[at].1, Disturbance::Config(..)) {
                continue;
            }
            let mut without = script.clone();
            without.remove(at);
            if fails(&without, false).is_some() {
                script = without;
                shorter = true;
            }
        }
    }
    let last = fails(&script, true);
    let (at, what, trace) =
        last.map_or((broken.at, broken.what.clone(), Vec::new()), |last| (last.at, last.what, last.trace));
    Failure {
        seed: setting.seed,
        what: format!("at {:.3} s: {what}", at as f64 / 1000.0),
        script: script.iter().map(|(at, it)| format!("{:.3} s {it:?}", *at as f64 / 1000.0)).collect(),
        trace,
    }
}
