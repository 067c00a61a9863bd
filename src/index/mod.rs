//! What the operator knows of the cluster: watches and answers to its own writes, as compact records by service.
//!
//! Decides what is the newest news of each object and which services are to be planned again; it plans nothing
//! and writes nothing. Every object becomes a record at once and is dropped. Three things are promised:
//! - own writes are assumed at once (`Learn`); later news wins by resourceVersion, and a uid that is gone stays gone;
//! - a relist loses nothing: what it doesn't show is deleted, unless a write of ours that returned after the relist
//!   began says otherwise; such a record makes its service *unsettled*, to be read live before it is planned;
//! - deletions seen while an answer is on its way (`await_answers`) outlive an older answer.
//!
//! The controller reads views, the executor reports (`apply::Learn`), `streams` feeds, `live` settles. Locks are
//! taken in the order slot, nodes, contents, tenancy, that of `capacity` before that of tenancy and no other, and none
//! is held across an await. Pods of a service of the same name with another
//! uid are shown as not owned: their names are taken until garbage collection has removed them.

mod capacity;
mod contents;
mod crons;
mod feed;
mod in_place;
mod job;
mod kinds;
mod lean;
mod learn;
mod levels;
mod live;
mod meta;
mod nodes;
mod others;
mod packed;
mod pod;
mod records;
mod resolve;
mod rows;
mod stamp;
mod state;
mod streams;
mod tenancy;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicIsize, AtomicU32, Ordering::Relaxed},
    },
};

use borealis_core::{
    model::{JobKind, Phase, TaskState, UpdateState},
    plan::ServiceView,
};
use tokio::sync::Notify;

use self::{
    capacity::Capacity,
    contents::ContentTable,
    crons::Crons,
    nodes::Nodes,
    stamp::Epoch,
    state::{Awaited, Slot, State},
};
use crate::{JobKey, KeyRef, apply::Facts, metrics::Metrics};

pub use self::{
    capacity::{Changes, Extent, Follower, ForeignUse},
    crons::{AnyCron, CronFacts, CronSeen, settle_cron},
    job::JobView,
    lean::Node,
    levels::{Group, Levels},
    live::{SettleError, settle},
    others::Ahead,
    streams::Watches,
    tenancy::{FrameworkRow, NamespaceRow, Object, RoleRow, Tenancy, Tenant, TierRow},
};

/// A kind that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pods, whoever's they are.
    Pod,
    /// Nodes.
    Node,
    /// AuroraServices.
    Service,
    /// AuroraJobs.
    Job,
    /// AuroraCrons.
    Cron,
    /// AuroraUpdates.
    Update,
    /// ControllerRevisions of services.
    Revision,
    /// PodDisruptionBudgets, whoever's they are.
    Budget,
    /// Headless Services of services.
    Headless,
    /// ConfigMaps, of which those are followed that services name.
    ConfigMap,
    /// Tiers.
    Tier,
    /// AuroraRoles.
    Role,
    /// Frameworks.
    Framework,
    /// Namespaces, by their metadata.
    Namespace,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Pod,
        Self::Node,
        Self::Service,
        Self::Job,
        Self::Cron,
        Self::Update,
        Self::Revision,
        Self::Budget,
        Self::Headless,
        Self::ConfigMap,
        Self::Tier,
        Self::Role,
        Self::Framework,
        Self::Namespace,
    ];

    /// The kind of the objects that jobs of this kind are.
    fn of_job(kind: JobKind) -> Self {
        match kind {
            JobKind::Service => Self::Service,
            JobKind::Job => Self::Job,
        }
    }
}

/// What came of asking for a view.
#[derive(Debug, PartialEq, Eq)]
pub enum Viewed<R> {
    /// There is no such service.
    Absent,
    /// It, or an object it names, has to be read live first (`settle`).
    Unsettled,
    /// This is what was made of it.
    Of(R),
}

