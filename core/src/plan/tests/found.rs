//! What the simulation found, each as its smallest case.

use super::job::{BAD, GOOD, Job, NEXT};
use crate::{model::*, plan::Action};

#[test]
fn an_update_that_only_removes_is_concluded() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    while job.updates.last().is_none_or(|update| update.progress.is_none()) {
        job.step();
    }
    // Superseded by what still runs, with fewer instances: nothing changes, one goes.
    job.service.instances = 3;
    job.edit(GOOD);
    job.settle();
    assert_eq!((job.count(GOOD), job.updates.len()), (3, 2));
    assert_eq!(job.progress().state, UpdateState::RolledForward);
    assert_eq!(job.ready(), ("Running", true, false));
}

#[test]
fn a_smaller_count_after_an_update_is_no_update() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    job.settle();
    job.service.instances = 2;
    job.settle();
    assert_eq!((job.count(NEXT), job.updates.len()), (2, 1));
}

#[test]
fn an_instance_that_is_as_the_update_wants_it_stays() {
    let mut job = Job::running(2);
    job.service.instances = 6;
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    let uids: Vec<Uid> = job.tasks.iter().filter(|task| task.revision == NEXT).map(|task| task.uid).collect();
    // To another config and back before anything was done about it.
    job.edit(BAD);
    job.step();
    job.edit(NEXT);
    job.settle();
    assert_eq!((job.count(NEXT), job.progress().state), (6, UpdateState::RolledForward));
    assert!(uids.iter().all(|uid| job.tasks.iter().any(|task| task.uid == *uid && !task.is_terminal())));
}

#[test]
fn instances_that_came_before_the_status_said_so_were_there() {
    let mut job = Job::running(2);
    let recorded = job.status.clone();
    job.service.instances = 4;
    job.settle();
    let uids: Vec<Uid> = job.tasks.iter().map(|task| task.uid).collect();
    // The operator died before it could write the status, and the config changed.
    job.status = recorded;
    job.edit(BAD);
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 4));
    assert!(uids[2..].iter().all(|uid| job.tasks.iter().any(|task| task.uid == *uid)));
}

#[test]
fn a_finished_update_that_is_removed_takes_no_conclusion_back() {
    let mut job = Job::running(3);
    for revision in [NEXT, Revision::v1(0x3)] {
        job.edit(revision);
        job.settle();
    }
    let good = job.status.as_ref().unwrap().last_good;
    assert_eq!((good, job.updates.len()), (Some(Revision::v1(0x3)), 2));
    job.updates.pop();
    job.settle();
    assert_eq!(job.status.as_ref().unwrap().last_good, good);
    assert_eq!(job.ready(), ("Running", true, false));
    job.service.instances = 4;
    job.settle();
    assert_eq!(job.count(Revision::v1(0x3)), 4, "what comes new runs the last good config");
}

#[test]
fn a_halted_update_that_touched_all_can_be_tried_again() {
    for abort in [false, true] {
        let mut job = Job::running(2);
        job.service.update.rollback_on_failure = false;
        job.service.update.max_wait_seconds = 60;
        job.edit(NEXT);
        if abort {
            while job.count(NEXT) < 2 {
                job.step();
                job.pods_then(0);
            }
            job.update().controls.abort = Some(Request::default());
        } else {
            job.broken = [NEXT].into();
        }
        job.settle();
        assert!(job.progress().state.is_terminal() && job.progress().state != UpdateState::RolledForward);
        // What was amiss is over, and all of it runs by now.
        job.broken.clear();
        job.settle();
        assert_eq!(job.count(NEXT), 2);
        assert_eq!(job.status.as_ref().unwrap().last_good, Some(GOOD));
        job.update().controls.retry = Some(Request::default());
        job.settle();
        assert_eq!((job.updates.len(), job.progress().state), (2, UpdateState::RolledForward));
        assert_eq!(job.status.as_ref().unwrap().last_good, Some(NEXT));
        assert_eq!(job.ready(), ("Running", true, false));
    }
}

