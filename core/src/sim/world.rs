//! The world of one run: its clock and queue of events, and who they are for.
//!
//! Decides only the order of things. `operator` runs the two replicas, `kubelet` the Pods and nodes, `people` does
//! what the script says, and `oracle` looks at every change that got into the store.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{NodeId, Uid};

use super::{
    Broken, Tally,
    draw::Draw,
    kubelet::{Lives, Step},
    objects::{Kind, Meta, Node, Object, ServiceObject},
    operator::{Operator, Purpose},
    oracle::Oracle,
    request::Request,
    script::{Disturbance, Trouble},
    server::Answer,
    setting::{FINAL, Setting},
    store::{Change, Store},
    time::{MINUTE, Millis, SECOND},
    verdict,
};

/// What can happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A disturbance of the script.
    Disturb(usize),
    /// A freeze, or a full cap, is over.
    Released,
    /// Something a person or the garbage collector began goes on.
    Collect(Kind, Uid),
    Orphan,
    Anew(Box<ServiceObject>),
    NodeBack(NodeId),
    NodeGone(NodeId),
    Pod(Uid, Step),
    /// Somebody attends to the newest update.
    Attend,
    /// The checks of updates are measured.
    Measure,
    /// For an operator, in this life of it.
    Operator(usize, u32, Wake),
    /// A request reaches the API server.
    Arrive(u64),
}

/// What can happen to an operator.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wake {
    Up,
    Lease,
    Look,
    Send,
    Answer(u64),
    Listed(Purpose),
    /// The watch of a kind shows changes up to this one.
    Deliver(Kind, usize),
    /// The watch of a kind begins anew, so many changes back.
    Relist(Kind, u64),
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) operator: usize,
    pub(super) life: u32,
    pub(super) term: u64,
    pub(super) request: Request,
    pub(super) answer: Option<Answer>,
    /// It was held up on its way, its answer given up.
    pub(super) late: bool,
}

pub(super) struct World {
    pub(super) setting: Setting,
    pub(super) script: Vec<(Millis, Disturbance)>,
    pub(super) now: Millis,
    pub(super) store: Store,
    pub(super) operators: [Operator; 2],
    pub(super) lives: Lives,
    pub(super) flights: BTreeMap<u64, Flight>,
    pub(super) troubles: VecDeque<Trouble>,
    pub(super) frozen_until: Millis,
    pub(super) invalid_until: Millis,
    pub(super) no_keeping_until: Millis,
    pub(super) stubborn_until: Millis,
    pub(super) unattended_until: Millis,
    /// Until when checks measure what is bad.
    pub(super) bad_until: Millis,
    /// The spec has had a scope.
    pub(super) is_scoped: bool,
    pub(super) oracle: Oracle,
    pub(super) tally: Tally,
    pub(super) trace: Option<Vec<String>>,
    queue: BTreeMap<(Millis, u64), Event>,
    events: u64,
    pumped: usize,
}

/// How long a world has to come to rest.
const BOUND: Millis = 40 * MINUTE;

