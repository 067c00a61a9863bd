//! Changes in place: each step and fallback, and that budgets, judgements and the way back are as ever.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::job::{BAD, GOOD, Job, NEXT};
use crate::{
    model::*,
    plan::{Action, Cause, Sla, Veto},
};

/// A running job whose Pods can be changed in place.
fn job(instances: u32) -> Job {
    let mut job = Job::new(instances);
    job.service.update.in_place = true;
    job.settle();
    assert_eq!(job.count(GOOD), instances, "{:#?}", job.tasks);
    assert!(job.tasks.iter().all(|task| task.ready && task.is_settled()));
    job.advance(3600);
    job
}

fn makings(job: &Job) -> BTreeMap<Instance, Uid> {
    let live = job.tasks.iter().filter(|task| !task.is_terminal());
    live.map(|task| (task.instance, task.uid)).collect()
}

/// Goes on until the update has ended; the most instances that were not Ready at a time.
fn through(job: &mut Job) -> u32 {
    let mut most = 0;
    for _ in 0..2_000 {
        job.step();
        let up =
            job.tasks.iter().filter(|task| !task.is_terminal() && task.ready && task.is_settled()).count();
        most = most.max(job.service.instances - up as u32);
        job.pods_then(1);
        if job.updates.last().and_then(|it| it.progress.as_ref()).is_some_and(|it| it.state.is_terminal()) {
            job.settle();
            return most;
        }
    }
    panic!("the update does not end: {:#?}", job.progress());
}

/// Plans until the gate of the only instance is shut, which the kubelet has not seen.
fn shut(job: &mut Job) {
    for _ in 0..20 {
        if job.live(0).unwrap().is_shut() {
            return;
        }
        job.step();
    }
    panic!("its gate stays open");
}

/// What is planned for tasks now, in words.
fn planned(job: &Job) -> Vec<String> {
    let actions = job.plan().actions;
    let words = actions.iter().filter_map(|action| match action {
        Action::SetGate { open: true, .. } => Some("open".to_owned()),
        Action::SetGate { open: false, .. } => Some("shut".to_owned()),
        Action::ChangeInPlace { revision, update, .. } => Some(format!("{revision} by {update}")),
        Action::End { intent, how, .. } => Some(format!("{intent:?} {how:?}")),
        Action::Create { .. } => Some("create".to_owned()),
        _ => None,
    });
    words.collect()
}

#[test]
fn a_good_update_keeps_every_pod_and_the_size_of_its_groups() {
    let mut job = job(5);
    let before = makings(&job);
    let runs: Vec<Run> = job.tasks.iter().map(|task| task.run).collect();
    job.edit(NEXT);
    assert_eq!(through(&mut job), 2);
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 5));
    assert_eq!((makings(&job), job.tasks.len()), (before, 5));
    assert_eq!(job.tasks.iter().map(|task| task.run).collect::<Vec<_>>(), runs);
    assert_eq!(job.status.as_ref().unwrap().last_good, Some(NEXT));
    assert!(job.tasks.iter().all(|task| task.ready && task.is_settled()));
}

#[test]
fn the_steps_are_taken_one_by_one() {
    let mut job = job(1);
    job.edit(NEXT);
    job.update_begun();
    assert_eq!(planned(&job), ["shut"]);
    job.step();
    // Nothing is changed while somebody may be sent to it.
    assert_eq!(
        (planned(&job), job.plan().held.last().map(|held| held.reason)),
        (vec![], Some("ChangingInPlace"))
    );
    job.pods_then(1);
    assert_eq!(planned(&job), [format!("{NEXT} by 1")]);
    job.step();
    assert_eq!((planned(&job), job.live(0).unwrap().state), (vec![], TaskState::Starting));
    job.pods_then(1);
    assert_eq!(planned(&job), ["open"]);
    job.step();
    assert_eq!((planned(&job), job.live(0).unwrap().ready), (vec![], false));
    job.pods_then(0);
    assert!(job.live(0).unwrap().ready);
    // Its watch counts from when it became Ready again.
    assert_eq!(job.plan().next_check, Some(job.now + SignedDuration::from_secs(11)));
}

