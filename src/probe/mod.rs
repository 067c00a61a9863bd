//! `borealis probe`: whether the Borealis that is installed is at work, asked of the API server by somebody else than it.
//!
//! It reads and judges again until all is well or its time is over, since a fresh installation needs some; it writes
//! nothing. `judge` says what is wrong by what was read. Called by `main`, in the Pod of `helm test` or by people.

mod judge;

use std::{fmt, time::Duration};

use clap::Args;
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    coordination::v1::Lease,
};
use kube::{Api, Client, Config, api::ListParams};
use tokio::time::{Instant, sleep, timeout_at};

use self::judge::Verdict;
use crate::{admission, api::Tier, outbound::causes};

/// Between two looks at what is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long one call may take.
const CALL: Duration = Duration::from_secs(10);

/// What is asked for, and how long.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Namespace of the operator and of its Lease
    #[arg(long, env = "POD_NAMESPACE", default_value = "borealis-system")]
    pub namespace: String,
    /// Name of the Lease
    #[arg(long, default_value = "borealis")]
    pub lease_name: String,
    /// Tiers that have to be Ready, comma-separated [default: all that there are, and at least one]
    #[arg(long, value_delimiter = ',')]
    pub tiers: Vec<String>,
    /// How long what is missing is waited for; the Lease has to be renewed in this time
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=86_400))]
    pub timeout_seconds: u64,
}

/// What was found, a line a check.
#[derive(Debug)]
pub struct Report {
    lines: Vec<(&'static str, Verdict)>,
    took: Duration,
}

impl Report {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lines.iter().all(|(_, verdict)| verdict.is_ok())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (about, verdict) in &self.lines {
            match verdict {
                Ok(found) => writeln!(f, "ok       {about}: {found}")?,
                Err(missing) => writeln!(f, "MISSING  {about}: {missing}")?,
            }
        }
        let (missing, all) = (self.lines.iter().filter(|line| line.1.is_err()).count(), self.lines.len());
        let seconds = self.took.as_secs_f64();
        match missing {
            0 => write!(f, "Borealis is at work: all {all} checks hold after {seconds:.1}s"),
            _ => write!(f, "Borealis is not at work: {missing} of {all} checks fail after {seconds:.1}s"),
        }
    }
}

/// Probes what the environment names: the cluster of this Pod, or that of the kubeconfig.
///
/// # Errors
/// When there is no way to an API server.
pub async fn run(arguments: &Arguments) -> Result<Report, String> {
    let why = |error: &dyn fmt::Display| format!("no way to the API server: {error}");
    let mut config = Config::infer().await.map_err(|error| why(&error))?;
    // Rounds are its retries.
    config.default_retry = false;
    let client = Client::try_from(config).map_err(|error| why(&error))?;
    Ok(probe(client, arguments).await)
}

async fn probe(client: Client, arguments: &Arguments) -> Report {
    let begin = Instant::now();
    let deadline = begin + Duration::from_secs(arguments.timeout_seconds);
    let asked = Asked {
        leases: Api::namespaced(client.clone(), &arguments.namespace),
        tiers: Api::all(client.clone()),
        policies: Api::all(client.clone()),
        bindings: Api::all(client.clone()),
        client,
    };
    let mut first_seen = None;
    loop {
        let lines = asked.round(arguments, deadline, &mut first_seen).await;
        let report = Report { lines, took: begin.elapsed() };
        if report.is_good() || Instant::now() + LOOK_AGAIN >= deadline {
            return report;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Whom it asks.
struct Asked {
    client: Client,
    leases: Api<Lease>,
    tiers: Api<Tier>,
    policies: Api<ValidatingAdmissionPolicy>,
    bindings: Api<ValidatingAdmissionPolicyBinding>,
}

impl Asked {
    /// Reads all once, and judges it. What the Lease said first is kept from round to round.
    async fn round(
        &self,
        arguments: &Arguments,
        deadline: Instant,
        first_seen: &mut Option<Lease>,
    ) -> Vec<(&'static str, Verdict)> {
        let until = deadline.min(Instant::now() + CALL);
        let all = ListParams::default();
        let name = &arguments.lease_name;
        let (version, missing, lease, tiers, policies, bindings) = tokio::join!(
            in_time(until, self.client.apiserver_version()),
            in_time(until, admission::missing_kinds(&self.client)),
            in_time(until, self.leases.get_opt(name)),
            in_time(until, self.tiers.list(&all)),
            in_time(until, self.policies.list(&all)),
            in_time(until, self.bindings.list(&all)),
        );
        let lease = lease.and_then(|lease| {
            let first = first_seen.as_ref();
            let verdict = judge::lease(&arguments.namespace, name, first, lease.as_ref());
            *first_seen = first_seen.take().or(lease);
            verdict
        });
        let policies = policies.and_then(|policies| Ok((policies, bindings?)));
        vec![
            ("version", version.and_then(|version| judge::version(&version))),
            ("kinds", missing.and_then(|missing| judge::kinds(&missing))),
            ("lease", lease),
            ("tiers", tiers.and_then(|tiers| judge::tiers(&arguments.tiers, &tiers.items))),
            ("policies", policies.and_then(|(all, bound)| judge::policies(&all.items, &bound.items))),
        ]
    }
}

/// What is said of a call that takes too long.
const SILENCE: &str =
    "no answer from the API server in time; look whether a NetworkPolicy keeps this Pod from it";

async fn in_time<T>(until: Instant, call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    let answered = timeout_at(until, call).await.map_err(|_| SILENCE.to_owned())?;
    answered.map_err(|error| match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            format!("{}; run it as an account that may, as that of `helm test`", status.message)
        }
        kube::Error::Api(status) if status.code == 404 => "the API server does not know the kind".to_owned(),
        kube::Error::Api(status) => format!("the API server answers {}: {}", status.code, status.message),
        error => format!("the API server can't be asked: {}", causes(&error)),
    })
}

#[cfg(test)]
mod tests;
