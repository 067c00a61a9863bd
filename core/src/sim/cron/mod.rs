//! A seeded simulation of one cron: the real planner, in the hands of leaders who do not know of each other.
//!
//! Nothing keeps two leaders from acting at once: no lease, no fence. Each sees the cron and its runs as they were a while
//! ago, by a clock of its own, and dies between any two writes; requests get lost, are answered with an error though they
//! were done, or are done much later. Meanwhile runs start, end and are removed, people suspend, ask and change their minds.
//! At every write of the status a judge asks what became of each time that is dealt with by it, and at every start of a run
//! whether it may. Called by the tests alone.

mod desk;
mod jobs;
mod judge;
mod leader;
mod people;
mod rest;
mod store;

use std::ops::AddAssign;

use super::draw::Draw;
use desk::Setting;
use leader::Leader;
use store::Store;

/// What a run did: a simulation that does little proves little.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CronTally {
    /// Plans made.
    pub plans: u64,
    /// Runs that started by their schedule, on time.
    pub on_time: u64,
    /// Runs that started by their schedule, late.
    pub made_up: u64,
    /// Runs that started since a person asked.
    pub asked: u64,
    /// Runs that started since their parents had ended.
    pub by_parents: u64,
    /// Runs that were told to end.
    pub killed: u64,
    /// Times that were left out because of a run that went on, or one that waited.
    pub collided: u64,
    /// Times that were missed.
    pub missed: u64,
    /// Runs that nobody had claimed, or not any more, when they were made.
    pub strays: u64,
    /// Writes of the status that were refused, since it had changed.
    pub conflicts: u64,
    /// Leaders that died.
    pub crashes: u64,
    /// Requests that were done long after they had been sent.
    pub late: u64,
}

impl AddAssign for CronTally {
    fn add_assign(&mut self, other: Self) {
        self.plans += other.plans;
        self.on_time += other.on_time;
        self.made_up += other.made_up;
        self.asked += other.asked;
        self.by_parents += other.by_parents;
        self.killed += other.killed;
        self.collided += other.collided;
        self.missed += other.missed;
        self.strays += other.strays;
        self.conflicts += other.conflicts;
        self.crashes += other.crashes;
        self.late += other.late;
    }
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CronTrouble {
    /// Leaders and their requests fail, their clocks are right, and nobody changes anything: each time runs just once.
    Leaders,
    /// Whatever there is.
    All,
}

/// Seconds of the world that pass at a step.
const STEP: i64 = 2;
/// How long the world is disturbed, in steps.
const DISTURBED: u64 = 300;
/// How long it has to come to rest after that, in steps.
const QUIET: u64 = 300;

/// Runs the world of a seed.
///
/// # Errors
/// What went wrong, and what had happened until then.
pub fn run_cron(seed: u64, trouble: CronTrouble) -> Result<CronTally, (String, Vec<String>)> {
    let setting = Setting::draw(seed, trouble);
    let mut store = Store::new(&setting);
    let mut leaders: Vec<Leader> = (0..setting.leaders).map(|number| Leader::new(seed, number)).collect();
    run(&setting, &mut store, &mut leaders).map_err(|wrong| {
        let wrong = format!("at {}: {wrong}", store.now);
        (wrong, std::mem::take(&mut store.trace))
    })?;
    Ok(store.tally)
}

fn run(setting: &Setting, store: &mut Store, leaders: &mut [Leader]) -> Result<(), String> {
    for step in 0..DISTURBED + QUIET {
        let mut draw = Draw::of(setting.seed, &[1, step]);
        let quiet = step >= DISTURBED;
        store.tick(STEP)?;
        if quiet {
            people::rest(store);
        } else {
            people::act(setting, store, &mut draw);
        }
        jobs::act(store, &mut draw, quiet)?;
        for leader in leaders.iter_mut() {
            leader.act(setting, store, step, quiet)?;
        }
    }
    rest::rest(store)?;
    rest::each_time_ran(store, setting.trouble)
}
