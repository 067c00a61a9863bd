use std::sync::Arc;

use proptest::prelude::*;

use super::naive::worlds;
use crate::{
    admit::{
        Board, DEDICATED, UNSCHEDULABLE, Veto, Vetoes,
        testing::{demand, host, owner, pending, running, tier},
        vetoes,
    },
    model::{Beside, Claim, Demand, Effect, Host, HostPort, Labels, NodeId, Owner, Resources, Spread, Taint},
};

fn batch() -> Arc<Owner> {
    Arc::new(owner(&tier(true, false), "a", 0))
}

/// Nodes in racks of two, with 1,000 thousandths of a CPU each.
fn racks(count: u32) -> Board {
    let mut board = Board::new();
    for id in 0..count {
        let plain = host(id, 1_000);
        let mut labels = (*plain.labels).clone();
        labels.insert("rack".into(), format!("r{}", id / 2).into());
        board.set_host(Host { labels: Arc::new(labels), ..plain });
    }
    board
}

fn words(board: &Board, claim: &Claim) -> Vec<(String, u32)> {
    vetoes(board, claim).counts.iter().map(|count| (count.veto.to_string(), count.hosts)).collect()
}

fn pod(demand: Demand) -> Claim {
    pending(1, &batch(), &Arc::new(demand))
}

#[test]
fn the_nearest_fit_is_told_first() {
    let mut board = racks(6);
    let taint =
        |key: &str| Arc::new([Taint { key: key.into(), value: "".into(), effect: Effect::NoSchedule }]);
    board.set_host(Host { taints: taint(UNSCHEDULABLE), ..host(4, 1_000) });
    board.set_host(Host { taints: taint(DEDICATED), ..host(5, 1_000) });
    for (uid, node, cpu) in [(10, 0, 900), (11, 1, 300), (12, 2, 900), (13, 3, 900)] {
        board.set_claim(running(uid, &batch(), &Arc::new(demand(cpu)), node));
    }
    let asks = pod(demand(800));
    let found = vetoes(&board, &asks);
    assert_eq!((found.hosts, found.fitting, found.left_out), (6, 0, 0));
    let told: Vec<_> = found.counts.iter().map(|count| (count.veto.to_string(), count.hosts)).collect();
    let expected = [("Insufficient cpu", 4), ("Host draining for maintenance", 1), ("Host is dedicated", 1)];
    assert_eq!(told, expected.map(|(veto, hosts)| (veto.to_owned(), hosts)));
    let nearest = found.nearest.unwrap();
    assert_eq!((nearest.host, nearest.vetoes), (NodeId(1), vec![Veto::Insufficient("cpu".into())]));
    assert_eq!(nearest.score, 6, "100 of 16,000 thousandths are lacking");
    assert!(nearest.score < found.counts[1].score);

    let found = vetoes(&board, &pod(demand(700)));
    assert_eq!((found.fitting, found.nearest), (1, None));
}

#[test]
fn each_resource_that_is_short_is_told() {
    let mut board = Board::new();
    let extended = |gpus| Some(("nvidia.com/gpu".into(), gpus)).into_iter().collect();
    board.set_host(Host {
        allocatable: Resources { cpu_milli: 1_000, memory: 1 << 30, ephemeral: 0, extended: extended(1) },
        pods: 0,
        ..host(1, 0)
    });
    let requests = Resources { cpu_milli: 2_000, memory: 1 << 31, ephemeral: 0, extended: extended(2) };
    let told = words(&board, &pod(Demand { requests, ..Demand::default() }));
    let mut told: Vec<&str> = told.iter().map(|(veto, _)| &**veto).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        ["Insufficient cpu", "Insufficient memory", "Insufficient nvidia.com/gpu", "Insufficient pods"]
    );
}

#[test]
fn what_is_not_asked_for_may_be_short() {
    let mut board = racks(1);
    board.set_claim(running(10, &batch(), &Arc::new(demand(1_500)), 0));
    assert_eq!(vetoes(&board, &pod(demand(0))).fitting, 1, "as the scheduler has it");
    assert_eq!(words(&board, &pod(demand(1))), [("Insufficient cpu".to_owned(), 1)]);
}

#[test]
fn ports_clash_by_address_and_protocol() {
    let port = |address: Option<&str>, protocol: &str, port| {
        let port = HostPort { address: address.map(Into::into), protocol: protocol.into(), port };
        Demand { host_ports: vec![port], ..Demand::default() }
    };
    let mut board = racks(1);
    board.set_claim(running(10, &batch(), &Arc::new(port(Some("10.0.0.1"), "TCP", 80)), 0));
    for (asks, taken) in [
        (port(Some("10.0.0.1"), "TCP", 80), true),
        (port(None, "TCP", 80), true),
        (port(Some("10.0.0.2"), "TCP", 80), false),
        (port(None, "UDP", 80), false),
        (port(None, "TCP", 81), false),
    ] {
        let expected: &[_] = if taken { &[("Host port taken: 80".to_owned(), 1)] } else { &[] };
        assert_eq!(words(&board, &pod(asks.clone())), expected, "{asks:?}");
    }
}

