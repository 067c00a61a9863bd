//! Stored configs and updates: what is recorded is what the live spec says.

use borealis_core::{
    model::{Instructions, UpdateSettings},
    plan::NewUpdate,
};

use super::*;
use crate::testing::{Effect, Fault};

fn new_update(world: &World) -> Action {
    Action::StartUpdate(Box::new(NewUpdate {
        number: 1,
        instructions: Instructions {
            to: Some((world.revision(), Ranges::up_to(5))),
            instances: 5,
            ..Instructions::default()
        },
        settings: UpdateSettings::default(),
        request: None,
    }))
}

fn change_spec(world: &World) {
    let spec = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}});
    world.api.merge("auroraservices", "prod", "web", &spec);
}

#[tokio::test(start_paused = true)]
async fn the_config_is_stored_with_its_marks() {
    let world = World::new().await;
    let stored = &world.api.all("controllerrevisions")[0];
    assert_eq!(stored["revision"], 2);
    assert_eq!(stored["metadata"]["labels"]["borealis.dev/last-good"], "true");
    assert_eq!(stored["metadata"]["labels"]["borealis.dev/revision"], world.revision().to_string());

    let mark = Action::MarkRevision { revision: world.revision(), last_good: false, failed: true };
    assert_eq!(world.run([mark]).await, Outcome::Done { wrote: true });
    let labels = &world.api.all("controllerrevisions")[0]["metadata"]["labels"];
    assert!(labels.get("borealis.dev/last-good").is_none());
    assert_eq!(labels["borealis.dev/failed"], "true");
}

#[tokio::test(start_paused = true)]
async fn a_config_is_stored_once() {
    let world = World::new().await;
    let again = Action::RecordRevision { revision: world.revision(), last_good: true };
    assert_eq!(world.run([again]).await, Outcome::Done { wrote: false });
    assert_eq!(world.reports.take().len(), 1);
    assert_eq!(world.api.all("controllerrevisions").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_has_changed_is_planned_anew() {
    let world = World::new().await;
    change_spec(&world);
    let stale = Action::RecordRevision { revision: world.revision(), last_good: false };
    let outcome = world.run([stale, world.create(0, 1)]).await;
    assert!(is_retry(&outcome), "{outcome:?}");
    assert!(is_retry(&world.run([new_update(&world)]).await));
    // The Pod comes after the record it may hang on.
    assert!(world.api.take_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_update_is_begun_once() {
    let world = World::new().await;
    assert_eq!(world.run([new_update(&world)]).await, Outcome::Done { wrote: true });
    let update = world.api.get("auroraupdates", "prod", "web-1").unwrap();
    assert_eq!(update["spec"]["instructions"]["to"]["instances"], "0-4");
    assert_eq!(update["metadata"]["ownerReferences"][0]["controller"], true);
    assert_eq!(world.reports.take(), ["update web-1"]);

    assert!(is_retry(&world.run([new_update(&world)]).await));
    assert_eq!(world.reports.take(), ["update web-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_made_anew_is_not_written_for() {
    let world = World::new().await;
    world.api.remove("auroraservices", "prod", "web");
    world.api.create("auroraservices", service_object());
    assert!(is_retry(&world.run([new_update(&world)]).await));
    let outcome = world.execute(Plan { status: Some(status(world.revision(), 5)), ..Plan::default() }).await;
    assert!(is_retry(&outcome), "{outcome:?}");
    assert_eq!(
        world.api.get("auroraservices", "prod", "web").unwrap()["status"],
        crate::api::observed::unwritten()
    );
}

#[tokio::test(start_paused = true)]
async fn a_config_that_is_gone_is_looked_for() {
    let mut world = World::new().await;
    world.api.take_calls();
    world.facts.revision = Revision::v1(42);
    assert!(is_retry(&world.run([world.create(0, 1)]).await));
    assert_eq!(world.reports.take(), ["unsettle prod/web"]);
}

#[tokio::test(start_paused = true)]
async fn old_records_go_by_uid() {
    let world = World::new().await;
    world.run([new_update(&world)]).await;
    let (revision, uid) = (world.revision(), Uid::new(77));
    let other = [Action::PruneRevision { revision, uid }, Action::PruneUpdate { number: 1, uid }];
    assert_eq!(world.run(other).await, Outcome::Done { wrote: false });
    assert_eq!(world.api.all("controllerrevisions").len(), 1);

    let name = world.api.all("controllerrevisions")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let uid = world.uid("controllerrevisions", &name);
    let update = world.uid("auroraupdates", "web-1");
    let ours = [Action::PruneRevision { revision, uid }, Action::PruneUpdate { number: 1, uid: update }];
    let conflict = Answer::new(409, "Conflict", "a backup is under way");
    world.api.inject(Fault::once("delete", "controllerrevisions", Effect::Refuse(conflict)));
    world.reports.take();
    assert!(is_retry(&world.run([ours[0].clone()]).await));
    assert!(world.reports.take().is_empty(), "it is still there");
    assert_eq!(world.run(ours).await, Outcome::Done { wrote: true });
    assert!(world.api.all("controllerrevisions").is_empty());
    assert!(world.api.all("auroraupdates").is_empty());
}
