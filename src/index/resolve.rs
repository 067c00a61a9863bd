//! The config of a spec together with what the ConfigMaps and Secrets hold that it names.
//!
//! While something it needs is not to be had the config can't be told: what was last acted on stays in its place, and
//! people hear what is missing. Called by `Index` for each view; `live` reads what is unread.

use std::sync::Arc;

use borealis_core::{
    model::{Revision, Service, reasons},
    plan::Problem,
};
use tokio::time::Instant;

use super::{
    Index,
    contents::{Contents, Known, Unread},
    state::{Slot, State},
};
use crate::{
    JobKey,
    api::{references::ConfigSource, revision::with_contents},
};

/// A service with the config that its spec has now.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) service: Service,
    /// Why it is not the spec's.
    pub(super) problem: Option<Problem>,
}

/// Something has to be read first.
#[derive(Debug)]
pub(super) struct Unresolved;

impl Index {
    /// The service with its config, where contents are part of that.
    pub(super) fn resolve(&self, key: &JobKey, state: &State) -> Result<Option<Resolved>, Unresolved> {
        let Some((row, references)) = state.service.rows().first().zip(state.references()) else {
            return Ok(None);
        };
        let mut service = row.service.clone();
        let contents = self.contents().contents(&key.namespace, references);
        let problem = match contents {
            Contents::Unread => return Err(Unresolved),
            Contents::Held(held) => {
                service.revision = with_contents(service.revision, &held);
                None
            }
            Contents::Lacking { absent, denied, unreadable } => {
                let acted_on = state.acted_on();
                service.revision = acted_on.unwrap_or(service.revision);
                Some(lacking(&key.namespace, [&absent, &denied, &unreadable], acted_on))
            }
        };
        Ok(Some(Resolved { service, problem }))
    }

    /// Follows the objects that the service names now.
    pub(super) fn follow(&self, slot: &Arc<Slot>, state: &mut State) {
        if state.followed.as_ref() == state.references() {
            return;
        }
        let now = state.references().cloned();
        let before = std::mem::replace(&mut state.followed, now);
        let after = state.followed.as_deref().unwrap_or_default();
        self.contents().refer(slot, before.as_deref().unwrap_or_default(), after);
    }

    /// Has the Secrets read again that were read this long ago: nobody says when they change.
    pub fn expire_secrets(&self, age: std::time::Duration) {
        let dirty = self.contents().expire(Instant::now(), age);
        self.replan(&dirty);
    }

    /// Has all be read again that the service names.
    pub(super) fn doubt(&self, slot: &Arc<Slot>) {
        let state = slot.lock();
        let references = state.references().map_or(&[][..], |references| references);
        self.contents().doubt(&slot.key.namespace, references);
    }

    /// What has to be read before the service can be planned.
    pub(super) fn unread(&self, slot: &Arc<Slot>) -> Vec<Unread> {
        let state = slot.lock();
        let references = state.references().map_or(&[][..], |references| references);
        self.contents().unread(&slot.key.namespace, references)
    }

    /// Whether reading it has failed so often that services go on without it.
    pub(super) fn goes_without(&self, key: &JobKey, unread: &Unread) -> bool {
        self.contents().failed(&key.namespace, unread, Instant::now())
    }

    /// Takes what was read.
    pub(super) fn learn_content(&self, key: &JobKey, unread: &Unread, known: Known) {
        self.contents().read(&key.namespace, unread, known, Instant::now());
    }
}

/// What to say of a config that can't be told. Where there is none that was acted on, nothing can be done at all.
fn lacking(
    namespace: &str,
    [absent, denied, unreadable]: [&[ConfigSource]; 3],
    acted_on: Option<Revision>,
) -> Problem {
    let mut parts = Vec::new();
    if !absent.is_empty() {
        let (names, verb, them) = listed(absent, "does not exist", "do not exist");
        parts.push(format!(
            "{names}, named in spec.template, {verb} in namespace {namespace}; create {them}, or mark the reference \
             optional"
        ));
    }
    if !unreadable.is_empty() {
        let (names, ..) = listed(unreadable, "", "");
        parts.push(format!(
            "reading {names}, named in spec.template, fails in namespace {namespace}; the operator's log says why, and it \
             is read again every minute"
        ));
    }
    if !denied.is_empty() {
        let (names, ..) = listed(denied, "", "");
        parts.push(format!(
            "{names}, named in spec.template, can't be read in namespace {namespace}, and spec.update.trackConfig asks \
             for it; give the operator's account a Role there with get and create on secrets, or set trackConfig to \
             ConfigMaps"
        ));
    }
    if let Some(revision) = acted_on {
        parts.push(format!("until then the config of the spec can't be told, and {revision} stays"));
    }
    let reason = if absent.is_empty() { reasons::CONFIG_DENIED } else { reasons::CONFIG_MISSING };
    Problem { reason, message: parts.join("; "), blocks: acted_on.is_none() }
}

/// Their names, and what fits one or several.
fn listed<'a>(all: &[ConfigSource], one: &'a str, several: &'a str) -> (String, &'a str, &'static str) {
    let names: Vec<_> = all.iter().map(ToString::to_string).collect();
    let (verb, them) = if all.len() == 1 { (one, "it") } else { (several, "them") };
    (names.join(", "), verb, them)
}
