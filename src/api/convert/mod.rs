//! Between the objects of the API and the words of `borealis_core`: all that crosses, crosses here.
//!
//! Reading a spec is strict, since acting on half of one is worse than not acting; reading a status is
//! lenient, since one that cannot be read is as good as wiped, which the planner knows how to bear.
//! Decides nothing. Called by the index (reading) and the executor (writing).

mod checks;
mod cron;
mod grant;
mod job;
mod quota;
mod run;
mod service;
mod settings;
mod task;
mod tenancy;
mod update;

use borealis_core::model::{Instance, Ranges, Revision};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

pub use cron::{cron, cron_status, cron_status_object};
pub use grant::{grant, grant_object};
pub use job::{job, job_status, job_status_object};
pub use quota::{ForeignShare, pending_grants, role_quota_object};
pub use run::{kill_word, run_object};
pub use service::{Identity, service, service_status, service_status_object};
pub use settings::update_settings;
pub use tenancy::{role, tier};
pub use update::{new_update, progress, update, update_status_object};

use super::Invalid;
use super::status::RevisionInstances;

/// A whole number of the API, within its bounds.
fn number(field: &'static str, value: i32, min: i32, max: i32) -> Result<u32, Invalid> {
    let out = || Invalid::Range { field, value: value.into(), min: min.into(), max: max.into() };
    if (min..=max).contains(&value) { u32::try_from(value).map_err(|_| out()) } else { Err(out()) }
}

/// A time of the API, in whole seconds: what is compared must be what is read back.
fn whole(at: &Time) -> Timestamp {
    time(at.0).0
}

/// A count of ours for the API, whose integers are signed.
fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A count of the API; what is none counts as 0.
fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// A text of the API that is an identity to `core`.
fn identity<T>(field: &'static str, text: Option<&str>) -> Result<T, Invalid>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let text = text.unwrap_or_default();
    text.parse().map_err(|error: T::Err| Invalid::Field {
        field,
        reason: format!("{error}; it is the operator's to write"),
    })
}

fn uid<T>(metadata: &ObjectMeta) -> Result<T, Invalid>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    identity("metadata.uid", metadata.uid.as_deref())
}

/// Times as the API keeps them, in whole seconds: what is written must equal what is read back.
fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

fn parts(field: &'static str, listed: &[RevisionInstances]) -> Result<Vec<(Revision, Ranges)>, Invalid> {
    listed.iter().map(|one| part(field, one)).collect()
}

fn part(field: &'static str, one: &RevisionInstances) -> Result<(Revision, Ranges), Invalid> {
    Ok((identity(field, Some(&one.revision))?, identity(field, Some(&one.instances))?))
}

fn part_object((revision, instances): &(Revision, Ranges)) -> RevisionInstances {
    RevisionInstances { revision: revision.to_string(), instances: instances.to_string() }
}

fn instance(value: i32) -> Option<Instance> {
    Instance::try_from(value).ok()
}

/// A word of `core` as the API spells it; its names are part of the stored format.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(_) | Err(_) => String::new(),
    }
}

fn from_word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

#[cfg(test)]
mod tests;
