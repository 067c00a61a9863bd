//! The leader: sees the world late, decides by the real pass, and writes with the real preconditions. It dies now and
//! then in the middle of it, and its successor begins without memory, but with a view of that moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Trouble,
    judge::Judge,
    world::{Change, World},
};
use crate::{
    admit::{
        Board, Budgets, Group,
        memory::Memory,
        pass::{Action, Situation, decide},
        slots::{Bounds, Mode},
    },
    model::{Claim, NodeId, Uid},
    sim::draw::Draw,
};

/// The leader.
#[derive(Debug)]
pub(super) struct Leader {
    seed: u64,
    trouble: Trouble,
    board: Board,
    seen: usize,
    memory: Memory,
    budgets: Seen,
}

/// The budgets, as far as they are seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    of: BTreeMap<Uid, u32>,
    allowed: BTreeMap<u32, u32>,
}

impl Budgets for Seen {
    fn group(&self, claim: &Claim) -> Result<Option<Group>, Arc<str>> {
        Ok(self.of.get(&claim.uid).copied().map(Group))
    }

    fn allowance(&self, group: Group) -> u32 {
        self.allowed.get(&group.0).copied().unwrap_or(0)
    }
}

impl Leader {
    pub(super) fn new(seed: u64, trouble: Trouble) -> Self {
        Self {
            seed,
            trouble,
            board: Board::new(),
            seen: 0,
            memory: Memory::default(),
            budgets: Seen::default(),
        }
    }

    /// Looks, decides and acts, as far as it comes.
    pub(super) fn act(
        &mut self,
        world: &mut World,
        judge: &mut Judge,
        disturbed: bool,
    ) -> Result<(), String> {
        let second = world.now.as_second().unsigned_abs();
        let mut draw = Draw::of(self.seed, &[3, second]);
        let faults = disturbed && self.trouble == Trouble::All;
        let behind = if faults && draw.chance(30) { draw.between(1, 20) } else { 0 };
        let until = world.log.len().saturating_sub(usize::try_from(behind).unwrap_or(0));
        self.look(world, until);
        let situation = Situation {
            board: &self.board,
            budgets: &self.budgets,
            bounds: &Bounds::default(),
            mode: Mode::On,
            frozen: false,
            apart: &BTreeSet::new(),
            victims_per_minute: &BTreeMap::new(),
            usual_victims_per_minute: 1_000,
            portion: 64,
            now: world.now,
        };
        let decisions = decide(&situation, &mut self.memory);
        judge.passed(&decisions, &self.board, |uid| self.budgets.of.contains_key(uid), world.now);
        let dies_after = (faults && draw.chance(4)).then(|| usize::try_from(draw.below(4)).unwrap_or(0));
        for (at, action) in decisions.actions.iter().enumerate() {
            if dies_after == Some(at) {
                // Between the two writes of one action, too.
                if let Action::Keep { claim, slot, .. } = action {
                    let slot = slot.clone();
                    self.write(world, judge, *claim, |pod| pod.slot = Some(Box::new(slot)));
                }
                break;
            }
            self.carry_out(world, judge, action)?;
        }
        if dies_after.is_some() {
            judge.crashed();
            world.say("the leader dies");
            (self.memory, self.board, self.seen) = (Memory::default(), Board::new(), 0);
            self.look(world, world.log.len());
        }
        Ok(())
    }

    fn carry_out(&mut self, world: &mut World, judge: &mut Judge, action: &Action) -> Result<(), String> {
        match action {
            Action::Withdraw { claim, slot, node, why } => {
                let (slot, why) = (slot.clone(), why.name());
                if self.write(world, judge, *claim, |pod| {
                    pod.slot = Some(Box::new(slot));
                    pod.nominated = None;
                }) {
                    judge.withdrawn();
                    world.say(&format!("{claim:?} gives up room on {node}: {why}"));
                }
            }
            Action::Keep { claim, slot, node } => {
                let Some(host) = world.hosts.values().find(|host| host.name == *node).map(|host| host.id)
                else {
                    return Ok(());
                };
                let slot = slot.clone();
                let victims = slot.held.as_ref().map(|held| held.victims.clone()).unwrap_or_default();
                if self.write(world, judge, *claim, |pod| {
                    pod.slot = Some(Box::new(slot));
                    pod.nominated = Some(host);
                }) {
                    world.say(&format!("{claim:?} has room kept on {node}, from {victims:?}"));
                }
            }
            Action::End { victim, claim, node, budget, .. } => {
                let group = world.pods.get(victim).and_then(|pod| pod.budget);
                if group.is_some() != *budget {
                    return Err(format!("{victim:?} counts for budget {group:?}, which was asked: {budget}"));
                }
                if group.is_some_and(|group| world.allowance(group) == 0) {
                    judge.kept();
                    self.memory.refuse(*victim, true, "its budget is used up", world.now);
                    return Ok(());
                }
                judge.ended(world, *victim, *claim, node)?;
                world.say(&format!("{victim:?} is ended for {claim:?} on {node}"));
                world.end(*victim);
                self.learn(world, *victim);
            }
        }
        Ok(())
    }

    /// Writes to a Pod as it was seen; if it has changed since, nothing is done.
    fn write(
        &mut self,
        world: &mut World,
        judge: &mut Judge,
        uid: Uid,
        change: impl FnOnce(&mut Claim),
    ) -> bool {
        let version = self.board.claim(uid).map(|claim| claim.version);
        if world.pods.get(&uid).map(|pod| pod.claim.version) != version || version.is_none() {
            judge.conflict();
            return false;
        }
        world.change(uid, |pod| change(&mut pod.claim));
        self.learn(world, uid);
        true
    }

    /// What an own write returned is known at once.
    fn learn(&mut self, world: &World, uid: Uid) {
        if let Some(pod) = world.pods.get(&uid) {
            self.board.set_claim(pod.claim.clone());
        }
    }

    /// Takes in the log up to there; news of a Pod that is older than an own write of it is none.
    fn look(&mut self, world: &World, until: usize) {
        for change in world.log.get(self.seen..until).unwrap_or_default() {
            match change {
                Change::Pod(uid, Some(pod)) => {
                    if self.board.claim(*uid).is_none_or(|known| known.version < pod.claim.version) {
                        self.board.set_claim(pod.claim.clone());
                    }
                    if let Some(budget) = pod.budget {
                        self.budgets.of.insert(*uid, budget);
                    }
                }
                Change::Pod(uid, None) => {
                    self.board.remove_claim(*uid);
                    self.budgets.of.remove(uid);
                }
                Change::Host(_, Some(host)) => {
                    self.board.set_host(host.clone());
                }
                Change::Host(id, None) => {
                    self.board.remove_host(NodeId(id.0));
                }
            }
        }
        self.seen = self.seen.max(until);
        self.budgets.allowed =
            world.budgets.keys().map(|budget| (*budget, world.allowance(*budget))).collect();
    }
}
