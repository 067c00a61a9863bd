//! Crons that wait for others.

use super::*;

fn parent(name: &str, when: ParentEnd) -> Parent {
    Parent { kind: ParentKind::Cron, name: name.into(), when }
}

/// A cron with the parents left and right.
fn desk(schedule: &str, when: ParentEnd, now: &str) -> Desk {
    let mut desk = Desk::new(schedule, "11:00", now);
    desk.cron.parents = vec![parent("left", when), parent("right", when)];
    desk.parents = vec![ParentSeen { exists: true, ..ParentSeen::default() }; 2];
    desk
}

fn succeeds(desk: &mut Desk, parent: usize, time: &str) {
    desk.parents[parent] = ParentSeen { exists: true, succeeded: Some(at(time)), ended: Some(at(time)) };
}

fn fails(desk: &mut Desk, parent: usize, time: &str) {
    desk.parents[parent].ended = Some(at(time));
}

#[test]
fn a_run_starts_whenever_all_parents_have_ended_anew() {
    let mut desk = desk("", ParentEnd::Succeeded, "11:30");
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.status().waits_for, ["AuroraCron/left", "AuroraCron/right"]);
    succeeds(&mut desk, 0, "11:31");
    assert_eq!(desk.settle_at("11:31"), "");
    assert_eq!(desk.status().waits_for, ["AuroraCron/right"]);
    fails(&mut desk, 1, "11:32");
    assert_eq!(desk.settle_at("11:32"), "", "a failure is no success");
    succeeds(&mut desk, 1, "11:33");
    assert_eq!(desk.settle_at("11:33:05"), "claim 11:33 Parents, make 11:33, start 11:33");
    desk.end(None);
    // Both again, and after it started.
    assert_eq!(desk.settle_at("11:34"), "done 11:33");
    succeeds(&mut desk, 1, "11:35");
    assert_eq!(desk.settle_at("11:35"), "");
    succeeds(&mut desk, 0, "11:36");
    assert_eq!(desk.settle_at("11:36"), "claim 11:36 Parents, make 11:36, start 11:36");
}

#[test]
fn where_an_end_is_enough_a_failure_is_one() {
    let mut desk = desk("", ParentEnd::Ended, "11:30");
    succeeds(&mut desk, 0, "11:31");
    fails(&mut desk, 1, "11:32");
    assert_eq!(desk.settle_at("11:32"), "claim 11:32 Parents, make 11:32, start 11:32");
}

#[test]
fn ends_of_before_the_cron_or_its_suspension_call_for_nothing() {
    let mut desk = desk("", ParentEnd::Ended, "11:30");
    succeeds(&mut desk, 0, "10:59");
    succeeds(&mut desk, 1, "11:00");
    assert_eq!(desk.settle(), "");
    desk.cron.suspend = true;
    desk.settle();
    succeeds(&mut desk, 0, "11:40");
    succeeds(&mut desk, 1, "11:41");
    assert_eq!(desk.settle_at("11:50"), "");
    desk.cron.suspend = false;
    assert_eq!(desk.settle(), "");
}

#[test]
fn runs_by_parents_collide_like_any_others() {
    for (collision, told) in [
        (Collision::KillExisting, "claim 11:40 Parents, kill 11:33"),
        (Collision::CancelNew, "skip 11:40 Collision"),
        (Collision::Queue, "claim 11:40 Parents"),
    ] {
        let mut desk = desk("", ParentEnd::Ended, "11:33");
        desk.cron.collision = collision;
        desk.active("11:33", RunCause::Parents);
        succeeds(&mut desk, 0, "11:39");
        succeeds(&mut desk, 1, "11:40");
        assert_eq!(desk.settle_at("11:40"), told);
        assert_eq!(desk.settle_at("11:41"), "", "{collision:?}: these ends have had their word");
    }
}

#[test]
fn a_time_waits_for_parents_and_the_run_that_goes_on_is_not_killed_meanwhile() {
    let mut desk = desk("0 * * * *", ParentEnd::Succeeded, "12:00");
    desk.active("11:00", RunCause::Schedule);
    assert_eq!(desk.settle(), "claim 12:00 Schedule");
    succeeds(&mut desk, 0, "12:10");
    assert_eq!(desk.settle_at("12:10"), "");
    succeeds(&mut desk, 1, "12:11");
    assert_eq!(desk.settle_at("12:11"), "kill 11:00");
    desk.end(None);
    assert_eq!(desk.settle_at("12:12"), "failed 11:00, make 12:00, start 12:00");
    desk.end(None);
    // The ends it started upon are not new ones, though its time is before them.
    assert_eq!(desk.settle_at("13:00"), "done 12:00, claim 13:00 Schedule");
    assert_eq!(desk.status().waits_for, ["AuroraCron/left", "AuroraCron/right"]);
    let busy = desk.condition(ConditionType::Reconciling);
    assert_eq!((busy.holds, busy.reason), (true, reasons::WAITING));
    assert_eq!(desk.settle_at("14:00"), "skip 14:00 AnotherWaits");
}

