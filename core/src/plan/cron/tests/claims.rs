//! From the claim to the start, whatever others have done meanwhile; and what is kept.

use super::*;

#[test]
fn nothing_is_made_before_its_claim_is_recorded_nor_started_before_it_is_known() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    let plan = desk.step();
    assert_eq!((desk.told.join(", ").as_str(), plan.actions.len()), ("claim 12:00 Schedule", 0));
    assert_eq!(desk.status().last_scheduled, Some(at("11:00")), "it may yet be lost");
    let plan = desk.step();
    assert!(matches!(plan.actions[..], [CronAction::CreateRun { .. }]));
    assert_eq!(desk.records(|_| true), []);
    // The object is there: the status that names it is what lets it start.
    let plan = desk.step();
    assert_eq!((desk.records(|_| true), plan.actions.len()), (vec![Some(desk.runs[0].uid)], 0));
    assert_eq!((desk.status().last_scheduled, desk.status().pending), (Some(at("12:00")), None));
    assert_eq!(desk.runs[0].name.as_ref(), "backup-1781092800");
}

#[test]
fn a_run_that_was_promised_is_made_without_a_claim() {
    let mut desk = Desk::new("0 * * * *", "11:00", "11:59:59");
    assert_eq!((desk.settle().as_str(), desk.status().next), ("", Some(at("12:00"))));
    let promise = desk.clone();
    desk.now = at("12:00");
    let plan = desk.step();
    assert!(matches!(plan.actions[..], [CronAction::CreateRun { .. }]));
    assert_eq!(desk.status, promise.status, "nothing is written before the run is there");
    assert_eq!(desk.settle(), "make 12:00, start 12:00");
    assert_eq!((desk.status().last_scheduled, desk.status().next), (Some(at("12:00")), Some(at("13:00"))));
    // Made by a leader that died: it starts, however late.
    let mut late = promise.clone();
    late.stray("12:00");
    late.now = at("12:30");
    assert_eq!(late.settle(), "start 12:00");
    // Another spec promises nothing.
    let mut changed = promise.clone();
    changed.cron.generation += 1;
    assert_eq!(changed.settle_at("12:00"), "claim 12:00 Schedule, make 12:00, start 12:00");
    // What has more to say than the claim says it first; the run that is ended for it is ended under the newest status.
    let mut waits = promise.clone();
    waits.active("11:00", RunCause::Schedule);
    assert_eq!(waits.settle_at("12:00"), "claim 12:00 Schedule, kill 11:00");
    waits.end(None);
    assert_eq!(waits.settle(), "failed 11:00, make 12:00, start 12:00");
    // By the clock of who has made it, it is due, and that leader may be about to record it. What is not even next is nobody's.
    let mut early = promise;
    early.stray("12:00");
    early.stray("13:00");
    assert_eq!(early.settle(), "remove 13:00");
    assert_eq!(early.settle_at("12:00"), "start 12:00");
}

#[test]
fn what_others_have_made_of_the_claim_is_taken_up() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    desk.claimed("12:00", RunCause::Schedule);
    desk.stray("12:00");
    assert_eq!(desk.settle(), "start 12:00");
    // A claim whose run is on record already is done.
    desk.claimed("12:00", RunCause::Asked);
    assert_eq!((desk.settle().as_str(), desk.status().pending), ("", None));
    assert_eq!(desk.records(|_| true).len(), 1);
}

