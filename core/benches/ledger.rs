//! What the quota ledger costs: one job of 10,000 in 1,000 roles changes, or all are learned anew: `make bench`.
//!
//! The cost of a change follows the role it is in, not the cluster: the same is measured with a tenth of the roles.
#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on says so")]

use std::sync::Arc;

use borealis_core::{
    admit::ledger::{Job, JobName, Ledger},
    model::{Bucket, Grant, JobKind, Resources, Revision, Share, Uid},
};
use divan::{Bencher, black_box};
use jiff::Timestamp;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
/// Jobs of a role; every tenth waits for quota.
const JOBS: u32 = 10;

fn main() {
    divan::main();
}

fn role(at: u32) -> Arc<str> {
    format!("role{at}").into()
}

fn name(role: u32, job: u32) -> JobName {
    JobName {
        kind: JobKind::Service,
        namespace: format!("role{role}-{}", job % 2).into(),
        name: format!("job{job}").into(),
    }
}

fn job(at: u32, number: u32, instances: u32) -> Job {
    let each = Resources { cpu_milli: 500, memory: 1 << 30, ..Resources::NONE };
    let share = Share { revision: Revision::v1(1), instances: 10, each };
    let waits = number == 0;
    let grant = Grant { number: 1, share: share.clone(), previous: None, time: NOW };
    Job {
        uid: Uid::new(u128::from(at) << 32 | u128::from(number)),
        created: Timestamp::from_second(number.into()).unwrap(),
        role: role(at),
        bucket: Bucket::Production,
        ask: Some(Share { instances, ..share.clone() }),
        recorded: (!waits).then_some(grant),
        runs: 0,
        settled: Some((share.revision, instances)),
    }
}

/// All roles, each with exactly the quota that its jobs but one have.
fn ledger(roles: u32) -> Ledger {
    let mut ledger = Ledger::default();
    for at in 0..roles {
        let granted = 10 * (JOBS - 1);
        let quota = Resources {
            cpu_milli: 500 * i64::from(granted),
            memory: i64::from(granted) << 30,
            ..Resources::NONE
        };
        ledger.set_role(&role(at), quota, Vec::new());
        for number in 0..JOBS {
            ledger.set_job(&name(at, number), job(at, number, 10));
        }
        ledger.decide(&role(at), NOW);
    }
    ledger
}

/// One job asks for one instance more and is held, then takes that back.
#[divan::bench(args = [100, 1_000])]
fn one_change(bencher: Bencher<'_, '_>, roles: u32) {
    let mut ledger = ledger(roles);
    let (name, role) = (name(roles / 2, 5), role(roles / 2));
    let mut more = false;
    bencher.bench_local(|| {
        more = !more;
        ledger.set_job(&name, job(roles / 2, 5, if more { 11 } else { 10 }));
        let decision = ledger.decide(&role, NOW);
        (decision, black_box(ledger.admission(&name)))
    });
}

/// One job goes, the one that waits is granted what it leaves, and the role is told of.
#[divan::bench(args = [100, 1_000])]
fn one_freed(bencher: Bencher<'_, '_>, roles: u32) {
    let mut ledger = ledger(roles);
    let (name, role) = (name(roles / 2, 5), role(roles / 2));
    bencher.bench_local(|| {
        ledger.remove_job(&name);
        let decision = ledger.decide(&role, NOW).unwrap();
        assert_eq!(decision.granted.len(), 1);
        let held = ledger.report(&role).unwrap().held;
        ledger.set_job(&name, job(roles / 2, 5, 10));
        held
    });
}

/// A new leader learns of everything.
#[divan::bench(args = [100, 1_000])]
fn from_nothing(bencher: Bencher<'_, '_>, roles: u32) {
    bencher.bench_local(|| ledger(roles));
}
