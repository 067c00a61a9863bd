//! AuroraJob: its spec to `model::Service` with a batch, its status both ways.

use borealis_core::model::{self, Batch, BatchFailure, BatchStatus, HealthPatience, KillReason, Ranges};

use super::{
    from_word, identity, instance, number, run, service, service::Identity, signed, task, time, uid,
    unsigned, word,
};
use crate::api::health::has_probes;
use crate::api::job_status::{AuroraJobStatus, FirstFailure, InstanceFailures, JobFailure, JobPhase};
use crate::api::parent::{Parent, ParentEnd, ParentKind};
use crate::api::{AuroraJob, AuroraJobSpec, Invalid, constraints, labels};

/// The longest time a job's own limits may say, in seconds: a year.
const YEAR: i32 = 31_536_000;

/// What the planner is told of a job, whose tier is this default where it names none.
///
/// # Errors
/// When the spec cannot be acted upon; the text is made for the `Stalled` condition.
pub fn job(object: &AuroraJob, default_tier: &str) -> Result<model::Service, Invalid> {
    let (metadata, spec, task) = (&object.metadata, &object.spec, object.spec.task());
    let revision = task::revision(&task.config(default_tier))?;
    constraints::check(&task)?;
    Ok(model::Service {
        uid: uid(metadata)?,
        generation: metadata.generation.unwrap_or_default(),
        deleting: metadata.deletion_timestamp.is_some(),
        instances: number("spec.instances", spec.instances, 0, 10_000)?,
        revision,
        // A job has no updates.
        update: model::UpdateSettings::default(),
        hold_updates: false,
        queue_updates: false,
        flapping: task::flapping(&task)?,
        partition: task::partition(&task)?,
        history: task::history(&task)?,
        work: task::work(metadata, &task, default_tier)?,
        batch: Some(Box::new(batch(object, spec)?)),
    })
}

fn batch(object: &AuroraJob, spec: &AuroraJobSpec) -> Result<Batch, Invalid> {
    let metadata = &object.metadata;
    let optional =
        |field, value: Option<i32>, min, max| value.map(|it| number(field, it, min, max)).transpose();
    let max_task_failures = match spec.max_task_failures {
        -1 => None,
        tries => Some(number("spec.maxTaskFailures", tries, 1, 1_000)?),
    };
    let named = |name: &Option<String>| name.as_deref().unwrap_or_default().into();
    Ok(Batch {
        max_task_failures,
        parallelism: optional("spec.parallelism", spec.parallelism, 1, 10_000)?,
        min_succeeded: optional("spec.minSucceeded", spec.min_succeeded, 1, 10_000)?,
        timeout_seconds: optional("spec.timeoutSeconds", spec.timeout_seconds, 1, YEAR)?,
        job_timeout_seconds: optional("spec.jobTimeoutSeconds", spec.job_timeout_seconds, 1, YEAR)?,
        ttl_seconds: optional("spec.ttlSecondsAfterFinished", spec.ttl_seconds_after_finished, 0, YEAR)?,
        suspend: spec.suspend,
        health: patience(spec),
        parents: parents(&spec.parents),
        run_of: run::run_of(metadata)?,
        kill: run::kill(metadata)?,
        called: (named(&metadata.namespace), named(&metadata.name)),
    })
}

/// How long a task may be without health: as long as a service's may be until it is RUNNING. After that its readiness
/// probe itself bears as many bad checks as are tolerated. A container with probes of its own keeps those instead.
fn patience(spec: &AuroraJobSpec) -> Option<HealthPatience> {
    let (health, pod) = (spec.health.as_ref()?, spec.template.spec.as_ref()?);
    if health.checked(pod).is_some_and(|at| has_probes(&pod.containers[at])) {
        return None;
    }
    let interval = unsigned(health.interval_seconds.max(1));
    let checks =
        unsigned(health.max_consecutive_failures) + unsigned(health.min_consecutive_successes.max(1));
    let first_seconds =
        unsigned(health.initial_interval_seconds).saturating_add(checks.saturating_mul(interval));
    Some(HealthPatience { first_seconds, again_seconds: 0 })
}

/// What has to have ended first.
pub(super) fn parents(spec: &[Parent]) -> Vec<model::Parent> {
    let parent = |parent: &Parent| model::Parent {
        kind: match parent.kind {
            ParentKind::AuroraJob => model::ParentKind::Job,
            ParentKind::AuroraCron => model::ParentKind::Cron,
        },
        name: parent.name.as_str().into(),
        when: match parent.when {
            ParentEnd::Succeeded => model::ParentEnd::Succeeded,
            ParentEnd::Ended => model::ParentEnd::Ended,
        },
    };
    spec.iter().map(parent).collect()
}

