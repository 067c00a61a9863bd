//! AuroraService: its spec to `model::Service`, its status both ways.

use borealis_core::model;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{from_word, identity, instance, number, parts, signed, time, uid, update_settings, word};
use crate::api::requests::of_template;
use crate::api::settings::{Flapping, History, WhileUpdating};
use crate::api::status::{AuroraServiceStatus, Counts, Failure, UpdateRef};
use crate::api::update::update_name;
use crate::api::{AuroraService, Invalid, conditions, constraints, labels, surge};

/// The bounds of `settings`, once more: a stored object may be of another version.
const DAY: i32 = 86_400;

/// What the planner is told of a service, whose tier is this default where it names none.
///
/// # Errors
/// When the spec cannot be acted upon; the text is made for the `Stalled` condition.
pub fn service(object: &AuroraService, default_tier: &str) -> Result<model::Service, Invalid> {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let revision = spec.task_config(default_tier).revision().map_err(|error| Invalid::Field {
        field: "spec.template",
        reason: format!("cannot be written as JSON: {error}; remove what is not plain JSON"),
    })?;
    constraints::check(&spec.task())?;
    let update = update_settings(&spec.update)?;
    if update.max_surge != model::Amount::Count(0)
        && let Some(obstacle) = surge::obstacle(spec)
    {
        let reason =
            format!("asks for two Pods of an instance at a time, but {obstacle}; remove one of them");
        return Err(Invalid::Field { field: "spec.update.maxSurge", reason });
    }
    Ok(model::Service {
        uid: uid(metadata)?,
        generation: metadata.generation.unwrap_or_default(),
        deleting: metadata.deletion_timestamp.is_some(),
        instances: number("spec.instances", spec.instances, 0, 10_000)?,
        revision,
        update,
        hold_updates: spec.update.paused,
        queue_updates: spec.update.while_updating == Some(WhileUpdating::Queue),
        flapping: flapping(&spec.flapping)?,
        partition: model::Partition {
            reschedule: spec.task().reschedules_lost(),
            delay_seconds: number("spec.partition.delaySeconds", spec.partition.delay_seconds, 0, 7 * DAY)?,
        },
        history: history(&spec.history, spec.task().has_claims())?,
        work: work(object, default_tier)?,
        batch: None,
    })
}

fn work(object: &AuroraService, default_tier: &str) -> Result<model::Work, Invalid> {
    let spec = &object.spec;
    let created = object.metadata.creation_timestamp.as_ref();
    let dedicated = spec.dedicated.as_deref().map(str::parse).transpose();
    Ok(model::Work {
        created: created.map_or(Timestamp::UNIX_EPOCH, |at| at.0),
        tier: spec.tier.as_deref().unwrap_or(default_tier).into(),
        priority: spec.priority,
        each: spec.template.spec.as_ref().map(of_template).unwrap_or_default(),
        dedicated: dedicated.map_err(|error: model::NoPool| Invalid::Field {
            field: "spec.dedicated",
            reason: error.to_string(),
        })?,
    })
}

fn flapping(spec: &Flapping) -> Result<model::Flapping, Invalid> {
    let Flapping { threshold_seconds, initial_delay_seconds, max_delay_seconds } = *spec;
    Ok(model::Flapping {
        threshold_seconds: number("spec.flapping.thresholdSeconds", threshold_seconds, 0, DAY)?,
        initial_delay_seconds: number("spec.flapping.initialDelaySeconds", initial_delay_seconds, 0, DAY)?,
        max_delay_seconds: number("spec.flapping.maxDelaySeconds", max_delay_seconds, 0, DAY)?,
    })
}

fn history(spec: &History, has_claims: bool) -> Result<model::History, Invalid> {
    let History { failed, ended, ttl_seconds } = *spec;
    let history = model::History {
        failed: number("spec.history.failed", failed, 0, 100)?,
        ended: number("spec.history.ended", ended, 0, 100)?,
        ttl_seconds: number("spec.history.ttlSeconds", ttl_seconds, 0, 365 * DAY)?,
    };
    // A Pod that is kept keeps its claims: those made for it alone, and those that nobody may delete meanwhile.
    Ok(if has_claims { model::History { failed: 0, ended: 0, ..history } } else { history })
}

/// What the planner is told of a recorded status; `None` if there is none it could go by.
#[must_use]
pub fn service_status(status: &AuroraServiceStatus) -> Option<model::ServiceStatus> {
    Some(model::ServiceStatus {
        observed_generation: status.observed_generation?,
        observed_revision: match status.observed_revision.as_deref() {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        },
        observed_scope: match status.observed_instances.as_deref() {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        },
        observed_restart: status.observed_restart.as_ref().map(|at| at.0),
        observed_count: status.observed_count.and_then(|count| u32::try_from(count).ok()),
        last_good: status.current_revision.as_deref().and_then(|text| text.parse().ok()),
        highest_run: status.highest_run.and_then(|run| u32::try_from(run).ok()).unwrap_or_default(),
        counts: counts(status),
        revisions: parts("status.revisions", &status.revisions).ok()?,
        lost: identity("status.lost", status.lost.as_deref()).ok()?,
        update: status.update.as_ref().and_then(|update| {
            Some(model::UpdateRef { number: u32::try_from(update.number).ok()?, state: update.state.into() })
        }),
        failure: status.failure.as_ref().and_then(failure),
        admitted: status.admitted.as_ref().and_then(super::grant),
        batch: None,
        conditions: status.conditions.iter().filter_map(condition).collect(),
    })
}

