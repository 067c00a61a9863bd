//! What a kubelet of 1.36 was seen to write, step by step, and what it means.

use serde_json::{Value, json};

use super::*;

/// A Pod whose first container's image, and resources, were changed while its gate was shut.
fn pod(policy: &str, resized: bool, status: &Value) -> Pod {
    let note =
        json!({"update": 7, "at": "2026-07-01T10:00:00.123Z", "restarts": {"app": 1}, "resized": resized});
    serde_json::from_value(json!({
        "metadata": {"generation": 3, "annotations": {"borealis.dev/in-place": note.to_string()}},
        "spec": {
            "restartPolicy": policy,
            "readinessGates": [{"conditionType": "borealis.dev/in-place"}],
            "containers": [{"name": "app"}, {"name": "idle"}],
        },
        "status": status,
    }))
    .unwrap()
}

fn status(observed: u32, app: &Value, conditions: &Value) -> Value {
    let mut all = vec![json!({"type": "borealis.dev/in-place", "status": "False",
                              "lastTransitionTime": "2026-07-01T09:59:58Z"})];
    all.extend(conditions.as_array().unwrap().iter().cloned());
    json!({"phase": "Running", "observedGeneration": observed, "conditions": all, "containerStatuses": [app, {
        "name": "idle", "ready": true, "restartCount": 0, "image": "", "imageID": "", "state": {"running": {}},
    }]})
}

fn container(restarts: u32, state: &Value) -> Value {
    json!({"name": "app", "ready": true, "restartCount": restarts, "image": "", "imageID": "", "state": state})
}

fn stage_of(pod: &Pod) -> Stage {
    read(pod).unwrap().change.unwrap().stage
}

#[test]
fn each_step_of_the_kubelet_is_told_from_the_next() {
    use Stage::*;
    let (running, ended) = (json!({"running": {}}), json!({"terminated": {"exitCode": 3}}));
    let waiting = json!({"waiting": {"reason": "ErrImagePull"}});
    let condition = |kind: &str, reason: &str| json!([{"type": kind, "status": "True", "reason": reason}]);
    let none = json!([]);
    for (what, policy, restarts, observed, state, conditions, expected) in [
        ("not seen yet", "Never", 1, 2, &running, none.clone(), Pending),
        ("seen, and the old container runs and is Ready", "Never", 1, 3, &running, none.clone(), Pending),
        ("started anew", "Never", 2, 3, &running, none.clone(), Done),
        ("started anew, and ended", "Never", 2, 3, &ended, none.clone(), Done),
        ("the new image can't be pulled and nobody tries again", "Never", 1, 3, &ended, none.clone(), Stuck),
        ("about to be tried again", "Always", 1, 3, &ended, none.clone(), Pending),
        ("a failure, to be tried again", "OnFailure", 1, 3, &ended, none.clone(), Pending),
        ("the new image is being waited for", "Always", 1, 3, &waiting, none.clone(), Pending),
        ("resized", "Never", 2, 3, &running, condition("PodResizeInProgress", ""), Pending),
        ("no room now", "Never", 2, 3, &running, condition("PodResizePending", "Deferred"), Stuck),
        ("no room ever", "Never", 2, 3, &running, condition("PodResizePending", "Infeasible"), Stuck),
        ("not yet looked at", "Never", 2, 3, &running, condition("PodResizePending", ""), Pending),
        ("more is in use", "Never", 2, 3, &running, condition("PodResizeInProgress", "Error"), Stuck),
        (
            "stuck though not all is seen",
            "Never",
            1,
            3,
            &running,
            condition("PodResizePending", "Deferred"),
            Stuck,
        ),
    ] {
        let found = pod(policy, true, &status(observed, &container(restarts, state), &conditions));
        assert_eq!(stage_of(&found), expected, "{what}");
    }
    // What others resize later, when the gate is open, is theirs; one that was opened too early says nothing.
    let mut opened =
        pod("Never", true, &status(3, &container(2, &running), &condition("PodResizePending", "Deferred")));
    let open = |pod: &mut Pod| {
        "True".clone_into(&mut pod.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].status);
    };
    open(&mut opened);
    assert_eq!(stage_of(&opened), Done);
    let mut early = pod("Never", true, &status(3, &container(1, &running), &none));
    open(&mut early);
    assert_eq!(stage_of(&early), Pending);
    // A resize that was no part of it is somebody else's.
    let foreign = condition("PodResizePending", "Deferred");
    assert_eq!(stage_of(&pod("Never", false, &status(3, &container(2, &running), &foreign))), Done);
}

#[test]
fn a_pod_that_ended_before_its_image_was_changed_has_not_failed_with_it() {
    for (restarts, expected) in [(1, Stage::Stuck), (2, Stage::Done)] {
        let mut ended = status(2, &container(restarts, &json!({"terminated": {"exitCode": 3}})), &json!([]));
        ended["phase"] = json!("Failed");
        assert_eq!(stage_of(&pod("Always", true, &ended)), expected, "{restarts}");
    }
}

#[test]
fn a_container_that_ends_before_the_change_is_done_is_of_the_config_before() {
    let running = json!({"running": {}});
    for (policy, restarts, observed, expected) in [
        ("Never", 1, 2, Stage::Stuck),
        ("Never", 1, 3, Stage::Stuck),
        ("Always", 1, 3, Stage::Pending),
        // It has seen the new one start: its end is the new config's.
        ("Never", 2, 3, Stage::Done),
    ] {
        let mut half = status(observed, &container(restarts, &running), &json!([]));
        half["containerStatuses"][1]["state"] = json!({"terminated": {"exitCode": 0}});
        assert_eq!(stage_of(&pod(policy, false, &half)), expected, "{policy} {restarts} {observed}");
    }
}

#[test]
fn a_gate_is_open_shut_or_was_never_set() {
    let with = |conditions: Value| {
        let status = json!({"phase": "Running", "observedGeneration": 3, "conditions": conditions});
        read(&pod("Never", true, &status)).unwrap()
    };
    let gate = |status: &str| json!([{"type": "borealis.dev/in-place", "status": status, "lastTransitionTime": "2026-07-01T09:59:58Z"}]);
    let (open, shut, unset) = (with(gate("True")), with(gate("False")), with(json!([])));
    assert_eq!((open.open, shut.open, unset.open), (true, false, false));
    assert_eq!(
        (shut.since.map(|at| at.to_string()).as_deref(), unset.since),
        (Some("2026-07-01T09:59:58Z"), None)
    );
    let mut ungated = pod("Never", true, &json!({}));
    ungated.spec.as_mut().unwrap().readiness_gates = None;
    assert_eq!(read(&ungated), None);
}