#[test]
fn what_nobody_claims_is_removed_under_a_status_that_is_proved_the_newest() {
    let mut desk = Desk::new("0 * * * *", "12:00", "12:10");
    assert_eq!(desk.settle(), "");
    for time in ["11:00", "12:00", "12:07:30", "14:00"] {
        let uid = desk.stray(time);
        let plan = desk.plan();
        assert_eq!(plan.actions, [CronAction::RemoveRun { name: run_name("backup", at(time)), uid }]);
        assert!(plan.verify, "{time}: another leader may just have claimed it");
        desk.settle();
    }
    // Of what is claimed, recorded or somebody else's nothing is removed.
    desk.active("11:30", RunCause::Asked);
    desk.claimed("12:08", RunCause::Asked);
    desk.stray("12:08");
    desk.stray("12:09");
    desk.runs.last_mut().unwrap().owned = false;
    desk.cron.collision = Collision::Queue;
    assert_eq!(desk.settle(), "");
    // What is being deleted is not taken for the run: it is made anew.
    desk.end(None);
    let at_name = desk.runs.iter_mut().find(|run| run.time == at("12:08")).unwrap();
    at_name.deleting = true;
    assert_eq!(desk.settle(), "done 11:30");
    desk.runs.retain(|run| run.time != at("12:08"));
    assert_eq!(desk.settle(), "make 12:08, start 12:08");
}

#[test]
fn two_runs_never_go_on_at_once() {
    for collision in [Collision::KillExisting, Collision::CancelNew, Collision::Queue] {
        let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
        desk.cron.collision = collision;
        desk.active("11:00", RunCause::Schedule);
        desk.claimed("12:00", RunCause::Schedule);
        // Somebody who did not know of the one that goes on has made it.
        desk.stray("12:00");
        desk.settle();
        assert_eq!(desk.records(|outcome| outcome == RunOutcome::Active).len(), 1, "{collision:?}");
        desk.end(None);
        assert!(desk.settle().ends_with("start 12:00"), "{collision:?}");
    }
}

#[test]
fn a_run_that_is_not_seen_is_only_taken_for_removed_where_that_is_sure() {
    let mut desk = Desk::new("0 * * * *", "12:00", "12:10");
    desk.active("12:00", RunCause::Schedule);
    desk.runs.clear();
    desk.settled = false;
    let plan = desk.step();
    assert!(plan.unsettled && desk.told.is_empty(), "{:?}", desk.told);
    desk.settled = true;
    assert!(!desk.plan().unsettled);
    assert_eq!(desk.settle(), "gone 12:00");
    assert_eq!(desk.status().last_ended, Some(at("12:10")));
    assert_eq!(desk.status().last_succeeded, None);
}

#[test]
fn a_foreign_object_of_a_runs_name_is_left_alone_and_told_of() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    desk.stray("12:00");
    desk.runs[0].owned = false;
    assert_eq!(desk.settle(), "claim 12:00 Schedule");
    let stalled = desk.condition(ConditionType::Stalled);
    assert_eq!((stalled.holds, stalled.reason), (true, reasons::NAME_CONFLICT));
    assert!(stalled.message.contains("AuroraJob backup-1781092800"), "{}", stalled.message);
    assert_eq!(desk.settle_at("13:00"), "skip 13:00 AnotherWaits");
    // A person leaves the time out.
    desk.cron.suspend = true;
    assert_eq!(desk.settle(), "skip 12:00 Suspended");
    assert!(!desk.condition(ConditionType::Stalled).holds);
    // Or takes the object away.
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    desk.stray("12:00");
    desk.runs[0].owned = false;
    desk.settle();
    desk.runs.clear();
    assert_eq!(desk.settle(), "make 12:00, start 12:00");
}

