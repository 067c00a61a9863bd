//! The checks of an update, to `model::Check` and back, and what they last said.

use borealis_core::model::{self, MAX_CHECKS};
use http::Uri;

use super::{number, signed, time};
use crate::api::{
    Invalid,
    checks::{Check, Comparison, HttpSource, Must, NoData, OnFailure, PrometheusSource},
    json_path::JsonPath,
    update::CheckStatus,
};

const FIELD: &str = "spec.update.checks";
/// Longest value of a check that is kept, in characters.
const MAX_VALUE: usize = 128;
/// Longest message of a check that is kept, in characters.
const MAX_MESSAGE: usize = 512;

/// What the planner is told of the checks of an update that watches for so long.
pub(super) fn checks(all: &[Check], watch_seconds: u32) -> Result<Vec<model::Check>, Invalid> {
    if all.len() > MAX_CHECKS {
        let reason = format!("holds {} checks; use at most {MAX_CHECKS}", all.len());
        return Err(Invalid::Field { field: FIELD, reason });
    }
    let checks = all.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    for (at, check) in checks.iter().enumerate() {
        if checks[..at].iter().any(|other| other.name == check.name) {
            return Err(wrong(&check.name, "", "is there twice; give each check a name of its own"));
        }
        if watch_seconds == 0 && check.on_failure == model::OnFailure::FailInstance {
            let reason = "needs a watch to fail instances in; set spec.update.watchSeconds to at least 1, or onFailure \
                          to LosePulse";
            return Err(wrong(&check.name, "", reason));
        }
    }
    Ok(checks)
}

fn check(spec: &Check) -> Result<model::Check, Invalid> {
    let Check {
        name,
        http,
        prometheus,
        must,
        interval_seconds,
        timeout_seconds,
        failures_in_a_row,
        on_failure,
    } = spec;
    if name.is_empty() {
        return Err(wrong(name, "name", "is empty; give each check a name of its own"));
    }
    let source = match (http, prometheus) {
        (Some(HttpSource { url, json_path }), None) => {
            address(name, "http.url", url)?;
            JsonPath::parse(json_path)
                .map_err(|why| wrong(name, "http.jsonPath", &format!("{json_path:?} {why}")))?;
            model::Source::Http { url: url.clone(), json_path: json_path.clone() }
        }
        (None, Some(PrometheusSource { address: at, query, when_no_data })) => {
            let uri = address(name, "prometheus.address", at)?;
            if uri.query().is_some() {
                let why = format!("{at:?} holds a query; put what is asked into prometheus.query");
                return Err(wrong(name, "prometheus.address", &why));
            }
            let when_no_data = match when_no_data {
                NoData::Fail => model::NoData::Fail,
                NoData::Hold => model::NoData::Hold,
            };
            model::Source::Prometheus { address: at.clone(), query: query.clone(), when_no_data }
        }
        (http, prometheus) => {
            let found = usize::from(http.is_some()) + usize::from(prometheus.is_some());
            let why = format!("must hold exactly one of http, prometheus, but holds {found}");
            return Err(wrong(name, "", &why));
        }
    };
    let interval = number("spec.update.checks.intervalSeconds", *interval_seconds, 5, 3_600)?;
    let timeout = number("spec.update.checks.timeoutSeconds", *timeout_seconds, 1, 60)?;
    if timeout > interval {
        let why = format!("{timeout} is longer than its intervalSeconds, {interval}; use at most that");
        return Err(wrong(name, "timeoutSeconds", &why));
    }
    Ok(model::Check {
        name: name.clone(),
        source,
        must: self::must(name, must)?,
        interval_seconds: interval,
        timeout_seconds: timeout,
        failures_in_a_row: number("spec.update.checks.failuresInARow", *failures_in_a_row, 1, 100)?,
        on_failure: match on_failure {
            OnFailure::FailInstance => model::OnFailure::FailInstance,
            OnFailure::LosePulse => model::OnFailure::LosePulse,
        },
    })
}

