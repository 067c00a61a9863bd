//! The witness's judgements on made-up histories: each finds what it is for, and nothing else.

use std::time::{Duration, Instant};

use super::*;

fn pod(instance: u32, run: u32, revision: &str) -> Facts {
    Facts {
        key: Key { namespace: "ns".into(), service: "web".into(), instance },
        name: format!("web-{instance}-{run}"),
        uid: format!("uid-{instance}-{run}"),
        owner: "web".into(),
        run,
        revision: revision.into(),
        node: Some("node-1".into()),
        phase: "Running".into(),
        ready: true,
        ending: false,
        live_label: true,
        generation: 1,
        flaps: 0,
        preempted: None,
        disrupted: None,
        nominated: None,
    }
}

fn started(ledger: &mut Ledger, pod: &Facts) {
    ledger.record(
        Instant::now(),
        Change::Added,
        Facts { phase: "Pending".into(), ready: false, ..pod.clone() },
    );
    ledger.record(Instant::now(), Change::Modified, pod.clone());
}

fn replaced(ledger: &mut Ledger, old: &Facts, new: &Facts) {
    ledger.record(Instant::now(), Change::Modified, Facts { ending: true, ..old.clone() });
    ledger.record(Instant::now(), Change::Deleted, Facts { ending: true, ready: false, ..old.clone() });
    started(ledger, new);
}

#[test]
fn two_live_pods_are_found_and_successive_ones_are_not() {
    let mut ledger = Ledger::default();
    started(&mut ledger, &pod(0, 1, "a"));
    replaced(&mut ledger, &pod(0, 1, "a"), &pod(0, 2, "a"));
    ledger.record(Instant::now(), Change::Modified, Facts { phase: "Failed".into(), ..pod(0, 2, "a") });
    started(&mut ledger, &pod(0, 3, "a"));
    assert!(ledger.violations("ns").is_empty());
    ledger.record(Instant::now(), Change::Added, pod(0, 4, "a"));
    assert_eq!(ledger.violations("ns").len(), 1);
    assert!(ledger.violations("other").is_empty());
}

#[test]
fn two_live_pods_are_borne_of_as_many_instances_as_may_surge() {
    let mut ledger = Ledger::default();
    for instance in 0..2 {
        started(&mut ledger, &pod(instance, 1, "a"));
    }
    ledger.allow_surge("ns", "web", 1);
    started(&mut ledger, &pod(0, 2, "b"));
    assert_eq!((ledger.violations("ns").len(), ledger.twins("ns", "web")), (0, 1));
    started(&mut ledger, &pod(1, 2, "b"));
    assert!(!ledger.violations("ns").is_empty(), "two instances have two");
    let mut ledger = Ledger::default();
    ledger.allow_surge("ns", "web", 1);
    ledger.allow_surge("ns", "other", 9);
    for run in 1..4 {
        ledger.record(Instant::now(), Change::Added, pod(0, run, "a"));
    }
    assert_eq!(ledger.violations("ns").len(), 1, "a third one");
}

#[test]
fn a_pod_of_a_lost_node_is_no_second_one() {
    let mut ledger = Ledger::default();
    started(&mut ledger, &pod(0, 1, "a"));
    ledger.node_lost("node-1");
    started(&mut ledger, &Facts { node: Some("node-2".into()), ..pod(0, 2, "a") });
    assert!(ledger.violations("ns").is_empty());
    ledger.node_restored("node-1");
    ledger.record(Instant::now(), Change::Modified, pod(0, 1, "a"));
    assert_eq!(ledger.violations("ns").len(), 1, "it runs again beside its successor");
}

#[test]
fn nor_is_one_that_is_bound_to_a_lost_node_afterwards() {
    let mut ledger = Ledger::default();
    let unbound = Facts { node: None, phase: "Pending".into(), ready: false, ..pod(0, 1, "a") };
    ledger.record(Instant::now(), Change::Added, unbound);
    ledger.node_lost("node-1");
    let bound = Facts { phase: "Pending".into(), ready: false, ending: true, ..pod(0, 1, "a") };
    ledger.record(Instant::now(), Change::Modified, bound.clone());
    let next = Facts { node: Some("node-2".into()), ..pod(0, 2, "a") };
    started(&mut ledger, &next);
    ledger.node_restored("node-1");
    ledger.record(Instant::now(), Change::Modified, next.clone());
    assert!(ledger.violations("ns").is_empty(), "it is told to end, which its node has yet to do");
    ledger.record(Instant::now(), Change::Deleted, bound);
    ledger.record(Instant::now(), Change::Added, Facts { name: "third".into(), uid: "third".into(), ..next });
    assert_eq!(ledger.violations("ns").len(), 1);
}

