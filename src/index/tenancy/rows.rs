//! What is kept of Tiers, AuroraRoles, Frameworks and Namespaces, and how each is read from its object.
//!
//! Strict about specs, like all conversion: one that can't be used becomes a `problem`, and what was last usable stays.
//! Decides nothing else. Called by `feed`.

use std::{collections::BTreeMap, sync::Arc};

use borealis_core::model::{Role, Tier, Uid};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::Selector;

use super::super::meta::{self, Unreadable, annotation, label};
use crate::api::{
    AuroraRole, Framework, Invalid, Tier as TierObject, convert,
    framework::{FrameworkSpec, FrameworkStatus},
    labels,
    role::AuroraRoleStatus,
    tier::TierStatus,
};

/// Which object it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: Arc<str>,
    /// Its uid.
    pub uid: Uid,
    /// The generation of its spec.
    pub generation: i64,
    /// When it was created.
    pub created: Timestamp,
    /// It is being deleted.
    pub deleting: bool,
    /// What keeps it from going.
    pub finalizers: Vec<String>,
}

/// What is kept of a Tier.
#[derive(Debug, Clone)]
pub struct TierRow {
    /// Which it is.
    pub object: Object,
    /// What it says, as it was last usable.
    pub tier: Option<Arc<Tier>>,
    /// Why its spec can't be used.
    pub problem: Option<String>,
    /// What stands in its status.
    pub status: Option<TierStatus>,
    /// The version it was read at.
    pub version: u64,
}

/// What is kept of an AuroraRole.
#[derive(Debug, Clone)]
pub struct RoleRow {
    /// Which it is.
    pub object: Object,
    /// What it says, as it was last usable.
    pub role: Option<Arc<Role>>,
    /// The namespaces it claims, as it was last usable.
    pub selector: Option<Selector>,
    /// Why its spec can't be used.
    pub problem: Option<String>,
    /// What stands in its status.
    pub status: Option<AuroraRoleStatus>,
    /// The version it was read at.
    pub version: u64,
}

/// What is kept of a Framework.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkRow {
    /// Which it is.
    pub object: Object,
    /// What it says; `None` where that can't be read.
    pub spec: Option<Arc<FrameworkSpec>>,
    /// Why its spec can't be used.
    pub problem: Option<String>,
    /// What stands in its status.
    pub status: Option<FrameworkStatus>,
}

/// What is kept of a Namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct NamespaceRow {
    /// Which it is.
    pub object: Object,
    /// All its labels: an AuroraRole may ask for any.
    pub labels: BTreeMap<String, String>,
    /// The environment of its jobs.
    pub environment: Arc<str>,
    /// What its annotations of ours say, by their keys.
    pub notes: BTreeMap<&'static str, String>,
}

impl Object {
    pub(super) fn read(meta: &ObjectMeta) -> Result<Self, Unreadable> {
        Ok(Self {
            name: meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?.into(),
            uid: meta::uid(meta)?,
            generation: meta.generation.unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
        })
    }
}

/// A row by which news is told from what is known.
pub(super) trait Row: Sized {
    /// Which object it is of.
    fn object(&self) -> &Object;
    /// Whether it says the same.
    fn says_the_same(&self, other: &Self) -> bool;
}

macro_rules! rows {
    ($($row:ty),*) => {$(
        impl Row for $row {
            fn object(&self) -> &Object {
                &self.object
            }

            fn says_the_same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}

rows!(FrameworkRow, NamespaceRow);

impl Row for TierRow {
    fn object(&self) -> &Object {
        &self.object
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.object == other.object
            && self.tier == other.tier
            && self.problem == other.problem
            && self.status == other.status
    }
}

impl Row for RoleRow {
    fn object(&self) -> &Object {
        &self.object
    }

    fn says_the_same(&self, other: &Self) -> bool {
        // A selector can't be compared; it only changes with the generation.
        self.object == other.object
            && self.role == other.role
            && self.problem == other.problem
            && self.status == other.status
    }
}

impl TierRow {
    pub(super) fn read(tier: &TierObject, object: Object, version: u64, known: Option<&Self>) -> Self {
        let status = tier.status.clone();
        match convert::tier(tier) {
            Ok(tier) => Self { object, tier: Some(Arc::new(tier)), problem: None, status, version },
            Err(invalid) => Self { status, ..Self::unusable(object, invalid.to_string(), version, known) },
        }
    }

    pub(super) fn unusable(object: Object, problem: String, version: u64, known: Option<&Self>) -> Self {
        let tier = known.and_then(|known| known.tier.clone());
        let status = known.and_then(|known| known.status.clone());
        Self { object, tier, problem: Some(problem), status, version }
    }
}

impl RoleRow {
    pub(super) fn read(role: &AuroraRole, object: Object, version: u64, known: Option<&Self>) -> Self {
        let status = role.status.clone();
        let selector = Selector::try_from(role.spec.namespaces.clone()).map_err(|error| Invalid::Field {
            field: "spec.namespaces",
            reason: format!("{error}; mend the selector"),
        });
        match convert::role(role).and_then(|role| Ok((role, selector?))) {
            Ok((role, selector)) => Self {
                object,
                role: Some(Arc::new(role)),
                selector: Some(selector).filter(|selector| !selector.selects_all()),
                problem: None,
                status,
                version,
            },
            Err(invalid) => Self { status, ..Self::unusable(object, invalid.to_string(), version, known) },
        }
    }

    pub(super) fn unusable(object: Object, problem: String, version: u64, known: Option<&Self>) -> Self {
        Self {
            object,
            role: known.and_then(|known| known.role.clone()),
            selector: known.and_then(|known| known.selector.clone()),
            problem: Some(problem),
            status: known.and_then(|known| known.status.clone()),
            version,
        }
    }
}

impl FrameworkRow {
    pub(super) fn read(framework: &Framework, object: Object) -> Self {
        let spec = Some(Arc::new(framework.spec.clone()));
        Self { object, spec, problem: None, status: framework.status.clone() }
    }

    pub(super) fn unusable(object: Object, problem: String, known: Option<&Self>) -> Self {
        let status = known.and_then(|known| known.status.clone());
        Self { object, spec: None, problem: Some(problem), status }
    }
}

impl NamespaceRow {
    pub(super) fn read(meta: &ObjectMeta, object: Object) -> Self {
        Self {
            object,
            labels: meta.labels.clone().unwrap_or_default(),
            environment: label(meta, labels::ENVIRONMENT).unwrap_or(labels::DEFAULT_ENVIRONMENT).into(),
            notes: labels::OF_NAMESPACES
                .into_iter()
                .filter_map(|key| Some((key, annotation(meta, key)?.to_owned())))
                .collect(),
        }
    }
}
