//! Updates of some instances, restarts, and what an instance does within its watch.

use jiff::SignedDuration;

use super::job::{BAD, GOOD, Job, NEXT};
use crate::model::*;

fn scope(text: &str) -> Option<Ranges> {
    Some(text.parse().unwrap())
}

fn configs(job: &Job) -> Vec<Option<Revision>> {
    let last = job.tasks.iter().map(|task| task.instance).max().unwrap_or(0);
    (0..=last).map(|instance| job.live(instance).map(|task| task.revision)).collect()
}

#[test]
fn only_the_scope_is_updated_and_widening_it_goes_on() {
    let mut job = Job::running(6);
    let uids: Vec<Uid> = job.tasks.iter().map(|task| task.uid).collect();
    job.service.update.scope = scope("0-1,4");
    job.edit(NEXT);
    job.settle();
    assert_eq!(job.count(NEXT), 3);
    for instance in [2, 3, 5] {
        assert_eq!(job.live(instance).unwrap().uid, uids[instance as usize], "instance {instance}");
    }
    assert_eq!(job.ready(), ("PartlyUpdated", true, false));
    let status = job.status.clone().unwrap();
    assert_eq!((status.last_good, status.counts.updated), (Some(GOOD), 3));
    // What ends outside keeps its config, what is new gets the last good one.
    job.fail(5);
    job.service.instances = 7;
    job.settle();
    assert_eq!((job.live(5).unwrap().revision, job.live(6).unwrap().revision), (GOOD, GOOD));

    job.service.update.scope = scope("0-4");
    job.settle();
    assert_eq!((job.updates.len(), job.count(NEXT)), (2, 5));
    assert_eq!(job.progress().touched.to_string(), "2-3");
    job.service.update.scope = None;
    job.settle();
    assert_eq!((job.count(NEXT), job.ready()), (7, ("Running", true, false)));
    assert_eq!(job.status.as_ref().unwrap().last_good, Some(NEXT));
}

#[test]
fn a_scope_that_changes_nothing_is_said_so() {
    let mut job = Job::running(4);
    job.service.update.scope = scope("0-1");
    job.edit(NEXT);
    job.settle();
    job.edit(GOOD);
    job.service.update.scope = scope("2-3");
    job.events.clear();
    job.settle();
    assert_eq!((job.updates.len(), job.count(NEXT)), (1, 2));
    assert_eq!(job.events.iter().filter(|reason| **reason == "NothingToUpdate").count(), 1);
    job.service.update.scope = None;
    job.settle();
    assert_eq!((job.updates.len(), job.count(GOOD)), (2, 4));
}

#[test]
fn a_scope_keeps_the_count_from_changing_where_it_does_not_reach() {
    // From, to, scope, and what there is in the end.
    for (from, to, within, count) in
        [(6, 3, "0-1", 6), (6, 3, "0-2,5", 5), (6, 3, "3-5", 3), (3, 6, "0-1", 3), (3, 6, "0-4", 5)]
    {
        let mut job = Job::running(from);
        job.service.update.scope = scope(within);
        job.service.instances = to;
        job.edit(NEXT);
        job.settle();
        let there = job.count(NEXT) + job.count(GOOD);
        assert_eq!(there, count, "{from} to {to} within {within}: {:?}", configs(&job));
        assert_eq!(job.status.as_ref().unwrap().counts.desired, count);
        job.service.update.scope = None;
        job.settle();
        assert_eq!((job.count(NEXT), job.count(GOOD)), (to, 0), "{from} to {to}, then all");
    }
}

#[test]
fn a_failed_part_is_taken_back_alone_and_wanting_more_of_it_changes_nothing() {
    let mut job = Job::running(6);
    job.service.update.scope = scope("4-5");
    job.edit(BAD);
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 6));
    job.service.update.scope = None;
    job.settle();
    assert_eq!((job.updates.len(), job.ready().0), (1, "RolledBack"));
}

#[test]
fn a_restart_makes_every_task_anew_once() {
    let mut job = Job::running(5);
    let before: Vec<Uid> = job.tasks.iter().map(|task| task.uid).collect();
    let at = job.now + SignedDuration::from_secs(100);
    job.service.update.restart_at = Some(at);
    job.step();
    assert_eq!((job.updates.len(), job.plan().next_check), (0, Some(at)), "its time has not come");
    job.settle();
    assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledForward, 5));
    assert!(job.tasks.iter().filter(|task| !task.is_terminal()).all(|task| !before.contains(&task.uid)));
    let after: Vec<Uid> = job.tasks.iter().filter(|task| !task.is_terminal()).map(|task| task.uid).collect();
    job.settle();
    assert_eq!(job.updates.len(), 1);
    // Nor does the next update make it happen again.
    job.service.update.scope = scope("0");
    job.edit(NEXT);
    job.settle();
    assert!((1..5).all(|instance| after.contains(&job.live(instance).unwrap().uid)));
}

