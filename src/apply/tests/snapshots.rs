//! Copies of what a config names: there before its Pods, made from the right contents only, never taken from others.

use borealis_core::{
    model::{Instructions, UpdateSettings, reasons},
    plan::{NewUpdate, Problem},
};

use super::*;
use crate::testing::{Effect, Fault};

/// The spec of a service that names a ConfigMap, one it can do without, and a Secret.
fn naming() -> Value {
    json!({
        "update": {"trackConfig": "ConfigMapsAndSecrets"},
        "template": {"spec": {
            "containers": [{"name": "main", "image": "web:1", "envFrom": [
                {"configMapRef": {"name": "extra", "optional": true}}, {"secretRef": {"name": "key"}}]}],
            "volumes": [{"name": "config", "configMap": {"name": "site"}}],
        }},
    })
}

/// A world whose service names these, and its config with what they hold.
async fn world() -> (World, Revision) {
    let mut world = World::new().await;
    world.api.create("configmaps", object("site", &json!({"data": {"a": "1"}})));
    world.api.create("secrets", object("key", &json!({"type": "example.com/own", "data": {"k": "AAE="}})));
    let service = world.api.merge("auroraservices", "prod", "web", &json!({"spec": naming()}));
    let revision = world.spec_now();
    world.facts.revision = revision;
    world.facts.generation = service["metadata"]["generation"].as_i64().unwrap();
    (world, revision)
}

fn object(name: &str, held: &Value) -> Value {
    let mut object = json!({"metadata": {"name": name, "namespace": "prod"}});
    object.as_object_mut().unwrap().extend(held.as_object().unwrap().clone());
    object
}

fn end(revision: Revision) -> String {
    format!("web-{}", revision.to_string().trim_start_matches("v1-"))
}

impl World {
    /// The config of the spec, with what the objects hold now.
    fn spec_now(&self) -> Revision {
        let service = self.api.get("auroraservices", "prod", "web").unwrap();
        let service: AuroraService = serde_json::from_value(service).unwrap();
        let mut config = service.spec.task_config("preemptible");
        for reference in service.spec.references() {
            let source = reference.source;
            let hash = match source.key().split_once('/').unwrap() {
                ("ConfigMap", name) => self.api.get("configmaps", "prod", name).map(|it| {
                    serde_json::from_value::<k8s_openapi::api::core::v1::ConfigMap>(it).unwrap().content()
                }),
                (_, name) => self.api.get("secrets", "prod", name).map(|it| {
                    serde_json::from_value::<k8s_openapi::api::core::v1::Secret>(it).unwrap().content()
                }),
            };
            if let Some(hash) = hash {
                config.tracked.insert(source.key(), hash.unwrap().to_string());
            }
        }
        config.revision().unwrap()
    }

    fn record(&self) -> Action {
        Action::RecordRevision { revision: self.revision(), last_good: false }
    }

    async fn recorded(&self) {
        assert_eq!(self.run([self.record()]).await, Outcome::Done { wrote: true });
    }

    /// Forgets what the process knows, as a new one does.
    fn another_process(&mut self) {
        let (gate, fence) = fence();
        gate.open(1, Instant::now() + Duration::from_secs(600));
        let metrics = Metrics::default();
        let (announcer, _) = events(self.api.client(), fence.clone(), metrics.clone(), "me".to_owned());
        let index: Arc<dyn Learn> = Arc::clone(&self.reports) as Arc<dyn Learn>;
        let limits = Limits { in_flight: 4, call_timeout: Duration::from_secs(15) };
        self.executor = Executor::new(self.api.client(), limits, fence, index, metrics, announcer);
        self.gate = gate;
    }

    fn take_reads(&self) -> Vec<String> {
        self.api.take_calls().iter().map(ToString::to_string).collect()
    }
}

fn problem(outcome: &Outcome) -> &Problem {
    let Outcome::Refused { problem } = outcome else { panic!("{outcome:?}") };
    assert!(!problem.blocks, "{problem:?}");
    problem
}

