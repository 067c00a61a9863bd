use borealis_core::model::BatchFailure;
use serde_json::{Value, json};

use super::*;
use crate::api::AuroraJob;

const CRON: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const RUN: &str = "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

/// The run of the hundredth second of `nightly`, changed so.
fn seen(change: &Value) -> Option<Standing> {
    let mut object = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraJob",
        "metadata": {"name": "nightly-100", "namespace": "prod", "uid": RUN, "generation": 1,
            "labels": {"borealis.dev/cron": "nightly"},
            "annotations": {"borealis.dev/scheduled-time": "1970-01-01T00:01:40Z"},
            "ownerReferences": [{"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraCron", "name": "nightly",
                "uid": CRON, "controller": true}]},
        "spec": {"ttlSecondsAfterFinished": 60, "template": {"spec": {"containers": [{"name": "main"}]}}},
    });
    json_patch::merge(&mut object, change);
    let job: AuroraJob = serde_json::from_value(object).unwrap();
    let row = ServiceRow::read(&job, RUN.parse().unwrap(), "preemptible", None);
    Standing::of(job.metadata.name.as_deref().unwrap(), &row)
}

#[test]
fn a_run_is_known_by_its_controller_and_its_time() {
    let standing = seen(&json!({})).unwrap();
    let run = standing.seen_by(CRON.parse().unwrap());
    assert_eq!((&*run.name, run.time.as_second(), run.owned, run.end), ("nightly-100", 100, true, None));
    assert_eq!((run.killed, run.deleting, run.ttl_seconds), (false, false, Some(60)));
    assert!(!standing.seen_by(RUN.parse().unwrap()).owned);
    let killed = seen(&json!({"metadata": {"annotations": {"borealis.dev/kill": "Asked"}}})).unwrap();
    assert!(killed.run.killed);
}

#[test]
fn a_run_has_ended_once_its_pods_have() {
    let run = |phase: &str| {
        let status = json!({"observedGeneration": 1, "phase": phase, "startTime": "1970-01-01T00:01:41Z",
            "endTime": "1970-01-01T00:01:50Z", "failure": "TimedOut"});
        seen(&json!({"status": status})).unwrap().run
    };
    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!((run("Ending").end, run("Ending").started), (None, Some(at(101))));
    let end = RunEnd { at: at(110), failure: Some(BatchFailure::TimedOut) };
    assert_eq!(run("Failed").end, Some(end));
}

#[test]
fn what_stands_under_the_name_of_a_run_is_seen_as_foreign() {
    let foreign = json!({"metadata": {"ownerReferences": null, "annotations": null, "labels": null}});
    let run = seen(&foreign).unwrap().seen_by(CRON.parse().unwrap());
    assert_eq!((run.time.as_second(), run.owned), (100, false));
}
