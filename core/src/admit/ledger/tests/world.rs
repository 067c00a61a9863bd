//! Any history of asks, frees, lost writes and failovers: quota is never exceeded by a grant, nothing runs without one,
//! and who reads what is recorded decides the same, in whatever order it comes to know of it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};

use crate::{
    admit::ledger::{Decision, Job, JobName, Ledger, Pending},
    model::{Bucket, Grant, JobKind, Resources, Revision, Share, Uid},
};

use super::NOW;

const JOBS: u8 = 5;

/// A job and what of it is true.
#[derive(Debug, Clone)]
struct True {
    uid: Uid,
    created: Timestamp,
    bucket: Bucket,
    ask: Share,
    /// What its status records.
    recorded: Option<Grant>,
    /// Configs that may have Pods, each with the most there were of them since all was one.
    runs: Vec<Share>,
}

#[derive(Debug, Clone)]
enum Step {
    /// The job is made, or asks for something else.
    Ask {
        job: u8,
        revision: u64,
        instances: u32,
        each: u8,
    },
    /// What the job is told to record, it records.
    Record {
        job: u8,
    },
    /// The job brings about what it may.
    Begin {
        job: u8,
    },
    /// All it has is of one config now: of what it asks for, or of what was there before.
    Settle {
        job: u8,
        back: bool,
    },
    Delete {
        job: u8,
    },
    /// The cluster loop turns; its write may be lost, with or without being done.
    Decide {
        written: bool,
        known: bool,
    },
    /// Another takes over, and learns of everything in this order.
    FailOver {
        order: u8,
    },
    Quota {
        cpu: u8,
        memory: u8,
    },
    Foreign {
        cpu: u8,
    },
    /// The job's status is lost.
    Wipe {
        job: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let job = || 0..JOBS;
    let ask = (job(), 1..4_u64, 0..5_u32, 0..4_u8);
    prop_oneof![
        5 => ask.prop_map(|(job, revision, instances, each)| Step::Ask { job, revision, instances, each }),
        4 => job().prop_map(|job| Step::Record { job }),
        4 => job().prop_map(|job| Step::Begin { job }),
        4 => (job(), any::<bool>()).prop_map(|(job, back)| Step::Settle { job, back }),
        1 => job().prop_map(|job| Step::Delete { job }),
        6 => (prop::bool::weighted(0.8), any::<bool>()).prop_map(|(written, known)| Step::Decide { written, known }),
        2 => any::<u8>().prop_map(|order| Step::FailOver { order }),
        1 => (0..20_u8, 0..20_u8).prop_map(|(cpu, memory)| Step::Quota { cpu, memory }),
        1 => (0..9_u8).prop_map(|cpu| Step::Foreign { cpu }),
        1 => job().prop_map(|job| Step::Wipe { job }),
    ]
}

struct World {
    jobs: BTreeMap<JobName, True>,
    quota: Resources,
    foreign: Resources,
    /// What the role's status holds.
    pending: Vec<Pending>,
    ledger: Ledger,
    uids: u128,
}

fn role() -> Arc<str> {
    "ads".into()
}

fn name(job: u8) -> JobName {
    JobName {
        kind: if job.is_multiple_of(3) { JobKind::Job } else { JobKind::Service },
        namespace: if job.is_multiple_of(2) { "prod" } else { "test" }.into(),
        name: job.to_string().into(),
    }
}

fn amounts(cpu: u8, memory: u8) -> Resources {
    Resources { cpu_milli: cpu.into(), memory: memory.into(), ..Resources::NONE }
}

/// What each instance of a config asks for: a config is the same whoever asks for it when.
fn each(revision: u64, each: u8) -> Resources {
    amounts(each, u8::try_from(revision).unwrap())
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            jobs: BTreeMap::new(),
            quota: amounts(12, 12),
            foreign: Resources::NONE,
            pending: Vec::new(),
            ledger: Ledger::default(),
            uids: 0,
        };
        world.ledger.set_role(&role(), world.quota.clone(), Vec::new());
        world
    }

    /// The job as the index shows it.
    fn shown(&self, name: &JobName) -> Job {
        let it = &self.jobs[name];
        let settled = match &it.runs[..] {
            [one] => Some((one.revision, one.instances)),
            _ => None,
        };
        let of_ask = it.runs.iter().find(|run| run.revision == it.ask.revision);
        Job {
            uid: it.uid,
            created: it.created,
            role: role(),
            bucket: it.bucket,
            ask: Some(it.ask.clone()),
            recorded: it.recorded.clone(),
            runs: of_ask.map_or(0, |run| run.instances),
            settled,
        }
    }

    fn show(&mut self, name: &JobName) {
        let job = self.shown(name);
        self.ledger.set_job(name, job);
    }

    /// What is charged by what is recorded alone.
    fn charged(&self) -> Resources {
        let mut sum = Resources::NONE;
        for (name, it) in &self.jobs {
            let pending = self.pending.iter().find(|one| one.job == *name && one.uid == it.uid);
            let recorded = it.recorded.as_ref();
            let newer =
                pending.map(|one| &one.grant).filter(|it| recorded.is_none_or(|old| it.number > old.number));
            sum.add(&newer.or(recorded).map(Grant::charge).unwrap_or_default());
        }
        sum
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Ask { job, revision, instances, each: size } => {
                let revision = revision + 10 * u64::from(size);
                let ask =
                    Share { revision: Revision::v1(revision), instances, each: each(revision % 10, size) };
                self.uids += 1;
                let new = True {
                    uid: Uid::new(self.uids),
                    created: Timestamp::from_second(i64::from(job) % 3).unwrap(),
                    bucket: Bucket::Production,
                    ask: ask.clone(),
                    recorded: None,
                    runs: Vec::new(),
                };
                let it = self.jobs.entry(name(job)).or_insert(new);
                it.ask = ask;
                // Its tier is part of its config.
                it.bucket = if revision % 10 == 3 { Bucket::NonProduction } else { Bucket::Production };
                self.show(&name(job));
            }
            Step::Record { job } => self.record(&name(job)),
            Step::Begin { job } => self.begin(&name(job)),
            Step::Settle { job, back } => {
                let Some(it) = self.jobs.get_mut(&name(job)) else { return };
                let keep = if back { it.runs.first() } else { it.runs.last() };
                let Some(mut keep) = keep.cloned() else { return };
                if keep.revision == it.ask.revision {
                    keep.instances = keep.instances.min(it.ask.instances);
                }
                it.runs = vec![keep];
                self.show(&name(job));
            }
            Step::Delete { job } => {
                self.jobs.remove(&name(job));
                self.ledger.remove_job(&name(job));
            }
            Step::Decide { written, known } => self.decide(written, known),
            Step::FailOver { order } => self.ledger = self.successor(order),
            Step::Quota { cpu, memory } => {
                self.quota = amounts(cpu, memory);
                self.ledger.set_role(&role(), self.quota.clone(), self.pending.clone());
            }
            Step::Foreign { cpu } => {
                self.foreign = amounts(cpu, 0);
                self.ledger.set_foreign(&role(), self.foreign.clone());
            }
            Step::Wipe { job } => {
                let Some(it) = self.jobs.get_mut(&name(job)) else { return };
                // What it had of other configs can't be told from what was never limited.
                it.recorded = None;
                it.runs.retain(|run| run.revision == it.ask.revision);
                it.runs.iter_mut().for_each(|run| run.instances = run.instances.min(it.ask.instances));
                self.show(&name(job));
            }
        }
    }

    fn record(&mut self, name: &JobName) {
        let admission = self.ledger.admission(name);
        let Some(it) = self.jobs.get_mut(name) else { return };
        it.recorded = admission.grant;
        self.show(name);
    }

    fn begin(&mut self, name: &JobName) {
        let Some(it) = self.jobs.get_mut(name) else { return };
        let free = it.bucket != Bucket::Production;
        let may = it.recorded.as_ref().is_some_and(|grant| grant.covers(it.ask.revision, it.ask.instances));
        if !(free || may) {
            return;
        }
        match it.runs.iter_mut().find(|run| run.revision == it.ask.revision) {
            Some(run) => run.instances = run.instances.max(it.ask.instances),
            None => it.runs.push(it.ask.clone()),
        }
        self.show(name);
    }

    fn decide(&mut self, written: bool, known: bool) {
        let before = self.charged();
        let Some(Decision { pending, changed, granted }) = self.ledger.decide(&role(), NOW) else { return };
        if !changed || !written {
            return;
        }
        let adopts = granted.iter().any(|name| {
            let job = self.shown(name);
            job.recorded.is_none() && job.runs > 0
        });
        self.pending = pending;
        if known {
            self.ledger.set_role(&role(), self.quota.clone(), self.pending.clone());
        } else {
            // Its writer does not know what became of it, and reads it again as whoever comes next.
            self.ledger = self.successor(7);
        }
        let after = self.charged();
        let mut limit = self.quota.clone();
        limit.subtract(&self.foreign);
        let room = limit.max(&before);
        assert!(adopts || after.fits(&room), "{after:?} are granted of {limit:?}; it was {before:?}");
    }

    /// A ledger of one that reads all there is, in some order.
    fn successor(&self, order: u8) -> Ledger {
        let mut ledger = Ledger::default();
        let mut names: Vec<_> = self.jobs.keys().collect();
        let count = names.len().max(1);
        names.rotate_left(usize::from(order) % count);
        if order % 2 == 1 {
            names.reverse();
        }
        let early = usize::from(order / 16) % (count + 1);
        for (at, name) in names.into_iter().enumerate() {
            if at == early {
                ledger.set_role(&role(), self.quota.clone(), self.pending.clone());
            }
            ledger.set_job(name, self.shown(name));
        }
        ledger.set_role(&role(), self.quota.clone(), self.pending.clone());
        ledger.set_foreign(&role(), self.foreign.clone());
        ledger
    }

    fn check(&mut self) {
        let sum = self.charged();
        let report = self.ledger.report(&role()).unwrap();
        assert_eq!(report.usage.production, sum, "the sums follow from what is recorded");
        for (name, it) in &self.jobs {
            if it.bucket != Bucket::Production {
                continue;
            }
            let grant = it.recorded.as_ref();
            for run in it.runs.iter().filter(|_| grant.is_some()) {
                let fits = run.total().fits(&grant.map(Grant::charge).unwrap_or_default());
                // What ran before there was a limit is charged to nobody.
                let granted = grant.is_some_and(|grant| {
                    let shares = grant.previous.iter().chain([&grant.share]);
                    shares.into_iter().any(|share| share.revision == run.revision)
                });
                assert!(fits || !granted, "{name}: {run:?} is more than {grant:?}");
            }
        }
        let (one, other) = (self.successor(0), self.successor(29));
        let (mut one, mut other, mut own) = (one, other, self.ledger.clone());
        let decided = one.decide(&role(), NOW);
        assert_eq!(decided, other.decide(&role(), NOW), "the order of learning does not matter");
        let news = |decision: Option<Decision>| {
            decision
                .filter(|it| it.changed)
                .map(|it| it.pending.into_iter().map(|one| one.job).collect::<Vec<_>>())
        };
        assert_eq!(news(own.decide(&role(), NOW)), news(decided), "nor does having been there before");
        assert_eq!(own.report(&role()).unwrap().held, one.report(&role()).unwrap().held);
        for name in self.jobs.keys() {
            assert_eq!(own.admission(name), one.admission(name), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn quota_holds_through_any_history(steps in vec(step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
    }
}