#[tokio::test(start_paused = true)]
async fn copies_are_made_with_the_config_and_its_pods_name_them() {
    let (world, revision) = world().await;
    world.recorded().await;
    let end = end(revision);
    assert_eq!(
        world.api.take_writes(),
        [
            format!("create controllerrevisions/{end} 200"),
            format!("create configmaps/site-{end} 200"),
            format!("create secrets/key-{end} 200"),
        ]
    );
    let stored = world.api.get("controllerrevisions", "prod", &end).unwrap();
    let tracked = stored["data"]["tracked"].as_object().unwrap();
    assert_eq!(tracked.keys().collect::<Vec<_>>(), ["ConfigMap/site", "Secret/key"]);
    let map = world.api.get("configmaps", "prod", &format!("site-{end}")).unwrap();
    let secret = world.api.get("secrets", "prod", &format!("key-{end}")).unwrap();
    assert_eq!((&map["data"], &map["immutable"]), (&json!({"a": "1"}), &json!(true)));
    assert_eq!((&secret["data"], &secret["immutable"]), (&json!({"k": "AAE="}), &json!(true)));
    assert_eq!(secret["type"], "example.com/own");
    for copy in [&map, &secret] {
        let owner = &copy["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["kind"]),
            (&stored["metadata"]["uid"], &json!("ControllerRevision"))
        );
    }

    let outcome = world.run((0..5).map(|instance| world.create(instance, 1))).await;
    assert_eq!(outcome, Outcome::Done { wrote: true });
    assert_eq!(world.take_reads().len(), 5, "nothing but the Pods is asked for");
    let spec = &world.pod("web-0-1").unwrap()["spec"];
    assert_eq!(spec["volumes"][0]["configMap"]["name"], format!("site-{end}"));
    let from = &spec["containers"][0]["envFrom"];
    assert_eq!(from[1]["secretRef"]["name"], format!("key-{end}"));
    assert_eq!(from[0]["configMapRef"]["name"], "extra", "what was not there has no copy");
}

#[tokio::test(start_paused = true)]
async fn a_config_is_stored_only_with_the_contents_it_was_planned_from() {
    let (world, _) = world().await;
    world.api.merge("configmaps", "prod", "site", &json!({"data": {"a": "2"}}));
    assert!(is_retry(&world.run([world.record()]).await));
    world.api.remove("configmaps", "prod", "site");
    assert!(is_retry(&world.run([world.record()]).await));
    assert!(world.api.take_writes().is_empty());
    assert_eq!(world.reports.take(), ["unsettle prod/web"; 2], "the index may not hear of it otherwise");
}

