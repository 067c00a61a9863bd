//! What an answer says: the values in it, and whether each is what it must be.
//!
//! Pure. What can't be read is no answer, which is a failed measurement. Called by `ask`.

use borealis_core::model::{Must, NoData, number};
use serde::Deserialize;
use serde_json::Value;

use super::ask::Answer;
use crate::api::json_path::JsonPath;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 300;
/// The longest value that is shown, in characters.
const MAX_VALUE: usize = 60;

/// What a measurement came to, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// All values are what they must be.
    Holds,
    /// One is not, or there is none.
    Fails,
    /// There is no answer, or one that can't be read.
    Unanswered,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) kind: Kind,
    /// The value that decides; empty where there is none.
    pub(super) value: String,
    /// What is to be said of it, after the check's name.
    pub(super) message: String,
}

impl Reading {
    fn new(kind: Kind, value: &str, message: &str) -> Self {
        let message = message.chars().take(MAX_MESSAGE).collect();
        Self { kind, value: value.chars().take(MAX_VALUE).collect(), message }
    }

    /// There is no answer, or one that says nothing.
    pub(super) fn unanswered(why: &str) -> Self {
        Self::new(Kind::Unanswered, "", why)
    }

    pub(super) fn holds(&self) -> bool {
        self.kind == Kind::Holds
    }

    /// Whether every value is what it must be.
    fn judge(values: &[String], must: &Must) -> Self {
        let (count, words) = (values.len(), must.words());
        let bad: Vec<&String> = values.iter().filter(|value| !must.holds(value)).collect();
        let Some(shown) = bad.first().copied().or(values.first()) else {
            return Self::new(Kind::Fails, "", &format!("no data, must be {words}"));
        };
        let value: String = shown.chars().take(MAX_VALUE).collect();
        let of = match (count, bad.len()) {
            (1, _) => String::new(),
            (_, 0) => format!("{count} values such as "),
            (_, bad) => format!("{bad} of {count} values, such as "),
        };
        let kind = if bad.is_empty() { Kind::Holds } else { Kind::Fails };
        Self::new(kind, &value, &format!("{of}{value}, must be {words}"))
    }
}

/// What a JSON document says.
pub(super) fn of_document(answer: Answer, path: &str, must: &Must) -> Reading {
    let Answer { status, body } = answer;
    if status.is_redirection() {
        return Reading::unanswered(&format!("it answers {status}, and redirects are not followed"));
    }
    if !status.is_success() {
        return Reading::unanswered(&format!("it answers {status}"));
    }
    let document: Value = match serde_json::from_slice(&body) {
        Ok(document) => document,
        Err(error) => return Reading::unanswered(&format!("the answer is no JSON: {error}")),
    };
    let found = match JsonPath::parse(path) {
        Ok(path) => path.find(&document),
        Err(why) => return Reading::unanswered(&format!("{path:?} {why}")),
    };
    if found.is_empty() {
        return Reading::unanswered(&format!("the answer has nothing at {path}"));
    }
    let values: Result<Vec<String>, &str> = found.into_iter().map(text).collect();
    match values {
        Ok(values) => Reading::judge(&values, must),
        Err(what) => Reading::unanswered(&format!("at {path} is {what}, not a number or a text")),
    }
}

fn text(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Err("null"),
        Value::Array(_) => Err("a list"),
        Value::Object(_) => Err("an object"),
    }
}

/// The answer of Prometheus's HTTP API.
#[derive(Deserialize)]
struct Queried {
    status: String,
    error: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Sample),
    String(Sample),
    Vector(Vec<Series>),
    Matrix(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    /// Absent of a native histogram.
    value: Option<Sample>,
}

/// A time and a value.
#[derive(Deserialize)]
struct Sample(serde::de::IgnoredAny, String);

