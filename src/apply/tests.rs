//! The executor against the fake API server: what is written, what is reported, what is not touched.

mod children;
mod in_place;
mod jobs;
mod records;
mod snapshots;
mod status;
mod tasks;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use borealis_core::{
    model::{Condition, ConditionType, Counts, Ranges, Revision, ServiceStatus, Uid},
    plan::{Action, Plan},
};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::ControllerRevision, core::v1::Pod};
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Announcer, Executor, Facts, Learn, Limits, LostNode, Outcome, UpdateFacts, events};
use crate::{
    JobKey,
    api::{AnyJob, AnyService, AuroraService, AuroraUpdate, convert, snapshot::Content},
    index::Node,
    lease::{Gate, fence},
    metrics::Metrics,
    testing::{Answer, FakeApi, Page},
};

/// What was reported, in a word each.
#[derive(Default)]
struct Reports {
    said: Mutex<Vec<String>>,
    /// The node of all tasks, while it is lost.
    lost: Mutex<Option<LostNode>>,
}

impl Reports {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap())
    }

    fn add(&self, what: &str, name: impl std::fmt::Display) {
        self.said.lock().unwrap().push(format!("{what} {name}"));
    }
}

impl Learn for Reports {
    fn tier(&self, name: &str) -> Option<Arc<borealis_core::model::Tier>> {
        let known = [("preemptible", 20_000), ("preferred", 30_000)];
        known
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(name, band)| Arc::new(crate::testing::tier(name, *band)))
    }
    fn lost_node(&self, _: &JobKey, _: Uid) -> Option<LostNode> {
        self.lost.lock().unwrap().clone()
    }
    fn learn_node(&self, node: &Node) {
        let since =
            node.labels().get("lost").map(|second| Timestamp::from_second(second.parse().unwrap()).unwrap());
        *self.lost.lock().unwrap() = since.map(|since| LostNode { name: node.name_any().into(), since });
        self.add("node", node.name_any());
    }
    fn learn_pod(&self, pod: &Pod) {
        self.add("pod", pod.name_any());
    }
    fn learn_pod_gone(&self, _: &JobKey, uid: Uid) {
        self.add("pod gone", uid.to_string());
    }
    fn learn_revision(&self, revision: &ControllerRevision) {
        self.add("revision", revision.name_any());
    }
    fn learn_revision_gone(&self, _: &JobKey, uid: Uid) {
        self.add("revision gone", uid.to_string());
    }
    fn learn_update(&self, update: &AuroraUpdate) {
        self.add("update", update.name_any());
    }
    fn learn_update_gone(&self, _: &JobKey, uid: Uid) {
        self.add("update gone", uid.to_string());
    }
    fn learn_job(&self, job: &AnyJob) {
        self.add("job", job.name_any());
    }

    fn learn_service(&self, service: &AnyService) {
        self.add("service", service.name_any());
    }
    fn unsettle(&self, service: &JobKey) {
        self.add("unsettle", service.to_string());
    }
}

/// One service on a fake API server, and an executor that may write in term 1.
struct World {
    api: FakeApi,
    gate: Gate,
    reports: Arc<Reports>,
    executor: Executor,
    metrics: Metrics,
    key: JobKey,
    facts: Facts,
}