#[test]
fn all_updates_of_a_service_made_anew_are_adopted() {
    let mut job = Job::running(1);
    for revision in [NEXT, GOOD, NEXT] {
        job.edit(revision);
        job.settle();
    }
    job.updates.iter_mut().for_each(|update| update.owned = false);
    job.status = None;
    job.step();
    assert_eq!(job.updates.iter().map(|update| update.owned).collect::<Vec<_>>(), [true; 3]);
}

#[test]
fn a_config_that_is_gone_is_named() {
    let mut job = Job::running(2);
    job.edit(BAD);
    job.settle();
    assert_eq!(job.progress().state, UpdateState::RolledBack);
    job.revisions.retain(|record| record.revision != GOOD);
    job.fail(1);
    job.settle();
    assert_eq!(job.ready(), ("RevisionMissing", false, true));
    let said = &job.status.as_ref().unwrap().conditions[0].message;
    assert!(said.contains("instances 1 ") && said.contains(&GOOD.to_string()), "{said}");
}

#[test]
fn an_old_task_that_is_slow_to_die_is_no_failure_of_the_new_config() {
    let mut job = Job::running(1);
    job.service.update.max_wait_seconds = 60;
    job.grace_seconds = 300;
    job.edit(NEXT);
    for _ in 0..5 {
        job.step();
    }
    assert!(job.live(0).unwrap().ending.is_some());
    job.advance(200);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingForward);
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 1));
}

#[test]
fn an_operator_that_was_away_is_no_failure_of_the_new_config() {
    let mut job = Job::running(1);
    job.service.update.max_wait_seconds = 60;
    job.edit(NEXT);
    while job
        .updates
        .last()
        .and_then(|update| update.progress.as_ref())
        .is_none_or(|progress| progress.working.is_empty())
    {
        job.step();
    }
    job.step();
    job.pods_then(3600);
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 1));
}

#[test]
fn the_last_good_config_is_stored_anew_while_the_spec_has_it() {
    let mut job = Job::running(2);
    job.revisions.clear();
    job.fail(1);
    job.settle();
    assert_eq!(job.count(GOOD), 2);
    assert!(job.revisions[0].last_good);
}

#[test]
fn a_rollback_to_a_config_that_is_gone_fails() {
    let mut job = Job::running(2);
    job.edit(BAD);
    job.step();
    job.revisions.retain(|record| record.revision != GOOD);
    job.settle();
    assert_eq!(job.progress().state, UpdateState::Failed);
    assert!(job.progress().message.contains("not stored"), "{}", job.progress().message);
}

#[test]
fn how_a_task_of_several_containers_ended_is_read_even_where_nothing_is_kept() {
    let mut job = Job::running(1);
    job.service.history = History { failed: 0, ended: 0, ttl_seconds: 0 };
    job.tasks[0].half_ended = true;
    job.settle();
    assert_eq!(job.tasks.iter().map(|task| (task.run, task.failures)).collect::<Vec<_>>(), [(2, 1)]);
}

#[test]
fn a_count_that_was_changed_after_a_rollback_counts() {
    let mut job = Job::running(3);
    job.service.instances = 6;
    job.edit(BAD);
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 3));
    job.service.instances = 2;
    job.settle();
    assert_eq!(job.count(GOOD), 2);
    // What the failed edit had asked for too, and nobody can mean that by it any more.
    job.service.instances = 6;
    job.settle();
    assert_eq!(job.count(GOOD), 6);
}

#[test]
fn what_was_adopted_half_way_is_no_reason_for_an_update() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    job.settle();
    // One was left on the old config, say by a tolerated failure, when all status was lost.
    let odd = job.tasks.iter().position(|task| task.instance == 3 && !task.is_terminal()).unwrap();
    job.tasks[odd].revision = GOOD;
    job.status = None;
    job.update().progress = None;
    job.settle();
    assert_eq!((job.updates.len(), job.count(GOOD), job.count(NEXT)), (1, 1, 3));
    assert!(!job.plan().actions.iter().any(Action::touches_tasks));
}