#[test]
fn what_is_asked_for_can_be_taken_back_until_it_is_made() {
    let (before, after) = (Some(at("12:05")), Some(at("12:08")));
    for (asked, there, suspend, told) in [
        (before, "nothing", false, ""),
        (before, "foreign", false, ""),
        (before, "foreign", true, ""),
        (None, "nothing", false, "skip 12:05 Withdrawn"),
        (None, "foreign", false, "skip 12:05 Withdrawn"),
        (None, "its own", false, ""),
        (after, "nothing", false, "skip 12:05 Withdrawn, claim 12:08 Asked"),
        (after, "foreign", false, "skip 12:05 Withdrawn, claim 12:08 Asked"),
        (after, "its own", false, ""),
    ] {
        let mut desk = Desk::new("", "11:00", "12:10");
        desk.cron.collision = Collision::Queue;
        desk.active("11:30", RunCause::Asked);
        desk.claimed("12:05", RunCause::Asked);
        if there != "nothing" {
            desk.stray("12:05");
            desk.runs.last_mut().unwrap().owned = there == "its own";
        }
        (desk.cron.run_at, desk.cron.suspend) = (asked, suspend);
        assert_eq!(desk.settle(), told, "{asked:?} {there}");
        let stalled = desk.condition(ConditionType::Stalled).clone();
        let conflict = there == "foreign" && asked == before;
        assert_eq!(stalled.holds, conflict, "{asked:?} {there}");
        let remedy = "remove it, or take spec.runAt away, or change it, to leave this time out";
        assert!(!conflict || stalled.message.ends_with(remedy), "{}", stalled.message);
        desk.end(None);
        desk.now += secs(1);
        let runs = desk.settle();
        assert_eq!(runs.contains("start 12:05"), told.is_empty() && !conflict, "{asked:?} {there}: {runs}");
    }
}

#[test]
fn a_suspended_cron_drops_what_is_not_made_and_runs_what_is_asked_for() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    desk.claimed("12:00", RunCause::Schedule);
    desk.cron.suspend = true;
    let mut made = desk.clone();
    assert_eq!(desk.settle(), "skip 12:00 Suspended");
    // Made too late by a leader that did not know: it never starts.
    desk.stray("12:00");
    assert_eq!(desk.settle(), "remove 12:00");
    made.stray("12:00");
    assert_eq!(made.settle(), "start 12:00");
    assert_eq!(made.status().last_scheduled, Some(at("12:00")));
    made.end(None);
    made.cron.run_at = Some(at("12:05:10") + SignedDuration::from_millis(700));
    assert_eq!(made.settle_at("12:05:10"), "done 12:00");
    assert_eq!(made.plan().next_check, made.cron.run_at);
    assert_eq!(made.settle_at("12:05:11"), "claim 12:05:10 Asked, make 12:05:10, start 12:05:10");
    made.end(None);
    assert_eq!(made.settle_at("12:20"), "done 12:05:10");
}

#[test]
fn what_is_asked_for_and_what_is_due_at_the_same_time_is_one_run() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00:20");
    desk.cron.jitter_seconds = 600;
    desk.cron.run_at = Some(at("12:00"));
    assert_eq!(desk.settle(), "claim 12:00 Asked, make 12:00, start 12:00");
    assert_eq!(desk.status().last_scheduled, Some(at("11:00")), "what is asked for deals with nothing else");
    desk.end(None);
    assert_eq!(desk.settle_at("12:20"), "done 12:00");
    assert_eq!((desk.status().last_scheduled, desk.status().missed), (Some(at("12:00")), 0));
    // The other way round, also when the status has forgotten it.
    desk.cron.run_at = Some(at("11:00"));
    desk.stray("11:00");
    desk.runs[0].end = Some(RunEnd { at: at("11:10"), failure: None });
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.status().observed_run_at, Some(at("11:00")));
}

#[test]
fn what_is_asked_for_does_not_wait_for_a_backlog_but_for_a_claim() {
    let mut desk = Desk::new("0 * * * *", "09:00", "11:30");
    desk.cron.catch_up = CatchUp::All { window_seconds: 86_400 };
    desk.cron.run_at = Some(at("11:20"));
    assert_eq!(desk.settle(), "claim 11:20 Asked, make 11:20, start 11:20");
    desk.end(None);
    assert_eq!(desk.settle(), "done 11:20, claim 10:00 CatchUp, make 10:00, start 10:00");
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00:10");
    desk.cron.run_at = Some(at("12:00:05"));
    // A time would be missed while it waits; what is asked for stands in the spec.
    assert!(
        desk.settle()
            .starts_with("claim 12:00 Schedule, make 12:00, start 12:00, claim 12:00:05 Asked, kill")
    );
}

