//! What a job as a whole is up to: waiting, starting, its outcome; and what it asks of its role's quota.

use jiff::SignedDuration;

use super::world::{CONFIG, Job, Way};
use crate::{
    model::*,
    plan::{Action, Problem, batch::asks},
};

fn asked(job: &Job) -> u32 {
    job.with_view(|view| asks(view.service, view.status, &view.upstream))
}

fn parent(kind: ParentKind, name: &str, when: ParentEnd) -> Parent {
    Parent { kind, name: name.into(), when }
}

/// A job that waits for a job and for a run of a cron.
fn child() -> Job {
    Job::new(2, |batch| {
        batch.parents = vec![
            parent(ParentKind::Job, "load", ParentEnd::Succeeded),
            parent(ParentKind::Cron, "clean", ParentEnd::Ended),
        ];
    })
}

#[test]
fn enough_successes_complete_a_job_and_end_the_rest() {
    let mut job = Job::running(4, |batch| batch.min_succeeded = Some(2));
    job.end(0, Way::Exit(1));
    job.end(1, Way::Exit(0));
    assert_eq!(job.phase(), Phase::Running);
    let now = job.now;
    job.now += SignedDuration::from_secs(9);
    let uid = job.live(2).unwrap().uid;
    let task = job.task_mut(uid);
    (task.state, task.ended) = (TaskState::Finished, Some(now));
    // It is recorded first, and acted on then.
    let ends = |action: &Action| matches!(action, Action::End { .. });
    assert!(!job.plan().actions.iter().any(ends), "{:#?}", job.plan());
    job.step();
    assert_eq!((job.phase(), job.lives()), (Phase::Ending, vec![3]));
    assert!(job.status.as_ref().unwrap().condition(ConditionType::Complete).is_none());
    job.go();
    assert_eq!((job.phase(), job.lives()), (Phase::Complete, vec![]));
    let said = job.said();
    assert_eq!((said.succeeded.to_string(), said.failed.to_string()), ("1-2".into(), "0".into()));
    assert_eq!((said.failures(), said.started, said.ended), (1, Some(now), Some(job.now)));
}

#[test]
fn more_successes_than_instances_are_not_asked_for() {
    let mut job = Job::running(2, |batch| batch.min_succeeded = Some(9));
    job.end(0, Way::Exit(0));
    job.end(1, Way::Exit(0));
    assert_eq!(job.phase(), Phase::Complete);
    let mut none = Job::new(0, |_| ());
    none.go();
    assert_eq!(none.phase(), Phase::Complete);
}

#[test]
fn the_outcome_waits_for_every_instance() {
    for (least, codes, phase) in [
        (None, [0, 0, 0], Phase::Complete),
        (None, [1, 0, 0], Phase::Failed),
        (Some(1), [1, 1, 0], Phase::Complete),
        (Some(2), [1, 0, 1], Phase::Failed),
        (Some(1), [1, 1, 1], Phase::Failed),
    ] {
        let mut job = Job::running(3, |batch| batch.min_succeeded = least);
        for (instance, code) in (0..3).zip(codes) {
            assert_eq!(job.phase(), Phase::Running, "{least:?} {codes:?}");
            job.end(instance, Way::Exit(code));
        }
        assert_eq!(job.phase(), phase, "{least:?} {codes:?}");
    }
}

#[test]
fn a_terminal_phase_is_never_left() {
    for code in [0, 1] {
        let mut job = Job::running(2, |_| ());
        job.end(0, Way::Exit(0));
        job.end(1, Way::Exit(code));
        let status = job.status.clone();
        let said = status.as_ref().and_then(|status| status.batch.clone());
        job.service.instances = 5;
        (job.batch().suspend, job.batch().kill) = (true, Some(KillReason::Asked));
        job.batch().max_task_failures = None;
        job.tasks.clear();
        job.after(86_400);
        assert_eq!((job.lives(), job.said()), (vec![], said.as_deref().unwrap()));
        job.problem = Some(Problem { reason: reasons::TIER_MISSING, message: String::new(), blocks: true });
        job.go();
        assert_eq!(job.said(), said.as_deref().unwrap());
        let end = if code == 0 { ConditionType::Complete } else { ConditionType::Failed };
        let holds = |status: &Option<ServiceStatus>| {
            let condition = status.as_ref().unwrap().condition(end).unwrap();
            (condition.holds, condition.reason, condition.since)
        };
        assert_eq!(holds(&job.status), holds(&status));
        // A Pod that a writer of before has made all the same.
        let late = job.pending(4, 9, CONFIG);
        job.tasks.push(late);
        job.go();
        assert_eq!((job.lives(), job.said()), (vec![], said.as_deref().unwrap()));
        assert_eq!(asked(&job), 0);
    }
}

