//! What the ConfigMaps and Secrets hold that services name: a hash each, never the contents themselves.
//!
//! An entry is known once it was read live, until a watch says that the object has changed, or, for a Secret, of which
//! there is no watch, until some time has passed. Objects that no service names have no entry and cost nothing.
//! Decides nothing about services. Called by `Index` and `feed`, under its own lock, which is the innermost.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    stamp::{Epoch, Version},
    state::Slot,
};
use crate::api::{
    references::{ConfigSource, Reference, SourceKind},
    snapshot::ContentHash,
};

/// What is known of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It was there at this version, and held this.
    Held(Version, ContentHash),
    /// There was none.
    Absent,
    /// The right to read it is missing.
    Denied,
    /// Reading it fails again and again.
    Unreadable,
}

/// How often reading an object may fail until services go on without.
const ATTEMPTS: u8 = 3;

/// An object that has to be read, and how new the news of it is: an older answer does not count.
pub(super) type Unread = (ConfigSource, Version);

/// What all the objects hold that a service names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Some of them have to be read.
    Unread,
    /// By key, those that there are.
    Held(BTreeMap<String, String>),
    /// Some of those it needs are not to be had.
    Lacking {
        /// They are not there.
        absent: Vec<ConfigSource>,
        /// The right to read them is missing.
        denied: Vec<ConfigSource>,
        /// Reading them fails.
        unreadable: Vec<ConfigSource>,
    },
}

/// The objects that services name, by namespace.
#[derive(Debug, Default)]
pub(super) struct ContentTable {
    namespaces: HashMap<Arc<str>, HashMap<ConfigSource, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The services that name it.
    services: Vec<Arc<Slot>>,
    /// `None` has to be read.
    known: Option<Known>,
    /// When it was read.
    read: Option<Instant>,
    /// How often in a row reading it has failed.
    failed: u8,
    /// The newest version heard of.
    heard: Version,
    /// The relist that showed it last.
    epoch: Epoch,
}

impl Entry {
    /// What is known may be so no longer.
    fn doubt(&mut self) -> Vec<Arc<Slot>> {
        self.known = None;
        self.services.clone()
    }
}

