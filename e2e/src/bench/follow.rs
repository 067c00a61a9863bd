//! One watch after the other, without a gap: a witness that breaks off says so instead of counting less.
//!
//! Called by the workloads on a cluster, and by the witnesses of `storm` and `crons`.

use std::fmt::Debug;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use kube::{
    Api, Resource,
    api::{ListParams, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;

/// The version at which a watch that misses nothing from now on begins.
pub(super) async fn now<K>(api: &Api<K>) -> Result<String>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let list = api.list_metadata(&ListParams::default().limit(1)).await?;
    list.metadata.resource_version.context("a list without a version")
}

/// Shows every object as it is made, changed or gone, from a version on; never ends well.
pub(super) async fn follow<K>(api: &Api<K>, mut version: String, mut see: impl FnMut(K)) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    loop {
        let mut events = Box::pin(api.watch(&WatchParams::default().timeout(290), &version).await?);
        while let Some(event) = events.try_next().await? {
            let object = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
                    object
                }
                WatchEvent::Bookmark(mark) => {
                    version.clone_from(&mark.metadata.resource_version);
                    continue;
                }
                WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
            };
            if let Some(at) = &object.meta().resource_version {
                version.clone_from(at);
            }
            see(object);
        }
    }
}