#[test]
fn it_waits_for_all_its_parents_and_for_none_once_it_has_begun() {
    let mut job = child();
    let (made, later) = (job.now, job.now + SignedDuration::from_secs(1));
    let seen = |succeeded, ended| ParentSeen { exists: true, succeeded, ended };
    for (first, second, missing) in [
        (ParentSeen::default(), ParentSeen::default(), vec!["AuroraJob/load", "AuroraCron/clean"]),
        (seen(None, Some(later)), seen(None, Some(later)), vec!["AuroraJob/load"]),
        // A run of the cron that had ended before this job was made is none it waits for.
        (seen(Some(made), Some(made)), seen(Some(made), Some(made)), vec!["AuroraCron/clean"]),
    ] {
        job = child();
        job.parents = vec![first, second];
        job.go();
        assert_eq!((job.phase(), job.lives(), asked(&job)), (Phase::Waiting, vec![], 0));
        assert_eq!(job.said().waits_for, missing);
        assert_eq!(job.ready(), (reasons::WAITING, false, false, false));
        assert_eq!(job.status.as_ref().unwrap().observed_revision, None);
    }
    assert_eq!(job.message(ConditionType::Ready), "waits for AuroraCron/clean to end");
    job.parents = vec![seen(Some(made), Some(made)), seen(None, Some(later))];
    assert_eq!(asked(&job), 0, "it is recorded first");
    job.step();
    assert_eq!((job.phase(), job.lives(), asked(&job)), (Phase::Waiting, vec![], 2));
    assert_eq!(job.message(ConditionType::Ready), "its parents have ended: it is about to start");
    job.go();
    assert_eq!((job.lives(), job.said().waits_for.len()), (vec![0, 1], 0));
    job.parents = vec![ParentSeen::default(); 2];
    job.run_all();
    job.end(0, Way::Preempted);
    assert_eq!((job.lives(), asked(&job)), (vec![0, 1], 2));
}

#[test]
fn a_parent_that_has_ended_may_be_gone_before_it_begins() {
    let later = child().now + SignedDuration::from_secs(1);
    let (gone, ended) = (ParentSeen::default(), |succeeded| ParentSeen {
        exists: true,
        succeeded: Some(later).filter(|_| succeeded),
        ended: Some(later),
    });
    let nothing: fn(&mut Job) = |_| ();
    let suspended: fn(&mut Job) = |job| job.batch().suspend = true;
    let blocked: fn(&mut Job) = |job| {
        job.problem = Some(Problem { reason: reasons::TIER_MISSING, message: String::new(), blocks: true });
    };
    let frozen: fn(&mut Job) = |job| job.frozen = true;
    // What holds it back, what is seen of its parents one after the other, and whether it begins in the end.
    for (case, holds, seen, begins) in [
        ("one by one", nothing, [[ended(true), gone], [gone, ended(true)]], true),
        ("one failed", nothing, [[ended(false), gone], [gone, ended(true)]], false),
        ("one forgotten", nothing, [[ended(true), gone], [gone, gone]], false),
        ("suspended", suspended, [[ended(true), ended(true)], [gone, gone]], true),
        ("blocked", blocked, [[ended(true), ended(true)], [gone, gone]], true),
        ("frozen", frozen, [[ended(true), ended(true)], [gone, gone]], true),
    ] {
        let mut job = child();
        holds(&mut job);
        for seen in seen {
            job.parents = seen.to_vec();
            job.go();
        }
        job.batch().suspend = false;
        (job.problem, job.frozen) = (None, false);
        job.parents = vec![gone; 2];
        job.go();
        assert_eq!(job.phase() == Phase::Running, begins, "{case}: {:?}", job.said());
    }
}