#[test]
fn a_restart_is_done_once_though_the_clock_of_the_api_server_is_behind() {
    let mut job = Job::running(2);
    let at = job.now;
    job.service.update.restart_at = Some(at);
    job.settle();
    assert_eq!((job.updates.len(), job.progress().state), (1, UpdateState::RolledForward));
    job.tasks.iter_mut().for_each(|task| task.created = at - SignedDuration::from_secs(1));
    job.settle();
    assert_eq!(job.updates.len(), 1);
}

#[test]
fn a_restart_leaves_alone_what_is_younger_and_goes_in_groups() {
    let mut job = Job::running(5);
    let at = job.now;
    job.advance(10);
    job.fail(3);
    job.settle();
    let uid = job.live(3).unwrap().uid;
    job.service.update.restart_at = Some(at);
    let mut most_down = 0;
    for _ in 0..200 {
        job.step();
        let up = job.tasks.iter().filter(|it| !it.is_terminal() && it.ready && it.ending.is_none()).count();
        most_down = most_down.max(5 - up);
        job.pods_then(1);
    }
    assert_eq!((job.progress().state, most_down), (UpdateState::RolledForward, 2));
    assert_eq!((job.live(3).unwrap().uid, job.progress().total), (uid, 4));
}

/// The new task of instance 0 has become Ready, and is no more.
fn unready_in_watch(job: &mut Job) -> Uid {
    while job.live(0).is_none_or(|task| !(task.revision == NEXT && task.ready)) {
        job.step();
        job.pods_then(0);
    }
    job.step();
    job.advance(3);
    let (now, uid) = (job.now, job.live(0).unwrap().uid);
    let task = job.task_mut(uid);
    (task.ready, task.unready_since) = (false, Some(now));
    job.step();
    uid
}

#[test]
fn an_instance_that_stops_being_ready_in_its_watch_has_failed() {
    let mut job = Job::running(1);
    job.edit(NEXT);
    unready_in_watch(&mut job);
    assert_eq!(job.progress().state, UpdateState::RollingForward, "a lost node says so a little later");
    job.advance(5);
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingBack);
    let (_, failures) = job.progress().cause.clone().unwrap();
    assert_eq!((failures.reason, failures.count), (EndReason::Unready, 1));
}

#[test]
fn a_lost_readiness_that_is_borne_has_the_task_made_anew() {
    let mut job = Job::running(1);
    job.service.update.max_per_instance_failures = 1;
    job.edit(NEXT);
    let uid = unready_in_watch(&mut job);
    job.advance(5);
    job.settle();
    assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 1));
    assert_eq!(job.progress().failures[&0].count, 1, "it counts once");
    assert_ne!(job.live(0).unwrap().uid, uid);
}

#[test]
fn a_lost_node_is_no_lost_readiness_and_without_a_watch_there_is_none() {
    let mut job = Job::running(1);
    job.edit(NEXT);
    unready_in_watch(&mut job);
    let (node, now) = (job.live(0).unwrap().node.unwrap(), job.now);
    job.lost_nodes.insert(node, now);
    job.advance(60);
    job.step();
    assert!(job.progress().failures.is_empty());

    let mut job = Job::running(1);
    job.service.update.watch_seconds = 0;
    job.edit(NEXT);
    while job.live(0).is_none_or(|task| !(task.revision == NEXT && task.ready)) {
        job.step();
        job.pods_then(0);
    }
    // It was Ready and is no more before anybody looked.
    let (now, uid) = (job.now, job.live(0).unwrap().uid);
    let task = job.task_mut(uid);
    (task.ready, task.unready_since) = (false, Some(now));
    job.advance(60);
    job.step();
    assert_eq!((job.progress().state, job.progress().failures.len()), (UpdateState::RollingForward, 0));
}

#[test]
fn what_fails_while_paused_is_counted_and_stays_counted() {
    let mut job = Job::running(1);
    job.service.update.max_per_instance_failures = 1;
    job.service.flapping.initial_delay_seconds = 1;
    job.edit(NEXT);
    unready_in_watch(&mut job);
    job.update().controls.paused = true;
    job.step();
    for _ in 0..2 {
        job.fail(0);
        job.settle();
    }
    assert_eq!(job.progress().state, UpdateState::RollForwardPaused);
    assert_eq!(job.progress().failures[&0].count, 2);
    job.update().controls.paused = false;
    job.step();
    assert_eq!(job.progress().state, UpdateState::RollingBack);
}

