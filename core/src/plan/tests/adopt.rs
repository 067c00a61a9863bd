//! Services without status: restored, or made again around orphaned Pods.

use super::job::{BAD, GOOD, Job, NEXT};
use crate::model::*;

#[test]
fn losing_all_status_touches_nothing_and_starts_nothing() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    job.settle();
    let before = job.tasks.clone();
    job.status = None;
    job.update().progress = None;
    job.seen_runs.clear();
    job.settle();
    assert_eq!(job.tasks, before);
    assert_eq!((job.updates.len(), job.progress().state), (1, UpdateState::RolledForward));
    assert_eq!(job.ready(), ("Running", true, false));
}

#[test]
fn losing_all_status_after_a_rollback_keeps_the_failed_config_down() {
    let mut job = Job::running(4);
    job.edit(BAD);
    job.settle();
    let before = job.tasks.clone();
    job.status = None;
    job.update().progress = None;
    job.settle();
    assert_eq!(job.tasks, before);
    assert_eq!((job.updates.len(), job.progress().state), (1, UpdateState::RolledBack));
    assert_eq!(job.ready(), ("RolledBack", true, true));
}

#[test]
fn losing_all_status_in_mid_update_leaves_it_half_way() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    job.status = None;
    job.update().progress = None;
    job.settle();
    assert_eq!((job.count(NEXT), job.count(GOOD)), (2, 2));
    assert_eq!(job.progress().state, UpdateState::Aborted);
    assert_eq!(job.ready(), ("UpdateAborted", true, true));
}

#[test]
fn orphans_are_taken_over_as_they_are() {
    let mut job = Job::running(3);
    job.status = None;
    job.service.uid = Uid::new(2);
    job.service.generation = 1;
    job.tasks.iter_mut().for_each(|task| task.owned = false);
    job.revisions.iter_mut().for_each(|record| record.owned = false);
    // Made again with another config: that is no order to change what runs.
    job.edit(NEXT);
    let uids: Vec<Uid> = job.tasks.iter().map(|task| task.uid).collect();
    job.settle();
    assert_eq!(job.tasks.iter().map(|task| task.uid).collect::<Vec<_>>(), uids);
    assert!(job.tasks.iter().all(|task| task.owned) && job.revisions.iter().all(|record| record.owned));
    assert!(job.updates.is_empty());
    assert_eq!(job.ready(), ("Adopted", true, true));
    job.fail(0);
    job.settle();
    assert_eq!(job.live(0).unwrap().revision, GOOD);
    job.edit(BAD);
    job.broken.clear();
    job.settle();
    assert_eq!((job.updates.len(), job.count(BAD)), (1, 3), "a change of the config is an order");
}
