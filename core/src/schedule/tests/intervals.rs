//! Repeating intervals.

use jiff::Timestamp;

use super::{at, first, schedule};

#[test]
fn runs_are_counted_from_the_first_time_on() {
    let due = first(5, "R3/2026-01-01T00:00:00Z/PT2H", "UTC", "2025-06-01T00:00:00Z");
    assert_eq!(due, ["2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z", "2026-01-01T04:00:00Z"]);
    let without_end = schedule(&["R/2026-01-01T00:00:00.000Z/PT2H"], "UTC");
    assert_eq!(without_end.next(at("2031-07-01T01:00:00Z")), Some(at("2031-07-01T02:00:00Z")));
    assert_eq!(without_end.next(at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T02:00:00Z")));
    assert_eq!(without_end.next(at("4999-12-31T22:00:00Z")), None);
    assert_eq!(without_end.next(Timestamp::MIN), Some(at("2026-01-01T00:00:00Z")));
}

#[test]
fn a_first_time_has_an_offset_or_is_local() {
    for (start, due) in [
        ("2026-07-01T08:00:00Z", "2026-07-01T08:00:00Z"),
        ("2026-07-01T08:00:00+05:30", "2026-07-01T02:30:00Z"),
        ("2026-07-01T08:00:00", "2026-07-01T06:00:00Z"),
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("2026-03-29T02:30", "2026-03-29T01:00:00Z"),
    ] {
        let rule = format!("R1/{start}/P1D");
        assert_eq!(first(2, &rule, "Europe/Berlin", "2026-01-01T00:00:00Z"), [due], "{start}");
    }
}

#[test]
fn days_and_months_go_by_the_calendar_and_hours_by_time_that_passes() {
    for (rule, due) in [
        // Three o'clock in winter and in summer.
        (
            "R3/2026-03-28T03:00:00/P1D",
            &["2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"],
        ),
        (
            "R3/2026-03-28T03:00:00/PT24H",
            &["2026-03-28T02:00:00Z", "2026-03-29T02:00:00Z", "2026-03-30T02:00:00Z"],
        ),
        // Skipped, and right after the gap; then half past two again.
        (
            "R3/2026-03-28T02:30:00/P1D",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        // The 31st comes back.
        (
            "R3/2026-01-31T12:00:00/P1M",
            &["2026-01-31T11:00:00Z", "2026-02-28T11:00:00Z", "2026-03-31T10:00:00Z"],
        ),
        (
            "R3/2024-02-29T12:00:00/P1Y",
            &["2024-02-29T11:00:00Z", "2025-02-28T11:00:00Z", "2026-02-28T11:00:00Z"],
        ),
        (
            "R3/2026-03-28T12:00:00/P1DT12H",
            &["2026-03-28T11:00:00Z", "2026-03-29T22:00:00Z", "2026-03-31T10:00:00Z"],
        ),
        (
            "R3/2026-01-01T00:00:30Z/PT1M30S",
            &["2026-01-01T00:00:30Z", "2026-01-01T00:02:00Z", "2026-01-01T00:03:30Z"],
        ),
        // The second two o'clock, as its offset says.
        (
            "R3/2026-10-25T02:00:00+01:00/P1D",
            &["2026-10-25T01:00:00Z", "2026-10-26T01:00:00Z", "2026-10-27T01:00:00Z"],
        ),
    ] {
        assert_eq!(first(4, rule, "Europe/Berlin", "2020-01-01T00:00:00Z"), due, "{rule}");
    }
}
