//! Where the clocks change.

use super::first;

/// Berlin goes from 02:00 to 03:00 at 01:00 UTC on 29 March, Lord Howe from 02:00 to 02:30 at 15:30 UTC on 3 October.
#[test]
fn what_is_skipped_is_due_once_right_after_the_gap() {
    for (rule, zone, after, due) in [
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "0 3 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"],
        ),
        (
            "*/20 2 * * *",
            "Europe/Berlin",
            "2026-03-29T00:59:59Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:30:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        ),
        (
            "30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:30:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
        // The change is at midnight: the day begins at 01:00.
        (
            "0 0 * * *",
            "Africa/Cairo",
            "2026-04-23T12:00:00Z",
            ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
        ),
        // Samoa had no 30 December 2011.
        (
            "0 9 30 12 *",
            "Pacific/Apia",
            "2011-01-01T00:00:00Z",
            ["2011-12-30T10:00:00Z", "2012-12-29T19:00:00Z"],
        ),
    ] {
        assert_eq!(first(2, rule, zone, after), due, "{rule} in {zone}");
    }
}

/// Berlin goes from 03:00 back to 02:00 at 01:00 UTC on 25 October, Lord Howe from 02:00 to 01:30 at 15:00 UTC on 4 April.
#[test]
fn what_comes_twice_is_due_the_first_time() {
    for (rule, zone, after, due) in [
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T01:10:00Z",
            ["2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z"],
        ),
        (
            "*/15 1-2 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:30:00Z",
            ["2026-04-04T14:45:00Z", "2026-04-04T15:30:00Z"],
        ),
    ] {
        assert_eq!(first(2, rule, zone, after), due, "{rule} in {zone}");
    }
}
