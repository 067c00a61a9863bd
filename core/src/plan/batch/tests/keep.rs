//! Which ended Pods are kept, when the others go, and when the job itself does.

use super::world::{Job, Way};
use crate::model::*;

fn runs(job: &Job) -> Vec<(Instance, Run)> {
    job.tasks.iter().map(|task| (task.instance, task.run)).collect()
}

#[test]
fn nothing_ended_goes_before_it_is_recorded() {
    let mut job = Job::running(2, |batch| batch.max_task_failures = Some(1));
    job.service.history = History { failed: 0, ended: 0, ttl_seconds: 0 };
    for (instance, state) in [(0, TaskState::Finished), (1, TaskState::Failed)] {
        let (uid, now) = (job.live(instance).unwrap().uid, job.now);
        let task = job.task_mut(uid);
        (task.state, task.ended) = (state, Some(now));
    }
    assert!(job.plan().actions.is_empty(), "{:#?}", job.plan());
    job.step();
    assert_eq!(runs(&job), [(0, 1), (1, 1)]);
    job.go();
    assert_eq!((runs(&job), job.phase()), (vec![], Phase::Failed));
}

#[test]
fn a_failure_is_recorded_before_the_pod_that_failed_goes() {
    let mut job = Job::running(1, |batch| batch.max_task_failures = Some(3));
    job.service.history = History { failed: 0, ended: 0, ttl_seconds: 0 };
    let (uid, now) = (job.live(0).unwrap().uid, job.now);
    let task = job.task_mut(uid);
    (task.state, task.ended, task.end) = (TaskState::Failed, Some(now), Some(EndReason::Exited));
    job.step();
    assert_eq!(runs(&job), [(0, 1), (0, 2)], "its successor is made at once");
    job.go();
    assert_eq!((runs(&job), job.said().failures()), (vec![(0, 2)], 1));
}

#[test]
fn the_newest_are_kept_by_how_they_ended() {
    let mut job = Job::running(9, |_| ());
    for instance in 0..9 {
        job.after(1);
        job.end(instance, Way::Exit(i32::from(instance % 2 == 0)));
    }
    assert_eq!(runs(&job), [(4, 1), (6, 1), (7, 1), (8, 1)], "three that failed, one that succeeded");
    assert!(job.tasks.iter().all(|task| !task.live_label));
    job.after(172_800);
    assert_eq!(runs(&job), []);
}

#[test]
fn where_nothing_more_may_be_kept_one_that_failed_is() {
    let mut job = Job::running(4, |_| ());
    job.keep_allowed = false;
    for instance in 0..4 {
        job.after(1);
        job.end(instance, Way::Exit(i32::from(instance < 3)));
    }
    assert_eq!(runs(&job), [(2, 1)]);
}

#[test]
fn an_ended_job_removes_itself_in_time() {
    for code in [0, 1] {
        let mut job = Job::running(1, |batch| batch.ttl_seconds = Some(100));
        job.after(500);
        job.end(0, Way::Exit(code));
        job.after(99);
        assert!(!job.is_removed);
        job.frozen = true;
        job.after(1);
        assert!(!job.is_removed, "a freeze takes nothing away");
        job.frozen = false;
        job.go();
        assert!(job.is_removed);
    }
    let mut kept = Job::running(1, |_| ());
    kept.end(0, Way::Exit(0));
    kept.after(86_400 * 365);
    assert!(!kept.is_removed);
}

#[test]
fn a_job_is_removed_only_once_its_end_is_recorded_and_a_run_by_its_cron_alone() {
    let mut job = Job::running(1, |batch| batch.ttl_seconds = Some(0));
    let (uid, now) = (job.live(0).unwrap().uid, job.now);
    let task = job.task_mut(uid);
    (task.state, task.ended) = (TaskState::Finished, Some(now));
    job.step();
    assert!(!job.is_removed && job.phase() == Phase::Complete);
    job.go();
    assert!(job.is_removed);

    let mut run = Job::new(1, |batch| batch.ttl_seconds = Some(0));
    run.batch().run_of = Some(RunOf { cron: "nightly".into(), time: run.now });
    run.confirmed = true;
    run.go();
    run.run_all();
    run.end(0, Way::Exit(0));
    run.after(86_400);
    assert!(!run.is_removed);
}
