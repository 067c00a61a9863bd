//! Building the manifests of crons whose runs follow each other faster than a cron's minutes.
//!
//! Called by scenarios. The fields are written as a user writes them in YAML.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::service::{Service, put};

/// A cron in the making.
#[derive(Debug, Clone)]
pub struct Cron {
    name: String,
    spec: Map<String, Value>,
}

impl Cron {
    /// A cron that runs this job by these rules.
    pub fn new(name: &str, schedules: &[String], job: &Service) -> Self {
        let spec = json!({ "schedules": schedules, "job": { "spec": job.spec() } });
        Self { name: name.to_owned(), spec: spec.as_object().cloned().unwrap_or_default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets a field of the spec by its JSON pointer; missing objects on the way are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        put(&mut self.spec, pointer, value);
        self
    }

    /// It waits for these crons, each of which has to succeed.
    #[must_use]
    pub fn after(self, parents: &[&str]) -> Self {
        let parents: Vec<Value> =
            parents.iter().map(|name| json!({ "kind": "AuroraCron", "name": name })).collect();
        self.set("/parents", json!(parents))
    }

    /// The object as it is applied.
    pub fn manifest(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "borealis.dev/v1alpha1",
            "kind": "AuroraCron",
            "metadata": { "name": self.name, "namespace": namespace },
            "spec": self.spec,
        })
    }
}

/// A job of one instance that succeeds after so many seconds.
pub fn quick(seconds: u32) -> Service {
    Service::job("run", 1).simulate("exit-after-seconds", &seconds.to_string())
}

/// Rules by which a run is due at each of these times and a whole number of minutes later. A rule that repeats faster
/// than each minute is refused; several that take turns are not.
pub fn minutely(times: &[Timestamp]) -> Vec<String> {
    times.iter().map(|time| format!("R/{time}/PT1M")).collect()
}

/// Times this far apart, from one on, for as long as a minute.
pub fn apart(from: Timestamp, seconds: i64) -> Vec<Timestamp> {
    (0..60 / seconds).map(|nth| from + SignedDuration::from_secs(nth * seconds)).collect()
}

/// The next whole second at least this far away.
pub fn soon(seconds: i64) -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second() + 1 + seconds).unwrap_or(now)
}
