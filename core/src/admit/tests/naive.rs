//! Small worlds by chance, and the plainest way to say what fits in them: every Pod is looked at for every question, as
//! the documentation of Kubernetes has it. What the real thing finds is held against this.

use std::sync::Arc;

use jiff::SignedDuration;
use proptest::prelude::*;

use crate::{
    admit::{
        Board,
        testing::{NOW, host, owner, pending, tier},
    },
    model::{
        Beside, Claim, Demand, Effect, Host, HostPort, Labels, NodeId, NodeTerm, Owner, Requirement,
        Resources, Spread, Taint, Test, Toleration, Uid,
    },
};

/// Nodes and Pods; the first of them is the one that asks.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) hosts: Vec<Host>,
    pub(super) claims: Vec<Claim>,
}

impl World {
    pub(super) fn board(&self) -> Board {
        let mut board = Board::new();
        self.claims.iter().for_each(|claim| {
            board.set_claim(claim.clone());
        });
        self.hosts.iter().for_each(|host| {
            board.set_host(host.clone());
        });
        board
    }

    pub(super) fn asks(&self) -> &Claim {
        &self.claims[0]
    }

    fn host(&self, id: Option<NodeId>) -> Option<&Host> {
        self.hosts.iter().find(|host| Some(host.id) == id)
    }

    /// Whether a Pod fits on a node without some others, with those that are ending or as if they were gone, too.
    pub(super) fn fits(&self, asks: &Claim, on: &Host, without: &[Uid], ending: bool) -> bool {
        let soon = |claim: &Claim| claim.ends.is_some_and(|ends| ends + SignedDuration::from_secs(60) >= NOW);
        let there = |claim: &&Claim| !without.contains(&claim.uid) && (ending || !soon(claim));
        let present: Vec<(&Claim, &Host)> = (self.claims.iter().filter(there))
            .filter_map(|claim| Some((claim, self.host(claim.node)?)))
            .collect();
        let kept = |claim: &&Claim| {
            claim.node.is_none()
                && claim.uid != asks.uid
                && claim.ends.is_none()
                && claim.owner.rank >= asks.owner.rank
        };
        let expected: Vec<(&Claim, &Host)> = (self.claims.iter().filter(kept))
            .filter_map(|claim| Some((claim, self.host(claim.nominated)?)))
            .collect();
        let here = |(_, host): &&(&Claim, &Host)| host.id == on.id;
        let others: Vec<&Claim> = present
            .iter()
            .filter(here)
            .chain(expected.iter().filter(here))
            .map(|(claim, _)| *claim)
            .collect();
        let sum =
            |of: fn(&Resources) -> i64| others.iter().map(|claim| of(&claim.demand.requests)).sum::<i64>();
        let enough = |of: fn(&Resources) -> i64| {
            of(&asks.demand.requests) == 0 || sum(of) + of(&asks.demand.requests) <= of(&on.allocatable)
        };
        let ports =
            |claim: &&Claim| claim.demand.host_ports.iter().any(|port| asks.demand.host_ports.contains(port));
        borne(&asks.demand, on)
            && allowed(&asks.demand, on)
            && enough(|resources| resources.cpu_milli)
            && enough(|resources| resources.memory)
            && enough(|resources| resources.extended("gpu"))
            && others.len() < on.pods as usize
            && !others.iter().any(ports)
            && self.spread_well(asks, on, &present, &expected)
            && apart(asks, on, &present)
            && apart(asks, on, &expected)
            && beside(asks, on, &present, &expected)
    }

    fn spread_well(
        &self,
        asks: &Claim,
        on: &Host,
        present: &[(&Claim, &Host)],
        expected: &[(&Claim, &Host)],
    ) -> bool {
        asks.demand.spread.iter().all(|spread| {
            let counts = |host: &Host| {
                asks.demand.spread.iter().all(|spread| host.labels.contains_key(&spread.key))
                    && (!spread.honor_affinity || allowed(&asks.demand, host))
                    && (!spread.honor_taints || borne(&asks.demand, host))
            };
            let Some(own) = on.labels.get(&spread.key) else { return false };
            let number = |pods: &[(&Claim, &Host)], domain: &str| {
                let counts = |(claim, host): &&(&Claim, &Host)| {
                    claim.ends.is_none()
                        && claim.owner.namespace == asks.owner.namespace
                        && selected(&spread.selector, &claim.owner.labels)
                        && counts(host)
                        && host.labels.get(&spread.key).is_some_and(|value| **value == *domain)
                };
                i64::try_from(pods.iter().filter(counts).count()).unwrap()
            };
            let mut domains: Vec<&Arc<str>> = self
                .hosts
                .iter()
                .filter(|host| counts(host))
                .filter_map(|host| host.labels.get(&spread.key))
                .collect();
            domains.sort();
            domains.dedup();
            let mine = number(present, own) + number(expected, own);
            let all =
                domains.iter().map(|domain| if *domain == own { mine } else { number(present, domain) });
            let few = domains.len() < spread.min_domains as usize;
            let fewest = if few { 0 } else { all.min().unwrap_or(0) };
            mine + i64::from(selected(&spread.selector, &asks.owner.labels)) - fewest
                <= i64::from(spread.max_skew)
        })
    }
}

