//! What has a short written form: instances, amounts, pools of nodes and identities.
#![no_main]

use std::{fmt::Display, str::FromStr};

use borealis_core::model::{Amount, Dedicated, MAX_INSTANCES, Ranges, Revision, Uid};
use libfuzzer_sys::fuzz_target;

/// What can be read prints to something that reads as the same; what can't is named by the error, on one line.
fn reads<T: FromStr<Err: Display> + Display + PartialEq>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert!(
                again.is_ok_and(|again| again == value),
                "{text:?} is printed as {value}, which is another"
            );
            Some(value)
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains(&format!("{text:?}")), "{said:?} does not name {text:?}");
            assert!(!said.chars().any(char::is_control), "{said:?} would break a line of the log");
            None
        }
    }
}

fuzz_target!(|text: &str| {
    if let Some(ranges) = reads::<Ranges>(text) {
        assert!(ranges.len() <= MAX_INSTANCES && ranges.iter().all(|instance| instance < MAX_INSTANCES));
        assert_eq!(ranges.iter().collect::<Ranges>(), ranges);
    }
    if let Some(amount) = reads::<Amount>(text) {
        assert!(matches!(amount, Amount::Count(_)) || amount.of(200) <= 200);
    }
    if let Some(pool) = reads::<Dedicated>(text) {
        let label = pool.label_value();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        assert!(label.len() <= 63 && label.chars().all(fits), "{label:?} is no value of a label");
    }
    reads::<Uid>(text);
    reads::<Revision>(text);
});
