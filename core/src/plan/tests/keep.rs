//! What is kept of ended tasks, stored configs and updates.

use super::job::{GOOD, Job, NEXT};
use crate::model::*;

fn ended(job: &Job) -> Vec<(Instance, Run)> {
    job.tasks.iter().filter(|task| task.is_terminal()).map(|task| (task.instance, task.run)).collect()
}

#[test]
fn the_newest_failed_tasks_are_kept_and_lose_the_live_mark() {
    let mut job = Job::running(6);
    for instance in 0..6 {
        job.fail(instance);
        job.settle();
    }
    assert_eq!(ended(&job), [(3, 1), (4, 1), (5, 1)]);
    assert!(job.tasks.iter().all(|task| task.live_label != task.is_terminal()));
    job.advance(172_800);
    job.settle();
    assert_eq!(ended(&job), []);
}

#[test]
fn an_update_keeps_one_of_the_tasks_it_ends() {
    let mut job = Job::running(5);
    job.edit(NEXT);
    job.settle();
    assert_eq!(ended(&job), [(0, 1)]);
    job.edit(GOOD);
    job.settle();
    assert_eq!(ended(&job).len(), 1);
    assert_eq!(job.tasks.iter().find(|task| task.is_terminal()).unwrap().revision, NEXT);
}

#[test]
fn the_last_ended_task_stays_until_its_successor_is_there() {
    let mut job = Job::running(1);
    job.service.history = History { failed: 0, ended: 0, ttl_seconds: 0 };
    for _ in 0..2 {
        job.fail(0);
        job.settle();
    }
    job.fail(0);
    job.step();
    assert!(
        ended(&job).contains(&(0, 3)) || job.live(0).is_some_and(|task| task.run == 4),
        "{:#?}",
        job.tasks
    );
    job.settle();
    assert_eq!((ended(&job), job.live(0).unwrap().run), (vec![], 4));
}

#[test]
fn of_an_instance_no_older_task_is_kept_beyond_a_removed_one() {
    let mut job = Job::running(2);
    job.service.history.failed = 2;
    for instance in [0, 0, 1, 0] {
        job.fail(instance);
        job.settle();
    }
    assert_eq!(ended(&job), [(0, 3), (1, 1)]);
}

#[test]
fn configs_and_updates_of_long_ago_go() {
    let mut job = Job::running(1);
    for number in 0..30 {
        job.edit(Revision::v1(number));
        job.settle();
    }
    assert_eq!((job.revisions.len(), job.updates.len()), (10, 10));
    assert!(job.revisions.iter().any(|record| record.last_good));
    assert_eq!(job.progress().state, UpdateState::RolledForward);
}
