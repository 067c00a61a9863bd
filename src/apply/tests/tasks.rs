//! Pods: made once, ended by uid, never taken from others.

use borealis_core::{
    model::Intent,
    plan::{Ended, Problem},
};

use super::*;
use crate::testing::{Effect, Fault};

const NEVER_SEEN: Uid = Uid::new(77);

fn ending(world: &World, name: &str, how: Ended) -> Action {
    let uid = world.uid("pods", name);
    Action::End { uid, instance: 0, run: 1, intent: Intent::Kill, how }
}

fn writes(world: &World) -> Vec<String> {
    world.api.take_writes()
}

#[tokio::test(start_paused = true)]
async fn makes_pods_of_the_stored_config_in_its_term() {
    let world = World::new().await;
    let outcome = world.run((0..5).map(|instance| world.create(instance, 1))).await;
    assert_eq!(outcome, Outcome::Done { wrote: true });
    assert_eq!(world.pods(), ["web-0-1", "web-1-1", "web-2-1", "web-3-1", "web-4-1"]);
    let pod = world.pod("web-3-1").unwrap();
    assert_eq!(pod["metadata"]["labels"]["borealis.dev/term"], "1");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], world.facts.uid.to_string());
    assert_eq!(world.reports.take().len(), 5);
    // The config was kept from when it was stored: nothing but the Pods is asked for.
    assert_eq!(world.api.take_calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_an_answer_is_sent_again_under_the_same_name() {
    for effect in [Effect::DoneAndHang, Effect::DoneBut(unavailable())] {
        let world = World::new().await;
        world.api.inject(Fault::once("create", "pods", effect));
        let outcome = world.run([world.create(0, 1)]).await;
        assert_eq!(outcome, Outcome::Done { wrote: false });
        assert_eq!(world.pods(), ["web-0-1"]);
        assert_eq!(world.reports.take(), ["pod web-0-1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_doubt_is_not_settled_by_a_refusal_of_the_second_try() {
    let world = World::new().await;
    // The first may still be applied when the second is told to come back later.
    world.api.inject(Fault::once("create", "pods", Effect::Refuse(unavailable())));
    let busy = Answer::new(429, "TooManyRequests", "busy");
    world.api.inject(Fault::once("create", "pods", Effect::Refuse(busy)));
    assert_eq!(world.run([world.create(0, 1)]).await, Outcome::Done { wrote: true });
    assert_eq!(
        writes(&world),
        ["create pods/web-0-1 503", "create pods/web-0-1 429", "create pods/web-0-1 200"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_pod_is_looked_for_when_no_answer_ever_comes() {
    let world = World::new().await;
    world.api.inject(Fault::once("create", "pods", Effect::DoneBut(unavailable())).times(1000));
    assert!(is_retry(&world.run([world.create(0, 1)]).await));
    assert_eq!(world.reports.take(), ["unsettle prod/web"]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_not_asked_before_its_time() {
    let world = World::new().await;
    world.api.inject(Fault::once(
        "create",
        "pods",
        Effect::Refuse(Answer::new(429, "TooManyRequests", "busy")),
    ));
    let outcome = world.run([world.create(0, 1), world.create(1, 1)]).await;
    assert!(is_retry(&outcome), "{outcome:?}");
    assert!(world.pods().is_empty());
    assert!(world.reports.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_pod_of_the_name_is_not_touched() {
    let world = World::new().await;
    let foreign = json!({"metadata": {"name": "web-0-1", "namespace": "prod",
        "ownerReferences": [{"uid": "x", "controller": true, "kind": "Job", "name": "j", "apiVersion": "v1"}]}});
    world.api.create("pods", foreign);
    let before = world.pod("web-0-1");
    let outcome = world.run([world.create(0, 1)]).await;
    let Outcome::Refused { problem: Problem { reason, message, blocks } } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((reason, blocks), ("NameConflict", false));
    assert!(message.contains("Pod prod/web-0-1"), "{message}");
    assert_eq!(world.pod("web-0-1"), before);
}

#[tokio::test(start_paused = true)]
async fn a_refused_template_costs_one_call_and_is_told() {
    let world = World::new().await;
    let refusal = Answer::new(422, "Invalid", "spec.containers[0].image: Required value");
    world.api.inject(Fault::once("create", "pods", Effect::Refuse(refusal)).times(100));
    let plan = Plan {
        actions: (0..5).map(|instance| world.create(instance, 1)).collect(),
        status: Some(status(world.revision(), 0)),
        ..Plan::default()
    };
    let outcome = world.execute(plan).await;
    let Outcome::Refused { problem } = outcome else { panic!("{outcome:?}") };
    assert_eq!(problem.reason, "TemplateRefused");
    assert!(problem.message.contains("Required value"), "{}", problem.message);
    assert_eq!(writes(&world), ["create pods/web-0-1 422", "patch auroraservices/web/status 200"]);
}

#[tokio::test(start_paused = true)]
async fn creates_stop_at_the_first_that_is_refused() {
    let world = World::new().await;
    let refusal = Answer::new(403, "Forbidden", "exceeded quota");
    world.api.inject(Fault::once("create", "pods", Effect::Refuse(refusal)).after(2).times(100));
    let outcome = world.run((0..20).map(|instance| world.create(instance, 1))).await;
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    assert_eq!(world.pods().len(), 2);
    // One, then two, and two more for the second that went well: three are refused, the other fifteen not tried.
    let sent = writes(&world).len();
    assert!((3..=5).contains(&sent), "{sent} were sent");
}

#[tokio::test(start_paused = true)]
async fn a_refused_config_does_not_keep_another_from_running() {
    let mut world = World::new().await;
    let ours = world.revision();
    let other = world
        .store(&json!({"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}))
        .await;
    let refusal = Answer::new(422, "Invalid", "no such thing");
    world.api.inject(Fault::once("create", "pods", Effect::Refuse(refusal)));
    let of = |instance, revision| Action::Create { instance, run: 1, revision, flaps: 0, failures: 0 };
    let outcome = world.run([of(0, ours), of(1, other), of(2, ours), of(3, other)]).await;
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    // One of the two is refused at its first Pod; both Pods of the other are made.
    assert_eq!(world.pods().len(), 2);
    assert_eq!(writes(&world).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_large_plan_is_carried_out_in_portions() {
    let world = World::new().await;
    let plan = || Plan {
        actions: (0..300).map(|instance| world.create(instance, 1)).collect(),
        status: Some(status(world.revision(), 0)),
        ..Plan::default()
    };
    assert_eq!(world.execute(plan()).await, Outcome::Done { wrote: true });
    assert_eq!(world.pods().len(), 256);
    assert!(writes(&world).contains(&"patch auroraservices/web/status 200".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_lease_is_lost() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    world.gate.close();
    writes(&world);
    let outcome = world.run([ending(&world, "web-0-1", Ended::Deleted), world.create(1, 1)]).await;
    assert_eq!(outcome, Outcome::Fenced);
    assert!(writes(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_lost_in_mid_plan_stops_the_rest() {
    let world = World::new().await;
    // The first create takes longer than the lease lasts.
    world.gate.open(1, Instant::now() + Duration::from_secs(10));
    world.api.inject(Fault::once("create", "pods", Effect::DoneAndHang));
    let plan = Plan {
        actions: (0..5).map(|instance| world.create(instance, 1)).collect(),
        status: Some(status(world.revision(), 0)),
        ..Plan::default()
    };
    let outcome = world.execute(plan).await;
    assert!(matches!(outcome, Outcome::Fenced | Outcome::Retry { .. }), "{outcome:?}");
    assert_eq!(writes(&world), ["create pods/web-0-1 200"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_another_term_is_refused_and_says_who_is_right() {
    let world = World::new().await;
    world.api.create(
        "leases",
        json!({"metadata": {"name": "l", "namespace": "b"}, "spec": {"leaseTransitions": 2}}),
    );
    world.api.fence_terms("b", "l");
    // Our fence is open: either the API server has not seen our term yet, or we are about to learn better.
    let Outcome::Retry { after, .. } = world.run([world.create(0, 1)]).await else { panic!() };
    assert_eq!(after, Some(Duration::from_millis(500)));
    assert!(world.pods().is_empty());
    assert!(world.measures("borealis_term_refusals_total 1"));

    world.gate.open(2, Instant::now() + Duration::from_secs(60));
    assert_eq!(world.run([world.create(0, 1)]).await, Outcome::Done { wrote: true });
}

#[tokio::test(start_paused = true)]
async fn a_term_that_stays_refused_is_said() {
    let page = Page::default();
    let writer = page.clone();
    let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _log = tracing::subscriber::set_default(log);
    let world = World::new().await;
    world.api.fence_terms("b", "l");
    let said = || page.text().matches("refuses Pods of this term although the lease is held").count();
    for _ in 0..19 {
        world.run([world.create(0, 1)]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(said(), 0);
    for _ in 0..60 {
        world.run([world.create(0, 1)]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(said(), 1, "{}", page.text());
}

#[tokio::test(start_paused = true)]
async fn a_task_is_stopped_and_its_pod_kept() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    writes(&world);
    let outcome = world.run([ending(&world, "web-0-1", Ended::Kept)]).await;
    assert_eq!(outcome, Outcome::Done { wrote: true });
    let pod = world.pod("web-0-1").unwrap();
    assert_eq!(pod["spec"]["activeDeadlineSeconds"], 1);
    assert_eq!(pod["metadata"]["annotations"]["borealis.dev/end-reason"], "Kill");
    assert!(pod["metadata"]["annotations"]["borealis.dev/ended-at"].is_string());
    assert!(pod["metadata"]["labels"].get("borealis.dev/live").is_none());
    assert_eq!(writes(&world), ["patch pods/web-0-1 200"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_can_not_be_kept_is_deleted() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    writes(&world);
    world.api.inject(Fault::once("patch", "pods", Effect::Refuse(Answer::new(422, "Invalid", "no"))));
    assert_eq!(world.run([ending(&world, "web-0-1", Ended::Kept)]).await, Outcome::Done { wrote: true });
    assert_eq!(writes(&world), ["patch pods/web-0-1 422", "delete pods/web-0-1 200"]);
    assert!(world.pods().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_pod_of_the_same_name_is_left_alone() {
    for how in [Ended::Kept, Ended::Deleted, Ended::Overdue] {
        let world = World::new().await;
        world.run([world.create(0, 1)]).await;
        let end = Action::End { uid: NEVER_SEEN, instance: 0, run: 1, intent: Intent::Lose, how };
        let retire = Action::Retire { uid: NEVER_SEEN, instance: 0, run: 1 };
        let prune = Action::Prune { uid: NEVER_SEEN, instance: 0, run: 1 };
        let before = world.pod("web-0-1");
        world.reports.take();
        assert_eq!(world.run([end, retire, prune]).await, Outcome::Done { wrote: false }, "{how:?}");
        assert_eq!(world.pod("web-0-1"), before, "{how:?}");
        let gone = format!("pod gone {NEVER_SEEN}");
        assert_eq!(world.reports.take(), [gone.clone(), gone.clone(), gone], "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_task_that_is_deleted_stays_for_its_grace() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    world.api.merge("pods", "prod", "web-0-1", &json!({"spec": {"nodeName": "n1"}}));
    world.reports.take();
    assert_eq!(world.run([ending(&world, "web-0-1", Ended::Overdue)]).await, Outcome::Done { wrote: true });
    let pod = world.pod("web-0-1").unwrap();
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(pod["metadata"]["annotations"]["borealis.dev/end-reason"], "Kill");
    assert_eq!(world.reports.take(), ["pod web-0-1", "pod web-0-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_given_up_only_where_its_node_is_lost_still() {
    let found = |labels: Value| Some(json!({"metadata": {"name": "n1", "labels": labels}}));
    for (known, found, why) in [
        (Some(7), found(json!({"lost": "7"})), None),
        (Some(7), None, None),
        (Some(7), found(json!({})), Some("node n1 is back")),
        (Some(7), found(json!({"lost": "8"})), Some("node n1 is back")),
        (None, found(json!({"lost": "7"})), Some("not lost")),
    ] {
        let world = World::new().await;
        world.run([world.create(0, 1)]).await;
        if let Some(node) = found {
            world.api.create("nodes", node);
        }
        world.api.create("nodes", json!({"metadata": {"name": "n2"}}));
        let since = |second| Timestamp::from_second(second).unwrap();
        *world.reports.lost.lock().unwrap() =
            known.map(|second| LostNode { name: "n1".into(), since: since(second) });
        writes(&world);
        let outcome = world.run([ending(&world, "web-0-1", Ended::Lost)]).await;
        let Some(reason) = why else {
            assert_eq!(outcome, Outcome::Done { wrote: true });
            assert_eq!(writes(&world), ["patch pods/web-0-1 200", "delete pods/web-0-1 200"]);
            continue;
        };
        let Outcome::Retry { after: None, why } = outcome else { panic!("{outcome:?}") };
        assert!(why.contains(reason) && why.contains("web-0-1"), "{why}");
        assert!(writes(&world).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_orphan_is_adopted_with_its_other_owners() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    let other = json!([{"uid": "x", "kind": "Backup", "name": "b", "apiVersion": "v1"}]);
    world.api.merge("pods", "prod", "web-0-1", &json!({"metadata": {"ownerReferences": other}}));
    let adopt = Action::AdoptTask { uid: world.uid("pods", "web-0-1"), instance: 0, run: 1 };
    assert_eq!(world.run([adopt]).await, Outcome::Done { wrote: true });
    let owners = world.pod("web-0-1").unwrap()["metadata"]["ownerReferences"].clone();
    assert_eq!(owners[0]["uid"], "x");
    assert_eq!(owners[1]["uid"], world.facts.uid.to_string());
    assert_eq!(owners[1]["controller"], true);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_adopted_for_a_service_that_goes() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    let adopt = Action::AdoptTask { uid: world.uid("pods", "web-0-1"), instance: 0, run: 1 };
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    world.api.merge("auroraservices", "prod", "web", &going);
    writes(&world);
    assert!(is_retry(&world.run([adopt]).await));
    assert!(writes(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_alone_does_not_say_that_a_pod_is_gone() {
    let world = World::new().await;
    world.run([world.create(0, 1)]).await;
    world.reports.take();
    // As a webhook may answer.
    let conflict = Answer::new(409, "Conflict", "a backup is under way");
    world.api.inject(Fault::once("delete", "pods", Effect::Refuse(conflict)));
    assert!(is_retry(&world.run([ending(&world, "web-0-1", Ended::Deleted)]).await));
    assert!(world.reports.take().is_empty());
    world.run([ending(&world, "web-0-1", Ended::Deleted)]).await;
    assert!(world.pods().is_empty());
}
