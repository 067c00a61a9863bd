//! Progress and status: first and last, whole, on the version they were planned from, and no more often than needed.

use borealis_core::{
    model::{Progress, UpdateState},
    plan::Event,
};

use super::*;
use crate::testing::{Effect, Fault};

fn plan(status: ServiceStatus) -> Plan {
    Plan { status: Some(status), ..Plan::default() }
}

fn progress(state: UpdateState, working: u32) -> Progress {
    let at = Timestamp::from_second(1_000_000).unwrap();
    Progress {
        finished: state.is_terminal().then_some(at),
        touched: Ranges::up_to(working),
        working: Ranges::up_to(working),
        ..Progress::new(state, at, 0)
    }
}

/// Puts an update there and has the facts speak of it as it is.
fn with_update(world: &mut World) -> Uid {
    if world.api.get("auroraupdates", "prod", "web-1").is_none() {
        let spec = json!({"service": "web", "number": 1, "instructions": {"instances": 5}});
        let meta = json!({"name": "web-1", "namespace": "prod"});
        world.api.create(
            "auroraupdates",
            json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraUpdate",
            "metadata": meta, "spec": spec}),
        );
    }
    let update = world.api.get("auroraupdates", "prod", "web-1").unwrap();
    let update: AuroraUpdate = serde_json::from_value(update).unwrap();
    let state = update.status.as_ref().and_then(|status| status.state);
    let uid = update.uid().unwrap().parse().unwrap();
    world.facts.update = Some(UpdateFacts {
        uid,
        number: 1,
        generation: 1,
        takes_back: false,
        resource_version: update.resource_version().unwrap(),
        ended: state.is_some_and(|state| UpdateState::from(state).is_terminal()),
        marked_ended: update.labels().contains_key("borealis.dev/ended"),
    });
    uid
}

