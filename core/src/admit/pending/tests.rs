use super::*;
use crate::{
    admit::testing::{NOW, demand, host, owner, pending, running, tier},
    model::{Host, NodeId, Slot, Taint},
};

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

fn named(claim: Claim, name: &str) -> Claim {
    Claim { name: name.into(), ..claim }
}

fn tainted(id: u32, key: &str) -> Host {
    let taint = Taint { key: key.into(), value: "".into(), effect: crate::model::Effect::NoSchedule };
    Host { taints: Arc::new([taint]), ..host(id, 64_000) }
}

/// Looks at all that is due, and says why whom waits.
fn explained(explainer: &mut Explainer, board: &Board, at: i64) -> BTreeMap<Job, Waiting> {
    let now = NOW + seconds(at);
    for sample in explainer.begin(board, true, now) {
        explainer.look(board, sample, now);
    }
    explainer.report(board)
}

fn texts(report: &BTreeMap<Job, Waiting>) -> Vec<(String, u32, String, String)> {
    let of = |(job, waiting): (&Job, &Waiting)| -> Vec<_> {
        let groups = waiting.groups.iter();
        groups
            .map(|group| {
                let words = format!("{}{}", group.topic, group.detail);
                (job.name.to_string(), group.count, group.instances.to_string(), words)
            })
            .collect()
    };
    report.iter().flat_map(of).collect()
}

/// Three nodes of one CPU, one of which is full, and one that is dedicated.
fn board() -> Board {
    let mut board = Board::new();
    for id in 1..4 {
        board.set_host(host(id, 1_000));
    }
    board.set_host(tainted(4, "borealis.dev/dedicated"));
    let (owner, demand) = (Arc::new(owner(&tier(true, false), "b", 0)), Arc::new(demand(1_000)));
    board.set_claim(running(1, &owner, &demand, 1));
    board
}

#[test]
fn pods_of_a_job_are_grouped_by_what_keeps_them_off_the_nodes() {
    let mut board = board();
    let mine = Arc::new(owner(&tier(false, false), "a", 0));
    let (large, small) = (Arc::new(demand(2_000)), Arc::new(demand(500)));
    for (uid, instance) in [(10, 0), (11, 1), (12, 7)] {
        board.set_claim(named(pending(uid, &mine, &large), &format!("job-{instance}-1")));
    }
    board.set_claim(named(pending(13, &mine, &small), "job-3-12"));
    let unseen = Claim { unschedulable: None, ..named(pending(14, &mine, &large), "job-8-1") };
    board.set_claim(unseen);
    let foreign = Arc::new(Owner { ours: None, job: "Job/etl".into(), ..owner(&tier(true, false), "a", 0) });
    board.set_claim(named(pending(15, &foreign, &large), "etl-0-x"));
    let report = explained(&mut Explainer::default(), &board, 0);
    let large = "Insufficient cpu on 3 of 4 nodes, Host is dedicated on 1";
    let text = |job: &str, count, instances: &str, words: &str| {
        (job.to_owned(), count, instances.to_owned(), words.to_owned())
    };
    assert_eq!(
        texts(&report),
        [
            text("Job/etl", 1, "", large),
            text("job", 3, "0-1,7", large),
            text("job", 1, "3", "The scheduler has not placed it yet, and all else fits on 2 of 4 nodes"),
        ]
    );
    let group = &report.values().nth(1).unwrap().groups[0];
    assert_eq!(group.reason, PendingReason::InsufficientResources);
    assert_eq!((group.names.len(), group.since), (3, NOW - seconds(60)));
    assert_eq!(group.vetoes.as_ref().unwrap().hosts, 4);
}

