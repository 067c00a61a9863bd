//! AuroraUpdate: instructions, controls and settings to `model::Update`, progress both ways.

use std::collections::BTreeMap;

use borealis_core::model;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, OwnerReference};

use super::{from_word, identity, instance, number, part, part_object, parts, signed, time, uid, word};
use crate::api::settings::{BatchStrategy, QueueStrategy, UpdateSettings, UpdateStrategy};
use crate::api::update::{
    AuroraUpdate, AuroraUpdateSpec, AuroraUpdateStatus, Controls, InstanceFailure, Instructions, Request,
    UpdateCounts, UpdateState, update_name,
};
use crate::api::{Invalid, conditions, labels};

/// Failures that a status lists; beyond them only the ranges count.
const MAX_FAILURES: usize = 1_000;
/// Longest message of one failure, in characters.
const MAX_MESSAGE: usize = 1_000;

/// What the planner is told of the settings.
///
/// # Errors
/// When a number is out of range or the strategy is not one.
pub fn update_settings(spec: &UpdateSettings) -> Result<model::UpdateSettings, Invalid> {
    let day = 86_400;
    let UpdateSettings {
        strategy,
        watch_seconds,
        max_per_instance_failures,
        max_failed_instances,
        rollback_on_failure,
        max_wait_seconds,
    } = spec;
    Ok(model::UpdateSettings {
        strategy: self::strategy(strategy.as_ref())?,
        watch_seconds: number("spec.update.watchSeconds", *watch_seconds, 0, day)?,
        max_per_instance_failures: number(
            "spec.update.maxPerInstanceFailures",
            *max_per_instance_failures,
            0,
            1_000,
        )?,
        max_failed_instances: number("spec.update.maxFailedInstances", *max_failed_instances, 0, 10_000)?,
        rollback_on_failure: *rollback_on_failure,
        max_wait_seconds: number("spec.update.maxWaitSeconds", *max_wait_seconds, 0, day)?,
    })
}

fn strategy(spec: Option<&UpdateStrategy>) -> Result<model::Strategy, Invalid> {
    let Some(UpdateStrategy { queue, batch }) = spec else {
        return Ok(model::Strategy::Queue { group_size: 1 });
    };
    let size = |field, size| number(field, size, 1, 10_000);
    match (queue, batch) {
        (Some(QueueStrategy { group_size }), None) => Ok(model::Strategy::Queue {
            group_size: size("spec.update.strategy.queue.groupSize", *group_size)?,
        }),
        (None, Some(BatchStrategy { group_size })) => Ok(model::Strategy::Batch {
            group_size: size("spec.update.strategy.batch.groupSize", *group_size)?,
        }),
        (queue, batch) => Err(Invalid::Union {
            field: "spec.update.strategy",
            members: "queue, batch",
            found: usize::from(queue.is_some()) + usize::from(batch.is_some()),
        }),
    }
}

/// What the planner is told of an update; whether the service controls it is said by who knows the service.
///
/// # Errors
/// When the record is not one this operator wrote.
pub fn update(object: &AuroraUpdate, owned: bool) -> Result<model::Update, Invalid> {
    let AuroraUpdateSpec { service: _, number: count, instructions, controls } = &object.spec;
    Ok(model::Update {
        uid: uid(&object.metadata)?,
        number: number("spec.number", *count, 1, i32::MAX)?,
        instructions: self::instructions(instructions)?,
        settings: update_settings(&instructions.settings)?,
        controls: self::controls(controls),
        progress: object.status.as_ref().and_then(progress),
        owned,
    })
}

fn instructions(spec: &Instructions) -> Result<model::Instructions, Invalid> {
    let field = "spec.instructions";
    Ok(model::Instructions {
        from: parts(field, &spec.from)?,
        to: spec.to.as_ref().map(|to| part(field, to)).transpose()?,
        base: parts(field, &spec.base)?,
        instances: number(field, spec.instances, 0, 10_000)?,
        previous_instances: number(field, spec.previous_instances, 0, 10_000)?,
    })
}

