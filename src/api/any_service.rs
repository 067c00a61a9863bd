//! An AuroraService as far as it can be read.
//!
//! An object stored under an earlier version's schema, or by hand, may hold a spec that this version can't read. It
//! must not stop the watch of all the others, and what was said of it, its status, is read all the same, so that the
//! same is not said again and again. Read by the index, and by the executor where it writes a status.

use std::borrow::Cow;

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use super::{AuroraService, AuroraServiceStatus};

/// A service, or what can be read of it.
#[derive(Debug, Clone)]
pub enum AnyService {
    /// All of it can be read.
    Readable(Box<AuroraService>),
    /// Its spec can't.
    Unreadable {
        /// Its metadata.
        metadata: Box<ObjectMeta>,
        /// Its status, if that can be read.
        status: Option<Box<AuroraServiceStatus>>,
        /// What is wrong with the rest.
        error: String,
    },
}

impl From<AuroraService> for AnyService {
    fn from(service: AuroraService) -> Self {
        Self::Readable(Box::new(service))
    }
}

impl<'de> Deserialize<'de> for AnyService {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        let error = match AuroraService::deserialize(&object) {
            Ok(service) => return Ok(service.into()),
            Err(error) => error.to_string(),
        };
        let metadata = Box::<ObjectMeta>::deserialize(&object["metadata"]).map_err(D::Error::custom)?;
        let status = Option::deserialize(&object["status"]).unwrap_or_default();
        Ok(Self::Unreadable { metadata, status, error })
    }
}

impl Resource for AnyService {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        AuroraService::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        AuroraService::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        AuroraService::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        AuroraService::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Readable(service) => &service.metadata,
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(service) => &mut service.metadata,
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
}
