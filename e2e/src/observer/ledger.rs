//! Every Pod event of a run in order, and what can be said of it: pure, fed by `observer`.
//!
//! The API server orders the events of one kind, so after each entry the Pods known here are what the cluster had
//! at one moment. The judgement "two live Pods" is made at each entry; the others look back over a stretch.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::facts::{Facts, Key};

/// What happened to a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was made, or seen first.
    Added,
    /// Something about it changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// One event.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it was received.
    pub at: Instant,
    /// What happened.
    pub change: Change,
    /// The Pod after it.
    pub pod: Facts,
    /// Its node was lost, or has yet to end it since.
    pub out_of_reach: bool,
}

/// A place in the ledger: everything recorded later is after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// All events and what they amount to.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    pods: BTreeMap<String, Facts>,
    instances: BTreeMap<Key, BTreeSet<String>>,
    /// Services, with their namespace, that may have two live Pods of an instance, and of how many instances at a time.
    surges: BTreeMap<(String, String), usize>,
    /// Nodes that are lost: nobody knows whether what is there runs, or is begun there.
    lost_nodes: BTreeSet<String>,
    /// Pods that a node which is back has yet to end.
    lost: BTreeSet<String>,
    violations: Vec<String>,
}

impl Ledger {
    /// Adds an event and judges the state after it.
    pub fn record(&mut self, at: Instant, change: Change, pod: Facts) {
        let of_instance = self.instances.entry(pod.key.clone()).or_default();
        if change == Change::Deleted {
            self.pods.remove(&pod.uid);
            of_instance.remove(&pod.uid);
        } else {
            of_instance.insert(pod.uid.clone());
            self.pods.insert(pod.uid.clone(), pod.clone());
        }
        let live = self.live(&pod.key);
        if live.len() > 1 && change != Change::Deleted && !self.may_surge(&pod.key, live.len()) {
            let names: Vec<String> = live.iter().map(ToString::to_string).collect();
            self.violations.push(format!("two live Pods of one instance: {}", names.join(" and ")));
        }
        let out_of_reach = !self.is_within_reach(&pod);
        self.entries.push(Entry { at, change, pod, out_of_reach });
    }

    /// The live Pods of an instance, but for those of lost nodes.
    fn live(&self, key: &Key) -> Vec<&Facts> {
        let uids = self.instances.get(key).into_iter().flatten();
        let known = uids.filter_map(|uid| self.pods.get(uid));
        known.filter(|pod| self.is_within_reach(pod) && pod.is_live()).collect()
    }

    fn is_within_reach(&self, pod: &Facts) -> bool {
        let is_lost = pod.node.as_ref().is_some_and(|node| self.lost_nodes.contains(node));
        !is_lost && !self.lost.contains(&pod.uid)
    }

    /// Whether an instance may have so many live Pods now: two, where its service surges and not too many others do.
    fn may_surge(&self, key: &Key, live: usize) -> bool {
        let service = (key.namespace.clone(), key.service.clone());
        let Some(most) = self.surges.get(&service) else { return false };
        live == 2 && self.twins(&key.namespace, &key.service) <= *most
    }

    /// How many instances of a service have more than one live Pod.
    pub fn twins(&self, namespace: &str, service: &str) -> usize {
        let of_service =
            self.instances.keys().filter(|key| key.namespace == namespace && key.service == service);
        of_service.filter(|key| self.live(key).len() > 1).count()
    }

    /// From now on so many instances of a service may have two live Pods at a time.
    pub fn allow_surge(&mut self, namespace: &str, service: &str, most: usize) {
        self.surges.insert((namespace.to_owned(), service.to_owned()), most);
    }

