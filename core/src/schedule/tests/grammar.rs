//! What the fields mean.

use super::{first, schedule};

/// Rules that say the same.
#[test]
fn one_rule_can_be_written_in_several_ways() {
    for (one, other) in [
        ("*/15 * * * *", "0,15,30,45 * * * *"),
        ("5-20/5 * * * *", "5,10,15,20 * * * *"),
        ("0 0 * JAN,mar-May *", "0 0 * 1,3,4,5 *"),
        ("0 0 * * MON-FRI", "0 0 * * 1-5"),
        ("0 0 * * 7", "0 0 * * SUN"),
        ("0 0 * * FRI-SUN", "0 0 * * 5,6,0"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 * * sat", "0 0 * * 6"),
        ("  00   08  * * * ", "0 8 * * *"),
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ] {
        let after = "2026-02-25T09:10:11Z";
        assert_eq!(first(50, one, "UTC", after), first(50, other, "UTC", after), "{one} and {other}");
    }
}

#[test]
fn a_day_is_due_by_its_date_or_by_its_weekday_where_both_are_asked_for() {
    let due = first(4, "0 0 13 * FRI", "UTC", "2026-03-01T00:00:00Z");
    assert_eq!(
        due.iter().map(|due| &due[..10]).collect::<Vec<_>>(),
        ["2026-03-06", "2026-03-13", "2026-03-20", "2026-03-27"]
    );
    let due = first(2, "0 0 */2 * MON", "UTC", "2026-03-01T00:00:00Z");
    assert_eq!(due.iter().map(|due| &due[..10]).collect::<Vec<_>>(), ["2026-03-02", "2026-03-03"]);
}

/// Aurora goes by what a field allows, not by how it is written.
#[test]
fn a_field_that_allows_all_days_asks_for_none() {
    for (all, star) in [
        ("0 0 1-31 * MON", "0 0 * * MON"),
        ("0 0 */1 * MON", "0 0 * * MON"),
        ("0 0 13 * SUN-SAT", "0 0 13 * *"),
        ("0 0 13 * MON-SUN", "0 0 13 * *"),
    ] {
        let after = "2026-01-01T00:00:00Z";
        assert_eq!(first(9, all, "UTC", after), first(9, star, "UTC", after), "{all}");
    }
}

#[test]
fn rare_dates_come() {
    assert_eq!(
        first(2, "0 0 29 2 *", "UTC", "2095-01-01T00:00:00Z"),
        ["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"]
    );
    assert_eq!(first(1, "0 0 30 2 MON", "UTC", "2026-02-01T00:00:00Z"), ["2026-02-02T00:00:00Z"]);
}

#[test]
fn it_ends_with_the_year_4999() {
    let yearly = schedule(&["@yearly"], "UTC");
    assert_eq!(yearly.next(super::at("4998-12-31T23:59:59Z")), Some(super::at("4999-01-01T00:00:00Z")));
    assert_eq!(yearly.next(super::at("4999-01-01T00:00:00Z")), None);
}

#[test]
fn a_time_is_never_due_after_itself_and_due_after_any_moment_before() {
    assert_eq!(first(1, "0 8 * * *", "UTC", "2026-05-01T08:00:00Z"), ["2026-05-02T08:00:00Z"]);
    assert_eq!(first(1, "0 8 * * *", "UTC", "2026-05-01T07:59:59.999Z"), ["2026-05-01T08:00:00Z"]);
    assert_eq!(first(1, "0 8 * * *", "UTC", "2026-05-01T08:00:00.001Z"), ["2026-05-02T08:00:00Z"]);
    assert_eq!(first(1, "0 0 * * *", "UTC", "1969-12-30T23:59:59.5Z"), ["1969-12-31T00:00:00Z"]);
}
