//! Whatever order, duplication and staleness news comes in: after a relist and its watch, and a live read where the
//! index asks for one, the index has what the server has.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What happens on the server, or to news of it.
#[derive(Debug, Clone)]
enum Step {
    /// A Pod is made for an instance, as its next run.
    Create(u32),
    /// The n-th Pod is bound, ends or is touched.
    Change(usize, u8),
    /// The n-th Pod is removed.
    Remove(usize),
    /// The watch tells the n-th event of all, again or early.
    Tell(usize),
    /// An answer of our own brings the n-th state there ever was.
    Answer(usize),
    /// An answer of our own says that the n-th removed Pod is gone.
    AnswerGone(usize),
}

/// One Pod as it was at a version, and whether that was its end.
#[derive(Debug, Clone)]
struct State {
    pod: Value,
    id: u128,
    removed: bool,
}

#[derive(Default)]
struct Server {
    version: u64,
    /// The Pods there are, by uid.
    pods: BTreeMap<u128, Value>,
    runs: BTreeMap<u32, u32>,
    history: Vec<State>,
}

impl Server {
    fn step(&mut self, step: &Step) {
        self.version += 1;
        let version = self.version;
        let nth = |n: usize| self.pods.keys().nth(n % self.pods.len().max(1)).copied();
        match *step {
            Step::Create(instance) => {
                let run = self.runs.entry(instance).or_insert(0);
                *run += 1;
                let pod = pod(instance, *run, version.into(), version);
                self.put(version.into(), pod);
            }
            Step::Change(n, how) => {
                let Some(id) = nth(n) else { return };
                let mut pod = self.pods[&id].clone();
                pod["metadata"]["resourceVersion"] = json!(version.to_string());
                match how % 3 {
                    0 => pod["spec"]["nodeName"] = json!(format!("n{}", id % 3)),
                    1 => pod["status"]["phase"] = json!("Failed"),
                    _ => pod["metadata"]["annotations"] = json!({"x": version.to_string()}),
                }
                self.put(id, pod);
            }
            Step::Remove(n) => {
                let Some(id) = nth(n) else { return };
                let mut pod = self.pods.remove(&id).unwrap();
                pod["metadata"]["resourceVersion"] = json!(version.to_string());
                self.history.push(State { pod, id, removed: true });
            }
            Step::Tell(_) | Step::Answer(_) | Step::AnswerGone(_) => {}
        }
    }

    fn put(&mut self, id: u128, pod: Value) {
        self.pods.insert(id, pod.clone());
        self.history.push(State { pod, id, removed: false });
    }

    fn all(&self) -> Vec<Pod> {
        self.pods.values().cloned().map(object).collect()
    }
}

fn tell(index: &Index, state: &State) {
    let pod: Pod = object(state.pod.clone());
    index.feed(Kind::Pod, &if state.removed { Event::Delete(pod) } else { Event::Apply(pod) });
}

/// News that may be old, early, doubled or missing. Nothing is told that has not happened.
fn news(fixture: &Fixture, server: &Server, step: &Step, watch: bool) {
    let past = |n: usize| server.history.get(n % server.history.len().max(1));
    match *step {
        Step::Tell(n) if watch => past(n).into_iter().for_each(|state| tell(&fixture.index, state)),
        Step::Answer(n) => {
            if let Some(state) = past(n).filter(|state| !state.removed) {
                fixture.index.learn_pod(&object(state.pod.clone()));
            }
        }
        Step::AnswerGone(n) => {
            if let Some(state) = past(n).filter(|state| state.removed) {
                fixture.index.learn_pod_gone(&key("web"), Uid::new(state.id));
            }
        }
        Step::Tell(_) | Step::Create(_) | Step::Change(..) | Step::Remove(_) => {}
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let nth = any::<usize>;
    prop::collection::vec(
        prop_oneof![
            (0u32..4).prop_map(Step::Create),
            (nth(), any::<u8>()).prop_map(|(n, how)| Step::Change(n, how)),
            nth().prop_map(Step::Remove),
            nth().prop_map(Step::Tell),
            nth().prop_map(Step::Answer),
            nth().prop_map(Step::AnswerGone),
        ],
        0..most,
    )
}

fn settle_if_asked(fixture: &Fixture, server: &Server) {
    let Some(slot) = fixture.index.find(&JobKey::service("prod", "web")) else { return };
    if slot.lock().is_unsettled() {
        let awaited = fixture.index.awaited(&key("web"));
        awaited.0.lock().settling();
        fixture.index.take_live(&key("web"), &live_pods(server.version, server.all()));
        awaited.0.lock().settled();
    }
}

/// What the index has of each Pod, and what it should have.
fn compare(fixture: &Fixture, server: &Server) -> Result<(), TestCaseError> {
    let slot = fixture.index.find(&JobKey::service("prod", "web"));
    let known: BTreeMap<(u32, u32), (Uid, u64)> = slot.map_or_else(BTreeMap::new, |slot| {
        let state = slot.lock();
        let rows = state.tasks().into_iter().map(|task| (task.instance, task.run));
        rows.filter_map(|at| state.pods.get(&at).map(|(task, version)| (at, (task.unpack().uid, version))))
            .collect()
    });
    let number =
        |pod: &Pod, label: &str| pod.metadata.labels.as_ref().unwrap()[label].parse::<u32>().unwrap();
    let there: BTreeMap<(u32, u32), (Uid, u64)> = server
        .all()
        .iter()
        .map(|pod| {
            let meta = &pod.metadata;
            let at = (number(pod, "borealis.dev/instance"), number(pod, "borealis.dev/run"));
            let version = meta.resource_version.as_ref().unwrap().parse().unwrap();
            (at, (meta.uid.as_ref().unwrap().parse().unwrap(), version))
        })
        .collect();
    prop_assert_eq!(known, there);
    let tasks = fixture.tasks("web");
    prop_assert_eq!(fixture.index.ended(), tasks.iter().filter(|task| task.is_terminal()).count());
    for task in tasks {
        prop_assert!(task.node.is_none_or(|node| fixture.index.nodes().name(node).is_some()));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_relist_ends_in_what_the_server_has(before in steps(40), during in steps(12), after in steps(12)) {
        let (fixture, mut server) = (Fixture::new(), Server::default());
        for step in &before {
            server.step(step);
            news(&fixture, &server, step, true);
        }
        // The list is read at some moment after `Init`; what happens from then on comes by the watch, in order.
        fixture.index.feed(Kind::Pod, &Event::<Pod>::Init);
        for step in &during {
            server.step(step);
            news(&fixture, &server, step, false);
        }
        let (listed, seen) = (server.all(), server.history.len());
        for step in &after {
            server.step(step);
            news(&fixture, &server, step, false);
        }
        for pod in listed {
            fixture.index.feed(Kind::Pod, &Event::InitApply(pod));
        }
        fixture.index.feed(Kind::Pod, &Event::<Pod>::InitDone);
        let mut told = server.history.iter().skip(seen);
        // The live read may come before, amid or after what the watch has yet to tell.
        told.by_ref().take(after.len() / 3).for_each(|state| tell(&fixture.index, state));
        settle_if_asked(&fixture, &server);
        told.for_each(|state| tell(&fixture.index, state));
        compare(&fixture, &server)?;

        // A relist in peace leaves nothing open.
        fixture.relist(Kind::Pod, server.all());
        compare(&fixture, &server)?;
        fixture.relist(Kind::Pod, Vec::<Pod>::new());
        prop_assert!(fixture.index.is_empty(), "nothing is left of what is gone");
    }
}
