use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::SignedDuration;
use proptest::prelude::*;

use super::naive::{World, worlds};
use crate::{
    admit::{
        Ask, Board, Budgets, Cost, Decision, Given, Group, Loss, NoBudgets, NoPreemptor, Outcome, Rule,
        Spared, Veto, Why, may_preempt, preemptor, search,
        testing::{NOW, demand, host, owner, pending, running, tier},
    },
    model::{Beside, Claim, Demand, Host, NodeId, Owner, Resources, Uid},
};

/// Budgets by uid: of every group so many may go, and some Pods never.
#[derive(Debug, Clone)]
struct ByUid {
    allowances: [u32; 2],
    kept: Option<u128>,
}

impl Budgets for ByUid {
    fn group(&self, claim: &Claim) -> Result<Option<Group>, Arc<str>> {
        let number = (2..40).find(|number| Uid::new(*number) == claim.uid).unwrap();
        if self.kept.is_some_and(|kept| number % 5 == kept) {
            return Err("kept".into());
        }
        Ok([None, Some(Group(0)), Some(Group(1))][number as usize % 3])
    }

    fn allowance(&self, group: Group) -> u32 {
        self.allowances[group.0 as usize]
    }
}

/// What every way to have a Pod placed, tried one after the other, comes to.
#[derive(Debug, PartialEq, Eq)]
enum Best {
    Fits,
    Wait,
    Slot(Cost, NodeId),
    NoRoom,
}

fn brute_force(
    world: &World,
    asks: &Claim,
    leaving: &BTreeSet<Uid>,
    used: &BTreeMap<Group, u32>,
    budgets: &ByUid,
) -> Best {
    let left: Vec<Uid> = leaving.iter().copied().collect();
    let tier = preemptor(&asks.owner).unwrap();
    if world.hosts.iter().any(|host| world.fits(asks, host, &[], true)) {
        return Best::Fits;
    }
    let mut best: Option<(Cost, NodeId)> = None;
    for host in &world.hosts {
        let may = |claim: &&Claim| {
            claim.node == Some(host.id)
                && !leaving.contains(&claim.uid)
                && may_preempt(&asks.owner, tier, claim, NOW).is_ok()
                && budgets.group(claim).is_ok()
        };
        let candidates: Vec<&Claim> = world.claims.iter().filter(may).collect();
        for set in 0..1u32 << candidates.len() {
            let set: Vec<&Claim> = candidates
                .iter()
                .enumerate()
                .filter(|(at, _)| set & (1 << at) != 0)
                .map(|(_, claim)| *claim)
                .collect();
            let mut spent = used.clone();
            for group in set.iter().filter_map(|claim| budgets.group(claim).unwrap()) {
                *spent.entry(group).or_default() += 1;
            }
            if spent.iter().any(|(group, spent)| *spent > budgets.allowance(*group)) {
                continue;
            }
            let mut losses: Vec<Loss> = set.iter().map(|claim| Loss::of(claim)).collect();
            losses.sort_by(|one, other| other.cmp(one));
            let cost = (Cost { victims: set.len(), losses }, host.id);
            if best.as_ref().is_some_and(|best| *best <= cost) {
                continue;
            }
            let without: Vec<Uid> = left.iter().copied().chain(set.iter().map(|claim| claim.uid)).collect();
            if world.fits(asks, host, &without, false) {
                best = Some(cost);
            }
        }
    }
    match best {
        None => Best::NoRoom,
        Some((cost, _)) if cost.victims == 0 => Best::Wait,
        Some((cost, host)) => Best::Slot(cost, host),
    }
}

