use borealis_core::model::{Task, Uid};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{core::DeserializeGuard, runtime::watcher::Event};
use serde_json::{Value, json};

use super::{
    live::{JobRead, Listed, Read},
    *,
};
use crate::{
    api::{AnyService, AuroraUpdate},
    apply::{Learn, LostNode},
};

mod property;
mod services;

/// A uid of the API from a small number.
pub(super) fn uid(number: u128) -> String {
    Uid::new(number).to_string()
}

/// An index and the keys it asked to have planned again.
pub(super) struct Fixture {
    pub(super) index: Arc<Index>,
    dirty: Arc<Mutex<Vec<String>>>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let dirty = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&dirty);
        let index = Index::new(Metrics::default(), move |key| {
            list.lock().unwrap().push(key.to_string());
        });
        Self { index: Arc::new(index), dirty }
    }

    /// What has become dirty since the last call.
    pub(super) fn dirty(&self) -> Vec<String> {
        let mut dirty = std::mem::take(&mut *self.dirty.lock().unwrap());
        dirty.dedup();
        dirty
    }

    pub(super) fn tasks(&self, service: &str) -> Vec<Task> {
        let slot = self.index.find(&key(service));
        slot.map(|slot| slot.lock().tasks()).unwrap_or_default()
    }

    pub(super) fn relist<K: feed::Feed>(&self, kind: Kind, objects: Vec<K>) {
        self.index.feed(kind, &Event::<K>::Init);
        for object in objects {
            self.index.feed(kind, &Event::InitApply(object));
        }
        self.index.feed(kind, &Event::<K>::InitDone);
    }
}

pub(super) fn key(service: &str) -> JobKey {
    JobKey::service("prod", service)
}

/// A Pod of `web` that waits for a node.
pub(super) fn pod(instance: u32, run: u32, id: u128, version: u64) -> Value {
    json!({
        "metadata": {
            "name": format!("web-{instance}-{run}"), "namespace": "prod", "uid": uid(id),
            "resourceVersion": version.to_string(), "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"borealis.dev/service": "web", "borealis.dev/instance": instance.to_string(),
                "borealis.dev/run": run.to_string(), "borealis.dev/revision": "v1-00000000000000aa",
                "borealis.dev/live": "true"},
        },
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Pending"},
    })
}

pub(super) fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

pub(super) fn service(id: u128, version: u64, instances: i32) -> Value {
    json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
        "metadata": {"name": "web", "namespace": "prod", "uid": uid(id), "generation": version,
            "resourceVersion": version.to_string()},
        "spec": {"instances": instances, "template": {"spec": {"containers": [{"name": "main"}]}}},
    })
}

pub(super) fn owned_by(mut value: Value, id: u128) -> Value {
    value["metadata"]["ownerReferences"] = json!([{"apiVersion": "borealis.dev/v1alpha1",
        "kind": "AuroraService", "name": "web", "uid": uid(id), "controller": true}]);
    value
}

fn nothing<K>(version: u64) -> Listed<K> {
    Listed { version, objects: Vec::new() }
}

/// What a live read shows of a service without updates and stored configs.
fn read_of(version: u64, service: Listed<AnyService>) -> JobRead {
    JobRead::Service { service, revisions: nothing(version), updates: nothing(version) }
}

/// What a live read of `web` shows that has only Pods.
pub(super) fn live_pods(version: u64, pods: Vec<Pod>) -> Read {
    Read { job: read_of(version, nothing(version)), pods: Listed { version, objects: pods } }
}

fn apply<K: feed::Feed>(object: K) -> Event<K> {
    Event::Apply(object)
}

