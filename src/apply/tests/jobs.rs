//! Jobs: Pods of the live spec, and a status of their own.

use borealis_core::model::{BatchStatus, Phase};

use super::*;
use crate::testing::{Effect, Fault};

/// The world of `web`, but it is a job, and its service is gone.
async fn world() -> World {
    let mut world = World::new().await;
    world.api.remove("auroraservices", "prod", "web");
    let mut object = service_object();
    object["kind"] = json!("AuroraJob");
    let job = world.api.create("aurorajobs", object);
    let job: crate::api::AuroraJob = serde_json::from_value(job).unwrap();
    let read = convert::job(&job, "preemptible").unwrap();
    world.key = JobKey::job("prod", "web");
    world.facts = Facts {
        uid: read.uid,
        revision: read.revision,
        resource_version: job.resource_version().unwrap(),
        budget: None,
        ..world.facts
    };
    world.api.take_calls();
    world
}

#[tokio::test(start_paused = true)]
async fn makes_pods_of_the_spec_that_was_planned_and_reads_that_once() {
    let world = world().await;
    assert_eq!(world.run([world.create(0, 1), world.create(1, 1)]).await, Outcome::Done { wrote: true });
    assert_eq!(world.pods(), ["web-0-1", "web-1-1"]);
    let labels = &world.pod("web-0-1").unwrap()["metadata"]["labels"];
    assert_eq!((&labels["borealis.dev/job"], &labels["borealis.dev/service"]), (&json!("web"), &Value::Null));
    let calls = world.api.take_calls();
    let read = calls.iter().filter(|call| call.place.resource == "aurorajobs").count();
    assert_eq!((read, calls.len()), (1, 3), "{calls:?}");

    let mut other = Action::Create { instance: 2, run: 1, revision: Revision::v1(7), flaps: 0, failures: 0 };
    let outcome = world.run([other.clone()]).await;
    assert!(
        matches!(outcome, Outcome::Retry { after: None, .. }),
        "not the config that is there: {outcome:?}"
    );
    world.api.remove("aurorajobs", "prod", "web");
    let mut object = service_object();
    object["kind"] = json!("AuroraJob");
    world.api.create("aurorajobs", object);
    if let Action::Create { revision, .. } = &mut other {
        *revision = Revision::v1(8);
    }
    let outcome = world.run([other]).await;
    assert!(matches!(&outcome, Outcome::Retry { why, .. } if why.contains("anew")), "{outcome:?}");
    assert_eq!(world.pods().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_nobody_is_not_taken_over() {
    let world = world().await;
    for label in ["borealis.dev/job", "borealis.dev/service"] {
        let meta = json!({"name": "web-0-1", "namespace": "prod", "labels": {label: "web", "borealis.dev/term": "1"}});
        world.api.create("pods", json!({"metadata": meta, "spec": {}}));
        let outcome = world.run([world.create(0, 1)]).await;
        let Outcome::Refused { problem } = outcome else { panic!("{outcome:?}") };
        assert_eq!(problem.reason, "NameConflict");
        assert!(problem.message.contains("rename the job"), "{}", problem.message);
        world.api.remove("pods", "prod", "web-0-1");
    }
}

#[tokio::test(start_paused = true)]
async fn its_status_is_its_own_and_it_has_no_children() {
    let world = world().await;
    let batch = BatchStatus { phase: Phase::Running, ..BatchStatus::default() };
    let status = ServiceStatus { batch: Some(Box::new(batch)), ..status(world.revision(), 2) };
    let plan = || Plan { status: Some(status.clone()), ..Plan::default() };
    let conflict = Answer::new(409, "Conflict", "the object has been modified");
    world.api.inject(Fault::once("patch", "aurorajobs", Effect::Refuse(conflict)));
    assert!(matches!(world.execute(plan()).await, Outcome::Retry { .. }));
    assert_eq!(world.reports.take(), ["job web"], "it looks at what is there");
    assert_eq!(world.execute(plan()).await, Outcome::Done { wrote: true });
    assert_eq!(world.reports.take(), ["job web"]);
    let job = world.api.get("aurorajobs", "prod", "web").unwrap();
    assert_eq!((&job["status"]["phase"], &job["status"]["replicas"]), (&json!("Running"), &json!(2)));
    assert!(world.api.all("poddisruptionbudgets").iter().all(|it| it["metadata"]["name"] != "web"));
}

#[tokio::test(start_paused = true)]
async fn only_the_job_that_was_meant_is_removed() {
    let world = world().await;
    let meant = world.facts.uid;
    assert_eq!(world.run([Action::RemoveJob { uid: Uid::new(77) }]).await, Outcome::Done { wrote: false });
    assert!(world.api.get("aurorajobs", "prod", "web").is_some());
    assert_eq!(world.run([Action::RemoveJob { uid: meant }]).await, Outcome::Done { wrote: true });
    assert!(world.api.get("aurorajobs", "prod", "web").is_none());
}
