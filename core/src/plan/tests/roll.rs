//! Updates: batches, budgets, rollback, controls, superseding.

use super::job::{BAD, GOOD, Job, NEXT};
use crate::model::*;

#[test]
fn a_good_update_goes_through_in_batches() {
    let mut job = Job::running(5);
    job.edit(NEXT);
    let mut most_down = 0;
    for _ in 0..200 {
        job.step();
        let up = job
            .tasks
            .iter()
            .filter(|task| !task.is_terminal() && task.ready && task.ending.is_none())
            .count();
        most_down = most_down.max(5 - up);
        job.pods_then(1);
    }
    assert_eq!((most_down, job.count(NEXT)), (2, 5));
    assert_eq!(job.progress().state, UpdateState::RolledForward);
    assert_eq!(job.progress().updated, Ranges::up_to(5));
    assert_eq!(job.ready(), ("Running", true, false));
    assert_eq!(job.status.as_ref().unwrap().last_good, Some(NEXT));
    assert!(job.revisions.iter().all(|r| r.last_good == (r.revision == NEXT)));
    assert_eq!(
        job.events,
        [
            "Starting",
            "Running",
            "RollingForward",
            "Updating",
            "UpdatingInstances",
            "InstancesUpdated",
            "UpdatingInstances",
            "InstancesUpdated",
            "UpdatingInstances",
            "InstancesUpdated",
            "RolledForward",
            "Running"
        ]
    );
}

#[test]
fn watching_counts_from_running_and_waits_only_the_rest() {
    let mut job = Job::running(1);
    job.edit(NEXT);
    while job.live(0).is_none_or(|task| !(task.revision == NEXT && task.ready)) {
        job.step();
        job.pods_then(0);
    }
    let ready_at = job.live(0).unwrap().ready_since.unwrap();
    job.advance(7);
    job.step();
    // One second more than the ten of the setting: the API server cuts fractions off.
    assert_eq!(job.plan().next_check, Some(ready_at + jiff::SignedDuration::from_secs(11)));
    job.advance(3);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingForward);
    job.advance(1);
    while job.step() {}
    assert_eq!(job.progress().state, UpdateState::RolledForward);
}

#[test]
fn a_bad_update_takes_itself_back() {
    let mut job = Job::running(5);
    job.edit(BAD);
    job.settle();
    assert_eq!((job.count(GOOD), job.count(BAD)), (5, 0));
    let progress = job.progress();
    assert_eq!(progress.state, UpdateState::RolledBack);
    assert_eq!(progress.touched.to_string(), "0-1", "the other batches were never touched");
    assert_eq!(job.ready(), ("RolledBack", true, true));
    let failure = job.status.as_ref().unwrap().failure.clone().unwrap();
    assert_eq!((failure.revision, failure.instance, failure.exit_code), (BAD, 0, Some(1)));
    assert_eq!(job.live(4).unwrap().run, 1);
    assert!(job.revisions.iter().any(|r| r.revision == BAD && r.failed && !r.last_good));
    assert!(job.revisions.iter().any(|r| r.revision == GOOD && r.last_good));
}

#[test]
fn a_failed_config_is_tried_again_only_when_asked_or_changed() {
    let mut job = Job::running(2);
    job.edit(BAD);
    job.settle();
    job.settle();
    assert_eq!(job.updates.len(), 1);
    job.broken.clear();
    job.update().controls.retry = Some(Request::default());
    job.settle();
    assert_eq!((job.updates.len(), job.count(BAD), job.ready()), (2, 2, ("Running", true, false)));

    let mut job = Job::running(2);
    job.edit(BAD);
    job.settle();
    job.edit(GOOD);
    job.settle();
    assert_eq!(
        (job.updates.len(), job.ready()),
        (1, ("Running", true, false)),
        "what runs is what is wanted"
    );
    job.broken.clear();
    job.edit(BAD);
    job.settle();
    assert_eq!((job.updates.len(), job.count(BAD)), (2, 2));
}

#[test]
fn without_rollback_a_bad_update_halts() {
    let mut job = Job::running(5);
    job.service.update.rollback_on_failure = false;
    job.edit(BAD);
    job.settle();
    assert_eq!(job.progress().state, UpdateState::Failed);
    assert_eq!(job.count(GOOD), 3);
    assert_eq!((job.ready().0, job.ready().2), ("UpdateFailed", true));
}

