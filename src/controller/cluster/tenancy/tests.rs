use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::{
    apply::Limits,
    index::Kind,
    lease::{Gate, fence},
    metrics::Metrics,
    testing::{Answer, Effect, FakeApi, Fault},
};

/// A cluster with a loop of tenancy, whose watches are told by hand.
struct World {
    api: FakeApi,
    index: Arc<Index>,
    round: TenancyRound,
    gate: Gate,
}

impl World {
    fn new() -> Self {
        let (api, metrics) = (FakeApi::new(), Metrics::default());
        let index = Arc::new(Index::new(metrics.clone(), |_| {}));
        let (gate, fence) = fence();
        gate.open(1, Instant::now() + Duration::from_secs(6000));
        let writer = TenancyWriter::new(api.client(), Limits::default(), fence, metrics);
        let round = TenancyRound::new(Arc::clone(&index), writer, "borealis-system");
        let world = Self { api, index, round, gate };
        world.api.create(
            "tiers",
            json!({"metadata": {"name": "preemptible"}, "spec": {"preemptible": true, "band": 20_000}}),
        );
        world.api.create("namespaces", json!({"metadata": {"name": "prod", "labels": {"team": "web"}}}));
        world.api.create(
            "auroraroles",
            json!({"metadata": {"name": "web"}, "spec": {"namespaces": {"matchLabels": {"team": "web"}}}}),
        );
        world.api.create("frameworks", json!({"metadata": {"name": "etl"}, "spec": {"role": "web"}}));
        world.watch();
        world
    }

    /// Has the watches show what there is.
    fn watch(&self) {
        for (kind, resource) in [
            (Kind::Tier, "tiers"),
            (Kind::Role, "auroraroles"),
            (Kind::Framework, "frameworks"),
            (Kind::Namespace, "namespaces"),
        ] {
            self.api.all(resource).into_iter().for_each(|object| self.index.told(kind, object));
        }
    }

    async fn turn(&mut self) -> (Option<Duration>, Vec<String>) {
        self.api.take_calls();
        let rest = self.round.round().await;
        self.watch();
        (rest, self.api.take_writes())
    }

