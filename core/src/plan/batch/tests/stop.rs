//! What ends tasks and jobs before they are done: times, health, suspension, kills, freezes, lost nodes.

use jiff::SignedDuration;

use super::world::{Job, Way};
use crate::{
    model::*,
    plan::{Action, Ended, Problem},
};

/// How the only task that is being ended is.
fn ended(job: &Job) -> Vec<(Instance, Intent, Ended)> {
    let end = |action: &Action| match action {
        Action::End { instance, intent, how, .. } => Some((*instance, *intent, *how)),
        _ => None,
    };
    job.plan().actions.iter().filter_map(end).collect()
}

#[test]
fn a_task_that_takes_too_long_has_failed() {
    let mut job = Job::running(1, |batch| {
        (batch.timeout_seconds, batch.max_task_failures) = (Some(60), Some(2));
    });
    job.after(59);
    assert_eq!(job.plan().next_check, Some(job.now + SignedDuration::from_secs(1)));
    assert_eq!(ended(&job), []);
    job.now += SignedDuration::from_secs(1);
    assert_eq!(ended(&job), [(0, Intent::TimeOut, Ended::Kept)]);
    job.go();
    assert_eq!(job.live(0).map(|task| (task.run, task.failures)), Some((2, 1)));
    job.after(600);
    assert!(job.live(0).is_some(), "what has not started takes no time");
    job.run_all();
    job.after(60);
    assert_eq!((job.phase(), job.said().failure), (Phase::Failed, Some(BatchFailure::Instances)));
    assert_eq!(job.said().first_failure.map(|first| first.reason), Some(EndReason::TimedOut));
}

#[test]
fn a_task_without_health_has_failed() {
    let patience = HealthPatience { first_seconds: 30, again_seconds: 10 };
    let case = |ready: bool, again_seconds| {
        let mut job = Job::running(1, |batch| {
            batch.health = Some(HealthPatience { again_seconds, ..patience });
        });
        let (uid, now) = (job.live(0).unwrap().uid, job.now);
        let task = job.task_mut(uid);
        (task.ready, task.unready_since) = (false, Some(now));
        if !ready {
            (task.state, task.ready_since) = (TaskState::Starting, None);
        }
        let mut seconds = 0;
        while ended(&job).is_empty() {
            job.now += SignedDuration::from_secs(1);
            seconds += 1;
        }
        assert_eq!(ended(&job), [(0, Intent::Unhealthy, Ended::Kept)]);
        job.go();
        assert_eq!(job.said().first_failure.map(|first| first.reason), Some(EndReason::Unhealthy));
        seconds
    };
    assert_eq!((case(false, 10), case(true, 10)), (30, 10));
    // A node that is lost is said to be a little after its Pods are not Ready.
    assert_eq!(case(true, 0), 5);
    let mut healthy = Job::running(1, |batch| batch.health = Some(patience));
    healthy.after(86_400);
    assert_eq!(healthy.live(0).unwrap().run, 1);
}

#[test]
fn the_time_of_the_whole_job_ends_it() {
    let mut job = Job::running(3, |batch| batch.job_timeout_seconds = Some(100));
    job.end(0, Way::Exit(0));
    job.after(99);
    assert_eq!(job.plan().next_check, Some(job.now + SignedDuration::from_secs(1)));
    job.after(1);
    assert_eq!((job.phase(), job.said().failure), (Phase::Failed, Some(BatchFailure::TimedOut)));
    assert_eq!((job.said().failures(), job.said().succeeded.to_string()), (0, "0".into()));
}

#[test]
fn who_is_suspended_goes_on_where_he_was() {
    let mut job = Job::running(3, |batch| {
        (batch.max_task_failures, batch.job_timeout_seconds) = (Some(3), Some(100));
    });
    job.end(0, Way::Exit(0));
    job.end(1, Way::Exit(1));
    job.batch().suspend = true;
    assert_eq!(ended(&job), [(1, Intent::Kill, Ended::Deleted), (2, Intent::Kill, Ended::Deleted)]);
    job.after(1000);
    assert_eq!((job.phase(), job.lives(), job.said().started), (Phase::Suspended, vec![], None));
    assert_eq!(job.ready(), (reasons::SUSPENDED, true, false, false));
    job.batch().suspend = false;
    job.go();
    assert_eq!(job.lives(), [1, 2]);
    assert_eq!(job.said().started, Some(job.now), "its time begins anew");
    assert_eq!((job.live(1).unwrap().failures, job.live(2).unwrap().failures), (1, 0));
    assert_eq!(job.said().succeeded.to_string(), "0");
}

#[test]
fn what_has_happened_counts_though_it_is_suspended() {
    let mut job = Job::running(1, |_| ());
    job.batch().suspend = true;
    job.end(0, Way::Exit(0));
    assert_eq!(job.phase(), Phase::Complete);
}