impl World {
    /// The service `prod/web` with its config stored and its budget as it should be.
    async fn new() -> Self {
        let api = FakeApi::new();
        let service = api.create("auroraservices", service_object());
        let service: AuroraService = serde_json::from_value(service).unwrap();
        let read = convert::service(&service, "preemptible").unwrap();
        let (gate, fence) = fence();
        gate.open(1, Instant::now() + Duration::from_secs(600));
        let reports = Arc::new(Reports::default());
        let metrics = Metrics::default();
        let (announcer, writer) = events(api.client(), fence.clone(), metrics.clone(), "me".to_owned());
        tokio::spawn(writer.run());
        let index: Arc<dyn Learn> = Arc::clone(&reports) as Arc<dyn Learn>;
        let limits = Limits { in_flight: 4, call_timeout: Duration::from_secs(15) };
        let executor = Executor::new(api.client(), limits, fence, index, metrics.clone(), announcer);
        let facts = Facts {
            uid: read.uid,
            generation: read.generation,
            resource_version: service.resource_version().unwrap(),
            revision: read.revision,
            discovery: Some(false),
            in_place: false,
            blocked: false,
            frozen: false,
            sla: None,
            job_key: "east/prod/default/web".to_owned(),
            role: "prod".to_owned(),
            told: Some("east/prod/default/web".to_owned()),
            tier: "preemptible".to_owned(),
            scheduled: None,
            highest_revision: 1,
            recorded: None,
            update: None,
            budget: Some("1-4".to_owned()),
            headless: None,
        };
        let key = JobKey::service("prod", "web");
        let world = Self { api, gate, reports, executor, metrics, key, facts };
        let recorded = world.run([Action::RecordRevision { revision: read.revision, last_good: true }]).await;
        assert_eq!(recorded, Outcome::Done { wrote: true });
        world.reports.take();
        world.api.take_calls();
        world
    }

    fn revision(&self) -> Revision {
        self.facts.revision
    }

    /// Changes the spec and stores its config, which then is the facts'.
    async fn store(&mut self, change: &Value) -> Revision {
        let service = self.api.merge("auroraservices", "prod", "web", &json!({ "spec": change }));
        let service: AuroraService = serde_json::from_value(service).unwrap();
        self.facts.revision = convert::service(&service, "preemptible").unwrap().revision;
        self.facts.discovery = Some(service.spec.discovery.is_some());
        self.facts.highest_revision += 1;
        let record = Action::RecordRevision { revision: self.facts.revision, last_good: false };
        assert_eq!(self.run([record]).await, Outcome::Done { wrote: true });
        self.api.take_calls();
        self.facts.revision
    }

    async fn run(&self, actions: impl IntoIterator<Item = Action>) -> Outcome {
        self.execute(Plan { actions: actions.into_iter().collect(), ..Plan::default() }).await
    }

    async fn execute(&self, plan: Plan) -> Outcome {
        self.executor.execute(&self.key, &self.facts, plan).await
    }

    fn create(&self, instance: u32, run: u32) -> Action {
        Action::Create { instance, run, revision: self.revision(), flaps: 0, failures: 0 }
    }

    fn pod(&self, name: &str) -> Option<Value> {
        self.api.get("pods", "prod", name)
    }

    fn uid(&self, resource: &str, name: &str) -> Uid {
        self.api.get(resource, "prod", name).unwrap()["metadata"]["uid"].as_str().unwrap().parse().unwrap()
    }

    /// Whether the metrics have this line.
    fn measures(&self, line: &str) -> bool {
        let (_, fence) = fence();
        self.metrics.print(&fence).unwrap().lines().any(|found| found == line)
    }

    fn pods(&self) -> Vec<String> {
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        self.api.all("pods").iter().map(name).collect()
    }
}

fn service_object() -> Value {
    json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
        "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"instances": 5, "template": {"spec": {"containers": [{"name": "main", "image": "web:1"}]}}},
    })
}

fn status(revision: Revision, running: u32) -> ServiceStatus {
    let condition = |kind, holds, reason| Condition {
        kind,
        holds,
        reason,
        message: String::new(),
        since: Timestamp::from_second(1_000_000).unwrap(),
    };
    ServiceStatus {
        observed_generation: 1,
        observed_revision: Some(revision),
        observed_scope: None,
        observed_restart: None,
        observed_count: None,
        last_good: Some(revision),
        highest_run: 1,
        counts: Counts { desired: 5, running, live: running, ..Counts::default() },
        revisions: vec![(revision, Ranges::up_to(running))],
        lost: Ranges::default(),
        update: None,
        failure: None,
        admitted: None,
        batch: None,
        conditions: vec![condition(ConditionType::Ready, running == 5, "Running")],
    }
}

fn unavailable() -> Answer {
    Answer::new(503, "ServiceUnavailable", "etcd is not there")
}

fn is_retry(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { .. })
}