#[test]
fn failures_within_the_budgets_are_borne() {
    let mut job = Job::running(4);
    job.service.update.max_per_instance_failures = 2;
    job.service.flapping.initial_delay_seconds = 1;
    job.edit(BAD);
    let failed_twice = |job: &Job| {
        let progress = job.updates.last().and_then(|update| update.progress.as_ref());
        progress.is_some_and(|progress| progress.failures.get(&0).is_some_and(|failures| failures.count == 2))
    };
    while !failed_twice(&job) {
        job.pods_then(1);
        job.step();
    }
    job.broken.clear();
    job.settle();
    assert_eq!((job.progress().state, job.count(BAD)), (UpdateState::RolledForward, 4));

    let mut job = Job::running(4);
    job.service.update.max_failed_instances = Amount::Count(4);
    job.edit(BAD);
    job.settle();
    assert_eq!(job.progress().state, UpdateState::RolledForward);
    assert_eq!(job.progress().failed, Ranges::up_to(4));
}

#[test]
fn preempted_and_lost_tasks_are_no_failures() {
    let mut job = Job::running(1);
    job.edit(NEXT);
    while job.live(0).is_none_or(|task| !(task.revision == NEXT && task.ready)) {
        job.step();
        job.pods_then(0);
    }
    let (uid, now) = (job.live(0).unwrap().uid, job.now);
    let task = job.task_mut(uid);
    (task.state, task.end, task.ended, task.ready) =
        (TaskState::Lost, Some(EndReason::Disrupted), Some(now), false);
    job.settle();
    assert_eq!((job.progress().state, job.progress().failures.len()), (UpdateState::RolledForward, 0));
}

#[test]
fn what_never_runs_fails_at_its_deadline() {
    let mut job = Job::running(2);
    job.broken.clear();
    job.edit(NEXT);
    for _ in 0..1000 {
        job.step();
        job.pods_then(1);
        let stuck: Vec<Uid> =
            job.tasks.iter().filter(|t| t.revision == NEXT && !t.is_terminal()).map(|t| t.uid).collect();
        for uid in stuck {
            let task = job.task_mut(uid);
            (task.state, task.ready, task.ready_since) = (TaskState::Starting, false, None);
        }
    }
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 2));
    let message = &job.status.as_ref().unwrap().failure.as_ref().unwrap().message;
    assert!(message.contains("600 s of maxWaitSeconds: it runs and is not Ready"), "{message}");
}

#[test]
fn pause_resume_abort_and_rollback_do_what_they_say() {
    let half_way = || {
        let mut job = Job::running(6);
        job.edit(NEXT);
        while job.count(NEXT) < 2 {
            job.step();
            job.pods_then(0);
        }
        job
    };
    let mut job = half_way();
    job.update().controls.paused = true;
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RollForwardPaused, 2));
    assert_eq!(job.ready().0, "UpdatePaused");
    job.update().controls.paused = false;
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 6));

    let mut job = half_way();
    job.update().controls.abort = Some(Request { reason: "no".into(), author: "me".into() });
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT), job.count(GOOD)), (UpdateState::Aborted, 2, 4));
    assert_eq!(job.progress().message, "aborted by me: no");
    job.fail(0);
    job.settle();
    assert_eq!(job.live(0).unwrap().revision, NEXT, "an instance keeps what it has");

    let mut job = half_way();
    job.update().controls.rollback = Some(Request::default());
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 6));
    assert_eq!(job.ready(), ("RolledBack", true, true));
}

#[test]
fn a_newer_config_supersedes_and_rolls_back_to_the_base_of_the_chain() {
    let mut job = Job::running(6);
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    job.edit(BAD);
    job.settle();
    assert_eq!(job.updates.len(), 2);
    assert_eq!(job.updates[0].progress.as_ref().unwrap().state, UpdateState::Aborted);
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 6));
}

#[test]
fn count_and_config_change_and_go_back_as_one() {
    for (from, to) in [(3, 6), (6, 3)] {
        let mut job = Job::running(from);
        job.service.instances = to;
        job.edit(NEXT);
        job.settle();
        assert_eq!((job.updates.len(), job.count(NEXT), job.count(GOOD)), (1, to, 0), "{from} to {to}");

        let mut job = Job::running(from);
        job.service.instances = to;
        job.edit(BAD);
        job.settle();
        assert_eq!(
            (job.progress().state, job.count(GOOD), job.count(BAD)),
            (UpdateState::RolledBack, from, 0)
        );
        job.service.instances = 4;
        job.settle();
        assert_eq!(job.count(GOOD), 4, "the count alone may be changed after it");
    }
}