#[test]
fn every_step_follows_from_what_the_pod_shows() {
    use TaskState::*;
    let gate = |at: Timestamp, open, stage: Option<Stage>| {
        let change = stage.map(|stage| Change { update: 1, at, stage });
        Some(Box::new(InPlace { open, since: Some(at), change }))
    };
    const KILL: &str = "Kill Kept";
    let states = [Pending, Assigned, Starting, Running];
    let stages = [None, Some(Stage::Pending), Some(Stage::Done), Some(Stage::Stuck)];
    let mut rows = 0;
    for (state, stage, open, ready, other) in rows_of(&states, &stages) {
        let mut job = job(1);
        job.edit(NEXT);
        job.update_begun();
        job.step();
        let now = job.now;
        let task = job.tasks.last_mut().unwrap();
        task.in_place = gate(now, open, stage);
        (task.state, task.ready) = (state, ready && state == Running);
        task.ready_since = task.ready.then_some(now);
        task.revision = if other { GOOD } else { NEXT };
        let steady = match stage {
            None => state == Running || (state == Starting && !open),
            Some(Stage::Done) => matches!(state, Starting | Running),
            Some(Stage::Pending | Stage::Stuck) => false,
        };
        let next = format!("{NEXT} by 1");
        let expected: Vec<&str> = match (other, stage) {
            (true, _) if !steady => vec![KILL],
            (true, _) if open => vec!["shut"],
            (true, _) if task.ready => vec![],
            (true, _) => vec![&next],
            (false, Some(Stage::Stuck)) => vec![KILL],
            (false, Some(Stage::Pending)) => vec![],
            (false, None | Some(Stage::Done)) if open => vec![],
            (false, None | Some(Stage::Done)) => vec!["open"],
        };
        assert_eq!(planned(&job), expected, "{state:?} {stage:?} open {open} ready {ready} other {other}");
        rows += 1;
    }
    assert_eq!(rows, 4 * 4 * 8);
}

type Row = (TaskState, Option<Stage>, bool, bool, bool);

fn rows_of(states: &[TaskState], stages: &[Option<Stage>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for state in states {
        for stage in stages {
            for bits in 0..8 {
                rows.push((*state, *stage, bits & 1 > 0, bits & 2 > 0, bits & 4 > 0));
            }
        }
    }
    rows
}

#[test]
fn what_can_not_be_changed_in_place_is_made_anew() {
    for case in ["no gate", "other configs", "no such service", "a restart", "not there"] {
        let mut job = job(2);
        let before = makings(&job);
        match case {
            "no gate" => job.tasks.iter_mut().for_each(|task| task.in_place = None),
            "other configs" => drop(job.alike.remove(&GOOD)),
            "no such service" => job.service.update.in_place = false,
            // Asked for with the change: what is older is made anew whatever changes.
            "a restart" => job.service.update.restart_at = Some(job.now),
            _ => {
                job.tasks.iter_mut().for_each(|task| (task.state, task.ready) = (TaskState::Starting, false));
                job.hanging.insert(GOOD);
            }
        }
        job.edit(NEXT);
        job.update_begun();
        assert!(!planned(&job).contains(&"shut".to_owned()), "{case}");
        through(&mut job);
        assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 2), "{case}");
        assert!(makings(&job).values().all(|uid| !before.values().any(|old| old == uid)), "{case}");
        assert!(job.progress().failures.is_empty(), "{case}");
    }
}

#[test]
fn a_rolling_restart_makes_every_pod_anew() {
    let mut job = job(2);
    let before = makings(&job);
    job.service.update.restart_at = Some(job.now);
    job.service.generation += 1;
    through(&mut job);
    assert_eq!(job.count(GOOD), 2);
    assert!(makings(&job).values().all(|uid| !before.values().any(|old| old == uid)));
}

#[test]
fn what_the_kubelet_can_not_do_is_made_anew_and_nobodys_failure() {
    let mut job = job(2);
    job.stage = Stage::Stuck;
    let before = makings(&job);
    job.edit(NEXT);
    through(&mut job);
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 2));
    assert!(job.progress().failures.is_empty());
    assert!(makings(&job).iter().all(|(instance, uid)| before[instance] != *uid));
}

#[test]
fn the_end_of_what_could_not_be_changed_is_waited_for() {
    let mut job = job(1);
    job.stage = Stage::Stuck;
    job.service.update.max_wait_seconds = 60;
    job.edit(NEXT);
    for _ in 0..20 {
        job.step();
        if job.live(0).is_some_and(|task| task.ending.is_some()) {
            break;
        }
        job.pods();
    }
    assert!(job.live(0).is_some_and(|task| task.revision == NEXT && task.ending.is_some()));
    // Its containers take their time to stop.
    job.advance(70);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingForward, "{:#?}", job.progress());
    through(&mut job);
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 1));
}

#[test]
fn a_task_that_fails_after_its_change_is_counted_and_the_rest_keeps_its_pods() {
    let mut job = job(4);
    let before = makings(&job);
    job.edit(BAD);
    through(&mut job);
    let progress = job.progress();
    assert_eq!((progress.state, job.count(GOOD)), (UpdateState::RolledBack, 4));
    let (instance, cause) = progress.cause.as_ref().unwrap();
    assert_eq!((*instance, cause.reason, cause.exit_code), (0, EndReason::Exited, Some(1)));
    assert_eq!(cause.last_pod, Some(before[&0]));
    let kept: Vec<Instance> =
        makings(&job).iter().filter(|(instance, uid)| before[instance] == **uid).map(|(it, _)| *it).collect();
    // The two of the group failed with their Pods; nobody else was touched.
    assert_eq!(kept, [2, 3]);
}

#[test]
fn every_failure_of_an_instance_counts_once() {
    let mut job = job(1);
    job.service.update.max_per_instance_failures = 2;
    job.service.flapping.threshold_seconds = 0;
    job.edit(BAD);
    through(&mut job);
    assert_eq!(job.progress().cause.as_ref().unwrap().1.count, 3);
    // Of the Pod that was changed and two made anew.
    assert_eq!(job.progress().state, UpdateState::RolledBack);
}