fn apart(asks: &Claim, on: &Host, others: &[(&Claim, &Host)]) -> bool {
    others.iter().all(|(claim, host)| {
        let clash = |of: &Claim, other: &Claim| {
            of.demand
                .apart
                .iter()
                .any(|term| about(term, &of.owner, &other.owner) && together(&term.key, on, host))
        };
        !clash(asks, claim) && !clash(claim, asks)
    })
}

fn beside(asks: &Claim, on: &Host, present: &[(&Claim, &Host)], expected: &[(&Claim, &Host)]) -> bool {
    let terms = &asks.demand.beside;
    let meets = |owner: &Owner| terms.iter().all(|term| about(term, &asks.owner, owner));
    let all: Vec<&Host> =
        present.iter().filter(|(claim, _)| meets(&claim.owner)).map(|(_, host)| *host).collect();
    if !terms.iter().all(|term| on.labels.contains_key(&term.key)) {
        return false;
    }
    let labelled = |host: &&Host| terms.iter().any(|term| host.labels.contains_key(&term.key));
    let first = !all.iter().any(labelled)
        && !expected.iter().any(|(claim, _)| meets(&claim.owner))
        && meets(&asks.owner);
    first || terms.iter().all(|term| all.iter().any(|host| together(&term.key, on, host)))
}

fn together(key: &str, one: &Host, other: &Host) -> bool {
    one.labels.get(key).is_some_and(|value| other.labels.get(key) == Some(value))
}

fn about(term: &Beside, of: &Owner, other: &Owner) -> bool {
    let namespaces =
        if term.namespaces.is_empty() { vec![of.namespace.clone()] } else { term.namespaces.clone() };
    namespaces.contains(&other.namespace) && selected(&term.selector, &other.labels)
}

fn selected(selector: &[Requirement], labels: &Labels) -> bool {
    selector.iter().all(|asked| match &asked.test {
        Test::In(values) => labels.get(&asked.key).is_some_and(|value| values.contains(value)),
        _ => unreachable!("no other is made here"),
    })
}

fn borne(demand: &Demand, host: &Host) -> bool {
    host.taints
        .iter()
        .all(|taint| demand.tolerations.iter().any(|toleration| toleration.key == Some(taint.key.clone())))
}

fn allowed(demand: &Demand, host: &Host) -> bool {
    let terms = &demand.affinity;
    terms.is_empty() || terms.iter().any(|term| selected(&term.labels, &host.labels))
}

/// Labels by which nodes are told apart.
const KEYS: [&str; 2] = ["kubernetes.io/hostname", "zone"];

fn is(key: &str, value: &str) -> Requirement {
    Requirement { key: key.into(), test: Test::In(vec![value.into()]) }
}

fn node(id: u32) -> impl Strategy<Value = Host> {
    (2..9i64, 2..9i64, 0..3i64, 1..8u32, 0..3u8, prop::bool::weighted(0.1)).prop_map(
        move |(cpu, memory, gpus, pods, zone, tainted)| {
            let plain = host(id, cpu);
            let mut labels = (*plain.labels).clone();
            if let Some(zone) = [None, Some("a"), Some("b")][usize::from(zone)] {
                labels.insert("zone".into(), zone.into());
            }
            let taint = Taint { key: "bad".into(), value: "".into(), effect: Effect::NoSchedule };
            let extended = Some(("gpu".into(), gpus)).filter(|_| gpus > 0).into_iter().collect();
            Host {
                labels: Arc::new(labels),
                taints: tainted.then_some(taint).into_iter().collect(),
                allocatable: Resources { cpu_milli: cpu, memory, ephemeral: 0, extended },
                pods,
                ..plain
            }
        },
    )
}