#[test]
fn a_percentage_of_failed_instances_is_borne_and_no_more() {
    for (percent, state) in [(40, UpdateState::RolledForward), (39, UpdateState::RolledBack)] {
        let mut job = Job::running(5);
        job.service.update.max_failed_instances = Amount::Percent(percent);
        job.service.update.scope = scope("0-1");
        job.edit(BAD);
        job.settle();
        assert_eq!(job.progress().state, state, "{percent}% of 5");
    }
}

#[test]
fn what_it_waits_for_is_said_of_an_instance_that_took_too_long() {
    let mut job = Job::running(1);
    job.service.update.max_wait_seconds = 60;
    job.edit(NEXT);
    while job.live(0).is_none_or(|task| task.revision != NEXT) {
        job.step();
        if job.live(0).is_none_or(|task| task.revision != NEXT) {
            job.pods_then(0);
        }
    }
    let uid = job.live(0).unwrap().uid;
    job.task_mut(uid).waiting = Some(Waiting::ImagePull);
    job.advance(60);
    job.step();
    let (_, failures) = job.progress().cause.clone().unwrap();
    assert_eq!(failures.reason, EndReason::TooSlow);
    assert!(failures.message.ends_with("it cannot pull an image (ImagePullBackOff)"), "{}", failures.message);
}

mod auroras_own {
    //! Aurora's end-to-end scenarios of updates, as far as they concern decisions.

    use super::*;

    #[test]
    fn add_one_to_three() {
        let mut job = Job::running(1);
        job.service.instances = 3;
        job.edit(NEXT);
        let mut order = Vec::new();
        for _ in 0..200 {
            job.step();
            if let Some(progress) = job.updates.last().and_then(|update| update.progress.as_ref()) {
                order.push(progress.working.to_string());
            }
            job.pods_then(1);
        }
        order.dedup();
        assert_eq!(order, ["", "1-2", "0", ""], "what comes is taken on before what changes");
        assert_eq!((job.count(NEXT), job.progress().state), (3, UpdateState::RolledForward));
    }

    #[test]
    fn kill_only_three_to_one() {
        let mut job = Job::running(3);
        let uid = job.live(0).unwrap().uid;
        job.service.instances = 1;
        job.settle();
        assert_eq!((job.count(GOOD), job.live(0).unwrap().uid, job.updates.len()), (1, uid, 0));
    }

    #[test]
    fn add_with_waits() {
        let mut job = Job::running(1);
        job.service.update.watch_seconds = 20;
        job.service.update.strategy = Strategy::Queue { group_size: Amount::Count(1) };
        job.service.instances = 3;
        job.edit(NEXT);
        let begun = job.now;
        while job.updates.last().is_none_or(|it| it.progress.as_ref().is_none_or(|p| !p.state.is_terminal()))
        {
            job.step();
            job.pods_then(1);
        }
        let took = job.now.duration_since(begun).as_secs();
        assert_eq!(job.count(NEXT), 3);
        assert!((60..90).contains(&took), "three watches one after the other, but {took} s");
    }

    #[test]
    fn restart_in_mid_update_with_pause_and_resume() {
        let mut job = Job::running(4);
        job.edit(NEXT);
        while job.count(NEXT) < 2 {
            job.step();
            job.pods_then(0);
        }
        // Whoever takes over has nothing but what was written: the runs seen, and all that only memory held, are gone.
        job.seen_runs.clear();
        job.update().controls.paused = true;
        job.settle();
        assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RollForwardPaused, 2));
        job.update().controls.paused = false;
        job.settle();
        assert_eq!((job.progress().state, job.count(NEXT)), (UpdateState::RolledForward, 4));
    }

    #[test]
    fn bad_health_rolled_back() {
        let mut job = Job::running(3);
        job.service.update.strategy = Strategy::Queue { group_size: Amount::Count(1) };
        job.edit(BAD);
        job.settle();
        assert_eq!((job.progress().state, job.count(GOOD)), (UpdateState::RolledBack, 3));
    }

    #[test]
    fn variable_batch() {
        let mut job = Job::running(6);
        let group_sizes = vec![Amount::Count(1), Amount::Count(2), Amount::Count(3)];
        job.service.update.strategy = Strategy::VariableBatch { group_sizes, autopause: false };
        job.edit(NEXT);
        let mut groups = Vec::new();
        for _ in 0..300 {
            job.step();
            if let Some(progress) = job.updates.last().and_then(|update| update.progress.as_ref()) {
                groups.push(progress.working.to_string());
            }
            job.pods_then(1);
        }
        groups.dedup();
        groups.retain(|group| !group.is_empty());
        let whole = ["0", "1-2", "3-5"];
        assert!(whole.iter().all(|group| groups.iter().any(|it| it == group)), "{groups:?}");
        assert_eq!(job.progress().state, UpdateState::RolledForward);
    }
}