/// What a query says.
pub(super) fn of_query(answer: Answer, when_no_data: NoData, must: &Must) -> Reading {
    let Answer { status, body } = answer;
    if status.is_redirection() {
        return Reading::unanswered(&format!("Prometheus answers {status}, and redirects are not followed"));
    }
    // It says what is wrong with a query in an answer of status 400 or 422.
    let queried: Queried = match serde_json::from_slice(&body) {
        Ok(queried) => queried,
        Err(_) if !status.is_success() => {
            return Reading::unanswered(&format!("Prometheus answers {status}"));
        }
        Err(error) => return Reading::unanswered(&format!("the answer is none of Prometheus: {error}")),
    };
    if !status.is_success() || queried.status != "success" {
        let why = queried.error.unwrap_or_else(|| status.to_string());
        return Reading::unanswered(&format!("Prometheus answers: {why}"));
    }
    let samples = match queried.data {
        Some(Data::Scalar(sample) | Data::String(sample)) => vec![sample.1],
        Some(Data::Vector(series)) => {
            let values: Option<Vec<String>> =
                series.into_iter().map(|series| series.value.map(|sample| sample.1)).collect();
            let Some(values) = values else {
                return Reading::unanswered("the result holds histograms, which can't be compared");
            };
            values
        }
        Some(Data::Matrix(_)) => {
            return Reading::unanswered(
                "the result is a range; use a query whose result is a vector or a scalar",
            );
        }
        None => return Reading::unanswered("the answer of Prometheus has no data"),
    };
    let there: Vec<String> = samples.iter().filter(|value| number(value).is_some()).cloned().collect();
    let no_data = samples.is_empty() || there.len() < samples.len();
    if !no_data {
        return Reading::judge(&there, must);
    }
    let rest = Reading::judge(&there, must);
    match when_no_data {
        NoData::Fail => Reading::judge(&[], must),
        NoData::Hold if there.is_empty() => {
            Reading::new(Kind::Holds, "", "no data, which holds by whenNoData")
        }
        NoData::Hold => rest,
    }
}

