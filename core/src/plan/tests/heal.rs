//! Starting, replacing, scaling, and nodes that are lost.

use super::job::{GOOD, Job, NEXT};
use crate::{
    model::*,
    plan::{Action, Ended, Problem},
};

#[test]
fn all_instances_start_at_once() {
    let mut job = Job::new(200);
    assert!(job.step(), "the status comes first");
    assert!(job.tasks.is_empty());
    job.step();
    assert_eq!(job.count(GOOD), 200);
    job.settle();
    assert_eq!(job.ready(), ("Running", true, false));
    assert!(job.updates.is_empty(), "a first config is no update");
    let status = job.status.as_ref().unwrap();
    assert_eq!(status.revisions, [(GOOD, Ranges::up_to(200))]);
    assert_eq!((status.counts.running, status.last_good), (200, Some(GOOD)));
}

#[test]
fn a_settled_job_has_nothing_to_do() {
    let mut job = Job::running(3);
    job.step();
    let plan = job.plan();
    assert_eq!((plan.actions, plan.progress, plan.status.as_ref()), (vec![], None, job.status.as_ref()));
}

#[test]
fn scaling_adds_and_removes_without_an_update() {
    let mut job = Job::running(3);
    for count in [5, 1, 0, 2] {
        job.service.instances = count;
        job.settle();
        assert_eq!(job.count(GOOD), count);
        assert!((0..count).all(|instance| job.live(instance).is_some()));
    }
    assert!(job.updates.is_empty());
}

#[test]
fn a_task_that_failed_late_is_replaced_at_once() {
    let mut job = Job::running(2);
    job.fail(1);
    let plan = job.plan();
    let create = Action::Create { instance: 1, run: 2, revision: GOOD, flaps: 0, failures: 1 };
    assert!(plan.actions.contains(&create), "{plan:#?}");
}

#[test]
fn flapping_is_held_back_longer_each_time() {
    let mut job = Job::running(1);
    let mut waits = Vec::new();
    for _ in 0..7 {
        job.fail(0);
        let mut waited = 0;
        while job.live(0).is_none() {
            job.step();
            if job.live(0).is_none() {
                assert_eq!(job.status.as_ref().unwrap().counts.throttled, 1);
                job.advance(1);
                waited += 1;
            }
        }
        waits.push(waited);
        let now = job.now;
        let uid = job.live(0).unwrap().uid;
        let task = job.task_mut(uid);
        (task.state, task.before, task.started) = (TaskState::Starting, TaskState::Starting, Some(now));
        job.advance(1);
    }
    // The first had run for an hour; the second is the first to end young, and costs nothing.
    assert_eq!(waits, [0, 0, 60, 120, 240, 300, 300]);
}

#[test]
fn a_pod_deleted_from_outside_is_replaced_with_a_new_run() {
    let mut job = Job::running(2);
    job.tasks.retain(|task| task.instance != 0);
    job.settle();
    assert_eq!(job.live(0).unwrap().run, 2);
    // Another operator has not seen the Pod that is gone, but the status says how far runs have come.
    job.tasks.retain(|task| task.instance != 0);
    job.seen_runs.clear();
    let run = |action: &Action| matches!(action, Action::Create { instance: 0, run: 3, .. });
    assert!(job.plan().actions.iter().any(run), "{:#?}", job.plan());
}

#[test]
fn of_two_live_tasks_the_older_is_ended() {
    let mut job = Job::running(1);
    let twin = Task { uid: Uid::new(7), run: 9, ..job.tasks[0].clone() };
    let older = job.tasks[0].uid;
    job.tasks.push(twin);
    let plan = job.plan();
    let ends: Vec<_> = plan.actions.iter().filter(|action| matches!(action, Action::End { .. })).collect();
    let end = Action::End { uid: older, instance: 0, run: 1, intent: Intent::Kill, how: Ended::Deleted };
    assert_eq!(ends, [&end]);
    assert_eq!(plan.held[0].reason, "Duplicate");
}