#[test]
fn who_is_to_end_and_to_succeed_has_ended_when_he_has_succeeded() {
    let mut job = Job::new(1, |batch| {
        batch.parents =
            [ParentEnd::Ended, ParentEnd::Succeeded].map(|when| parent(ParentKind::Job, "load", when)).into();
    });
    let ended = Some(job.now);
    job.parents = vec![ParentSeen { exists: true, succeeded: None, ended }; 2];
    job.go();
    assert_eq!((job.phase(), job.said().parents_ended.len()), (Phase::Waiting, 0));
    job.parents = vec![ParentSeen { exists: true, succeeded: ended, ended }; 2];
    job.go();
    assert_eq!(job.phase(), Phase::Running);
}

#[test]
fn who_waits_for_himself_is_told() {
    let mut job = Job::new(1, |batch| {
        batch.parents = vec![parent(ParentKind::Job, "sum", ParentEnd::Ended)];
    });
    job.cycle = Some("AuroraJob/sum → AuroraJob/sum");
    job.go();
    assert_eq!(job.ready(), (reasons::DEPENDENCY_CYCLE, false, false, true));
    assert!(job.message(ConditionType::Stalled).contains("AuroraJob/sum → AuroraJob/sum"));
    assert_eq!((job.lives(), asked(&job)), (vec![], 0));
}

#[test]
fn a_run_starts_once_its_cron_has_recorded_it() {
    let mut job = Job::new(1, |_| ());
    job.batch().run_of = Some(RunOf { cron: "nightly".into(), time: job.now });
    job.go();
    assert_eq!((&job.status, job.lives(), asked(&job)), (&None, vec![], 0), "it may go as it has come");
    job.confirmed = true;
    job.go();
    assert_eq!((job.phase(), job.lives(), asked(&job)), (Phase::Running, vec![0], 1));
    // Of one that has said something it is told, if it is not confirmed after all.
    let mut job = Job::new(1, |batch| batch.suspend = true);
    job.go();
    job.batch().run_of = Some(RunOf { cron: "nightly".into(), time: job.now });
    job.batch().suspend = false;
    job.go();
    assert_eq!((job.phase(), job.lives()), (Phase::Waiting, vec![]));
}

#[test]
fn what_asks_for_nothing_has_to_be_granted_its_quota_anew() {
    let mut job = Job::running(2, |_| ());
    let observed = |job: &Job| job.status.as_ref().unwrap().observed_revision;
    assert_eq!((asked(&job), observed(&job)), (2, Some(CONFIG)));
    job.batch().suspend = true;
    assert_eq!(asked(&job), 0);
    job.go();
    assert_eq!(observed(&job), None);
    job.batch().suspend = false;
    assert_eq!(asked(&job), 2);
    assert!(job.plan().actions.is_empty(), "it is recorded first: {:#?}", job.plan());
    job.step();
    assert_eq!((observed(&job), job.lives()), (Some(CONFIG), vec![]));
    job.go();
    assert_eq!(job.lives(), [0, 1]);
    // While its last Pods are ending it still has them.
    job.batch().kill = Some(KillReason::Asked);
    assert_eq!(asked(&job), 2);
    job.step();
    assert_eq!((job.phase(), asked(&job)), (Phase::Ending, 2));
    job.go();
    assert_eq!((job.phase(), asked(&job)), (Phase::Failed, 0));
}

#[test]
fn scaling_adds_instances_and_drops_them() {
    let mut job = Job::running(3, |_| ());
    job.end(2, Way::Exit(1));
    job.service.instances = 1;
    job.go();
    assert_eq!((job.lives(), job.phase()), (vec![0], Phase::Running));
    job.service.instances = 5;
    job.go();
    assert_eq!(job.lives(), [0, 1, 3, 4], "what was given up stays so");
    job.service.instances = 2;
    job.go();
    job.end(0, Way::Exit(0));
    job.end(1, Way::Exit(0));
    assert_eq!(job.phase(), Phase::Complete, "who is not asked for any more fails nothing");
}

#[test]
fn a_limit_that_is_lowered_ends_nobody() {
    let mut job = Job::running(2, |batch| batch.max_task_failures = Some(5));
    job.end(0, Way::Exit(1));
    job.end(1, Way::Exit(1));
    job.run_all();
    job.batch().max_task_failures = Some(1);
    job.go();
    assert_eq!(job.lives(), [0, 1]);
    job.end(0, Way::Exit(0));
    job.end(1, Way::Preempted);
    assert_eq!((job.phase(), job.said().failed.to_string()), (Phase::Failed, "1".into()));
    assert_eq!(job.said().failures(), 2);
}
