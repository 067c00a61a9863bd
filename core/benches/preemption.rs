//! What finding room costs, in the sizes that Aurora measured itself by, and in those of Borealis's budgets:
//! `make bench`.
//!
//! Aurora's hosts have 8 CPUs, 16 GB, 256 GB of disk and two share a rack; its tasks take 6 CPUs, 8 GB, 128 GB, so one
//! fills a host. The budgets: a pass over 10,000 nodes and 100,000 Pods in at most 100 ms after a change and 2 s from
//! nothing, a first decision well within 250 ms.

use std::{collections::BTreeSet, fmt, sync::Arc};

use borealis_core::{
    admit::{Ask, Board, Decision, Given, NoBudgets, Outcome, search, vetoes},
    model::{
        Claim, Demand, Host, JobKind, Labels, NodeId, NodeTerm, Owner, Preemption, Requirement, Resources,
        Spread, Test, Tier, Uid,
    },
};
use divan::{Bencher, black_box, counter::ItemsCount};
use jiff::{SignedDuration, Timestamp};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const GB: i64 = 1 << 30;

fn main() {
    divan::main();
}

fn tier(preemptible: bool) -> Arc<Tier> {
    let (name, band) = if preemptible { ("preemptible", 20_000) } else { ("preferred", 30_000) };
    Arc::new(Tier {
        name: name.into(),
        preemptible,
        revocable: false,
        band,
        preemption: Preemption::Borealis,
        preemption_delay_seconds: 5,
        min_runtime_seconds: 0,
        grace_seconds: None,
    })
}

fn owner(preemptible: bool, role: &str, job: u32) -> Arc<Owner> {
    let tier = tier(preemptible);
    Arc::new(Owner {
        namespace: role.into(),
        role: role.into(),
        job: format!("job-{job}").into(),
        ours: Some(JobKind::Service),
        priority: 0,
        rank: tier.band,
        tier: Some(tier),
        preempts_natively: false,
        labels: Arc::new(Labels::from([("app".into(), format!("job-{job}").into())])),
    })
}

fn requests(cpu: i64, memory: i64, disk: i64) -> Resources {
    Resources { cpu_milli: cpu * 1_000, memory: memory * GB, ephemeral: disk * GB, ..Resources::NONE }
}

/// A task of Aurora's benchmarks.
fn task() -> Demand {
    Demand { requests: requests(6, 8, 128), ..Demand::default() }
}

fn host(id: u32, allocatable: Resources) -> Host {
    let name: Arc<str> = format!("node-{id:06}").into();
    let labels = Labels::from([
        ("kubernetes.io/hostname".into(), Arc::clone(&name)),
        ("rack".into(), format!("rack-{:06}", id / 2).into()),
    ]);
    Host { id: NodeId(id), name, labels: Arc::new(labels), taints: Arc::new([]), allocatable, pods: 110 }
}

fn pending(uid: u128, owner: &Arc<Owner>, demand: &Arc<Demand>) -> Claim {
    Claim {
        uid: Uid::new(uid),
        name: format!("{}-{uid}-1", owner.job).into(),
        version: 1,
        demand: Arc::clone(demand),
        owner: Arc::clone(owner),
        created: NOW - SignedDuration::from_mins(1),
        started: None,
        node: None,
        nominated: None,
        unschedulable: Some(NOW - SignedDuration::from_secs(10)),
        ends: None,
        slot: None,
    }
}

/// One that has run for some while, each for another.
fn running(uid: u128, owner: &Arc<Owner>, demand: &Arc<Demand>, node: u32) -> Claim {
    let age = i64::from(node).wrapping_mul(7_919) % 86_400 + 1_000;
    let started = Some(NOW - SignedDuration::from_secs(age));
    Claim { started, node: Some(NodeId(node)), unschedulable: None, ..pending(uid, owner, demand) }
}

const PENDING: u128 = 1 << 64;

/// Aurora's cluster: so many hosts, of which these parts in a hundred are filled with siblings of who asks, and with
/// its victims.
struct Cluster {
    board: Board,
    asks: Vec<Ask>,
}