fn controls(spec: &Controls) -> model::Controls {
    let request = |wish: &Option<Request>| {
        wish.as_ref().map(|Request { reason, author }| model::Request {
            reason: reason.clone().unwrap_or_default(),
            author: author.clone().unwrap_or_default(),
        })
    };
    let Controls { paused, abort, rollback, retry } = spec;
    model::Controls {
        paused: *paused,
        abort: request(abort),
        rollback: request(rollback),
        retry: request(retry),
    }
}

/// What the planner is told of recorded progress; `None` if there is none it could go by.
#[must_use]
pub fn progress(status: &AuroraUpdateStatus) -> Option<model::Progress> {
    let ranges = |text: &str| identity("status", Some(text)).ok();
    let started = status.started.as_ref()?.0;
    let mut failures = BTreeMap::new();
    for recorded in &status.failures {
        let (instance, failure) = failure(recorded)?;
        failures.insert(instance, failure);
    }
    Some(model::Progress {
        state: status.state?.into(),
        started,
        finished: status.finished.as_ref().map(|at| at.0),
        floor: u32::try_from(status.floor).ok()?,
        advanced: status.advanced.as_ref().map_or(started, |at| at.0),
        touched: ranges(&status.touched)?,
        working: ranges(&status.working)?,
        updated: ranges(&status.updated)?,
        failed: ranges(&status.failed)?,
        rolled_back: ranges(&status.rolled_back)?,
        failed_back: ranges(&status.failed_back)?,
        failures,
        cause: status.cause.as_ref().and_then(failure),
        message: status.message.clone(),
    })
}