/// What the planner is told of a recorded status; `None` if there is none it could go by.
#[must_use]
pub fn job_status(status: &AuroraJobStatus) -> Option<model::ServiceStatus> {
    let observed_revision = match status.observed_revision.as_deref() {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    Some(model::ServiceStatus {
        observed_generation: status.observed_generation?,
        observed_revision,
        observed_count: status.observed_count.map(unsigned),
        last_good: observed_revision,
        highest_run: status.highest_run.map(unsigned).unwrap_or_default(),
        counts: service::counts(&status.counts, status.replicas),
        lost: ranges("status.lost", status.lost.as_deref())?,
        admitted: status.admitted.as_ref().and_then(super::grant),
        batch: Some(Box::new(batch_status(status)?)),
        conditions: status.conditions.iter().filter_map(service::condition).collect(),
        ..model::ServiceStatus::default()
    })
}

fn batch_status(status: &AuroraJobStatus) -> Option<BatchStatus> {
    let failures = |one: &InstanceFailures| {
        Some((unsigned(one.failures), ranges("status.instanceFailures", Some(&one.instances))?))
    };
    Some(BatchStatus {
        phase: status.phase.map_or(model::Phase::Waiting, Into::into),
        started: status.start_time.as_ref().map(|at| at.0),
        ended: status.end_time.as_ref().map(|at| at.0),
        succeeded: ranges("status.succeeded", status.succeeded.as_deref())?,
        failed: ranges("status.failed", status.failed.as_deref())?,
        failures: status.instance_failures.iter().map(failures).collect::<Option<_>>()?,
        first_failure: status.first_failure.as_ref().and_then(first_failure),
        failure: status.failure.map(Into::into),
        waits_for: status.waits_for.clone(),
        parents_ended: status.parents_ended.clone(),
    })
}

fn ranges(field: &'static str, text: Option<&str>) -> Option<Ranges> {
    identity(field, text).ok()
}

fn first_failure(recorded: &FirstFailure) -> Option<model::InstanceFailure> {
    Some(model::InstanceFailure {
        instance: instance(recorded.instance)?,
        run: u32::try_from(recorded.run).ok()?,
        reason: from_word(&recorded.reason)?,
        exit_code: recorded.exit_code,
        at: recorded.time.0,
    })
}

/// The status to write for what the planner computed.
#[must_use]
pub fn job_status_object(status: &model::ServiceStatus, job: &Identity<'_>) -> AuroraJobStatus {
    let batch = status.batch.as_deref().cloned().unwrap_or_default();
    let listed = |ranges: &Ranges| Some(ranges.to_string()).filter(|text| !text.is_empty());
    let failures = |(failures, instances): &(u32, Ranges)| InstanceFailures {
        failures: signed(*failures),
        instances: instances.to_string(),
    };
    AuroraJobStatus {
        observed_generation: Some(status.observed_generation),
        observed_revision: status.observed_revision.map(|revision| revision.to_string()),
        observed_count: status.observed_count.map(signed),
        phase: Some(batch.phase.into()),
        start_time: batch.started.map(time),
        end_time: batch.ended.map(time),
        replicas: signed(status.counts.live),
        selector: Some(labels::live_selector(model::JobKind::Job, job.name)),
        highest_run: Some(signed(status.highest_run)),
        counts: service::counts_object(&status.counts),
        succeeded_count: signed(batch.succeeded.len()),
        succeeded: listed(&batch.succeeded),
        failed_count: signed(batch.failed.len()),
        failed: listed(&batch.failed),
        failures: signed(batch.failures()),
        instance_failures: batch.failures.iter().map(failures).collect(),
        first_failure: batch.first_failure.as_ref().map(first_failure_object),
        failure: batch.failure.map(Into::into),
        waits_for: batch.waits_for,
        parents_ended: batch.parents_ended,
        job_key: Some(job.job_key.to_owned()),
        role: Some(job.role.to_owned()),
        lost: listed(&status.lost),
        admitted: status.admitted.as_ref().map(super::grant_object),
        conditions: status
            .conditions
            .iter()
            .map(|condition| service::condition_object(condition, status.observed_generation))
            .collect(),
    }
}

fn first_failure_object(failure: &model::InstanceFailure) -> FirstFailure {
    let model::InstanceFailure { instance, run, reason, exit_code, at } = failure;
    FirstFailure {
        instance: signed(*instance),
        run: signed(*run),
        reason: word(reason),
        exit_code: *exit_code,
        time: time(*at),
    }
}

impl From<model::Phase> for JobPhase {
    fn from(phase: model::Phase) -> Self {
        match phase {
            model::Phase::Waiting => Self::Waiting,
            model::Phase::Running => Self::Running,
            model::Phase::Suspended => Self::Suspended,
            model::Phase::Ending => Self::Ending,
            model::Phase::Complete => Self::Complete,
            model::Phase::Failed => Self::Failed,
        }
    }
}

impl From<JobPhase> for model::Phase {
    fn from(phase: JobPhase) -> Self {
        match phase {
            JobPhase::Waiting => Self::Waiting,
            JobPhase::Running => Self::Running,
            JobPhase::Suspended => Self::Suspended,
            JobPhase::Ending => Self::Ending,
            JobPhase::Complete => Self::Complete,
            JobPhase::Failed => Self::Failed,
        }
    }
}

impl From<BatchFailure> for JobFailure {
    fn from(failure: BatchFailure) -> Self {
        match failure {
            BatchFailure::Instances => Self::Failed,
            BatchFailure::TimedOut => Self::TimedOut,
            BatchFailure::Killed(KillReason::Collision) => Self::Killed,
            BatchFailure::Killed(KillReason::Asked) => Self::KilledAsked,
        }
    }
}

impl From<JobFailure> for BatchFailure {
    fn from(failure: JobFailure) -> Self {
        match failure {
            JobFailure::Failed => Self::Instances,
            JobFailure::TimedOut => Self::TimedOut,
            JobFailure::Killed => Self::Killed(KillReason::Collision),
            JobFailure::KilledAsked => Self::Killed(KillReason::Asked),
        }
    }
}

#[cfg(test)]
mod tests;
