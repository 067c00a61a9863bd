use borealis_core::{
    admit::{Count, Veto, Vetoes, pending::Kept},
    model::{FailedSlot, Held, JobKind, Labels, Owner, SlotFailure},
};
use serde_json::json;

use super::*;

fn job(name: &str, ours: bool) -> Job {
    let ours = ours.then_some(JobKind::Service);
    Job { namespace: "prod".into(), name: name.into(), ours }
}

fn key(name: &str) -> JobKey {
    JobKey::service("prod", name)
}

fn group(detail: &str, instances: &str) -> Group {
    let instances: borealis_core::model::Ranges = instances.parse().unwrap();
    Group {
        reason: PendingReason::InsufficientResources,
        topic: "Insufficient cpu".to_owned(),
        detail: detail.to_owned(),
        count: instances.len().max(1),
        instances,
        names: vec!["web-0-1".into()],
        since: Timestamp::UNIX_EPOCH,
        vetoes: None,
        slots: Vec::new(),
        failed: Vec::new(),
    }
}

fn waiting(groups: Vec<Group>) -> Waiting {
    let owner = Owner {
        namespace: "prod".into(),
        role: "ads".into(),
        job: "web".into(),
        ours: Some(JobKind::Service),
        tier: None,
        priority: 3,
        rank: 0,
        preempts_natively: false,
        labels: Arc::new(Labels::new()),
    };
    Waiting { owner: Arc::new(owner), groups }
}

fn found(of: &[(&str, bool, Group)]) -> BTreeMap<Job, Waiting> {
    of.iter().map(|(name, ours, group)| (job(name, *ours), waiting(vec![group.clone()]))).collect()
}

#[test]
fn services_are_told_when_others_wait_or_for_another_reason() {
    let table = PendingTable::default();
    let start = Instant::now();
    let put = |after: u64, of: &[(&str, bool, Group)]| {
        table.put(found(of), BTreeMap::new(), start + Duration::from_secs(after))
    };
    let detail = |name: &str| table.of(&key(name)).first().map(|pending| pending.detail.clone());
    let (web, batch) = (group(" on 3", "0-2"), group("", ""));
    assert_eq!(put(0, &[("web", true, web.clone()), ("etl", false, batch.clone())]), [key("web")]);
    assert_eq!(
        (detail("web").as_deref(), detail("etl")),
        (Some(" on 3"), None),
        "nobody's instances wait there"
    );
    assert_eq!(put(1, &[("web", true, web), ("etl", false, batch)]), []);
    // Numbers alone can wait.
    assert_eq!(put(29, &[("web", true, group(" on 4", "0-2"))]), []);
    assert_eq!(detail("web").as_deref(), Some(" on 3"));
    assert_eq!(put(30, &[("web", true, group(" on 4", "0-2"))]), [key("web")]);
    assert_eq!(detail("web").as_deref(), Some(" on 4"));
    assert_eq!(put(31, &[("web", true, group(" on 4", "0-1"))]), [key("web")]);
    let other = Group { topic: "Insufficient memory".to_owned(), ..group(" on 4", "0-1") };
    assert_eq!(put(32, &[("web", true, other)]), [key("web")]);
    assert_eq!(put(33, &[]), [key("web")], "nobody waits any more");
    assert!(table.of(&key("web")).is_empty());
    assert_eq!(put(34, &[]), []);
}

#[test]
fn a_service_is_told_what_preemption_does_for_which_instances() {
    let (table, start) = (PendingTable::default(), Instant::now());
    let put = |after: u64, kind, words: &str, instances: &str| {
        let remark = Remark { kind, words: words.into(), pods: 1, instances: instances.parse().unwrap() };
        let said = [(job("web", true), vec![remark])].into();
        let found = found(&[("web", true, group(" on 3", "0-2"))]);
        table.put(found, said, start + Duration::from_secs(after))
    };
    let told = || -> Vec<_> {
        let told = table.of(&key("web"));
        told.iter().map(|it| (it.instances.to_string(), format!("{}{}", it.topic, it.detail))).collect()
    };
    let of = |instances: &str, words: &str| (instances.to_owned(), format!("Insufficient cpu on 3{words}"));
    assert_eq!(put(0, Kind::Early, "soon", "1-2"), [key("web")]);
    assert_eq!(told(), [of("1-2", "; soon"), of("0", "")]);
    assert_eq!(put(1, Kind::Early, "later", "1-2"), [], "numbers alone can wait");
    assert_eq!(put(2, Kind::Limited, "no more", "1-2"), [key("web")], "something else is said of them");
    assert_eq!(put(3, Kind::Limited, "no more", "0-7"), [key("web")]);
    assert_eq!(told(), [of("0-2", "; no more")]);
}