#[test]
fn what_is_asked_for_takes_the_place_of_a_claim_that_is_stuck() {
    use Collision::{CancelNew, KillExisting, Queue};
    let starts = "claim 12:05 Asked, make 12:05, start 12:05";
    let instead = &format!("skip 12:00 AnotherWaits, {starts}");
    let later = &format!("done 11:00, {instead}");
    let turn = "done 11:00, make 12:00, start 12:00";
    // The policy, a run goes on, what the claim of 12:00 waits for; what becomes of what is asked for, and after the end of
    // the run that goes on.
    for (collision, goes_on, waits_for, told, then) in [
        (Queue, false, "parents", instead.as_str(), "done 12:05"),
        (CancelNew, false, "parents", instead, "done 12:05"),
        (KillExisting, false, "name", instead, "done 12:05"),
        // It has to wait for that run anyway, and the parents may end by then.
        (Queue, true, "parents", "", later),
        (CancelNew, true, "parents", "", later),
        (
            KillExisting,
            true,
            "parents",
            "skip 12:00 AnotherWaits, claim 12:05 Asked, kill 11:00",
            "failed 11:00, make 12:05, start 12:05",
        ),
        (
            Queue,
            true,
            "name",
            "skip 12:00 AnotherWaits, claim 12:05 Asked",
            "done 11:00, make 12:05, start 12:05",
        ),
        (CancelNew, true, "name", "skip 12:05 Collision", "done 11:00"),
        // The end of that run brings the claim about.
        (Queue, true, "its turn", "", &format!("{turn}, claim 12:05 Asked")),
        (CancelNew, true, "its turn", "", &format!("{turn}, skip 12:05 Collision")),
    ] {
        let what = format!("{collision:?} {goes_on} {waits_for}");
        let mut desk = desk("0 * * * *", ParentEnd::Succeeded, "12:05");
        desk.cron.collision = collision;
        if goes_on {
            desk.active("11:00", RunCause::Schedule);
        }
        desk.claimed("12:00", RunCause::Schedule);
        if waits_for != "parents" {
            succeeds(&mut desk, 0, "12:01");
            succeeds(&mut desk, 1, "12:01");
        }
        if waits_for == "name" {
            desk.stray("12:00");
            desk.runs.last_mut().unwrap().owned = false;
        }
        assert_eq!(desk.settle(), "", "{what}");
        desk.cron.run_at = Some(at("12:05"));
        assert_eq!(desk.settle(), told, "{what}");
        desk.end(None);
        assert_eq!(desk.settle_at("12:06"), then, "{what}");
    }
}

#[test]
fn who_gives_way_is_told_and_not_made_later() {
    let mut desk = desk("0 * * * *", ParentEnd::Succeeded, "12:00");
    desk.cron.catch_up = CatchUp::All { window_seconds: 7200 };
    desk.settle();
    desk.cron.run_at = Some(at("12:05"));
    desk.now = at("12:05");
    let events = desk.step().events;
    assert_eq!(events.len(), 1);
    let words = "run backup-1781092800 of 2026-06-10T12:00:00Z is left out: it could not start, and spec.runAt asks for another";
    assert_eq!((events[0].reason, events[0].message.as_str()), ("RunSkipped", words));
    assert_eq!(desk.status().last_scheduled, Some(at("12:00")));
    // A leader that did not know has made it meanwhile.
    desk.stray("12:00");
    succeeds(&mut desk, 0, "12:06");
    succeeds(&mut desk, 1, "12:06");
    desk.told.clear();
    assert_eq!(desk.settle_at("12:06"), "make 12:05, remove 12:00, start 12:05");
}

#[test]
fn a_diamond_runs_from_its_top_to_its_bottom() {
    // top → left, right → bottom
    let mut top = Desk::new("0 * * * *", "11:00", "12:00");
    let mut sides = [Desk::new("", "11:00", "12:00"), Desk::new("", "11:00", "12:00")];
    for side in &mut sides {
        side.cron.parents = vec![parent("top", ParentEnd::Succeeded)];
    }
    let mut bottom = desk("", ParentEnd::Succeeded, "12:00");
    let seen = |desk: &Desk| {
        let status = desk.status.as_ref().unwrap();
        ParentSeen { exists: true, succeeded: status.last_succeeded, ended: status.last_ended }
    };
    let mut heard = Vec::new();
    for minute in 0..130 {
        let now = at("12:00") + secs(60 * minute);
        for (place, desk) in [&mut top].into_iter().chain(&mut sides).chain([&mut bottom]).enumerate() {
            desk.now = now;
            // Each takes a minute, the right side five.
            let length = secs(if place == 2 { 300 } else { 60 });
            for run in &mut desk.runs {
                if run.end.is_none() && now.duration_since(run.created) >= length {
                    run.end = Some(RunEnd { at: now, failure: None });
                }
            }
            let told = desk.settle();
            if told.contains("start") {
                heard.push((["top", "left", "right", "bottom"][place], words::clock(now)));
            }
        }
        let top = seen(&top);
        sides.iter_mut().for_each(|side| side.parents = vec![top]);
        bottom.parents = sides.iter().map(seen).collect();
    }
    let round = |hour: &str, minutes: [&str; 4]| {
        let names = ["top", "left", "right", "bottom"];
        names.into_iter().zip(minutes.map(|minute| format!("{hour}:{minute}"))).collect::<Vec<_>>()
    };
    let rounds = ["12", "13", "14"].map(|hour| round(hour, ["00", "02", "02", "08"]));
    assert_eq!(heard, rounds.concat());
}