#[test]
fn what_many_have_in_common_is_looked_at_once_and_again_only_after_a_while() {
    let mut board = board();
    let (mine, large) = (Arc::new(owner(&tier(false, false), "a", 0)), Arc::new(demand(2_000)));
    for uid in 0..1_000 {
        board.set_claim(pending(100 + uid, &mine, &large));
    }
    let mut explainer = Explainer::default();
    let due = explainer.begin(&board, true, NOW);
    assert_eq!(due.len(), 1);
    assert!(explainer.report(&board).is_empty(), "nothing was found yet");
    explainer.look(&board, due[0], NOW);
    assert_eq!(texts(&explainer.report(&board))[0].1, 1_000);
    assert_eq!(explainer.begin(&board, false, NOW + seconds(60)), [], "nothing has changed");
    assert_eq!(
        (explainer.begin(&board, true, NOW + seconds(4)), explainer.next()),
        (vec![], Some(NOW + seconds(5)))
    );
    // It was remembered that something had.
    assert_eq!(explainer.begin(&board, false, NOW + seconds(5)).len(), 1);
    let other = Arc::new(demand(3_000));
    board.set_claim(pending(50, &mine, &other));
    let due = explainer.begin(&board, false, NOW + seconds(6));
    assert_eq!((due.len(), due[0]), (2, Uid::new(50)), "new ones first");
    for uid in 0..1_000 {
        board.remove_claim(Uid::new(100 + uid));
    }
    assert_eq!(explainer.begin(&board, true, NOW + seconds(7)).len(), 1);
    assert_eq!(explainer.known.len(), 1, "nobody waits with the other one any more");
}

#[test]
fn what_keeps_off_is_said_as_it_is_now() {
    let mut board = board();
    let (mine, large) = (Arc::new(owner(&tier(false, false), "a", 0)), Arc::new(demand(2_000)));
    board.set_claim(named(pending(10, &mine, &large), "job-0-1"));
    let mut explainer = Explainer::default();
    let words = |report| texts(&report)[0].3.clone();
    assert!(words(explained(&mut explainer, &board, 0)).starts_with("Insufficient cpu on 3 of 4"));
    for id in 1..4 {
        board.remove_host(NodeId(id));
    }
    assert!(
        words(explained(&mut explainer, &board, 4)).starts_with("Insufficient cpu"),
        "that was found just now"
    );
    assert_eq!(words(explained(&mut explainer, &board, 5)), "Host is dedicated on 1 of 1 nodes");
    board.remove_host(NodeId(4));
    assert_eq!(words(explained(&mut explainer, &board, 10)), "There are no nodes");
    let volumes = Arc::new(Demand { unknown: Some("a volume claim"), ..demand(10) });
    board.set_claim(named(pending(10, &mine, &volumes), "job-0-1"));
    board.set_host(host(1, 9_000));
    let said = words(explained(&mut explainer, &board, 15));
    assert_eq!(said, "Only the scheduler can place a volume claim, and all else fits on 1 of 1 nodes");
}

#[test]
fn those_who_leave_are_named_within_their_role_only() {
    let mut board = board();
    let (mine, large) = (Arc::new(owner(&tier(false, false), "a", 0)), Arc::new(demand(2_000)));
    let low = Arc::new(owner(&tier(true, false), "a", 0));
    board.set_claim(named(running(2, &low, &large, 2), "batch-0-1"));
    let waits = |uid, instance: u32, node: &str, victims: &[u128]| {
        let victims = victims.iter().copied().map(Uid::new).collect();
        let held = Held { node: node.into(), since: NOW, victims, asserted: 0 };
        let slot = Slot { held: Some(held), ..Slot::default() };
        let claim = Claim { slot: Some(Box::new(slot)), unschedulable: None, ..pending(uid, &mine, &large) };
        named(claim, &format!("job-{instance}-1"))
    };
    board.set_claim(waits(10, 4, "n1", &[1]));
    let words = |board: &Board| texts(&explained(&mut Explainer::default(), board, 0))[0].clone();
    let said = words(&board);
    assert_eq!((said.2.as_str(), said.3.as_str()), ("4", "Waiting for Pods to leave on node n1: 1 Pod"));
    board.set_claim(waits(11, 5, "n2", &[2, 99]));
    let said = words(&board);
    assert_eq!(said.3, "Waiting for Pods to leave on 2 nodes: 2 Pods, among them batch-0-1");
    assert_eq!((said.1, said.2.as_str()), (2, "4-5"));
    for uid in [1, 2] {
        board.remove_claim(Uid::new(uid));
    }
    assert_eq!(words(&board).3, "Room is kept on 2 nodes");
}
