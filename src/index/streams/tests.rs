use std::time::Duration;

use borealis_core::model::TaskState;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{sync::Notify, time::timeout};

use super::*;
use crate::{
    index::{
        Viewed,
        tests::{key, object, pod, service},
    },
    metrics::Metrics,
    testing::{Answer, Effect, FakeApi, Fault, Kubelet},
};

struct Fixture {
    api: FakeApi,
    index: Arc<Index>,
    metrics: Metrics,
    watches: Watches,
    changed: Arc<Notify>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Fixture {
    fn start(api: FakeApi) -> Self {
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        let metrics = Metrics::default();
        let index = Arc::new(Index::new(metrics.clone(), move |_| notify.notify_one()));
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let watches = Watches::start(&api.client(), &index, &stop, &mut tasks);
        Self { api, index, metrics, watches, changed, stop, tasks }
    }

    /// Instances and runs of `web` that are known.
    fn runs(&self) -> Vec<(u32, u32)> {
        let runs = |view: borealis_core::plan::ServiceView<'_>, _| {
            view.tasks.iter().map(|task| (task.instance, task.run)).collect()
        };
        match self.index.view(&key("web"), runs) {
            Viewed::Of(runs) => runs,
            Viewed::Absent | Viewed::Unsettled => Vec::new(),
        }
    }

    async fn until(&self, wanted: &[(u32, u32)]) {
        let arrive = async {
            while self.runs() != wanted {
                self.changed.notified().await;
            }
        };
        let patience = Duration::from_secs(600);
        assert!(timeout(patience, arrive).await.is_ok(), "{:?} instead of {wanted:?}", self.runs());
    }

