use std::collections::BTreeMap;

use borealis_core::model::Resources;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::watcher::Event,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{AuroraRole, Tier as TierObject},
    apply::Learn,
    index::{
        Kind,
        tests::{Fixture, object, owned_by, uid},
    },
};

mod demands;
mod property;

/// A Pod that a controller of Kubernetes' own has made, and that no node has yet.
pub(super) fn foreign(id: u128, version: u64) -> Value {
    json!({
        "metadata": {
            "name": format!("batch-{id}"), "namespace": "data", "uid": uid(id),
            "resourceVersion": version.to_string(), "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "batch", "batch.kubernetes.io/job-completion-index": id.to_string()},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "batch", "uid": uid(900),
                "controller": true}],
        },
        "spec": {"priority": 7, "priorityClassName": "borealis-preferred-30000", "preemptionPolicy": "Never",
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}]},
        "status": {"phase": "Pending"},
    })
}

fn with(mut value: Value, path: &str, to: Value) -> Value {
    *value.pointer_mut(path).unwrap() = to;
    value
}

fn on_node(mut value: Value, node: &str) -> Value {
    value["spec"]["nodeName"] = json!(node);
    value
}

fn waiting(mut value: Value, reason: &str) -> Value {
    value["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": reason,
        "lastTransitionTime": "2026-01-01T00:00:03Z"}]);
    value
}

fn apply(fixture: &Fixture, value: Value) {
    fixture.index.feed(Kind::Pod, &Event::Apply(object::<Pod>(value)));
}

fn claim(fixture: &Fixture, id: u128) -> Option<Claim> {
    fixture.index.board(|board| board.claim(Uid::new(id)).cloned())
}

fn node(name: &str, version: u64) -> Node {
    object(json!({
        "metadata": {"name": name, "uid": uid(70 + u128::from(name.as_bytes()[0])),
            "resourceVersion": version.to_string(), "labels": {"kubernetes.io/hostname": name}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "3920m", "memory": "15Gi", "ephemeral-storage": "90Gi", "pods": "110",
                "nvidia.com/gpu": "2", "hugepages-2Mi": "0"}},
    }))
}

/// The tier of the Pods is there, preemptible or not, and an AuroraRole has their namespace.
fn tenancy(fixture: &Fixture, version: u64, preemptible: bool) {
    let meta = |name: &str, id: u128| {
        json!({"name": name, "uid": uid(id), "resourceVersion": version.to_string(), "labels": {"team": "data"},
            "creationTimestamp": "2026-01-01T00:00:00Z"})
    };
    let tier =
        json!({"metadata": meta("preferred", 501), "spec": {"preemptible": preemptible, "band": 30_000}});
    let role = json!({"metadata": meta("role-of-data", 502), "spec": {"namespaces": {"matchLabels": {"team": "data"}}}});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta("data", 503)});
    let index = &fixture.index;
    index.feed(Kind::Tier, &Event::Apply(object::<DeserializeGuard<TierObject>>(tier)));
    index.feed(Kind::Role, &Event::Apply(object::<DeserializeGuard<AuroraRole>>(role)));
    index.feed(Kind::Namespace, &Event::Apply(object::<PartialObjectMeta<Namespace>>(namespace)));
}

#[test]
fn a_pod_of_anybody_is_known_until_it_ends() {
    let fixture = Fixture::new();
    apply(&fixture, foreign(1, 10));
    let known = claim(&fixture, 1).unwrap();
    assert_eq!((&*known.name, known.version, known.node, known.unschedulable), ("batch-1", 10, None, None));
    assert_eq!(known.demand.requests.cpu_milli, 2_000);
    let owner = &known.owner;
    assert_eq!((&*owner.namespace, &*owner.role, &*owner.job), ("data", "data", "Job/batch"));
    assert_eq!((owner.ours, owner.rank, owner.priority, owner.preempts_natively), (None, 7, 0, false));
    assert_eq!(
        owner.labels.keys().map(|key| &**key).collect::<Vec<_>>(),
        ["app"],
        "the index is each Pod's own"
    );
    assert!(fixture.dirty().is_empty(), "no service is concerned");

    apply(&fixture, with(on_node(foreign(1, 11), "a"), "/status/phase", json!("Running")));
    assert!(claim(&fixture, 1).unwrap().node.is_some());
    apply(&fixture, with(on_node(foreign(1, 12), "a"), "/status/phase", json!("Succeeded")));
    assert_eq!(claim(&fixture, 1), None);
    assert!(fixture.index.nodes().len() == 0, "nobody names the node any more");
}

#[test]
fn pods_of_one_config_share_what_they_have_in_common() {
    let fixture = Fixture::new();
    for id in 1..4 {
        apply(&fixture, foreign(id, 10));
    }
    let [a, b, c] = [1, 2, 3].map(|id| claim(&fixture, id).unwrap());
    assert!(Arc::ptr_eq(&a.owner, &b.owner) && Arc::ptr_eq(&b.owner, &c.owner));
    assert!(Arc::ptr_eq(&a.demand, &c.demand));
}

