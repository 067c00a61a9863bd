use borealis_core::model::{
    self, BatchFailure, BatchStatus, KillReason, Parent, ParentEnd, ParentKind, RunOf,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

const UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

fn minimal() -> Value {
    json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraJob",
        "metadata": {"name": "crunch", "namespace": "prod", "uid": UID, "generation": 3},
        "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}},
    })
}

fn with(extra: &Value) -> Value {
    let mut object = minimal();
    json_patch::merge(&mut object, extra);
    object
}

fn read(object: Value) -> Result<model::Service, Invalid> {
    job(&serde_json::from_value::<AuroraJob>(object).unwrap(), "preemptible")
}

fn batch_of(extra: &Value) -> Batch {
    *read(with(extra)).unwrap().batch.unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_minimal_job_has_auroras_defaults() {
    let bare = Batch {
        max_task_failures: Some(1),
        parallelism: None,
        min_succeeded: None,
        timeout_seconds: None,
        job_timeout_seconds: None,
        ttl_seconds: None,
        suspend: false,
        health: None,
        parents: Vec::new(),
        run_of: None,
        kill: None,
        called: ("prod".into(), "crunch".into()),
    };
    let read = read(minimal()).unwrap();
    assert_eq!(read.batch.as_deref(), Some(&bare));
    assert_eq!((read.instances, read.kind(), &*read.work.tier), (1, model::JobKind::Job, "preemptible"));
    assert_eq!(read.history, model::History { failed: 3, ended: 1, ttl_seconds: 172_800 });
}

/// A service and a job of the same words make the same Pods, but for what names the job.
#[test]
fn the_config_of_a_job_is_that_of_a_service_without_names() {
    let mut object = minimal();
    let of_job = read(object.clone()).unwrap().revision;
    object["kind"] = json!("AuroraService");
    let service = serde_json::from_value(object).unwrap();
    assert_eq!(crate::api::convert::service(&service, "preemptible").unwrap().revision, of_job);
}

#[test]
fn what_a_job_asks_for_is_read() {
    let read = batch_of(&json!({
        "metadata": {"annotations": {"borealis.dev/kill": "Asked"}},
        "spec": {
            "maxTaskFailures": -1, "parallelism": 4, "minSucceeded": 2, "timeoutSeconds": 60,
            "jobTimeoutSeconds": 600, "ttlSecondsAfterFinished": 0, "suspend": true,
            "parents": [{"kind": "AuroraJob", "name": "a"}, {"kind": "AuroraCron", "name": "b", "when": "Ended"}],
        },
    }));
    let parents = vec![
        Parent { kind: ParentKind::Job, name: "a".into(), when: ParentEnd::Succeeded },
        Parent { kind: ParentKind::Cron, name: "b".into(), when: ParentEnd::Ended },
    ];
    let expected = Batch {
        max_task_failures: None,
        parallelism: Some(4),
        min_succeeded: Some(2),
        timeout_seconds: Some(60),
        job_timeout_seconds: Some(600),
        ttl_seconds: Some(0),
        suspend: true,
        health: None,
        parents,
        run_of: None,
        kill: Some(KillReason::Asked),
        called: ("prod".into(), "crunch".into()),
    };
    assert_eq!(read, expected);
}

#[test]
fn a_job_is_borne_without_health_as_long_as_a_service_is() {
    let patience = |health: Value, probes: Value| {
        let spec = json!({"health": health, "template": {"spec": {"containers": [probes]}}});
        batch_of(&json!({ "spec": spec })).health
    };
    let main = json!({"name": "main"});
    let some = |first_seconds| Some(HealthPatience { first_seconds, again_seconds: 0 });
    assert_eq!(patience(json!({"http": {}}), main.clone()), some(25));
    let slow = json!({"http": {}, "initialIntervalSeconds": 60, "intervalSeconds": 5, "maxConsecutiveFailures": 2,
                      "minConsecutiveSuccesses": 3});
    assert_eq!(patience(slow.clone(), main), some(85));
    // It keeps probes of its own, by other numbers.
    let probe = json!({"tcpSocket": {"port": 1}});
    assert_eq!(patience(slow, json!({"name": "main", "readinessProbe": probe})), None);
    assert_eq!(batch_of(&json!({})).health, None);
}

#[test]
fn a_run_says_which_it_is() {
    let time = json!({"borealis.dev/scheduled-time": "1970-01-01T00:01:40Z"});
    let owner = |kind: &str, version: &str| json!([{"apiVersion": version, "kind": kind, "name": "nightly", "uid": UID, "controller": true}]);
    let of = |metadata: Value| batch_of(&json!({ "metadata": metadata })).run_of;
    let run = Some(RunOf { cron: "nightly".into(), time: at(100) });
    assert_eq!(of(json!({"labels": {"borealis.dev/cron": "nightly"}, "annotations": time})), run);
    let ours = owner("AuroraCron", "borealis.dev/v1alpha1");
    assert_eq!(of(json!({"ownerReferences": ours, "annotations": time})), run);
    assert_eq!(
        of(json!({"ownerReferences": owner("AuroraCron", "other.dev/v1"), "annotations": time})),
        None
    );
    assert_eq!(of(json!({"ownerReferences": owner("Other", "borealis.dev/v1alpha1")})), None);
}

#[test]
fn what_cannot_be_acted_upon_is_named() {
    for (extra, words) in [
        (json!({"spec": {"maxTaskFailures": 0}}), "spec.maxTaskFailures: 0 is out of range"),
        (json!({"spec": {"maxTaskFailures": -2}}), "spec.maxTaskFailures: -2 is out of range"),
        (json!({"spec": {"parallelism": 0}}), "spec.parallelism: 0 is out of range"),
        (json!({"spec": {"minSucceeded": 0}}), "spec.minSucceeded: 0 is out of range"),
        (json!({"spec": {"timeoutSeconds": 0}}), "spec.timeoutSeconds: 0 is out of range"),
        (json!({"spec": {"jobTimeoutSeconds": -1}}), "spec.jobTimeoutSeconds: -1 is out of range"),
        (
            json!({"spec": {"ttlSecondsAfterFinished": -1}}),
            "spec.ttlSecondsAfterFinished: -1 is out of range",
        ),
        (json!({"spec": {"instances": 10_001}}), "spec.instances: 10001 is out of range"),
        (json!({"spec": {"dedicated": "Ads"}}), "spec.dedicated: \"Ads\" names no pool"),
        (
            json!({"metadata": {"annotations": {"borealis.dev/kill": "now"}}}),
            "\"now\" is no reason to end a job; use Asked",
        ),
        (
            json!({"metadata": {"labels": {"borealis.dev/cron": "nightly"}}}),
            "which run of AuroraCron nightly this is",
        ),
    ] {
        let said = read(with(&extra)).unwrap_err().to_string();
        assert!(said.contains(words), "{extra}: {said}");
    }
}

fn status() -> model::ServiceStatus {
    let revision = model::Revision::v1(7);
    let condition = |kind, holds, reason| model::Condition {
        kind,
        holds,
        reason,
        message: "said".to_owned(),
        since: at(9),
    };
    model::ServiceStatus {
        observed_generation: 3,
        observed_revision: Some(revision),
        observed_count: Some(12),
        last_good: Some(revision),
        highest_run: 4,
        counts: model::Counts {
            desired: 12,
            live: 2,
            running: 1,
            updated: 2,
            kept: 3,
            ..model::Counts::default()
        },
        lost: "3".parse().unwrap(),
        batch: Some(Box::new(BatchStatus {
            phase: model::Phase::Failed,
            started: Some(at(5)),
            ended: Some(at(8)),
            succeeded: "0-7,9".parse().unwrap(),
            failed: "8,10".parse().unwrap(),
            failures: vec![(1, "0-3".parse().unwrap()), (3, "8,10".parse().unwrap())],
            first_failure: Some(model::InstanceFailure {
                instance: 8,
                run: 3,
                reason: model::EndReason::Exited,
                exit_code: Some(7),
                at: at(7),
            }),
            failure: Some(BatchFailure::Instances),
            waits_for: vec!["AuroraJob/a".to_owned()],
            parents_ended: vec!["AuroraCron/b".to_owned()],
        })),
        conditions: vec![
            condition(model::ConditionType::Ready, false, model::reasons::INSTANCES_FAILED),
            condition(model::ConditionType::Failed, true, model::reasons::INSTANCES_FAILED),
        ],
        ..model::ServiceStatus::default()
    }
}

#[test]
fn a_status_is_read_back_as_it_was_written() {
    let job = Identity { name: "crunch", job_key: "east/ads/default/crunch", role: "ads" };
    let written = job_status_object(&status(), &job);
    assert_eq!(job_status(&written), Some(status()));
    // As what people and other programs read.
    let shown = serde_json::to_value(&written).unwrap();
    for (path, value) in [
        ("/phase", json!("Failed")),
        ("/failure", json!("Failed")),
        ("/failures", json!(10)),
        ("/succeeded", json!("0-7,9")),
        ("/succeededCount", json!(9)),
        ("/failedCount", json!(2)),
        ("/replicas", json!(2)),
        ("/selector", json!("borealis.dev/job=crunch,borealis.dev/live=true")),
        ("/firstFailure/reason", json!("Exited")),
        ("/waitsFor", json!(["AuroraJob/a"])),
        ("/parentsEnded", json!(["AuroraCron/b"])),
        ("/conditions/1/type", json!("Failed")),
    ] {
        assert_eq!(shown.pointer(path), Some(&value), "{path}");
    }
}

#[test]
fn a_status_that_cannot_be_read_is_none() {
    assert_eq!(job_status(&AuroraJobStatus::default()), None);
    let broken = |change: fn(&mut AuroraJobStatus)| {
        let mut status = AuroraJobStatus { observed_generation: Some(1), ..AuroraJobStatus::default() };
        assert!(job_status(&status).is_some());
        change(&mut status);
        job_status(&status)
    };
    assert_eq!(broken(|status| status.succeeded = Some("3-1".to_owned())), None);
    assert_eq!(broken(|status| status.failed = Some("x".to_owned())), None);
    assert_eq!(broken(|status| status.observed_revision = Some("x".to_owned())), None);
}

#[test]
fn every_phase_and_failure_is_read_back() {
    use model::Phase::{Complete, Ending, Failed, Running, Suspended, Waiting};
    for phase in [Waiting, Running, Suspended, Ending, Complete, Failed] {
        assert_eq!(model::Phase::from(JobPhase::from(phase)), phase);
    }
    let killed = [KillReason::Collision, KillReason::Asked].map(BatchFailure::Killed);
    for failure in [BatchFailure::Instances, BatchFailure::TimedOut].into_iter().chain(killed) {
        assert_eq!(BatchFailure::from(JobFailure::from(failure)), failure);
    }
}