#[test]
fn what_never_becomes_ready_goes_back_in_place() {
    let mut job = job(3);
    job.hanging.insert(NEXT);
    job.service.update.max_wait_seconds = 60;
    let before = makings(&job);
    job.edit(NEXT);
    let begun = job.now;
    assert_eq!(through(&mut job), 2);
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 3));
    assert_eq!(job.progress().cause.as_ref().unwrap().1.reason, EndReason::TooSlow);
    assert_eq!(makings(&job), before);
    assert!(job.tasks.iter().all(|task| task.ready && task.is_settled()));
    // The wait counts from the change, not from when the Pod was made, an hour ago.
    let at = job.progress().cause.as_ref().unwrap().1.at;
    assert!(at.duration_since(begun) >= SignedDuration::from_secs(60), "{at} {begun}");
}

#[test]
fn a_change_that_takes_too_long_is_a_failure_and_goes_back_by_a_new_pod() {
    let mut job = job(1);
    job.stage = Stage::Pending;
    job.service.update.max_wait_seconds = 60;
    let before = makings(&job);
    job.edit(NEXT);
    through(&mut job);
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 1));
    assert_eq!(job.progress().cause.as_ref().unwrap().1.reason, EndReason::TooSlow);
    // What runs in it nobody knows.
    assert_ne!(makings(&job), before);
}

#[test]
fn readiness_lost_after_a_change_counts_and_is_made_anew() {
    let mut job = job(1);
    job.service.update.max_per_instance_failures = 1;
    let before = makings(&job);
    job.edit(NEXT);
    job.until(|job| job.live(0).is_some_and(|task| task.revision == NEXT && task.ready));
    let now = job.now;
    let task = job.tasks.last_mut().unwrap();
    (task.ready, task.unready_since) = (false, Some(now));
    job.advance(6);
    through(&mut job);
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 1));
    let failure = &job.progress().failures[&0];
    assert_eq!((failure.count, failure.reason), (1, EndReason::Unready));
    assert_ne!(makings(&job), before);
}

#[test]
fn nobody_stays_shut_while_an_update_stands_still() {
    for freeze in [true, false] {
        let mut job = job(1);
        job.edit(NEXT);
        job.update_begun();
        shut(&mut job);
        job.frozen = freeze;
        job.update().controls.paused = !freeze;
        job.pods();
        for _ in 0..20 {
            job.step();
            job.pods();
        }
        let task = job.live(0).unwrap();
        assert!(task.ready && task.is_settled() && task.revision == GOOD, "{task:#?}");
        // Then it goes on.
        job.frozen = false;
        job.update().controls.paused = false;
        let before = makings(&job);
        through(&mut job);
        assert_eq!((job.count(NEXT), makings(&job)), (1, before));
    }
}

#[test]
fn a_gate_that_nobody_sees_shut_is_waited_for_a_minute() {
    let mut job = job(1);
    job.edit(NEXT);
    shut(&mut job);
    // What looks after the node does not know of gates.
    job.advance(59);
    assert_eq!(planned(&job), [""; 0]);
    job.advance(1);
    assert_eq!(planned(&job), ["Kill Kept"]);
}

#[test]
fn a_chain_of_updates_goes_back_in_place_to_what_ran_before() {
    let mut job = job(4);
    let before = makings(&job);
    job.hanging.insert(BAD);
    job.broken.clear();
    job.service.update.max_wait_seconds = 60;
    job.edit(NEXT);
    job.until(|job| job.count(NEXT) == 2 && job.tasks.iter().all(|task| task.ready));
    job.edit(BAD);
    job.step();
    through(&mut job);
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 4));
    assert_eq!(makings(&job), before);
}

#[test]
fn who_is_asked_may_keep_a_gate_open() {
    struct Never;
    impl Sla for Never {
        fn veto(&self, _: &Task, cause: Cause) -> Option<Veto> {
            (cause == Cause::Change).then_some(Veto { reason: "Budget", until: None })
        }
    }
    let mut job = job(1);
    job.edit(NEXT);
    job.update_begun();
    let plan = job.plan_under(&Never);
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    assert!(plan.held.iter().any(|held| held.reason == "Budget"));
}

#[test]
fn pairs_are_those_with_the_goal_and_among_each_other() {
    let of = |to, in_place: &[Revision]| Instructions {
        to: Some((to, Ranges::up_to(1))),
        in_place: in_place.to_vec(),
        ..Instructions::default()
    };
    let between = of(NEXT, &[GOOD, BAD]);
    for (one, other, expected) in
        [(GOOD, NEXT, true), (NEXT, GOOD, true), (GOOD, BAD, true), (GOOD, Revision::v1(7), false)]
    {
        assert_eq!(between.in_place_between(one, other), expected, "{one} {other}");
    }
    assert!(!of(NEXT, &[]).in_place_between(NEXT, NEXT));
}
