//! Which times are due, and what is made up for.

use super::*;
use crate::schedule::jitter;

#[test]
fn a_time_is_on_time_for_a_minute_or_until_the_next_is_due() {
    for (now, told) in [
        ("11:59:59", ""),
        ("12:00", "claim 12:00 Schedule, make 12:00, start 12:00"),
        ("12:01", "claim 12:00 Schedule, make 12:00, start 12:00"),
        ("12:01:01", "missed 1 to 12:00"),
        ("13:00", "missed 1 to 12:00, claim 13:00 Schedule, make 13:00, start 13:00"),
    ] {
        let mut desk = Desk::new("0 * * * *", "11:00", now);
        assert_eq!(desk.settle(), told, "at {now}");
    }
    let mut desk = Desk::new("R/2026-06-10T00:00:30Z/PT1M", "11:58:30", "12:00:29");
    assert_eq!(desk.settle(), "claim 11:59:30 Schedule, make 11:59:30, start 11:59:30");
    desk.end(None);
    let next = "missed 1 to 12:00:30, claim 12:01:30 Schedule, make 12:01:30, start 12:01:30";
    assert_eq!(desk.settle_at("12:01:31"), format!("done 11:59:30, {next}"));
}

#[test]
fn a_window_reaches_as_far_as_it_says() {
    let latest = |seconds| CatchUp::Latest { window_seconds: seconds };
    let all = |seconds| CatchUp::All { window_seconds: seconds };
    let late = "claim 12:00 CatchUp, make 12:00, start 12:00";
    for (catch_up, now, told) in [
        (latest(600), "12:10", late),
        (latest(600), "12:10:01", "missed 1 to 12:00"),
        (all(600), "12:10", late),
        (all(600), "12:10:01", "missed 1 to 12:00"),
        // What is on time needs no window.
        (latest(0), "12:00:30", "claim 12:00 Schedule, make 12:00, start 12:00"),
        (all(0), "12:00:30", "claim 12:00 Schedule, make 12:00, start 12:00"),
    ] {
        let mut desk = Desk::new("0 * * * *", "11:00", now);
        desk.cron.catch_up = catch_up;
        assert_eq!(desk.settle(), told, "{catch_up:?} at {now}");
    }
}

#[test]
fn jitter_delays_each_time_and_counts_for_being_on_time_and_for_the_window() {
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    desk.cron.jitter_seconds = 3600;
    let delay = jitter(&desk.cron.uid.to_string(), 3600);
    assert!(delay > secs(61), "{delay:?} shows nothing");
    let due = at("12:00") + delay;
    desk.now = due - secs(1);
    let plan = desk.plan();
    assert_eq!((plan.next_check, plan.status.unwrap().next), (Some(due), Some(due)));
    assert_eq!(desk.settle(), "");
    let mut late = desk.clone();
    desk.now = due + secs(60);
    assert_eq!(desk.settle(), "make 12:00, start 12:00");
    assert_eq!(desk.status().next, Some(due + secs(3600)));
    late.now = due + secs(600);
    late.cron.catch_up = CatchUp::Latest { window_seconds: 600 };
    assert_eq!(late.settle(), "claim 12:00 CatchUp, make 12:00, start 12:00");
}

#[test]
fn what_is_made_up_for_comes_one_after_the_other_and_is_not_disturbed() {
    for collision in [Collision::KillExisting, Collision::CancelNew, Collision::Queue] {
        let mut desk = Desk::new("*/10 * * * *", "11:30", "11:59");
        (desk.cron.catch_up, desk.cron.collision) = (CatchUp::All { window_seconds: 3600 }, collision);
        assert_eq!(desk.settle(), "claim 11:40 CatchUp, make 11:40, start 11:40");
        assert_eq!(desk.settle_at("12:00"), "", "{collision:?}: a time that is due waits");
        desk.end(None);
        assert_eq!(desk.settle(), "done 11:40, claim 11:50 CatchUp, make 11:50, start 11:50");
        desk.end(None);
        // It is on time still.
        assert_eq!(desk.settle_at("12:00:30"), "done 11:50, claim 12:00 Schedule, make 12:00, start 12:00");
        let next = desk.settle_at("12:10");
        let usual = match collision {
            Collision::KillExisting => "claim 12:10 Schedule, kill 12:00",
            Collision::CancelNew => "skip 12:10 Collision",
            Collision::Queue => "claim 12:10 Schedule",
        };
        assert_eq!(next, usual);
    }
}

#[test]
fn of_very_many_missed_times_a_hundred_count_and_the_last_hundred_are_made_up() {
    // A week of minutes.
    let mut desk = Desk::new("* * * * *", "00:00", "2026-06-17T12:00:30");
    desk.cron.catch_up = CatchUp::Latest { window_seconds: 0 };
    assert_eq!(desk.settle(), "missed 100 to 11:59, claim 12:00 Schedule, make 12:00, start 12:00");
    let mut desk = Desk::new("* * * * *", "00:00", "2026-06-17T12:00:30");
    desk.cron.catch_up = CatchUp::All { window_seconds: u32::MAX };
    let first = desk.step();
    assert!(first.events.iter().any(|event| event.message.starts_with("100 runs or more were missed")));
    // 12:00 is on time, so it is not one of the hundred.
    assert_eq!(desk.settle(), "missed 100 to 10:19, claim 10:20 CatchUp, make 10:20, start 10:20");
}

