//! The custom resources as users write them: one file per kind, the pieces they share, their
//! schemas, and the one-way conversion to the words of `borealis_core`.
//!
//! Nothing here decides what to do with an object, reads a clock or talks to the API server.
//! The controllers read these types, the executor writes their status, `crdgen` prints them.

pub mod amounts;
mod any_job;
mod changes;
pub mod checks;
pub mod conditions;
pub mod constraints;
pub mod convert;
pub mod cron;
pub mod cron_status;
pub mod framework;
pub mod grant;
pub mod health;
pub mod in_place;
pub mod job;
pub mod job_status;
pub(crate) mod json_path;
pub mod labels;
pub mod observed;
pub mod parent;
pub mod quantity;
pub mod references;
pub mod requests;
pub mod revision;
pub mod role;
pub mod role_quota;
mod rules;
mod schema;
pub mod service;
pub mod settings;
pub mod slot;
pub mod snapshot;
pub mod status;
mod surge;
pub mod task_spec;
pub mod tier;
pub mod update;

pub use any_job::{Any, AnyJob, AnyService, JobObject};
pub use changes::changes;
pub use constraints::Constraint;
pub use cron::{AuroraCron, AuroraCronSpec, RunTemplate};
pub use cron_status::AuroraCronStatus;
pub use framework::Framework;
pub use health::HealthCheck;
pub use job::{AuroraJob, AuroraJobSpec};
pub use job_status::AuroraJobStatus;
pub use revision::TaskConfig;
pub use role::AuroraRole;
pub use schema::{Unprintable, crd_files, crds};
pub use service::{AuroraService, AuroraServiceSpec};
pub use settings::{
    Flapping, History, PartitionPolicy, Sla, TrackConfig, UpdateSettings, UpdateStrategy, WhileUpdating,
};
pub use status::AuroraServiceStatus;
pub use task_spec::TaskSpec;
pub use tier::Tier;
pub use update::{AuroraUpdate, AuroraUpdateSpec, AuroraUpdateStatus, UpdateState};

/// API group of every kind of this operator.
pub const GROUP: &str = "borealis.dev";
/// The one version served and stored today.
pub const VERSION: &str = "v1alpha1";

/// Why a spec that the API server accepted cannot be acted upon.
///
/// Its text becomes the message of the `Stalled` condition, so each names field, value and remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A union holds no member, or several.
    #[error("{field} must hold exactly one of {members}, but holds {found}")]
    Union {
        /// Path of the union, as in the object.
        field: &'static str,
        /// The members there are, comma-separated.
        members: &'static str,
        /// How many of them are set.
        found: usize,
    },
    /// A number lies outside its range.
    #[error("{field}: {value} is out of range; use a whole number from {min} to {max}")]
    Range {
        /// Path of the number, as in the object.
        field: &'static str,
        /// What it says.
        value: i64,
        /// Smallest allowed.
        min: i64,
        /// Greatest allowed.
        max: i64,
    },
    /// Anything else that is wrong with one field.
    #[error("{field}: {reason}")]
    Field {
        /// Path of the field, as in the object.
        field: &'static str,
        /// What is wrong with which value, and what to do about it.
        reason: String,
    },
}
