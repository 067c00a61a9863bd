//! A small cluster: a board, the API server's part in what a pass decides, Pods that take their time to end, and a
//! scheduler that heeds nominations as Kubernetes' own does.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::super::*;
use crate::{
    admit::{
        budgets::BudgetTable,
        may_preempt,
        memory::Memory,
        preemptor,
        slots::{Bounds, Mode},
        testing::{NOW, host},
    },
    model::{Claim, NodeId, Uid},
};

pub(super) struct World {
    pub(super) board: Board,
    pub(super) memory: Memory,
    pub(super) budgets: BudgetTable,
    pub(super) bounds: Bounds,
    pub(super) mode: Mode,
    pub(super) frozen: bool,
    pub(super) most: BTreeMap<Arc<str>, u32>,
    pub(super) portion: usize,
    pub(super) now: Timestamp,
    /// Seconds that Pods take to end.
    pub(super) grace: i64,
    /// How many writes there will be; then nothing is written any more.
    pub(super) writes_left: Option<usize>,
    /// Everybody that was ended, and for whom.
    pub(super) victims: Vec<(Claim, Uid)>,
    /// What the API server refuses to end, and whether that is a budget's doing.
    pub(super) refuses: BTreeMap<Uid, bool>,
    /// Pods whose notes can not be written.
    pub(super) apart: BTreeSet<Uid>,
}

impl World {
    pub(super) fn new(hosts: u32, cpu: i64) -> Self {
        let mut board = Board::new();
        for id in 0..hosts {
            board.set_host(host(id, cpu));
        }
        Self {
            board,
            memory: Memory::default(),
            budgets: BudgetTable::default(),
            bounds: Bounds::default(),
            mode: Mode::On,
            frozen: false,
            most: BTreeMap::new(),
            portion: 100,
            now: NOW,
            grace: 30,
            writes_left: None,
            victims: Vec::new(),
            refuses: BTreeMap::new(),
            apart: BTreeSet::new(),
        }
    }

    pub(super) fn put(&mut self, claim: Claim) {
        self.board.set_claim(claim);
    }

    pub(super) fn claim(&self, uid: u128) -> Claim {
        self.board.claim(Uid::new(uid)).unwrap().clone()
    }

    pub(super) fn change(&mut self, uid: u128, change: impl FnOnce(&mut Claim)) {
        let mut claim = self.claim(uid);
        change(&mut claim);
        self.put(claim);
    }

    pub(super) fn name_of_nominated(&self, uid: u128) -> Option<Arc<str>> {
        self.board.host(self.claim(uid).nominated?).map(|host| Arc::clone(&host.name))
    }

    /// Decides, without doing anything.
    pub(super) fn decide(&mut self) -> Decisions {
        let situation = Situation {
            board: &self.board,
            budgets: &self.budgets,
            bounds: &self.bounds,
            mode: self.mode,
            frozen: self.frozen,
            apart: &self.apart,
            victims_per_minute: &self.most,
            usual_victims_per_minute: 600,
            portion: self.portion,
            now: self.now,
        };
        decide(&situation, &mut self.memory)
    }

    /// Decides and carries it out; checks what must hold of every decision.
    pub(super) fn pass(&mut self) -> Decisions {
        let decisions = self.decide();
        for action in &decisions.actions {
            if self.writes_left == Some(0) {
                break;
            }
            self.writes_left = self.writes_left.map(|left| left - 1);
            self.carry_out(action);
        }
        decisions
    }

    pub(super) fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Withdraw { claim, slot, .. } => {
                self.note(*claim, |claim| {
                    claim.slot = Some(Box::new(slot.clone()));
                    claim.nominated = None;
                });
            }
            Action::Keep { claim, slot, node } => {
                let id = look::host_named(&self.board, node).unwrap();
                self.note(*claim, |claim| {
                    assert!(claim.node.is_none(), "room is kept for a Pod that has some");
                    claim.slot = Some(Box::new(slot.clone()));
                    claim.nominated = Some(id);
                });
            }
            Action::End { victim, claim, .. } => self.end(*victim, *claim),
        }
    }

    fn note(&mut self, uid: Uid, change: impl FnOnce(&mut Claim)) {
        let mut claim = self.board.claim(uid).unwrap().clone();
        change(&mut claim);
        self.put(claim);
    }

    fn end(&mut self, victim: Uid, claim: Uid) {
        let (who, whom) =
            (self.board.claim(victim).unwrap().clone(), self.board.claim(claim).unwrap().clone());
        let held = whom.slot.as_ref().and_then(|slot| slot.held.as_ref()).expect("a slot that stands");
        assert!(held.victims.contains(&victim), "nobody is ended who is not in the slot");
        assert!(whom.node.is_none() && whom.ends.is_none(), "nobody is ended for a Pod that needs no room");
        let tier = preemptor(&whom.owner).expect("one that Borealis makes room for");
        assert!(may_preempt(&whom.owner, tier, &who, self.now).is_ok(), "the rule allows it");
        if let Some(budget) = self.refuses.get(&victim) {
            self.memory.refuse(victim, *budget, "it may not go", self.now);
            return;
        }
        let ends = self.now + SignedDuration::from_secs(self.grace);
        self.put(Claim { ends: Some(ends), ..who.clone() });
        self.memory.ended(victim, self.now);
        self.victims.push((who, claim));
    }

    /// Whom a pass wants ended.
    #[expect(clippy::unused_self, reason = "it reads as what happens in the world")]
    pub(super) fn ended(&self, decisions: &Decisions) -> Vec<Uid> {
        let ends = decisions.actions.iter().filter_map(|action| match action {
            Action::End { victim, .. } => Some(*victim),
            Action::Keep { .. } | Action::Withdraw { .. } => None,
        });
        ends.collect()
    }

    /// Lets time pass; whose time is over is gone.
    pub(super) fn seconds(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        let is_over = |claim: &&Claim| claim.ends.is_some_and(|ends| ends <= self.now);
        let over: Vec<Uid> = self.board.claims().filter(is_over).map(|claim| claim.uid).collect();
        for uid in over {
            self.board.remove_claim(uid);
        }
    }

    /// Places whoever fits, the higher class first and then the older one. Room that is kept is not taken by equal or
    /// lower ones.
    pub(super) fn schedule(&mut self) {
        let mut waiting: Vec<Claim> =
            self.board.unbound().filter(|claim| claim.ends.is_none()).cloned().collect();
        waiting.sort_by_key(|claim| (Reverse(claim.owner.rank), claim.created, claim.uid));
        for claim in waiting {
            let node = self.place(&claim);
            let since = claim.unschedulable.or(Some(self.now));
            let unschedulable = if node.is_some() { None } else { since };
            self.put(Claim { node, unschedulable, started: node.map(|_| self.now), ..claim });
        }
    }

    fn place(&self, claim: &Claim) -> Option<NodeId> {
        let fits = |id: &NodeId| {
            let (room, host) = (self.board.room(*id).unwrap(), self.board.host(*id).unwrap());
            let kept = self
                .board
                .nominees(*id)
                .filter(|other| other.uid != claim.uid && other.owner.rank >= claim.owner.rank);
            let kept: i64 = kept.map(|other| other.demand.requests.cpu_milli).sum();
            let used = room.used().cpu_milli + kept + claim.demand.requests.cpu_milli;
            host.taints.is_empty() && used <= host.allocatable.cpu_milli
        };
        let nominated = claim.nominated.filter(|id| self.board.host(*id).is_some());
        let all = self.board.hosts().map(|(host, _)| host.id);
        nominated.into_iter().chain(all).find(fits)
    }
}