impl ContentTable {
    /// A service names other objects than before.
    pub(super) fn refer(&mut self, slot: &Arc<Slot>, before: &[Reference], after: &[Reference]) {
        let namespace = &slot.key.namespace;
        let of_namespace = self.namespaces.entry(Arc::clone(namespace)).or_default();
        for Reference { source, .. } in after {
            let services = &mut of_namespace.entry(source.clone()).or_default().services;
            if !services.iter().any(|known| Arc::ptr_eq(known, slot)) {
                services.push(Arc::clone(slot));
            }
        }
        let still = |source: &ConfigSource| after.iter().any(|reference| reference.source == *source);
        for Reference { source, .. } in before.iter().filter(|reference| !still(&reference.source)) {
            if let Some(entry) = of_namespace.get_mut(source) {
                entry.services.retain(|known| !Arc::ptr_eq(known, slot));
                if entry.services.is_empty() {
                    of_namespace.remove(source);
                }
            }
        }
        if of_namespace.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// The watch shows the object at this version; returns the services to plan again.
    pub(super) fn shown(
        &mut self,
        namespace: &str,
        source: &ConfigSource,
        version: Version,
        epoch: Epoch,
    ) -> Vec<Arc<Slot>> {
        let Some(entry) = self.find(namespace, source) else { return Vec::new() };
        entry.epoch = epoch;
        entry.heard = entry.heard.max(version);
        match entry.known {
            Some(Known::Held(known, _)) if known >= version => Vec::new(),
            Some(_) => entry.doubt(),
            None => Vec::new(),
        }
    }

    /// The watch says that the object is gone, which the next read finds out.
    pub(super) fn gone(
        &mut self,
        namespace: &str,
        source: &ConfigSource,
        version: Version,
    ) -> Vec<Arc<Slot>> {
        let Some(entry) = self.find(namespace, source) else { return Vec::new() };
        entry.heard = entry.heard.max(version);
        match entry.known {
            // It was made again, and read since.
            Some(Known::Held(known, _)) if known > version => Vec::new(),
            Some(_) => entry.doubt(),
            None => Vec::new(),
        }
    }

    /// A relist that began in this epoch is complete: what it did not show may be gone.
    pub(super) fn relisted(&mut self, epoch: Epoch) -> Vec<Arc<Slot>> {
        let watched = |source: &ConfigSource| source.kind == SourceKind::ConfigMap;
        let all = self.namespaces.values_mut().flatten();
        let missed = all.filter(|(source, entry)| {
            watched(source) && entry.epoch != epoch && matches!(entry.known, Some(Known::Held(..)))
        });
        missed.flat_map(|(_, entry)| entry.doubt()).collect()
    }

    /// Secrets that were read this long ago have to be read again, and so has what could not be read.
    pub(super) fn expire(&mut self, now: Instant, age: Duration) -> Vec<Arc<Slot>> {
        let all = self.namespaces.values_mut().flatten();
        let old = all.filter(|(source, entry)| {
            let is_old = entry.read.is_some_and(|read| now.duration_since(read) >= age);
            let is_blind = entry.known == Some(Known::Unreadable);
            is_old && (is_blind || (source.kind == SourceKind::Secret && entry.known.is_some()))
        });
        old.flat_map(|(_, entry)| entry.doubt()).collect()
    }

    /// What is known of these may be older than what somebody has met.
    pub(super) fn doubt(&mut self, namespace: &str, references: &[Reference]) {
        for Reference { source, .. } in references {
            if let Some(entry) = self.find(namespace, source) {
                entry.known = None;
            }
        }
    }

    /// Which of these have to be read.
    pub(super) fn unread(&self, namespace: &str, references: &[Reference]) -> Vec<Unread> {
        let Some(of_namespace) = self.namespaces.get(namespace) else { return Vec::new() };
        let entry = |reference: &Reference| {
            let entry = of_namespace.get(&reference.source)?;
            entry.known.is_none().then(|| (reference.source.clone(), entry.heard))
        };
        references.iter().filter_map(entry).collect()
    }

    /// The object was read, when what was `heard` of it was this new.
    pub(super) fn read(&mut self, namespace: &str, (source, heard): &Unread, known: Known, now: Instant) {
        let Some(entry) = self.find(namespace, source) else { return };
        let is_newest = match known {
            Known::Held(version, _) => version >= entry.heard,
            // That there is none has no version: it is older than anything heard meanwhile.
            Known::Absent | Known::Denied | Known::Unreadable => *heard == entry.heard,
        };
        if !is_newest {
            return;
        }
        if let Known::Held(version, _) = known {
            entry.heard = version;
        }
        (entry.known, entry.read, entry.failed) = (Some(known), Some(now), 0);
    }

    /// Reading the object failed; whether that was often enough to go on without it until it is read again.
    pub(super) fn failed(&mut self, namespace: &str, (source, _): &Unread, now: Instant) -> bool {
        let Some(entry) = self.find(namespace, source) else { return false };
        entry.failed = entry.failed.saturating_add(1);
        if entry.failed < ATTEMPTS {
            return false;
        }
        (entry.known, entry.read) = (Some(Known::Unreadable), Some(now));
        true
    }

    /// What these hold.
    pub(super) fn contents(&self, namespace: &str, references: &[Reference]) -> Contents {
        let of_namespace = self.namespaces.get(namespace);
        let (mut held, mut absent, mut denied, mut unreadable) =
            (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        for Reference { source, optional } in references {
            let entry = of_namespace.and_then(|entries| entries.get(source));
            match entry.and_then(|entry| entry.known) {
                None => return Contents::Unread,
                Some(Known::Held(_, hash)) => drop(held.insert(source.key(), hash.to_string())),
                Some(Known::Absent) if *optional => {}
                Some(Known::Absent) => absent.push(source.clone()),
                Some(Known::Denied) => denied.push(source.clone()),
                Some(Known::Unreadable) => unreadable.push(source.clone()),
            }
        }
        if absent.is_empty() && denied.is_empty() && unreadable.is_empty() {
            Contents::Held(held)
        } else {
            Contents::Lacking { absent, denied, unreadable }
        }
    }

    fn find(&mut self, namespace: &str, source: &ConfigSource) -> Option<&mut Entry> {
        self.namespaces.get_mut(namespace)?.get_mut(source)
    }

    /// How many objects are followed.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.namespaces.values().map(HashMap::len).sum()
    }
}

#[cfg(test)]
mod tests;
