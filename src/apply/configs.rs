//! The stored configs that were last used, parsed: starting a thousand instances reads theirs once.
//!
//! A config never changes under its name, so nothing here grows stale; the uid of the service is part of the key.
//! Called by `run` and `snapshots`.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use borealis_core::model::{Revision, Uid};
use lru::LruCache;
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use crate::api::TaskConfig;

/// How many are kept: a few kilobytes each.
const CAPACITY: NonZeroUsize = match NonZeroUsize::new(512) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

/// A config, and the ControllerRevision that stores it.
pub(super) struct Stored {
    pub(super) config: TaskConfig,
    /// The uid of the ControllerRevision, to which the copies of what the config names belong.
    pub(super) uid: String,
    /// When the copies were last seen to be there. Held while they are looked at, so that one looks for all.
    pub(super) seen: AsyncMutex<Option<Instant>>,
}

/// Parsed configs by service and name.
pub(super) struct Configs(Mutex<LruCache<(Uid, Revision), Arc<Stored>>>);

impl Default for Configs {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl Configs {
    pub(super) fn get(&self, service: Uid, revision: Revision) -> Option<Arc<Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(service, revision)).cloned()
    }

    pub(super) fn put(
        &self,
        service: Uid,
        revision: Revision,
        config: TaskConfig,
        uid: String,
    ) -> Arc<Stored> {
        let stored = Arc::new(Stored { config, uid, seen: AsyncMutex::default() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put((service, revision), Arc::clone(&stored));
        stored
    }

    /// It has to be read again: the object that stores it may be another by now.
    pub(super) fn forget(&self, service: Uid, revision: Revision) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(&(service, revision));
    }
}
