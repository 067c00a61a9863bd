use serde_json::{Value, json};

use super::*;
use crate::{
    apply::{Learn, Limits},
    index::Kind,
    lease::{Gate, fence},
    testing::{Answer, Effect, FakeApi, Fault},
};

/// A cluster with role `ads` and a loop of quota, whose watches are told by hand.
struct World {
    api: FakeApi,
    index: Arc<Index>,
    queue: Arc<Queue<JobKey>>,
    quota: Arc<Quota>,
    round: QuotaRound,
    _gate: Gate,
}

impl World {
    fn new() -> Self {
        let (api, metrics) = (FakeApi::new(), Metrics::default());
        let index = Arc::new(Index::new(metrics.clone(), |_| {}));
        let (queue, quota) = (Arc::new(Queue::default()), Arc::new(Quota::default()));
        let (gate, fence) = fence();
        gate.open(1, Instant::now() + Duration::from_secs(6_000));
        let writer = RoleWriter::new(api.client(), Limits::default(), fence, metrics.clone());
        let follower = index.changes();
        let round = QuotaRound::new(
            Arc::clone(&index),
            Arc::clone(&quota),
            writer,
            Arc::clone(&queue),
            metrics,
            follower,
        );
        quota.restart();
        let world = Self { api, index, queue, quota, round, _gate: gate };
        let spec = json!({"preemptible": false, "band": 30_000});
        world.show(
            Kind::Tier,
            world.api.create("tiers", json!({"metadata": {"name": "preferred"}, "spec": spec})),
        );
        let labelled = json!({"metadata": {"name": "prod", "labels": {"team": "ads"}}});
        world.show(Kind::Namespace, world.api.create("namespaces", labelled));
        let spec = json!({"namespaces": {"matchLabels": {"team": "ads"}}, "defaultTier": "preferred"});
        let role = json!({"metadata": {"name": "ads"}, "spec": spec});
        world.show(Kind::Role, world.api.create("auroraroles", role));
        world
    }

    fn show(&self, kind: Kind, object: Value) {
        self.index.told(kind, object);
    }

    /// Makes a service that asks for one CPU.
    fn ask(&self, name: &str) {
        let container = json!({"name": "main", "resources": {"requests": {"cpu": "1"}}});
        let service = self.api.create(
            "auroraservices",
            json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
                   "metadata": {"name": name, "namespace": "prod"},
                   "spec": {"instances": 1, "template": {"spec": {"containers": [container]}}}}),
        );
        self.index.learn_service(&serde_json::from_value(service).unwrap());
        self.quota.touch(&JobKey::service("prod", name));
    }

    /// Changes the role, and has the watch show it.
    fn allow(&self, cpu: &str) {
        let body = json!({"spec": {"quota": {"cpu": cpu}}});
        self.show(Kind::Role, self.api.merge("auroraroles", "", "ads", &body));
    }

    /// The services that are to be planned again.
    async fn told(&self) -> Vec<String> {
        let mut all = Vec::new();
        while self.queue.depth() > 0 {
            let key = self.queue.next().await;
            self.queue.done(&key);
            all.push(key.name.to_string());
        }
        all.sort();
        all
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_granted_something_hears_of_it_though_the_answer_was_lost() {
    let mut world = World::new();
    world.ask("web");
    world.ask("api");
    world.round.round().await;
    assert_eq!(world.told().await, ["api", "web"], "both wait");
    let lost = Effect::DoneBut(Answer::new(504, "Timeout", "the request timed out"));
    world.api.inject(Fault::once("patch", "auroraroles", lost.clone()));
    world.allow("1");
    world.round.round().await;
    let grants =
        |world: &World| world.api.get("auroraroles", "", "ads").unwrap()["status"]["quota"]["grants"].clone();
    assert_eq!(grants(&world)[0]["name"], "api", "{}", grants(&world));
    assert!(world.told().await.contains(&"api".to_owned()));

    // Nor can it be read what came of it: the watch shows that.
    world.api.inject(Fault::once("patch", "auroraroles", lost.clone()));
    world.api.inject(Fault::once("get", "auroraroles", lost));
    world.allow("2");
    world.round.round().await;
    assert_eq!(grants(&world)[1]["name"], "web", "{}", grants(&world));
    world.show(Kind::Role, world.api.get("auroraroles", "", "ads").unwrap());
    world.round.round().await;
    assert!(world.told().await.contains(&"web".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_role_that_went_while_another_was_written_gives_nothing_any_more() {
    let mut world = World::new();
    world.allow("1");
    world.round.round().await;
    let other =
        json!({"metadata": {"name": "other"}, "spec": {"namespaces": {"matchLabels": {"team": "other"}}}});
    world.show(Kind::Role, world.api.create("auroraroles", other));
    world.round.learn();
    let gone = world.api.get("auroraroles", "", "ads").unwrap();
    world.index.told_gone(gone);
    world.round.settle(&"other".into(), &mut BTreeSet::new()).await;
    let report = |world: &World| {
        let state = world.quota.lock();
        state.ledger.report("ads").map(|report| report.quota.cloned())
    };
    assert_eq!(report(&world), None);
}
