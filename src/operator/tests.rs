//! The whole operator on the fake API server, with a scripted kubelet: what users see when all parts play together.

mod checks;
mod crons;
mod jobs;
mod quota;
mod traces;

use clap::Parser;
use serde_json::{Value, json};

use tokio::task::JoinHandle;

use super::*;
use crate::testing::{Answer, Call, Effect, FakeApi, Fault, Kubelet};

/// A cluster with the operator in it.
struct World {
    api: FakeApi,
    /// Who looks after the Pods; without one they stay as they are.
    kubelet: Option<Kubelet>,
    replicas: Vec<(CancellationToken, JoinHandle<Result<(), Error>>)>,
}

impl World {
    fn new() -> Self {
        let api = FakeApi::new();
        api.fence_terms("borealis-system", "borealis");
        let kubelet = Kubelet::start(&api);
        api.create(
            "tiers",
            json!({"metadata": {"name": "preemptible"}, "spec": {"preemptible": true, "band": 20_000}}),
        );
        Self { api, kubelet: Some(kubelet), replicas: Vec::new() }
    }

    async fn start(&mut self) {
        let flags = "borealis --lease-duration 2s --lease-renew-deadline 1s --lease-retry-period 100ms --listen 127.0.0.1:0 --check-hosts 127.0.0.1";
        let settings = Settings::parse_from(flags.split(' '));
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let (stop, client) = (CancellationToken::new(), self.api.client());
        let told = stop.clone();
        let task = tokio::spawn(async move { operate(client, &settings, listener, told).await });
        self.replicas.push((stop, task));
    }

    fn apply(&self, name: &str, instances: u32, image: &str) {
        let spec = json!({
            "instances": instances,
            "update": {"watchSeconds": 0, "maxWaitSeconds": 5, "strategy": {"queue": {"groupSize": 2}}},
            "template": {"spec": {"containers": [{"name": "main", "image": image}]}},
        });
        match self.api.get("auroraservices", "prod", name) {
            Some(_) => drop(self.api.merge("auroraservices", "prod", name, &json!({"spec": spec}))),
            None => drop(self.api.create(
                "auroraservices",
                json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
                       "metadata": {"name": name, "namespace": "prod"}, "spec": spec}),
            )),
        }
    }

    fn service(&self) -> Value {
        self.api.get("auroraservices", "prod", "web").unwrap_or_default()
    }

    /// Image by instance of the live Pods that are Ready.
    fn ready(&self) -> Vec<String> {
        let live = |pod: &Value| {
            pod["metadata"]["labels"]["borealis.dev/live"] == "true"
                && pod["metadata"]["deletionTimestamp"].is_null()
                && pod["status"]["conditions"][0]["status"] == "True"
        };
        let mut all: Vec<String> = self
            .api
            .all("pods")
            .iter()
            .filter(|pod| live(pod))
            .map(|pod| {
                let instance = pod["metadata"]["labels"]["borealis.dev/instance"].as_str().unwrap();
                let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
                format!("{instance} {image}")
            })
            .collect();
        all.sort();
        all
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let service = self.service();
        let all = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    /// Waits until it is so, or says what there is instead.
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        self.until_or(what, so, || {
            let updates = self.api.all("auroraupdates");
            let updates: Vec<_> = updates.iter().map(|update| update["status"].to_string()).collect();
            format!("{:?}\n{}\n{}", self.ready(), self.service()["status"], updates.join("\n"))
        })
        .await;
    }

    /// The same, and says of all objects of these resources what their statuses are.
    async fn until_of(&self, resources: &[&str], what: &str, so: impl Fn(&Self) -> bool) {
        self.until_or(what, so, || {
            let of = |value: &Value| format!("{} {}", value["metadata"]["name"], value["status"]);
            let all: Vec<_> = resources.iter().flat_map(|resource| self.api.all(resource)).collect();
            all.iter().map(of).collect::<Vec<_>>().join("\n")
        })
        .await;
    }

    async fn until_or(&self, what: &str, so: impl Fn(&Self) -> bool, instead: impl FnOnce() -> String) {
        for _ in 0..1500 {
            if so(self) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {what}\n{}", instead());
    }

    async fn settled(&self, image: &str, count: u32) {
        let wanted: Vec<_> = (0..count).map(|instance| format!("{instance} {image}")).collect();
        let what = format!("{count} of {image}, Ready");
        self.until(&what, |world| world.ready() == wanted && world.condition("Ready").0 == "True").await;
    }

    /// The last Events are out, and then nothing is written.
    async fn comes_to_rest(&self) {
        let mut writes = Vec::new();
        for _ in 0..20 {
            self.api.take_calls();
            sleep(Duration::from_secs(1)).await;
            writes = self.api.take_writes();
            writes.retain(|call| !call.contains("leases/"));
            if writes.is_empty() {
                return;
            }
        }
        panic!("{writes:?}");
    }

    async fn stop(self) {
        for (stop, task) in self.replicas {
            stop.cancel();
            task.await.unwrap().unwrap();
        }
    }
}

