//! The runs of crons: AuroraJobs that carry their cron's name, their time, and the wish that they end.

use borealis_core::{
    model::{KillReason, RunOf},
    plan::cron::run_name,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

use crate::api::{AuroraCron, AuroraJob, GROUP, Invalid, RunTemplate, labels};

/// Words of the annotation that has a job end.
const COLLISION: &str = "Collision";
const ASKED: &str = "Asked";

/// The word by which a job is told to end.
#[must_use]
pub fn kill_word(reason: KillReason) -> &'static str {
    match reason {
        KillReason::Collision => COLLISION,
        KillReason::Asked => ASKED,
    }
}

/// Why the job is to end, if it is.
pub(super) fn kill(metadata: &ObjectMeta) -> Result<Option<KillReason>, Invalid> {
    let Some(word) = annotation(metadata, labels::KILL) else { return Ok(None) };
    match word {
        COLLISION => Ok(Some(KillReason::Collision)),
        ASKED => Ok(Some(KillReason::Asked)),
        other => Err(Invalid::Field {
            field: "metadata.annotations[borealis.dev/kill]",
            reason: format!("{other:?} is no reason to end a job; use {ASKED}"),
        }),
    }
}

/// Which run of which cron the job is. What was once a run stays one, also where its owner was taken away: nothing else
/// may start it.
pub(super) fn run_of(metadata: &ObjectMeta) -> Result<Option<RunOf>, Invalid> {
    let label = metadata.labels.as_ref().and_then(|labels| labels.get(labels::CRON)).map(String::as_str);
    let owner = owner(metadata).filter(|owner| is_cron(owner)).map(|owner| owner.name.as_str());
    let Some(cron) = label.or(owner) else { return Ok(None) };
    let time = scheduled_time(metadata).ok_or_else(|| Invalid::Field {
        field: "metadata.annotations[borealis.dev/scheduled-time]",
        reason: format!(
            "does not say which run of AuroraCron {cron} this is; it is the operator's to write: remove this AuroraJob"
        ),
    })?;
    Ok(Some(RunOf { cron: cron.into(), time }))
}

fn scheduled_time(metadata: &ObjectMeta) -> Option<Timestamp> {
    annotation(metadata, labels::SCHEDULED_TIME)?.parse().ok()
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn owner(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

fn is_cron(owner: &OwnerReference) -> bool {
    let of_ours = owner.api_version.split_once('/').is_some_and(|(group, _)| group == GROUP);
    of_ours && owner.kind == AuroraCron::kind(&())
}

/// The AuroraJob to make for a run of the cron of this metadata.
#[must_use]
pub fn run_object(cron: &ObjectMeta, template: &RunTemplate, time: Timestamp) -> AuroraJob {
    let name = cron.name.as_deref().unwrap_or_default();
    let mut job = AuroraJob::new(&run_name(name, time), template.spec.clone());
    let mut labels = template.metadata.labels.clone();
    labels.insert(labels::CRON.to_owned(), name.to_owned());
    labels.insert(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned());
    let mut annotations = template.metadata.annotations.clone();
    annotations.insert(labels::SCHEDULED_TIME.to_owned(), super::time(time).0.to_string());
    job.metadata.namespace.clone_from(&cron.namespace);
    job.metadata.labels = Some(labels);
    job.metadata.annotations = Some(annotations);
    job.metadata.owner_references = cron.uid.clone().map(|uid| vec![owned_by(name, uid)]);
    job
}

fn owned_by(cron: &str, uid: String) -> OwnerReference {
    OwnerReference {
        api_version: AuroraCron::api_version(&()).into_owned(),
        kind: AuroraCron::kind(&()).into_owned(),
        name: cron.to_owned(),
        uid,
        controller: Some(true),
        block_owner_deletion: None,
    }
}