    fn lists(&self) -> usize {
        self.api.take_calls().iter().filter(|call| call.verb == "list").count()
    }

    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn fresh(mut object: Value) -> Value {
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    object
}

fn api_with_service() -> FakeApi {
    let api = FakeApi::new();
    api.create("auroraservices", fresh(service(1, 1, 3)));
    api
}

fn create(api: &FakeApi, instance: u32, run: u32) {
    api.create("pods", fresh(pod(instance, run, 1, 1)));
}

#[tokio::test(start_paused = true)]
async fn the_index_follows_the_cluster_through_breaks_and_relists() {
    let api = api_with_service();
    create(&api, 0, 1);
    let fixture = Fixture::start(api.clone());
    assert!(!fixture.watches.is_ready() && fixture.watches.late().count() == Kind::ALL.len());
    fixture.until(&[(0, 1)]).await;
    fixture.watches.barrier().await;
    assert!(fixture.watches.is_ready());

    create(&api, 1, 1);
    fixture.until(&[(0, 1), (1, 1)]).await;
    api.break_watches();
    api.remove("pods", "prod", "web-0-1");
    fixture.until(&[(1, 1)]).await;
    // What goes in a gap that the history does not cover is never told, only missed by the list.
    api.remove("pods", "prod", "web-1-1");
    create(&api, 2, 4);
    api.compact();
    fixture.until(&[(2, 4)]).await;
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_barrier_is_one_list_of_each_kind_and_the_index_is_as_new_as_its_call() {
    let api = api_with_service();
    let fixture = Fixture::start(api.clone());
    fixture.watches.barrier().await;
    fixture.lists();
    create(&api, 0, 1);
    fixture.watches.barrier().await;
    assert_eq!((fixture.runs(), fixture.lists()), (vec![(0, 1)], Kind::ALL.len()));
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_an_answer_is_opened_anew() {
    let api = api_with_service();
    api.inject(Fault::once("watch", "pods", Effect::Hang));
    let fixture = Fixture::start(api.clone());
    fixture.watches.barrier().await;
    create(&api, 0, 1);
    fixture.until(&[(0, 1)]).await;
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_gets_no_answer_any_more_is_dead() {
    let api = api_with_service();
    let fixture = Fixture::start(api.clone());
    fixture.watches.barrier().await;
    for verb in ["list", "watch"] {
        api.inject(Fault::once(verb, "pods", Effect::Hang).times(1000));
    }
    api.break_watches();
    tokio::time::sleep(SILENCE * 3).await;
    assert_eq!(fixture.watches.late().collect::<Vec<_>>(), [Kind::Pod]);
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_barrier_outlasts_lists_that_hang_and_fail() {
    let api = api_with_service();
    create(&api, 0, 1);
    api.inject(Fault::once("list", "pods", Effect::Hang));
    let failed = Answer::new(500, "InternalError", "etcd leader changed");
    api.inject(Fault::once("list", "auroraservices", Effect::Refuse(failed)).times(3));
    let began = Instant::now();
    let fixture = Fixture::start(api);
    fixture.watches.barrier().await;
    assert_eq!(fixture.runs(), [(0, 1)]);
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_stalls_nothing() {
    let api = api_with_service();
    api.create(
        "auroraservices",
        json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
            "metadata": {"name": "broken", "namespace": "prod"}, "spec": {"instances": "many"}}),
    );
    create(&api, 0, 1);
    let mut stray = fresh(pod(1, 1, 1, 1));
    stray["metadata"]["labels"]["borealis.dev/run"] = json!("first");
    api.create("pods", stray);
    let fixture = Fixture::start(api);
    fixture.watches.barrier().await;
    assert_eq!(fixture.runs(), [(0, 1)]);
    let problem = fixture.index.view(&key("broken"), |view, _| view.problem.map(|problem| problem.blocks));
    assert_eq!(problem, Viewed::Of(Some(true)));
    let told = fixture.metrics.print(&crate::lease::fence().1).unwrap();
    assert!(told.contains("borealis_unreadable_objects_total 1\n"), "{told}");
    assert!(!told.contains("borealis_watch_lists_total{kind=\"Pod\"} 0\n"), "{told}");
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_is_alive_by_its_bookmarks() {
    let fixture = Fixture::start(api_with_service());
    fixture.watches.barrier().await;
    let index = Arc::clone(&fixture.index);
    let learned = object::<Pod>(pod(0, 1, 1, 1));
    for _ in 0..10 {
        tokio::time::sleep(SILENCE / 2).await;
        assert!(fixture.watches.is_ready(), "{:?}", fixture.watches.late().collect::<Vec<_>>());
    }
    assert_eq!(fixture.lists(), Kind::ALL.len(), "nothing is listed again without need");
    crate::apply::Learn::learn_pod(&*index, &learned);
    fixture.stop.cancel();
    tokio::time::sleep(SILENCE * 2).await;
    assert_eq!(fixture.watches.late().count(), Kind::ALL.len(), "ended watches are dead");
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn how_soon_a_pod_runs_is_told_by_role_and_tier_and_taken_back() {
    let api = FakeApi::new();
    let mut web = fresh(service(1, 1, 1));
    web["spec"]["tier"] = json!("preferred");
    api.create("auroraservices", web);
    api.create(
        "tiers",
        json!({"metadata": {"name": "preferred"}, "spec": {"preemptible": true, "band": 30_000}}),
    );
    let team = json!({"team": "shop"});
    api.create("namespaces", json!({"metadata": {"name": "prod", "labels": team}}));
    api.create("pods", fresh(pod(0, 1, 1, 1)));
    let fixture = Fixture::start(api);
    let until = async |so: &dyn Fn(&Index) -> bool| {
        let come = async {
            while !so(&fixture.index) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(60), come).await.unwrap();
    };
    let is = |state| move |index: &Index| index.census().tasks.contains_key(&state);
    until(&is(TaskState::Pending)).await;
    until(&|index| index.tier("preferred").is_some() && index.keys().len() == 1).await;
    let _kubelet = Kubelet::start(&fixture.api);
    until(&is(TaskState::Running)).await;
    let (_gate, fence) = crate::lease::fence();
    // The series by name and labels; the figures are about 0 s, since the kubelet does not take its time.
    let told = || {
        fixture.metrics.service_levels(&fixture.index.service_levels(Timestamp::now()));
        let text = fixture.metrics.print(&fence).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("borealis_sla_")?.rsplit_once(' '));
        lines.map(|(series, _)| series.to_owned()).collect::<Vec<_>>()
    };
    let of = |role: &str, names: &[&str]| {
        names.iter().map(|name| format!("{name}{{role=\"{role}\",tier=\"preferred\"}}")).collect::<Vec<_>>()
    };
    let medians = ["mtta_seconds", "mtts_seconds", "mttr_seconds"];
    let shares = |role: &str| {
        let share = |percent: u8| {
            format!("job_uptime_seconds{{role=\"{role}\",tier=\"preferred\",percentile=\"{percent}\"}}")
        };
        [50, 75, 90, 95, 99].map(share)
    };
    let sorted = |parts: &[&[String]]| {
        let mut all = parts.concat();
        all.push("cluster_platform_uptime_ratio".to_owned());
        all.sort();
        all
    };
    let told = || {
        let mut told = told();
        told.sort();
        told
    };
    let (ratio, own) = (["platform_uptime_ratio"], "unclaimed.");
    assert_eq!(told(), sorted(&[&of(own, &medians), &of(own, &ratio), &shares(own)]));
    assert_eq!(told(), sorted(&[&of(own, &ratio), &shares(own)]), "nobody came to run since");

    let spec =
        json!({"namespaces": {"matchLabels": team}, "tiers": ["preferred"], "defaultTier": "preferred"});
    fixture.api.create("auroraroles", json!({"metadata": {"name": "shop"}, "spec": spec}));
    until(&|index| index.tenant("prod").claimed).await;
    assert_eq!(told(), sorted(&[&of("shop", &ratio), &shares("shop")]), "of another role now");

    fixture.api.remove("auroraservices", "prod", "web");
    until(&|index| index.keys().is_empty()).await;
    assert_eq!(told(), sorted(&[]));
    fixture.end().await;
}