#[test]
fn decades_of_missed_minutes_are_not_stepped_through() {
    for catch_up in [
        CatchUp::None,
        CatchUp::Latest { window_seconds: u32::MAX },
        CatchUp::All { window_seconds: u32::MAX },
    ] {
        // Some 39 million times: stepping through them takes minutes, which nobody would miss.
        let mut desk = Desk::new("* * * * *", "00:00", "2101-01-01T00:00:30");
        desk.cron.catch_up = catch_up;
        assert!(desk.settle().starts_with("missed 100 to "), "{catch_up:?}");
    }
}

#[test]
fn days_on_which_the_clocks_change_run_as_the_schedule_says() {
    let mut desk = Desk::new("", "2026-03-28T12:00", "2026-03-29T00:30");
    desk.schedule_in("30 2 * * *", "Europe/Berlin");
    desk.status().observed_schedule = Some("30 2 * * *".into());
    // 02:30 does not exist: right after the gap, at 01:00 UTC, and once.
    assert_eq!(desk.settle_at("2026-03-29T00:59"), "");
    assert_eq!(desk.settle_at("2026-03-29T01:00"), "make 01:00, start 01:00");
    desk.end(None);
    assert_eq!(desk.settle_at("2026-03-29T01:30"), "done 01:00");
    // 02:30 comes twice: the first.
    desk.status().last_scheduled = Some(at("2026-10-24T12:00"));
    assert_eq!(desk.settle_at("2026-10-25T00:30"), "claim 00:30 Schedule, make 00:30, start 00:30");
    desk.end(None);
    assert_eq!(desk.settle_at("2026-10-25T01:30"), "done 00:30");
}

#[test]
fn a_clock_that_goes_back_or_was_ahead_makes_nothing_run_twice() {
    let mut desk = Desk::new("*/10 * * * *", "11:50", "12:00:05");
    assert_eq!(desk.settle(), "claim 12:00 Schedule, make 12:00, start 12:00");
    desk.end(None);
    assert_eq!(desk.settle_at("11:58"), "done 12:00");
    assert_eq!(desk.settle_at("12:00:10"), "");
    assert_eq!(desk.settle_at("12:10"), "make 12:10, start 12:10");
    // A change of the schedule moves what is dealt with on, never back.
    desk.end(None);
    desk.schedule("*/5 * * * *");
    assert_eq!(desk.settle_at("12:04"), "done 12:10");
    assert_eq!(desk.status().last_scheduled, Some(at("12:10")));
    assert_eq!(desk.settle_at("12:10"), "");
}

#[test]
fn another_schedule_and_the_end_of_a_suspension_begin_anew() {
    let mut desk = Desk::new("0 * * * *", "11:00", "11:59:30");
    desk.cron.catch_up = CatchUp::All { window_seconds: 86_400 };
    desk.cron.suspend = true;
    assert_eq!(desk.settle(), "");
    let ready = desk.condition(ConditionType::Ready);
    assert_eq!((ready.holds, ready.reason), (true, reasons::SUSPENDED), "it is as its spec says");
    assert!(!desk.condition(ConditionType::Reconciling).holds);
    assert_eq!(desk.settle_at("14:30"), "");
    desk.cron.suspend = false;
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.condition(ConditionType::Ready).reason, reasons::SCHEDULED);
    desk.now = at("14:59");
    desk.schedule("*/30 * * * *");
    assert_eq!(desk.settle(), "");
    assert_eq!(desk.settle_at("15:00:10"), "make 15:00, start 15:00");
}

#[test]
fn a_schedule_that_has_ended_is_said_so() {
    let mut desk = Desk::new("R2/2026-06-10T11:00:00Z/PT1H", "11:00", "12:00");
    assert_eq!(desk.settle(), "claim 12:00 Schedule, make 12:00, start 12:00");
    let ready = desk.condition(ConditionType::Ready);
    assert_eq!((ready.holds, ready.reason), (true, reasons::SCHEDULE_ENDED));
    assert_eq!((desk.status().next, desk.plan().next_check), (None, None));
}

#[test]
fn what_became_due_while_its_planner_was_busy_is_on_time_for_ten_minutes() {
    let runs = "claim 12:00 Schedule, make 12:00, start 12:00";
    for (since, now, told) in [
        ("11:30", "12:10", runs),
        ("12:00", "12:10", runs),
        ("11:30", "12:10:01", "missed 1 to 12:00"),
        ("12:00:01", "12:01:01", "missed 1 to 12:00"),
        // A minute is everybody's.
        ("12:01", "12:01", runs),
        ("11:30", "13:00:30", "missed 1 to 12:00, claim 13:00 Schedule, make 13:00, start 13:00"),
    ] {
        let mut desk = Desk::new("0 * * * *", "11:00", now);
        desk.since = Some(at(since));
        assert_eq!(desk.settle(), told, "there since {since}, at {now}");
    }
    // With jitter it became due later than its time.
    let mut desk = Desk::new("0 * * * *", "11:00", "12:00");
    desk.cron.jitter_seconds = 3600;
    let due = at("12:00") + jitter(&desk.cron.uid.to_string(), 3600);
    (desk.since, desk.now) = (Some(due), due + secs(600));
    assert_eq!(desk.settle(), runs);
    let mut late = Desk::new("0 * * * *", "11:00", "12:00");
    late.cron.jitter_seconds = 3600;
    (late.since, late.now) = (Some(due + secs(1)), due + secs(600));
    assert_eq!(late.settle(), "missed 1 to 12:00");
}
