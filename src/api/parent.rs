//! `spec.parents` of jobs and crons: what has to have ended before they start, as Chronos had it. Types and bounds only;
//! what follows from it is `borealis_core`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A job or cron of the same namespace that has to have ended first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// What it is: `AuroraJob`, or `AuroraCron` for a run of that.
    pub kind: ParentKind,
    /// Its name, in the same namespace.
    #[schemars(length(min = 1, max = 45))]
    pub name: String,
    /// How it must have ended. Default: `Succeeded`.
    #[serde(default)]
    pub when: ParentEnd,
}

/// What a parent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ParentKind {
    /// An AuroraJob.
    AuroraJob,
    /// An AuroraCron: one of its runs.
    AuroraCron,
}

/// How a parent must have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ParentEnd {
    /// With success.
    #[default]
    Succeeded,
    /// In whatever way.
    Ended,
}
