use borealis_core::model::{EndReason, TaskState};
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn running() -> Value {
    json!({
        "metadata": {
            "name": "web-3-12", "namespace": "prod", "uid": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
            "resourceVersion": "4711", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"borealis.dev/service": "web", "borealis.dev/instance": "3", "borealis.dev/run": "12",
                "borealis.dev/revision": "v1-00000000000000aa", "borealis.dev/live": "true"},
            "annotations": {"borealis.dev/flaps": "2", "borealis.dev/failures": "5"},
        },
        "spec": {"nodeName": "n1", "restartPolicy": "Never", "containers": [{"name": "main"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"}],
            "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}],
        },
    })
}

fn read(pod: Value) -> Result<Task, Unreadable> {
    read_after(pod, None)
}

fn read_after(pod: Value, known: Option<&Task>) -> Result<Task, Unreadable> {
    let mut pod = pod;
    for status in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
        for (key, value) in
            [("image", json!("")), ("imageID", json!("")), ("ready", json!(true)), ("restartCount", json!(0))]
        {
            status[key] = value;
        }
    }
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let identity = identify(&pod.metadata)?;
    let node = node_name(&pod).map(|_| NodeId(1));
    Ok(reduce(&pod, &identity, node, true, known).0)
}

#[test]
fn a_running_pod_is_a_running_task() {
    assert_eq!(
        read(running()),
        Ok(Task {
            uid: "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".parse().unwrap(),
            instance: 3,
            run: 12,
            revision: Revision::v1(0xaa),
            state: TaskState::Running,
            before: TaskState::Running,
            ready: true,
            ready_since: Some(at("2026-01-01T00:00:09Z")),
            unready_since: None,
            waiting: None,
            created: at("2026-01-01T00:00:00Z"),
            started: Some(at("2026-01-01T00:00:05Z")),
            ended: None,
            end: None,
            exit_code: None,
            ending: None,
            half_ended: false,
            in_place: None,
            flaps: 2,
            failures: 5,
            node: Some(NodeId(1)),
            live_label: true,
            owned: true,
        })
    );
}

#[test]
fn a_pod_with_another_name_or_controller_is_left_alone() {
    for name in ["web-3-13", "web-3-012", "web-3-+12", "web-3", "web-3-12-1", "other-3-12", "web3-12"] {
        let mut pod = running();
        pod["metadata"]["name"] = json!(name);
        assert_eq!(read(pod), Err(Unreadable::Name), "{name}");
    }
    let owner = |api: &str, kind: &str| {
        let mut pod = running();
        pod["metadata"]["ownerReferences"] = json!([{"apiVersion": api, "kind": kind, "name": "web",
            "uid": "0a1b2c3d-4e5f-6071-8293-000000000000", "controller": true}]);
        read(pod).map(|_| ())
    };
    assert_eq!(owner("apps/v1", "ReplicaSet"), Err(Unreadable::Foreign));
    assert_eq!(owner("borealis.dev/v1alpha1", "AuroraService"), Ok(()));
    for label in ["service", "instance", "run", "revision"] {
        let mut pod = running();
        pod["metadata"]["labels"].as_object_mut().unwrap().remove(&format!("borealis.dev/{label}"));
        assert!(matches!(read(pod), Err(Unreadable::Label(_))), "{label}");
    }
}

#[test]
fn the_order_to_end_is_read_with_its_time() {
    let mut pod = running();
    pod["spec"]["terminationGracePeriodSeconds"] = json!(600);
    pod["metadata"]["annotations"]["borealis.dev/end-reason"] = json!("Drain");
    pod["metadata"]["annotations"]["borealis.dev/ended-at"] = json!("2026-01-01T00:01:00Z");
    let kept = read(pod.clone()).unwrap();
    assert_eq!(
        kept.ending,
        Some(Ending {
            intent: Some(Intent::Drain),
            at: at("2026-01-01T00:01:00Z"),
            grace_seconds: 600,
            deleting: false
        })
    );
    assert_eq!(kept.state, TaskState::Draining);

    // It has not stopped and is deleted: with the grace of its deletion, from then.
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:12:20Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(20);
    let deleted = read(pod).unwrap().ending.unwrap();
    assert_eq!((deleted.at, deleted.grace_seconds), (at("2026-01-01T00:12:00Z"), 20));

    let mut pod = running();
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:02:30Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    let deleted = read(pod).unwrap();
    assert_eq!(
        deleted.ending,
        Some(Ending { intent: None, at: at("2026-01-01T00:02:00Z"), grace_seconds: 30, deleting: true }),
        "when it was asked for, not when its grace is over"
    );
}

#[test]
fn whether_a_container_ended_for_good_depends_on_every_policy() {
    for (pod_policy, container, code, restarts) in [
        ("Never", json!({}), 0, false),
        ("Never", json!({}), 1, false),
        ("OnFailure", json!({}), 0, false),
        ("OnFailure", json!({}), 1, true),
        ("Always", json!({}), 0, true),
        ("Never", json!({"restartPolicy": "Always"}), 0, true),
        ("Always", json!({"restartPolicy": "Never"}), 1, false),
        ("Never", rules("In"), 42, true),
        ("Never", rules("In"), 41, false),
        ("Never", rules("NotIn"), 42, false),
        ("Never", rules("NotIn"), 41, true),
    ] {
        let mut pod = running();
        pod["spec"]["restartPolicy"] = json!(pod_policy);
        let mut first = json!({"name": "main"});
        first.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        pod["spec"]["containers"] = json!([first, {"name": "other"}]);
        pod["status"]["containerStatuses"] = json!([
            {"name": "main", "state": {"terminated": {"exitCode": code, "finishedAt": "2026-01-01T00:00:07Z"}}},
            {"name": "other", "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}},
        ]);
        let task = read(pod).unwrap();
        assert_eq!(task.half_ended, !restarts, "{pod_policy} {container} {code}");
    }
}

fn rules(operator: &str) -> Value {
    json!({"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": operator, "values": [42]}}]})
}

#[test]
fn the_record_remembers_what_the_status_forgets() {
    let before = read(running()).unwrap();
    let mut pod = running();
    pod["status"] = json!({"phase": "Failed", "reason": "Evicted", "conditions": [
        {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-01T00:03:00Z"},
        {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:03:01Z"},
    ]});
    let ended = read_after(pod, Some(&before)).unwrap();
    assert_eq!(
        (ended.state, ended.before, ended.end),
        (TaskState::Lost, TaskState::Running, Some(EndReason::Disrupted))
    );
    assert_eq!(ended.ready_since, before.ready_since);
    assert_eq!(ended.ended, Some(at("2026-01-01T00:03:01Z")), "no container says when, so the conditions do");
}

#[test]
fn what_a_pod_waits_for_and_since_when_it_is_not_ready_is_read() {
    let mut pod = running();
    pod["status"] = json!({
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
            {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:07Z"},
        ],
    });
    let task = read(pod.clone()).unwrap();
    assert_eq!(task.waiting, Some(Waiting::Unschedulable));
    assert_eq!(task.unready_since, Some(at("2026-01-01T00:00:07Z")));
    pod["status"] = json!({
        "phase": "Pending",
        "containerStatuses": [{
            "name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff"}},
        }],
    });
    assert_eq!(read(pod).unwrap().waiting, Some(Waiting::ImagePull));
}