fn budgets() -> impl Strategy<Value = ByUid> {
    (0..4u32, 0..4u32, prop::option::weighted(0.3, 0..5u128))
        .prop_map(|(one, other, kept)| ByUid { allowances: [one, other], kept })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    /// Each decision, one after the other, is the best of all there are: fewest victims, least losses, first node.
    #[test]
    fn every_decision_is_the_best_there_is(
        world in worlds(11),
        budgets in budgets(),
        leaving in prop::collection::btree_set(2..12u128, 0..2),
    ) {
        let bound = |uid: &Uid| world.claims.iter().any(|claim| claim.uid == *uid && claim.node.is_some() && claim.ends.is_none());
        let mut leaving: BTreeSet<Uid> = leaving.into_iter().map(Uid::new).filter(bound).collect();
        let (mut world, mut used) = (world.clone(), BTreeMap::<Group, u32>::new());
        let board = world.board();
        let asks: Vec<Ask> = world.claims.iter().filter(|claim| claim.node.is_none()).map(|claim| Ask::of(claim.uid)).collect();
        let given = Given { board: &board, budgets: &budgets, leaving: &leaving.clone(), now: NOW };
        let decisions = search(&given, &asks);
        prop_assert_eq!(decisions.len(), asks.len());
        for decision in decisions {
            let claim = world.claims.iter().find(|claim| claim.uid == decision.claim).unwrap().clone();
            let expected = brute_force(&world, &claim, &leaving, &used, &budgets);
            let found = match &decision.outcome {
                Outcome::Fits { host } => {
                    let host = world.hosts.iter().find(|other| other.id == *host).unwrap();
                    prop_assert!(world.fits(&claim, host, &[], true));
                    Best::Fits
                }
                Outcome::Wait { host, leaving: waits, .. } => {
                    let host = world.hosts.iter().find(|other| other.id == *host).unwrap();
                    let left: Vec<Uid> = leaving.iter().copied().collect();
                    prop_assert!(world.fits(&claim, host, &left, false));
                    let leaves = |uid: &Uid| leaving.contains(uid)
                        || world.claims.iter().any(|claim| claim.uid == *uid && claim.ends.is_some());
                    prop_assert!(waits.iter().all(leaves), "{:?}", waits);
                    Best::Wait
                }
                Outcome::Slot { host, victims, cost, proven } => {
                    let on = world.hosts.iter().find(|other| other.id == *host).unwrap();
                    let victim = |uid: &Uid| world.claims.iter().find(|claim| claim.uid == *uid).unwrap();
                    let mut losses: Vec<Loss> = victims.iter().map(|one| Loss::of(victim(&one.uid))).collect();
                    losses.sort_by(|one, other| other.cmp(one));
                    prop_assert_eq!(&Cost { victims: victims.len(), losses }, cost);
                    let without: Vec<Uid> = leaving.iter().copied().chain(victims.iter().map(|one| one.uid)).collect();
                    prop_assert!(world.fits(&claim, on, &without, false));
                    for one in victims {
                        let of = victim(&one.uid);
                        prop_assert_eq!(of.node, Some(*host));
                        prop_assert_eq!(may_preempt(&claim.owner, preemptor(&claim.owner).unwrap(), of, NOW), Ok(one.rule));
                        prop_assert_eq!(budgets.group(of), Ok(one.group));
                        prop_assert!(!leaving.contains(&one.uid), "a victim twice");
                    }
                    prop_assert!(*proven);
                    Best::Slot(cost.clone(), *host)
                }
                Outcome::NoRoom { vetoes, .. } => {
                    prop_assert_eq!(vetoes.hosts as usize, world.hosts.len());
                    Best::NoRoom
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(found, expected, "{:?}", claim);
            for other in &decision.rejected {
                if let (Why::Cost(other), Outcome::Slot { cost, .. }) = (&other.why, &decision.outcome) {
                    prop_assert!(other >= cost);
                }
            }
            // From now on room is kept for it, and its victims leave.
            leaving.extend(decision.outcome.victims().iter().map(|victim| victim.uid));
            for group in decision.outcome.victims().iter().filter_map(|victim| victim.group) {
                *used.entry(group).or_default() += 1;
            }
            if let Some(host) = decision.outcome.host() {
                let claim = world.claims.iter_mut().find(|claim| claim.uid == decision.claim).unwrap();
                claim.nominated = Some(host);
            }
        }
    }
}

fn batch(role: &str, priority: i32) -> Arc<Owner> {
    Arc::new(owner(&tier(true, false), role, priority))
}

fn production() -> Arc<Owner> {
    Arc::new(owner(&tier(false, false), "shop", 0))
}

/// A board of nodes with 1,000 thousandths of a CPU and these Pods.
fn full(hosts: u32, claims: impl IntoIterator<Item = Claim>) -> Board {
    let mut board = Board::new();
    (0..hosts).for_each(|id| {
        board.set_host(host(id, 1_000));
    });
    claims.into_iter().for_each(|claim| {
        board.set_claim(claim);
    });
    board
}

fn cpu(milli: i64) -> Arc<Demand> {
    Arc::new(demand(milli))
}

fn decide(board: &Board, asks: &[u128]) -> Vec<Decision> {
    let asks: Vec<Ask> = asks.iter().map(|uid| Ask::of(Uid::new(*uid))).collect();
    search(&Given { board, budgets: &NoBudgets, leaving: &BTreeSet::new(), now: NOW }, &asks)
}

/// The node and the victims of a slot.
fn slot(decision: &Decision) -> (u32, Vec<u128>) {
    let Outcome::Slot { host, victims, .. } = &decision.outcome else { panic!("{decision:?}") };
    let number = |uid: Uid| (0..1_000).find(|number| Uid::new(*number) == uid).unwrap();
    (host.0, victims.iter().map(|victim| number(victim.uid)).collect())
}

#[test]
fn fewest_then_lowest_tier_then_lowest_priority_then_youngest() {
    let revocable = |priority| Arc::new(owner(&tier(true, true), "a", priority));
    let aged =
        |claim: Claim, minutes| Claim { started: Some(NOW - SignedDuration::from_mins(minutes)), ..claim };
    let asks = pending(1, &production(), &cpu(1_000));
    let mut claims =
        vec![asks, running(20, &revocable(0), &cpu(500), 0), running(21, &revocable(0), &cpu(500), 0)];
    let mut best = |claim: Claim| {
        let hosts = claim.node.map_or(0, |node| node.0) + 1;
        claims.push(claim);
        slot(&decide(&full(hosts, claims.iter().cloned()), &[1]).remove(0))
    };
    assert_eq!(
        best(running(30, &batch("a", 9), &cpu(500), 1)),
        (1, vec![30]),
        "one rather than two of a lower tier"
    );
    assert_eq!(best(running(40, &revocable(5), &cpu(800), 2)), (2, vec![40]), "a lower tier");
    assert_eq!(best(aged(running(50, &revocable(4), &cpu(500), 3), 300)), (3, vec![50]), "a lower priority");
    assert_eq!(best(aged(running(60, &revocable(4), &cpu(500), 4), 299)), (4, vec![60]), "a younger one");
}

#[test]
fn no_more_go_than_it_takes_and_the_next_best_are_told() {
    let pods = (0..30).map(|number| {
        running(10 + u128::from(number), &batch("a", 0), &cpu(100 + 10 * i64::from(number / 10)), number / 10)
    });
    let board = full(3, pods.chain([pending(1, &production(), &cpu(220))]));
    let decision = decide(&board, &[1]).remove(0);
    let (host, victims) = slot(&decision);
    assert_eq!(
        (host, victims.len()),
        (0, 3),
        "the first node, though not a bit of room is lost on the second"
    );
    let board = full(3, board.claims().cloned().chain([pending(2, &production(), &cpu(200))]));
    let decision = decide(&board, &[2]).remove(0);
    assert_eq!(slot(&decision).1.len(), 2);
    let rejected: Vec<_> = decision.rejected.iter().map(|other| other.host.0).collect();
    assert_eq!(rejected, [1, 2]);
}

#[test]
fn what_fits_or_will_fit_costs_nobody() {
    let ends =
        |claim: Claim, seconds| Claim { ends: Some(NOW + SignedDuration::from_secs(seconds)), ..claim };
    let (asks, big) = (pending(1, &production(), &cpu(1_000)), cpu(600));
    let mut claims = vec![
        asks,
        ends(running(10, &batch("a", 0), &big, 0), 90),
        ends(running(11, &batch("a", 0), &cpu(400), 0), 30),
        running(12, &batch("a", 0), &big, 1),
    ];
    let board = |claims: &[Claim]| full(2, claims.iter().cloned());
    let waits = |leaving: &[u128], until| Outcome::Wait {
        host: NodeId(0),
        leaving: leaving.iter().map(|uid| Uid::new(*uid)).collect(),
        until: Some(NOW + SignedDuration::from_secs(until)),
    };
    assert_eq!(decide(&board(&claims), &[1])[0].outcome, waits(&[11, 10], 90));
    claims[0].demand = cpu(400);
    assert_eq!(decide(&board(&claims), &[1])[0].outcome, Outcome::Fits { host: NodeId(1) });
    claims[0].demand = cpu(401);
    claims.push(running(13, &batch("a", 0), &cpu(400), 1));
    assert_eq!(decide(&board(&claims), &[1])[0].outcome, waits(&[11, 10], 90));
    claims[1] = ends(claims[1].clone(), -61);
    claims[0].demand = cpu(500);
    assert_eq!(
        slot(&decide(&board(&claims), &[1])[0]),
        (1, vec![12]),
        "what should be gone is not waited for"
    );
}

#[test]
fn victims_of_a_slot_that_stands_are_as_good_as_gone_and_nobodys_any_more() {
    let board = full(
        1,
        [
            running(10, &batch("a", 0), &cpu(600), 0),
            running(11, &batch("a", 0), &cpu(400), 0),
            pending(1, &production(), &cpu(500)),
            Claim { nominated: Some(NodeId(0)), ..pending(2, &production(), &cpu(100)) },
        ],
    );
    let leaving = BTreeSet::from([Uid::new(10)]);
    let given = Given { board: &board, budgets: &NoBudgets, leaving: &leaving, now: NOW };
    let found = search(&given, &[Ask::of(Uid::new(1))]).remove(0).outcome;
    assert_eq!(found, Outcome::Wait { host: NodeId(0), leaving: vec![Uid::new(10)], until: None });
    assert_eq!(slot(&decide(&board, &[1])[0]), (0, vec![10]));
}

#[test]
fn why_there_is_no_room_is_told() {
    let young = |uid, seconds| Claim {
        started: Some(NOW - SignedDuration::from_secs(seconds)),
        ..running(uid, &batch("a", 0), &cpu(300), 0)
    };
    let board = full(
        1,
        [
            pending(1, &production(), &cpu(500)),
            young(10, 20),
            young(11, 50),
            running(12, &production(), &cpu(200), 0),
            running(13, &batch("a", 0), &cpu(100), 0),
        ],
    );
    let kept = ByUid { allowances: [9, 9], kept: Some(3) };
    let given = Given { board: &board, budgets: &kept, leaving: &BTreeSet::new(), now: NOW };
    let decision = search(&given, &[Ask::of(Uid::new(1))]).remove(0);
    let Outcome::NoRoom { vetoes, spared, kept } = decision.outcome else { panic!("{decision:?}") };
    assert_eq!((vetoes.hosts, vetoes.fitting), (1, 0));
    let until = NOW + SignedDuration::from_secs(10);
    assert_eq!(spared, [(Spared::Young { until }, 2), (Spared::Priority, 1)]);
    assert_eq!(kept, [("kept".into(), 1)]);
    let veto = Why::Vetoes(vec![Veto::Insufficient("cpu".into())]);
    assert_eq!(decision.rejected.iter().map(|other| other.why.clone()).collect::<Vec<_>>(), [veto]);
}

#[test]
fn nobody_is_evicted_for_what_can_not_be_told_to_fit_or_is_not_ours() {
    let unknown = Arc::new(Demand { unknown: Some("spec.volumes"), ..demand(500) });
    let native = Arc::new(Owner { preempts_natively: true, ..(*production()).clone() });
    let board = full(
        1,
        [
            running(10, &batch("a", 0), &cpu(1_000), 0),
            pending(1, &production(), &unknown),
            pending(2, &native, &cpu(500)),
            pending(3, &Arc::new(Owner { tier: None, ..(*native).clone() }), &cpu(500)),
            Claim { ends: Some(NOW), ..pending(4, &production(), &cpu(500)) },
        ],
    );
    let found: Vec<_> =
        decide(&board, &[1, 2, 3, 4, 5, 10]).into_iter().map(|decision| decision.outcome).collect();
    let expected = [
        Outcome::Unknown("spec.volumes"),
        Outcome::NotOurs(NoPreemptor::Native),
        Outcome::NotOurs(NoPreemptor::NoTier),
    ];
    assert_eq!(found, expected);
}

#[test]
fn of_many_each_gets_room_of_its_own() {
    let batch_work =
        (0..4).map(|number| running(10 + u128::from(number), &batch("a", 0), &cpu(1_000), number));
    let asks = (1..4).map(|uid| pending(uid, &production(), &cpu(500)));
    let decisions = decide(&full(4, batch_work.chain(asks)), &[1, 2, 3]);
    assert_eq!(slot(&decisions[0]), (0, vec![10]));
    let beside = Outcome::Wait { host: NodeId(0), leaving: vec![Uid::new(10)], until: None };
    assert_eq!(decisions[1].outcome, beside, "half of the first victim's room is left");
    assert_eq!(slot(&decisions[2]), (1, vec![11]));
}

#[test]
fn a_roles_places_in_line_go_to_its_most_important_pods() {
    let older = |uid, owner: &Arc<Owner>, minutes: i64| Claim {
        created: NOW - SignedDuration::from_mins(minutes),
        ..pending(uid, owner, &cpu(1_000))
    };
    let board = full(
        1,
        [
            older(1, &batch("a", 0), 50),
            older(2, &batch("b", 7), 40),
            older(3, &batch("a", 5), 30),
            older(4, &production(), 20),
        ],
    );
    let order: Vec<Uid> = decide(&board, &[1, 2, 3, 4]).iter().map(|decision| decision.claim).collect();
    assert_eq!(order, [4, 3, 2, 1].map(Uid::new));
}

#[test]
fn a_node_that_did_not_work_out_is_avoided() {
    let board = full(
        2,
        [
            running(10, &batch("a", 0), &cpu(1_000), 0),
            running(11, &batch("a", 1), &cpu(1_000), 1),
            pending(1, &production(), &cpu(500)),
            pending(2, &production(), &cpu(600)),
        ],
    );
    let ask = Ask { claim: Uid::new(1), avoid: vec![NodeId(0)] };
    let given = Given { board: &board, budgets: &NoBudgets, leaving: &BTreeSet::new(), now: NOW };
    let decisions = search(&given, &[ask, Ask::of(Uid::new(2))]);
    assert_eq!([slot(&decisions[0]), slot(&decisions[1])], [(1, vec![11]), (0, vec![10])]);
    let nowhere = Ask { claim: Uid::new(1), avoid: vec![NodeId(0), NodeId(1)] };
    let Outcome::NoRoom { vetoes, .. } = &search(&given, &[nowhere])[0].outcome else { panic!() };
    assert_eq!(vetoes.hosts, 0, "nodes that are avoided don't count");
}

#[test]
fn within_a_role_the_higher_priority_gets_room() {
    let board = full(
        1,
        [
            running(10, &batch("a", 1), &cpu(500), 0),
            running(11, &batch("b", 0), &cpu(500), 0),
            pending(1, &batch("a", 2), &cpu(500)),
        ],
    );
    let decision = decide(&board, &[1]).remove(0);
    assert_eq!(slot(&decision), (0, vec![10]), "nobody of another role");
    assert_eq!(decision.outcome.victims()[0].rule, Rule::Priority);
}

#[test]
fn where_the_last_of_a_rack_leaves_others_may_come() {
    let labelled = |id| {
        let plain = host(id, 1_000);
        let mut labels = (*plain.labels).clone();
        labels.insert("rack".into(), "r".into());
        Host { labels: Arc::new(labels), ..plain }
    };
    let beside = Beside { key: "rack".into(), selector: vec![], namespaces: vec!["a".into()] };
    let apart = Arc::new(Demand { apart: vec![beside], ..demand(500) });
    let mut board = Board::new();
    [labelled(0), labelled(1)].into_iter().for_each(|host| {
        board.set_host(host);
    });
    let pods = [
        running(10, &batch("a", 0), &cpu(900), 0),
        running(11, &batch("b", 0), &cpu(900), 1),
        pending(1, &production(), &apart),
    ];
    pods.into_iter().for_each(|claim| {
        board.set_claim(claim);
    });
    assert_eq!(slot(&decide(&board, &[1])[0]), (0, vec![10]), "only there all foes of the rack can go");
    board.set_host(Host {
        allocatable: Resources { cpu_milli: 400, ..host(0, 0).allocatable },
        ..labelled(0)
    });
    assert!(matches!(decide(&board, &[1])[0].outcome, Outcome::NoRoom { .. }), "victims are of one node");
}