#[test]
fn all_that_is_known_is_shown_as_json() {
    let (table, at) = (PendingTable::default(), Timestamp::UNIX_EPOCH);
    let count = Count { veto: Veto::Dedicated, hosts: 2, score: 1 };
    let vetoes = Vetoes { hosts: 5, fitting: 1, counts: vec![count], ..Vetoes::default() };
    let held = Held { node: "n1".into(), since: at, victims: Vec::new(), asserted: 0 };
    let failed = FailedSlot { node: "n2".into(), until: at, why: SlotFailure::Taken };
    let group = Group {
        vetoes: Some(Arc::new(vetoes)),
        slots: vec![Kept { pod: "web-0-1".into(), held, leaving: vec!["dev/batch-1-1".to_owned()] }],
        failed: vec![("web-1-1".into(), failed)],
        ..group(" on 3", "0-1")
    };
    let remark = Remark {
        kind: Kind::DryRun,
        words: "who would end".into(),
        pods: 1,
        instances: "1".parse().unwrap(),
    };
    table.put(found(&[("web", true, group)]), [(job("web", true), vec![remark])].into(), Instant::now());
    let index = Index::new(Metrics::default(), |_| ());
    let epoch = "1970-01-01T00:00:00Z";
    let expected = json!({
        "jobs": [{
            "namespace": "prod", "name": "web", "kind": "AuroraService", "role": "ads", "tier": null, "priority": 3,
            "groups": [{
                "reason": "InsufficientResources", "words": "Insufficient cpu on 3", "pods": 2, "instances": "0-1",
                "some": ["web-0-1"], "since": epoch,
                "nodes": 5, "fitting": 1, "vetoes": [{"veto": "Host is dedicated", "nodes": 2}],
                "slots": [{"pod": "web-0-1", "node": "n1", "since": epoch, "leaving": ["dev/batch-1-1"]}],
                "failedSlots": [{"pod": "web-1-1", "node": "n2", "why": "Taken", "nextAfter": epoch}],
            }],
            "preemption": [{"verdict": "dryRun", "words": "who would end", "pods": 1, "instances": "1"}],
        }],
        "services": [],
    });
    assert_eq!(table.show(&index), expected);
}

/// A Pod of a service that the scheduler has found no node for, or that has one.
fn pod(instance: u32, version: u64, node: Option<&str>) -> k8s_openapi::api::core::v1::Pod {
    let uid = |id: u32| format!("00000000-0000-0000-0000-{id:012}");
    let mut pod = json!({
        "metadata": {
            "name": format!("web-{instance}-1"), "namespace": "prod", "uid": uid(instance),
            "resourceVersion": version.to_string(), "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"borealis.dev/service": "web", "borealis.dev/instance": instance.to_string(),
                "borealis.dev/run": "1", "borealis.dev/revision": "v1-0000000000000001", "borealis.dev/live": "true"},
            "ownerReferences": [{"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService", "name": "web",
                "uid": uid(900), "controller": true}],
        },
        "spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}]},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "lastTransitionTime": "2026-01-01T00:00:03Z"}]},
    });
    if let Some(node) = node {
        pod["spec"]["nodeName"] = json!(node);
        pod["status"] = json!({"phase": "Pending"});
    }
    serde_json::from_value(pod).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_loop_finds_out_and_has_the_service_planned() {
    let index = Arc::new(Index::new(Metrics::default(), |_| ()));
    let (table, queue): (_, Arc<Queue<JobKey>>) = (PendingTable::default(), Arc::default());
    let metrics = Metrics::default();
    let mut turning =
        PendingLoop::new(Arc::clone(&index), table.clone(), Arc::clone(&queue), metrics.clone());
    for instance in [0, 1, 4] {
        index.show_pod(&pod(instance, 10, None));
    }
    turning.round().await;
    let found = table.of(&key("web"));
    let words: Vec<_> = found.iter().map(|it| (it.topic.as_str(), it.instances.to_string())).collect();
    assert_eq!(words, [("There are no nodes", "0-1,4".to_owned())]);
    assert_eq!(queue.next().await, key("web"));
    queue.done(&key("web"));
    let (_gate, fence) = crate::lease::fence();
    assert!(metrics.print(&fence).unwrap().contains("unplaced_pods{reason=\"NoNodes\"} 3\n"));

    for instance in [0, 1, 4] {
        index.show_pod(&pod(instance, 11, Some("n1")));
    }
    turning.round().await;
    assert!(table.of(&key("web")).is_empty());
    assert_eq!(queue.next().await, key("web"));
    assert!(metrics.print(&fence).unwrap().contains("unplaced_pods{reason=\"NoNodes\"} 0\n"));
}
