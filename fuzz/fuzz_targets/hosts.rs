//! The hosts that checks may ask, and the URLs that tenants name.
//!
//! The first line is the list of hosts, the second the URL.
#![no_main]

use borealis_fuzz::checks::{Hosts, may_ask};
use libfuzzer_sys::fuzz_target;

const ALLOWED: [&str; 2] = ["allowed.example:8443", "allowed.example.:8443"];

fuzz_target!(|text: &str| {
    let (list, url) = text.split_once('\n').unwrap_or((text, ""));
    assert!(!may_ask(&Hosts::default(), url), "nobody is allowed, and {url:?} is");
    let one = Hosts::parse(ALLOWED[0]);
    if one.is_ok_and(|one| may_ask(&one, url)) {
        // Read here in another way than the operator does.
        let after = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        assert!(ALLOWED.contains(&&*host), "{url:?} is of {host:?}");
    }
    match Hosts::parse(list) {
        Ok(hosts) => _ = may_ask(&hosts, url),
        Err(said) => assert!(!said.chars().any(char::is_control), "{said:?} would break a line of the log"),
    }
});