#[test]
fn a_kill_ends_it_whatever_it_is_doing() {
    let killed = |job: &Job, reason| {
        (job.phase(), job.said().failure, job.lives())
            == (Phase::Failed, Some(BatchFailure::Killed(reason)), vec![])
    };
    for reason in [KillReason::Asked, KillReason::Collision] {
        let mut running = Job::running(2, |_| ());
        running.end(0, Way::Exit(0));
        running.batch().kill = Some(reason);
        running.go();
        assert!(killed(&running, reason) && running.said().failures() == 0);

        let mut waiting = Job::new(1, |batch| batch.kill = Some(reason));
        waiting.batch().run_of = Some(RunOf { cron: "nightly".into(), time: waiting.now });
        waiting.go();
        assert!(killed(&waiting, reason));

        let mut suspended = Job::running(1, |batch| batch.suspend = true);
        suspended.batch().kill = Some(reason);
        suspended.go();
        assert!(killed(&suspended, reason));

        // One that quota holds would keep the next run of its cron waiting.
        let mut held = Job::new(1, |batch| batch.kill = Some(reason));
        held.problem =
            Some(Problem { reason: reasons::QUOTA_EXCEEDED, message: String::new(), blocks: true });
        held.go();
        assert!(killed(&held, reason));

        let mut done = Job::running(1, |_| ());
        done.batch().kill = Some(reason);
        done.end(0, Way::Exit(0));
        assert_eq!(done.phase(), Phase::Complete, "it had succeeded");
    }
}

#[test]
fn a_decision_stands_whatever_is_asked_later() {
    let mut job = Job::running(2, |batch| batch.kill = Some(KillReason::Asked));
    assert_eq!(job.phase(), Phase::Failed);
    job.batch().kill = None;
    job.go();
    assert_eq!(job.phase(), Phase::Failed);

    let mut ending = Job::running(2, |_| ());
    ending.batch().kill = Some(KillReason::Asked);
    ending.step();
    ending.batch().kill = None;
    ending.end(0, Way::Exit(0));
    assert_eq!((ending.phase(), ending.lives()), (Phase::Failed, vec![]));
}

#[test]
fn a_blocking_problem_leaves_everything_as_it_is() {
    let mut job = Job::running(2, |_| ());
    job.problem = Some(Problem { reason: reasons::NAME_CONFLICT, message: "taken".into(), blocks: true });
    job.end(0, Way::Exit(1));
    assert_eq!((job.lives(), job.phase()), (vec![1], Phase::Running));
    assert_eq!(job.ready(), (reasons::NAME_CONFLICT, false, false, true));
    job.problem = None;
    job.go();
    assert_eq!(job.said().failed.to_string(), "0");
    let mut new = Job::new(2, |_| ());
    new.problem = Some(Problem { reason: reasons::QUOTA_EXCEEDED, message: "much".into(), blocks: true });
    new.go();
    assert_eq!((new.lives(), new.phase()), (vec![], Phase::Waiting));
    assert_eq!(new.status.as_ref().unwrap().observed_revision, None);
}

#[test]
fn a_freeze_heals_and_ends_nobody() {
    let times = |batch: &mut Batch| (batch.timeout_seconds, batch.max_task_failures) = (Some(60), None);
    for (ask, frozen) in [
        ((|job: &mut Job| job.batch().suspend = true) as fn(&mut Job), Phase::Suspended),
        (|job| job.batch().kill = Some(KillReason::Asked), Phase::Ending),
        (|job| job.service.instances = 1, Phase::Running),
        (|job| job.now += SignedDuration::from_secs(60), Phase::Running),
    ] {
        let mut job = Job::running(2, times);
        job.frozen = true;
        ask(&mut job);
        job.go();
        assert_eq!((job.lives(), job.phase()), (vec![0, 1], frozen));
        assert_eq!(job.ready(), (reasons::FROZEN, false, true, false));
        assert!(job.tasks.iter().all(|task| task.ending.is_none()));
        job.frozen = false;
        job.go();
        assert_ne!(job.lives().len() + job.said().failures() as usize, 2, "{:#?}", job.tasks);
    }
    let mut heals = Job::running(2, times);
    heals.frozen = true;
    heals.end(0, Way::Exit(1));
    assert_eq!(heals.live(0).unwrap().run, 2);
}

#[test]
fn lost_nodes_are_dealt_with_as_the_policy_says() {
    let policy = |reschedule, delay_seconds| {
        let mut job = Job::running(2, |_| ());
        job.service.partition = Partition { reschedule, delay_seconds };
        job.lost_nodes.insert(NodeId(0), job.now);
        job.go();
        job
    };
    let at_once = policy(true, 0);
    assert_eq!((at_once.live(0).unwrap().run, at_once.said().failures()), (2, 0));
    let mut later = policy(true, 40);
    assert_eq!(later.live(0).unwrap().run, 1);
    later.after(40);
    assert_eq!(later.live(0).unwrap().run, 2);
    let mut never = policy(false, 0);
    never.after(86_400);
    assert_eq!(never.live(0).unwrap().run, 1);
    // Nobody answers there: what shall end is given up at once.
    never.batch().kill = Some(KillReason::Asked);
    never.go();
    assert_eq!((never.phase(), never.lives()), (Phase::Failed, vec![]));
}

#[test]
fn what_does_not_end_is_pressed_and_given_up() {
    let mut job = Job::running(1, |batch| batch.timeout_seconds = Some(60));
    job.now += SignedDuration::from_secs(60);
    job.step();
    assert_eq!(ended(&job), []);
    job.now += SignedDuration::from_secs(90);
    assert_eq!(ended(&job), [(0, Intent::TimeOut, Ended::Deleted)]);
    job.step();
    job.now += SignedDuration::from_secs(330);
    assert_eq!(ended(&job), [(0, Intent::Lose, Ended::Overdue)]);
}
