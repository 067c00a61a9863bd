//! `spec.update.checks`: what must hold while an update goes forward. Types, defaults and bounds only; `crate::checks`
//! measures, and what follows from it is `borealis_core`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that must hold while an update goes forward: exactly one of `http` and `prometheus` says where its values
/// come from, `must` what each of them must be. No answer is a failed measurement. An instance is good only once every check
/// was measured to hold since it became Ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name, unique among the checks of the service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Take the values from a JSON document that an HTTP server gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
    /// Take the values from a query to a Prometheus server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSource>,
    /// What every value must be.
    pub must: Must,
    /// Time from one measurement to the next. Unit: seconds. Default: 30.
    #[serde(default = "interval")]
    #[schemars(range(min = 5, max = 3600))]
    pub interval_seconds: i32,
    /// Time after which a measurement without an answer has failed. Unit: seconds. Default: 5.
    #[serde(default = "timeout")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: i32,
    /// Measurements in a row that must fail before the check does. Unit: measurements. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub failures_in_a_row: i32,
    /// What it means that the check fails. Default: `FailInstance`.
    #[serde(default)]
    pub on_failure: OnFailure,
}

fn interval() -> i32 {
    30
}

fn timeout() -> i32 {
    5
}

fn one() -> i32 {
    1
}

/// A JSON document that an HTTP server gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// Where it is: a URL of scheme http or https, whose host the operator's `--check-hosts` allows. It is asked for by
    /// GET; the answer must have a status from 200 to 299. Redirects are not followed.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Where in the document the values are, in JSONPath (RFC 9535) such as `$.errors.rate` or `$.shards[*].lag`: names,
    /// indexes, `*`, and at most one `..`. All it finds must be numbers, texts, true or false; nothing is a failure.
    #[schemars(length(min = 1, max = 512))]
    pub json_path: String,
}

/// A query to a Prometheus server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSource {
    /// The server, such as `http://prometheus.monitoring:9090`, with the path below which it serves its API, if it has
    /// one. The operator's `--check-hosts` must allow its host.
    #[schemars(length(min = 1, max = 2048))]
    pub address: String,
    /// An instant query in PromQL, whose result is a scalar or a vector. Every sample of a vector is a value.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// What it means that there is no sample, or one that is no number (NaN, as 0/0 is). Default: `Fail`.
    #[serde(default)]
    pub when_no_data: NoData,
}

/// What it means that a query has no result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NoData {
    /// The measurement fails.
    #[default]
    Fail,
    /// The measurement holds.
    Hold,
}

/// What it means that a check fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// Each instance that is in its watch then has failed once, and is made anew or fails the update, as if it had stopped
    /// being Ready.
    #[default]
    FailInstance,
    /// The update waits in ROLL_FORWARD_AWAITING_PULSE until the check holds again.
    LosePulse,
}

/// What every value must be: as a number where both sides are numbers, else as a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Must {
    /// How the value is compared. Texts are only `Equal` or `NotEqual`.
    pub be: Comparison,
    /// With what: a number in quotes such as `"0.01"`, or for `Equal` and `NotEqual` any text.
    #[schemars(length(max = 256))]
    pub value: String,
}

/// How a value is compared with the one it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    LessThan,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    GreaterThan,
}