/// Everything, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Pods by the state of their task.
    pub tasks: BTreeMap<TaskState, usize>,
    /// The newest update of each service by its state.
    pub updates: BTreeMap<UpdateState, usize>,
    /// AuroraJobs by how far they have come.
    pub jobs: BTreeMap<Phase, usize>,
    /// Services and jobs that have to be read live.
    pub unsettled: usize,
}

/// The slots of a namespace, of one kind of jobs.
type OfKind = HashMap<Arc<str>, Arc<Slot>>;
/// All slots by namespace, then by `JobKind`.
type Jobs = HashMap<Arc<str>, [OfKind; 2]>;

/// What the operator knows of the cluster. One for the process, shared.
pub struct Index {
    jobs: RwLock<Jobs>,
    nodes: Mutex<Nodes>,
    contents: Mutex<ContentTable>,
    crons: Crons,
    tenancy: RwLock<Tenancy>,
    /// Who is woken when tenancy changes.
    woken_by_tenancy: Mutex<Vec<Arc<Notify>>>,
    capacity: Mutex<Capacity>,
    epochs: [AtomicU32; Kind::ALL.len()],
    ended: AtomicIsize,
    metrics: Metrics,
    dirty: Box<dyn Fn(&JobKey) + Send + Sync>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("services", &self.len()).finish_non_exhaustive()
    }
}

impl Index {
    /// An index that knows nothing; `dirty` is called with each service that is to be planned again, and must not
    /// call back.
    pub fn new(metrics: Metrics, dirty: impl Fn(&JobKey) + Send + Sync + 'static) -> Self {
        Self {
            jobs: RwLock::default(),
            nodes: Mutex::default(),
            contents: Mutex::default(),
            crons: Crons::default(),
            tenancy: RwLock::default(),
            woken_by_tenancy: Mutex::default(),
            capacity: Mutex::default(),
            epochs: Default::default(),
            ended: AtomicIsize::new(0),
            metrics,
            dirty: Box::new(dirty),
        }
    }

    /// Shows a service to `look`, as one snapshot, under its lock: `look` must be quick. In the facts the names
    /// that depend on the cluster's settings are empty.
    pub fn view<R>(&self, key: &JobKey, look: impl FnOnce(ServiceView<'_>, Facts) -> R) -> Viewed<R> {
        let lost = self.nodes().lost();
        let Some(slot) = self.find(key) else { return Viewed::Absent };
        let (tenant, others) = (self.tenant(&key.namespace), self.others(&slot));
        let mut state = slot.lock();
        state.expect_tier(&tenant.role.default_tier);
        if state.is_unsettled() {
            return Viewed::Unsettled;
        }
        let Ok(config) = self.resolve(&slot.key, &state) else { return Viewed::Unsettled };
        let tasks = state.tasks();
        match state.view(&tasks, &lost, config.as_ref(), &others) {
            Some((view, facts)) => Viewed::Of(look(view, facts)),
            None => Viewed::Absent,
        }
    }

    /// Every key there is a service for.
    pub fn keys(&self) -> Vec<JobKey> {
        let with_service = |slot: &Arc<Slot>| !slot.lock().service.rows().is_empty();
        self.slots().iter().filter(|slot| with_service(slot)).map(|slot| slot.key.clone()).collect()
    }

    /// How many services are known, those that are only named by what is left of them included.
    pub fn len(&self) -> usize {
        self.read_jobs().values().flatten().map(HashMap::len).sum()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many Pods are kept that have ended.
    pub fn ended(&self) -> usize {
        usize::try_from(self.ended.load(Relaxed)).unwrap_or(0)
    }

    /// Counts everything: for metrics, not for decisions.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for slot in self.slots() {
            slot.lock().count(&mut census);
        }
        census
    }

