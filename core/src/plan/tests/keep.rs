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
    // Every end counts as young, so the third has to wait, and nothing but its Pod says which run it was.
    job.service.flapping.threshold_seconds = u32::MAX;
    for _ in 0..2 {
        job.fail(0);
        job.settle();
    }
    job.fail(0);
    job.step();
    job.step();
    assert_eq!((ended(&job), job.live(0)), (vec![(0, 3)], None));
    job.settle();
    assert_eq!((ended(&job), job.live(0).unwrap().run), (vec![], 4));
}

#[test]
fn an_update_that_others_followed_is_kept_for_thirty_days() {
    let mut job = Job::running(1);
    for revision in [NEXT, GOOD, NEXT] {
        job.edit(revision);
        job.settle();
    }
    let numbers = |job: &Job| job.updates.iter().map(|update| update.number).collect::<Vec<_>>();
    job.advance(30 * 86_400 - 8 * 3600);
    job.step();
    assert_eq!(numbers(&job), [1, 2, 3]);
    job.advance(8 * 3600);
    job.settle();
    assert_eq!(numbers(&job), [3], "the newest says what runs, whatever its age");
}

#[test]
fn beyond_the_cap_of_all_services_one_failure_is_still_told() {
    let mut job = Job::running(3);
    for instance in 0..3 {
        job.fail(instance);
        job.advance(10);
    }
    job.settle();
    assert_eq!(ended(&job).len(), 3);
    job.keep_allowed = false;
    job.settle();
    assert_eq!(ended(&job), [(2, 1)], "the newest");
}

#[test]
fn what_failed_in_one_container_takes_the_room_of_failures() {
    let mut job = Job::running(3);
    job.service.history = History { failed: 2, ended: 0, ttl_seconds: 172_800 };
    for at in 0..2 {
        job.tasks[at].half_ended = true;
    }
    job.settle();
    assert_eq!(ended(&job), [(0, 1), (1, 1)]);
}

#[test]
fn what_never_started_takes_no_room() {
    let mut job = Job::running(3);
    job.service.history.failed = 1;
    job.fail(0);
    job.settle();
    let uid = job.live(1).unwrap().uid;
    job.fail(1);
    job.task_mut(uid).started = None;
    job.settle();
    assert_eq!(ended(&job), [(0, 1)]);
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
