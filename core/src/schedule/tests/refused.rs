//! What is refused, and what is said to whom wrote it.

use super::{super::Schedule, refusal};

#[test]
fn a_field_that_is_not_understood_is_named_with_its_part() {
    for (rule, says) in [
        ("60 * * * *", "\"60\" in the field minute has 60, which is not within 0 to 59"),
        ("0 24 * * *", "\"24\" in the field hour has 24, which is not within 0 to 23"),
        ("0 0 0 * *", "\"0\" in the field day of month has 0, which is not within 1 to 31"),
        ("0 0 1,32 * *", "\"32\" in the field day of month has 32, which is not within 1 to 31"),
        ("0 0 * 13 *", "\"13\" in the field month has 13, which is not within 1 to 12"),
        ("0 0 * * 8", "\"8\" in the field day of week has 8, which is not within 0 to 7"),
        ("0 99999999999 * * *", "\"99999999999\" in the field hour has 4294967295, which"),
        ("0 JAN * * *", "\"JAN\" in the field hour is not understood: write *, */2, a number from 0 to 23"),
        ("0 0 * * MONDAY", "\"MONDAY\" in the field day of week is not understood"),
        ("0 0 * * MON#1", "or names from SUN to SAT"),
        ("0 0 L * *", "\"L\" in the field day of month is not understood"),
        ("0 0 15W * *", "\"15W\" in the field day of month is not understood"),
        ("0 0 ? * *", "\"?\" in the field day of month is not understood"),
        ("1,,2 * * * *", "\"\" in the field minute is not understood"),
        ("-5 * * * *", "\"-5\" in the field minute is not understood"),
        ("+5 * * * *", "\"+5\" in the field minute is not understood"),
        ("1-2-3 * * * *", "\"1-2-3\" in the field minute is not understood"),
        ("0 22-3 * * *", "\"22-3\" in the field hour goes backwards: write 22-23,0-3"),
        ("0 0 * * SAT-MON", "goes backwards: write SAT-7,0-MON"),
        ("0 0 * NOV-FEB *", "goes backwards: write NOV-12,1-FEB"),
        ("*/0 * * * *", "\"*/0\" in the field minute has a step of 0: write 1 or more"),
        ("*/90 * * * *", "has a step of 90, but the field ends at 59: for longer steps use an interval"),
        ("*/x * * * *", "has \"x\" for its step: write a number after the slash"),
        ("*/5/5 * * * *", "has \"5/5\" for its step"),
        (
            "5/15 * * * *",
            "has a step but no range: write where it ends before the slash, such as 5-59/15, or *",
        ),
    ] {
        let told = refusal(rule).to_string();
        assert!(told.starts_with(&format!("schedule {rule:?}")) && told.contains(says), "{told}");
    }
}

#[test]
fn what_is_proposed_for_a_backwards_range_is_understood() {
    for rule in ["0 22-23,0-3 * * *", "0 0 * * SAT-7,0-MON", "0 0 * NOV-12,1-FEB *", "5-59/15 * * * *"] {
        assert!(Schedule::parse(&[rule], None).is_ok(), "{rule}");
    }
}

#[test]
fn rules_that_are_no_rules() {
    for (rule, says) in [
        ("", "has 0 fields instead of five"),
        ("0 0 * *", "has 4 fields instead of five"),
        ("0 0 0 * * *", "has 6 fields instead of five"),
        ("@reboot", "is not known: use @hourly"),
        ("@every 5m", "is not known: use @hourly"),
        ("0 0 30 2 *", "never fires: none of its months has any of its days"),
        ("0 0 31 2,4,6,9,11 *", "never fires"),
        ("0 0 30-31 FEB 0-6", "never fires"),
        ("R5", "is no repeating interval: write R"),
        ("R5//PT1H", "the first time \"\" is not understood"),
        ("R/2026-01-01T00:00:00Z/PT1H/PT1H", "is no repeating interval"),
        ("R0/2026-01-01T00:00:00Z/PT1H", "\"0\" is no number of runs"),
        ("R-1/2026-01-01T00:00:00Z/PT1H", "\"-1\" is no number of runs"),
        ("R4294967296/2026-01-01T00:00:00Z/PT1H", "is no number of runs"),
        ("R/2026-02-30T00:00:00Z/PT1H", "the first time \"2026-02-30T00:00:00Z\" is not understood"),
        ("R/2026-01-01T00:00:00.5Z/PT1H", "has a fraction of a second"),
        ("R/5000-01-01T00:00:00Z/PT1H", "is too late"),
        ("R/5000-01-01/PT1H", "is too late"),
        ("R/12026-01-01T00:00:00Z/PT1H", "is not understood"),
        ("R/2026-01-01T00:00[Asia/Kolkata]/PT1H", "is no repeating interval"),
        ("R/2026-01-01T00:00[UTC]/PT1H", "names a time zone, which has a field of its own"),
        ("R/2026-01-01T00:00:00Z/PT0S", "the interval \"PT0S\" is too short"),
        ("R/2026-01-01T00:00:00Z/PT59S", "is too short: at least one minute"),
        ("R/2026-01-01T00:00:00Z/-PT2H", "the interval \"-PT2H\" is too short"),
        ("R/2026-01-01T00:00:00Z/-P1D", "the interval \"-P1D\" is too short"),
        ("R/2026-01-01T00:00:00Z/PT90.5S", "has a fraction of a second"),
        ("R/2026-01-01T00:00:00Z/2 hours", "the interval \"2 hours\" is not understood"),
        ("R/2026-01-01T00:00:00Z/P", "is not understood"),
        ("R/2026-01-01T00:00:00Z/P99999Y", "is not understood"),
    ] {
        let told = refusal(rule).to_string();
        assert!(told.starts_with(&format!("schedule {rule:?}")) && told.contains(says), "{told}");
    }
    let none: [&str; 0] = [];
    assert!(Schedule::parse(&none, None).unwrap_err().to_string().contains("no schedule is given"));
}

#[test]
fn an_unknown_zone_is_told_its_neighbours() {
    for (zone, says) in [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("New York", "did you mean America/New_York?"),
        ("kolkatta", "did you mean Asia/Kolkata?"),
        ("", "write its IANA name, such as Europe/Berlin or UTC"),
        ("Local", "write its IANA name"),
        ("UTC+2", "write its IANA name"),
        ("../etc/passwd", "write its IANA name"),
    ] {
        let told = Schedule::parse(&["@daily"], Some(zone)).expect_err(zone).to_string();
        assert!(
            told.starts_with(&format!("time zone {zone:?} is not known")) && told.contains(says),
            "{told}"
        );
    }
    assert!(Schedule::parse(&["@daily"], None).is_ok());
}

#[test]
fn one_bad_rule_among_good_ones_is_named() {
    let told = Schedule::parse(&["@daily", "0 0 30 2 *"], None).unwrap_err().to_string();
    assert!(told.starts_with("schedule \"0 0 30 2 *\" never fires"), "{told}");
}
