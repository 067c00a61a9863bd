//! What people are told of a job.

use super::world::{Job, Way};
use crate::model::*;

#[test]
fn a_failed_job_names_its_first_failure_and_where_the_log_is() {
    let mut job = Job::running(3, |batch| batch.max_task_failures = Some(2));
    job.end(1, Way::Exit(3));
    job.run_all();
    job.after(1);
    job.end(1, Way::Exit(4));
    assert_eq!(job.events.last(), Some(&"InstanceFailed"));
    job.after(1);
    job.end(0, Way::Exit(0));
    job.end(2, Way::Exit(1));
    job.after(60);
    job.run_all();
    job.end(2, Way::OutOfMemory);
    assert_eq!(job.ready(), (reasons::INSTANCES_FAILED, false, false, true));
    let said = "not all of its instances have succeeded: 1 of 3 instances have succeeded, 2 given up; first, \
                instance 1 was given up: its run 2 exited with code 4; its log: kubectl -n ads logs sum-1-2";
    assert_eq!(job.message(ConditionType::Failed), said);
    assert!(job.status.as_ref().unwrap().condition(ConditionType::Complete).is_none());
    let first = job.said().first_failure.unwrap();
    assert_eq!((first.instance, first.run, first.exit_code), (1, 2, Some(4)));
    job.after(172_800);
    assert!(job.message(ConditionType::Failed).ends_with("its Pod is not kept, nor is its log"));
}

#[test]
fn a_job_that_goes_on_says_how_far_it_has_come() {
    let mut job = Job::new(3, |_| ());
    job.go();
    assert_eq!(job.ready(), (reasons::STARTING, false, true, false));
    job.run_all();
    job.end(1, Way::Exit(0));
    assert_eq!(job.ready(), (reasons::RUNNING, false, true, false));
    assert_eq!(job.message(ConditionType::Ready), "1 of 3 instances have succeeded, 2 running");
    let counts = job.status.as_ref().unwrap().counts;
    assert_eq!((counts.desired, counts.live, counts.running, counts.kept), (3, 2, 2, 1));
    job.batch().kill = Some(KillReason::Collision);
    job.step();
    assert_eq!(job.ready().0, reasons::ENDING);
    job.go();
    assert_eq!((job.ready().0, job.ready().3), (reasons::KILLED, true));
    let kinds: Vec<_> = job.status.as_ref().unwrap().conditions.iter().map(|it| it.kind).collect();
    assert_eq!(kinds.last(), Some(&ConditionType::Failed));
}

#[test]
fn conditions_keep_their_times() {
    let mut job = Job::running(1, |_| ());
    job.after(10);
    let end = job.now;
    job.end(0, Way::Exit(0));
    job.after(1000);
    let conditions = &job.status.as_ref().unwrap().conditions;
    let of = |kind| conditions.iter().find(|it| it.kind == kind).unwrap();
    assert_eq!(of(ConditionType::Complete).since, end);
    assert_eq!(of(ConditionType::Ready).since, end);
}
