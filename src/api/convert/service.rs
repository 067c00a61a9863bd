//! AuroraService: its spec to `model::Service`, its status both ways.

use borealis_core::model;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    from_word, identity, instance, number, parts, signed, task, time, uid, unsigned, update_settings, word,
};
use crate::api::settings::WhileUpdating;
use crate::api::status::{AuroraServiceStatus, Counts, Failure, UpdateRef};
use crate::api::update::update_name;
use crate::api::{AuroraService, Invalid, conditions, constraints, labels, surge};

/// What the planner is told of a service, whose tier is this default where it names none.
///
/// # Errors
/// When the spec cannot be acted upon; the text is made for the `Stalled` condition.
pub fn service(object: &AuroraService, default_tier: &str) -> Result<model::Service, Invalid> {
    let (metadata, spec, task) = (&object.metadata, &object.spec, object.spec.task());
    let revision = task::revision(&spec.task_config(default_tier))?;
    constraints::check(&task)?;
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
        flapping: task::flapping(&task)?,
        partition: task::partition(&task)?,
        history: task::history(&task)?,
        work: task::work(metadata, &task, default_tier)?,
        batch: None,
    })
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
        observed_count: status.observed_count.map(unsigned),
        last_good: status.current_revision.as_deref().and_then(|text| text.parse().ok()),
        highest_run: status.highest_run.map(unsigned).unwrap_or_default(),
        counts: counts(&status.counts, status.replicas),
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

pub(super) fn counts(recorded: &Counts, live: i32) -> model::Counts {
    let Counts { desired, pending, starting, running, updated, ending, ended, throttled } = *recorded;
    model::Counts {
        desired: unsigned(desired),
        live: unsigned(live),
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

pub(super) fn condition(recorded: &Condition) -> Option<model::Condition> {
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

/// What of a service or job stands in its status and is not the planner's.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Its name.
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

pub(super) fn counts_object(counts: &model::Counts) -> Counts {
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

pub(super) fn condition_object(condition: &model::Condition, generation: i64) -> Condition {
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