#[test]
fn it_waits_once_the_default_scheduler_has_found_no_place() {
    let at = Some("2026-01-01T00:00:03Z".parse().unwrap());
    let gated = with(foreign(1, 10), "/spec/priority", json!(0));
    let gated = {
        let mut it = gated;
        it["spec"]["schedulingGates"] = json!([{"name": "quota"}]);
        it
    };
    let own = {
        let mut it = foreign(1, 10);
        it["spec"]["schedulerName"] = json!("own");
        it
    };
    for (value, wanted, why) in [
        (foreign(1, 10), None, "the scheduler has not looked yet"),
        (waiting(foreign(1, 10), "Unschedulable"), at, "it has said so"),
        (waiting(foreign(1, 10), "SchedulerError"), None, "that is no word on nodes"),
        (waiting(gated, "SchedulingGated"), None, "it is not to be placed yet"),
        (waiting(own, "Unschedulable"), None, "another scheduler places it"),
        (on_node(waiting(foreign(1, 10), "Unschedulable"), "a"), None, "it has a place"),
    ] {
        let fixture = Fixture::new();
        apply(&fixture, value);
        assert_eq!(claim(&fixture, 1).unwrap().unschedulable, wanted, "{why}");
        assert_eq!(fixture.index.extent().pending, usize::from(wanted.is_some()), "{why}");
    }
}

#[test]
fn own_writes_are_known_at_once_and_bring_nothing_back() {
    let fixture = Fixture::new();
    fixture.index.learn_pod(&object(foreign(1, 10)));
    assert_eq!(claim(&fixture, 1), None, "the watch tells of it first");
    apply(&fixture, waiting(foreign(1, 10), "Unschedulable"));
    let mut nominated = waiting(foreign(1, 12), "Unschedulable");
    nominated["status"]["nominatedNodeName"] = json!("a");
    fixture.index.learn_pod(&object(nominated.clone()));
    let named = || fixture.index.nodes().name(claim(&fixture, 1)?.nominated?).map(|name| name.to_string());
    assert_eq!(named().as_deref(), Some("a"));
    apply(&fixture, waiting(foreign(1, 11), "Unschedulable"));
    assert_eq!(named().as_deref(), Some("a"), "older news changes nothing");
    let mut deleting = nominated;
    deleting["metadata"]["resourceVersion"] = json!("13");
    deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    fixture.index.learn_pod(&object(deleting.clone()));
    assert!(claim(&fixture, 1).unwrap().ends.is_some());
    fixture.index.feed(
        Kind::Pod,
        &Event::Delete(object::<Pod>(with(deleting.clone(), "/metadata/resourceVersion", json!("14")))),
    );
    fixture.index.learn_pod(&object(deleting));
    assert_eq!(claim(&fixture, 1), None);
    assert!(fixture.index.nodes().len() == 0);
}

#[test]
fn what_a_relist_does_not_show_is_gone() {
    let fixture = Fixture::new();
    for id in 1..4 {
        apply(&fixture, on_node(foreign(id, 10), "a"));
    }
    // A relist that does not come to its end proves nothing.
    fixture.index.feed(Kind::Pod, &Event::<Pod>::Init);
    fixture.relist(Kind::Pod, vec![object::<Pod>(on_node(foreign(2, 10), "a"))]);
    let left = fixture.index.board(|board| board.claims().map(|claim| claim.uid).collect::<Vec<_>>());
    assert_eq!(left, [Uid::new(2)]);
    fixture.relist::<Pod>(Kind::Pod, Vec::new());
    assert!(fixture.index.nodes().len() == 0);
}

#[test]
fn a_pod_of_a_service_is_known_both_ways() {
    let fixture = Fixture::new();
    let mut bound = owned_by(crate::index::tests::pod(0, 1, 1, 10), 9);
    bound["spec"]["nodeName"] = json!("a");
    apply(&fixture, bound.clone());
    let known = claim(&fixture, 1).unwrap();
    assert!(known.owner.ours.is_some() && known.owner.preempts_natively);
    assert_eq!((&*known.owner.job, fixture.tasks("web").len()), ("web", 1));
    assert_eq!(known.owner.labels.len(), 3, "service, revision and live: {:?}", known.owner.labels);
    assert_eq!(fixture.index.foreign("prod"), BTreeMap::new());
    apply(
        &fixture,
        with(with(bound, "/metadata/resourceVersion", json!("11")), "/status/phase", json!("Failed")),
    );
    assert_eq!((claim(&fixture, 1), fixture.tasks("web").len()), (None, 1), "the task is history");
}