#[test]
fn instances_that_are_down_at_once_are_counted() {
    let mut ledger = Ledger::default();
    for instance in 0..4 {
        started(&mut ledger, &pod(instance, 1, "a"));
    }
    let mark = ledger.mark();
    replaced(&mut ledger, &pod(0, 1, "a"), &pod(0, 2, "b"));
    assert_eq!(ledger.most_down(mark, "ns", "web", 4), 1);
    for instance in 1..3 {
        ledger.record(Instant::now(), Change::Modified, Facts { ready: false, ..pod(instance, 1, "a") });
    }
    assert_eq!(ledger.most_down(mark, "ns", "web", 4), 2);
    assert_eq!(ledger.most_down(ledger.mark(), "ns", "web", 4), 0);
}

#[test]
fn instances_that_were_ended_on_purpose_are_counted_until_they_are_up_again() {
    let mut ledger = Ledger::default();
    for instance in 0..4 {
        started(&mut ledger, &pod(instance, 1, "a"));
    }
    let mark = ledger.mark();
    let ending = |instance| Facts { ending: true, ..pod(instance, 1, "a") };
    for instance in [0, 1, 3] {
        ledger.record(Instant::now(), Change::Modified, ending(instance));
    }
    ledger.record(Instant::now(), Change::Deleted, ending(0));
    started(&mut ledger, &pod(0, 2, "b"));
    replaced(&mut ledger, &pod(2, 1, "a"), &pod(2, 2, "b"));
    let most =
        |below, excused: &str| most_ended(ledger.since(mark, "ns", "web"), below, |pod| pod.uid == excused);
    assert_eq!((most(4, ""), most(3, ""), most(4, "uid-1-1")), (3, 2, 2));
    let mark = ledger.mark();
    ledger.node_lost("node-1");
    for instance in 0..4 {
        ledger.record(Instant::now(), Change::Modified, ending(instance));
    }
    assert_eq!(most_ended(ledger.since(mark, "ns", "web"), 4, |_| false), 0, "on a lost node");
}

#[test]
fn what_is_touched_is_told_from_what_is_adopted() {
    let mut ledger = Ledger::default();
    started(&mut ledger, &pod(0, 1, "a"));
    let mark = ledger.mark();
    ledger.record(Instant::now(), Change::Modified, Facts { flaps: 1, ..pod(0, 1, "a") });
    assert!(ledger.touched(mark, "ns").is_empty());
    ledger.record(Instant::now(), Change::Modified, Facts { generation: 2, ..pod(0, 1, "a") });
    ledger.record(Instant::now(), Change::Deleted, pod(0, 1, "a"));
    assert_eq!(ledger.touched(mark, "ns").len(), 2);
}

#[test]
fn what_is_gone_after_a_gap_is_noticed() {
    let mut ledger = Ledger::default();
    started(&mut ledger, &pod(0, 1, "a"));
    ledger.reconcile(Instant::now(), vec![pod(0, 2, "a")]);
    assert!(ledger.violations("ns").is_empty());
    assert_eq!(ledger.pods("ns").len(), 1);
}

#[test]
fn groups_are_told_apart_and_a_group_begun_too_early_is_an_error() {
    let mut ledger = Ledger::default();
    for instance in 0..4 {
        started(&mut ledger, &pod(instance, 1, "a"));
    }
    let mark = ledger.mark();
    for first in [0, 2] {
        for instance in [first, first + 1] {
            ledger.record(Instant::now(), Change::Modified, Facts { ending: true, ..pod(instance, 1, "a") });
        }
        for instance in [first, first + 1] {
            started(&mut ledger, &pod(instance, 2, "b"));
        }
    }
    assert_eq!(groups(ledger.since(mark, "ns", "web"), "b"), Ok(vec![vec![0, 1], vec![2, 3]]));

    let mut hasty = Ledger::default();
    hasty.record(Instant::now(), Change::Modified, Facts { ending: true, ..pod(0, 1, "a") });
    hasty.record(Instant::now(), Change::Modified, Facts { ending: true, ..pod(1, 1, "a") });
    started(&mut hasty, &pod(0, 2, "b"));
    hasty.record(Instant::now(), Change::Modified, Facts { ending: true, ..pod(2, 1, "a") });
    assert!(groups(hasty.since(Ledger::default().mark(), "ns", "web"), "b").is_err());
}

#[test]
fn the_time_between_an_end_and_the_next_run_is_measured() {
    let mut ledger = Ledger::default();
    let begin = Instant::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    ledger.record(at(0), Change::Added, pod(0, 1, "a"));
    ledger.record(at(2), Change::Modified, Facts { phase: "Failed".into(), ..pod(0, 1, "a") });
    ledger.record(
        at(3),
        Change::Modified,
        Facts { phase: "Failed".into(), live_label: false, ..pod(0, 1, "a") },
    );
    ledger.record(at(7), Change::Added, Facts { flaps: 1, ..pod(0, 2, "a") });
    let runs = runs(ledger.since(Ledger::default().mark(), "ns", "web"), 0);
    assert_eq!(runs.iter().map(|run| (run.run, run.flaps)).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
    assert_eq!(runs[1].held, Some(Duration::from_secs(5)));
}
