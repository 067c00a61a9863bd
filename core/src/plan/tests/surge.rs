//! Two live tasks of one instance, where an update asks for it.

use std::collections::BTreeMap;

use super::job::{BAD, GOOD, Job, NEXT};
use crate::{
    model::*,
    plan::{
        Action, Ended,
        fleet::Fleet,
        surge::{Pair, pair},
        targets::Target,
    },
};

fn surging(instances: u32, max_surge: Amount) -> Job {
    let mut job = Job::running(instances);
    job.service.update.max_surge = max_surge;
    job
}

fn state(job: &Job) -> Option<UpdateState> {
    job.updates.last().and_then(|update| Some(update.progress.as_ref()?.state))
}

/// How many live tasks each instance has, and how many of them serve.
fn lives(job: &Job) -> BTreeMap<Instance, (u32, u32)> {
    let mut lives = BTreeMap::new();
    for task in job.tasks.iter().filter(|task| !task.is_terminal()) {
        let (live, serving): &mut (u32, u32) = lives.entry(task.instance).or_default();
        *live += 1;
        *serving += u32::from(task.ready && task.ending.is_none());
    }
    lives
}

/// Goes on to the end of the update; the most instances that had two live tasks, and the most that none served.
fn watch(job: &mut Job) -> (usize, usize) {
    let (mut most_two, mut most_down) = (0, 0);
    for _ in 0..2_000 {
        job.step();
        let lives = lives(job);
        let is_through = matches!(state(job), Some(UpdateState::RolledForward | UpdateState::RolledBack));
        let most = if is_through { 1 } else { 2 };
        assert!(lives.values().all(|(live, _)| *live <= most), "{:?}: {lives:?}", state(job));
        most_two = most_two.max(lives.values().filter(|(live, _)| *live == 2).count());
        let served = lives.values().filter(|(_, serving)| *serving > 0).count();
        most_down = most_down.max((job.service.instances as usize).saturating_sub(served));
        if is_through {
            break;
        }
        job.pods_then(1);
    }
    job.settle();
    (most_two, most_down)
}

#[test]
fn the_next_run_serves_before_the_last_one_goes() {
    for (max_surge, most_two) in [
        (Amount::Count(1), 1),
        (Amount::Count(2), 2),
        (Amount::Count(9), 2),
        (Amount::Percent(1), 1),
        (Amount::Percent(50), 2),
        (Amount::Count(0), 0),
    ] {
        let mut job = surging(6, max_surge);
        job.service.update.watch_seconds = 0;
        job.edit(NEXT);
        let down = if max_surge == Amount::Count(0) { 2 } else { 0 };
        assert_eq!(watch(&mut job), (most_two, down), "{max_surge}");
        assert_eq!((state(&job), job.count(NEXT)), (Some(UpdateState::RolledForward), 6), "{max_surge}");
        assert_eq!(lives(&job).values().copied().collect::<Vec<_>>(), vec![(1, 1); 6]);
    }
}

#[test]
fn a_bad_config_takes_nothing_down() {
    let mut job = surging(5, Amount::Count(2));
    let before: Vec<Uid> = job.tasks.iter().map(|task| task.uid).collect();
    job.edit(BAD);
    assert_eq!(watch(&mut job).1, 0);
    assert_eq!((state(&job), job.count(GOOD)), (Some(UpdateState::RolledBack), 5));
    let live = job.tasks.iter().filter(|task| !task.is_terminal());
    assert_eq!(live.map(|task| task.uid).collect::<Vec<_>>(), before);
}

#[test]
fn a_rollback_of_what_has_come_about_surges_too() {
    let mut job = surging(4, Amount::Count(1));
    job.edit(NEXT);
    job.settle();
    job.update().controls.rollback = Some(Request::default());
    assert_eq!(watch(&mut job), (1, 0));
    assert_eq!((state(&job), job.count(GOOD)), (Some(UpdateState::RolledBack), 4));
}

#[test]
fn a_restart_surges_and_instances_that_go_do_not() {
    let mut job = surging(4, Amount::Count(2));
    job.service.update.restart_at = Some(job.now);
    assert_eq!(watch(&mut job), (2, 0));
    assert_eq!(state(&job), Some(UpdateState::RolledForward));
    let runs: Vec<Run> = job.tasks.iter().filter(|task| !task.is_terminal()).map(|task| task.run).collect();
    assert_eq!(runs, [2; 4]);

    job.service.instances = 2;
    job.edit(NEXT);
    watch(&mut job);
    assert_eq!(lives(&job).into_iter().collect::<Vec<_>>(), [(0, (1, 1)), (1, (1, 1))]);
}

