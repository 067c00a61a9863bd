//! The two replicas: their watches, the lease, planning, and carrying plans out one request after the other.
//!
//! What a replica does here is what the operator does: watch always, write only while it holds the lease by its own
//! clock, pass a barrier after taking it, assume its own writes, read live after a write of unknown outcome, and
//! let a failed record stop a plan, a failed Pod only what comes after it.

use std::collections::VecDeque;

use crate::{
    model::reasons,
    plan::{Plan, Problem, plan},
};

use super::{
    cache::{Cache, Snapshot},
    checks::Measured,
    objects::Kind,
    request::{Request, requests},
    store::Lease,
    time::{Millis, SECOND, clock, world},
    world::{Event, Wake, World},
};

/// Why a live list is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The lease was taken in this term.
    Barrier(u64),
    /// The outcome of a write is not known.
    Settle,
}

#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The next change of the log to look at.
    pub(super) next: usize,
    pub(super) stuck_until: Millis,
    pub(super) broken: bool,
}

#[derive(Debug, Default)]
pub(super) struct Operator {
    pub(super) up: bool,
    /// Counts its starts; what was meant for an earlier life is void.
    pub(super) life: u32,
    pub(super) stopped_until: Millis,
    pub(super) skew: i64,
    pub(super) cache: Cache,
    pub(super) watches: [Watch; 5],
    pub(super) lease_seen: Option<(Lease, Millis)>,
    /// The term it holds the lease in, and until when it may write.
    pub(super) term: Option<(u64, Millis)>,
    pub(super) unrenewed_until: Millis,
    pub(super) past_barrier: bool,
    pub(super) unsettled: bool,
    /// It is not known what became of the create sent last.
    pub(super) in_doubt: bool,
    /// What the API server refused, of the spec of this generation.
    pub(super) refusal: Option<i64>,
    /// The generation its plan was made from.
    pub(super) generation: i64,
    pub(super) measured: Option<Measured>,
    pub(super) look_at: Option<Millis>,
    pub(super) busy: bool,
    pub(super) todo: VecDeque<Request>,
    pub(super) failed: bool,
    pub(super) failures: u32,
    pub(super) crash_in: Option<(u32, Millis)>,
    pub(super) stop_in: Option<(u32, Millis, bool)>,
}

impl Operator {
    pub(super) fn new(skew: i64) -> Self {
        Self { skew, ..Self::default() }
    }

    pub(super) fn disarm(&mut self) {
        (self.crash_in, self.stop_in) = (None, None);
    }

    pub(super) fn watch(&mut self, kind: Kind) -> &mut Watch {
        &mut self.watches[kind as usize]
    }

    pub(super) fn writes(&self, now: Millis) -> Option<u64> {
        self.term.filter(|(_, until)| self.past_barrier && now < *until).map(|(term, _)| term)
    }

    pub(super) fn give_up_plan(&mut self) {
        self.todo.clear();
        (self.busy, self.failed, self.in_doubt) = (false, false, false);
    }
}

impl World {
    pub(super) fn wake(&mut self, id: usize, life: u32, wake: Wake) {
        let operator = &mut self.operators[id];
        if operator.life != life {
            return;
        }
        if self.now < operator.stopped_until {
            let until = operator.stopped_until;
            return self.at(until, Event::Operator(id, life, wake));
        }
        if !operator.up && !matches!(wake, Wake::Up) {
            return;
        }
        match wake {
            Wake::Up => self.go_up(id),
            Wake::Lease => self.lease_tick(id),
            Wake::Look => self.look(id),
            Wake::Send => self.send(id),
            Wake::Answer(flight) => self.answered(id, flight),
            Wake::Listed(purpose) => self.listed(id, purpose),
            Wake::Deliver(kind, upto) => self.deliver(id, kind, upto),
            Wake::Relist(kind, back) => self.relist(id, kind, back),
        }
    }

    pub(super) fn after(&mut self, id: usize, delay: Millis, wake: Wake) {
        let life = self.operators[id].life;
        self.at(self.now + delay, Event::Operator(id, life, wake));
    }

