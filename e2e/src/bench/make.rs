//! Making very many objects, as fast as the API server takes them: the raw loop that is the ceiling of all.
//!
//! Called by all benchmarks.

use std::fmt::Debug;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Requests at a time.
const CONNECTIONS: usize = 32;

/// Makes objects.
pub(super) async fn make<K>(api: &Api<K>, objects: impl Iterator<Item = Result<K>>) -> Result<()>
where
    K: Clone + Serialize + DeserializeOwned + Debug,
{
    let made = stream::iter(objects).map(|object| async {
        api.create(&PostParams::default(), &object?).await?;
        Ok(())
    });
    made.buffer_unordered(CONNECTIONS).try_collect::<()>().await
}

/// An object of any kind.
pub(super) fn object(manifest: Value) -> Result<DynamicObject> {
    Ok(serde_json::from_value(manifest)?)
}