fn must(name: &str, spec: &Must) -> Result<model::Must, Invalid> {
    let be = match spec.be {
        Comparison::LessThan => model::Comparison::LessThan,
        Comparison::AtMost => model::Comparison::AtMost,
        Comparison::Equal => model::Comparison::Equal,
        Comparison::NotEqual => model::Comparison::NotEqual,
        Comparison::AtLeast => model::Comparison::AtLeast,
        Comparison::GreaterThan => model::Comparison::GreaterThan,
    };
    if be.needs_numbers() && !model::number(&spec.value).is_some_and(f64::is_finite) {
        let why = format!(
            "{:?} is no number, which {} needs; use one such as \"0.01\", or Equal or NotEqual",
            spec.value,
            super::word(&be)
        );
        return Err(wrong(name, "must.value", &why));
    }
    Ok(model::Must { be, value: spec.value.clone() })
}

/// A URL that can be asked.
fn address(name: &str, field: &str, text: &str) -> Result<Uri, Invalid> {
    let wrong = |why: &str| wrong(name, field, &format!("{text:?} {why}"));
    let form = "is no URL; use one such as http://prometheus.monitoring:9090";
    let uri: Uri = text.parse().map_err(|_| wrong(form))?;
    let authority =
        uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(|| wrong(form))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("is of another scheme than http and https, which alone are asked"));
    }
    if authority.as_str().contains('@') {
        return Err(wrong("holds a user; checks send no credentials: remove it"));
    }
    // What follows it never reaches a server.
    if text.contains('#') {
        return Err(wrong("holds a fragment; remove the # and what follows"));
    }
    Ok(uri)
}

fn wrong(check: &str, field: &str, why: &str) -> Invalid {
    let place = if field.is_empty() { String::new() } else { format!("{field}: ") };
    Invalid::Field { field: FIELD, reason: format!("check {check:?}: {place}{why}") }
}

/// The checks to write into the record of an update.
pub(super) fn checks_object(checks: &[model::Check]) -> Vec<Check> {
    checks.iter().map(check_object).collect()
}

fn check_object(check: &model::Check) -> Check {
    let (http, prometheus) = match &check.source {
        model::Source::Http { url, json_path } => {
            (Some(HttpSource { url: url.clone(), json_path: json_path.clone() }), None)
        }
        model::Source::Prometheus { address, query, when_no_data } => {
            let when_no_data = match when_no_data {
                model::NoData::Fail => NoData::Fail,
                model::NoData::Hold => NoData::Hold,
            };
            (None, Some(PrometheusSource { address: address.clone(), query: query.clone(), when_no_data }))
        }
    };
    Check {
        name: check.name.clone(),
        http,
        prometheus,
        must: Must {
            be: match check.must.be {
                model::Comparison::LessThan => Comparison::LessThan,
                model::Comparison::AtMost => Comparison::AtMost,
                model::Comparison::Equal => Comparison::Equal,
                model::Comparison::NotEqual => Comparison::NotEqual,
                model::Comparison::AtLeast => Comparison::AtLeast,
                model::Comparison::GreaterThan => Comparison::GreaterThan,
            },
            value: check.must.value.clone(),
        },
        interval_seconds: signed(check.interval_seconds),
        timeout_seconds: signed(check.timeout_seconds),
        failures_in_a_row: signed(check.failures_in_a_row),
        on_failure: match check.on_failure {
            model::OnFailure::FailInstance => OnFailure::FailInstance,
            model::OnFailure::LosePulse => OnFailure::LosePulse,
        },
    }
}

/// What a check last said, as it was recorded.
pub(super) fn record(status: &CheckStatus) -> model::CheckRecord {
    let CheckStatus { name, holds, value, message, time } = status;
    model::CheckRecord {
        check: name.clone(),
        holds: *holds,
        value: value.clone(),
        message: message.clone(),
        at: time.0,
    }
}

/// What a check last said, to write.
pub(super) fn record_object(record: &model::CheckRecord) -> CheckStatus {
    let cut = |text: &str, most| text.chars().take(most).collect();
    let model::CheckRecord { check, holds, value, message, at } = record;
    CheckStatus {
        name: check.clone(),
        holds: *holds,
        value: cut(value, MAX_VALUE),
        message: cut(message, MAX_MESSAGE),
        time: time(*at),
    }
}

#[cfg(test)]
pub(super) mod tests;