#[cfg(test)]
mod tests {
    use borealis_core::model::Comparison;
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    fn must(be: Comparison, value: &str) -> Must {
        Must { be, value: value.to_owned() }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), body: body.as_bytes().to_vec() }
    }

    fn said(reading: &Reading) -> (Kind, &str, &str) {
        (reading.kind, &reading.value, &reading.message)
    }

    #[test]
    fn a_document_is_judged_by_what_is_at_the_path() {
        use Kind::*;
        let document = json!({
            "rate": 0.35, "color": "green", "ready": true, "text": "7", "none": null, "map": {}, "list": [],
            "shards": [{"lag": 1}, {"lag": 9}, {"lag": 12}],
        });
        let document = document.to_string();
        let rows = [
            ("$.rate", must(Comparison::LessThan, "0.5"), Holds, "0.35", "0.35, must be less than 0.5"),
            ("$.rate", must(Comparison::LessThan, "0.01"), Fails, "0.35", "0.35, must be less than 0.01"),
            ("$.color", must(Comparison::Equal, "green"), Holds, "green", "green, must be equal to green"),
            ("$.color", must(Comparison::LessThan, "9"), Fails, "green", "green, must be less than 9"),
            ("$.ready", must(Comparison::Equal, "true"), Holds, "true", "true, must be equal to true"),
            ("$.text", must(Comparison::AtLeast, "7.0"), Holds, "7", "7, must be at least 7.0"),
            (
                "$.shards[*].lag",
                must(Comparison::AtMost, "12"),
                Holds,
                "1",
                "3 values such as 1, must be at most 12",
            ),
            (
                "$.shards[*].lag",
                must(Comparison::AtMost, "5"),
                Fails,
                "9",
                "2 of 3 values, such as 9, must be at most 5",
            ),
            ("$.gone", must(Comparison::NotEqual, "0"), Unanswered, "", "the answer has nothing at $.gone"),
            (
                "$.none",
                must(Comparison::NotEqual, "0"),
                Unanswered,
                "",
                "at $.none is null, not a number or a text",
            ),
            (
                "$.map",
                must(Comparison::NotEqual, "0"),
                Unanswered,
                "",
                "at $.map is an object, not a number or a text",
            ),
            (
                "$.list",
                must(Comparison::NotEqual, "0"),
                Unanswered,
                "",
                "at $.list is a list, not a number or a text",
            ),
        ];
        for (path, must, kind, value, message) in rows {
            let reading = of_document(answer(200, &document), path, &must);
            assert_eq!(said(&reading), (kind, value, message), "{path}");
        }
    }

    #[test]
    fn what_is_no_good_answer_is_none() {
        let any = must(Comparison::NotEqual, "0");
        for (status, body, message) in [
            (503, "{\"rate\": 1}", "it answers 503 Service Unavailable"),
            (302, "{\"rate\": 1}", "it answers 302 Found, and redirects are not followed"),
            (200, "<html>", "the answer is no JSON: expected value at line 1 column 1"),
            (200, "", "the answer is no JSON: EOF while parsing a value at line 1 column 0"),
        ] {
            let reading = of_document(answer(status, body), "$.rate", &any);
            assert_eq!(said(&reading), (Kind::Unanswered, "", message));
        }
        let deep = "[".repeat(100_000);
        assert_eq!(of_document(answer(200, &deep), "$..x", &any).kind, Kind::Unanswered);
        let long = json!({"rate": "x".repeat(100_000)}).to_string();
        let reading = of_document(answer(200, &long), "$.rate", &must(Comparison::Equal, "y"));
        assert_eq!((reading.value.len(), reading.message.len() <= MAX_MESSAGE), (MAX_VALUE, true));
    }

    fn vector(values: &[&str]) -> String {
        let of = |value: &&str| json!({"metric": {"job": "web"}, "value": [1_700_000_000.123, value]});
        let result: Vec<Value> = values.iter().map(of).collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string()
    }

    #[test]
    fn every_sample_of_a_query_must_be_right() {
        use Kind::*;
        let below = must(Comparison::LessThan, "0.01");
        let single = |kind: &str, value: &str| {
            json!({"status": "success", "data": {"resultType": kind, "result": [1, value]}}).to_string()
        };
        let rows = [
            (vector(&["0.001"]), NoData::Fail, Holds, "0.001"),
            (vector(&["0.01"]), NoData::Fail, Fails, "0.01"),
            (vector(&["0.001", "0.5", "0.002"]), NoData::Fail, Fails, "0.5"),
            (vector(&["0.001", "0.002"]), NoData::Fail, Holds, "0.001"),
            (vector(&["+Inf"]), NoData::Fail, Fails, "+Inf"),
            (vector(&["-Inf"]), NoData::Fail, Holds, "-Inf"),
            (vector(&[]), NoData::Fail, Fails, ""),
            (vector(&[]), NoData::Hold, Holds, ""),
            (vector(&["NaN"]), NoData::Fail, Fails, ""),
            (vector(&["NaN"]), NoData::Hold, Holds, ""),
            (vector(&["NaN", "0.5"]), NoData::Hold, Fails, "0.5"),
            (vector(&["NaN", "0.001"]), NoData::Hold, Holds, "0.001"),
            (vector(&["NaN", "0.001"]), NoData::Fail, Fails, ""),
            (single("scalar", "0.001"), NoData::Fail, Holds, "0.001"),
            (single("scalar", "1"), NoData::Fail, Fails, "1"),
        ];
        for (body, when_no_data, kind, value) in rows {
            let reading = of_query(answer(200, &body), when_no_data, &below);
            assert_eq!((reading.kind, reading.value.as_str()), (kind, value), "{body}");
        }
    }

    #[test]
    fn what_prometheus_says_against_a_query_is_told() {
        let any = must(Comparison::NotEqual, "0");
        let refused =
            "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"unexpected end of input\"}";
        let range = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}";
        let histogram = json!({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {}, "histogram": [1, {"count": "1"}]},
        ]}});
        let histogram = histogram.to_string();
        for (status, body, message) in [
            (400, refused, "Prometheus answers: unexpected end of input"),
            (503, "busy", "Prometheus answers 503 Service Unavailable"),
            (302, "", "Prometheus answers 302 Found, and redirects are not followed"),
            (200, range, "the result is a range; use a query whose result is a vector or a scalar"),
            (200, &*histogram, "the result holds histograms, which can't be compared"),
            (200, "{\"status\":\"success\"}", "the answer of Prometheus has no data"),
        ] {
            // What can't be measured holds no more than what fails, whatever no data mean.
            let reading = of_query(answer(status, body), NoData::Hold, &any);
            assert_eq!(said(&reading), (Kind::Unanswered, "", message));
        }
        let strange = of_query(answer(200, "[]"), NoData::Hold, &any);
        assert!(strange.message.starts_with("the answer is none of Prometheus"), "{}", strange.message);
    }
}