#[tokio::test(start_paused = true)]
async fn a_successor_makes_the_copies_that_are_missing_before_any_pod() {
    for after in [0, 1] {
        let (mut world, revision) = world().await;
        // It ends between the config and its copies.
        let resource = ["configmaps", "secrets"][after];
        world.api.inject(Fault::once("create", resource, Effect::Refuse(unavailable())));
        assert!(is_retry(&world.run([world.record()]).await));
        world.another_process();
        world.api.take_calls();
        let outcome = world.run((0..3).map(|instance| world.create(instance, 1))).await;
        assert_eq!(outcome, Outcome::Done { wrote: true });
        let writes = world.api.take_writes();
        let first_pod = writes.iter().position(|call| call.contains("pods/")).unwrap();
        let copies: Vec<_> = writes.iter().filter(|call| call.contains(&end(revision))).cloned().collect();
        assert_eq!((first_pod, copies.len()), (2 - after, 2 - after), "{writes:?}");
        assert!(world.api.get("secrets", "prod", &format!("key-{}", end(revision))).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn copies_are_looked_at_again_after_a_while_and_by_one_for_all() {
    let (world, revision) = world().await;
    world.recorded().await;
    let name = format!("site-{}", end(revision));
    world.api.remove("configmaps", "prod", &name);
    world.api.take_calls();
    assert_eq!(world.run([world.create(0, 1)]).await, Outcome::Done { wrote: true });
    assert_eq!(world.take_reads().len(), 1, "it was there a moment ago");
    tokio::time::advance(Duration::from_secs(61)).await;
    let outcome = world.run((1..5).map(|instance| world.create(instance, 1))).await;
    assert_eq!(outcome, Outcome::Done { wrote: true });
    let reads = world.take_reads();
    assert_eq!(reads.iter().filter(|call| call.starts_with("get ")).count(), 3, "{reads:?}");
    assert!(world.api.get("configmaps", "prod", &name).is_some());
}

#[tokio::test(start_paused = true)]
async fn no_pod_is_made_of_contents_that_are_gone() {
    let (mut world, revision) = world().await;
    world.recorded().await;
    let name = format!("site-{}", end(revision));
    for (change, expected) in [
        (Some(json!({"data": {"a": "2"}})), "ConfigMap site holds something else by now"),
        (None, "ConfigMap site does not exist any more"),
    ] {
        world.api.remove("configmaps", "prod", &name);
        match change {
            Some(change) => drop(world.api.merge("configmaps", "prod", "site", &change)),
            None => world.api.remove("configmaps", "prod", "site"),
        }
        world.another_process();
        let outcome = world.run([world.create(0, 1)]).await;
        let problem = problem(&outcome);
        assert_eq!(problem.reason, reasons::CONFIG_MISSING);
        assert!(problem.message.contains(expected) && problem.message.contains(&name), "{}", problem.message);
        assert!(world.pods().is_empty());
    }
    // Somebody brings back what it held.
    world.api.create("configmaps", object("site", &json!({"data": {"a": "1"}})));
    assert_eq!(world.run([world.create(0, 1)]).await, Outcome::Done { wrote: true });
    assert_eq!(world.pods(), ["web-0-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_holds_something_else_is_no_copy() {
    let (mut world, revision) = world().await;
    world.recorded().await;
    let name = format!("site-{}", end(revision));
    // Deleted by hand, and made again with its owner.
    world.api.merge("configmaps", "prod", &name, &json!({"data": {"a": "other"}}));
    world.another_process();
    let outcome = world.run([world.create(0, 1)]).await;
    let problem = problem(&outcome);
    assert_eq!(problem.reason, reasons::CONFIG_MISSING);
    assert!(problem.message.contains(&name) && problem.message.contains("delete it"), "{}", problem.message);
    assert!(world.pods().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_under_the_name_is_left_alone() {
    for owner in [
        Value::Null,
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u", "controller": true}]),
    ] {
        let (mut world, revision) = world().await;
        let name = format!("site-{}", end(revision));
        let mut foreign = object(&name, &json!({"data": {"a": "1"}}));
        foreign["metadata"]["ownerReferences"] = owner;
        let before = world.api.create("configmaps", foreign);
        let outcome = world.run([world.record()]).await;
        assert_eq!(problem(&outcome).reason, reasons::NAME_CONFLICT);
        assert!(problem(&outcome).message.contains(&name));
        // Nor is an update begun, which would end tasks for others that can't be made.
        let instructions =
            Instructions { to: Some((revision, Ranges::up_to(5))), instances: 5, ..Instructions::default() };
        let new = NewUpdate { number: 1, instructions, settings: UpdateSettings::default(), request: None };
        let start = Action::StartUpdate(Box::new(new));
        let outcome = world.run([start.clone()]).await;
        assert_eq!(problem(&outcome).reason, reasons::NAME_CONFLICT);
        assert!(world.api.all("auroraupdates").is_empty());
        assert_eq!(world.api.get("configmaps", "prod", &name).unwrap(), before);
        // And the service says so: nothing of its status stands on what was refused.
        let service = world.api.get("auroraservices", "prod", "web").unwrap();
        world.facts.resource_version = service["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let plan = Plan { actions: vec![start], status: Some(status(revision, 5)), ..Plan::default() };
        assert_eq!(problem(&world.execute(plan).await).reason, reasons::NAME_CONFLICT);
        let service = world.api.get("auroraservices", "prod", "web").unwrap();
        assert_eq!(service["status"]["counts"]["desired"], 5);
    }
}

#[tokio::test(start_paused = true)]
async fn copies_of_a_config_that_was_removed_are_waited_out() {
    let (world, revision) = world().await;
    world.recorded().await;
    let (stored, name) = (end(revision), format!("site-{}", end(revision)));
    let former = world.api.get("configmaps", "prod", &name).unwrap();
    let uid = world.uid("controllerrevisions", &stored);
    world.run([Action::PruneRevision { revision, uid }]).await;
    // The config comes back before garbage collection has removed what belonged to it.
    let outcome = world.run([world.record()]).await;
    assert!(matches!(outcome, Outcome::Retry { after: Some(_), .. }), "{outcome:?}");
    assert_eq!(world.api.get("configmaps", "prod", &name).unwrap(), former);
    world.api.remove("configmaps", "prod", &name);
    world.api.remove("secrets", "prod", &format!("key-{stored}"));
    assert_eq!(world.run([world.create(0, 1)]).await, Outcome::Done { wrote: true });
    let now = world.api.get("configmaps", "prod", &name).unwrap();
    let uid = world.uid("controllerrevisions", &stored).to_string();
    assert_eq!(now["metadata"]["ownerReferences"][0]["uid"], uid);
}

#[tokio::test(start_paused = true)]
async fn a_right_to_secrets_that_is_missing_is_named() {
    for verb in ["get", "create"] {
        let (world, _) = world().await;
        let words =
            format!("secrets \"key\" is forbidden: User \"borealis\" cannot {verb} resource \"secrets\"");
        let denied = Answer::new(403, "Forbidden", &words);
        world.api.inject(Fault::once(verb, "secrets", Effect::Refuse(denied)).times(10));
        let outcome = world.run([world.record(), world.create(0, 1)]).await;
        assert_eq!(problem(&outcome).reason, reasons::CONFIG_DENIED);
        for words in ["Role in namespace prod", "get and create on secrets", "trackConfig"] {
            assert!(problem(&outcome).message.contains(words), "{}", problem(&outcome).message);
        }
        assert!(world.pods().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_does_not_keep_what_runs_from_being_healed() {
    let (mut world, revision) = world().await;
    world.recorded().await;
    world.another_process();
    let denied = Answer::new(403, "Forbidden", "secrets is forbidden: User \"borealis\" cannot get resource");
    world.api.inject(Fault::once("get", "secrets", Effect::Refuse(denied)));
    world.api.take_calls();
    assert_eq!(world.run([world.create(0, 1)]).await, Outcome::Done { wrote: true });
    let pod = world.pod("web-0-1").unwrap();
    let from = &pod["spec"]["containers"][0]["envFrom"][1];
    assert_eq!(from["secretRef"]["name"], format!("key-{}", end(revision)));
}
