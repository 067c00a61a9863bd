use borealis_core::model::{Collision, CronStatus, reasons};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::run_object;
use super::*;
use crate::api::{AuroraJob, convert, labels};

const UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const RUN: &str = "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

fn object(spec: &Value) -> AuroraCron {
    let mut object = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraCron",
        "metadata": {"name": "nightly", "namespace": "prod", "uid": UID, "generation": 3,
                     "creationTimestamp": "1970-01-01T00:00:07Z"},
        "spec": {"schedules": ["0 3 * * *"], "job": {"spec": {"template": {"spec": {"containers": [{"name": "main"}]}}}}},
    });
    json_patch::merge(&mut object["spec"], spec);
    serde_json::from_value(object).unwrap()
}

fn parse(rules: &[String], zone: &str) -> Result<Arc<Schedule>, ScheduleError> {
    Schedule::parse(rules, Some(zone)).map(Arc::new)
}

fn read(spec: &Value) -> model::Cron {
    cron(&object(spec), parse).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_minimal_cron_has_auroras_defaults() {
    let read = read(&json!({}));
    assert_eq!((&*read.name, read.generation, read.created), ("nightly", 3, at(7)));
    assert_eq!(read.schedule.unwrap().next(at(0)), Some(at(3 * 3600)));
    assert_eq!(&*read.schedule_text, "0 3 * * * (UTC)");
    assert_eq!((read.suspend, read.collision), (false, Collision::KillExisting));
    assert_eq!((read.catch_up, read.jitter_seconds), (model::CatchUp::None, 0));
    assert_eq!(read.history, model::RunHistory { succeeded: 3, failed: 3 });
    assert_eq!((read.parents.len(), read.run_at), (0, None));
}

#[test]
fn what_a_cron_asks_for_is_read() {
    let read = read(&json!({
        "schedules": ["@hourly", "30 2 * * MON"], "timeZone": "Europe/Berlin", "suspend": true,
        "collisionPolicy": "Queue", "catchUp": {"policy": "All", "windowSeconds": 90}, "jitterSeconds": 30,
        "history": {"succeeded": 0, "failed": 7}, "runAt": "1970-01-01T00:00:09.75Z",
        "parents": [{"kind": "AuroraCron", "name": "early"}],
    }));
    assert_eq!(&*read.schedule_text, "@hourly; 30 2 * * MON (Europe/Berlin)");
    assert_eq!((read.suspend, read.collision), (true, Collision::Queue));
    assert_eq!((read.catch_up, read.jitter_seconds), (model::CatchUp::All { window_seconds: 90 }, 30));
    assert_eq!(read.history, model::RunHistory { succeeded: 0, failed: 7 });
    // In whole seconds, as it is recorded.
    assert_eq!(read.run_at, Some(at(9)));
    assert_eq!(&*read.parents[0].name, "early");
    let latest = json!({"catchUp": {"policy": "Latest"}});
    assert_eq!(self::read(&latest).catch_up, model::CatchUp::Latest { window_seconds: 3600 });
}

#[test]
fn a_cron_may_have_parents_alone() {
    let parents = json!({"schedules": [], "parents": [{"kind": "AuroraJob", "name": "a"}]});
    let read = cron(&object(&parents), |_, _| panic!("there is nothing to read")).unwrap();
    assert!(read.schedule.is_none());
    assert_eq!(&*read.schedule_text, "after its parents (UTC)");
}

#[test]
fn what_cannot_be_followed_is_named() {
    for (spec, words) in [
        (json!({"schedules": ["every day"]}), "spec.schedules: schedule \"every day\" has 2 fields"),
        (
            json!({"schedules": ["0 0 * * *", "0 0 30 2 *"]}),
            "spec.schedules: schedule \"0 0 30 2 *\" never fires",
        ),
        (json!({"timeZone": "Mars/Olympus"}), "spec.timeZone: time zone \"Mars/Olympus\" is not known"),
        (json!({"schedules": []}), "spec.schedules: no schedule is given"),
        (json!({"jitterSeconds": -1}), "spec.jitterSeconds: -1 is out of range"),
        (
            json!({"catchUp": {"policy": "All", "windowSeconds": 1}}),
            "spec.catchUp.windowSeconds: 1 is out of range",
        ),
        (json!({"history": {"failed": 101}}), "spec.history.failed: 101 is out of range"),
    ] {
        let said = cron(&object(&spec), parse).unwrap_err().to_string();
        assert!(said.starts_with(words), "{said}");
    }
}

fn status() -> CronStatus {
    let record = |time, uid: Option<&str>, outcome| model::RunRecord {
        time: at(time),
        cause: model::RunCause::CatchUp,
        uid: uid.map(|uid| uid.parse().unwrap()),
        started: uid.map(|_| at(time + 1)),
        ended: uid.filter(|_| outcome != model::RunOutcome::Active).map(|_| at(time + 11)),
        outcome,
    };
    CronStatus {
        observed_generation: 3,
        observed_schedule: Some("@hourly; 30 2 * * MON (Europe/Berlin)".into()),
        suspended: true,
        last_scheduled: Some(at(300)),
        observed_run_at: Some(at(250)),
        pending: Some(model::PendingRun { time: at(400), cause: model::RunCause::Asked }),
        runs: vec![
            record(300, None, model::RunOutcome::Skipped(Skipped::Missed)),
            record(200, Some(UID), model::RunOutcome::Active),
            record(100, Some(RUN), model::RunOutcome::Failed(BatchFailure::TimedOut)),
        ],
        last_succeeded: Some(at(90)),
        last_ended: Some(at(111)),
        missed: 5,
        next: Some(at(500)),
        waits_for: vec!["AuroraCron/early".to_owned()],
        conditions: vec![model::Condition {
            kind: model::ConditionType::Ready,
            holds: true,
            reason: reasons::SCHEDULED,
            message: "said".to_owned(),
            since: at(9),
        }],
    }
}

#[test]
fn a_status_is_read_back_as_it_was_written() {
    let written = cron_status_object(&status(), "nightly");
    assert_eq!(cron_status(&written), Some(status()));
    let shown = serde_json::to_value(&written).unwrap();
    for (path, value) in [
        ("/schedule", json!("@hourly; 30 2 * * MON")),
        ("/timeZone", json!("Europe/Berlin")),
        ("/active", json!(1)),
        ("/lastRunTime", json!("1970-01-01T00:03:20Z")),
        ("/lastOutcome", json!("Active")),
        ("/runs/0/outcome", json!("SkippedMissed")),
        ("/runs/1/name", json!("nightly-200")),
        ("/runs/2/outcome", json!("TimedOut")),
        ("/runs/2/durationSeconds", json!(10)),
        ("/pendingRun/scheduledTime", json!("1970-01-01T00:06:40Z")),
        ("/nextRunTime", json!("1970-01-01T00:08:20Z")),
    ] {
        assert_eq!(shown.pointer(path), Some(&value), "{path}");
    }
    assert_eq!(shown.pointer("/runs/0/name"), None);
}

/// A record without its uid would make a stray of a run that goes on.
#[test]
fn a_status_with_a_uid_that_is_none_is_no_status() {
    let mut written = cron_status_object(&status(), "nightly");
    written.runs[1].uid = Some("x".to_owned());
    assert_eq!(cron_status(&written), None);
    assert_eq!(cron_status(&AuroraCronStatus::default()), None);
}

#[test]
fn every_outcome_and_cause_is_read_back() {
    use model::RunOutcome::{Active, Failed, Removed, Skipped as Left, Succeeded};
    let failures = [
        BatchFailure::Instances,
        BatchFailure::TimedOut,
        BatchFailure::Killed(KillReason::Collision),
        BatchFailure::Killed(KillReason::Asked),
    ];
    use Skipped::{AnotherWaits, Collision, Missed, Suspended, Withdrawn};
    let skipped = [Collision, AnotherWaits, Missed, Suspended, Withdrawn];
    let all = [Active, Succeeded, Removed].into_iter().chain(failures.map(Failed)).chain(skipped.map(Left));
    for outcome in all {
        assert_eq!(model::RunOutcome::from(RunOutcome::from(outcome)), outcome);
    }
    use model::RunCause::{Asked, CatchUp, Parents, Schedule};
    for cause in [Schedule, CatchUp, Asked, Parents] {
        assert_eq!(model::RunCause::from(RunCause::from(cause)), cause);
    }
}

fn made(cron: &AuroraCron) -> AuroraJob {
    let mut job = run_object(&cron.metadata, &cron.spec.job, at(100));
    job.metadata.uid = Some(RUN.to_owned());
    job
}

#[test]
fn a_run_is_made_from_the_cron_and_known_again() {
    let metadata = json!({"labels": {"team": "web"}, "annotations": {"note": "x"}});
    let cron = object(&json!({"job": {"metadata": metadata, "spec": {"ttlSecondsAfterFinished": 60}}}));
    let job = made(&cron);
    assert_eq!(job.metadata.name.as_deref(), Some("nightly-100"));
    assert_eq!(job.metadata.namespace.as_deref(), Some("prod"));
    assert_eq!(job.spec, cron.spec.job.spec);
    let labels = job.metadata.labels.clone().unwrap();
    assert_eq!((&*labels["team"], &*labels[labels::CRON]), ("web", "nightly"));
    let annotations = job.metadata.annotations.clone().unwrap();
    assert_eq!((&*annotations["note"], &*annotations[labels::SCHEDULED_TIME]), ("x", "1970-01-01T00:01:40Z"));
    let owner = &job.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((&*owner.kind, &*owner.uid, owner.controller), ("AuroraCron", UID, Some(true)));
    // As the planner of jobs is told.
    let batch = convert::job(&job, "preemptible").unwrap().batch.unwrap();
    assert_eq!(batch.run_of, Some(model::RunOf { cron: "nightly".into(), time: at(100) }));
}

#[test]
fn a_cron_whose_runs_nobody_could_act_upon_says_so() {
    let spread = json!([{"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}]);
    let template = json!({"spec": {"topologySpreadConstraints": spread}});
    let job = json!({"spec": {"template": template,
        "constraints": [{"attribute": "topology.kubernetes.io/zone", "limit": 1}]}});
    let refused = cron(&object(&json!({"job": job})), parse).unwrap_err().to_string();
    assert!(refused.starts_with("spec.job: in a run of it, spec."), "{refused}");
}
