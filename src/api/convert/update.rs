//! AuroraUpdate: instructions and controls to `model::Update`, progress both ways.

use std::collections::BTreeMap;

use borealis_core::{model, plan::NewUpdate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, OwnerReference};

use super::checks::{record, record_object};
use super::settings::settings_object;
use super::{
    from_word, identity, instance, number, part, part_object, parts, signed, time, uid, update_settings,
    whole, word,
};
use crate::api::update::{
    AuroraUpdate, AuroraUpdateSpec, AuroraUpdateStatus, Controls, InstanceFailure, Instructions, Request,
    TakenPulse, UpdateCounts, UpdateState, update_name,
};
use crate::api::{Invalid, conditions, labels};

/// Longest message of an update, in characters: it may list the instances of a large service.
const MAX_STATUS_MESSAGE: usize = 4_096;
/// Longest list of controls that are not acted on, in characters.
const MAX_REFUSED: usize = 1_024;
/// Longest message of one failure, in characters.
const MAX_MESSAGE: usize = 1_000;
/// Longest name of an author, in characters.
const MAX_AUTHOR: usize = 253;

/// What the planner is told of an update; whether the service controls it is said by who knows the service.
///
/// # Errors
/// When the record is not one this operator wrote.
pub fn update(object: &AuroraUpdate, owned: bool) -> Result<model::Update, Invalid> {
    let AuroraUpdateSpec {
        service: _,
        number: count,
        instructions,
        message: _,
        author: _,
        changes: _,
        controls,
    } = &object.spec;
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
        asked: number(field, spec.asked.unwrap_or(spec.instances), 0, 10_000)?,
        previous_instances: number(field, spec.previous_instances, 0, 10_000)?,
        last_good: spec.last_good.as_deref().map(|text| identity(field, Some(text))).transpose()?,
        takes_back: spec.takes_back.map(|update| number(field, update, 1, i32::MAX)).transpose()?,
        in_place: spec.in_place.iter().map(|text| identity(field, Some(text))).collect::<Result<_, _>>()?,
    })
}

fn controls(spec: &Controls) -> model::Controls {
    let request = |wish: &Option<Request>| {
        wish.as_ref().map(|Request { reason, author }| model::Request {
            reason: reason.clone().unwrap_or_default(),
            author: author.clone().unwrap_or_default(),
        })
    };
    let Controls { paused, abort, rollback, retry, resume_after_batch, pulse } = spec;
    model::Controls {
        paused: *paused,
        abort: request(abort),
        rollback: request(rollback),
        retry: request(retry),
        resume_after_batch: u32::try_from(*resume_after_batch).unwrap_or(0),
        pulse: pulse.as_ref().map(|pulse| whole(&pulse.at)),
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
        total: u32::try_from(status.counts.total).unwrap_or(0),
        pulse: status.pulse.as_ref().map(|pulse| model::Pulse { at: pulse.at.0, from: pulse.from.0 }),
        refused: status.refused.clone(),
        checks: status.checks.iter().map(record).collect(),
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
        last_run: recorded.run.and_then(|run| u32::try_from(run).ok()).unwrap_or_default(),
        reason: from_word(&recorded.reason)?,
        exit_code: recorded.exit_code,
        message: recorded.message.clone(),
        at: recorded.time.0,
    };
    Some((instance(recorded.instance)?, failures))
}

/// The status to write for what the planner computed; `generation` is that of the record, which may be of an update that
/// was made to take another one back.
#[must_use]
pub fn update_status_object(
    progress: &model::Progress,
    generation: i64,
    takes_back: bool,
) -> AuroraUpdateStatus {
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
        message: cut(&progress.message, MAX_STATUS_MESSAGE),
        touched: progress.touched.to_string(),
        working: progress.working.to_string(),
        updated: progress.updated.to_string(),
        rolled_back: progress.rolled_back.to_string(),
        failed: progress.failed.to_string(),
        failed_back: progress.failed_back.to_string(),
        failures: progress
            .failures
            .iter()
            .map(|(instance, one)| failure_object(*instance, one, failed(*instance)))
            .collect(),
        cause: progress.cause.as_ref().map(|(instance, one)| failure_object(*instance, one, true)),
        progress: progress_words(progress),
        pulse: progress.pulse.map(|pulse| TakenPulse { at: time(pulse.at), from: time(pulse.from) }),
        refused: cut(&progress.refused, MAX_REFUSED),
        checks: progress.checks.iter().map(record_object).collect(),
        counts: UpdateCounts {
            total: signed(progress.total),
            touched: signed(progress.touched.len()),
            working: signed(progress.working.len()),
            updated: signed(progress.updated.len()),
            rolled_back: signed(progress.rolled_back.len()),
            failed: signed(progress.failed.len()),
        },
        conditions: conditions(progress, generation, takes_back),
    }
}

/// How many instances are through, of how many; nothing where the record is of a version that did not count them.
fn progress_words(progress: &model::Progress) -> String {
    match (progress.state.is_back(), progress.total) {
        (true, _) => format!("{}/{}", progress.rolled_back.len(), progress.touched.len()),
        (false, 0) => String::new(),
        (false, total) => format!("{}/{total}", progress.updated.len()),
    }
}

