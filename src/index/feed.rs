//! From watch events and write answers to records: one way in for all kinds and sources.
//!
//! Says which services are to be planned again because something that matters to a plan has changed. Never fails:
//! what can't be read is logged, counted and left out. How each kind is read is in `kinds`. Called by `streams`,
//! `live` and the executor's reports.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, runtime::watcher::Event};
use tracing::{debug, warn};

use super::{
    Index, Kind,
    meta::{Identity, Unreadable},
    nodes::Vanished,
    packed::TaskRow,
    records::Offered,
    stamp::{News, Source},
    state::Slot,
};

/// A kind that is watched: how an object of it comes in and leaves.
pub(super) trait Feed: Resource<DynamicType = ()> {
    /// Takes an object that is there.
    fn offer(&self, index: &Index, kind: Kind, source: Source) -> Result<(), Unreadable>;
    /// Takes an object that the watch said is gone.
    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable>;
}

impl Index {
    /// Takes one event of a watch.
    pub(super) fn feed<K: Feed>(&self, kind: Kind, event: &Event<K>) {
        let (object, read) = match event {
            Event::Init => {
                self.epochs[kind as usize].fetch_add(1, Relaxed);
                match kind {
                    Kind::Pod => self.list_claims(),
                    Kind::Budget => self.list_budgets(),
                    _ => {}
                }
                return;
            }
            Event::InitDone => return self.relisted(kind),
            Event::InitApply(object) => (object, object.offer(self, kind, Source::Relist)),
            Event::Apply(object) => (object, object.offer(self, kind, Source::Watch)),
            Event::Delete(object) => (object, object.delete(self, kind)),
        };
        self.report(kind, object.meta(), read);
    }

    /// Takes an object that a write of ours or a live read returned.
    pub(super) fn learn<K: Feed>(&self, kind: Kind, object: &K) {
        let read = object.offer(self, kind, Source::Own);
        self.report(kind, object.meta(), read);
    }

    fn report(&self, kind: Kind, meta: &ObjectMeta, read: Result<(), Unreadable>) {
        let name = meta.name.as_deref().unwrap_or_default();
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        match read {
            Ok(()) => {}
            Err(Unreadable::Foreign) => {
                debug!(?kind, namespace, name, "left alone: another controller owns it");
            }
            Err(error) => {
                self.metrics.unreadable();
                warn!(?kind, namespace, name, %error, "left out of the index");
            }
        }
    }

    pub(super) fn news(&self, kind: Kind, identity: &Identity<'_>, owner: u16, source: Source) -> News {
        let Identity { uid, version, .. } = *identity;
        News { uid, version, owner, epoch: self.epoch(kind), source }
    }

    /// Counts what an offer did; whether the service is to be planned again. After a write of our own it is not:
    /// whoever made it knows, and plans again when it fits.
    pub(super) fn changed<R>(&self, offered: &Offered<R>, source: Source) -> bool {
        match offered {
            Offered::Changed(_) => source != Source::Own,
            Offered::Same => false,
            Offered::Stale => {
                self.metrics.stale_event();
                false
            }
        }
    }

    /// Keeps the nodes' tables and the count of ended tasks in step with a task that came, went or changed.
    pub(super) fn account(&self, slot: &Arc<Slot>, before: Option<&TaskRow>, after: Option<&TaskRow>) {
        let ended = |task: Option<&TaskRow>| isize::from(task.is_some_and(|task| task.state().is_terminal()));
        self.ended.fetch_add(ended(after) - ended(before), Relaxed);
        let node = |task: Option<&TaskRow>| task.and_then(TaskRow::node);
        let (from, to) = (node(before), node(after));
        if from != to {
            self.nodes().moved(slot, from, to);
        }
    }

    /// A relist is complete: what it did not show is gone.
    fn relisted(&self, kind: Kind) {
        self.metrics.listed(kind);
        let epoch = self.epoch(kind);
        if kind == Kind::Node {
            let Vanished { nodes, services } = self.nodes().relisted(epoch, Timestamp::now());
            nodes.into_iter().for_each(|id| self.drop_host(id));
            return self.replan(&services);
        }
        if kind == Kind::ConfigMap {
            let dirty = self.contents().relisted(epoch);
            return self.replan(&dirty);
        }
        if kind == Kind::Cron {
            return self.relisted_crons();
        }
        if let Kind::Tier | Kind::Role | Kind::Framework | Kind::Namespace = kind {
            return self.relisted_tenancy(kind);
        }
        match kind {
            Kind::Pod => self.listed_claims(),
            Kind::Budget => self.listed_budgets(),
            _ => {}
        }
        let mut gone = Vec::new();
        for slot in self.slots() {
            self.change_slot(&slot, |slot, state| {
                let (removed, unsure) = match kind {
                    Kind::Pod => {
                        let (removed, unsure) = state.pods.relisted(epoch);
                        for task in &removed {
                            self.account(slot, Some(task), None);
                            state.note(slot.key.kind, Some(task), None, None);
                        }
                        (removed.len(), unsure)
                    }
                    Kind::Service | Kind::Job if Kind::of_job(slot.key.kind) == kind => {
                        count(state.service.relisted(epoch))
                    }
                    Kind::Update => count(state.updates.relisted(epoch)),
                    Kind::Revision => count(state.revisions.relisted(epoch)),
                    Kind::Budget => count(state.budget.relisted(epoch)),
                    Kind::Headless => count(state.headless.relisted(epoch)),
                    Kind::Service
                    | Kind::Job
                    | Kind::Node
                    | Kind::Cron
                    | Kind::ConfigMap
                    | Kind::Tier
                    | Kind::Role
                    | Kind::Framework
                    | Kind::Namespace => (0, false),
                };
                if removed > 0 {
                    gone.extend((kind == Kind::Job).then(|| slot.key.clone()));
                    state.trim_updates();
                    state.prune_runs();
                }
                if unsure {
                    state.unsettle();
                }
                removed > 0 || unsure
            });
        }
        gone.iter().for_each(|job| self.tell_crons(job.into()));
    }

    pub(super) fn replan(&self, slots: &[Arc<Slot>]) {
        slots.iter().for_each(|slot| (self.dirty)(&slot.key));
    }
}

fn count<R>((removed, unsure): (Vec<R>, bool)) -> (usize, bool) {
    (removed.len(), unsure)
}
