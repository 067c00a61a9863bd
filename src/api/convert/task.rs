//! What the specs of services and jobs have in common, to the words of `core`.

use borealis_core::model;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::number;
use crate::api::requests::of_template;
use crate::api::settings::{Flapping, History};
use crate::api::{Invalid, TaskConfig, TaskSpec};

/// The bounds of `settings`, once more: a stored object may be of another version.
const DAY: i32 = 86_400;

/// The hash of a config.
pub(super) fn revision(config: &TaskConfig) -> Result<model::Revision, Invalid> {
    config.revision().map_err(|error| Invalid::Field {
        field: "spec.template",
        reason: format!("cannot be written as JSON: {error}; remove what is not plain JSON"),
    })
}

/// What a job is to the cluster and to its role.
pub(super) fn work(
    metadata: &ObjectMeta,
    task: &TaskSpec<'_>,
    default_tier: &str,
) -> Result<model::Work, Invalid> {
    let dedicated = task.dedicated.map(str::parse).transpose();
    Ok(model::Work {
        created: created(metadata),
        tier: task.tier.unwrap_or(default_tier).into(),
        priority: task.priority,
        each: task.template.spec.as_ref().map(of_template).unwrap_or_default(),
        dedicated: dedicated.map_err(|error: model::NoPool| Invalid::Field {
            field: "spec.dedicated",
            reason: error.to_string(),
        })?,
    })
}

/// When the object was made.
pub(super) fn created(metadata: &ObjectMeta) -> Timestamp {
    metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0)
}

pub(super) fn flapping(task: &TaskSpec<'_>) -> Result<model::Flapping, Invalid> {
    let Flapping { threshold_seconds, initial_delay_seconds, max_delay_seconds } = *task.flapping;
    Ok(model::Flapping {
        threshold_seconds: number("spec.flapping.thresholdSeconds", threshold_seconds, 0, DAY)?,
        initial_delay_seconds: number("spec.flapping.initialDelaySeconds", initial_delay_seconds, 0, DAY)?,
        max_delay_seconds: number("spec.flapping.maxDelaySeconds", max_delay_seconds, 0, DAY)?,
    })
}

pub(super) fn partition(task: &TaskSpec<'_>) -> Result<model::Partition, Invalid> {
    let delay_seconds = number("spec.partition.delaySeconds", task.partition.delay_seconds, 0, 7 * DAY)?;
    Ok(model::Partition { reschedule: task.reschedules_lost(), delay_seconds })
}

pub(super) fn history(task: &TaskSpec<'_>) -> Result<model::History, Invalid> {
    let History { failed, ended, ttl_seconds } = *task.history;
    let history = model::History {
        failed: number("spec.history.failed", failed, 0, 100)?,
        ended: number("spec.history.ended", ended, 0, 100)?,
        ttl_seconds: number("spec.history.ttlSeconds", ttl_seconds, 0, 365 * DAY)?,
    };
    // A Pod that is kept keeps its claims: those made for it alone, and those that nobody may delete meanwhile.
    Ok(if task.has_claims() { model::History { failed: 0, ended: 0, ..history } } else { history })
}