/// kstatus of an update: Reconciling until it has ended, then Ready if it did what it was made for, else Stalled, be it
/// that it could not or that it was taken back or given up: it does not go on by itself. Their times follow from the
/// progress, so that nothing has to be remembered.
fn conditions(progress: &model::Progress, generation: i64, takes_back: bool) -> Vec<Condition> {
    let state = progress.state;
    let ended = progress.finished.unwrap_or(progress.started);
    let (done, stuck) = match state {
        model::UpdateState::RolledForward => (true, false),
        model::UpdateState::RolledBack => (takes_back, !takes_back),
        model::UpdateState::Aborted | model::UpdateState::Error | model::UpdateState::Failed => (false, true),
        model::UpdateState::RollingForward
        | model::UpdateState::RollingBack
        | model::UpdateState::RollForwardPaused
        | model::UpdateState::RollBackPaused
        | model::UpdateState::RollForwardAwaitingPulse
        | model::UpdateState::RollBackAwaitingPulse => (false, false),
    };
    let reason = format!("{state:?}");
    let one = |kind, holds, since| {
        conditions::condition(kind, holds, &reason, &progress.message, generation, time(since).0)
    };
    let since = |holds| if holds { ended } else { progress.started };
    let refused = (!progress.refused.is_empty()).then(|| {
        let text = &progress.refused;
        conditions::condition(
            conditions::REFUSED,
            true,
            "NotActedOn",
            text,
            generation,
            time(since(state.is_terminal())).0,
        )
    });
    let kstatus = [
        one(conditions::READY, done, since(done)),
        one(conditions::RECONCILING, !state.is_terminal(), since(state.is_terminal())),
        one(conditions::STALLED, stuck, since(stuck)),
    ];
    kstatus.into_iter().chain(refused).collect()
}

/// No longer than the API server takes it.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn failure_object(instance: model::Instance, one: &model::Failures, failed: bool) -> InstanceFailure {
    let model::Failures { count, last_pod, last_run, reason, exit_code, message, at } = one;
    InstanceFailure {
        instance: signed(instance),
        count: signed(*count),
        pod_uid: last_pod.map(|uid| uid.to_string()),
        run: (*last_run > 0).then(|| signed(*last_run)),
        reason: word(reason),
        message: cut(message, MAX_MESSAGE),
        exit_code: *exit_code,
        failed,
        time: time(*at),
    }
}

/// The AuroraUpdate to create for an update of the service that is to begin.
#[must_use]
pub fn new_update(
    service: &ObjectMeta,
    owner: OwnerReference,
    new: &NewUpdate,
    changes: Vec<String>,
) -> AuroraUpdate {
    let NewUpdate { number: count, instructions, settings, request } = new;
    let count = *count;
    let model::Instructions {
        from,
        to,
        base,
        instances,
        asked,
        previous_instances,
        last_good,
        takes_back,
        in_place,
    } = instructions;
    let name = service.name.as_deref().unwrap_or_default();
    AuroraUpdate {
        metadata: ObjectMeta {
            name: Some(update_name(name, count)),
            namespace: service.namespace.clone(),
            labels: Some(
                [
                    (labels::SERVICE.to_owned(), name.to_owned()),
                    (labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned()),
                ]
                .into(),
            ),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: AuroraUpdateSpec {
            service: name.to_owned(),
            number: signed(count),
            instructions: Instructions {
                from: from.iter().map(part_object).collect(),
                to: to.as_ref().map(part_object),
                base: base.iter().map(part_object).collect(),
                instances: signed(*instances),
                asked: (asked != instances).then(|| signed(*asked)),
                previous_instances: signed(*previous_instances),
                last_good: last_good.map(|revision| revision.to_string()),
                takes_back: takes_back.map(signed),
                in_place: in_place.iter().map(ToString::to_string).collect(),
                settings: settings_object(settings),
            },
            message: said(request, |request| &request.reason).or_else(|| message(service)),
            author: said(request, |request| &request.author).or_else(|| author(service)),
            changes,
            controls: Controls::default(),
        },
        status: None,
    }
}

/// What a wish says, if it says anything.
fn said(request: &Option<model::Request>, what: fn(&model::Request) -> &String) -> Option<String> {
    request.as_ref().map(what).filter(|text| !text.is_empty()).cloned()
}

/// What the users say the change is about.
fn message(service: &ObjectMeta) -> Option<String> {
    let text = service.annotations.as_ref()?.get(labels::MESSAGE).filter(|text| !text.is_empty())?;
    Some(text.chars().take(MAX_MESSAGE).collect())
}

/// Who last wrote a field of the spec: the field manager, the closest to a person that an object tells.
fn author(service: &ObjectMeta) -> Option<String> {
    let writes = service.managed_fields.iter().flatten().filter(|entry| entry.subresource.is_none());
    let of_spec = writes
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some()));
    let last = of_spec.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    last.manager.as_ref().map(|manager| manager.chars().take(MAX_AUTHOR).collect())
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