fn counts(status: &AuroraServiceStatus) -> model::Counts {
    let Counts { desired, pending, starting, running, updated, ending, ended, throttled } = status.counts;
    let unsigned = |value: i32| u32::try_from(value).unwrap_or_default();
    model::Counts {
        desired: unsigned(desired),
        live: unsigned(status.replicas),
        throttled: unsigned(throttled),
        pending: unsigned(pending),
        starting: unsigned(starting),
        running: unsigned(running),
        updated: unsigned(updated),
        ending: unsigned(ending),
        kept: unsigned(ended),
    }
}

fn failure(recorded: &Failure) -> Option<model::Failure> {
    Some(model::Failure {
        revision: recorded.revision.parse().ok()?,
        update: recorded.update.rsplit_once('-')?.1.parse().ok()?,
        instance: instance(recorded.instance)?,
        reason: from_word(&recorded.reason)?,
        exit_code: recorded.exit_code,
        message: recorded.message.clone(),
        at: recorded.time.0,
    })
}

fn condition(recorded: &Condition) -> Option<model::Condition> {
    let kind = match recorded.type_.as_str() {
        conditions::READY => model::ConditionType::Ready,
        conditions::RECONCILING => model::ConditionType::Reconciling,
        conditions::STALLED => model::ConditionType::Stalled,
        conditions::PLACED => model::ConditionType::Placed,
        conditions::COMPLETE => model::ConditionType::Complete,
        conditions::FAILED => model::ConditionType::Failed,
        _ => return None,
    };
    Some(model::Condition {
        kind,
        holds: recorded.status == "True",
        reason: model::reasons::known(&recorded.reason)?,
        message: recorded.message.clone(),
        since: recorded.last_transition_time.0,
    })
}

/// What of a service stands in its status and is not the planner's.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Name of the service.
    pub name: &'a str,
    /// Its full name, `cluster/role/environment/name`.
    pub job_key: &'a str,
    /// The role it is charged to.
    pub role: &'a str,
}

/// The status to write for what the planner computed.
#[must_use]
pub fn service_status_object(
    status: &model::ServiceStatus,
    spec: model::Revision,
    job: &Identity<'_>,
) -> AuroraServiceStatus {
    let going_on = status.update.filter(|update| !update.state.is_terminal());
    AuroraServiceStatus {
        observed_generation: Some(status.observed_generation),
        observed_revision: status.observed_revision.map(|revision| revision.to_string()),
        observed_instances: status.observed_scope.as_ref().map(ToString::to_string),
        observed_restart: status.observed_restart.map(time),
        observed_count: status.observed_count.map(signed),
        current_revision: status.last_good.map(|revision| revision.to_string()),
        update_revision: going_on.map(|_| spec.to_string()),
        replicas: signed(status.counts.live),
        selector: Some(labels::live_selector(model::JobKind::Service, job.name)),
        highest_run: Some(signed(status.highest_run)),
        counts: counts_object(&status.counts),
        revisions: status.revisions.iter().map(super::part_object).collect(),
        job_key: Some(job.job_key.to_owned()),
        role: Some(job.role.to_owned()),
        update: status.update.map(|update| UpdateRef {
            name: update_name(job.name, update.number),
            state: update.state.into(),
            number: signed(update.number),
        }),
        failure: status.failure.as_ref().map(|failure| failure_object(failure, job.name)),
        lost: Some(status.lost.to_string()).filter(|lost| !lost.is_empty()),
        admitted: status.admitted.as_ref().map(super::grant_object),
        conditions: status
            .conditions
            .iter()
            .map(|c| condition_object(c, status.observed_generation))
            .collect(),
    }
}

fn counts_object(counts: &model::Counts) -> Counts {
    // `live` is the scale subresource's, at the top of the status.
    let model::Counts { desired, live: _, throttled, pending, starting, running, updated, ending, kept } =
        *counts;
    Counts {
        desired: signed(desired),
        pending: signed(pending),
        starting: signed(starting),
        running: signed(running),
        updated: signed(updated),
        ending: signed(ending),
        ended: signed(kept),
        throttled: signed(throttled),
    }
}

fn failure_object(failure: &model::Failure, service: &str) -> Failure {
    let model::Failure { revision, update, instance, reason, exit_code, message, at } = failure;
    Failure {
        revision: revision.to_string(),
        instance: signed(*instance),
        reason: word(reason),
        message: message.clone(),
        exit_code: *exit_code,
        time: time(*at),
        update: update_name(service, *update),
    }
}

fn condition_object(condition: &model::Condition, generation: i64) -> Condition {
    let kind = match condition.kind {
        model::ConditionType::Ready => conditions::READY,
        model::ConditionType::Reconciling => conditions::RECONCILING,
        model::ConditionType::Stalled => conditions::STALLED,
        model::ConditionType::Placed => conditions::PLACED,
        model::ConditionType::Complete => conditions::COMPLETE,
        model::ConditionType::Failed => conditions::FAILED,
    };
    let since = time(condition.since).0;
    conditions::condition(kind, condition.holds, condition.reason, &condition.message, generation, since)
}