fn some_demand() -> impl Strategy<Value = Demand> {
    let requests = (0..4i64, 0..4i64, prop_oneof![4 => Just(0i64), 1 => 1..3i64]).prop_map(
        |(cpu_milli, memory, gpus)| {
            let extended = Some(("gpu".into(), gpus)).filter(|_| gpus > 0).into_iter().collect();
            Resources { cpu_milli, memory, ephemeral: 0, extended }
        },
    );
    let term = (0..2usize, 0..3usize, 0..3usize).prop_map(|(key, app, namespaces)| Beside {
        key: KEYS[key].into(),
        selector: [vec![], vec![is("app", "x")], vec![is("app", "y")]][app].clone(),
        namespaces: [vec![], vec!["b".into()], vec!["a".into(), "b".into()]][namespaces].clone(),
    });
    let few = |most| prop::collection::vec(term.clone(), 0..=most);
    let apart = prop_oneof![3 => Just(vec![]), 1 => few(2)];
    let beside = prop_oneof![5 => Just(vec![]), 1 => few(2)];
    let spread =
        (0..2usize, 1..3u32, prop_oneof![Just(1u32), Just(2), Just(i32::MAX as u32)], any::<[bool; 3]>())
            .prop_map(|(key, max_skew, min_domains, [x, honor_affinity, honor_taints])| Spread {
                key: KEYS[key].into(),
                max_skew,
                min_domains,
                selector: x.then(|| is("app", "x")).into_iter().collect(),
                honor_affinity,
                honor_taints,
            });
    let spread = prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(spread, 1..3)];
    let weighted = prop::bool::weighted;
    (requests, apart, beside, spread, (weighted(0.2), weighted(0.15), weighted(0.15))).prop_map(
        |(requests, apart, beside, spread, (bears, in_zone, port))| Demand {
            requests,
            affinity: in_zone
                .then(|| NodeTerm { labels: vec![is("zone", "a")], names: vec![] })
                .into_iter()
                .collect(),
            tolerations: bears
                .then(|| Toleration { key: Some("bad".into()), value: None, effect: None })
                .into_iter()
                .collect(),
            host_ports: port
                .then(|| HostPort { address: None, protocol: "TCP".into(), port: 80 })
                .into_iter()
                .collect(),
            spread,
            apart,
            beside,
            ..Demand::default()
        },
    )
}

/// Of so many in a hundred the work is production.
fn some_owner(production: u32) -> impl Strategy<Value = Owner> {
    let kind = prop_oneof![production => Just(0usize), 100 - production => 1..3usize];
    (kind, 0..2usize, 0..3i32, 0..3usize).prop_map(|(kind, role, priority, app)| {
        let tier = [tier(false, false), tier(true, false), tier(true, true)][kind].clone();
        let app = [None, Some("x"), Some("y")][app].map(|app| ("app".into(), app.into()));
        Owner { labels: Arc::new(app.into_iter().collect()), ..owner(&tier, ["a", "b"][role], priority) }
    })
}

/// Worlds of up to 4 nodes with up to `most` Pods on them, of which some are ending, and some for which room is kept.
pub(super) fn worlds(most: usize) -> impl Strategy<Value = World> {
    let hosts = prop::collection::vec(any::<prop::sample::Index>(), 1..=4)
        .prop_flat_map(|hosts| (0..u32::try_from(hosts.len()).unwrap()).map(node).collect::<Vec<_>>());
    let owners = prop::collection::vec(some_owner(20).prop_map(Arc::new), 1..4);
    let demands = prop::collection::vec(some_demand().prop_map(Arc::new), 1..5);
    let index = any::<prop::sample::Index>;
    let pods = prop::collection::vec((index(), index(), index(), 0..40i64, 0..16u8), 1..=most);
    (hosts, owners, demands, some_owner(70), some_demand(), pods).prop_map(
        |(hosts, owners, demands, asks, demand, pods)| {
            let mut claims = vec![pending(1, &Arc::new(asks), &Arc::new(demand))];
            for (number, (owner, demand, at, minutes, what)) in pods.into_iter().enumerate() {
                let plain = pending(2 + number as u128, owner.get(&owners), demand.get(&demands));
                let node = Some(at.get(&hosts).id);
                let started = Some(NOW - SignedDuration::from_mins(minutes / 4));
                claims.push(match what {
                    0 => Claim { nominated: node, ..plain },
                    1 => {
                        Claim { node, ends: Some(NOW + SignedDuration::from_secs(minutes)), started, ..plain }
                    }
                    2 => Claim { node, ..plain },
                    3 => plain,
                    4 => Claim {
                        node,
                        ends: Some(NOW - SignedDuration::from_secs(45 + minutes)),
                        started,
                        ..plain
                    },
                    _ => Claim { node, started, ..plain },
                });
            }
            World { hosts, claims }
        },
    )
}
