//! The truth of a shared cluster, and the log by which others learn of it late.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::Trouble;
use crate::{
    model::{Claim, Demand, Host, Labels, NodeId, Owner, Preemption, Resources, Tier, Uid},
    sim::draw::Draw,
};

/// When the world begins.
const BEGIN: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A Pod as it is.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    /// What everybody may see.
    pub(super) claim: Claim,
    /// Seconds it takes to end.
    pub(super) grace: i64,
    /// The disruption budget it counts for: the budgets are numbered by role.
    pub(super) budget: Option<u32>,
    /// Its owner makes a successor when it goes.
    pub(super) job: Option<u64>,
}

/// Something that changed.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A Pod is so now, or gone.
    Pod(Uid, Option<Box<Pod>>),
    /// A node is so now, or gone.
    Host(NodeId, Option<Host>),
}

/// Many Pods of one kind, that are kept at their number.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) owner: Arc<Owner>,
    pub(super) demand: Arc<Demand>,
    pub(super) count: u32,
    pub(super) grace: i64,
    pub(super) budget: Option<u32>,
}

/// The cluster.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) trouble: Trouble,
    pub(super) now: Timestamp,
    pub(super) hosts: BTreeMap<NodeId, Host>,
    pub(super) pods: BTreeMap<Uid, Pod>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) tiers: Vec<Arc<Tier>>,
    /// How many Pods of a budget may be missing.
    pub(super) budgets: BTreeMap<u32, u32>,
    pub(super) log: Vec<Change>,
    pub(super) trace: Vec<String>,
    pub(super) dropped: u64,
    /// When the last nomination of a Pod was dropped.
    pub(super) dropped_at: BTreeMap<Uid, Timestamp>,
    /// Pods that their tenant took away while they ran, as they were then, and when.
    pub(super) taken_away: BTreeMap<Uid, (Claim, Timestamp)>,
    /// Since when there is each node.
    pub(super) since: BTreeMap<NodeId, Timestamp>,
    next: u128,
}

impl World {
    pub(super) fn new(seed: u64, trouble: Trouble) -> Self {
        let mut draw = Draw::of(seed, &[0]);
        let tier = |name: &str, preemptible, revocable, band, least: u32| {
            Arc::new(Tier {
                name: name.into(),
                preemptible,
                revocable,
                band,
                preemption: Preemption::Borealis,
                preemption_delay_seconds: 5,
                min_runtime_seconds: least,
                grace_seconds: None,
            })
        };
        let least = draw.pick(&[0, 0, 20]);
        let mut world = Self {
            seed,
            trouble,
            now: BEGIN,
            hosts: BTreeMap::new(),
            pods: BTreeMap::new(),
            jobs: BTreeMap::new(),
            tiers: vec![
                tier("revocable", true, true, 10, least),
                tier("preemptible", true, false, 20, least),
                tier("preferred", false, false, 30, 0),
            ],
            budgets: (0..3).map(|role| (role, draw.small(1, 3))).collect(),
            log: Vec::new(),
            trace: Vec::new(),
            dropped: 0,
            dropped_at: BTreeMap::new(),
            taken_away: BTreeMap::new(),
            since: BTreeMap::new(),
            next: 1,
        };
        for id in 0..draw.small(2, 8) {
            world.add_host(id);
        }
        world
    }

    pub(super) fn add_host(&mut self, id: u32) {
        let mut draw = Draw::of(self.seed, &[2, id.into()]);
        let name: Arc<str> = format!("n{id}").into();
        let host = Host {
            id: NodeId(id),
            name: Arc::clone(&name),
            labels: Arc::new(Labels::from([("kubernetes.io/hostname".into(), name)])),
            taints: Arc::new([]),
            allocatable: Resources {
                cpu_milli: draw.pick(&[4_000, 8_000]),
                memory: draw.pick(&[8, 16]),
                ..Resources::NONE
            },
            pods: draw.small(4, 12),
        };
        self.log.push(Change::Host(host.id, Some(host.clone())));
        self.since.insert(host.id, self.now);
        self.hosts.insert(host.id, host);
    }