#[test]
fn instances_beyond_both_counts_are_no_business_of_an_update() {
    let mut job = Job::running(6);
    job.service.instances = 3;
    job.edit(BAD);
    while job
        .updates
        .last()
        .and_then(|update| update.progress.as_ref())
        .is_none_or(|it| it.working.is_empty())
    {
        job.step();
    }
    // Given up and tried again at once: the count is the spec's now, and what is beyond it goes.
    job.update().controls.abort = Some(Request::default());
    job.update().controls.retry = Some(Request::default());
    job.settle();
    assert_eq!((job.updates.len(), job.progress().state), (2, UpdateState::RolledBack));
    assert_eq!(job.count(GOOD), 3);
    assert!(job.tasks.iter().all(|task| task.instance < 3 || task.run == 1), "none came again");
}

#[test]
fn a_config_that_comes_back_before_another_took_its_place_is_rolled_out() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    job.edit(BAD);
    job.step();
    job.edit(NEXT);
    job.settle();
    assert_eq!((job.count(NEXT), job.progress().state), (4, UpdateState::RolledForward));
}

#[test]
fn a_pod_of_the_service_before_that_is_slow_to_die_holds_up_its_instance_alone() {
    let mut job = Job::running(3);
    let now = job.now;
    job.service.uid = Uid::new(2);
    job.status = None;
    job.revisions.clear();
    job.tasks.truncate(1);
    let task = &mut job.tasks[0];
    (task.owned, task.state) = (false, TaskState::Killing);
    task.ending = Some(Ending { intent: None, at: now, grace_seconds: 30, deleting: true });
    job.seen_runs.clear();
    job.step();
    job.step();
    assert!(!job.tasks[0].owned, "it is not ours to take");
    assert!(job.live(1).is_some() && job.live(2).is_some(), "{:#?}", job.tasks);
}

#[test]
fn an_instance_keeps_its_config_though_only_an_older_pod_of_another_is_left() {
    let mut job = Job::running(2);
    job.edit(BAD);
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 2));
    assert!(job.tasks.iter().any(|task| task.instance == 0 && task.revision == BAD), "a failed one is kept");
    // The one that runs is deleted from outside, and nobody plans before the status has forgotten its Pod.
    job.service.flapping.threshold_seconds = 0;
    job.tasks.retain(|task| task.instance != 0 || task.revision == BAD);
    let mut refused = job.status.clone();
    while job.plan().status != refused {
        refused = job.plan().status;
        job.status = refused.clone();
    }
    job.settle();
    assert_eq!(job.count(GOOD), 2);
}

#[test]
fn a_chain_of_superseded_updates_ends_with_what_took_their_place() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    // Given up for nothing at all: no instances are left.
    job.service.instances = 0;
    job.edit(GOOD);
    job.settle();
    assert_eq!((job.count(GOOD) + job.count(NEXT), job.progress().state), (0, UpdateState::RolledForward));
    job.service.instances = 2;
    job.settle();
    assert_eq!(job.count(GOOD), 2);
    job.edit(BAD);
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD), job.count(NEXT)), (UpdateState::RolledBack, 2, 0));
}

#[test]
fn a_count_that_was_changed_in_mid_chain_is_what_a_rollback_keeps() {
    let mut job = Job::running(3);
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    job.service.instances = 5;
    job.step();
    job.step();
    job.edit(BAD);
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 5));
}

#[test]
fn the_older_of_two_is_told_to_end_once() {
    let mut job = Job::running(1);
    let twin = Task { uid: Uid::new(7), run: 9, ..job.tasks[0].clone() };
    job.tasks.push(twin);
    assert!(job.step());
    assert!(!job.plan().actions.iter().any(Action::touches_tasks), "{:#?}", job.plan().actions);
}
