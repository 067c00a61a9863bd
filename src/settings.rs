//! The operator's settings: flags, or environment variables of the same meaning.
//!
//! Everything is checked before anything is begun; a wrong setting is said with the flag's name. Read by `main`,
//! used by `operator`.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use borealis_core::admit::slots::{Bounds, Mode};
use clap::{Parser, ValueEnum};
use jiff::SignedDuration;

use crate::{apply::Limits, checks::Hosts, controller::PreemptionSettings, lease::LeaseSettings};

/// Name of the ConfigMap whose being there freezes the cluster.
pub const FREEZE: &str = "borealis-freeze";

/// Name of the ConfigMap that says what is logged, while it is there.
pub const LOG: &str = "borealis-log";

/// Apache Aurora's semantics for Kubernetes, as an operator.
#[derive(Debug, Clone, Parser)]
#[command(version, about, long_about = None)]
pub struct Settings {
    /// Name of this cluster, first part of every job key
    #[arg(long, env = "BOREALIS_CLUSTER_NAME", default_value = "default")]
    pub cluster_name: String,
    /// Namespace of the operator: its Lease, its freeze switch (ConfigMap borealis-freeze) and the log's filter (borealis-log)
    #[arg(long, env = "POD_NAMESPACE", default_value = "borealis-system")]
    pub namespace: String,
    /// Name of the Lease; the policy that fences terms names it too
    #[arg(long, default_value = "borealis")]
    pub lease_name: String,
    /// Who this replica is, unique among all [default: host name and a random suffix]
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// How long other replicas wait after the holder's last renewal; whole seconds
    #[arg(long, default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long the holder acts on its last renewal; less than the lease's duration
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub lease_renew_deadline: Duration,
    /// How often the lease is renewed or looked at; less than half the renew deadline
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub lease_retry_period: Duration,
    /// Services and jobs worked on at a time
    #[arg(long, default_value_t = 8, value_parser = positive)]
    pub workers: usize,
    /// Calls to the API server on their way, and crons worked on, at a time
    #[arg(long, default_value_t = 32, value_parser = positive)]
    pub in_flight: usize,
    /// How long one call to the API server may take
    #[arg(long, default_value = "15s", value_parser = duration)]
    pub call_timeout: Duration,
    /// How long a service is left alone at most
    #[arg(long, default_value = "10m", value_parser = duration)]
    pub resync: Duration,
    /// How old what is known of a Secret may be that is part of a config; nobody says when one changes
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub secret_interval: Duration,
    /// Pods of ended tasks that are kept with their logs, in the whole cluster
    #[arg(long, default_value_t = 2000)]
    pub kept_cap: usize,
    /// Hosts that the checks of updates may ask, comma-separated: host, host:port, *.suffix [default: none]
    #[arg(long, env = "BOREALIS_CHECK_HOSTS", default_value = "", hide_default_value = true, value_parser = Hosts::parse)]
    pub check_hosts: Hosts,
    /// Whether room is made for Pods that wait by ending others; dry-run only says who would go
    #[arg(long, env = "BOREALIS_PREEMPTION", value_enum, default_value_t = Preemption::On)]
    pub preemption: Preemption,
    /// How long room is kept for a Pod that does not get it
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub slot_hold: Duration,
    /// Pods that may end in a minute for those of one role, where its AuroraRole says nothing
    #[arg(long, default_value_t = 2000)]
    pub victims_per_minute: u32,
    /// Where /livez, /readyz, /metrics and /debug are served
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// How the log is written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Collector that traces are sent to by OTLP, such as http://collector:4318 [default: none, and no traces are made]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = collector)]
    pub otlp_endpoint: Option<String>,
    /// Share of traces that are sent, from 0 to 1
    #[arg(long, default_value_t = 0.1, value_parser = share)]
    pub trace_ratio: f64,
    /// What is logged, as in RUST_LOG, while there is no ConfigMap borealis-log
    #[arg(long, env = "RUST_LOG", default_value = "info,kube=warn,kube_client::client::builder=off")]
    pub log: String,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether room is made by ending others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preemption {
    /// It is.
    On,
    /// It is only said who would go.
    DryRun,
    /// It is not.
    Off,
}

/// A combination of settings that can't be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The Lease keeps whole seconds.
    #[error("--lease-duration {0:?}: use whole seconds, at least 1s")]
    LeaseDuration(Duration),
    /// Two holders would act at once.
    #[error("--lease-renew-deadline {deadline:?}: use less than --lease-duration ({duration:?})")]
    RenewDeadline {
        /// What it says.
        deadline: Duration,
        /// What it has to stay below.
        duration: Duration,
    },
    /// A single failed try would lose the lease.
    #[error("--lease-retry-period {period:?}: use less than half of --lease-renew-deadline ({deadline:?})")]
    RetryPeriod {
        /// What it says.
        period: Duration,
        /// Half of what it has to stay below.
        deadline: Duration,
    },
    /// It stands in labels and in a path-like key.
    #[error("--cluster-name {0:?}: use letters, digits, '-', '_' and '.', at most 63 of them")]
    ClusterName(String),
    /// Traces can't be sent there.
    #[error("--otlp-endpoint {endpoint:?}: {why}")]
    Collector {
        /// What it says.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// The log filter can't be read.
    #[error("--log {text:?}: {why}")]
    Log {
        /// What it says.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Settings {
    /// Whether they go together.
    ///
    /// # Errors
    /// The first that doesn't.
    pub fn check(&self) -> Result<(), Wrong> {
        let Self {
            lease_duration: duration, lease_renew_deadline: deadline, lease_retry_period: period, ..
        } = *self;
        if duration.as_secs() == 0 || duration.subsec_nanos() != 0 {
            return Err(Wrong::LeaseDuration(duration));
        }
        if deadline >= duration {
            return Err(Wrong::RenewDeadline { deadline, duration });
        }
        if period * 2 >= deadline {
            return Err(Wrong::RetryPeriod { period, deadline });
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = &self.cluster_name;
        if name.is_empty() || name.len() > 63 || !name.chars().all(fits) {
            return Err(Wrong::ClusterName(name.clone()));
        }
        Ok(())
    }

    /// Who this replica is: what was said, or the host with something random, since no two may be the same.
    #[must_use]
    pub fn identity(&self) -> String {
        self.identity.clone().unwrap_or_else(|| {
            let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
            // Seeded by the system for every state: random enough to tell replicas apart.
            let random = RandomState::new().build_hasher().finish();
            format!("{}_{random:016x}", host.trim())
        })
    }

    /// How the lease is held.
    #[must_use]
    pub fn lease(&self, identity: &str) -> LeaseSettings {
        LeaseSettings {
            namespace: self.namespace.clone(),
            name: self.lease_name.clone(),
            identity: identity.to_owned(),
            duration: self.lease_duration,
            renew_deadline: self.lease_renew_deadline,
            retry_period: self.lease_retry_period,
        }
    }

    /// How room is made.
    #[must_use]
    pub fn preemption(&self, frozen: Arc<AtomicBool>) -> PreemptionSettings {
        let mode = match self.preemption {
            Preemption::On => Mode::On,
            Preemption::DryRun => Mode::DryRun,
            Preemption::Off => Mode::Off,
        };
        let hold = SignedDuration::try_from(self.slot_hold).unwrap_or(SignedDuration::MAX);
        let bounds = Bounds { hold, ..Bounds::default() };
        PreemptionSettings { mode, bounds, victims_per_minute: self.victims_per_minute, frozen }
    }

    /// What the executor keeps to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { in_flight: self.in_flight, call_timeout: self.call_timeout }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let form = "use a time such as 15s, 500ms or 10m";
    let duration: SignedDuration = text.parse().map_err(|_| form.to_owned())?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or_else(|| form.to_owned())
}

/// An empty one is none, as OpenTelemetry reads its variables.
fn collector(text: &str) -> Result<String, String> {
    let url: Option<http::Uri> = text.parse().ok();
    let good =
        url.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
    if good || text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("use the URL of a collector, such as http://collector:4318".to_owned())
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "use a share from 0 to 1, such as 0.1".to_owned())
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "use a whole number from 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &str) -> Result<Settings, String> {
        let settings = Settings::try_parse_from(std::iter::once("borealis").chain(flags.split_whitespace()));
        let settings = settings.map_err(|error| error.to_string())?;
        settings.check().map(|()| settings).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn the_defaults_are_client_gos() {
        let settings = parse("").unwrap();
        let lease = settings.lease("a");
        let seconds = [lease.duration, lease.renew_deadline, lease.retry_period].map(|d| d.as_secs());
        assert_eq!(seconds, [15, 10, 2]);
        assert_ne!(settings.identity(), settings.identity());
        assert_eq!(parse("--identity a").unwrap().identity(), "a");
        let preemption = parse("").unwrap().preemption(Arc::default());
        assert_eq!((preemption.mode, preemption.bounds), (Mode::On, Bounds::default()));
        let dry = parse("--preemption dry-run --slot-hold 20s").unwrap().preemption(Arc::default());
        assert_eq!((dry.mode, dry.bounds.hold.as_secs()), (Mode::DryRun, 20));
    }

    #[test]
    fn a_wrong_setting_is_said_by_its_flag() {
        for (flags, expected) in [
            ("--lease-duration 1500ms", "--lease-duration"),
            ("--lease-renew-deadline 15s", "--lease-renew-deadline"),
            ("--lease-retry-period 5s", "--lease-retry-period"),
            ("--lease-retry-period soon", "15s, 500ms or 10m"),
            ("--workers 0", "whole number from 1"),
            ("--otlp-endpoint collector:4318", "http://collector:4318"),
            ("--trace-ratio 2", "share from 0 to 1"),
            ("--secret-interval 0s", "15s, 500ms or 10m"),
            ("--cluster-name a/b", "--cluster-name"),
            ("--listen here", "--listen"),
            ("--check-hosts good.example,http://x", "\"http://x\" names no host"),
            ("--log-format xml", "--log-format"),
            ("--preemption maybe", "on, dry-run, off"),
            ("--slot-hold 0s", "15s, 500ms or 10m"),
            ("--unknown", "--unknown"),
        ] {
            let error = parse(flags).unwrap_err();
            assert!(error.contains(expected), "{flags}: {error}");
        }
    }
}