/// The names of what was made of a resource, and made for certain.
fn made(calls: &[Call], resource: &str) -> Vec<String> {
    let is_made = |call: &&Call| call.verb == "create" && call.place.resource == resource && call.code < 300;
    calls.iter().filter(is_made).map(|call| call.place.name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_comes_up_scales_updates_and_rolls_back() {
    let mut world = World::new();
    world.start().await;
    world.apply("web", 5, "web:1");
    world.settled("web:1", 5).await;
    let budget = world.api.get("poddisruptionbudgets", "prod", "web").unwrap();
    assert_eq!(budget["spec"]["minAvailable"], 4);

    world.apply("web", 7, "web:1");
    world.settled("web:1", 7).await;
    world.apply("web", 3, "web:1");
    world.settled("web:1", 3).await;
    assert!(world.api.all("auroraupdates").is_empty(), "a change of the number alone is no update");

    world.apply("web", 3, "web:2");
    world.settled("web:2", 3).await;
    let state = |world: &World, name: &str| {
        let update = world.api.get("auroraupdates", "prod", name).unwrap_or_default();
        update["status"]["state"].as_str().unwrap_or_default().to_owned()
    };
    world.until("the update has ended", |world| state(world, "web-1") == "ROLLED_FORWARD").await;

    // What an update with another count does not bring about is no part of the budget either.
    world.apply("web", 9, "fail:3");
    world.until("the update is taken back", |world| state(world, "web-2") == "ROLLED_BACK").await;
    world
        .until("the old config runs", |world| {
            world.ready() == ["0 web:2", "1 web:2", "2 web:2"] && world.condition("Ready").1 == "RolledBack"
        })
        .await;

    let budget = world.api.get("poddisruptionbudgets", "prod", "web").unwrap();
    assert_eq!(budget["spec"]["minAvailable"], 2);

    world.comes_to_rest().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_goes_on_where_a_killed_leader_stopped() {
    let mut world = World::new();
    world.start().await;
    world.apply("web", 6, "web:1");
    world.settled("web:1", 6).await;
    world.start().await;
    world.apply("web", 6, "web:2");
    world
        .until("the update is half way", |world| world.ready().iter().any(|pod| pod.ends_with("web:2")))
        .await;
    let (_, leader) = world.replicas.remove(0);
    leader.abort();
    world.settled("web:2", 6).await;
    let lease = world.api.get("leases", "borealis-system", "borealis").unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
    // Each instance ran twice, no more: neither replica did what the other had done.
    let runs: Vec<_> = world
        .api
        .all("pods")
        .iter()
        .map(|pod| pod["metadata"]["labels"]["borealis.dev/run"].clone())
        .collect();
    assert!(runs.iter().all(|run| run == "1" || run == "2"), "{runs:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_arrives_through_trouble() {
    let mut world = World::new();
    let broken = || Effect::DoneBut(Answer::new(504, "Timeout", "the request timed out"));
    let refused = || Effect::Refuse(Answer::new(500, "InternalError", "etcd leader changed"));
    let busy = || Effect::Refuse(Answer::new(429, "TooManyRequests", "later"));
    for (verb, resource) in [
        ("create", "pods"),
        ("patch", "pods"),
        ("delete", "pods"),
        ("create", "controllerrevisions"),
        ("create", "auroraupdates"),
        ("patch", "auroraupdates"),
        ("patch", "auroraservices"),
        ("create", "poddisruptionbudgets"),
    ] {
        for (at, effect) in [broken(), refused(), busy()].into_iter().enumerate() {
            world.api.inject(Fault::once(verb, resource, effect).after(at));
        }
    }
    world.start().await;
    world.apply("web", 4, "web:1");
    world.settled("web:1", 4).await;
    world.api.break_watches();
    world.apply("web", 4, "web:2");
    world.until("the update is under way", |world| !world.api.all("auroraupdates").is_empty()).await;
    world.api.compact();
    world.settled("web:2", 4).await;
    // Whatever got lost on the way, each instance was made once for each config.
    let calls = world.api.take_calls();
    for instance in 0..4 {
        let prefix = format!("web-{instance}-");
        let made =
            |call: &&Call| call.verb == "create" && call.code == 200 && call.place.name.starts_with(&prefix);
        assert_eq!(calls.iter().filter(made).count(), 2, "{calls:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_shown_and_gone_when_it_is() {
    let mut world = World::new();
    world.start().await;
    let refusal = Answer::new(403, "Forbidden", "pods \"web-0-1\" is forbidden: exceeded quota");
    world.api.inject(Fault::once("create", "pods", Effect::Refuse(refusal)).times(5));
    world.apply("web", 2, "web:1");
    world
        .until("the refusal is shown", |world| {
            world.service()["status"].to_string().contains("exceeded quota")
        })
        .await;
    world.settled("web:1", 2).await;
    world
        .until("it is not shown any more", |world| !world.service()["status"].to_string().contains("quota"))
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_nothing_voluntary_is_done() {
    let mut world = World::new();
    world.start().await;
    world.apply("web", 2, "web:1");
    world.settled("web:1", 2).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "borealis-freeze", "namespace": "borealis-system"}, "data": {"reason": "test"}});
    world.api.create("configmaps", map);
    // Nothing is planned before the switch was read: who starts now knows of it.
    let (stop, task) = world.replicas.remove(0);
    stop.cancel();
    task.await.unwrap().unwrap();
    world.start().await;
    world.apply("web", 2, "web:2");
    world.until("the freeze is said", |world| world.condition("Ready").1 == "Frozen").await;
    assert_eq!(world.ready(), ["0 web:1", "1 web:1"]);
    world.api.remove("configmaps", "borealis-system", "borealis-freeze");
    world.settled("web:2", 2).await;
    world.stop().await;
}

#[test]
fn a_lease_that_is_looked_at_seldom_is_not_stuck() {
    let settings =
        |flags: &str| Settings::parse_from(std::iter::once("borealis").chain(flags.split_whitespace()));
    assert_eq!(lease_patience(&settings("")), STUCK);
    let seldom = "--lease-duration 300s --lease-renew-deadline 200s --lease-retry-period 80s";
    assert!(lease_patience(&settings(seldom)) >= Duration::from_secs(280));
}

impl World {
    /// A service `web` whose environment is that of ConfigMap `site`.
    fn configure(&self, instances: u32) {
        let spec = json!({
            "instances": instances,
            "update": {"watchSeconds": 0, "maxWaitSeconds": 5, "strategy": {"queue": {"groupSize": 2}}},
            "template": {"spec": {"containers": [{"name": "main", "image": "web:1",
                "envFrom": [{"configMapRef": {"name": "site"}}]}]}},
        });
        self.api.create(
            "auroraservices",
            json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
                   "metadata": {"name": "web", "namespace": "prod"}, "spec": spec}),
        );
    }

    /// Makes ConfigMap `site`, or has it hold something else.
    fn write(&self, text: &str) {
        let data = json!({"data": {"TEXT": text}});
        match self.api.get("configmaps", "prod", "site") {
            Some(_) => drop(self.api.merge("configmaps", "prod", "site", &data)),
            None => drop(self.api.create(
                "configmaps",
                json!({"metadata": {"name": "site", "namespace": "prod"}, "data": data["data"]}),
            )),
        }
    }

    /// What the Pods see that are live and Ready.
    fn seen(&self) -> Vec<String> {
        let pods = self.api.all("pods");
        let live = pods.iter().filter(|pod| {
            pod["metadata"]["labels"]["borealis.dev/live"] == "true"
                && pod["metadata"]["deletionTimestamp"].is_null()
                && pod["status"]["conditions"][0]["status"] == "True"
        });
        let seen = |pod: &Value| {
            let name = pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"].as_str().unwrap();
            let map = self.api.get("configmaps", "prod", name).unwrap();
            assert_eq!(map["immutable"], true, "{name}");
            map["data"]["TEXT"].as_str().unwrap().to_owned()
        };
        live.map(seen).collect()
    }

    async fn all_see(&self, text: &str, count: usize) {
        let wanted = vec![text.to_owned(); count];
        let what = format!("{count} see {text}");
        self.until(&what, |world| world.seen() == wanted && world.condition("Ready").0 == "True").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_config_map_is_an_update_also_where_nobody_watched() {
    let mut world = World::new();
    world.start().await;
    world.configure(3);
    world.until("it is said what is missing", |world| world.condition("Stalled").1 == "ConfigMissing").await;
    assert!(world.api.all("pods").is_empty());
    world.write("one");
    world.all_see("one", 3).await;
    world.write("two");
    world.all_see("two", 3).await;
    assert_eq!(world.api.all("auroraupdates").len(), 1);

    // Edited, then made anew while nobody acts and the history is lost.
    let (_, leader) = world.replicas.remove(0);
    leader.abort();
    world.write("three");
    world.api.remove("configmaps", "prod", "site");
    world.write("four");
    world.api.compact();
    world.start().await;
    world.all_see("four", 3).await;
    assert_eq!(world.api.all("auroraupdates").len(), 2);

    // Gone under a leader that has lost its watch: what runs goes on, and is healed.
    world.api.remove("configmaps", "prod", "site");
    world.api.compact();
    world.until("it is said what is missing", |world| world.condition("Stalled").1 == "ConfigMissing").await;
    let name = world.api.all("pods").last().unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    world.api.remove("pods", "prod", &name);
    let four = vec!["four".to_owned(); 3];
    world.until("it is healed", |world| world.seen() == four).await;
    assert_eq!(world.condition("Stalled").1, "ConfigMissing");
    world.write("four");
    world.all_see("four", 3).await;
    assert_eq!(world.api.all("auroraupdates").len(), 2, "nothing has changed");
    world.stop().await;
}
