//! Whatever happens to Pods, and however news of it is doubled, late or missed: what is known after a relist is what
//! there is, and what was counted on the way adds up.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A Pod is made, bound, resized, ended or removed on the server.
    Change(u128, u8),
    /// The watch tells of the next change.
    Tell,
    /// An answer to a write of ours brings the n-th state there ever was.
    Answer(usize),
    /// Roles and tiers become others.
    Renew(bool),
    /// The watch begins anew and lists all.
    Relist,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..5u128, any::<u8>()).prop_map(|(id, how)| Step::Change(id, how)),
        4 => Just(Step::Tell),
        2 => any::<usize>().prop_map(Step::Answer),
        1 => any::<bool>().prop_map(Step::Renew),
        1 => Just(Step::Relist),
    ];
    prop::collection::vec(step, 0..60)
}

#[derive(Default)]
struct Server {
    version: u64,
    pods: BTreeMap<u128, Value>,
    history: Vec<(Value, bool)>,
    told: usize,
}

impl Server {
    fn change(&mut self, id: u128, how: u8) {
        self.version += 1;
        let mut pod = self.pods.remove(&id).unwrap_or_else(|| foreign(self.version.into(), 0));
        if how.is_multiple_of(6) {
            self.history
                .push((with(pod, "/metadata/resourceVersion", json!(self.version.to_string())), true));
            return;
        }
        match how % 6 {
            1 => pod = waiting(pod, "Unschedulable"),
            2 => pod = on_node(pod, ["a", "b"][usize::from(how) % 2]),
            3 => pod["status"]["phase"] = json!("Succeeded"),
            4 => pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!(format!("{how}m")),
            _ => pod["status"]["nominatedNodeName"] = json!("c"),
        }
        pod["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.pods.insert(id, pod.clone());
        self.history.push((pod, false));
    }

    fn relist(&mut self, fixture: &Fixture) {
        fixture.relist(Kind::Pod, self.pods.values().cloned().map(object::<Pod>).collect());
        self.told = self.history.len();
    }
}

fn check(fixture: &Fixture, server: &Server) -> Result<(), TestCaseError> {
    let live = |pod: &&Value| pod["status"]["phase"] != "Succeeded";
    let wanted: BTreeMap<Uid, u64> = server
        .pods
        .values()
        .filter(live)
        .map(|pod| {
            (pod["metadata"]["uid"].as_str().unwrap(), pod["metadata"]["resourceVersion"].as_str().unwrap())
        })
        .map(|(uid, version)| (uid.parse().unwrap(), version.parse().unwrap()))
        .collect();
    let known: BTreeMap<Uid, u64> =
        fixture.index.board(|board| board.claims().map(|claim| (claim.uid, claim.version)).collect());
    prop_assert_eq!(known, wanted);
    let mut sums: BTreeMap<Arc<str>, BTreeMap<Arc<str>, ForeignUse>> = BTreeMap::new();
    fixture.index.board(|board| {
        for claim in board.claims() {
            let of_role = sums.entry(Arc::clone(&claim.owner.role)).or_default();
            let sum = of_role.entry(Arc::clone(&claim.owner.namespace)).or_default();
            let production = claim.owner.tier.as_ref().is_some_and(|tier| tier.is_production());
            let side = if production { &mut sum.production } else { &mut sum.non_production };
            side.add(&claim.demand.requests);
            sum.pods += 1;
        }
    });
    for role in ["data", "role-of-data"] {
        prop_assert_eq!(fixture.index.foreign(role), sums.get(role).cloned().unwrap_or_default());
    }
    let named = fixture.index.board(|board| {
        let nodes = board.claims().flat_map(|claim| [claim.node, claim.nominated]).flatten();
        nodes.collect::<std::collections::BTreeSet<_>>().len()
    });
    prop_assert_eq!(fixture.index.nodes().len(), named, "nodes are known by those who name them");
    Ok(())
}

proptest! {
    #[test]
    fn after_a_relist_what_is_known_is_what_there_is(steps in steps()) {
        let fixture = Fixture::new();
        let (mut server, mut renewed) = (Server::default(), 0);
        for step in steps {
            match step {
                Step::Change(id, how) => server.change(id, how),
                Step::Tell => {
                    if let Some((pod, removed)) = server.history.get(server.told) {
                        let pod: Pod = object(pod.clone());
                        let event = if *removed { Event::Delete(pod) } else { Event::Apply(pod) };
                        fixture.index.feed(Kind::Pod, &event);
                        server.told += 1;
                    }
                }
                Step::Answer(n) => {
                    let past = server.history.get(n % server.history.len().max(1));
                    if let Some((pod, false)) = past {
                        fixture.index.learn_pod(&object(pod.clone()));
                    }
                }
                Step::Renew(preemptible) => {
                    renewed += 1;
                    tenancy(&fixture, renewed, preemptible);
                }
                Step::Relist => server.relist(&fixture),
            }
        }
        // The watch catches up, which is as good as a relist.
        while let Some((pod, removed)) = server.history.get(server.told) {
            let pod: Pod = object(pod.clone());
            fixture.index.feed(Kind::Pod, &if *removed { Event::Delete(pod) } else { Event::Apply(pod) });
            server.told += 1;
        }
        check(&fixture, &server)?;
        server.relist(&fixture);
        check(&fixture, &server)?;
    }
}
