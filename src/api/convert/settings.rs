//! How updates are made: `spec.update` of a service, and the copy of it in an AuroraUpdate, to
//! `model::UpdateSettings` and back.

use borealis_core::model;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    checks::{checks, checks_object},
    number, signed, time, whole,
};
use crate::api::Invalid;
use crate::api::settings::{
    BatchStrategy, InPlace, QueueStrategy, UpdateSettings, UpdateStrategy, VariableBatchStrategy,
};

/// What the planner is told of the settings.
///
/// # Errors
/// When a number is out of range or the strategy is not one.
pub fn update_settings(spec: &UpdateSettings) -> Result<model::UpdateSettings, Invalid> {
    let day = 86_400;
    let UpdateSettings {
        strategy,
        instances,
        watch_seconds,
        max_per_instance_failures,
        max_failed_instances,
        rollback_on_failure,
        max_wait_seconds,
        pulse_interval_seconds,
        checks: checked,
        max_surge,
        // They are the service's, not an update's.
        paused: _,
        while_updating: _,
        track_config: _,
        restart_at,
    } = spec;
    let watch_seconds = number("spec.update.watchSeconds", *watch_seconds, 0, day)?;
    Ok(model::UpdateSettings {
        strategy: self::strategy(strategy.as_ref())?,
        scope: instances.as_deref().map(scope).transpose()?,
        restart_at: restart_at.as_ref().map(whole),
        watch_seconds,
        max_per_instance_failures: number(
            "spec.update.maxPerInstanceFailures",
            *max_per_instance_failures,
            0,
            1_000,
        )?,
        max_failed_instances: amount("spec.update.maxFailedInstances", max_failed_instances, 0)?,
        rollback_on_failure: *rollback_on_failure,
        max_wait_seconds: number("spec.update.maxWaitSeconds", *max_wait_seconds, 0, day)?,
        pulse_interval_seconds: match pulse_interval_seconds {
            Some(seconds) => number("spec.update.pulseIntervalSeconds", *seconds, 1, day)?,
            None => 0,
        },
        checks: checks(checked, watch_seconds)?,
        in_place: strategy.as_ref().and_then(|strategy| strategy.in_place) == Some(InPlace::IfPossible),
        max_surge: match max_surge {
            Some(most) => amount("spec.update.maxSurge", most, 0)?,
            None => model::Amount::Count(0),
        },
    })
}

/// The instances that may be touched; none at all would be a mistake.
fn scope(text: &str) -> Result<model::Ranges, Invalid> {
    let field = "spec.update.instances";
    if text.is_empty() {
        let reason = "\"\" names no instance; remove the field to update all".to_owned();
        return Err(Invalid::Field { field, reason });
    }
    text.parse().map_err(|error: model::ParseError| Invalid::Field { field, reason: error.to_string() })
}

fn amount(field: &'static str, value: &IntOrString, min: i32) -> Result<model::Amount, Invalid> {
    match value {
        IntOrString::Int(count) => number(field, *count, min, 10_000).map(model::Amount::Count),
        // A number in quotes is none here either: the API server's rules take no other text than a percentage.
        IntOrString::String(text) => match text.parse() {
            Ok(percent @ model::Amount::Percent(_)) => Ok(percent),
            Ok(model::Amount::Count(_)) | Err(_) => Err(Invalid::Field {
                field,
                reason: format!(
                    "{text:?} is no number of instances; use a whole number from {min} to 10000, or a percentage from \
                     \"1%\" to \"100%\""
                ),
            }),
        },
    }
}

fn amount_object(amount: model::Amount) -> IntOrString {
    match amount {
        model::Amount::Count(count) => IntOrString::Int(signed(count)),
        model::Amount::Percent(_) => IntOrString::String(amount.to_string()),
    }
}

fn strategy(spec: Option<&UpdateStrategy>) -> Result<model::Strategy, Invalid> {
    let default = model::UpdateSettings::default().strategy;
    let Some(UpdateStrategy { queue, batch, variable_batch, in_place }) = spec else { return Ok(default) };
    match (queue, batch, variable_batch) {
        (Some(QueueStrategy { group_size }), None, None) => Ok(model::Strategy::Queue {
            group_size: amount("spec.update.strategy.queue.groupSize", group_size, 1)?,
        }),
        (None, Some(BatchStrategy { group_size, autopause_after_batch }), None) => {
            Ok(model::Strategy::Batch {
                group_size: amount("spec.update.strategy.batch.groupSize", group_size, 1)?,
                autopause: *autopause_after_batch,
            })
        }
        (None, None, Some(VariableBatchStrategy { group_sizes, autopause_after_batch })) => {
            let field = "spec.update.strategy.variableBatch.groupSizes";
            if group_sizes.is_empty() {
                let reason = "is empty; name the size of at least one group".to_owned();
                return Err(Invalid::Field { field, reason });
            }
            Ok(model::Strategy::VariableBatch {
                group_sizes: group_sizes
                    .iter()
                    .map(|size| amount(field, size, 1))
                    .collect::<Result<_, _>>()?,
                autopause: *autopause_after_batch,
            })
        }
        (None, None, None) if in_place.is_some() => Ok(default),
        (queue, batch, variable) => Err(Invalid::Union {
            field: "spec.update.strategy",
            members: "queue, batch, variableBatch",
            found: [queue.is_some(), batch.is_some(), variable.is_some()]
                .into_iter()
                .filter(|it| *it)
                .count(),
        }),
    }
}

/// The settings to write into the record of an update.
pub(super) fn settings_object(settings: &model::UpdateSettings) -> UpdateSettings {
    let model::UpdateSettings {
        strategy,
        scope,
        restart_at,
        watch_seconds,
        max_per_instance_failures,
        max_failed_instances,
        rollback_on_failure,
        max_wait_seconds,
        pulse_interval_seconds,
        checks,
        in_place,
        max_surge,
    } = settings;
    UpdateSettings {
        strategy: Some(UpdateStrategy {
            in_place: in_place.then_some(InPlace::IfPossible),
            ..strategy_object(strategy)
        }),
        instances: scope.as_ref().map(ToString::to_string),
        watch_seconds: signed(*watch_seconds),
        max_per_instance_failures: signed(*max_per_instance_failures),
        max_failed_instances: amount_object(*max_failed_instances),
        rollback_on_failure: *rollback_on_failure,
        max_wait_seconds: signed(*max_wait_seconds),
        pulse_interval_seconds: Some(signed(*pulse_interval_seconds)).filter(|seconds| *seconds > 0),
        restart_at: restart_at.map(time),
        checks: checks_object(checks),
        max_surge: Some(*max_surge).filter(|most| *most != model::Amount::Count(0)).map(amount_object),
        ..UpdateSettings::default()
    }
}

fn strategy_object(strategy: &model::Strategy) -> UpdateStrategy {
    let none = UpdateStrategy::default();
    match strategy {
        model::Strategy::Queue { group_size } => {
            let queue = QueueStrategy { group_size: amount_object(*group_size) };
            UpdateStrategy { queue: Some(queue), ..none }
        }
        model::Strategy::Batch { group_size, autopause } => {
            let group_size = amount_object(*group_size);
            let batch = BatchStrategy { group_size, autopause_after_batch: *autopause };
            UpdateStrategy { batch: Some(batch), ..none }
        }
        model::Strategy::VariableBatch { group_sizes, autopause } => {
            let group_sizes = group_sizes.iter().map(|size| amount_object(*size)).collect();
            let variable = VariableBatchStrategy { group_sizes, autopause_after_batch: *autopause };
            UpdateStrategy { variable_batch: Some(variable), ..none }
        }
    }
}
