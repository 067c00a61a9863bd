//! What servers answer that checks ask, and the JSONPaths of checks.
//!
//! The first line is the path, the rest the body.
#![no_main]

use borealis_core::model::{Comparison, Must};
use borealis_fuzz::checks::told;
use libfuzzer_sys::fuzz_target;

/// The longest value and the longest message that are told, in characters.
const LONGEST: usize = 60 + 300;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, body) = (String::from_utf8_lossy(&input[..end]), &input[(end + 1).min(input.len())..]);
    for be in [Comparison::AtMost, Comparison::Equal] {
        for said in told(body, &path, &Must { be, value: "1".to_owned() }) {
            assert!(said.chars().count() <= LONGEST, "{said:?} is too long to be shown");
        }
    }
});