impl Cluster {
    fn new(hosts: u32, siblings: u32, victims: u32, demand: Demand, pending_pods: u32) -> Self {
        let mut board = Board::new();
        let (asks, other) = (owner(false, "shop", 0), owner(true, "batch", 1));
        let (demand, plain) = (Arc::new(demand), Arc::new(task()));
        for id in 0..hosts {
            board.set_host(host(id, requests(8, 16, 256)));
            match id % 100 {
                part if part < siblings => board.set_claim(running(id.into(), &asks, &demand, id)),
                part if part < siblings + victims => board.set_claim(running(id.into(), &other, &plain, id)),
                _ => false,
            };
        }
        let uids = (0..u128::from(pending_pods)).map(|number| PENDING + number);
        let asks = uids
            .map(|uid| {
                board.set_claim(pending(uid, &asks, &demand));
                Ask::of(Uid::new(uid))
            })
            .collect();
        Self { board, asks }
    }

    fn search(&self) -> Vec<Decision> {
        let leaving = BTreeSet::new();
        search(&Given { board: &self.board, budgets: &NoBudgets, leaving: &leaving, now: NOW }, &self.asks)
    }

    /// All that ask get a slot, or none does.
    fn slots(self, expected: bool) -> Self {
        let slots = |decision: &Decision| matches!(decision.outcome, Outcome::Slot { .. }) == expected;
        assert!(self.search().iter().all(slots), "the benchmark measures something else than it says");
        self
    }
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn preemptor_slot_search_10_000_hosts(bencher: Bencher<'_, '_>, pending: u32) {
    let cluster = Cluster::new(10_000, 0, 100, task(), pending).slots(true);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| black_box(&cluster).search());
}

#[divan::bench]
fn cluster_full_10_000_hosts(bencher: Bencher<'_, '_>) {
    let cluster = Cluster::new(10_000, 10, 90, task(), 1).slots(true);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| black_box(&cluster).search());
}

/// Why one task can't be placed.
#[derive(Debug, Clone, Copy)]
enum Mismatch {
    InsufficientResources,
    ValueConstraint,
    LimitConstraint,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

const MISMATCHES: [Mismatch; 3] =
    [Mismatch::InsufficientResources, Mismatch::ValueConstraint, Mismatch::LimitConstraint];

fn mismatch(why: Mismatch) -> Cluster {
    let demand = match why {
        Mismatch::InsufficientResources => Demand { requests: requests(9, 8, 128), ..Demand::default() },
        Mismatch::ValueConstraint => {
            let asked = Requirement { key: "rack".into(), test: Test::In(vec!["none".into()]) };
            Demand { affinity: vec![NodeTerm { labels: vec![asked], names: vec![] }], ..task() }
        }
        Mismatch::LimitConstraint => Demand {
            requests: requests(1, 1, 1),
            spread: vec![Spread {
                key: "rack".into(),
                max_skew: 1,
                min_domains: i32::MAX.unsigned_abs(),
                selector: vec![Requirement { key: "app".into(), test: Test::In(vec!["job-0".into()]) }],
                honor_affinity: false,
                honor_taints: false,
            }],
            ..Demand::default()
        },
    };
    // The limit is reached with a sibling on each host.
    let siblings = if matches!(why, Mismatch::LimitConstraint) { 100 } else { 25 };
    Cluster::new(1_000, siblings, 25.min(100 - siblings), demand, 1).slots(false)
}

/// Why it is pending.
#[divan::bench(args = MISMATCHES)]
fn vetoes_of_1_000_hosts(bencher: Bencher<'_, '_>, why: Mismatch) {
    let cluster = mismatch(why);
    let claim = cluster.board.pending().next();
    assert_eq!(claim.map(|claim| vetoes(&cluster.board, claim).fitting), Some(0));
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| claim.map(|claim| vetoes(black_box(&cluster.board), claim)));
}

/// That nobody's going would help, and why not.
#[divan::bench(args = MISMATCHES)]
fn no_room_on_1_000_hosts(bencher: Bencher<'_, '_>, why: Mismatch) {
    let cluster = mismatch(why);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| black_box(&cluster).search());
}