#[test]
fn a_change_that_means_nothing_asks_for_no_plan() {
    let fixture = Fixture::new();
    fixture.index.feed(Kind::Pod, &apply(object::<Pod>(pod(0, 1, 1, 10))));
    assert_eq!(fixture.dirty(), ["prod/web"]);
    let mut heartbeat = pod(0, 1, 1, 11);
    heartbeat["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False"}]);
    fixture.index.feed(Kind::Pod, &apply(object::<Pod>(heartbeat)));
    assert!(fixture.dirty().is_empty());
    fixture.index.learn_pod(&object(pod(0, 2, 2, 12)));
    assert!(fixture.dirty().is_empty(), "who wrote it knows");
    fixture.index.feed(Kind::Pod, &apply(object::<Pod>(pod(0, 2, 2, 12))));
    assert!(fixture.dirty().is_empty(), "and the watch says nothing new");
    fixture.index.feed(Kind::Pod, &Event::Delete(object::<Pod>(pod(0, 1, 1, 13))));
    assert_eq!(fixture.dirty(), ["prod/web"]);
    assert_eq!(fixture.tasks("web").len(), 1);
}

#[test]
fn an_own_write_after_a_relist_began_is_settled_by_a_live_read() {
    let fixture = Fixture::new();
    fixture.index.feed(Kind::Service, &apply(object::<AnyService>(service(9, 1, 3))));
    fixture.index.feed(Kind::Pod, &Event::<Pod>::Init);
    fixture.index.learn_pod(&object(pod(0, 1, 1, 10)));
    fixture.index.feed(Kind::Pod, &Event::<Pod>::InitDone);
    assert_eq!(fixture.tasks("web").len(), 1, "the list may be older than the write");
    assert_eq!(fixture.index.view(&key("web"), |_, _| ()), Viewed::Unsettled);
    assert_eq!(fixture.index.census().unsettled, 1);

    let awaited = fixture.index.awaited(&key("web"));
    awaited.0.lock().settling();
    let read = Read {
        job: read_of(20, Listed { version: 20, objects: vec![object(service(9, 1, 3))] }),
        ..live_pods(20, Vec::new())
    };
    fixture.index.take_live(&key("web"), &read);
    awaited.0.lock().settled();
    let seen = fixture.index.view(&key("web"), |view, _| (view.tasks.len(), view.seen_runs.get(&0).copied()));
    assert_eq!(seen, Viewed::Of((0, Some(1))), "it is gone, and its run is remembered");
}

#[test]
fn what_becomes_unsettled_during_a_live_read_stays_so() {
    let fixture = Fixture::new();
    fixture.index.learn_service(&object(service(9, 1, 3)));
    fixture.index.unsettle(&key("web"));
    let awaited = fixture.index.awaited(&key("web"));
    awaited.0.lock().settling();
    fixture.index.unsettle(&key("web"));
    awaited.0.lock().settled();
    assert_eq!(fixture.index.view(&key("web"), |_, _| ()), Viewed::Unsettled);
    awaited.0.lock().settling();
    awaited.0.lock().settled();
    assert_eq!(fixture.index.view(&key("web"), |_, _| ()), Viewed::Of(()));
}

#[test]
fn a_service_of_which_nothing_is_left_is_forgotten() {
    let fixture = Fixture::new();
    let awaited = fixture.index.await_answers(&key("web"));
    fixture.index.feed(Kind::Pod, &apply(object::<Pod>(pod(0, 1, 1, 10))));
    fixture.index.feed(Kind::Pod, &Event::Delete(object::<Pod>(pod(0, 1, 1, 11))));
    fixture.index.learn_pod(&object(pod(0, 1, 1, 10)));
    assert!(fixture.tasks("web").is_empty(), "an answer that came late brings nothing back");
    drop(awaited);
    fixture.index.learn_pod_gone(&key("web"), Uid::new(1));
    assert!(fixture.index.is_empty());
    assert!(fixture.index.read_jobs().is_empty());
}

