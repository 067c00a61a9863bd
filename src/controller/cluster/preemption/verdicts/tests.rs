use borealis_core::model::{Demand, JobKind, Labels, Owner};

use super::*;
use crate::{index::Index, metrics::Metrics};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn claim(uid: u128, name: &str, role: &str) -> Claim {
    let owner = Owner {
        namespace: role.into(),
        role: role.into(),
        job: "web".into(),
        ours: Some(JobKind::Service),
        tier: None,
        priority: 0,
        rank: 0,
        preempts_natively: false,
        labels: Arc::new(Labels::new()),
    };
    Claim {
        uid: Uid::new(uid),
        name: name.into(),
        version: 1,
        demand: Arc::new(Demand::default()),
        owner: Arc::new(owner),
        created: NOW,
        started: None,
        node: None,
        nominated: None,
        unschedulable: Some(NOW),
        ends: None,
        slot: None,
    }
}

/// Three instances of `web` wait in role `a`; one Pod of that role and one of another may have to leave.
fn board() -> Board {
    let mut board = Board::new();
    for (uid, instance) in [(1, 0), (2, 1), (3, 4)] {
        board.set_claim(claim(uid, &format!("web-{instance}-1"), "a"));
    }
    board.set_claim(claim(8, "mine", "a"));
    board.set_claim(claim(9, "theirs", "b"));
    board
}

fn table() -> Verdicts {
    Verdicts::new(Index::new(Metrics::default(), |_| ()).changes())
}

fn kept(node: &str) -> Verdict {
    let victims = vec![Uid::new(8), Uid::new(9)];
    Verdict::Kept { node: node.into(), waits: WaitsFor::Budget, victims }
}

fn put(table: &Verdicts, board: &Board, new: Vec<(u128, Verdict)>) -> usize {
    table.put(board, new.into_iter().map(|(uid, it)| (Uid::new(uid), it)).collect()).len()
}

fn said(table: &Verdicts, board: &Board) -> Vec<(String, String)> {
    let by_job = table.by_job(board);
    by_job.into_values().flatten().map(|it| (it.instances.to_string(), it.words)).collect()
}

#[test]
fn pods_of_a_job_are_put_together_and_no_other_role_is_named() {
    let (table, board) = (table(), board());
    put(&table, &board, vec![(1, kept("n1")), (2, kept("n1")), (3, Verdict::Frozen)]);
    let frozen = "nobody ends for it while the cluster is frozen";
    let kept = "a disruption budget keeps some of 2 Pods (among them mine) on node n1";
    assert_eq!(said(&table, &board), [("4".into(), frozen.into()), ("0-1".into(), kept.into())]);
}

#[test]
fn times_and_nodes_are_told() {
    let (table, board) = (table(), board());
    let until = Timestamp::from_second(90).unwrap();
    let failed = |node: &str| Verdict::Backoff { until, node: node.into(), why: SlotFailure::Taken };
    let cases = [
        (Verdict::Early(until), "its tier lets it wait until 1970-01-01T00:01:30Z before others end for it"),
        (
            Verdict::Limited(until),
            "its role has had as many victims in a minute as it may; more at 1970-01-01T00:01:30Z",
        ),
        (
            Verdict::Behind(Uid::new(9)),
            "a Pod that ranks higher waits and would take the room: it comes first",
        ),
        (
            failed("n1"),
            "the room kept on node n1 was taken by another Pod; other room is looked for at 1970-01-01T00:01:30Z",
        ),
    ];
    for (verdict, expected) in cases {
        put(&table, &board, vec![(1, verdict)]);
        assert_eq!(said(&table, &board), [("0".into(), expected.to_owned())]);
    }
    put(&table, &board, vec![(2, failed("n2"))]);
    assert!(said(&table, &board)[0].1.starts_with("the room kept on 2 nodes was taken"));
}

#[test]
fn only_what_is_other_than_before_is_news_and_wakes_the_reader() {
    let index = Index::new(Metrics::default(), |_| ());
    let reader = index.changes();
    let woken = || futures::FutureExt::now_or_never(reader.woken().notified()).is_some();
    let (table, mut board) = (Verdicts::new(Arc::clone(&reader)), board());
    assert!(woken(), "it begins with everything to look at");
    assert_eq!(put(&table, &board, vec![(1, Verdict::Early(NOW))]), 1);
    assert!(woken());
    assert_eq!(put(&table, &board, vec![(1, Verdict::Early(Timestamp::MAX))]), 0, "it is as early as before");
    assert!(!woken());
    assert_eq!(put(&table, &board, vec![(1, Verdict::Frozen)]), 1);
    board.remove_claim(Uid::new(1));
    put(&table, &board, vec![]);
    assert_eq!(said(&table, &board), []);
    assert!(table.all.lock().unwrap().is_empty(), "it waits no more");
}
