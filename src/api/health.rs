//! `spec.health`: Aurora's health checker, as far as probes can express it.
//!
//! Holds the numbers and their arithmetic; `apply::pods` turns them into probes. What Aurora has and
//! probes have not (body comparison, fractions of a second, the snooze file) has no field here.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Invalid;

/// How the health of an instance is checked: exactly one of `http`, `tcp` and `exec`.
///
/// Checking begins as soon as the container runs. An instance becomes RUNNING after
/// `minConsecutiveSuccesses` good checks; failures don't count during `initialIntervalSeconds`.
/// A running instance fails after more than `maxConsecutiveFailures` bad checks in a row and is
/// then replaced. A container with probes of its own keeps those instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCheck {
    /// Check by HTTP GET: healthy is any status from 200 to 399.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// Check by opening a TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    /// Check by running a command in the container: healthy is exit code 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecCheck>,
    /// Name of the container that is checked. Default: the first container of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container: Option<String>,
    /// Time after the start during which failed checks don't count. Unit: seconds. Default: 15.
    #[schemars(range(min = 0, max = 86400))]
    pub initial_interval_seconds: i32,
    /// Time between two checks. Unit: seconds. Default: 10.
    #[schemars(range(min = 1, max = 3600))]
    pub interval_seconds: i32,
    /// Time after which a check without an answer has failed. Unit: seconds. Default: 1.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: i32,
    /// Failed checks in a row that are tolerated. Unit: checks. Default: 0, the first one fails the
    /// instance.
    #[schemars(range(min = 0, max = 1000))]
    pub max_consecutive_failures: i32,
    /// Good checks in a row that make an instance RUNNING. Unit: checks. Default: 1.
    #[schemars(range(min = 1, max = 1000))]
    pub min_consecutive_successes: i32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            http: None,
            tcp: None,
            exec: None,
            container: None,
            initial_interval_seconds: 15,
            interval_seconds: 10,
            timeout_seconds: 1,
            max_consecutive_failures: 0,
            min_consecutive_successes: 1,
        }
    }
}

/// A check by HTTP GET.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpCheck {
    /// Path that is asked for, starting with a slash. Default: `/health`.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Port number, or the name of a container port. Default: the port named `health`.
    pub port: IntOrString,
    /// `HTTP` or `HTTPS`; certificates are not verified. Default: `HTTP`.
    pub scheme: Scheme,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self { path: "/health".to_owned(), port: default_port(), scheme: Scheme::Http }
    }
}

/// Protocol of a check by HTTP GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// As probes spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }
}

/// A check by opening a TCP connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpCheck {
    /// Port number, or the name of a container port. Default: the port named `health`.
    pub port: IntOrString,
}

impl Default for TcpCheck {
    fn default() -> Self {
        Self { port: default_port() }
    }
}

/// A check by running a command in the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecCheck {
    /// Command and its arguments. No shell is involved unless the command names one.
    #[schemars(length(min = 1, max = 64))]
    pub command: Vec<String>,
}

/// The one way of checking that a [`HealthCheck`] holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check<'a> {
    Http(&'a HttpCheck),
    Tcp(&'a TcpCheck),
    Exec(&'a ExecCheck),
}

impl HealthCheck {
    /// The way of checking; CEL lets only one through, a stored object of another version may differ.
    ///
    /// # Errors
    /// When not exactly one of the three is set.
    pub fn check(&self) -> Result<Check<'_>, Invalid> {
        match (&self.http, &self.tcp, &self.exec) {
            (Some(http), None, None) => Ok(Check::Http(http)),
            (None, Some(tcp), None) => Ok(Check::Tcp(tcp)),
            (None, None, Some(exec)) => Ok(Check::Exec(exec)),
            (http, tcp, exec) => Err(Invalid::Union {
                field: "spec.health",
                members: "http, tcp, exec",
                found: [http.is_some(), tcp.is_some(), exec.is_some()].iter().filter(|&&set| set).count(),
            }),
        }
    }

    /// Checks that may fail before the instance must be RUNNING: those of the forgiving window, the
    /// tolerated ones, and the good ones that are needed (Aurora's attempts to reach RUNNING).
    #[must_use]
    pub fn startup_attempts(&self) -> i32 {
        let interval = self.interval_seconds.max(1);
        let forgiving = (self.initial_interval_seconds.max(0).saturating_add(interval - 1)) / interval;
        forgiving
            .saturating_add(self.max_consecutive_failures.max(0))
            .saturating_add(self.min_consecutive_successes.max(1))
    }

    /// Failed checks in a row that end a running instance: one more than is tolerated.
    #[must_use]
    pub fn fatal_failures(&self) -> i32 {
        self.max_consecutive_failures.max(0).saturating_add(1)
    }

    /// The place of the container that is checked among those of the Pod, if there is one of its name.
    #[must_use]
    pub fn checked(&self, pod: &PodSpec) -> Option<usize> {
        let named = |name: &String| pod.containers.iter().position(|container| container.name == *name);
        self.container.as_ref().map_or((!pod.containers.is_empty()).then_some(0), named)
    }
}

/// Whether a container has probes of its own, which it then keeps.
#[must_use]
pub fn has_probes(container: &Container) -> bool {
    container.startup_probe.is_some()
        || container.liveness_probe.is_some()
        || container.readiness_probe.is_some()
}

fn default_port() -> IntOrString {
    IntOrString::String("health".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_to_reach_running_are_auroras() {
        // (initial, interval, max failures, min successes) -> attempts
        for ((initial, interval, failures, successes), attempts) in [
            ((15, 10, 0, 1), 3), // Aurora's defaults: ceil(15/10) + 0 + 1
            ((0, 10, 0, 1), 1),
            ((10, 10, 0, 1), 2),
            ((11, 10, 2, 3), 7),
            ((60, 1, 0, 1), 61),
        ] {
            let check = HealthCheck {
                initial_interval_seconds: initial,
                interval_seconds: interval,
                max_consecutive_failures: failures,
                min_consecutive_successes: successes,
                ..HealthCheck::default()
            };
            assert_eq!(check.startup_attempts(), attempts, "{check:?}");
            assert_eq!(check.fatal_failures(), failures + 1);
        }
    }

    #[test]
    fn exactly_one_way_of_checking() {
        let none = HealthCheck::default();
        let both =
            HealthCheck { http: Some(HttpCheck::default()), tcp: Some(TcpCheck::default()), ..none.clone() };
        let one = HealthCheck { tcp: None, ..both.clone() };
        assert!(matches!(none.check(), Err(Invalid::Union { found: 0, .. })));
        assert!(matches!(both.check(), Err(Invalid::Union { found: 2, .. })));
        assert!(matches!(one.check(), Ok(Check::Http(_))));
    }
}
