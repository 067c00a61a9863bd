//! The CEL rules of `spec.update.checks`. What they can't read, a URL or a JSONPath as a whole, the conversion refuses.

use super::{INVALID, Rule, told};

/// What the checks of an update ask for can be measured and compared.
pub(super) fn checks() -> Vec<Rule> {
    let number = "matches('^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$')";
    let scheme = |url: &str| format!("!{url}.startsWith('http://') && !{url}.startsWith('https://')");
    // What is wrong with a check `c`, and what to do.
    let rows = [
        ("has(c.http) == has(c.prometheus)".to_owned(), "must hold exactly one of http, prometheus"),
        (format!("has(c.http) && {}", scheme("c.http.url")), "http.url must begin with http:// or https://"),
        (
            format!("has(c.prometheus) && {}", scheme("c.prometheus.address")),
            "prometheus.address must begin with http:// or https://",
        ),
        (
            "has(c.http) && !c.http.jsonPath.startsWith('$')".to_owned(),
            "http.jsonPath must be a JSONPath such as $.errors.rate, which begins with $",
        ),
        (
            format!("!(c.must.be in ['Equal', 'NotEqual']) && !c.must.value.{number}"),
            "must.value is no number; use one such as \"0.01\", or compare by Equal or NotEqual",
        ),
        (
            "self.watchSeconds == 0 && c.onFailure == 'FailInstance'".to_owned(),
            "needs a watch to fail instances in; set watchSeconds to at least 1, or onFailure to LosePulse",
        ),
    ];
    let rule = |(wrong, remedy): (String, &str)| {
        let rule = told(
            &format!("!has(self.checks) || !self.checks.exists(c, {wrong})"),
            &format!("check %s: {remedy}"),
            &[&format!("self.checks.filter(c, {wrong}).map(c, c.name)")],
            ".checks",
            INVALID,
        );
        Rule { place: "update".into(), rule }
    };
    rows.into_iter().map(rule).collect()
}
