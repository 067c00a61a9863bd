//! What people and pulses ask of an update: pauses after groups, pulses, wishes that come too late, taking back what
//! has ended, holding back what comes next.

use jiff::{SignedDuration, Timestamp};

use super::job::{BAD, GOOD, Job, NEXT};
use crate::{
    model::*,
    plan::{Cause, Sla, Veto},
};

fn batches(job: &mut Job, sizes: &[u32], autopause: bool) {
    let group_sizes = sizes.iter().map(|size| Amount::Count(*size)).collect();
    job.service.update.strategy = Strategy::VariableBatch { group_sizes, autopause };
}

fn ask() -> Option<Request> {
    Some(Request { reason: "too slow".to_owned(), author: "ann".to_owned() })
}

#[test]
fn it_pauses_after_each_batch_but_the_last() {
    let mut job = Job::running(6);
    batches(&mut job, &[1, 2], true);
    job.edit(NEXT);
    for (through, count) in [(1, 1), (2, 3), (3, 5)] {
        job.settle();
        assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RollForwardPaused, count));
        assert!(
            job.progress().message.contains(&format!("after batch {through}")),
            "{}",
            job.progress().message
        );
        job.update().controls.resume_after_batch = through;
    }
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 6));
}

#[test]
fn a_batch_that_is_all_there_is_needs_no_leave() {
    let mut job = Job::running(3);
    batches(&mut job, &[3], true);
    job.edit(NEXT);
    job.settle();
    assert_eq!(job.progress().state, UpdateState::RolledForward);
}

#[test]
fn the_way_back_never_pauses_by_itself_and_goes_through_the_batches_in_reverse() {
    let mut job = Job::running(6);
    batches(&mut job, &[1, 2], true);
    job.edit(NEXT);
    job.update_begun().controls.resume_after_batch = 1;
    job.settle();
    assert_eq!(job.progress().touched.to_string(), "0-2");
    job.update().controls.rollback = ask();
    assert_eq!(job.groups(), ["1-2", "0", ""]);
}

#[test]
fn nothing_is_done_before_the_first_pulse_and_it_stops_just_when_the_last_runs_out() {
    let mut job = Job::running(4);
    job.service.update.pulse_interval_seconds = 60;
    job.edit(NEXT);
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RollForwardAwaitingPulse, 0));
    assert_eq!(job.ready().0, "AwaitingPulse");

    let sent = Timestamp::from_second(job.now.as_second()).unwrap();
    job.update().controls.pulse = Some(sent);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingForward);
    assert_eq!(job.progress().working.to_string(), "0-1");
    let end = sent + SignedDuration::from_secs(60);
    assert!(job.plan().next_check.is_some_and(|at| at <= end));
    job.now = end - SignedDuration::from_secs(1);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingForward);
    job.now = end;
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollForwardAwaitingPulse);
    job.settle();
    assert_eq!(
        (job.progress().failed.len(), job.count(NEXT)),
        (0, 2),
        "what was begun is there; blocked is not failed"
    );

    let sent = Timestamp::from_second(job.now.as_second()).unwrap();
    job.update().controls.pulse = Some(sent);
    job.step();
    assert_eq!(job.progress().working.to_string(), "2-3");
}

#[test]
fn a_pulse_does_not_unpause_and_one_from_the_future_lasts_no_longer() {
    let mut job = Job::running(4);
    job.service.update.pulse_interval_seconds = 60;
    job.edit(NEXT);
    job.update_begun().controls.paused = true;
    let later = Timestamp::from_second(job.now.as_second()).unwrap() + SignedDuration::from_hours(5);
    job.update().controls.pulse = Some(later);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollForwardPaused);
    job.advance(61);
    job.update().controls.paused = false;
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollForwardAwaitingPulse);
}

#[test]
fn wishes_that_come_too_late_or_too_early_are_said_not_to_be_acted_on() {
    let mut job = Job::running(2);
    job.edit(NEXT);
    job.update_begun().controls.retry = ask();
    job.step();
    assert_eq!(job.progress().refused, "controls.retry is not acted on: the update is ROLLING_FORWARD");
    job.update().controls.retry = None;
    job.settle();
    assert_eq!((job.progress().state, job.progress().refused.as_str()), (UpdateState::RolledForward, ""));
    job.update().controls.abort = ask();
    job.settle();
    assert_eq!(job.progress().refused, "controls.abort is not acted on: the update is ROLLED_FORWARD");
    assert_eq!((job.count(NEXT), job.updates.len()), (2, 1));
}

