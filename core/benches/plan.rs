//! What planning one service costs, by what is going on in it: `make bench`.
//!
//! The budget is 1 ms for one changed instance among 4,000. Times are of this machine; the ratios printed at the end
//! are less so: each case against the settled one, and against a tenth of its instances, where 10 is linear.
#![allow(clippy::disallowed_methods, reason = "measuring takes a clock")]
#![allow(clippy::print_stdout, reason = "it tells a person what it measured")]

use std::{
    collections::BTreeMap,
    fmt,
    hint::black_box,
    time::{Duration, Instant},
};

use borealis_core::{
    model::{
        Amount, Controls, EndReason, Flapping, History, Instance, Instructions, NodeId, Partition, Progress,
        Ranges, Revision, RevisionRecord, Run, Service, ServiceStatus, Strategy, Task, TaskState, Uid,
        Update, UpdateSettings, UpdateState, Upstream, Work,
    },
    plan::{Plan, ServiceView, plan},
};
use jiff::{SignedDuration, Timestamp};

/// The size the budget is for.
const INSTANCES: u32 = 4000;
const OLD: Revision = Revision::v1(0x01d);
const NEW: Revision = Revision::v1(0x2e3);
const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What is going on in the service.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// Everything runs.
    Settled,
    /// One instance has failed, and is to be replaced.
    OneFailed,
    /// No instance has a Pod: all are to be made.
    AllAbsent,
    /// Half of it is updated and a tenth of it is being updated, in batches.
    MidUpdate,
    /// The same, but every other instance: sets of instances fall into as many ranges as they can.
    MidUpdateScattered,
}

impl Case {
    const ALL: [Self; 5] =
        [Self::Settled, Self::OneFailed, Self::AllAbsent, Self::MidUpdate, Self::MidUpdateScattered];
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Settled => "settled",
            Self::OneFailed => "one failed",
            Self::AllAbsent => "all absent",
            Self::MidUpdate => "mid-update",
            Self::MidUpdateScattered => "mid-update, scattered",
        })
    }
}

/// What a view borrows from.
struct Snapshot {
    service: Service,
    tasks: Vec<Task>,
    seen_runs: BTreeMap<Instance, Run>,
    revisions: [RevisionRecord; 2],
    update: Option<Update>,
    status: ServiceStatus,
    lost_nodes: BTreeMap<NodeId, Timestamp>,
}

impl Snapshot {
    fn new(case: Case, instances: u32) -> Self {
        let mut snapshot = Self {
            service: service(instances),
            tasks: (0..instances).map(|instance| task(instance, 1, OLD)).collect(),
            seen_runs: (0..instances).map(|instance| (instance, 1)).collect(),
            revisions: [record(1, OLD, true), record(2, NEW, false)],
            update: None,
            status: ServiceStatus {
                observed_generation: 1,
                observed_revision: Some(OLD),
                last_good: Some(OLD),
                ..ServiceStatus::default()
            },
            lost_nodes: BTreeMap::new(),
        };
        snapshot.settle();
        match case {
            Case::Settled => {}
            Case::OneFailed => {
                let failed = &mut snapshot.tasks[instances as usize / 2];
                (failed.state, failed.ready, failed.ended) = (TaskState::Failed, false, Some(NOW));
                (failed.end, failed.exit_code) = (Some(EndReason::Exited), Some(1));
            }
            Case::AllAbsent => {
                snapshot.tasks.clear();
                snapshot.seen_runs.clear();
            }
            Case::MidUpdate => snapshot.begin_update(|instance| instance),
            // The even ones first, then the odd ones.
            Case::MidUpdateScattered => {
                let half = instances.div_ceil(2);
                snapshot.begin_update(|instance| instance / 2 + if instance % 2 == 0 { 0 } else { half });
            }
        }
        snapshot
    }

    /// Puts the status there that says what is, so that nothing is left to be done.
    fn settle(&mut self) {
        let Plan { actions, status, .. } = self.plan();
        assert!(actions.is_empty(), "something is to be done in a settled service: {actions:?}");
        self.status = status.unwrap_or_default();
    }

