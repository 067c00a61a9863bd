//! Updates whose course is changed by what comes from outside: other wishes in the spec, lost nodes, Pods that are gone.

use jiff::SignedDuration;

use super::job::{BAD, GOOD, Job, NEXT};
use crate::model::*;

fn state(job: &Job) -> Option<UpdateState> {
    job.updates.last().and_then(|update| Some(update.progress.as_ref()?.state))
}

#[test]
fn another_scope_on_the_way_back_does_not_bring_the_failed_config_again() {
    let mut job = Job::running(6);
    job.service.update.scope = Some("4-5".parse().unwrap());
    job.edit(BAD);
    job.until(|job| state(job) == Some(UpdateState::RollingBack));
    job.service.update.scope = None;
    job.service.generation += 1;
    job.settle();
    assert_eq!((job.updates.len(), state(&job)), (1, Some(UpdateState::RolledBack)));
    assert_eq!((job.count(BAD), job.count(GOOD)), (0, 6));
}

#[test]
fn a_node_that_is_lost_late_in_a_long_watch_fails_nothing() {
    let mut job = Job::running(1);
    job.service.update.watch_seconds = 1_800;
    job.service.update.max_wait_seconds = 600;
    job.service.partition.reschedule = false;
    job.edit(NEXT);
    job.until(|job| job.live(0).is_some_and(|task| task.revision == NEXT && task.ready));
    job.advance(700);
    job.lost_nodes.insert(job.live(0).unwrap().node.unwrap(), job.now);
    job.step();
    assert_eq!(state(&job), Some(UpdateState::RollingForward));
    assert!(job.progress().failed.is_empty());
}

#[test]
fn what_a_scale_up_added_stays_when_a_chain_goes_back() {
    let mut job = Job::running(6);
    job.edit(NEXT);
    job.until(|job| job.updates.len() == 1 && job.count(NEXT) == 2);
    job.edit(BAD);
    job.until(|job| job.updates.len() == 2);
    job.service.instances = 8;
    job.service.generation += 1;
    job.until(|job| job.live(7).is_some());
    let added: Vec<Uid> = [6, 7].map(|instance| job.live(instance).unwrap().uid).into();
    job.settle();
    assert_eq!((state(&job), job.count(GOOD)), (Some(UpdateState::RolledBack), 8));
    assert_eq!([6, 7].map(|instance| job.live(instance).unwrap().uid).to_vec(), added);
}

#[test]
fn a_count_that_was_taken_back_is_asked_for_again_by_way_of_another() {
    let mut job = Job::running(3);
    job.service.instances = 6;
    job.edit(BAD);
    job.settle();
    assert_eq!((state(&job), job.count(GOOD)), (Some(UpdateState::RolledBack), 3));
    for count in [3, 6, 3, 5, 6] {
        job.service.instances = count;
        job.service.generation += 1;
        job.settle();
        assert_eq!(job.count(GOOD), count);
    }
}

#[test]
fn a_hold_lets_the_running_update_come_to_its_end() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    job.until(|job| job.count(NEXT) == 2);
    job.service.hold_updates = true;
    job.edit(Revision::v1(0x3));
    job.settle();
    assert_eq!((job.updates.len(), state(&job)), (1, Some(UpdateState::RolledForward)));
    assert_eq!(job.count(NEXT), 4);
    job.service.hold_updates = false;
    job.settle();
    assert_eq!((job.updates.len(), job.count(Revision::v1(0x3))), (2, 4));
}

#[test]
fn a_restart_that_failed_is_no_verdict_on_a_good_config() {
    let mut job = Job::running(2);
    job.broken = [GOOD].into();
    job.service.update.restart_at = Some(job.now);
    job.settle();
    assert!(matches!(state(&job), Some(UpdateState::Failed | UpdateState::RolledBack)));
    job.broken.clear();
    job.settle();
    let made = job.updates.len();
    job.service.update.restart_at = Some(job.now);
    job.settle();
    assert_eq!((job.updates.len(), state(&job)), (made + 1, Some(UpdateState::RolledForward)));
}

#[test]
fn a_restart_that_a_new_service_asks_for_comes_at_its_time() {
    let mut job = Job::new(2);
    let at = job.now + SignedDuration::from_hours(1);
    job.service.update.restart_at = Some(at);
    job.until(|job| job.tasks.iter().filter(|task| task.ready).count() == 2);
    assert!(job.updates.is_empty());
    job.settle();
    assert_eq!((job.updates.len(), state(&job)), (1, Some(UpdateState::RolledForward)));
    assert!(job.tasks.iter().filter(|task| !task.is_terminal()).all(|task| task.created >= at));
}

#[test]
fn a_failure_counts_once_though_its_pod_is_gone_and_an_older_one_is_kept() {
    let mut job = Job::running(1);
    job.service.update.max_per_instance_failures = 2;
    job.service.flapping.threshold_seconds = 0;
    job.edit(NEXT);
    let fresh = |job: &Job| job.live(0).is_some_and(|task| task.revision == NEXT && task.ready);
    for _ in 0..2 {
        job.until(fresh);
        job.fail(0);
        job.step();
    }
    assert_eq!(job.progress().failures[&0].count, 2);
    let last = job.tasks.iter().rposition(|task| task.state == TaskState::Failed).unwrap();
    job.tasks.remove(last);
    job.until(fresh);
    job.step();
    assert_eq!((job.progress().failures[&0].count, state(&job)), (2, Some(UpdateState::RollingForward)));
}

#[test]
fn a_config_that_is_held_keeps_no_change_of_the_count_from_acting() {
    let mut job = Job::running(5);
    job.service.hold_updates = true;
    job.edit(NEXT);
    job.settle();
    for instances in [8, 3] {
        job.service.instances = instances;
        job.service.generation += 1;
        job.settle();
        assert_eq!((job.count(GOOD), job.updates.len()), (instances, 0));
    }
    job.service.hold_updates = false;
    job.settle();
    assert_eq!((job.count(NEXT), job.updates.len()), (3, 1));
}
