//! A job within what it was granted of its role's quota.

use super::world::{CONFIG, Job, Way};
use crate::{
    admit::ledger::{Admission, Verdict, plan_admitted},
    model::*,
    plan::{Action, NoSla, Plan, Problem, plan_under},
};

fn granted(instances: u32) -> Grant {
    let share = Share { revision: CONFIG, instances, each: Resources::NONE };
    Grant { number: 1, share, previous: None, time: jiff::Timestamp::UNIX_EPOCH }
}

fn exceeded() -> Problem {
    Problem { reason: reasons::QUOTA_EXCEEDED, message: "too much".into(), blocks: false }
}

/// The plan of a job that the ledger has granted this, or that waits for quota.
fn plan(job: &Job, grant: Option<&Grant>, is_held: bool) -> Plan {
    let (problem, verdict) = (exceeded(), Verdict::Limited);
    let admission = Admission { grant: grant.cloned(), verdict };
    let obstacle = is_held.then_some(&problem);
    job.with_view(|view| plan_admitted(view, &admission, obstacle, |view| plan_under(view, job.now, &NoSla)))
}

fn creates(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| matches!(action, Action::Create { .. })).count()
}

/// Plans twice, writing the status between.
fn twice(job: &mut Job, grant: Option<&Grant>, is_held: bool) -> Plan {
    let first = plan(job, grant, is_held);
    assert_eq!(creates(&first), 0, "it is recorded first");
    job.status = first.status;
    plan(job, grant, is_held)
}

#[test]
fn what_is_held_starts_nothing_and_says_so() {
    let mut job = Job::new(2, |_| ());
    let held = twice(&mut job, None, true);
    assert_eq!(creates(&held), 0);
    assert_eq!(job.ready(), (reasons::QUOTA_EXCEEDED, false, false, true));
    assert_eq!(creates(&twice(&mut job, Some(&granted(2)), false)), 2);
}

#[test]
fn what_waits_is_told_and_is_granted_nothing_by_it() {
    let mut job = Job::new(2, |batch| {
        let (kind, name, when) = (ParentKind::Job, "load".into(), ParentEnd::Ended);
        batch.parents = vec![Parent { kind, name, when }];
    });
    for grant in [None, Some(&granted(0))] {
        assert_eq!(creates(&twice(&mut job, grant, false)), 0);
        assert_eq!(
            job.status.take().and_then(|status| status.batch).map(|it| it.phase),
            Some(Phase::Waiting)
        );
    }
    job.batch().parents.clear();
    // The ledger has not looked at it again.
    assert_eq!(plan(&job, Some(&granted(0)), false), Plan::default());
    assert_eq!(creates(&twice(&mut job, None, true)), 0);
    assert_eq!(job.ready().0, reasons::QUOTA_EXCEEDED);
    assert_eq!(creates(&twice(&mut job, Some(&granted(2)), false)), 2);
}

#[test]
fn who_waits_for_quota_remembers_that_its_parents_have_ended() {
    let mut job = Job::new(2, |batch| {
        let (kind, name, when) = (ParentKind::Job, "load".into(), ParentEnd::Succeeded);
        batch.parents = vec![Parent { kind, name, when }];
    });
    let ended = Some(job.now);
    job.parents = vec![ParentSeen { exists: true, succeeded: ended, ended }];
    // It asks for its quota from here on.
    job.status = plan(&job, Some(&granted(0)), false).status;
    assert_eq!(job.said().parents_ended, ["AuroraJob/load"]);
    job.parents = vec![ParentSeen::default()];
    assert_eq!(plan(&job, Some(&granted(0)), false), Plan::default());
    assert_eq!(creates(&twice(&mut job, Some(&granted(0)), true)), 0);
    assert_eq!(job.ready().0, reasons::QUOTA_EXCEEDED);
    assert_eq!(creates(&twice(&mut job, Some(&granted(2)), false)), 2);
}

#[test]
fn who_goes_on_after_a_pause_asks_anew() {
    let mut job = Job::running(2, |_| ());
    job.status.as_mut().unwrap().admitted = Some(granted(2));
    job.batch().suspend = true;
    job.go();
    job.status.as_mut().unwrap().admitted = Some(granted(0));
    job.batch().suspend = false;
    assert_eq!(creates(&twice(&mut job, Some(&granted(0)), true)), 0);
    assert_eq!(job.ready().0, reasons::QUOTA_EXCEEDED);
}

#[test]
fn more_instances_than_granted_run_one_after_the_other() {
    let mut job = Job::running(2, |_| ());
    job.service.instances = 4;
    let grant = granted(2);
    job.status.as_mut().unwrap().admitted = Some(grant.clone());
    let held = plan(&job, Some(&grant), true);
    assert_eq!(creates(&held), 0);
    let (uid, now) = (job.live(0).unwrap().uid, job.now);
    let task = job.task_mut(uid);
    (task.state, task.ended) = (TaskState::Finished, Some(now));
    assert_eq!(creates(&plan(&job, Some(&grant), true)), 1);
    job.batch().parallelism = Some(1);
    assert_eq!(creates(&plan(&job, Some(&grant), true)), 0);
    // Two have succeeded, but four were asked for.
    job.end(1, Way::Exit(0));
    job.tasks.retain(Task::is_terminal);
    let plan = plan(&job, Some(&grant), true);
    assert_eq!(plan.status.unwrap().batch.unwrap().phase, Phase::Running);
}

#[test]
fn a_kill_ends_what_waits_for_quota() {
    let mut job = Job::new(2, |_| ());
    twice(&mut job, None, true);
    job.batch().kill = Some(KillReason::Collision);
    job.status = plan(&job, None, true).status;
    assert_eq!(job.phase(), Phase::Failed);
}
