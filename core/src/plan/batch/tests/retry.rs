//! What follows the end of a task, by how it ended and how many failures an instance may have.

use super::world::{CONFIG, Job, Way};
use crate::{model::*, plan::Action};

const WAYS: [Way; 13] = [
    Way::Exit(0),
    Way::Exit(1),
    Way::OutOfMemory,
    Way::Killed,
    Way::Deleted,
    Way::Preempted,
    Way::Drained,
    Way::Evicted,
    Way::NodeLost,
    Way::Rejected,
    Way::TimedOut,
    Way::Unhealthy,
    Way::Half(1),
];

/// Whether it is a failure of the instance.
fn counts(way: Way) -> bool {
    matches!(way, Way::Exit(1) | Way::OutOfMemory | Way::TimedOut | Way::Unhealthy | Way::Half(1))
}

#[test]
fn a_job_runs_each_instance_once_and_is_complete() {
    let mut job = Job::new(3, |_| ());
    assert!(job.step(), "the status comes first");
    assert!(job.tasks.is_empty());
    assert_eq!(job.phase(), Phase::Running);
    job.go();
    assert_eq!(job.lives(), [0, 1, 2]);
    job.run_all();
    for instance in 0..3 {
        assert_eq!(job.phase(), Phase::Running);
        job.end(instance, Way::Exit(0));
        assert_eq!(job.lives().len() as u32, 2 - instance);
    }
    assert_eq!(job.phase(), Phase::Complete);
    assert_eq!(job.said().succeeded, Ranges::up_to(3));
    assert_eq!((job.said().started, job.said().failures()), (Some(job.now), 0));
    assert_eq!(job.ready(), (reasons::COMPLETE, true, false, false));
    assert!(!job.step(), "{:#?}", job.plan());
}

#[test]
fn what_follows_each_kind_of_end() {
    for max in [Some(1), Some(2), Some(3), None] {
        for way in WAYS {
            let mut job = Job::running(2, |batch| batch.max_task_failures = max);
            job.end(0, way);
            let again = job.live(0).map(|task| (task.run, task.failures));
            let (failures, wanted) = match way {
                Way::Exit(0) => (0, None),
                way if counts(way) => (1, Some((2, 1)).filter(|_| max != Some(1))),
                _ => (0, Some((2, 0))),
            };
            assert_eq!(again, wanted, "{way:?} with {max:?}");
            assert_eq!(job.said().failures_of(0), failures, "{way:?} with {max:?}");
            assert_eq!(job.said().succeeded.contains(0), way == Way::Exit(0), "{way:?}");
            assert_eq!(job.said().failed.contains(0), counts(way) && max == Some(1), "{way:?}");
            assert!(job.live(1).is_some(), "an instance that is given up does not end the others");
            assert_eq!(job.phase(), Phase::Running);
        }
    }
}

#[test]
fn failures_are_counted_up_to_the_limit_and_no_further() {
    for (max, runs) in [(Some(1), 1), (Some(2), 2), (Some(3), 3), (None, 20)] {
        let mut job = Job::running(1, |batch| batch.max_task_failures = max);
        for run in 1..=runs {
            assert_eq!(job.live(0).map(|task| task.run), Some(run), "{max:?}");
            job.after(400);
            job.end(0, Way::Exit(3));
            job.run_all();
            job.go();
        }
        assert_eq!(job.live(0).is_some(), max.is_none(), "{max:?}");
        assert_eq!(job.said().failures(), runs);
        assert_eq!(job.phase(), if max.is_none() { Phase::Running } else { Phase::Failed });
        assert_eq!(job.said().failure, max.map(|_| BatchFailure::Instances));
    }
}

#[test]
fn what_is_no_failure_never_spends_one_and_forgets_none() {
    let mut job = Job::running(1, |batch| batch.max_task_failures = Some(2));
    job.end(0, Way::Exit(1));
    for way in [Way::Preempted, Way::Drained, Way::Deleted, Way::Evicted, Way::NodeLost, Way::Killed] {
        job.run_all();
        // Whatever people delete, it stands in the status.
        job.tasks.retain(|task| !task.is_terminal());
        job.end(0, way);
        assert_eq!(job.live(0).map(|task| task.failures), Some(1), "{way:?}");
    }
    job.run_all();
    job.end(0, Way::Exit(1));
    assert_eq!((job.phase(), job.said().failures()), (Phase::Failed, 2));
}

#[test]
fn a_task_of_several_containers_ends_as_the_first_of_them() {
    let mut job = Job::running(2, |batch| batch.max_task_failures = Some(1));
    job.end(0, Way::Half(0));
    job.end(1, Way::Half(7));
    assert_eq!((job.said().succeeded.to_string(), job.said().failed.to_string()), ("0".into(), "1".into()));
    assert_eq!(job.said().first_failure.and_then(|first| first.exit_code), Some(7));
}

