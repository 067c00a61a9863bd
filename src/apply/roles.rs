//! Writing the quota part of an AuroraRole's status: on the very version it was decided from, so that of two who decide
//! only one is heard.
//!
//! The rest of the status is another's, and stands beside it. What is not known of a write is read at once. Called by the
//! quota loop.

use kube::{Api, Client, api::PatchParams, core::DeserializeGuard};
use serde_json::json;
use tracing::{debug, warn};

use super::{
    Limits,
    calls::{Calls, Failed},
};
use crate::{
    api::{AuroraRole, role_quota::RoleQuota},
    lease::Fence,
    metrics::{Metrics, Verb},
};

/// A role as it may be read: another version may have written it.
pub type AnyRole = DeserializeGuard<AuroraRole>;

/// Which version of a role a write is for.
#[derive(Debug, Clone)]
pub struct RoleVersion {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version that was decided from.
    pub version: u64,
    /// Whether it has any status.
    pub has_status: bool,
}

/// What came of a write.
#[derive(Debug)]
pub enum RoleWrite {
    /// It is written, or it was read why not: this is how the role stands now.
    Known {
        /// The role.
        role: Box<AnyRole>,
        /// It was written.
        written: bool,
    },
    /// There is no such role any more.
    Gone,
    /// Nothing is known; it may have been written.
    Unknown,
    /// The lease is not ours.
    Fenced,
}

/// The way to write.
pub struct RoleWriter {
    roles: Api<AnyRole>,
    calls: Calls,
}

impl RoleWriter {
    /// A writer that writes while the fence lets it.
    pub fn new(client: Client, limits: Limits, fence: Fence, metrics: Metrics) -> Self {
        Self { roles: Api::all(client), calls: Calls::new(fence, 1, limits.call_timeout, metrics) }
    }

    /// Writes the quota part of the status.
    pub async fn write(&self, role: &RoleVersion, quota: &RoleQuota) -> RoleWrite {
        let path = if role.has_status { "/status/quota" } else { "/status" };
        let value = if role.has_status { json!(quota) } else { json!({ "quota": quota }) };
        let operations = json!([
            {"op": "test", "path": "/metadata/uid", "value": role.uid},
            {"op": "add", "path": "/metadata/resourceVersion", "value": role.version.to_string()},
            {"op": "add", "path": path, "value": value},
        ]);
        let patch = match serde_json::from_value(operations) {
            Ok(patch) => kube::api::Patch::<()>::Json(patch),
            Err(error) => {
                warn!(role = role.name, %error, "what is to be written of its quota can't be");
                return RoleWrite::Unknown;
            }
        };
        let parameters = PatchParams::default();
        let patched =
            self.calls.write(Verb::patch, |_| self.roles.patch_status(&role.name, &parameters, &patch)).await;
        match patched {
            Ok(written) => RoleWrite::Known { role: Box::new(written), written: true },
            Err(Failed::Fenced) => RoleWrite::Fenced,
            Err(failed) => {
                debug!(role = role.name, %failed, "its quota was not written");
                self.read(&role.name).await
            }
        }
    }

    async fn read(&self, name: &str) -> RoleWrite {
        match self.calls.read(Verb::get, self.roles.get(name)).await {
            Ok(role) => RoleWrite::Known { role: Box::new(role), written: false },
            Err(Failed::Missing(_)) => RoleWrite::Gone,
            Err(Failed::Fenced) => RoleWrite::Fenced,
            Err(_) => RoleWrite::Unknown,
        }
    }
}