    /// Half of the instances are updated, the next tenth has no Pod at the moment; in the order of `place`.
    fn begin_update(&mut self, place: impl Fn(Instance) -> u32) {
        let count = self.service.instances;
        let updated: Ranges = (0..count).filter(|i| place(*i) < count / 2).collect();
        let group = count / 2..count / 2 + count / 10;
        let working: Ranges = (0..count).filter(|i| group.contains(&place(*i))).collect();
        self.service.revision = NEW;
        self.tasks.retain(|task| !working.contains(task.instance));
        for task in self.tasks.iter_mut().filter(|task| updated.contains(task.instance)) {
            (task.revision, task.run) = (NEW, 2);
        }
        self.seen_runs.extend(updated.iter().map(|instance| (instance, 2)));
        let all = Ranges::up_to(count);
        self.update = Some(Update {
            uid: Uid::new(3),
            number: 1,
            instructions: Instructions {
                from: vec![(OLD, all.clone())],
                to: Some((NEW, all)),
                instances: count,
                asked: count,
                previous_instances: count,
                ..Instructions::default()
            },
            settings: self.service.update.clone(),
            controls: Controls::default(),
            progress: Some(Progress {
                advanced: NOW,
                touched: updated.iter().chain(working.iter()).collect(),
                working,
                updated,
                ..Progress::new(UpdateState::RollingForward, NOW - HOUR, 1)
            }),
            owned: true,
        });
    }

    fn plan(&self) -> Plan {
        let view = ServiceView {
            service: &self.service,
            tasks: &self.tasks,
            seen_runs: &self.seen_runs,
            revisions: &self.revisions,
            update: self.update.as_ref(),
            past_updates: &[],
            status: Some(&self.status),
            measurements: &[],
            pending: &[],
            upstream: Upstream::default(),
            lost_nodes: &self.lost_nodes,
            keep_allowed: true,
            frozen: false,
            problem: None,
        };
        plan(&view, NOW)
    }
}

fn service(instances: u32) -> Service {
    Service {
        uid: Uid::new(1),
        generation: 1,
        deleting: false,
        instances,
        revision: OLD,
        update: UpdateSettings {
            strategy: Strategy::Batch { group_size: Amount::Percent(10), autopause: false },
            watch_seconds: 2,
            ..UpdateSettings::default()
        },
        hold_updates: false,
        queue_updates: false,
        flapping: Flapping { threshold_seconds: 300, initial_delay_seconds: 30, max_delay_seconds: 300 },
        partition: Partition { reschedule: true, delay_seconds: 0 },
        history: History { failed: 3, ended: 1, ttl_seconds: 172_800 },
        work: Work::default(),
        batch: None,
    }
}

fn task(instance: Instance, run: Run, revision: Revision) -> Task {
    Task {
        uid: Uid::new(1000 + u128::from(instance)),
        instance,
        run,
        revision,
        state: TaskState::Running,
        before: TaskState::Running,
        ready: true,
        ready_since: Some(NOW - HOUR),
        unready_since: None,
        waiting: None,
        created: NOW - HOUR,
        started: Some(NOW - HOUR),
        ended: None,
        end: None,
        exit_code: None,
        ending: None,
        half_ended: false,
        in_place: None,
        flaps: 0,
        failures: 0,
        node: Some(NodeId(instance % 500)),
        live_label: true,
        owned: true,
    }
}

fn record(number: i64, revision: Revision, last_good: bool) -> RevisionRecord {
    let uid = Uid::new(10 + u128::from(number.unsigned_abs()));
    RevisionRecord { revision, uid, number, last_good, failed: false, owned: true }
}

#[divan::bench(args = Case::ALL)]
fn plan_of_4000(bencher: divan::Bencher<'_, '_>, case: Case) {
    let snapshot = Snapshot::new(case, INSTANCES);
    bencher.bench_local(|| black_box(&snapshot).plan());
}

/// The least of many times: what it takes when nobody disturbs.
fn least(snapshot: &Snapshot) -> Duration {
    let once = |_| {
        let begin = Instant::now();
        black_box(black_box(snapshot).plan());
        begin.elapsed()
    };
    (0..50).map(once).min().unwrap_or_default()
}

fn main() {
    divan::main();
    let settled = least(&Snapshot::new(Case::Settled, INSTANCES));
    println!(
        "\n{:<24} {:>10} {:>16} {:>22}",
        "4,000 instances", "least", "against settled", "against a tenth of it"
    );
    for case in Case::ALL {
        let whole = least(&Snapshot::new(case, INSTANCES));
        let tenth = least(&Snapshot::new(case, INSTANCES / 10));
        let ratio = |to: Duration| whole.as_secs_f64() / to.as_secs_f64();
        println!("{case:<24} {:>7} us {:>16.1} {:>22.1}", whole.as_micros(), ratio(settled), ratio(tenth));
    }
}