#[test]
fn nodes_are_read_as_the_scheduler_reads_them() {
    let fixture = Fixture::new();
    let follower = fixture.index.changes();
    follower.take();
    let mut shut = node("a", 2);
    shut.spec.unschedulable = true;
    shut.spec.taints = object(json!([
        {"key": "dedicated", "value": "ads", "effect": "NoExecute"},
        {"key": "soft", "effect": "PreferNoSchedule"},
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
    ]));
    fixture.relist(Kind::Node, vec![node("a", 1), node("b", 1)]);
    assert!(follower.take().hosts);
    fixture.index.feed(Kind::Node, &Event::Apply(node("b", 2)));
    assert!(follower.take().is_empty(), "a heartbeat wakes nobody");
    fixture.index.feed(Kind::Node, &Event::Apply(shut));
    assert_eq!(follower.take(), Changes { hosts: true, ..Changes::default() });
    let host = fixture.index.board(|board| board.hosts().next().unwrap().0.clone());
    assert_eq!((&*host.name, host.pods, host.labels.len()), ("a", 110, 1));
    let taints: Vec<_> = host.taints.iter().map(|taint| (&*taint.key, &*taint.value)).collect();
    assert_eq!(taints, [("dedicated", "ads"), ("node.kubernetes.io/unschedulable", "")]);
    let gpus = BTreeMap::from([("nvidia.com/gpu".into(), 2)]);
    let wanted = Resources { cpu_milli: 3_920, memory: 15 << 30, ephemeral: 90 << 30, extended: gpus };
    assert_eq!(host.allocatable, wanted);

    fixture.index.feed(Kind::Node, &Event::Apply(node("a", 1)));
    assert_eq!(fixture.index.board(|board| board.hosts().next().unwrap().0.taints.len()), 2, "old news");
    fixture.relist(Kind::Node, vec![node("b", 2)]);
    fixture.index.feed(Kind::Node, &Event::Delete(node("b", 3)));
    assert_eq!(fixture.index.extent(), Extent::default());
    assert!(follower.take().hosts);
}

#[test]
fn what_foreign_pods_take_follows_roles_and_tiers() {
    let fixture = Fixture::new();
    let follower = fixture.index.changes();
    let taken = |role: &str| {
        let all = fixture.index.foreign(role);
        all.get("data").map(|it| (it.production.cpu_milli, it.non_production.cpu_milli, it.pods))
    };
    for id in 1..4 {
        apply(&fixture, foreign(id, 10));
    }
    assert_eq!(taken("data"), Some((0, 6_000, 3)), "no tier");
    assert_eq!(follower.take().roles, ["data".into()].into());
    tenancy(&fixture, 1, false);
    assert_eq!((taken("data"), taken("role-of-data")), (None, Some((6_000, 0, 3))));
    assert_eq!(follower.take().roles, ["data".into(), "role-of-data".into()].into());
    assert_eq!(claim(&fixture, 2).unwrap().owner.tier.as_ref().map(|tier| &*tier.name), Some("preferred"));
    apply(&fixture, foreign(3, 11));
    assert!(follower.take().is_empty(), "only its version is another");
    apply(&fixture, with(foreign(3, 12), "/status/phase", json!("Failed")));
    assert_eq!(taken("role-of-data"), Some((4_000, 0, 2)));
    tenancy(&fixture, 2, true);
    assert_eq!(taken("role-of-data"), Some((0, 4_000, 2)));
    apply(&fixture, foreign(4, 13));
    let [old, new] = [1, 4].map(|id| claim(&fixture, id).unwrap());
    assert!(Arc::ptr_eq(&old.owner, &new.owner), "who comes later has the same owner");
}

#[test]
fn followers_are_told_what_concerns_them() {
    let fixture = Fixture::new();
    let follower = fixture.index.changes();
    let told = || {
        let Changes { pending, room, hosts, .. } = follower.take();
        (pending, room, hosts)
    };
    assert_eq!(told(), (true, true, true), "in the beginning all is new");
    apply(&fixture, foreign(1, 10));
    assert_eq!(told(), (false, false, false), "the scheduler has not said anything");
    apply(&fixture, waiting(foreign(1, 11), "Unschedulable"));
    assert_eq!(told(), (true, false, false));
    apply(&fixture, waiting(foreign(1, 12), "Unschedulable"));
    assert_eq!(told(), (false, false, false), "it says the same again");
    apply(&fixture, on_node(foreign(1, 13), "a"));
    assert_eq!(told(), (true, true, false));
    let mut ending = on_node(foreign(1, 14), "a");
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    apply(&fixture, ending.clone());
    assert_eq!(told(), (false, true, false));
    fixture.index.feed(
        Kind::Pod,
        &Event::Delete(object::<Pod>(with(ending, "/metadata/resourceVersion", json!("15")))),
    );
    assert_eq!(told(), (false, true, false));
}

#[test]
fn followers_can_be_woken_though_nothing_has_changed() {
    let fixture = Fixture::new();
    let follower = fixture.index.changes();
    let woken = || futures::FutureExt::now_or_never(follower.woken().notified()).is_some();
    follower.take();
    assert!(woken() && !woken());
    fixture.index.wake_followers();
    assert!(woken(), "the freeze switch may have changed");
    assert!(follower.take().is_empty());
}
