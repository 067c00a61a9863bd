//! The stored configs that were last used, parsed: starting a thousand instances reads theirs once.
//!
//! A config never changes under its name, so nothing here grows stale; the uid of the service is part of the key.
//! Called by `run`.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use borealis_core::model::{Revision, Uid};
use lru::LruCache;

use crate::api::TaskConfig;

/// How many are kept: a few kilobytes each.
const CAPACITY: NonZeroUsize = match NonZeroUsize::new(512) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};

/// Parsed configs by service and name.
pub(super) struct Configs(Mutex<LruCache<(Uid, Revision), Arc<TaskConfig>>>);

impl Default for Configs {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl Configs {
    pub(super) fn get(&self, service: Uid, revision: Revision) -> Option<Arc<TaskConfig>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(service, revision)).cloned()
    }

    pub(super) fn put(&self, service: Uid, revision: Revision, config: TaskConfig) -> Arc<TaskConfig> {
        let config = Arc::new(config);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put((service, revision), Arc::clone(&config));
        config
    }
}
