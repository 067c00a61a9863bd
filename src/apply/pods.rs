//! Builds the Pod of one run of one instance, out of its task config and its identity.
//!
//! Pure: the same arguments make the same Pod. Whether and when it is created is the plan's business,
//! sending it the executor's. What the template says stays, except for what is the operator's: name,
//! host name, priority, our labels and annotations, and the names of the ConfigMaps and Secrets that are part of the
//! config: in their places are those of the copies made for it.

use std::collections::BTreeMap;

use borealis_core::model::{Instance, JobKind, Revision, Run, Tier};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, ExecAction, HTTPGetAction, Pod, PodReadinessGate, PodSpec, Probe, TCPSocketAction,
    Toleration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

use super::placement::place;
use crate::api::health::{Check, HealthCheck, has_probes};
use crate::api::references::rename;
use crate::api::snapshot::snapshot_name;
use crate::api::tier::class_name;
use crate::api::{AuroraJob, AuroraService, Invalid, TaskConfig, labels};

/// Taints of a node that is not reachable; the partition policy decides about such a node's Pods, not
/// the taint manager.
const UNREACHABLE: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The service or job that a child object belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Which of them it is.
    pub kind: JobKind,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub service: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// Its full name, `cluster/role/environment/name`.
    pub key: &'a str,
    /// The role it is charged to.
    pub role: &'a str,
    /// The time it is the run of, where it is one of a cron.
    pub scheduled: Option<Timestamp>,
}