fn failure(recorded: &InstanceFailure) -> Option<(model::Instance, model::Failures)> {
    let last_pod = match &recorded.pod_uid {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    let failures = model::Failures {
        count: u32::try_from(recorded.count).ok()?,
        last_pod,
        reason: from_word(&recorded.reason)?,
        exit_code: recorded.exit_code,
        message: recorded.message.clone(),
        at: recorded.time.0,
    };
    Some((instance(recorded.instance)?, failures))
}

/// The status to write for what the planner computed; `generation` is that of the record.
#[must_use]
pub fn update_status_object(progress: &model::Progress, generation: i64) -> AuroraUpdateStatus {
    let back = progress.state.is_back();
    let failed = |instance| {
        let side = if back { &progress.failed_back } else { &progress.failed };
        side.contains(instance)
    };
    AuroraUpdateStatus {
        observed_generation: Some(generation),
        state: Some(progress.state.into()),
        started: Some(time(progress.started)),
        floor: signed(progress.floor),
        advanced: Some(time(progress.advanced)),
        finished: progress.finished.map(time),
        message: progress.message.clone(),
        touched: progress.touched.to_string(),
        working: progress.working.to_string(),
        updated: progress.updated.to_string(),
        rolled_back: progress.rolled_back.to_string(),
        failed: progress.failed.to_string(),
        failed_back: progress.failed_back.to_string(),
        failures: progress
            .failures
            .iter()
            .take(MAX_FAILURES)
            .map(|(instance, one)| failure_object(*instance, one, failed(*instance)))
            .collect(),
        cause: progress.cause.as_ref().map(|(instance, one)| failure_object(*instance, one, true)),
        counts: UpdateCounts {
            touched: signed(progress.touched.len()),
            working: signed(progress.working.len()),
            updated: signed(progress.updated.len()),
            rolled_back: signed(progress.rolled_back.len()),
            failed: signed(progress.failed.len()),
        },
        conditions: conditions(progress, generation),
    }
}

/// kstatus of an update: Reconciling until it has ended, then Ready if it did what it was made for, Stalled
/// if it could not, neither if it was taken back or given up. Their times follow from the progress, so
/// that nothing has to be remembered.
fn conditions(progress: &model::Progress, generation: i64) -> Vec<Condition> {
    let state = progress.state;
    let ended = progress.finished.unwrap_or(progress.started);
    let (done, stuck) = match state {
        model::UpdateState::RolledForward => (true, false),
        model::UpdateState::Error | model::UpdateState::Failed => (false, true),
        model::UpdateState::RollingForward
        | model::UpdateState::RollingBack
        | model::UpdateState::RollForwardPaused
        | model::UpdateState::RollBackPaused
        | model::UpdateState::RollForwardAwaitingPulse
        | model::UpdateState::RollBackAwaitingPulse
        | model::UpdateState::RolledBack
        | model::UpdateState::Aborted => (false, false),
    };
    let reason = format!("{state:?}");
    let one = |kind, holds, since| {
        conditions::condition(kind, holds, &reason, &progress.message, generation, time(since).0)
    };
    let since = |holds| if holds { ended } else { progress.started };
    vec![
        one(conditions::READY, done, since(done)),
        one(conditions::RECONCILING, !state.is_terminal(), since(state.is_terminal())),
        one(conditions::STALLED, stuck, since(stuck)),
    ]
}

fn failure_object(instance: model::Instance, one: &model::Failures, failed: bool) -> InstanceFailure {
    let model::Failures { count, last_pod, reason, exit_code, message, at } = one;
    InstanceFailure {
        instance: signed(instance),
        count: signed(*count),
        pod_uid: last_pod.map(|uid| uid.to_string()),
        reason: word(reason),
        message: message.chars().take(MAX_MESSAGE).collect(),
        exit_code: *exit_code,
        failed,
        time: time(*at),
    }
}

/// The AuroraUpdate to create for an update that is to begin.
#[must_use]
pub fn new_update(
    namespace: &str,
    service: &str,
    owner: OwnerReference,
    count: u32,
    instructions: &model::Instructions,
    settings: &model::UpdateSettings,
) -> AuroraUpdate {
    let model::Instructions { from, to, base, instances, previous_instances } = instructions;
    AuroraUpdate {
        metadata: ObjectMeta {
            name: Some(update_name(service, count)),
            namespace: Some(namespace.to_owned()),
            labels: Some(
                [
                    (labels::SERVICE.to_owned(), service.to_owned()),
                    (labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned()),
                ]
                .into(),
            ),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: AuroraUpdateSpec {
            service: service.to_owned(),
            number: signed(count),
            instructions: Instructions {
                from: from.iter().map(part_object).collect(),
                to: to.as_ref().map(part_object),
                base: base.iter().map(part_object).collect(),
                instances: signed(*instances),
                previous_instances: signed(*previous_instances),
                settings: settings_object(settings),
            },
            controls: Controls::default(),
        },
        status: None,
    }
}

fn settings_object(settings: &model::UpdateSettings) -> UpdateSettings {
    let model::UpdateSettings {
        strategy,
        watch_seconds,
        max_per_instance_failures,
        max_failed_instances,
        rollback_on_failure,
        max_wait_seconds,
    } = settings;
    let strategy = match *strategy {
        model::Strategy::Queue { group_size } => UpdateStrategy {
            queue: Some(QueueStrategy { group_size: signed(group_size) }),
            ..UpdateStrategy::default()
        },
        model::Strategy::Batch { group_size } => UpdateStrategy {
            batch: Some(BatchStrategy { group_size: signed(group_size) }),
            ..UpdateStrategy::default()
        },
    };
    UpdateSettings {
        strategy: Some(strategy),
        watch_seconds: signed(*watch_seconds),
        max_per_instance_failures: signed(*max_per_instance_failures),
        max_failed_instances: signed(*max_failed_instances),
        rollback_on_failure: *rollback_on_failure,
        max_wait_seconds: signed(*max_wait_seconds),
    }
}

/// The two enums of states, side by side: a state added to one must be added to the other.
macro_rules! same_states {
    ($($state:ident),* $(,)?) => {
        impl From<model::UpdateState> for UpdateState {
            fn from(state: model::UpdateState) -> Self {
                match state { $(model::UpdateState::$state => Self::$state),* }
            }
        }
        impl From<UpdateState> for model::UpdateState {
            fn from(state: UpdateState) -> Self {
                match state { $(UpdateState::$state => Self::$state),* }
            }
        }
    };
}

same_states!(
    RollingForward,
    RollingBack,
    RollForwardPaused,
    RollBackPaused,
    RollForwardAwaitingPulse,
    RollBackAwaitingPulse,
    RolledForward,
    RolledBack,
    Aborted,
    Error,
    Failed,
);