impl World {
    pub(super) fn new(setting: Setting, script: Vec<(Millis, Disturbance)>, traced: bool) -> Self {
        let operators = [Operator::new(setting.skews[0]), Operator::new(setting.skews[1])];
        let mut world = Self {
            setting,
            script,
            now: 0,
            store: Store::default(),
            operators,
            lives: Lives::default(),
            flights: BTreeMap::new(),
            troubles: VecDeque::new(),
            frozen_until: 0,
            invalid_until: 0,
            no_keeping_until: 0,
            stubborn_until: 0,
            unattended_until: 0,
            bad_until: 0,
            is_scoped: false,
            oracle: Oracle::default(),
            tally: Tally::default(),
            trace: traced.then(Vec::new),
            queue: BTreeMap::new(),
            events: 0,
            pumped: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for id in 0..3 {
            let meta = self.store.new_meta(None);
            self.store.put(Node { meta, id: NodeId(id), lost: None });
        }
        let mut service = self.setting.service.clone();
        let meta = self.store.new_meta(None);
        service.uid = meta.uid;
        self.store.put(ServiceObject { meta, service, status: None });
        for at in 0..self.script.len() {
            self.at(self.script[at].0, Event::Disturb(at));
        }
        for operator in 0..2 {
            self.at(SECOND * operator as u64, Event::Operator(operator, 0, Wake::Up));
        }
        self.at(SECOND, Event::Attend);
        self.at(SECOND, Event::Measure);
    }

    /// Lets everything happen until the world has come to rest, or should have.
    pub(super) fn run(&mut self) -> Result<(), Broken> {
        let end = self.setting.quiet + BOUND;
        let mut check = self.setting.quiet + 2 * MINUTE;
        let mut is_quiet = false;
        while let Some(((at, number), event)) = self.queue.pop_first() {
            if at >= self.setting.quiet && !is_quiet {
                is_quiet = true;
                self.now = self.setting.quiet;
                self.calm();
                self.pump();
                // What that brings about may come before this one.
                self.queue.insert((at, number), event);
                continue;
            }
            if at >= check {
                check = at + MINUTE;
                match verdict::rest(self) {
                    Ok(()) => return Ok(()),
                    Err(why) if at >= end => return Err(self.broken(format!("does not come to rest: {why}"))),
                    Err(_) => {}
                }
            }
            self.now = at;
            self.happen(event);
            self.pump();
            if let Some(what) = self.oracle.objection.take() {
                return Err(self.broken(what));
            }
        }
        Err(self.broken("nothing happens any more".to_owned()))
    }

    /// The disturbances are over; what was armed and has not struck won't.
    fn calm(&mut self) {
        self.troubles.clear();
        self.bad_until = self.now;
        for operator in &mut self.operators {
            operator.disarm();
        }
        // Who is suspended never comes to an end.
        self.edit_batch(|batch| batch.suspend = false);
        if self.setting.finale {
            self.disturb(Disturbance::Config(FINAL, None));
        }
    }

    fn broken(&mut self, what: String) -> Broken {
        Broken { at: self.now, what, trace: self.trace.take().unwrap_or_default() }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Disturb(at) => {
                let disturbance = self.script[at].1.clone();
                self.note(|| format!("! {disturbance:?}"));
                self.disturb(disturbance);
            }
            Event::Released => (0..2).for_each(|operator| self.rouse(operator, 10)),
            Event::Collect(kind, uid) => self.collect(kind, uid),
            Event::Orphan => self.orphan(),
            Event::Anew(service) => self.make_anew(*service),
            Event::NodeBack(node) => self.node_back(node),
            Event::NodeGone(node) => self.collect_pods_of(node),
            Event::Pod(uid, step) => self.pod_step(uid, step),
            Event::Attend => self.attend(),
            Event::Measure => self.measure(),
            Event::Operator(operator, life, wake) => self.wake(operator, life, wake),
            Event::Arrive(flight) => self.arrive(flight),
        }
    }

    /// Shows new changes to watches, kubelets and the oracle.
    fn pump(&mut self) {
        while self.pumped < self.store.log.len() {
            let at = self.pumped;
            self.pumped += 1;
            let change = self.store.log[at].clone();
            self.note_change(&change);
            if let Change::Put(Object::Pod(pod)) = &change {
                self.tally.pods += u64::from(self.lives.is_new(pod.meta.uid));
                self.pod_seen(pod);
            }
            self.oracle.changed(&self.store, &change);
            self.collect_later(&change);
            for operator in 0..2 {
                let mut draw = self.draw(&[10, operator as u64, at as u64]);
                let lag = if draw.chance(4) { draw.between(100, 3000) } else { draw.between(2, 60) };
                let life = self.operators[operator].life;
                self.at(self.now + lag, Event::Operator(operator, life, Wake::Deliver(change.kind(), at)));
            }
        }
    }

    /// The garbage collector finds what is made for an owner that is no more.
    pub(super) fn collect_later(&mut self, change: &Change) {
        let Change::Put(object) = change else { return };
        let service = self.store.service.as_ref().map(|service| service.meta.uid);
        let Meta { uid, version, owner } = *object.meta();
        if owner.is_some() && owner != service {
            let delay = self.draw(&[31, version]).between(10, 5000);
            self.at(self.now + delay, Event::Collect(object.kind(), uid));
        }
    }

    /// Chance for one thing.
    pub(super) fn draw(&self, thing: &[u64]) -> Draw {
        Draw::of(self.setting.seed, thing)
    }

    pub(super) fn at(&mut self, at: Millis, event: Event) {
        self.events += 1;
        self.queue.insert((at.max(self.now), self.events), event);
    }

    /// Writes into the trace, where one is kept.
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3} {}", self.now as f64 / 1000.0, line()));
        }
    }
}