#[test]
fn what_is_told_to_end_for_its_own_end_counts_even_where_it_has_to_be_deleted() {
    for (intent, code, failures) in
        [(Intent::TimeOut, None, 1), (Intent::Unhealthy, None, 1), (Intent::Finish, Some(0), 0)]
    {
        let mut job = Job::running(1, |batch| batch.max_task_failures = None);
        let (uid, now) = (job.live(0).unwrap().uid, job.now);
        let task = job.task_mut(uid);
        task.ending = Some(Ending { intent: Some(intent), at: now, grace_seconds: 30, deleting: true });
        (task.before, task.exit_code) = (TaskState::Killing, code);
        let is_done = code == Some(0);
        task.state = if is_done { TaskState::Finished } else { TaskState::Failed };
        (task.end, task.ended) = (Some(EndReason::Exited), Some(now));
        job.step();
        assert_eq!((job.said().failures(), !job.said().succeeded.is_empty()), (failures, is_done));
    }
}

#[test]
fn flapping_is_held_back_as_of_services() {
    let mut job = Job::running(1, |batch| batch.max_task_failures = None);
    let mut waits = Vec::new();
    for _ in 0..6 {
        job.end(0, Way::Exit(1));
        let mut waited = 0;
        while job.live(0).is_none() {
            assert_eq!(job.status.as_ref().unwrap().counts.throttled, 1);
            job.after(1);
            waited += 1;
        }
        waits.push(waited);
        job.run_all();
    }
    assert_eq!(waits, [0, 60, 120, 240, 300, 300]);
}

#[test]
fn no_more_run_at_a_time_than_the_parallelism_allows() {
    let mut job = Job::running(5, |batch| batch.parallelism = Some(2));
    assert_eq!(job.lives(), [0, 1]);
    job.end(1, Way::Exit(0));
    assert_eq!(job.lives(), [0, 2]);
    job.end(0, Way::Exit(1));
    assert_eq!(job.lives(), [2, 3]);
    job.batch().parallelism = Some(1);
    job.go();
    assert_eq!(job.lives(), [2, 3], "what runs goes on");
    job.end(3, Way::Exit(0));
    assert_eq!(job.lives(), [2]);
    job.end(2, Way::Exit(0));
    assert_eq!(job.lives(), [4]);
    job.end(4, Way::Exit(0));
    assert_eq!((job.phase(), job.said().failed.to_string()), (Phase::Failed, "0".into()));
}

#[test]
fn an_instance_that_flaps_keeps_no_other_from_running() {
    let mut job = Job::running(3, |batch| {
        (batch.parallelism, batch.max_task_failures) = (Some(1), None);
    });
    job.end(0, Way::Exit(1));
    job.run_all();
    job.end(0, Way::Exit(1));
    assert_eq!(job.lives(), [1], "0 is held back");
    job.after(60);
    assert_eq!(job.lives(), [1]);
    job.run_all();
    job.end(1, Way::Exit(0));
    assert_eq!(job.lives(), [0]);
}

#[test]
fn what_has_succeeded_never_runs_again() {
    let mut job = Job::running(2, |_| ());
    let uid = job.live(0).unwrap().uid;
    job.end(0, Way::Exit(0));
    assert!(job.said().succeeded.contains(0));
    job.tasks.retain(|task| task.uid != uid);
    job.seen_runs.clear();
    job.go();
    assert_eq!(job.lives(), [1]);
    // A Pod of it all the same, from a writer that did not know: it goes.
    let twin = job.pending(0, 9, CONFIG);
    job.tasks.insert(0, twin);
    job.go();
    assert_eq!(job.lives(), [1]);
}

#[test]
fn of_two_live_pods_the_older_goes() {
    let mut job = Job::running(1, |_| ());
    let twin = Task { uid: Uid::new(7), run: 9, ..job.tasks[0].clone() };
    job.tasks.push(twin);
    let ends: Vec<_> = job.plan().actions.iter().map(|it| matches!(it, Action::End { run: 1, .. })).collect();
    assert_eq!(ends, [true]);
    job.go();
    assert_eq!(job.live(0).unwrap().run, 9);
}

#[test]
fn pods_of_others_are_neither_taken_nor_run_beside() {
    let mut job = Job::new(2, |_| ());
    let foreign = job.pending(0, 4, CONFIG);
    job.tasks.push(Task { owned: false, ..foreign });
    job.seen_runs.insert(0, 4);
    job.go();
    assert_eq!(job.lives(), [0, 1]);
    assert!(job.message(ConditionType::Placed).contains("not the job's"), "{:?}", job.status);
    job.tasks[0].state = TaskState::Finished;
    job.go();
    assert_eq!(job.live(0).map(|task| task.run), Some(5), "what others did is no success");
    assert_eq!(job.said().succeeded, Ranges::default());
    assert!(job.tasks.iter().any(|task| !task.owned), "nor is it removed");
}