#[test]
fn a_lost_node_concerns_the_services_on_it() {
    let fixture = Fixture::new();
    let mut bound = pod(0, 1, 1, 10);
    bound["spec"]["nodeName"] = json!("n1");
    fixture.index.learn_pod(&object(bound));
    let node = |version: u64, ready: &str| {
        object::<lean::Node>(json!({
            "metadata": {"name": "n1", "uid": uid(77), "resourceVersion": version.to_string()},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
    };
    fixture.relist(Kind::Node, vec![node(1, "True")]);
    assert!(fixture.dirty().is_empty());
    fixture.index.feed(Kind::Node, &apply(node(2, "Unknown")));
    assert_eq!(fixture.dirty(), ["prod/web"]);
    assert_eq!(fixture.index.nodes().name(fixture.tasks("web")[0].node.unwrap()).as_deref(), Some("n1"));
    let lost = || fixture.index.lost_node(&key("web"), Uid::new(1));
    assert_eq!(lost(), Some(LostNode { name: "n1".into(), since: Timestamp::UNIX_EPOCH }));
    // A live look is ahead of the watch, and what the watch tells later is old.
    fixture.index.learn_node(&node(4, "True"));
    fixture.index.feed(Kind::Node, &apply(node(3, "Unknown")));
    assert_eq!(lost(), None);
    assert_eq!(fixture.dirty(), ["prod/web"]);
    fixture.index.learn_pod_gone(&key("web"), Uid::new(1));
    fixture.index.feed(Kind::Node, &apply(node(5, "Unknown")));
    assert!(fixture.dirty().is_empty(), "nobody is on it any more");
}

#[test]
fn updates_are_kept_whole_only_while_they_matter() {
    let fixture = Fixture::new();
    fixture.index.learn_service(&object(service(9, 1, 3)));
    let update = |number: u32, version: u64, state: Option<&str>| {
        let mut value = json!({
            "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraUpdate",
            "metadata": {"name": format!("web-{number}"), "namespace": "prod", "uid": uid(number.into()),
                "resourceVersion": version.to_string(), "labels": {"borealis.dev/service": "web"}},
            "spec": {"service": "web", "number": number, "instructions": {}},
        });
        if let Some(state) = state {
            value["status"] = json!({"state": state, "started": "2026-01-01T00:00:00Z"});
        }
        owned_by(value, 9)
    };
    let feed = |value: Value| {
        fixture.index.feed(Kind::Update, &apply(object::<DeserializeGuard<AuroraUpdate>>(value)));
    };
    feed(update(1, 10, Some("ROLLED_FORWARD")));
    feed(update(2, 11, Some("ROLLING_FORWARD")));
    feed(update(3, 12, None));
    let slot = fixture.index.find(&JobKey::service("prod", "web")).unwrap();
    let whole =
        |slot: &Slot| slot.lock().updates.rows().iter().map(|row| row.whole.is_some()).collect::<Vec<_>>();
    assert_eq!(whole(&slot), [false, true, true], "the second has not ended");
    let seen = fixture.index.view(&key("web"), |view, facts| {
        let update = view.update.unwrap();
        let past: Vec<_> = view.past_updates.iter().map(|update| (update.number, update.uid)).collect();
        let all_owned = update.owned && view.past_updates.iter().all(|update| update.owned);
        (update.number, all_owned, past, facts.update.unwrap().resource_version)
    });
    assert_eq!(seen, Viewed::Of((3, true, vec![(1, Uid::new(1)), (2, Uid::new(2))], "12".to_owned())));

    let takes_back = || fixture.index.view(&key("web"), |_, facts| facts.update.as_ref().unwrap().takes_back);
    assert_eq!(takes_back(), Viewed::Of(false));
    let mut back = update(3, 13, None);
    back["spec"]["instructions"] = json!({"takesBack": 2});
    feed(back);
    assert_eq!(takes_back(), Viewed::Of(true));

    feed(update(2, 14, Some("ABORTED")));
    assert_eq!(whole(&slot), [false, false, true]);
    fixture.index.learn_update_gone(&key("web"), Uid::new(3));
    assert_eq!(
        fixture.index.view(&key("web"), |_, _| ()),
        Viewed::Unsettled,
        "too little is known of the second"
    );

    let mut broken = update(4, 15, None);
    broken["spec"]["instructions"] = json!("nonsense");
    feed(broken);
    let slot_problem = slot.lock().updates.rows().last().unwrap().problem.clone().unwrap();
    assert!(slot_problem.blocks && slot_problem.message.contains("AuroraUpdate web-4"), "{slot_problem:?}");
}
