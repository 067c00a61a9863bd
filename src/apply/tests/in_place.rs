//! Changes in place: at the version that was read, in two calls at most, or not at all.

use borealis_core::{
    model::{Instructions, UpdateSettings},
    plan::{Ended, NewUpdate},
};

use super::*;
use crate::testing::{Effect, Fault};

/// A world with a Pod whose gate is shut, and a second config it can change into.
async fn world(change: &Value) -> (World, Revision, Revision) {
    let mut world = World::new().await;
    world.facts.in_place = true;
    let template = json!({
        "metadata": {"labels": {"team": "a", "old": "1"}},
        "spec": {"containers": [{"name": "main", "image": "web:1",
            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}}]},
    });
    let from = world.store(&json!({ "template": template })).await;
    assert_eq!(world.run([world.create(0, 1)]).await, Outcome::Done { wrote: true });
    let condition = |kind: &str| json!({"type": kind, "status": "False"});
    shape(
        &world,
        &json!({
            "metadata": {"labels": {"mesh": "x"}, "generation": 1},
            "spec": {"containers": [{"name": "injected", "image": "mesh:1"}, {"name": "main", "image": "web:1",
                "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}}]},
            "status": {"phase": "Running", "observedGeneration": 1,
                "conditions": [condition("Ready"), condition("borealis.dev/in-place")],
                "containerStatuses": [{"name": "main", "ready": true, "restartCount": 4, "image": "", "imageID": "",
                                       "state": {"running": {}}}]},
        }),
    );
    let to = world.store(&json!({ "template": change })).await;
    world.reports.take();
    world.api.take_calls();
    (world, from, to)
}

fn image() -> Value {
    json!({"metadata": {"labels": {"team": "b", "old": null, "new": "2"}}, "spec": {"containers": [
        {"name": "main", "image": "web:2",
         "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}}]}})
}

fn resources() -> Value {
    json!({"spec": {"containers": [
        {"name": "main", "image": "web:1",
         "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "2", "memory": "3Gi"}}}]}})
}

fn shape(world: &World, body: &Value) {
    world.api.merge("pods", "prod", "web-0-1", body);
}

fn change(world: &World, from: Revision, revision: Revision) -> Action {
    let uid = world.uid("pods", "web-0-1");
    Action::ChangeInPlace { uid, instance: 0, run: 1, from, revision, update: 3, instead: Ended::Kept }
}

fn calls(world: &World) -> Vec<String> {
    world.api.take_calls().iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_made_with_its_gate_where_the_service_asks_for_it() {
    let mut world = World::new().await;
    for in_place in [false, true] {
        world.facts.in_place = in_place;
        let run = 1 + u32::from(in_place);
        assert_eq!(world.run([world.create(0, run)]).await, Outcome::Done { wrote: true });
        let gates = world.pod(&format!("web-0-{run}")).unwrap()["spec"]["readinessGates"].clone();
        let expected =
            if in_place { json!([{"conditionType": "borealis.dev/in-place"}]) } else { Value::Null };
        assert_eq!(gates, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_is_set_beside_the_conditions_of_others() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    shape(&world, &json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}));
    let uid = world.uid("pods", "web-0-1");
    world.api.take_calls();
    for (open, status) in [(true, "True"), (false, "False")] {
        let set = Action::SetGate { uid, instance: 0, run: 1, open };
        assert_eq!(world.run([set]).await, Outcome::Done { wrote: true });
        let conditions = world.pod("web-0-1").unwrap()["status"]["conditions"].clone();
        assert_eq!((&conditions[0]["type"], &conditions[1]["status"]), (&json!("Ready"), &json!(status)));
        assert!(conditions[1]["lastTransitionTime"].is_string());
        assert_eq!(calls(&world), ["patch pods/web-0-1/status 200"]);
    }
    // The name may be another Pod's by now.
    let other = Action::SetGate { uid: Uid::new(77), instance: 0, run: 1, open: true };
    let before = world.pod("web-0-1");
    assert_eq!(world.run([other]).await, Outcome::Done { wrote: false });
    assert_eq!(world.pod("web-0-1"), before);
}

#[tokio::test(start_paused = true)]
async fn an_image_and_labels_are_changed_in_one_call() {
    let (world, from, to) = world(&image()).await;
    let before = world.pod("web-0-1").unwrap();
    assert_eq!(world.run([change(&world, from, to)]).await, Outcome::Done { wrote: true });
    assert_eq!(calls(&world), ["get pods/web-0-1 200", "patch pods/web-0-1 200"]);
    let pod = world.pod("web-0-1").unwrap();
    assert_eq!(pod["metadata"]["uid"], before["metadata"]["uid"]);
    let labels = &pod["metadata"]["labels"];
    assert_eq!(labels["borealis.dev/revision"], to.to_string());
    assert_eq!(labels["borealis.dev/term"], "1");
    let others = ["team", "new", "old", "mesh", "borealis.dev/run"].map(|key| labels[key].as_str());
    assert_eq!(others, [Some("b"), Some("2"), None, Some("x"), Some("1")]);
    let images = ["/spec/containers/0/image", "/spec/containers/1/image"].map(|at| pod.pointer(at).cloned());
    assert_eq!(images, [Some(json!("mesh:1")), Some(json!("web:2"))]);
    let note: Value =
        serde_json::from_str(pod["metadata"]["annotations"]["borealis.dev/in-place"].as_str().unwrap())
            .unwrap();
    assert_eq!(
        (&note["update"], &note["restarts"], &note["resized"]),
        (&json!(3), &json!({"main": 4}), &Value::Null)
    );
    assert_eq!(world.reports.take(), ["pod web-0-1"]);
}

#[tokio::test(start_paused = true)]
async fn resources_are_changed_before_the_pod_names_its_new_config() {
    let (world, from, to) = world(&resources()).await;
    assert_eq!(world.run([change(&world, from, to)]).await, Outcome::Done { wrote: true });
    assert_eq!(
        calls(&world),
        ["get pods/web-0-1 200", "patch pods/web-0-1/resize 200", "patch pods/web-0-1 200"]
    );
    let pod = world.pod("web-0-1").unwrap();
    // What was filled in for a request goes with its limit.
    assert_eq!(
        pod["spec"]["containers"][1]["resources"],
        json!({"requests": {"cpu": "500m", "memory": "3Gi"}, "limits": {"cpu": "2", "memory": "3Gi"}})
    );
    let note = pod["metadata"]["annotations"]["borealis.dev/in-place"].as_str().unwrap();
    assert!(note.contains("\"resized\":true") && !note.contains("restarts"), "{note}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_ended_instead() {
    for nth in 0..2 {
        let (world, from, to) = world(&resources()).await;
        let refusal = Answer::new(422, "Invalid", "Pod QOS Class may not change as a result of resizing");
        world.api.inject(Fault::once("patch", "pods", Effect::Refuse(refusal)).after(nth));
        assert_eq!(world.run([change(&world, from, to)]).await, Outcome::Done { wrote: true });
        let pod = world.pod("web-0-1").unwrap();
        assert_eq!(pod["spec"]["activeDeadlineSeconds"], 1);
        assert_eq!(pod["metadata"]["annotations"]["borealis.dev/end-reason"], "Kill");
        assert_eq!(pod["metadata"]["labels"]["borealis.dev/revision"], from.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_or_kubelet_that_is_not_up_to_it_is_ended_instead() {
    let bodies = [
        // A kubelet of before it said what it has seen; a container that does not run; one of another name.
        json!({"status": {"observedGeneration": null}}),
        json!({"status": {"containerStatuses": [{"name": "main", "restartCount": 4, "state": {"waiting": {}}}]}}),
        json!({"spec": {"containers": [{"name": "other", "image": "web:1"}]}}),
    ];
    for body in bodies {
        let (world, from, to) = world(&image()).await;
        shape(&world, &body);
        assert_eq!(world.run([change(&world, from, to)]).await, Outcome::Done { wrote: true });
        assert_eq!(world.pod("web-0-1").unwrap()["spec"]["activeDeadlineSeconds"], 1, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_changed_since_it_was_planned_is_left_alone() {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
    let (shut, gone) = (condition("borealis.dev/in-place", "False"), condition("Ready", "False"));
    let bodies = [
        json!({"status": {"conditions": [condition("Ready", "True"), shut]}}),
        json!({"status": {"conditions": [gone, condition("borealis.dev/in-place", "True")]}}),
        json!({"metadata": {"labels": {"borealis.dev/revision": "v1-0000000000000001"}}}),
        json!({"metadata": {"annotations": {"borealis.dev/end-reason": "Kill"}}}),
    ];
    for body in bodies {
        let (world, from, to) = world(&image()).await;
        shape(&world, &body);
        let before = world.pod("web-0-1");
        assert!(is_retry(&world.run([change(&world, from, to)]).await), "{body}");
        assert_eq!(world.pod("web-0-1"), before, "{body}");
        assert_eq!(world.reports.take(), ["pod web-0-1"]);
    }
    let (world, from, to) = world(&image()).await;
    let action = change(&world, from, to);
    world.api.remove("pods", "prod", "web-0-1");
    assert_eq!(world.run([action]).await, Outcome::Done { wrote: false });
    assert!(world.reports.take()[0].starts_with("pod gone"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_changes_meanwhile_is_read_again() {
    let (world, from, to) = world(&resources()).await;
    // The kubelet has written what it makes of the resize.
    let conflict = Answer::new(409, "Conflict", "the object has been modified");
    world.api.inject(Fault::once("patch", "pods", Effect::Refuse(conflict)).after(1));
    assert_eq!(world.run([change(&world, from, to)]).await, Outcome::Done { wrote: true });
    assert_eq!(world.pod("web-0-1").unwrap()["metadata"]["labels"]["borealis.dev/revision"], to.to_string());
    let note = world.pod("web-0-1").unwrap()["metadata"]["annotations"]["borealis.dev/in-place"].clone();
    assert!(note.as_str().unwrap().contains("\"resized\":true"), "{note}");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_an_earlier_term_is_refused() {
    let (world, from, to) = world(&image()).await;
    let lease = json!({"metadata": {"name": "borealis", "namespace": "borealis-system"}, "spec": {"leaseTransitions": 2}});
    world.api.create("leases", lease);
    world.api.fence_terms("borealis-system", "borealis");
    let before = world.pod("web-0-1");
    assert!(is_retry(&world.run([change(&world, from, to)]).await));
    assert_eq!(world.pod("web-0-1"), before);
}

#[tokio::test(start_paused = true)]
async fn an_update_says_which_configs_can_change_in_place() {
    let (mut world, from, to) = world(&image()).await;
    let other = json!({"spec": {"containers": [{"name": "main", "image": "web:1", "args": ["x"]}]}});
    let third = world.store(&json!({ "template": other })).await;
    world.facts.generation =
        world.api.get("auroraservices", "prod", "web").unwrap()["metadata"]["generation"].as_i64().unwrap();
    for (number, in_place, expected) in [(1, true, json!([from.to_string()])), (2, false, Value::Null)] {
        let start = Action::StartUpdate(Box::new(NewUpdate {
            number,
            instructions: Instructions {
                from: vec![(from, Ranges::up_to(2)), (third, (2..3).collect()), (to, (3..4).collect())],
                to: Some((to, Ranges::up_to(4))),
                // Of what is not stored any more nothing can be said.
                base: vec![(Revision::v1(9), Ranges::up_to(2))],
                instances: 5,
                ..Instructions::default()
            },
            settings: UpdateSettings { in_place, ..UpdateSettings::default() },
            request: None,
        }));
        assert_eq!(world.run([start]).await, Outcome::Done { wrote: true });
        let update = world.api.get("auroraupdates", "prod", &format!("web-{number}")).unwrap();
        assert_eq!(update["spec"]["instructions"]["inPlace"], expected);
    }
}