#[test]
fn nothing_is_started_or_killed_in_a_freeze_and_nothing_touched_where_the_spec_is_unusable() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    desk.active("11:00", RunCause::Schedule);
    desk.frozen = true;
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.plan().held[0].reason, reasons::FROZEN);
    desk.claimed("11:30", RunCause::Asked);
    assert_eq!(desk.settle(), "", "nothing is killed for it");
    desk.end(None);
    assert_eq!(desk.settle(), "done 11:00", "nothing is made");
    desk.stray("11:30");
    assert_eq!(desk.settle(), "", "nothing is started");
    desk.frozen = false;
    desk.problem = Some(Problem {
        reason: reasons::INVALID_SPEC,
        message: "spec.schedules[0] is not understood".to_owned(),
        blocks: true,
    });
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.condition(ConditionType::Stalled).message, "spec.schedules[0] is not understood");
    desk.problem = None;
    desk.cycle = Some("AuroraCron/backup → AuroraCron/backup".to_owned());
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.condition(ConditionType::Stalled).reason, reasons::DEPENDENCY_CYCLE);
    desk.cycle = None;
    assert_eq!(desk.settle(), "start 11:30, claim 12:00 Schedule, kill 11:30");
    // Ends are recorded all the while: others go by them.
    desk.end(None);
    desk.problem = Some(Problem { reason: reasons::INVALID_SPEC, message: String::new(), blocks: true });
    assert_eq!(desk.settle(), "failed 11:30");
    desk.cron.deleting = true;
    assert_eq!(desk.plan(), CronPlan::default());
}

#[test]
fn runs_are_removed_beyond_the_history_and_after_their_ttl_once_their_end_is_on_record() {
    let mut desk = Desk::new("", "11:00", "12:00");
    desk.cron.history = RunHistory { succeeded: 2, failed: 1 };
    for (time, failure) in [
        ("11:01", None),
        ("11:02", Some(BatchFailure::Instances)),
        ("11:03", None),
        ("11:04", Some(BatchFailure::TimedOut)),
        ("11:05", None),
    ] {
        desk.active(time, RunCause::Asked);
        desk.now = at(time) + secs(10);
        desk.end(failure);
        desk.settle();
    }
    let left: Vec<_> = desk.runs.iter().map(|run| words::clock(run.time)).collect();
    assert_eq!(left, ["11:03", "11:04", "11:05"]);
    assert!(desk.records(|outcome| outcome == RunOutcome::Failed(BatchFailure::TimedOut)).len() == 1);
    desk.now = at("12:00");
    desk.runs[0].ttl_seconds = Some(3600);
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.plan().next_check, Some(at("12:03:10")));
    assert_eq!(desk.settle_at("12:03:10"), "remove 11:03");
    // One that the status has forgotten is kept and removed like the others, if the status is the newest.
    desk.status().runs.clear();
    desk.cron.history.failed = 0;
    assert!(desk.plan().verify);
    assert_eq!(desk.settle(), "remove 11:04");
    // What is not kept at all is still recorded first.
    desk.cron.history = RunHistory { succeeded: 0, failed: 0 };
    desk.active("12:04", RunCause::Asked);
    desk.end(None);
    assert!(desk.plan().actions.iter().all(|action| words::action(action, &desk.runs) != "remove 12:04"));
    assert_eq!(desk.settle(), "done 12:04, remove 11:05, remove 12:04");
}

