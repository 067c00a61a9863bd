use serde_json::{Value, json};

use super::*;
use crate::api::settings::UpdateSettings;

/// Checks that differ in all they can.
pub(in crate::api::convert) fn every_kind_of_check() -> Vec<model::Check> {
    use model::Comparison::*;
    let comparisons = [LessThan, AtMost, Equal, NotEqual, AtLeast, GreaterThan];
    let one = |(number, be): (u32, model::Comparison)| {
        let even = number % 2 == 0;
        let source = if number < 2 {
            let url = format!("https://status.example:8443/v1?of={number}");
            model::Source::Http { url, json_path: "$.errors[*].rate".to_owned() }
        } else {
            model::Source::Prometheus {
                address: "http://[::1]:9090/prometheus".to_owned(),
                query: "up{job=\"web\"}".to_owned(),
                when_no_data: if even { model::NoData::Fail } else { model::NoData::Hold },
            }
        };
        model::Check {
            name: format!("check-{number}"),
            source,
            must: model::Must { be, value: format!("{number}.5") },
            interval_seconds: 5 + number,
            timeout_seconds: 1 + number,
            failures_in_a_row: 1 + number,
            on_failure: if even { model::OnFailure::FailInstance } else { model::OnFailure::LosePulse },
        }
    };
    (0..).zip(comparisons).map(one).collect()
}

fn http(name: &str) -> Value {
    json!({
        "name": name, "http": {"url": "http://web.example/status", "jsonPath": "$.errors"},
        "must": {"be": "AtMost", "value": "3"},
    })
}

fn prometheus() -> Value {
    json!({
        "name": "errors", "prometheus": {"address": "http://prometheus:9090", "query": "errors"},
        "must": {"be": "LessThan", "value": "0.01"},
    })
}

fn read(update: Value) -> Result<Vec<model::Check>, String> {
    let settings: UpdateSettings = serde_json::from_value(update).unwrap();
    super::super::update_settings(&settings)
        .map(|settings| settings.checks)
        .map_err(|wrong| wrong.to_string())
}

#[test]
fn a_check_has_its_defaults_and_none_is_written_as_none() {
    let checks = read(json!({"checks": [prometheus()]})).unwrap();
    assert_eq!(
        checks,
        [model::Check {
            name: "errors".to_owned(),
            source: model::Source::Prometheus {
                address: "http://prometheus:9090".to_owned(),
                query: "errors".to_owned(),
                when_no_data: model::NoData::Fail,
            },
            must: model::Must { be: model::Comparison::LessThan, value: "0.01".to_owned() },
            interval_seconds: 30,
            timeout_seconds: 5,
            failures_in_a_row: 1,
            on_failure: model::OnFailure::FailInstance,
        }]
    );
    let without = serde_json::to_value(UpdateSettings::default()).unwrap();
    assert_eq!(without.get("checks"), None);
}

#[test]
fn a_check_that_cannot_be_acted_on_says_which_and_why() {
    let set = |mut check: Value, pointer: &str, value: Value| {
        *check.pointer_mut(pointer).unwrap() = value;
        check
    };
    let with = |mut check: Value, field: &str, value: Value| {
        check[field] = value;
        check
    };
    let url = |url: &str| json!([set(http("a"), "/http/url", json!(url))]);
    let address = |text: &str| json!([set(prometheus(), "/prometheus/address", json!(text))]);
    let rows = [
        (json!([http("a"), http("a")]), "check \"a\": is there twice"),
        (
            json!([with(http("a"), "prometheus", prometheus()["prometheus"].clone())]),
            "one of http, prometheus, but holds 2",
        ),
        (json!([with(http("a"), "http", Value::Null)]), "one of http, prometheus, but holds 0"),
        (url("web.example/status"), "check \"a\": http.url: \"web.example/status\" is no URL"),
        (url("/status"), "is no URL"),
        (url("http://"), "is no URL"),
        (url("http://:80/"), "is no URL"),
        (url("http://a b/"), "is no URL"),
        (url("ftp://web.example/status"), "another scheme"),
        (url("file:///etc/passwd"), "is no URL"),
        (url("http://me:secret@web.example/"), "holds a user"),
        (url("http://web.example/#top"), "holds a fragment"),
        (
            address("http://prometheus:9090/?x=1"),
            "prometheus.address: \"http://prometheus:9090/?x=1\" holds a query",
        ),
        (
            json!([set(http("a"), "/http/jsonPath", json!("errors"))]),
            "http.jsonPath: \"errors\" is no JSONPath",
        ),
        (json!([set(http("a"), "/http/jsonPath", json!("$[?@.a]"))]), "holds a filter"),
        (
            json!([set(http("a"), "/must/value", json!("low"))]),
            "must.value: \"low\" is no number, which AtMost needs",
        ),
        (json!([set(http("a"), "/must/value", json!("NaN"))]), "is no number"),
        (json!([set(http("a"), "/name", json!(""))]), "is empty"),
        (json!([with(http("a"), "intervalSeconds", json!(1))]), "intervalSeconds: 1 is out of range"),
        (json!([with(http("a"), "timeoutSeconds", json!(0))]), "timeoutSeconds: 0 is out of range"),
        (json!([with(http("a"), "failuresInARow", json!(0))]), "failuresInARow: 0 is out of range"),
        (
            json!((0..17).map(|number| http(&number.to_string())).collect::<Vec<_>>()),
            "holds 17 checks; use at most 16",
        ),
    ];
    for (checks, why) in rows {
        let error = read(json!({"checks": checks})).unwrap_err();
        assert!(error.starts_with("spec.update.checks") && error.contains(why), "{checks}: {error}");
    }
    let text = set(set(http("a"), "/must/be", json!("Equal")), "/must/value", json!("green"));
    assert!(read(json!({"checks": [text]})).is_ok());
}

#[test]
fn instances_fail_only_where_they_are_watched() {
    let unwatched = |check: Value| read(json!({"watchSeconds": 0, "checks": [check]}));
    let error = unwatched(http("a")).unwrap_err();
    assert!(error.contains("check \"a\": needs a watch"), "{error}");
    let mut pulse = http("a");
    pulse["onFailure"] = json!("LosePulse");
    assert!(unwatched(pulse).is_ok());
}