    fn get(&self, resource: &str, name: &str) -> Value {
        self.api.get(resource, "", name).unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_tenancy_becomes_is_there_after_a_round_and_nothing_is_written_twice() {
    let mut world = World::new();
    let (rest, writes) = world.turn().await;
    assert_eq!(rest, Some(COUNT));
    assert_eq!(
        writes,
        [
            "create priorityclasses/borealis-preemptible-20000 200",
            "patch tiers/preemptible 200",
            "patch tiers/preemptible/status 200",
            "patch mutatingadmissionpolicies/borealis-framework-etl 200",
            "patch mutatingadmissionpolicybindings/borealis-framework-etl 200",
            "patch frameworks/etl/status 200",
            "patch auroraroles/web/status 200",
            "patch namespaces/prod 200",
        ]
    );
    let tier = world.get("tiers", "preemptible");
    assert_eq!(tier["metadata"]["finalizers"], json!([IN_USE]));
    assert_eq!(tier["status"]["usedBy"], json!({"services": 0, "pods": 0, "roles": 1, "frameworks": 1}));
    let annotations = world.get("namespaces", "prod")["metadata"]["annotations"].clone();
    assert_eq!(
        annotations,
        json!({"borealis.dev/role": "web", "borealis.dev/classes": "borealis-preemptible-20000",
            "borealis.dev/quota": "cpu=0,memory=0,ephemeral-storage=0", "borealis.dev/production": ""})
    );
    assert_eq!(world.turn().await.1, Vec::<String>::new());
    tokio::time::sleep(LIST * 2).await;
    let listed = |world: &World| world.api.take_calls().iter().filter(|call| call.verb == "list").count();
    world.api.take_calls();
    world.round.round().await;
    assert_eq!(listed(&world), 3, "now and then it is looked whether all is still so");
}

#[tokio::test(start_paused = true)]
async fn one_that_can_not_be_written_keeps_none_of_the_others_from_it() {
    let mut world = World::new();
    let refusal = || Effect::Refuse(Answer::new(403, "Forbidden", "no"));
    world.api.inject(Fault::once("create", "priorityclasses", refusal()));
    world.api.inject(Fault::once("patch", "namespaces", refusal()));
    let (rest, writes) = world.turn().await;
    assert_eq!((rest, writes.len()), (Some(AGAIN), 8));
    let ready =
        |world: &World| world.get("tiers", "preemptible")["status"]["conditions"][0]["reason"].clone();
    assert_eq!(ready(&world), "NoPriorityClass");
    let stalled = world.get("tiers", "preemptible")["status"]["conditions"][1].clone();
    assert_eq!(
        (&stalled["type"], &stalled["status"]),
        (&json!("Stalled"), &json!("False")),
        "it is tried again"
    );
    assert_eq!(world.turn().await, (Some(AGAIN), vec![]), "not at once, whoever wakes it");
    assert_eq!(ready(&world), "NoPriorityClass");
    tokio::time::sleep(AGAIN).await;
    let (rest, writes) = world.turn().await;
    assert_eq!(rest, Some(COUNT));
    assert_eq!(
        writes,
        [
            "create priorityclasses/borealis-preemptible-20000 200",
            "patch tiers/preemptible/status 200",
            "patch namespaces/prod 200",
        ]
    );
    assert_eq!(ready(&world), "Ready");
}

#[tokio::test(start_paused = true)]
async fn one_that_never_can_be_written_is_tried_ever_later_and_nothing_is_listed_for_it() {
    let mut world = World::new();
    let refusal = Effect::Refuse(Answer::new(403, "Forbidden", "no"));
    world.api.inject(Fault::once("patch", "namespaces", refusal).times(usize::MAX));
    let (mut tries, mut lists) = (Vec::new(), 0);
    let began = Instant::now();
    while began.elapsed() < LIST * 4 {
        let rest = world.round.round().await;
        world.watch();
        let calls = world.api.take_calls();
        lists += calls.iter().filter(|call| call.verb == "list").count();
        if calls.iter().any(|call| call.verb == "patch" && call.place.resource == "namespaces") {
            tries.push(began.elapsed().as_secs());
        }
        tokio::time::sleep(rest.unwrap()).await;
    }
    assert_eq!(tries, [0, 5, 15, 35, 75, 135, 195]);
    assert_eq!(lists, 3 * 4, "now and then, as ever");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_under_the_name_of_a_class_is_left_alone() {
    let mut world = World::new();
    let class = json!({"metadata": {"name": "borealis-preemptible-20000"}, "value": 7});
    world.api.create("priorityclasses", class);
    world.turn().await;
    assert_eq!(world.get("priorityclasses", "borealis-preemptible-20000")["value"], 7);
    let said = world.get("tiers", "preemptible")["status"]["conditions"][0].clone();
    assert_eq!(said["status"], "False");
    assert!(said["message"].as_str().unwrap().contains("value 7"), "{said}");
    let stalled = world.get("tiers", "preemptible")["status"]["conditions"][1].clone();
    assert_eq!((&stalled["type"], &stalled["status"]), (&json!("Stalled"), &json!("True")));
    assert_eq!((&stalled["reason"], &stalled["message"]), (&said["reason"], &said["message"]));
}

#[tokio::test(start_paused = true)]
async fn a_tier_stays_while_it_is_used_and_goes_then() {
    let mut world = World::new();
    world.turn().await;
    let tier = json!({"metadata": {"deletionTimestamp": "2026-07-01T10:00:00Z"}});
    world.api.merge("tiers", "", "preemptible", &tier);
    world.watch();
    world.turn().await;
    let said = world.get("tiers", "preemptible");
    assert_eq!(said["metadata"]["finalizers"], json!([IN_USE]));
    let words = said["status"]["conditions"][3]["message"].as_str().unwrap_or_default().to_owned();
    assert!(words.contains("AuroraRoles web; Frameworks etl"), "{words}");
    for (kind, resource, name, spec) in [
        (Kind::Role, "auroraroles", "web", json!({"defaultTier": "other"})),
        (Kind::Framework, "frameworks", "etl", json!({"role": "web"})),
    ] {
        world.index.told(kind, world.api.merge(resource, "", name, &json!({"spec": spec})));
    }
    let (_, writes) = world.turn().await;
    assert!(writes.iter().any(|write| write.starts_with("patch tiers/preemptible 200")), "{writes:?}");
    let left = world.get("tiers", "preemptible");
    assert!(left["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty), "{left}");
}

#[tokio::test(start_paused = true)]
async fn pods_hold_a_tier_by_themselves_and_are_not_news_at_every_look() {
    let mut world = World::new();
    let pod = |id: u32, phase: &str| {
        serde_json::from_value(json!({
            "metadata": {"name": format!("batch-{id}"), "namespace": "prod", "resourceVersion": "7",
                "uid": format!("00000000-0000-4000-8000-{id:012x}")},
            "spec": {"priorityClassName": "borealis-preemptible-20000", "containers": []},
            "status": {"phase": phase},
        }))
        .unwrap()
    };
    world.index.show_pod(&pod(1, "Pending"));
    world.index.show_pod(&pod(2, "Running"));
    world.turn().await;
    let pods = |world: &World| world.get("tiers", "preemptible")["status"]["usedBy"]["pods"].clone();
    assert_eq!(pods(&world), 2);
    world.index.show_pod(&pod(1, "Succeeded"));
    assert_eq!(world.turn().await.1, Vec::<String>::new(), "it is counted now and then only");
    tokio::time::sleep(COUNT).await;
    world.turn().await;
    assert_eq!(pods(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_of_others_that_came_meanwhile_is_not_overwritten() {
    let mut world = World::new();
    let theirs = json!({"metadata": {"finalizers": ["example.com/theirs"]}});
    world.api.merge("tiers", "", "preemptible", &theirs);
    world.turn().await;
    let finalizers = |world: &World| world.get("tiers", "preemptible")["metadata"]["finalizers"].clone();
    assert_eq!(finalizers(&world), json!(["example.com/theirs"]), "the watch has not shown it");
    tokio::time::sleep(AGAIN).await;
    world.turn().await;
    assert_eq!(finalizers(&world), json!(["example.com/theirs", IN_USE]));
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_nothing_is_written() {
    let mut world = World::new();
    world.gate.close();
    assert_eq!(world.turn().await, (Some(AGAIN), vec![]));
}