#[test]
fn what_does_not_serve_is_not_waited_for() {
    let mut job = surging(1, Amount::Count(1));
    let uid = job.live(0).unwrap().uid;
    job.task_mut(uid).ready = false;
    job.edit(NEXT);
    job.update_begun();
    while job.progress().working.is_empty() {
        job.step();
    }
    assert_eq!(lives(&job)[&0], (1, 0));
}

#[test]
fn two_stay_while_the_update_stands_still_and_the_one_that_serves_after_its_end() {
    for (abort, left) in [(false, 2), (true, 1)] {
        let mut job = surging(2, Amount::Count(2));
        job.edit(NEXT);
        job.update_begun();
        while job.count(NEXT) < 2 {
            job.step();
        }
        if abort {
            job.update().controls.abort = Some(Request::default());
        } else {
            job.update().controls.paused = true;
        }
        while job.step() {}
        let ends = |task: &&Task| !task.is_terminal() && task.ending.is_none();
        assert_eq!(job.tasks.iter().filter(ends).count(), 2 * left, "abort {abort}");
        assert!(lives(&job).values().all(|(_, serving)| *serving == 1));
        assert_eq!(job.count(GOOD), 2);
        job.settle();
        if abort {
            assert_eq!((job.count(GOOD), job.count(NEXT)), (2, 0));
        } else {
            assert_eq!((job.count(GOOD), job.count(NEXT)), (2, 2));
            job.update().controls.paused = false;
            job.settle();
            assert_eq!((job.count(GOOD), job.count(NEXT)), (0, 2));
        }
    }
}

#[test]
fn an_instance_whose_failure_is_borne_keeps_what_served() {
    let mut job = surging(3, Amount::Count(1));
    job.service.update.max_failed_instances = Amount::Count(3);
    job.edit(BAD);
    assert_eq!(watch(&mut job).1, 0);
    assert_eq!((state(&job), job.updates.len()), (Some(UpdateState::RolledForward), 1));
    assert_eq!((job.count(GOOD), job.count(BAD)), (3, 0));
}

#[test]
fn a_superseded_update_leaves_one_of_two() {
    let mut job = surging(2, Amount::Count(2));
    job.edit(NEXT);
    job.update_begun();
    while job.count(NEXT) < 2 {
        job.step();
    }
    job.edit(Revision::v1(0x3));
    assert_eq!(watch(&mut job).1, 0);
    assert_eq!((job.updates.len(), job.count(Revision::v1(0x3))), (2, 2));
}

#[test]
fn what_serves_is_what_an_instance_had_when_the_next_update_begins() {
    let mut job = surging(2, Amount::Count(2));
    job.edit(NEXT);
    job.update_begun();
    while job.count(NEXT) < 2 {
        job.step();
    }
    job.update().controls.abort = Some(Request::default());
    job.edit(BAD);
    while job.updates.len() == 1 {
        job.step();
    }
    assert_eq!(job.update().instructions.from, [(GOOD, "0-1".parse().unwrap())]);
    job.settle();
    assert_eq!((state(&job), job.count(GOOD)), (Some(UpdateState::RolledBack), 2));
}

/// One task as a case has it: of the wanted config, serving, told to end.
fn case(job: &mut Job, at: usize, [fits, serves, ends]: [bool; 3]) -> Task {
    let now = job.now;
    let task = &mut job.tasks[at];
    task.revision = if fits { NEXT } else { GOOD };
    task.ready = serves;
    task.ending = ends.then_some(Ending { intent: None, at: now, grace_seconds: 30, deleting: true });
    task.clone()
}