    /// From now until the answer is dropped, deletions of this service are remembered, so that answers to writes
    /// that are on their way can't bring back what the watch has seen go.
    pub fn await_answers(&self, key: &JobKey) -> impl Send + Sync + 'static + use<> {
        self.awaited(key)
    }

    fn awaited(&self, key: &JobKey) -> Awaited {
        let mut held = None;
        self.change(key, |slot, state| {
            state.await_answers();
            held = Some(Arc::clone(slot));
            false
        });
        Awaited(held.unwrap_or_else(|| self.slot(key.into())))
    }

    fn epoch(&self, kind: Kind) -> Epoch {
        self.epochs[kind as usize].load(Relaxed)
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contents(&self) -> MutexGuard<'_, ContentTable> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_jobs(&self) -> std::sync::RwLockReadGuard<'_, Jobs> {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn find<'a>(&self, key: impl Into<KeyRef<'a>>) -> Option<Arc<Slot>> {
        let KeyRef { kind, namespace, name } = key.into();
        self.read_jobs().get(namespace)?[kind as usize].get(name).cloned()
    }

    /// The slot of a job, made where there is none.
    fn slot(&self, key: KeyRef<'_>) -> Arc<Slot> {
        if let Some(slot) = self.find(key) {
            return slot;
        }
        let KeyRef { kind, namespace, name } = key;
        let mut jobs = self.jobs.write().unwrap_or_else(PoisonError::into_inner);
        let namespace =
            jobs.get_key_value(namespace).map_or_else(|| namespace.into(), |(known, _)| Arc::clone(known));
        let of_kind = &mut jobs.entry(Arc::clone(&namespace)).or_default()[kind as usize];
        if let Some(slot) = of_kind.get(name) {
            return Arc::clone(slot);
        }
        let name: Arc<str> = name.into();
        let slot = Arc::new(Slot::new(JobKey { kind, namespace, name: Arc::clone(&name) }));
        of_kind.insert(name, Arc::clone(&slot));
        slot
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.read_jobs().values().flatten().flat_map(HashMap::values).cloned().collect()
    }

    /// The slots of a namespace.
    fn slots_of(&self, namespace: &str) -> Vec<Arc<Slot>> {
        self.read_jobs().get(namespace).into_iter().flatten().flat_map(HashMap::values).cloned().collect()
    }

    /// Changes what is known of a job; `change` says whether it is to be planned again.
    fn change<'a>(&self, key: impl Into<KeyRef<'a>>, mut change: impl FnMut(&Arc<Slot>, &mut State) -> bool) {
        let key = key.into();
        while !self.change_slot(&self.slot(key), &mut change) {}
    }

    /// The same for a slot; false where it is no longer the service's.
    fn change_slot(&self, slot: &Arc<Slot>, change: impl FnOnce(&Arc<Slot>, &mut State) -> bool) -> bool {
        let mut state = slot.lock();
        if state.dead {
            return false;
        }
        let uid = |state: &State| state.service.rows().first().map(|row| row.service.uid);
        let before = uid(&state);
        let dirty = change(slot, &mut state);
        let is_another = uid(&state) != before;
        self.follow(slot, &mut state);
        state.dead = state.is_empty();
        let dead = state.dead;
        drop(state);
        if dead {
            self.bury(slot);
        }
        if is_another {
            self.tell_namesake(slot);
        }
        if dirty {
            (self.dirty)(&slot.key);
        }
        true
    }

    fn bury(&self, slot: &Arc<Slot>) {
        let JobKey { kind, namespace, name } = &slot.key;
        let mut jobs = self.jobs.write().unwrap_or_else(PoisonError::into_inner);
        let Some(of_namespace) = jobs.get_mut(namespace) else { return };
        let of_kind = &mut of_namespace[*kind as usize];
        if of_kind.get(name).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            of_kind.remove(name);
        }
        if of_namespace.iter().all(HashMap::is_empty) {
            jobs.remove(namespace);
        }
    }
}

#[cfg(test)]
pub(crate) use self::job::no_service;

#[cfg(test)]
mod tests;