#[test]
fn instances_that_come_in_mid_update_run_the_last_good_config_until_it_is_proven() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    job.service.instances = 6;
    job.step();
    assert_eq!(job.live(5).unwrap().revision, GOOD);
    job.settle();
    assert_eq!((job.count(NEXT), job.updates.len()), (6, 2));
    job.edit(GOOD);
    while job.count(GOOD) < 2 {
        job.step();
        job.pods_then(0);
    }
    job.service.instances = 1;
    job.settle();
    assert_eq!((job.count(GOOD), job.count(NEXT), job.progress().state), (1, 0, UpdateState::RolledForward));
}

#[test]
fn the_way_back_is_the_exact_reverse() {
    let mut job = Job::running(6);
    job.edit(NEXT);
    while job.count(NEXT) < 4 {
        job.step();
        job.pods_then(5);
    }
    job.update().controls.rollback = Some(Request::default());
    assert_eq!(job.groups(), ["2-3", "0-1", ""]);
}

#[test]
fn one_failure_beyond_the_budget_of_an_instance_is_enough() {
    for borne in 0..3 {
        let mut job = Job::running(1);
        job.service.update.max_per_instance_failures = borne;
        job.edit(BAD);
        job.settle();
        let (_, failures) = job.progress().cause.clone().unwrap();
        assert_eq!((job.progress().state, failures.count), (UpdateState::RolledBack, borne + 1));
    }
}

#[test]
fn an_updates_pods_have_runs_beyond_all_before_it() {
    let mut job = Job::running(2);
    for _ in 0..4 {
        job.fail(1);
        job.settle();
    }
    job.edit(BAD);
    job.service.update.strategy = Strategy::Queue { group_size: Amount::Count(1) };
    job.settle();
    let progress = job.progress();
    assert_eq!((progress.state, progress.touched.to_string().as_str()), (UpdateState::RolledBack, "0"));
    let bad: Vec<_> = job.tasks.iter().filter(|task| task.revision == BAD).map(|task| task.run).collect();
    assert_eq!(bad, [6], "beyond the 5 of instance 1, and counted the first time");
    assert_eq!(job.live(0).unwrap().run, 7);
}

#[test]
fn failures_beyond_what_can_be_stored_do_not_keep_plans_from_resting() {
    let all = u32::try_from(crate::plan::MAX_FAILURES).unwrap() + 10;
    let mut job = Job::running(all);
    job.service.update.strategy = Strategy::Batch { group_size: Amount::Count(all), autopause: false };
    job.service.update.max_per_instance_failures = 1;
    job.edit(NEXT);
    while job.count(NEXT) < all {
        job.step();
        job.pods_then(0);
    }
    (0..all).for_each(|instance| job.fail(instance));
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingForward);
    assert_eq!(job.progress().failures.len(), crate::plan::MAX_FAILURES);
}

#[test]
fn a_window_that_turns_round_takes_down_no_more_than_it_holds() {
    let mut job = Job::running(10);
    job.service.update.strategy = Strategy::Queue { group_size: Amount::Count(3) };
    job.edit(NEXT);
    // The first does not get Ready while others after it are through.
    let hold = |job: &mut Job| {
        let late = job.live(0).filter(|task| task.revision == NEXT).map(|task| task.uid);
        if let Some(uid) = late {
            let task = job.task_mut(uid);
            (task.state, task.ready, task.ready_since) = (TaskState::Starting, false, None);
        }
    };
    for _ in 0..200 {
        job.step();
        job.pods_then(1);
        hold(&mut job);
        if job.updates.last().is_some_and(|update| update.progress.is_some())
            && job.progress().updated.len() >= 4
        {
            break;
        }
    }
    let failing = job.progress().working.iter().last().unwrap();
    assert!(failing > 4 && job.progress().working.contains(0), "{}", job.progress().working);
    while job.live(failing).is_none_or(|task| task.revision != NEXT) {
        job.step();
        job.pods_then(0);
        hold(&mut job);
    }
    job.fail(failing);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingBack);
    let (working, updated) = (&job.progress().working, &job.progress().updated);
    assert!(working.contains(0), "what is down goes back first: {working}");
    assert!(working.iter().all(|instance| !updated.contains(instance)), "{working} of {updated}");
}