#[test]
fn of_two_goes_the_one_that_is_not_wanted_once_the_other_serves() {
    use Pair::{NewGoes, OldGoes, Stays};
    for bits in 0..512u32 {
        let bit = |at: u32| bits >> at & 1 == 1;
        let (may_surge, change, proven) = (bit(6), bit(7), bit(8));
        let mut job = Job::running(2);
        let old = case(&mut job, 0, [bit(0), bit(1), bit(2)]);
        let new = case(&mut job, 1, [bit(3), bit(4), bit(5)]);
        let (old_fits, new_fits) = (bit(0) && !bit(2), bit(3) && !bit(5));
        let (old_serves, new_serves) = (bit(1) && !bit(2), bit(4) && !bit(5));
        let new_is_good = proven && new_serves;
        let target = Target { may_surge, change, new_is_good, ..Target::keep(Some(NEXT)) };
        let expected = match (may_surge, change, old_fits, new_fits) {
            (true, false, ..) => Stays,
            (true, true, false, true) => {
                if new_is_good {
                    OldGoes
                } else {
                    Stays
                }
            }
            (true, true, true, false) if old_serves || !new_serves => NewGoes,
            (true, true, false, false) if old_serves => NewGoes,
            _ if old_serves && !new_serves => NewGoes,
            _ => OldGoes,
        };
        let found = job.with_view(|view| pair(&Fleet::new(view, job.now), &old, &new, &target));
        assert_eq!(found, expected, "{bits:09b}");
        // Whatever is wanted: the only one that serves is not ended.
        assert!(found != OldGoes || !old_serves || new_serves, "{bits:09b}");
        assert!(found != NewGoes || !new_serves || old_serves, "{bits:09b}");
    }
}

/// An update of one instance whose new task serves and is still watched.
fn watched() -> Job {
    let mut job = surging(1, Amount::Count(1));
    job.edit(NEXT);
    while !job.tasks.iter().any(|task| task.revision == NEXT && task.ready) {
        job.step();
        job.pods_then(1);
    }
    job.step();
    assert_eq!(lives(&job)[&0], (2, 2));
    job
}

#[test]
fn what_runs_stays_until_the_next_run_has_passed_its_watch() {
    for borne in [0, 1] {
        let mut job = watched();
        let before = job.tasks[0].uid;
        job.update().settings.max_failed_instances = Amount::Count(borne);
        let (now, new) = (job.now, job.tasks[1].uid);
        job.task_mut(new).fail(now, 1);
        job.broken.insert(NEXT);
        assert_eq!(watch(&mut job).1, 0);
        let end = if borne == 0 { UpdateState::RolledBack } else { UpdateState::RolledForward };
        assert_eq!((state(&job), job.live(0).unwrap().uid), (Some(end), before), "{borne} borne");
        assert_eq!(job.updates.len(), 1);
    }
}

#[test]
fn a_rollback_waits_for_the_end_of_what_was_told_to_end_already() {
    let mut job = watched();
    while job.tasks[0].ending.is_none() {
        job.step();
        job.advance(1);
    }
    job.update().controls.rollback = Some(Request::default());
    for _ in 0..5 {
        job.step();
    }
    assert_eq!(lives(&job)[&0], (2, 1), "{:?}", job.tasks);
    assert_eq!(watch(&mut job), (1, 0));
    assert_eq!((state(&job), job.count(GOOD)), (Some(UpdateState::RolledBack), 1));
}

#[test]
fn a_borne_instance_keeps_its_config_when_its_task_ends_before_the_update_does() {
    let mut job = surging(3, Amount::Count(1));
    job.service.update.max_failed_instances = Amount::Count(1);
    job.edit(BAD);
    while state(&job).is_none() || job.progress().failed.is_empty() {
        job.step();
        job.pods_then(1);
    }
    job.fail(0);
    job.service.update.rollback_on_failure = true;
    for _ in 0..5 {
        job.step();
    }
    assert!(
        job.tasks
            .iter()
            .filter(|task| task.instance == 0 && !task.is_terminal())
            .all(|task| task.revision == GOOD)
    );
    job.settle();
    assert_eq!((state(&job), job.count(GOOD)), (Some(UpdateState::RolledBack), 3));
}

#[test]
fn two_that_nobody_asked_for_become_one() {
    let mut job = Job::running(1);
    let twin = Task { uid: Uid::new(77), run: 5, ready: false, ..job.tasks[0].clone() };
    let (first, second) = (job.tasks[0].uid, twin.uid);
    job.tasks.push(twin);
    let ends = |job: &Job| -> Vec<(Uid, Ended)> {
        let ends = job.plan().actions.into_iter().filter_map(|action| match action {
            Action::End { uid, how, .. } => Some((uid, how)),
            _ => None,
        });
        ends.collect()
    };
    assert_eq!(ends(&job), [(second, Ended::Deleted)]);
    job.task_mut(second).ready = true;
    assert_eq!(ends(&job), [(first, Ended::Deleted)]);
}