/// 10 tasks, 5 at a time, find their place among 200,000 hosts, are put there and taken away again.
#[divan::bench]
fn fill_cluster_200_000_hosts(bencher: Bencher<'_, '_>) {
    let Cluster { mut board, asks } = Cluster::new(200_000, 1, 1, task(), 10);
    let leaving = BTreeSet::new();
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        let mut placed = Vec::new();
        for asks in asks.chunks(5) {
            let given = Given { board: &board, budgets: &NoBudgets, leaving: &leaving, now: NOW };
            for decision in search(&given, asks) {
                let Outcome::Fits { host } = decision.outcome else { panic!("it is not full") };
                if let Some(claim) = board.claim(decision.claim).cloned() {
                    board.set_claim(Claim { node: Some(host), ..claim.clone() });
                    placed.push(claim);
                }
            }
        }
        placed.into_iter().for_each(|claim| {
            board.set_claim(claim);
        });
    });
}

/// 10,000 nodes with 10 Pods each, of 200 jobs of 4 sizes, all full; and 10 services of which one Pod each is pending.
fn large() -> (Vec<Host>, Vec<Claim>, Vec<Ask>) {
    let hosts = (0..10_000).map(|id| host(id, requests(32, 128, 1_000))).collect();
    let jobs: Vec<(Arc<Owner>, Arc<Demand>)> = (0..200)
        .map(|job| {
            let cpu = [2, 3, 4, 5][job as usize % 4];
            let demand = Demand { requests: requests(cpu, 8, 10), ..Demand::default() };
            (owner(true, &format!("role-{}", job % 20), job), Arc::new(demand))
        })
        .collect();
    let mut claims: Vec<Claim> = (0..100_000_u32)
        .filter_map(|number| {
            let (owner, demand) = jobs.get((number as usize).wrapping_mul(31) % jobs.len())?;
            Some(running(number.into(), owner, demand, number / 10))
        })
        .collect();
    let mut asks = Vec::new();
    for job in 0..10 {
        let demand = Demand { requests: requests(8, 16, 10), ..Demand::default() };
        let uid = PENDING + u128::from(job);
        claims.push(pending(uid, &owner(false, "shop", 1_000 + job), &Arc::new(demand)));
        asks.push(Ask::of(Uid::new(uid)));
    }
    (hosts, claims, asks)
}

fn pass(board: &Board, asks: &[Ask]) -> usize {
    let leaving = BTreeSet::new();
    let given = Given { board, budgets: &NoBudgets, leaving: &leaving, now: NOW };
    let decisions = search(&given, asks);
    decisions.iter().map(|decision| decision.outcome.victims().len()).sum()
}

/// The board is made of nothing, and 10 services' Pods get their slots.
#[divan::bench(sample_count = 10)]
fn cluster_pass_from_nothing(bencher: Bencher<'_, '_>) {
    let (hosts, claims, asks) = large();
    bencher.with_inputs(|| (hosts.clone(), claims.clone())).bench_local_values(|(hosts, claims)| {
        let mut board = Board::new();
        hosts.into_iter().for_each(|host| {
            board.set_host(host);
        });
        claims.into_iter().for_each(|claim| {
            board.set_claim(claim);
        });
        let victims = pass(&board, &asks);
        assert!(victims >= 10);
        board
    });
}

/// 100 Pods change, and so many of the services' Pods, each of another service, get their slots.
#[divan::bench(args = [1, 10], sample_count = 50)]
fn cluster_pass_after_changes(bencher: Bencher<'_, '_>, services: usize) {
    let (hosts, claims, asks) = large();
    let mut board = Board::new();
    hosts.into_iter().for_each(|host| {
        board.set_host(host);
    });
    claims.iter().cloned().for_each(|claim| {
        board.set_claim(claim);
    });
    let mut round = 0;
    bencher.bench_local(|| {
        round += 1;
        for claim in claims.iter().skip(round * 100 % 99_000).take(100) {
            board.set_claim(Claim { version: round as u64 + 1, ..claim.clone() });
        }
        pass(&board, &asks[..services])
    });
}
