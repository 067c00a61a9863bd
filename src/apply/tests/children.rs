//! The objects beside the Pods: made for what runs, and never in the way of what goes.

use super::*;
use crate::testing::{Effect, Fault};

/// Has the children kept of a service whose plan holds to this status.
async fn keep(world: &World, change: impl FnOnce(&mut ServiceStatus)) -> Outcome {
    let mut status = status(world.revision(), 5);
    change(&mut status);
    // As if it had been written.
    let mut world_facts = world.facts.clone();
    world_facts.recorded = Some(status.clone());
    let plan = Plan { status: Some(status), ..Plan::default() };
    world.executor.execute(&world.key, &world_facts, plan).await
}

fn ports(world: &World) -> Option<Value> {
    Some(world.api.get("services", "prod", "web")?["spec"]["ports"].take())
}

fn template(image: &str, port: u16) -> Value {
    json!({"spec": {"containers": [{"name": "main", "image": image, "ports": [{"containerPort": port}]}]}})
}

#[tokio::test(start_paused = true)]
async fn children_are_made_changed_and_left_to_others() {
    let mut world = World::new().await;
    world.facts.budget = None;
    assert_eq!(keep(&world, |_| ()).await, Outcome::Done { wrote: true });
    let budget = world.api.get("poddisruptionbudgets", "prod", "web").unwrap();
    assert_eq!(budget["spec"]["minAvailable"], 4);
    assert_eq!(budget["metadata"]["annotations"]["borealis.dev/content"], "1-4");

    // Neither known to the index nor forgotten: nothing is asked.
    world.api.take_calls();
    assert_eq!(keep(&world, |_| ()).await, Outcome::Done { wrote: false });
    assert!(world.api.take_calls().is_empty());

    let more = |status: &mut ServiceStatus| status.counts.desired = 8;
    world.facts.budget = Some("1-4".to_owned());
    world.api.inject(Fault::once("patch", "poddisruptionbudgets", Effect::DoneBut(unavailable())));
    assert!(is_retry(&keep(&world, more).await));
    assert_eq!(keep(&world, more).await, Outcome::Done { wrote: false });
    assert_eq!(world.api.get("poddisruptionbudgets", "prod", "web").unwrap()["spec"]["minAvailable"], 7);

    world.facts.budget = Some("1-4".to_owned());
    world.store(&json!({"discovery": {}})).await;
    world.api.create("services", json!({"metadata": {"name": "web", "namespace": "prod"}, "spec": {}}));
    let outcome = keep(&world, |_| ()).await;
    let Outcome::Refused { problem } = outcome else { panic!("{outcome:?}") };
    assert_eq!(problem.reason, "NameConflict");

    world.api.remove("services", "prod", "web");
    assert_eq!(keep(&world, |_| ()).await, Outcome::Done { wrote: true });
    assert_eq!(world.api.get("services", "prod", "web").unwrap()["spec"]["clusterIP"], "None");
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_that_of_the_count_the_plan_holds_to() {
    let mut world = World::new().await;
    world.facts.budget = None;
    // The spec asks for five; an update to that count failed, or has only begun.
    keep(&world, |status| status.counts.desired = 3).await;
    assert_eq!(world.api.get("poddisruptionbudgets", "prod", "web").unwrap()["spec"]["minAvailable"], 2);
}

#[tokio::test(start_paused = true)]
async fn names_stay_as_long_as_a_config_in_use_asks_for_them() {
    let mut world = World::new().await;
    let plain = world.revision();
    let named = world.store(&json!({"discovery": {}, "template": template("web:1", 80)})).await;
    // A config that may yet turn out bad: the last good one says the ports, if it has names.
    keep(&world, |status| status.last_good = Some(plain)).await;
    assert_eq!(ports(&world).unwrap()[0]["port"], 80, "none were there before");
    let other = world.store(&json!({"template": template("web:2", 81)})).await;
    world.facts.headless = Some(format!("1-{named}"));
    let held = |status: &mut ServiceStatus| status.last_good = Some(named);
    assert_eq!(keep(&world, held).await, Outcome::Done { wrote: false });
    assert_eq!(keep(&world, |status| status.last_good = Some(other)).await, Outcome::Done { wrote: true });
    assert_eq!(ports(&world).unwrap()[0]["port"], 81);

    // The spec asks for names no more, but that is not in effect yet.
    world.store(&json!({"discovery": null})).await;
    world.facts.headless = Some(format!("1-{other}"));
    assert_eq!(keep(&world, held).await, Outcome::Done { wrote: true });
    assert_eq!(ports(&world).unwrap()[0]["port"], 80, "after the way back");
    let last = |status: &mut ServiceStatus| status.revisions.push((named, Ranges::up_to(1)));
    assert_eq!(keep(&world, last).await, Outcome::Done { wrote: false }, "one of the old still runs");
    assert!(ports(&world).is_some());
    world.facts.frozen = true;
    assert_eq!(keep(&world, |_| ()).await, Outcome::Done { wrote: false });
    assert!(ports(&world).is_some());
    world.facts.frozen = false;
    assert_eq!(keep(&world, |_| ()).await, Outcome::Done { wrote: true });
    assert!(ports(&world).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_config_not_stored_yet_has_no_headless_service() {
    let mut world = World::new().await;
    world.facts.revision = Revision::v1(42);
    world.facts.discovery = Some(true);
    assert_eq!(keep(&world, |_| ()).await, Outcome::Done { wrote: false });
    assert!(world.reports.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_config_that_is_lost_neither_takes_names_away_nor_keeps_them_from_others() {
    let mut world = World::new().await;
    let lost = |status: &mut ServiceStatus| status.last_good = Some(Revision::v1(42));
    world.store(&json!({"discovery": {}})).await;
    assert_eq!(keep(&world, lost).await, Outcome::Done { wrote: true });
    world.facts.headless = Some(format!("1-{}", world.revision()));
    world.store(&json!({"discovery": null, "template": template("web:2", 80)})).await;
    assert_eq!(keep(&world, lost).await, Outcome::Done { wrote: false });
    assert!(ports(&world).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_a_blocked_service_has_stays() {
    let mut world = World::new().await;
    world.store(&json!({"discovery": {}})).await;
    keep(&world, |_| ()).await;
    world.facts.headless = Some("1".to_owned());
    // As after a restart: nothing is known of the spec.
    world.facts.discovery = Some(false);
    world.facts.blocked = true;
    assert_eq!(keep(&world, |status| status.counts.desired = 0).await, Outcome::Done { wrote: false });
    assert!(ports(&world).is_some());
    assert!(world.api.get("poddisruptionbudgets", "prod", "web").is_none(), "not asked for either");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_for_a_service_that_goes() {
    let mut world = World::new().await;
    world.facts.budget = None;
    // By a plan that knows it.
    assert_eq!(world.run([]).await, Outcome::Done { wrote: false });
    // And by one that does not.
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    world.api.merge("auroraservices", "prod", "web", &going);
    assert!(is_retry(&keep(&world, |_| ()).await));
    assert!(world.api.all("poddisruptionbudgets").is_empty());
}