#[test]
fn a_lost_node_is_dealt_with_as_the_policy_says() {
    let policy = |reschedule, delay_seconds| {
        let mut job = Job::running(2);
        job.service.partition = Partition { reschedule, delay_seconds };
        job.lost_nodes.insert(NodeId(0), job.now);
        job
    };
    let mut at_once = policy(true, 0);
    let (uid, intent, how) = (at_once.live(0).unwrap().uid, Intent::Lose, Ended::Lost);
    assert_eq!(at_once.plan().actions[0], Action::End { uid, instance: 0, run: 1, intent, how });
    at_once.step();
    at_once.step();
    assert_eq!(at_once.live(0).unwrap().run, 2, "replaced while the lost Pod is still there");
    assert_eq!(at_once.tasks[0].state, TaskState::Lost);

    let mut later = policy(true, 40);
    later.step();
    assert_eq!(later.live(0).unwrap().run, 1);
    assert_eq!(later.status.as_ref().unwrap().lost.to_string(), "0");
    assert_eq!(later.plan().next_check, Some(later.now + jiff::SignedDuration::from_secs(40)));
    later.advance(40);
    later.step();
    later.step();
    assert_eq!(later.live(0).unwrap().run, 2);

    let mut never = policy(false, 0);
    never.settle();
    assert_eq!(never.live(0).unwrap().run, 1);
    never.lost_nodes.clear();
    never.settle();
    assert_eq!((never.live(0).unwrap().run, never.ready().0), (1, "Running"), "the node came back");
}

#[test]
fn what_does_not_end_is_deleted_and_then_given_up() {
    let mut job = Job::running(2);
    job.service.instances = 1;
    job.step();
    let uid = job.live(1).unwrap().uid;
    let end = |job: &Job| {
        job.plan().actions.iter().find_map(|action| match action {
            Action::End { uid: of, intent, how, .. } if *of == uid => Some((*intent, *how)),
            _ => None,
        })
    };
    assert_eq!(end(&job), None);
    job.advance(89);
    assert_eq!(end(&job), None);
    job.advance(1);
    assert_eq!(end(&job), Some((Intent::Kill, Ended::Deleted)));
    job.step();
    let ending = job.live(1).unwrap().ending.unwrap();
    assert_eq!((ending.deleting, ending.at), (true, job.now), "its grace counts from its deletion");
    // What the service's Pods have by now is not what this one has.
    job.grace_seconds = 0;
    job.advance(329);
    assert_eq!(end(&job), None);
    job.advance(1);
    assert_eq!(end(&job), Some((Intent::Lose, Ended::Overdue)));
}

#[test]
fn a_task_of_several_containers_ends_as_one() {
    let mut job = Job::running(1);
    job.tasks[0].half_ended = true;
    job.step();
    assert_eq!(job.tasks[0].ending.unwrap().intent, Some(Intent::Finish));
    job.settle();
    assert_eq!(job.tasks.iter().map(|task| (task.run, task.failures)).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
}

#[test]
fn a_freeze_heals_and_does_nothing_else() {
    let mut job = Job::running(3);
    job.frozen = true;
    job.service.instances = 2;
    job.fail(0);
    job.settle();
    assert_eq!((job.count(GOOD), job.ready()), (3, (reasons::FROZEN, false, false)));
    job.edit(NEXT);
    job.settle();
    assert_eq!((job.count(GOOD), job.ready()), (3, (reasons::FROZEN, false, false)));
    job.frozen = false;
    job.settle();
    assert_eq!((job.count(NEXT), job.count(GOOD), job.ready()), (2, 0, ("Running", true, false)));
}

#[test]
fn a_spec_that_cannot_be_used_is_said_and_nothing_is_touched() {
    let said =
        Problem { reason: reasons::INVALID_SPEC, message: "spec.x: 3 is too many".into(), blocks: true };
    let mut job = Job::running(2);
    job.fail(1);
    job.problem = Some(said.clone());
    job.settle();
    assert_eq!((job.live(0).unwrap().run, job.live(1)), (1, None), "{:#?}", job.tasks);
    assert_eq!(job.ready(), (reasons::INVALID_SPEC, false, true));
    job.problem = None;
    job.settle();
    assert_eq!((job.count(GOOD), job.ready()), (2, ("Running", true, false)));

    let mut new = Job::new(2);
    new.problem = Some(said);
    new.settle();
    assert_eq!((new.tasks.len(), new.ready()), (0, (reasons::INVALID_SPEC, false, true)));
    new.problem = None;
    new.settle();
    assert_eq!((new.count(GOOD), new.ready()), (2, ("Running", true, false)));
}

#[test]
fn a_refusal_is_said_and_the_rest_goes_on() {
    let mut job = Job::running(2);
    job.problem = Some(Problem { reason: reasons::TEMPLATE_REFUSED, message: "quota".into(), blocks: false });
    job.fail(1);
    job.settle();
    assert_eq!((job.count(GOOD), job.ready()), (2, (reasons::TEMPLATE_REFUSED, false, true)));
}

#[test]
fn a_deleted_service_is_left_to_the_garbage_collector() {
    let mut job = Job::running(2);
    job.service.deleting = true;
    job.tasks.clear();
    assert_eq!(job.plan(), Default::default());
}