#[test]
fn room_that_is_kept_is_kept_from_equals_and_lower_ranks() {
    let mut board = racks(1);
    let production = Arc::new(owner(&tier(false, false), "a", 0));
    let nominee = Claim { nominated: Some(NodeId(0)), ..pending(2, &batch(), &Arc::new(demand(600))) };
    board.set_claim(nominee.clone());
    assert_eq!(vetoes(&board, &pod(demand(500))).fitting, 0);
    assert_eq!(vetoes(&board, &pod(demand(400))).fitting, 1);
    assert_eq!(
        vetoes(&board, &pending(1, &production, &Arc::new(demand(500)))).fitting,
        1,
        "not from higher ones"
    );
    assert_eq!(vetoes(&board, &nominee).fitting, 1, "and nobody is in his own way");
}

/// A limit as it is rendered: so many in each rack.
fn limit(max_skew: u32) -> Demand {
    let spread = Spread {
        key: "rack".into(),
        max_skew,
        min_domains: i32::MAX as u32,
        selector: vec![],
        honor_affinity: false,
        honor_taints: false,
    };
    Demand { spread: vec![spread], ..Demand::default() }
}

#[test]
fn a_limit_is_told_as_such_and_a_node_without_the_label_is_none() {
    let mut board = racks(4);
    board.set_host(host(9, 1_000));
    for (uid, node) in [(10, 0), (11, 1), (12, 2)] {
        board.set_claim(running(uid, &batch(), &Arc::new(limit(2)), node));
    }
    let told = words(&board, &pod(limit(2)));
    assert_eq!(
        told,
        [("Limit not satisfied: rack".to_owned(), 2), ("Constraint not satisfied: rack".to_owned(), 1)]
    );
    assert_eq!(vetoes(&board, &pod(limit(2))).fitting, 2);
    let expected = Claim { nominated: Some(NodeId(3)), ..pending(13, &batch(), &Arc::new(limit(2))) };
    board.set_claim(expected);
    assert_eq!(vetoes(&board, &pod(limit(2))).fitting, 0, "one is on its way");
}

#[test]
fn spread_and_affinity_are_told_by_their_label() {
    let mut board = racks(4);
    board.set_claim(running(10, &batch(), &Arc::default(), 0));
    let beside = Beside { key: "rack".into(), selector: vec![], namespaces: vec![] };
    let even = Demand {
        spread: limit(1).spread.into_iter().map(|spread| Spread { min_domains: 1, ..spread }).collect(),
        ..Demand::default()
    };
    let apart = Demand { apart: vec![beside.clone()], ..Demand::default() };
    let with = Demand { beside: vec![beside], ..Demand::default() };
    for (demand, veto) in [
        (even, "Spread not satisfied: rack"),
        (apart.clone(), "Anti-affinity not satisfied: rack"),
        (with, "Affinity not satisfied: rack"),
    ] {
        assert_eq!(words(&board, &pod(demand)), [(veto.to_owned(), 2)]);
    }
    board.set_claim(running(10, &batch(), &Arc::new(apart), 0));
    assert_eq!(words(&board, &pod(Demand::default())), [("Anti-affinity not satisfied: rack".to_owned(), 2)]);
    let elsewhere = Arc::new(owner(&tier(true, false), "b", 0));
    assert_eq!(vetoes(&board, &pending(1, &elsewhere, &Arc::default())).fitting, 4, "another namespace");
}

#[test]
fn no_more_vetoes_are_told_than_are_bounded() {
    let mut board = Board::new();
    for id in 0..40 {
        let taint = Taint { key: format!("t{id}").into(), value: "".into(), effect: Effect::NoExecute };
        board.set_host(Host {
            taints: Arc::new([taint]),
            labels: Arc::new(Labels::new()),
            ..host(id, 1_000)
        });
    }
    let found = vetoes(&board, &pod(demand(1)));
    assert_eq!((found.counts.len(), found.left_out, found.hosts), (Vetoes::MOST, 24, 40));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    /// A node has vetoes when, and only when, the Pod does not fit there by the plainest reading.
    #[test]
    fn it_fits_where_the_plainest_reading_says_so(world in worlds(12)) {
        let (board, asks) = (world.board(), world.asks());
        let fitting = world.hosts.iter().filter(|host| world.fits(asks, host, &[], true)).count();
        let found = vetoes(&board, asks);
        prop_assert_eq!(found.fitting as usize, fitting, "{:?}", found);
        prop_assert_eq!(found.hosts as usize, world.hosts.len());
        prop_assert_eq!(found.nearest.is_none(), fitting > 0);
    }
}