#[test]
fn in_a_freeze_runs_that_have_ended_stay() {
    // What is kept, the ttl, what happens: a run that has ended, and one that nobody has claimed.
    for (kept, ttl, told) in
        [(3, None, ""), (3, Some(7200), ""), (0, None, "remove 11:30"), (3, Some(60), "remove 11:30")]
    {
        let mut desk = Desk::new("", "11:00", "12:00");
        desk.cron.history.succeeded = kept;
        desk.active("11:30", RunCause::Asked);
        desk.runs[0].ttl_seconds = ttl;
        desk.end(None);
        desk.frozen = true;
        desk.stray("11:45");
        assert_eq!(desk.settle_at("12:30"), "done 11:30, remove 11:45", "{kept} {ttl:?}");
        let busy = desk.condition(ConditionType::Reconciling).clone();
        let held: Vec<_> = desk.plan().held.iter().map(|held| held.reason).collect();
        let frozen = if told.is_empty() { vec![] } else { vec![reasons::FROZEN] };
        assert_eq!((busy.holds, held), (!told.is_empty(), frozen), "{kept} {ttl:?}");
        desk.frozen = false;
        assert_eq!(desk.settle(), told, "{kept} {ttl:?}");
    }
}

#[test]
fn what_is_due_while_a_claim_is_being_made_meets_its_run() {
    for (collision, told) in [
        (Collision::KillExisting, "make 11:59, start 11:59, claim 12:00 Schedule, kill 11:59"),
        (Collision::CancelNew, "make 11:59, start 11:59, skip 12:00 Collision"),
        (Collision::Queue, "make 11:59, start 11:59, claim 12:00 Schedule"),
    ] {
        // A leader has died right after its claim, and a minute has passed.
        let mut desk = Desk::new("* * * * *", "11:58", "12:00:05");
        desk.claimed("11:59", RunCause::Schedule);
        desk.cron.collision = collision;
        assert_eq!(desk.settle(), told);
    }
}

#[test]
fn the_last_ten_are_remembered_with_what_goes_on_and_the_last_run_there_was() {
    let mut desk = Desk::new("* * * * *", "11:00", "11:00");
    desk.cron.collision = Collision::CancelNew;
    desk.active("11:00", RunCause::Schedule);
    for minute in 1..20 {
        desk.now = at("11:00") + secs(60 * minute);
        desk.settle();
    }
    assert_eq!(desk.status().runs.len(), 11);
    assert_eq!(desk.records(|outcome| outcome == RunOutcome::Active).len(), 1);
    desk.end(None);
    desk.cron.suspend = true;
    desk.settle();
    assert_eq!((desk.status().runs.len(), desk.status().last_succeeded), (11, Some(desk.now)));
}

#[test]
fn a_cron_begins_at_its_creation_and_a_lost_status_takes_up_what_runs() {
    let mut desk = Desk::new("0 * * * *", "00:00", "00:00:05");
    desk.status = None;
    desk.cron.run_at = Some(at("2026-06-09T12:00"));
    assert_eq!(desk.plan().actions, []);
    assert_eq!(desk.settle(), "", "neither midnight nor what was asked of another cron");
    assert_eq!(desk.settle_at("01:00"), "make 01:00, start 01:00");
    desk.runs[0].started = Some(at("01:00:01"));
    // What has not begun is nobody's: it is the run of its time, if that is due.
    desk.status = None;
    desk.stray("02:00");
    desk.stray("01:30");
    assert_eq!(desk.settle_at("02:00:10"), "start 01:00, claim 02:00 Schedule, remove 01:30, kill 01:00");
    desk.end(None);
    assert_eq!(desk.settle(), "failed 01:00, start 02:00");
}

#[test]
fn people_hear_of_each_turn_once() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    let mut heard = Vec::new();
    for now in ["12:00", "12:00", "12:00", "12:00", "13:00", "13:00", "13:00", "13:00"] {
        desk.now = at(now);
        heard.extend(desk.step().events.into_iter().map(|event| (event.reason, event.warning)));
    }
    desk.end(None);
    for now in ["13:01", "13:01", "13:01", "15:30"] {
        desk.now = at(now);
        heard.extend(desk.step().events.into_iter().map(|event| (event.reason, event.warning)));
    }
    let news = [
        ("RunStarted", false),
        ("RunKilled", false),
        ("RunFailed", true),
        ("RunStarted", false),
        ("RunMissed", true),
    ];
    assert_eq!(heard, news);
}