#[test]
fn what_has_ended_is_taken_back_by_an_update_of_its_own() {
    let mut job = Job::running(5);
    job.service.instances = 6;
    job.edit(NEXT);
    job.settle();
    assert_eq!((job.count(NEXT), job.progress().state), (6, UpdateState::RolledForward));
    job.update().controls.rollback = ask();
    job.settle();
    assert_eq!((job.updates.len(), job.update().instructions.takes_back), (2, Some(1)));
    assert_eq!((job.progress().state, job.count(GOOD), job.count(NEXT)), (UpdateState::RolledBack, 5, 0));
    assert_eq!(job.status.as_ref().unwrap().last_good, Some(GOOD));
    assert_eq!(job.ready(), ("RolledBack", true, true));
    job.settle();
    assert_eq!(job.updates.len(), 2, "it is taken back once");
    // What comes now is of the config that runs; the other is tried again when asked for.
    job.service.instances = 7;
    job.settle();
    assert_eq!(job.count(GOOD), 7);
    job.update().controls.retry = ask();
    job.settle();
    assert_eq!((job.updates.len(), job.count(NEXT), job.ready()), (3, 7, ("Running", true, false)));
}

#[test]
fn taking_back_restores_a_job_of_several_configs() {
    let mut job = Job::running(4);
    job.service.update.scope = Some("0-1".parse().unwrap());
    job.edit(NEXT);
    job.settle();
    let third = Revision::v1(0x3);
    job.service.update.scope = None;
    job.edit(third);
    job.settle();
    assert_eq!(job.count(third), 4);
    job.update().controls.rollback = ask();
    job.settle();
    let all: Vec<Revision> = (0..4).map(|instance| job.live(instance).unwrap().revision).collect();
    assert_eq!(all, [NEXT, NEXT, GOOD, GOOD]);
}

#[test]
fn the_spec_holds_the_next_update_and_not_the_one_that_goes_on() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    while job.count(NEXT) < 2 {
        job.step();
        job.pods_then(0);
    }
    job.service.hold_updates = true;
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 4));
    job.edit(GOOD);
    job.settle();
    assert_eq!((job.updates.len(), job.ready()), (1, ("UpdateHeld", true, false)), "it is as the spec says");
    job.fail(0);
    job.step();
    assert_eq!(job.ready(), ("Replacing", false, false));
    assert!(job.status.as_ref().unwrap().condition(ConditionType::Reconciling).unwrap().holds);
    job.settle();
    assert_eq!(job.ready(), ("UpdateHeld", true, false));
    job.service.hold_updates = false;
    job.settle();
    assert_eq!((job.count(GOOD), job.ready()), (4, ("Running", true, false)));
}

#[test]
fn a_change_waits_for_the_end_where_the_spec_says_so() {
    for config in [NEXT, BAD] {
        let mut job = Job::running(4);
        job.service.queue_updates = true;
        job.edit(config);
        job.update_begun();
        let third = Revision::v1(0x3);
        job.service.instances = 2;
        job.edit(third);
        job.settle();
        let first = job.updates[0].progress.as_ref().unwrap();
        assert_ne!(first.state, UpdateState::Aborted);
        assert_eq!((job.updates.len(), job.count(third)), (2, 2), "after {config}");
        assert_eq!(job.updates[1].instructions.previous_instances, 4);
    }
}

struct NotYet;

impl Sla for NotYet {
    fn veto(&self, task: &Task, cause: Cause) -> Option<Veto> {
        assert_eq!(cause, Cause::Change);
        (task.instance == 0).then_some(Veto { reason: "SlaWouldBreak", until: None })
    }
}

#[test]
fn who_is_asked_may_keep_a_task_from_being_ended() {
    let mut job = Job::running(4);
    job.edit(NEXT);
    job.update_begun();
    let plan = job.plan_under(&NotYet);
    let ended: Vec<Instance> = plan
        .actions
        .iter()
        .filter_map(|action| match action {
            crate::plan::Action::End { instance, .. } => Some(*instance),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [1]);
    assert!(plan.held.iter().any(|held| held.instance == Some(0) && held.reason == "SlaWouldBreak"));
}