    pub(super) fn remove_host(&mut self, id: NodeId) {
        if self.hosts.remove(&id).is_some() {
            self.say(&format!("node {} goes", id.0));
            self.log.push(Change::Host(id, None));
            let on_it = self.pods.values().filter(|pod| pod.claim.node == Some(id));
            for uid in on_it.map(|pod| pod.claim.uid).collect::<Vec<_>>() {
                self.remove(uid);
            }
        }
    }

    /// So many seconds pass: who was told to end and had its time is gone.
    pub(super) fn tick(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        let over = |pod: &Pod| pod.claim.ends.is_some_and(|ends| ends <= self.now);
        let gone: Vec<Uid> = self.pods.values().filter(|pod| over(pod)).map(|pod| pod.claim.uid).collect();
        gone.into_iter().for_each(|uid| self.remove(uid));
    }

    /// What keeps a world from coming to rest is over: rivals that nobody can make room for have left.
    pub(super) fn calm(&mut self) {
        self.trouble = Trouble::None;
    }

    pub(super) fn add(&mut self, job: u64, of: &Job) {
        let uid = Uid::new(self.next);
        self.next += 1;
        let claim = Claim {
            uid,
            name: format!("p{}", self.next - 1).into(),
            version: 0,
            demand: Arc::clone(&of.demand),
            owner: Arc::clone(&of.owner),
            created: self.now,
            started: None,
            node: None,
            nominated: None,
            unschedulable: None,
            ends: None,
            slot: None,
        };
        let pod = Pod { claim, grace: of.grace, budget: of.budget, job: Some(job) };
        self.pods.insert(uid, pod);
        self.change(uid, |_| {});
    }

    /// Changes a Pod, and has everybody told.
    pub(super) fn change(&mut self, uid: Uid, change: impl FnOnce(&mut Pod)) {
        if let Some(pod) = self.pods.get_mut(&uid) {
            change(pod);
            pod.claim.version += 1;
            self.log.push(Change::Pod(uid, Some(Box::new(pod.clone()))));
        }
    }

    pub(super) fn remove(&mut self, uid: Uid) {
        if self.pods.remove(&uid).is_some() {
            self.log.push(Change::Pod(uid, None));
        }
    }

    /// Tells a Pod to end.
    pub(super) fn end(&mut self, uid: Uid) {
        let now = self.now;
        self.change(uid, |pod| {
            let grace = if pod.claim.node.is_some() { pod.grace } else { 0 };
            pod.claim.ends.get_or_insert(now + SignedDuration::from_secs(grace));
        });
    }

    /// A tenant takes a Pod away; one that is ending already goes without that.
    pub(super) fn take_away(&mut self, uid: Uid) {
        let runs = self.pods.get(&uid).filter(|pod| pod.claim.node.is_some() && pod.claim.ends.is_none());
        if let Some(pod) = runs {
            self.taken_away.insert(uid, (pod.claim.clone(), self.now));
        }
        self.end(uid);
    }

    /// How many more Pods of a budget may go: that many of them may be missing from those that run.
    pub(super) fn allowance(&self, budget: u32) -> u32 {
        let of = || self.pods.values().filter(|pod| pod.budget == Some(budget));
        let up = of().filter(|pod| pod.claim.node.is_some() && pod.claim.ends.is_none()).count();
        let wanted = self.jobs.values().filter(|job| job.budget == Some(budget)).map(|job| job.count);
        let least = wanted.sum::<u32>().saturating_sub(self.budgets.get(&budget).copied().unwrap_or(0));
        u32::try_from(up).unwrap_or(u32::MAX).saturating_sub(least)
    }

    /// Nobody is ending, and no room is kept.
    pub(super) fn is_at_rest(&self) -> bool {
        self.pods.values().all(|pod| pod.claim.ends.is_none() && pod.claim.nominated.is_none())
    }

    pub(super) fn say(&mut self, what: &str) {
        self.trace.push(format!("{:>5} s {what}", self.now.duration_since(BEGIN).as_secs()));
    }
}
