//! A seeded simulation of a shared cluster: the real preemption pass among tenants, nodes and a scheduler.
//!
//! Tenants bring and take away work of all tiers, a model of the scheduler places it by rank and now and then drops a
//! nomination, rivals of a higher class take what was freed, nodes come and go. A leader sees all of it late, decides by
//! `admit::decide`, and dies in the middle of what it does. At every victim the judge asks by rules of its own whether
//! that was right; when the last disturbance is over, it asks what came of it all. Called by the tests alone.

mod judge;
mod leader;
mod scheduler;
mod tenants;
mod world;

use std::ops::AddAssign;

use super::draw::Draw;
use judge::Judge;
use leader::Leader;
use world::World;

/// How long the world is disturbed, in seconds.
const DISTURBED: i64 = 200;
/// How long it has to come to rest after that, in seconds: longer than the longest pause after a slot that came to
/// nothing.
const QUIET: i64 = 1_500;

/// In which steps it does, in seconds.
const REST: i64 = 10;

/// What a run did: a simulation that does little proves little.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShareTally {
    /// Passes made.
    pub passes: u64,
    /// Slots that were given to Pods.
    pub slots: u64,
    /// Pods that were ended for others.
    pub victims: u64,
    /// Victims beyond the fewest that would have done, counted at each slot.
    pub too_many: u64,
    /// Victims that went for a Pod that got its place elsewhere, or for nobody in the end, where nothing but what was
    /// decided here, and what was known then, led to it.
    pub in_vain: u64,
    /// The same, where it came of what others did after the victim had been told to end: their Pods left a node that the
    /// Pod then had, or that node is newer, or the node it was to have is gone, or the scheduler let another in there.
    pub unforeseen: u64,
    /// Slots that came to nothing.
    pub failed: u64,
    /// Leaders that died.
    pub crashes: u64,
    /// Writes that were refused, since something else had changed.
    pub conflicts: u64,
    /// Victims that a budget kept.
    pub kept: u64,
    /// Nominations that the scheduler dropped.
    pub dropped: u64,
}

impl AddAssign for ShareTally {
    fn add_assign(&mut self, other: Self) {
        self.passes += other.passes;
        self.slots += other.slots;
        self.victims += other.victims;
        self.too_many += other.too_many;
        self.in_vain += other.in_vain;
        self.unforeseen += other.unforeseen;
        self.failed += other.failed;
        self.crashes += other.crashes;
        self.conflicts += other.conflicts;
        self.kept += other.kept;
        self.dropped += other.dropped;
    }
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Tenants bring work at any time, and take some away only while nobody is ending and no room is kept: what is found
    /// to be the best stays so.
    Arrivals,
    /// Tenants come and go; all else is as it should be.
    None,
    /// Whatever there is.
    All,
}

/// Runs the world of a seed.
///
/// # Errors
/// What went wrong, and what had happened until then.
pub fn run_share(seed: u64, trouble: Trouble) -> Result<ShareTally, (String, Vec<String>)> {
    let mut world = World::new(seed, trouble);
    let mut leader = Leader::new(seed, trouble);
    let mut judge = Judge::default();
    let mut second = 0;
    while second < DISTURBED + QUIET {
        let disturbed = second < DISTURBED;
        let step = if disturbed { 1 } else { REST };
        second += step;
        let mut draw = Draw::of(seed, &[1, second.unsigned_abs()]);
        world.tick(step);
        if disturbed {
            tenants::act(&mut world, &mut draw);
        } else {
            world.calm();
        }
        tenants::replace(&mut world);
        scheduler::place(&mut world, &mut draw);
        leader.act(&mut world, &mut judge, disturbed).map_err(|wrong| (wrong, world.trace.clone()))?;
        judge.follow(&world);
    }
    judge.rest(&world).map_err(|wrong| (wrong, world.trace.clone()))?;
    Ok(ShareTally { dropped: world.dropped, ..judge.tally(&world) })
}

#[cfg(test)]
mod tests;