    /// Has it look at the service, before long.
    pub(super) fn rouse(&mut self, id: usize, delay: Millis) {
        let at = self.now + delay;
        let operator = &mut self.operators[id];
        if operator.up && operator.look_at.is_none_or(|look_at| at < look_at) {
            operator.look_at = Some(at);
            self.after(id, delay, Wake::Look);
        }
    }

    fn go_up(&mut self, id: usize) {
        self.operators[id].up = true;
        for kind in Kind::ALL {
            self.operators[id].watch(kind).broken = true;
            let mut draw = self.draw(&[11, id as u64, self.now, kind as u64]);
            let back = if draw.chance(30) { draw.below(20) } else { 0 };
            self.after(id, draw.between(5, 200), Wake::Relist(kind, back));
        }
        self.after(id, 1, Wake::Lease);
    }

    pub(super) fn crash(&mut self, id: usize, away: Millis) {
        self.note(|| format!("operator {id} dies"));
        let operator = &mut self.operators[id];
        *operator = Operator { life: operator.life + 1, skew: operator.skew, ..Operator::default() };
        self.after(id, away, Wake::Up);
        self.tally.crashes += 1;
    }

    // Planning.

    fn look(&mut self, id: usize) {
        let now = self.now;
        let operator = &mut self.operators[id];
        if operator.look_at.is_none_or(|look_at| now < look_at) {
            return;
        }
        if operator.busy {
            operator.look_at = None;
            return self.rouse(id, 20);
        }
        operator.look_at = None;
        if operator.writes(now).is_none() {
            return;
        }
        if operator.unsettled {
            operator.busy = true;
            return self.after(id, 25, Wake::Listed(Purpose::Settle));
        }
        self.make_plan(id);
    }

    /// What an operator would plan from now.
    pub(super) fn snapshot(&self, id: usize) -> Option<Snapshot> {
        let keep_allowed = self.now >= self.no_keeping_until;
        let operator = &self.operators[id];
        let mut snapshot = operator.cache.snapshot(keep_allowed, self.now < self.frozen_until)?;
        snapshot.measurements = self.measurements(id, snapshot.update.as_ref());
        let generation = snapshot.object.service.generation;
        let problem = |reason, blocks| Problem { reason, message: String::new(), blocks };
        if self.now < self.invalid_until {
            snapshot.problem = Some(problem(reasons::INVALID_SPEC, true));
        } else if operator.refusal == Some(generation) {
            snapshot.problem = Some(problem(reasons::TEMPLATE_REFUSED, false));
        }
        Some(snapshot)
    }

    /// The operator that may write.
    pub(super) fn leader(&self) -> Option<usize> {
        (0..2).find(|id| self.operators[*id].writes(self.now).is_some())
    }

    pub(super) fn local(&self, id: usize) -> jiff::Timestamp {
        clock(self.now, self.operators[id].skew)
    }

    fn make_plan(&mut self, id: usize) {
        let Some(snapshot) = self.snapshot(id) else { return };
        let local = self.local(id);
        let plan = plan(&snapshot.view(), local);
        self.tally.plans += 1;
        if self.tally.plans.is_multiple_of(8) && plan != plan_again(&snapshot, local) {
            self.oracle.object(|| "plans differently from the same".to_owned());
        }
        self.oracle.decided(&snapshot, &plan, local, |uid| self.operators[id].cache.has_seen(uid));
        self.follow(id, &snapshot, &plan);
        if let Some(at) = plan.next_check {
            let at = world(at, self.operators[id].skew).max(self.now + SECOND);
            self.rouse(id, at - self.now);
        }
        let term = self.operators[id].writes(self.now).unwrap_or(0);
        let todo = requests(plan, &snapshot, local, term);
        let operator = &mut self.operators[id];
        operator.generation = snapshot.object.service.generation;
        if todo.is_empty() {
            operator.failures = 0;
            if operator.refusal.take().is_some() {
                self.rouse(id, 5);
            }
            return;
        }
        operator.todo = todo;
        (operator.busy, operator.failed) = (true, false);
        self.after(id, 1, Wake::Send);
    }
}

fn plan_again(snapshot: &Snapshot, local: jiff::Timestamp) -> Plan {
    plan(&snapshot.clone().view(), local)
}
