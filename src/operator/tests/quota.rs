//! Quota as its tenants see it: one role over two namespaces, with writes that get lost and leaders that fall over.

use super::*;

impl World {
    /// A world with role `ads`, which has so much CPU in the namespaces `prod` and `test`, and two tiers.
    fn with_quota(cpu: &str) -> Self {
        let world = Self::new();
        for (tier, preemptible, band) in [("preemptible", true, 20_000), ("preferred", false, 30_000)] {
            if world.api.get("tiers", "", tier).is_none() {
                world.api.create(
                    "tiers",
                    json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": tier},
                           "spec": {"preemptible": preemptible, "band": band}}),
                );
            }
        }
        for namespace in ["prod", "test"] {
            let labels = json!({"team": "ads"});
            world.api.create("namespaces", json!({"metadata": {"name": namespace, "labels": labels}}));
        }
        world.api.create(
            "auroraroles",
            json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraRole", "metadata": {"name": "ads"},
                   "spec": {"namespaces": {"matchLabels": {"team": "ads"}}, "tiers": ["preemptible", "preferred"],
                            "quota": {"cpu": cpu}}}),
        );
        world
    }

    /// A production service whose instances ask for so much CPU each.
    fn ask(&self, namespace: &str, name: &str, instances: u32, cpu: &str) {
        let container = json!({"name": "main", "image": "web:1", "resources": {"requests": {"cpu": cpu}}});
        let spec = json!({
            "tier": "preferred", "instances": instances,
            "update": {"watchSeconds": 0, "maxWaitSeconds": 5},
            "template": {"spec": {"containers": [container]}},
        });
        match self.api.get("auroraservices", namespace, name) {
            Some(_) => drop(self.api.merge("auroraservices", namespace, name, &json!({"spec": spec}))),
            None => drop(self.api.create(
                "auroraservices",
                json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
                       "metadata": {"name": name, "namespace": namespace}, "spec": spec}),
            )),
        }
    }

    fn raise(&self, cpu: &str) {
        self.api.merge("auroraroles", "", "ads", &json!({"spec": {"quota": {"cpu": cpu}}}));
    }

    fn status(&self, namespace: &str, name: &str) -> Value {
        self.api.get("auroraservices", namespace, name).unwrap_or_default()["status"].clone()
    }

    fn role(&self) -> Value {
        self.api.get("auroraroles", "", "ads").unwrap_or_default()["status"]["quota"].clone()
    }

    /// How many Pods of the service are Ready, and the CPU that each asks for.
    fn up(&self, namespace: &str, name: &str) -> Vec<String> {
        let of = |pod: &&Value| {
            pod["metadata"]["namespace"] == namespace
                && pod["metadata"]["labels"]["borealis.dev/service"] == name
                && pod["metadata"]["labels"]["borealis.dev/live"] == "true"
                && pod["metadata"]["deletionTimestamp"].is_null()
                && pod["status"]["conditions"][0]["status"] == "True"
        };
        let cpu = |pod: &Value| {
            let cpu = &pod["spec"]["containers"][0]["resources"]["requests"]["cpu"];
            cpu.as_str().unwrap_or_default().to_owned()
        };
        self.api.all("pods").iter().filter(of).map(cpu).collect()
    }

    async fn runs(&self, namespace: &str, name: &str, count: usize, cpu: &str) {
        let wanted = vec![cpu.to_owned(); count];
        self.quota_until(&format!("{count} of {name} run with {cpu}"), |world| {
            world.up(namespace, name) == wanted
        })
        .await;
    }

    async fn waits(&self, namespace: &str, name: &str, words: &str) {
        self.quota_until(&format!("{name} waits: {words}"), |world| {
            let conditions =
                world.status(namespace, name)["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| {
                condition["type"] == "Stalled"
                    && condition["reason"] == "QuotaExceeded"
                    && condition["message"].as_str().unwrap_or_default().contains(words)
            })
        })
        .await;
    }

    /// The role has recorded no grant that its service has not taken up, and this much is charged.
    async fn charged(&self, cpu: &str) {
        self.quota_until(&format!("{cpu} are charged"), |world| {
            world.role()["production"]["cpu"] == cpu && world.role()["grants"].is_null()
        })
        .await;
    }

    async fn quota_until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        for _ in 0..1500 {
            if so(self) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let of = |value: &Value| format!("{} {}", value["metadata"]["name"], value["status"]);
        let services: Vec<_> = self.api.all("auroraservices").iter().map(of).collect();
        panic!("never: {what}\n{}\n{}", self.role(), services.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_quota_holds_for_all_namespaces_of_a_role() {
    let mut world = World::with_quota("1");
    world.start().await;
    world.ask("prod", "web", 2, "250m");
    world.runs("prod", "web", 2, "250m").await;
    world.charged("500m").await;
    world.ask("test", "api", 3, "250m");
    world.waits("test", "api", "cpu: asked 750m, used 500m of 1, 250m too much").await;
    assert!(world.up("test", "api").is_empty(), "nothing of it is started");
    world.quota_until("the role says so", |world| world.role()["heldJobs"][0]["name"] == "api").await;

    // More of it is refused, and the old count runs on.
    world.ask("prod", "web", 5, "250m");
    world.waits("prod", "web", "asked 1250m, used 500m (500m of it by this job) of 1").await;
    world.runs("prod", "web", 2, "250m").await;
    assert_eq!(world.status("prod", "web")["admitted"]["instances"], 2);

    // Fewer are granted always, and what is freed goes to who waits.
    world.ask("prod", "web", 1, "250m");
    world.runs("prod", "web", 1, "250m").await;
    world.runs("test", "api", 3, "250m").await;
    world.charged("1").await;

    // An update that does not fit touches nothing.
    world.ask("test", "api", 3, "300m");
    world.waits("test", "api", "cpu: asked 900m").await;
    world.runs("test", "api", 3, "250m").await;
    assert!(world.api.all("auroraupdates").is_empty());

    // A lower quota ends nothing, and says so.
    world.raise("200m");
    world.quota_until("it is said", |world| world.role()["over"]["cpu"] == "800m").await;
    world
        .quota_until("and in a condition", |world| {
            let role = world.api.get("auroraroles", "", "ads").unwrap_or_default();
            let conditions = role["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let said = |it: &Value| it["type"] == "OverCommitted" && it["status"] == "True";
            conditions
                .iter()
                .any(|it| said(it) && it["message"].as_str().unwrap_or_default().contains("800m cpu"))
        })
        .await;
    world.runs("test", "api", 3, "250m").await;
    world.raise("1500m");
    world.runs("test", "api", 3, "300m").await;
    world.charged("1150m").await;
    world.api.remove("auroraservices", "test", "api");
    world.charged("250m").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_granted_twice_when_answers_get_lost() {
    let mut world = World::with_quota("1");
    let broken = || Effect::DoneBut(Answer::new(504, "Timeout", "the request timed out"));
    let refused = || Effect::Refuse(Answer::new(500, "InternalError", "etcd leader changed"));
    for resource in ["auroraroles", "auroraservices"] {
        for (at, effect) in [broken(), refused(), broken(), refused()].into_iter().enumerate() {
            world.api.inject(Fault::once("patch", resource, effect).after(at));
        }
    }
    world.ask("prod", "web", 2, "300m");
    world.ask("test", "api", 2, "300m");
    world.start().await;
    world
        .quota_until("one of them runs", |world| {
            world.up("prod", "web").len() + world.up("test", "api").len() == 2
        })
        .await;
    world.charged("600m").await;
    let granted = |namespace, name| world.status(namespace, name)["admitted"]["number"].clone();
    let both = [granted("prod", "web"), granted("test", "api")];
    assert!(both.contains(&json!(1)) && both.contains(&Value::Null), "{both:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_keeps_what_was_granted_and_gives_the_rest_in_order() {
    let mut world = World::with_quota("1");
    world.start().await;
    // The grant is written, and its service never hears of it: nothing of that service can be written.
    let refused = Effect::Refuse(Answer::new(500, "InternalError", "etcd leader changed"));
    world.api.inject(Fault::once("patch", "auroraservices", refused).times(usize::MAX));
    world.ask("prod", "web", 2, "300m");
    world.quota_until("it is granted", |world| world.role()["grants"][0]["name"] == "web").await;
    assert!(world.api.all("pods").is_empty(), "no Pod before its service has recorded it");
    let (_, leader) = world.replicas.remove(0);
    leader.abort();
    world.api.heal();
    world.ask("test", "api", 2, "300m");
    world.start().await;
    world.runs("prod", "web", 2, "300m").await;
    world.waits("test", "api", "cpu: asked 600m, used 600m of 1").await;
    assert_eq!(world.status("prod", "web")["admitted"]["number"], 1);
    world.charged("600m").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_job_waits_for_quota_and_gives_it_back_at_its_end() {
    let mut world = World::with_quota("1");
    world.start().await;
    world.ask("prod", "web", 3, "250m");
    world.runs("prod", "web", 3, "250m").await;
    let container = json!({"name": "main", "image": "run:1", "resources": {"requests": {"cpu": "250m"}}});
    let spec =
        json!({"tier": "preferred", "instances": 2, "template": {"spec": {"containers": [container]}}});
    world.job("sum", "run:1", &spec);
    let held = |world: &World| world.of_job("sum", "Stalled").1 == "QuotaExceeded";
    world.job_until("it waits for quota", held).await;
    let (_, _, message) = world.of_job("sum", "Stalled");
    assert!(message.contains("cpu: asked 500m, used 750m of 1, 250m too much"), "{message}");
    assert!(world.live("sum").is_empty(), "nothing of it is started");
    let told = |world: &World| {
        let held = &world.role()["heldJobs"][0];
        (held["kind"].clone(), held["name"].clone()) == (json!("AuroraJob"), json!("sum"))
    };
    world.quota_until("the role says so", told).await;

    world.raise("2");
    world.job_until("it runs", |world| world.live("sum").len() == 2).await;
    world.charged("1250m").await;
    world.api.merge("aurorajobs", "prod", "sum", &json!({"spec": {"suspend": true}}));
    world.job_is("sum", "Suspended").await;
    world.charged("750m").await;
    world.api.merge("aurorajobs", "prod", "sum", &json!({"spec": {"suspend": false}}));
    world.job_until("it runs again", |world| world.live("sum").len() == 2).await;
    world.charged("1250m").await;
    for (instance, runs) in world.live("sum") {
        world.exit(&format!("sum-{instance}-{}", runs[0]), 0);
    }
    world.job_is("sum", "Complete").await;
    world.charged("750m").await;
    world.stop().await;
}
