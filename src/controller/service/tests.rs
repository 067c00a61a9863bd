use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use borealis_core::{
    model::Revision,
    plan::{Action, Problem},
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{
    apply::{Learn, Outcome},
    checks::Hosts,
    controller::{
        barrier::opening,
        queue::Queue,
        rounds::{FLOOR, plan_all},
    },
    index::SettleError,
    lease::{Gate, fence},
    metrics::Metrics,
};

/// What the executor was asked to do: the service, whether to create, and the problem the plan's view showed.
type Asked = (String, bool, Option<&'static str>);

/// An executor that does as it is told for each service by name.
struct Fake {
    index: Arc<Index>,
    asked: mpsc::UnboundedSender<Asked>,
    /// Outcomes to come instead of doing it, by service.
    instead: Arc<Mutex<HashMap<String, Vec<Outcome>>>>,
    at_once: AtomicUsize,
    most_at_once: Arc<AtomicUsize>,
    /// Set to hold all calls until notified.
    hold: Option<Arc<Notify>>,
}

impl Execute for Fake {
    async fn execute(&self, key: &JobKey, facts: &Facts, plan: Plan) -> Outcome {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let shown = plan.held.first().map(|held| held.reason);
        self.asked.send((key.name.to_string(), !plan.actions.is_empty(), shown)).unwrap();
        if let Some(hold) = &self.hold {
            hold.notified().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let instead = self
            .instead
            .lock()
            .unwrap()
            .get_mut(&*key.name)
            .and_then(|list| (!list.is_empty()).then(|| list.remove(0)));
        if let Some(outcome) = instead {
            return outcome;
        }
        for action in &plan.actions {
            if let Action::Create { instance, .. } = action {
                self.index.learn_pod(&pod(key, *instance));
            }
        }
        assert_eq!(facts.job_key, format!("east/prod/default/{}", key.name));
        Outcome::Done { wrote: !plan.actions.is_empty() }
    }
}

/// A live read that fails, or leaves a service named `vague` as unsettled as it was.
struct Live(mpsc::UnboundedSender<Asked>);

impl Settle for Live {
    async fn settle(&self, _: &Index, key: &JobKey) -> Result<(), SettleError> {
        self.0.send((format!("settle {}", key.name), false, None)).unwrap();
        if &*key.name == "vague" { Ok(()) } else { Err(SettleError::Timeout) }
    }
}

/// Creates the first instance that is missing; what it would show of a problem stands in `held`.
fn planner(view: &ServiceView<'_>, now: Timestamp) -> Plan {
    let have = u32::try_from(view.tasks.len()).unwrap();
    assert!(view.service.instances != 666, "the planner fails on this one");
    let missing = (have < view.service.instances).then(|| Action::Create {
        instance: have,
        run: 1,
        revision: Revision::v1(1),
        flaps: 0,
        failures: 0,
    });
    let held = view.problem.map(|problem| borealis_core::plan::Held {
        instance: None,
        reason: problem.reason,
        until: None,
    });
    Plan {
        actions: missing.into_iter().collect(),
        held: held.into_iter().collect(),
        next_check: (view.service.instances == 0).then_some(now),
        ..Plan::default()
    }
}

fn pod(key: &JobKey, instance: u32) -> Pod {
    serde_json::from_value(json!({"metadata": {
        "name": format!("{}-{instance}-1", key.name), "namespace": "prod",
        "uid": format!("00000000-0000-0000-0000-{:012}", instance + 1), "resourceVersion": "50",
        "labels": {"borealis.dev/service": *key.name, "borealis.dev/instance": instance.to_string(),
            "borealis.dev/run": "1", "borealis.dev/revision": "v1-00000000000000aa"},
    }}))
    .unwrap()
}

fn service(name: &str, instances: i32, version: u64) -> crate::api::AnyService {
    serde_json::from_value(json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
        "metadata": {"name": name, "namespace": "prod", "uid": "00000000-0000-0000-0000-00000000ffff",
            "generation": version, "resourceVersion": version.to_string()},
        "spec": {"instances": instances, "template": {"spec": {"containers": [{"name": "main"}]}}},
    }))
    .unwrap()
}

struct Fixture {
    index: Arc<Index>,
    queue: Arc<Queue<JobKey>>,
    asked: mpsc::UnboundedReceiver<Asked>,
    instead: Arc<Mutex<HashMap<String, Vec<Outcome>>>>,
    most_at_once: Arc<AtomicUsize>,
    passed: watch::Sender<Option<u64>>,
    gate: Gate,
    stop: CancellationToken,
    run: JoinHandle<()>,
    metrics: Metrics,
}

impl Fixture {
    fn start(hold: Option<Arc<Notify>>) -> Self {
        let queue = Arc::new(Queue::default());
        let index = Arc::new(Index::new(Metrics::default(), {
            let queue = Arc::clone(&queue);
            move |key| queue.add(key)
        }));
        let (asked, receiver) = mpsc::unbounded_channel();
        let (gate, fence) = fence();
        let (passed, opening) = opening();
        let metrics = Metrics::default();
        let (instead, most_at_once) = (Arc::default(), Arc::<AtomicUsize>::default());
        let executor = Fake {
            index: Arc::clone(&index),
            asked: asked.clone(),
            instead: Arc::clone(&instead),
            at_once: AtomicUsize::new(0),
            most_at_once: Arc::clone(&most_at_once),
            hold,
        };
        let stop = CancellationToken::new();
        let controller = Controller {
            index: Arc::clone(&index),
            executor,
            live: Live(asked),
            checks: Checks::new(Hosts::default(), fence.clone(), Metrics::default(), |_| ()),
            pending: PendingTable::default(),
            planner,
            quota: Arc::default(),
            cluster: "east".to_owned(),
            max_ended: 2_000,
            rounds: Rounds {
                queue: Arc::clone(&queue),
                fence,
                opening,
                frozen: Arc::default(),
                concurrency: 3,
                resync: Duration::from_secs(600),
                metrics: metrics.clone(),
            },
        };
        let run = tokio::spawn(controller.run(stop.clone()));
        Self { index, queue, asked: receiver, instead, most_at_once, passed, gate, stop, run, metrics }
    }

    fn open(&self, term: u64) {
        self.gate.open(term, Instant::now() + Duration::from_secs(1_000_000));
        self.passed.send_replace(Some(term));
    }

    /// A service as the watch brings it.
    fn add(&self, name: &str, instances: i32, version: u64) {
        self.index.learn_service(&service(name, instances, version));
        self.queue.add(&JobKey::service("prod", name));
    }

    fn instead(&self, name: &str, outcomes: Vec<Outcome>) {
        self.instead.lock().unwrap().insert(name.to_owned(), outcomes);
    }

    /// What the executor is asked next; the clock runs on by itself until then.
    async fn next(&mut self) -> (String, bool, Option<&'static str>, Duration) {
        let began = Instant::now();
        let (name, creates, problem) = self.asked.recv().await.unwrap();
        (name, creates, problem, began.elapsed())
    }

    async fn end(self) {
        self.stop.cancel();
        self.run.await.unwrap();
    }
}

fn named(name: &str, creates: bool) -> (String, bool, Option<&'static str>, Duration) {
    (name.to_owned(), creates, None, Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn plans_follow_each_other_on_own_writes_until_nothing_is_left() {
    let mut fixture = Fixture::start(None);
    fixture.open(1);
    fixture.add("web", 3, 1);
    for creates in [true, true, true, false] {
        assert_eq!(fixture.next().await, named("web", creates));
    }
    let (_, creates, _, waited) = fixture.next().await;
    assert!(
        !creates && waited >= Duration::from_secs(530) && waited <= Duration::from_secs(670),
        "{waited:?}"
    );
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_planned_before_the_opening_nor_in_another_term() {
    let mut fixture = Fixture::start(None);
    fixture.add("web", 0, 1);
    fixture.gate.open(1, Instant::now() + Duration::from_secs(1_000_000));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(fixture.asked.try_recv().is_err(), "the barrier was not passed");
    fixture.open(1);
    assert_eq!(fixture.next().await.0, "web");
    fixture.gate.open(2, Instant::now() + Duration::from_secs(1_000_000));
    tokio::time::timeout(Duration::from_secs(60), fixture.asked.recv()).await.unwrap_err();
    fixture.passed.send_replace(Some(2));
    assert_eq!(fixture.next().await.0, "web");
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_is_never_sooner_than_its_floor() {
    let mut fixture = Fixture::start(None);
    fixture.open(1);
    fixture.add("web", 0, 1);
    assert_eq!(fixture.next().await.3, Duration::ZERO);
    assert_eq!(fixture.next().await.3, FLOOR);
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_takes_no_other_service_down_and_backs_off() {
    let mut fixture = Fixture::start(None);
    fixture.open(1);
    fixture.add("bad", 666, 1);
    fixture.add("web", 1, 1);
    assert_eq!(fixture.next().await, named("web", true));
    assert_eq!(fixture.next().await, named("web", false));
    fixture.add("bad", 1, 2);
    assert_eq!(fixture.next().await.0, "bad", "mended");
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_shown_until_it_goes_through_or_the_spec_changes() {
    let mut fixture = Fixture::start(None);
    fixture.open(1);
    let refused = || Outcome::Refused {
        problem: Problem { reason: "TemplateRefused", message: "no".to_owned(), blocks: false },
    };
    fixture.instead("web", vec![refused(), refused()]);
    fixture.add("web", 1, 1);
    let (_, _, shown, _) = fixture.next().await;
    assert_eq!(shown, None);
    let (_, creates, shown, first) = fixture.next().await;
    assert_eq!((creates, shown), (true, Some("TemplateRefused")));
    let (_, _, shown, second) = fixture.next().await;
    assert_eq!(shown, Some("TemplateRefused"));
    assert!(first <= Duration::from_millis(101) && second > first, "{first:?} {second:?}");
    assert_eq!(fixture.next().await, named("web", false), "a create went through");

    fixture.instead("other", vec![refused()]);
    fixture.add("other", 1, 1);
    assert_eq!(fixture.next().await.2, None);
    fixture.add("other", 1, 2);
    assert_eq!(fixture.next().await.2, None, "of another spec");

    // What was refused need not be a Pod, and what ends it need not be a write of ours.
    let done = JobKey::service("prod", "done");
    fixture.index.learn_pod(&pod(&done, 0));
    fixture.instead("done", vec![refused()]);
    fixture.add("done", 1, 1);
    let mut shown = Vec::new();
    while shown.len() < 3 {
        let (name, _, problem, waited) = fixture.next().await;
        if name == "done" {
            shown.push((problem, waited < Duration::from_secs(1)));
        }
    }
    assert_eq!(
        shown,
        [(None, true), (Some("TemplateRefused"), true), (None, true)],
        "and no longer than it is"
    );
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_unsettled_service_is_read_live_with_pauses_and_not_planned() {
    for name in ["web", "vague"] {
        let mut fixture = Fixture::start(None);
        fixture.open(1);
        fixture.add(name, 1, 1);
        fixture.index.unsettle(&JobKey::service("prod", name));
        let read = format!("settle {name}");
        let (first, .., waited) = fixture.next().await;
        assert_eq!((&first, waited), (&read, Duration::ZERO));
        let (again, .., waited) = fixture.next().await;
        assert!(again == read && waited >= Duration::from_millis(75), "{again} {waited:?}");
        fixture.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_a_wish_for_later_is_kept() {
    let mut fixture = Fixture::start(None);
    fixture.open(1);
    let retry =
        |after: Option<u64>| Outcome::Retry { after: after.map(Duration::from_secs), why: String::new() };
    fixture.instead("web", vec![retry(Some(7)), retry(None), retry(None), Outcome::Fenced]);
    fixture.add("web", 1, 1);
    let mut waits = Vec::new();
    for _ in 0..5 {
        waits.push(fixture.next().await.3);
    }
    let millis: Vec<_> = waits.iter().map(Duration::as_millis).collect();
    assert_eq!((millis[0], millis[1], millis[4]), (0, 7_000, 1_000));
    assert!((75..=101).contains(&millis[2]) && (150..=201).contains(&millis[3]), "{millis:?}");
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_never_comes_to_rest_is_slowed_down() {
    let mut fixture = Fixture::start(None);
    fixture.open(1);
    fixture.instead("web", vec![Outcome::Done { wrote: true }; 400]);
    fixture.add("web", 1, 1);
    let began = Instant::now();
    for _ in 0..262 {
        fixture.next().await;
    }
    assert!(began.elapsed() >= Duration::from_millis(75 * 5), "{:?}", began.elapsed());
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn as_many_services_at_a_time_as_are_allowed() {
    let hold = Arc::new(Notify::new());
    let mut fixture = Fixture::start(Some(Arc::clone(&hold)));
    fixture.open(1);
    for number in 0..6 {
        fixture.add(&format!("s{number}"), 0, 1);
    }
    for _ in 0..3 {
        fixture.next().await;
    }
    assert!(tokio::time::timeout(Duration::from_secs(60), fixture.asked.recv()).await.is_err());
    assert_eq!(fixture.queue.depth(), 3);
    hold.notify_one();
    fixture.next().await;
    assert_eq!(fixture.most_at_once.load(Ordering::SeqCst), 3);
    fixture.stop.cancel();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!fixture.run.is_finished(), "what is under way is finished first");
    (0..3).for_each(|_| hold.notify_one());
    while !fixture.run.is_finished() {
        hold.notify_waiters();
        tokio::task::yield_now().await;
    }
    fixture.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_spreads_all_services() {
    let index = Index::new(Metrics::default(), |_| {});
    let queue = Queue::default();
    for number in 0..400 {
        let name = format!("s{number}");
        index.learn_service(&service(&name, 1, 1));
        queue.add(&JobKey::service("prod", &name));
    }
    plan_all(&index.keys(), &queue);
    assert!(queue.depth() < 20, "{} at once", queue.depth());
    tokio::time::advance(Duration::from_millis(200)).await;
    assert!((120..280).contains(&queue.depth()), "{} after half of it", queue.depth());
    tokio::time::advance(Duration::from_millis(201)).await;
    assert_eq!(queue.depth(), 400);
}

#[tokio::test(start_paused = true)]
async fn service_levels_are_reckoned_every_minute() {
    let fixture = Fixture::start(None);
    let (_gate, fence) = fence();
    // The first reckoning finds nothing.
    tokio::time::sleep(Duration::from_secs(1)).await;
    fixture.add("web", 1, 1);
    let group = "borealis_sla_platform_uptime_ratio{role=\"unclaimed.\",tier=\"unknown.\"} 1.0\n";
    tokio::time::sleep(Duration::from_secs(58)).await;
    assert!(!fixture.metrics.print(&fence).unwrap().contains(group), "too soon");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(fixture.metrics.print(&fence).unwrap().contains(group));
    fixture.end().await;
}