    /// The Pods that are known to exist, after a gap: those that are not among them are gone.
    pub fn reconcile(&mut self, at: Instant, existing: Vec<Facts>) {
        let uids: BTreeSet<&str> = existing.iter().map(|pod| pod.uid.as_str()).collect();
        let gone: Vec<Facts> =
            self.pods.values().filter(|pod| !uids.contains(pod.uid.as_str())).cloned().collect();
        for pod in gone {
            self.record(at, Change::Deleted, pod);
        }
        for pod in existing {
            match self.pods.get(&pod.uid) {
                None => self.record(at, Change::Added, pod),
                Some(known) if *known != pod => self.record(at, Change::Modified, pod),
                Some(_) => {}
            }
        }
    }

    /// A node is about to be lost: whether its Pods run is not known from now on, nor of those that are still bound to it
    /// before the scheduler hears of it.
    pub fn node_lost(&mut self, node: &str) {
        self.lost_nodes.insert(node.to_owned());
    }

    /// A lost node is back: its Pods count again, but for those that it has yet to end.
    pub fn node_restored(&mut self, node: &str) {
        self.lost_nodes.remove(node);
        let Self { lost, pods, .. } = self;
        lost.retain(|uid| pods.contains_key(uid));
        let to_end = pods.values().filter(|pod| pod.ending && pod.node.as_deref() == Some(node));
        lost.extend(to_end.map(|pod| pod.uid.clone()));
    }

    /// Where the ledger stands now.
    pub fn mark(&self) -> Mark {
        Mark(self.entries.len())
    }

    /// What was seen that must never be, in this namespace.
    pub fn violations(&self, namespace: &str) -> Vec<String> {
        let needle = format!(" {namespace}/");
        self.violations.iter().filter(|text| text.contains(&needle)).cloned().collect()
    }

    /// The Pods of a namespace as they are now.
    pub fn pods(&self, namespace: &str) -> Vec<&Facts> {
        self.pods.values().filter(|pod| pod.key.namespace == namespace).collect()
    }

    /// The events of a namespace since a mark.
    pub fn of_namespace<'a>(
        &'a self,
        mark: Mark,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Entry> + Clone {
        self.entries.iter().skip(mark.0).filter(move |entry| entry.pod.key.namespace == namespace)
    }

    /// The events of a service since a mark.
    pub fn since<'a>(
        &'a self,
        mark: Mark,
        namespace: &'a str,
        service: &'a str,
    ) -> impl Iterator<Item = &'a Entry> {
        self.of_namespace(mark, namespace).filter(move |entry| entry.pod.key.service == service)
    }

    /// What was done to Pods of the namespace since the mark: made, removed, told to end, or their spec changed.
    /// Adoption and status are no such thing.
    pub fn touched(&self, mark: Mark, namespace: &str) -> Vec<String> {
        let mut known: BTreeMap<&str, &Facts> = BTreeMap::new();
        let mut touched = Vec::new();
        for (at, Entry { change, pod, .. }) in self.entries.iter().enumerate() {
            if pod.key.namespace != namespace {
                continue;
            }
            let before = known.insert(&pod.uid, pod);
            let same = before.is_some_and(|b| (b.generation, b.ending) == (pod.generation, pod.ending));
            if at >= mark.0 && (*change != Change::Modified || !same) {
                touched.push(format!("{change:?} {pod}"));
            }
        }
        touched
    }

    /// The most instances of a service that were down at once since the mark, of those numbered below `instances`.
    pub fn most_down(&self, mark: Mark, namespace: &str, service: &str, instances: u32) -> u32 {
        let mut up: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
        let mut most = 0;
        for (at, Entry { change, pod, .. }) in self.entries.iter().enumerate() {
            if pod.key.namespace != namespace || pod.key.service != service || pod.key.instance >= instances {
                continue;
            }
            let pods = up.entry(pod.key.instance).or_default();
            if *change != Change::Deleted && pod.is_up() {
                pods.insert(&pod.uid);
            } else {
                pods.remove(pod.uid.as_str());
            }
            if at >= mark.0 {
                let running = up.values().filter(|pods| !pods.is_empty()).count();
                most = most.max(instances - u32::try_from(running).unwrap_or(u32::MAX).min(instances));
            }
        }
        most
    }
}