fn refresh(world: &mut World, recorded: ServiceStatus) {
    let service = world.api.get("auroraservices", "prod", "web").unwrap();
    world.facts.resource_version = service["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    world.facts.recorded = Some(recorded);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_when_it_says_something_new() {
    let mut world = World::new().await;
    let (one, five) = (status(world.revision(), 1), status(world.revision(), 5));
    assert_eq!(world.execute(plan(one.clone())).await, Outcome::Done { wrote: true });
    assert_eq!(world.reports.take(), ["service web"]);
    refresh(&mut world, one.clone());
    world.api.take_calls();
    assert_eq!(world.execute(plan(one)).await, Outcome::Done { wrote: false });
    assert!(world.api.take_calls().is_empty());

    // That it is complete is said at once, though it was written a moment ago.
    assert_eq!(world.execute(plan(five)).await, Outcome::Done { wrote: true });
    let service = world.api.get("auroraservices", "prod", "web").unwrap();
    assert_eq!(service["status"]["counts"]["running"], 5);
    assert_eq!(service["status"]["jobKey"], "east/prod/default/web");
    assert_eq!(service["metadata"]["generation"], 1);
}

#[tokio::test(start_paused = true)]
async fn mere_counts_wait_their_second() {
    let mut world = World::new().await;
    let (one, two) = (status(world.revision(), 1), status(world.revision(), 2));
    world.execute(plan(one.clone())).await;
    refresh(&mut world, one);
    let Outcome::Retry { after: Some(after), .. } = world.execute(plan(two.clone())).await else { panic!() };
    assert_eq!(after, Duration::from_secs(1));
    tokio::time::advance(after).await;
    assert_eq!(world.execute(plan(two)).await, Outcome::Done { wrote: true });
}

#[tokio::test(start_paused = true)]
async fn what_a_status_no_longer_says_is_gone() {
    let mut world = World::new().await;
    let mut lost = status(world.revision(), 5);
    lost.lost = Ranges::up_to(2);
    world.execute(plan(lost.clone())).await;
    refresh(&mut world, lost);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(world.execute(plan(status(world.revision(), 5))).await, Outcome::Done { wrote: true });
    let service = world.api.get("auroraservices", "prod", "web").unwrap();
    assert!(service["status"].get("lost").is_none(), "{service}");
}

#[tokio::test(start_paused = true)]
async fn a_status_from_an_older_view_is_dropped() {
    let world = World::new().await;
    world.api.merge("auroraservices", "prod", "web", &json!({"metadata": {"labels": {"a": "b"}}}));
    let outcome = world.execute(plan(status(world.revision(), 1))).await;
    assert!(is_retry(&outcome), "{outcome:?}");
    assert_eq!(
        world.api.get("auroraservices", "prod", "web").unwrap()["status"],
        crate::api::observed::unwritten()
    );
    // The index hears of what it lacked.
    assert_eq!(world.reports.take(), ["service web"]);
}

#[tokio::test(start_paused = true)]
async fn without_progress_nothing_else_is_done() {
    let mut world = World::new().await;
    let uid = with_update(&mut world);
    world.api.merge("auroraupdates", "prod", "web-1", &json!({"spec": {"controls": {"paused": true}}}));
    world.api.take_calls();
    let whole = Plan {
        progress: Some((uid, progress(UpdateState::RollingForward, 1))),
        actions: vec![world.create(0, 1)],
        status: Some(status(world.revision(), 1)),
        ..Plan::default()
    };
    assert!(is_retry(&world.execute(whole.clone()).await));
    assert_eq!(world.api.take_writes(), ["patch auroraupdates/web-1/status 409"]);

    with_update(&mut world);
    assert_eq!(world.execute(whole).await, Outcome::Done { wrote: true });
    let writes = world.api.take_writes();
    assert_eq!(
        writes,
        [
            "patch auroraupdates/web-1/status 200",
            "create pods/web-0-1 200",
            "patch auroraservices/web/status 200"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_ended_update_is_marked_and_unmarked() {
    let mut world = World::new().await;
    let step = |uid, state| Plan { progress: Some((uid, progress(state, 1))), ..Plan::default() };
    let marked = |world: &World| {
        let update = world.api.get("auroraupdates", "prod", "web-1").unwrap();
        update["metadata"]["labels"].get("borealis.dev/ended").is_some()
    };
    let uid = with_update(&mut world);
    world.execute(step(uid, UpdateState::RolledForward)).await;
    assert!(marked(&world));
    assert!(world.measures("borealis_update_ends_total{state=\"ROLLED_FORWARD\"} 1"));
    // What has ended does not end again.
    with_update(&mut world);
    world.execute(step(uid, UpdateState::RolledForward)).await;
    assert!(world.measures("borealis_update_ends_total{state=\"ROLLED_FORWARD\"} 1"));

    with_update(&mut world);
    assert_eq!(world.execute(step(uid, UpdateState::RollingBack)).await, Outcome::Done { wrote: true });
    assert!(!marked(&world));

    // The mark is lost: its writer did not come that far. The next plan of the service makes up for it.
    with_update(&mut world);
    world.api.inject(Fault::once("patch", "auroraupdates", Effect::Refuse(unavailable())).after(1));
    assert!(is_retry(&world.execute(step(uid, UpdateState::RolledBack)).await));
    assert!(!marked(&world));
    assert!(world.measures("borealis_update_ends_total{state=\"ROLLED_BACK\"} 1"));
    with_update(&mut world);
    world.run([]).await;
    assert!(marked(&world));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_was_to_take_another_back_is_ready_when_it_has() {
    for (takes_back, condition) in [(true, "Ready"), (false, "Stalled")] {
        let mut world = World::new().await;
        let uid = with_update(&mut world);
        world.facts.update.as_mut().unwrap().takes_back = takes_back;
        let step = Plan { progress: Some((uid, progress(UpdateState::RolledBack, 1))), ..Plan::default() };
        world.execute(step).await;
        let update = world.api.get("auroraupdates", "prod", "web-1").unwrap();
        let holding = update["status"]["conditions"].as_array().unwrap().iter();
        let holding: Vec<_> = holding.filter(|it| it["status"] == "True").map(|it| &it["type"]).collect();
        assert_eq!(holding, [condition]);
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_written_once_and_counted() {
    let world = World::new().await;
    let event =
        Event { warning: true, reason: "RolledBack", message: "instance 3 failed".to_owned(), update: None };
    for _ in 0..3 {
        world.execute(Plan { events: vec![event.clone()], ..Plan::default() }).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let events = world.api.all("events");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["series"]["count"], 3);
    assert_eq!(events[0]["regarding"]["kind"], "AuroraService");
    assert_eq!(events[0]["type"], "Warning");

    // When they can't be written nobody waits for them.
    world.api.inject(Fault::once("create", "events", Effect::Hang).times(10_000));
    for number in 0..1000 {
        let event = Event { message: number.to_string(), ..event.clone() };
        let plan = Plan { events: vec![event], ..Plan::default() };
        assert_eq!(world.execute(plan).await, Outcome::Done { wrote: false });
    }
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_told_before_news_that_wait() {
    let world = World::new().await;
    let event = |warning, message: String| Event { warning, reason: "Told", message, update: None };
    let news = (0..200).map(|number| event(false, number.to_string()));
    let events = news.chain([event(true, "trouble".to_owned())]).collect();
    world.execute(Plan { events, ..Plan::default() }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = world.api.all("events");
    assert!(told.len() < 100, "{} were told at once", told.len());
    assert!(told.iter().any(|event| event["type"] == "Warning"), "{told:?}");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.api.all("events").len(), 201);
}

/// The executor is used from many tasks.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Executor>();
    is_shared::<Announcer>();
};

#[tokio::test(start_paused = true)]
async fn the_status_of_a_service_that_cannot_be_read_is_written_and_learned() {
    let mut world = World::new().await;
    let broken = world.api.merge("auroraservices", "prod", "web", &json!({"spec": {"instances": "many"}}));
    world.facts.resource_version = broken["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    world.facts.blocked = true;
    let plan = Plan { status: Some(status(world.revision(), 5)), ..Plan::default() };
    assert_eq!(world.execute(plan).await, Outcome::Done { wrote: true });
    assert_eq!(world.reports.take(), ["service web"]);
}