impl Job<'_> {
    /// The reference by which garbage collection removes a child with its service or job.
    #[must_use]
    pub fn owner(&self) -> OwnerReference {
        let kind = match self.kind {
            JobKind::Service => AuroraService::kind(&()),
            JobKind::Job => AuroraJob::kind(&()),
        };
        OwnerReference {
            api_version: AuroraService::api_version(&()).into_owned(),
            kind: kind.into_owned(),
            name: self.service.to_owned(),
            uid: self.uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// The run that a Pod is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRun {
    /// Number of the instance.
    pub instance: Instance,
    /// Run of the instance; greater than any before.
    pub run: Run,
    /// Name of the task config.
    pub revision: Revision,
    /// Transition count of the lease this is written under.
    pub term: u64,
    /// Consecutive flapping runs before this one.
    pub flaps: u16,
    /// Failed runs before this one.
    pub failures: u16,
    /// It is made such that it can be changed in place.
    pub in_place: bool,
}

/// Name of the Pod of a run. Two writers that saw the same predecessor collide on it.
#[must_use]
pub fn pod_name(service: &str, instance: Instance, run: Run) -> String {
    format!("{service}-{instance}-{run}")
}

/// The Pod of a run, of the tier that its config names.
///
/// # Errors
/// When the config's health check is none that can be expressed.
pub fn build_pod(config: &TaskConfig, job: &Job<'_>, new: &NewRun, tier: &Tier) -> Result<Pod, Invalid> {
    let template = config.template.metadata.clone().unwrap_or_default();
    let mut labels = template.labels.unwrap_or_default();
    labels.extend(run_labels(config, job, new));
    let mut annotations = template.annotations.unwrap_or_default();
    let_evict(&mut annotations);
    annotations.extend([
        (labels::FLAPS.to_owned(), new.flaps.to_string()),
        (labels::FAILURES.to_owned(), new.failures.to_string()),
        (labels::JOB_KEY.to_owned(), job.key.to_owned()),
    ]);
    Ok(Pod {
        metadata: ObjectMeta {
            name: Some(pod_name(job.service, new.instance, new.run)),
            namespace: Some(job.namespace.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![job.owner()]),
            ..ObjectMeta::default()
        },
        spec: Some(build_spec(config, job, new, tier)?),
        status: None,
    })
}

/// What the autoscaler may do with a Pod whose template does not say.
pub(super) fn let_evict(annotations: &mut BTreeMap<String, String>) {
    annotations.entry(labels::SAFE_TO_EVICT.to_owned()).or_insert_with(|| labels::TRUE.to_owned());
}

fn run_labels(config: &TaskConfig, job: &Job<'_>, new: &NewRun) -> BTreeMap<String, String> {
    [
        (labels::of_kind(job.kind), job.service.to_owned()),
        (labels::INSTANCE, new.instance.to_string()),
        (labels::RUN, new.run.to_string()),
        (labels::REVISION, new.revision.to_string()),
        (labels::ROLE, job.role.to_owned()),
        (labels::TIER, config.tier.clone()),
        (labels::PRIORITY, config.priority.to_string()),
        (labels::LIVE, labels::TRUE.to_owned()),
        (labels::TERM, new.term.to_string()),
        (labels::MANAGED_BY, labels::MANAGED_BY_VALUE.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn build_spec(config: &TaskConfig, job: &Job<'_>, new: &NewRun, tier: &Tier) -> Result<PodSpec, Invalid> {
    let mut spec = config.template.spec.clone().unwrap_or_default();
    rename(&mut spec, |source| {
        let tracked = config.tracked.contains_key(&source.key());
        tracked.then(|| snapshot_name(source, job.service, new.revision))
    });
    spec.restart_policy.get_or_insert_with(|| "Never".to_owned());
    spec.hostname = Some(format!("{}-{}", job.service, new.instance));
    // The API server fills in what the class says of preemption, and refuses anything else.
    spec.priority_class_name = Some(class_name(&tier.name, tier.band));
    let grace = tier.grace_seconds.map(i64::from);
    spec.termination_grace_period_seconds = spec.termination_grace_period_seconds.or(grace);
    spec.subdomain = config.discovery.then(|| job.service.to_owned());
    let tolerations = spec.tolerations.get_or_insert_default();
    for taint in UNREACHABLE {
        if !tolerations.iter().any(|own| decides_about(own, taint)) {
            tolerations.push(Toleration {
                key: Some(taint.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                ..Toleration::default()
            });
        }
    }
    place(&mut spec, config, (job.kind, job.service))?;
    if new.in_place {
        // Whoever changes the Pod takes its readiness away meanwhile.
        let gate = PodReadinessGate { condition_type: labels::IN_PLACE.to_owned() };
        let gates = spec.readiness_gates.get_or_insert_default();
        if !gates.contains(&gate) {
            gates.push(gate);
        }
    }
    if let Some(health) = &config.health {
        let checked = health.checked(&spec).and_then(|at| spec.containers.get_mut(at));
        add_probes(checked, health, job.kind)?;
    }
    let identity = identity(job, new);
    let inits = spec.init_containers.iter_mut().flatten();
    spec.containers.iter_mut().chain(inits).for_each(|container| tell_identity(container, &identity));
    Ok(spec)
}

/// Whether a toleration of the template already says how long to bear a NoExecute taint.
fn decides_about(own: &Toleration, taint: &str) -> bool {
    let key = own.key.as_deref().unwrap_or_default();
    let effect = own.effect.as_deref().unwrap_or_default();
    (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
}

fn identity(job: &Job<'_>, new: &NewRun) -> Vec<EnvVar> {
    let name = match job.kind {
        JobKind::Service => "BOREALIS_SERVICE",
        JobKind::Job => "BOREALIS_JOB",
    };
    let scheduled = job.scheduled.map(|time| ("BOREALIS_SCHEDULED_TIME", time.to_string()));
    let all = [
        ("BOREALIS_INSTANCE", new.instance.to_string()),
        ("BOREALIS_JOB_KEY", job.key.to_owned()),
        ("BOREALIS_RUN", new.run.to_string()),
        (name, job.service.to_owned()),
    ];
    let variable = |(name, value): (&str, String)| EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    };
    all.into_iter().chain(scheduled).map(variable).collect()
}

/// Puts the identity first, since `$(NAME)` in a variable only sees those before it.
fn tell_identity(container: &mut Container, identity: &[EnvVar]) {
    let own = container.env.take().unwrap_or_default();
    let given = |name: &str| own.iter().any(|variable| variable.name == name);
    let mut all: Vec<_> = identity.iter().filter(|variable| !given(&variable.name)).cloned().collect();
    all.extend(own);
    container.env = Some(all);
}

/// Turns the health check into probes of the checked container, unless it has probes of its own.
/// What is killed and exits with 0 would make a job's instance look finished, so a job's is only asked whether it is
/// Ready, and the operator ends it.
fn add_probes(checked: Option<&mut Container>, health: &HealthCheck, kind: JobKind) -> Result<(), Invalid> {
    let check = health.check()?;
    let Some(container) = checked else {
        return Err(Invalid::Field {
            field: "spec.health.container",
            reason: format!(
                "{:?} is no container of spec.template; use the name of one",
                health.container.as_deref().unwrap_or_default()
            ),
        });
    };
    if has_probes(container) {
        return Ok(());
    }
    if kind == JobKind::Service {
        container.startup_probe = Some(probe(check, health, health.startup_attempts(), 1));
        container.liveness_probe = Some(probe(check, health, health.fatal_failures(), 1));
    }
    container.readiness_probe =
        Some(probe(check, health, health.fatal_failures(), health.min_consecutive_successes));
    Ok(())
}

fn probe(check: Check<'_>, health: &HealthCheck, failures: i32, successes: i32) -> Probe {
    let mut probe = Probe {
        period_seconds: Some(health.interval_seconds),
        timeout_seconds: Some(health.timeout_seconds),
        failure_threshold: Some(failures),
        success_threshold: Some(successes),
        ..Probe::default()
    };
    match check {
        Check::Http(http) => {
            probe.http_get = Some(HTTPGetAction {
                path: Some(http.path.clone()),
                port: http.port.clone(),
                scheme: Some(http.scheme.as_str().to_owned()),
                ..HTTPGetAction::default()
            });
        }
        Check::Tcp(tcp) => {
            probe.tcp_socket = Some(TCPSocketAction { port: tcp.port.clone(), host: None });
        }
        Check::Exec(exec) => probe.exec = Some(ExecAction { command: Some(exec.command.clone()) }),
    }
    probe
}

#[cfg(test)]
mod tests;
