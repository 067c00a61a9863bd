//! How Tiers, AuroraRoles, Frameworks and Namespaces come in and leave, and who hears of it.
//!
//! Whoever is concerned by a change is planned again: the services of a namespace whose role says something else. Loops
//! for the whole cluster that asked for it (`wake_on_tenancy`) are woken by any change. Called by the watches.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard},
};

use borealis_core::model::{Role, Tier, Uid};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Resource,
    core::{DeserializeGuard, PartialObjectMeta},
};
use tokio::sync::Notify;

use super::{
    super::{
        Index, Kind,
        feed::Feed,
        meta::{self, Unreadable},
        stamp::{Epoch, Source, Version},
        state::Slot,
    },
    Concerned, FrameworkRow, Known, NamespaceRow, Object, RoleRow, Tenancy, Tenant, TierRow,
    rows::Row,
};
use crate::api::{AuroraRole, Framework, Tier as TierObject};

type Rows<R> = BTreeMap<Arc<str>, Known<R>>;

impl Index {
    /// Whose the namespace is.
    pub fn tenant(&self, namespace: &str) -> Arc<Tenant> {
        self.read_tenancy().tenant(namespace)
    }

    /// The tier of this name.
    pub fn tier(&self, name: &str) -> Option<Arc<Tier>> {
        self.read_tenancy().tier(name)
    }

    /// The tier of Pods of this PriorityClass.
    pub fn tier_of_class(&self, class: &str) -> Option<Arc<Tier>> {
        self.read_tenancy().tier_of_class(class)
    }

    /// The AuroraRole of this name.
    pub fn role(&self, name: &str) -> Option<Arc<Role>> {
        self.read_tenancy().role(name)
    }

    /// Shows all that is known of tenancy to `look`, under its lock: `look` must be quick, and ask the index nothing.
    pub fn tenancy<R>(&self, look: impl FnOnce(&Tenancy) -> R) -> R {
        look(&self.read_tenancy())
    }

    /// The AuroraServices and AuroraJobs of each tier, as `namespace/name`, sorted.
    pub fn used_tiers(&self) -> BTreeMap<Arc<str>, Vec<String>> {
        let mut all: BTreeMap<Arc<str>, Vec<String>> = BTreeMap::new();
        for slot in self.slots() {
            let state = slot.lock();
            if let Some(row) = state.service.rows().first() {
                all.entry(Arc::clone(&row.service.work.tier)).or_default().push(slot.key.to_string());
            }
        }
        all.values_mut().for_each(|services| services.sort_unstable());
        all
    }

    /// From now on this is woken by every change of tenancy.
    pub fn wake_on_tenancy(&self, woken: Arc<Notify>) {
        self.woken_by_tenancy.lock().unwrap_or_else(PoisonError::into_inner).push(woken);
    }

    /// Takes an object of these kinds as its watch would show it.
    #[cfg(test)]
    pub(crate) fn told(&self, kind: Kind, object: serde_json::Value) {
        use kube::runtime::watcher::Event;
        fn read<K: serde::de::DeserializeOwned>(object: serde_json::Value) -> Event<K> {
            Event::Apply(serde_json::from_value(object).unwrap())
        }
        match kind {
            Kind::Tier => self.feed::<DeserializeGuard<TierObject>>(kind, &read(object)),
            Kind::Role => self.feed::<DeserializeGuard<AuroraRole>>(kind, &read(object)),
            Kind::Framework => self.feed::<DeserializeGuard<Framework>>(kind, &read(object)),
            Kind::Namespace => self.feed::<PartialObjectMeta<Namespace>>(kind, &read(object)),
            other => panic!("{other:?}"),
        }
    }

    /// Takes a role as gone, as its watch would show it.
    #[cfg(test)]
    pub(crate) fn told_gone(&self, role: serde_json::Value) {
        use kube::runtime::watcher::Event;
        let role: DeserializeGuard<AuroraRole> = serde_json::from_value(role).unwrap();
        self.feed(Kind::Role, &Event::Delete(role));
    }

    pub(in crate::index) fn read_tenancy(&self) -> RwLockReadGuard<'_, Tenancy> {
        self.tenancy.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_tenancy(&self) -> RwLockWriteGuard<'_, Tenancy> {
        self.tenancy.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A relist of one of these kinds is complete: what it did not show is gone.
    pub(in crate::index) fn relisted_tenancy(&self, kind: Kind) {
        let concerned = self.write_tenancy().relisted(kind, self.epoch(kind));
        self.concern(&concerned);
    }

    /// Tells those whom a change concerns. No lock is held.
    fn concern(&self, concerned: &Concerned) {
        if concerned.is_nothing() {
            return;
        }
        for namespace in &concerned.namespaces {
            let slots = self.slots_of(namespace);
            self.replan(&slots);
        }
        if !concerned.namespaces.is_empty() || !concerned.tiers.is_empty() {
            self.renew_owners();
        }
        if !concerned.tiers.is_empty() {
            // Of a tier that comes, Pods can be made that could not be.
            let is_of = |slot: &Arc<Slot>| {
                slot.lock().service.rows().iter().any(|row| concerned.tiers.contains(&row.service.work.tier))
            };
            let slots: Vec<_> = self.slots().into_iter().filter(is_of).collect();
            self.replan(&slots);
        }
        let all = self.woken_by_tenancy.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().for_each(|woken| woken.notify_one());
    }
}

impl Tenancy {
    fn relisted(&mut self, kind: Kind, epoch: Epoch) -> Concerned {
        match kind {
            Kind::Tier => {
                let tiers = sweep(&mut self.tiers, epoch);
                Concerned { tiers, ..Concerned::default() }
            }
            Kind::Role => {
                let gone = !sweep(&mut self.roles, epoch).is_empty();
                if gone { self.resettled() } else { Concerned::default() }
            }
            Kind::Framework if sweep(&mut self.frameworks, epoch).is_empty() => Concerned::default(),
            Kind::Framework => Concerned::OTHER,
            Kind::Namespace => {
                let namespaces = sweep(&mut self.namespaces, epoch);
                for namespace in &namespaces {
                    self.settle(namespace);
                }
                Concerned { namespaces, ..Concerned::default() }
            }
            Kind::Pod
            | Kind::Node
            | Kind::Cron
            | Kind::Service
            | Kind::Job
            | Kind::Update
            | Kind::Revision
            | Kind::Budget
            | Kind::Headless
            | Kind::ConfigMap => Concerned::default(),
        }
    }

    /// What follows from a change of an AuroraRole.
    fn resettled(&mut self) -> Concerned {
        Concerned { namespaces: self.settle_all(), ..Concerned::OTHER }
    }

    fn take_tier(&mut self, row: TierRow, version: Version, epoch: Epoch) -> Concerned {
        let name = Arc::clone(&row.object.name);
        let tier = row.tier.clone();
        match take(&mut self.tiers, row, version, epoch) {
            Taken::Nothing => Concerned::default(),
            Taken::Changed(Some(before)) if before.tier == tier => Concerned::OTHER,
            Taken::Changed(_) => Concerned { tiers: vec![name], ..Concerned::OTHER },
        }
    }

    fn take_role(&mut self, row: RoleRow, version: Version, epoch: Epoch) -> Concerned {
        let (object, role, problem) = (row.object.clone(), row.role.clone(), row.problem.is_some());
        match take(&mut self.roles, row, version, epoch) {
            Taken::Nothing => Concerned::default(),
            // Its status, most likely: whose the namespaces are is not the question.
            Taken::Changed(Some(before))
                if before.object == object && before.role == role && before.problem.is_some() == problem =>
            {
                Concerned::OTHER
            }
            Taken::Changed(_) => self.resettled(),
        }
    }

    fn take_framework(&mut self, row: FrameworkRow, version: Version, epoch: Epoch) -> Concerned {
        match take(&mut self.frameworks, row, version, epoch) {
            Taken::Nothing => Concerned::default(),
            Taken::Changed(_) => Concerned::OTHER,
        }
    }

    fn take_namespace(&mut self, row: NamespaceRow, version: Version, epoch: Epoch) -> Concerned {
        let name = Arc::clone(&row.object.name);
        match take(&mut self.namespaces, row, version, epoch) {
            Taken::Nothing => Concerned::default(),
            Taken::Changed(_) if self.settle(&name) => {
                Concerned { namespaces: vec![name], ..Concerned::OTHER }
            }
            Taken::Changed(_) => Concerned::OTHER,
        }
    }
}

/// What an offer did.
enum Taken<R> {
    /// Nothing that means anything.
    Nothing,
    /// The row came, or says something else; this was there before of the same object.
    Changed(Option<R>),
}

fn take<R: Row>(rows: &mut Rows<R>, row: R, version: Version, epoch: Epoch) -> Taken<R> {
    let name = Arc::clone(&row.object().name);
    match rows.get_mut(&name) {
        Some(known) if known.version >= version => {
            if known.row.object().uid == row.object().uid {
                known.epoch = epoch;
            }
            Taken::Nothing
        }
        Some(known) => {
            (known.version, known.epoch) = (version, epoch);
            let (same, known) = (known.row.says_the_same(&row), std::mem::replace(&mut known.row, row));
            if same { Taken::Nothing } else { Taken::Changed(Some(known)) }
        }
        None => {
            rows.insert(name, Known { row, version, epoch });
            Taken::Changed(None)
        }
    }
}

/// Whether the object of this uid was there, and is no more.
fn drop_row<R: Row>(rows: &mut Rows<R>, name: &str, uid: Uid) -> bool {
    let is_it = rows.get(name).is_some_and(|known| known.row.object().uid == uid);
    is_it && rows.remove(name).is_some()
}

/// Takes out what the relist of this epoch did not show; their names.
fn sweep<R>(rows: &mut Rows<R>, epoch: Epoch) -> Vec<Arc<str>> {
    let gone: Vec<Arc<str>> =
        rows.iter().filter(|(_, known)| known.epoch != epoch).map(|(name, _)| Arc::clone(name)).collect();
    rows.retain(|_, known| known.epoch == epoch);
    gone
}

/// What of the metadata is needed of an object that is gone.
fn gone(meta: &ObjectMeta) -> Result<(&str, Uid), Unreadable> {
    Ok((meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?, meta::uid(meta)?))
}

impl Feed for DeserializeGuard<TierObject> {
    fn offer(&self, index: &Index, kind: Kind, _: Source) -> Result<(), Unreadable> {
        let (object, version) = (Object::read(self.meta())?, meta::version(self.meta())?);
        let epoch = index.epoch(kind);
        let concerned = {
            let mut tenancy = index.write_tenancy();
            let known = tenancy.tiers.get(&object.name).map(|known| &known.row);
            let known = known.filter(|known| known.object.uid == object.uid);
            let row = match &self.0 {
                Ok(tier) => TierRow::read(tier, object, version, known),
                Err(broken) => TierRow::unusable(object, broken.error.clone(), version, known),
            };
            tenancy.take_tier(row, version, epoch)
        };
        index.concern(&concerned);
        Ok(())
    }

    fn delete(&self, index: &Index, _: Kind) -> Result<(), Unreadable> {
        let (name, uid) = gone(self.meta())?;
        if drop_row(&mut index.write_tenancy().tiers, name, uid) {
            index.concern(&Concerned { tiers: vec![name.into()], ..Concerned::OTHER });
        }
        Ok(())
    }
}

impl Feed for DeserializeGuard<AuroraRole> {
    fn offer(&self, index: &Index, kind: Kind, _: Source) -> Result<(), Unreadable> {
        let (object, version) = (Object::read(self.meta())?, meta::version(self.meta())?);
        let epoch = index.epoch(kind);
        let concerned = {
            let mut tenancy = index.write_tenancy();
            let known = tenancy.roles.get(&object.name).map(|known| &known.row);
            let known = known.filter(|known| known.object.uid == object.uid);
            let row = match &self.0 {
                Ok(role) => RoleRow::read(role, object, version, known),
                Err(broken) => RoleRow::unusable(object, broken.error.clone(), version, known),
            };
            tenancy.take_role(row, version, epoch)
        };
        index.concern(&concerned);
        Ok(())
    }

    fn delete(&self, index: &Index, _: Kind) -> Result<(), Unreadable> {
        let (name, uid) = gone(self.meta())?;
        let concerned = {
            let mut tenancy = index.write_tenancy();
            if drop_row(&mut tenancy.roles, name, uid) { tenancy.resettled() } else { Concerned::default() }
        };
        index.concern(&concerned);
        Ok(())
    }
}

impl Feed for DeserializeGuard<Framework> {
    fn offer(&self, index: &Index, kind: Kind, _: Source) -> Result<(), Unreadable> {
        let (object, version) = (Object::read(self.meta())?, meta::version(self.meta())?);
        let epoch = index.epoch(kind);
        let concerned = {
            let mut tenancy = index.write_tenancy();
            let known = tenancy.frameworks.get(&object.name).map(|known| &known.row);
            let row = match &self.0 {
                Ok(framework) => FrameworkRow::read(framework, object),
                Err(broken) => FrameworkRow::unusable(object, broken.error.clone(), known),
            };
            tenancy.take_framework(row, version, epoch)
        };
        index.concern(&concerned);
        Ok(())
    }

    fn delete(&self, index: &Index, _: Kind) -> Result<(), Unreadable> {
        let (name, uid) = gone(self.meta())?;
        if drop_row(&mut index.write_tenancy().frameworks, name, uid) {
            index.concern(&Concerned::OTHER);
        }
        Ok(())
    }
}

impl Feed for PartialObjectMeta<Namespace> {
    fn offer(&self, index: &Index, kind: Kind, _: Source) -> Result<(), Unreadable> {
        let (object, version) = (Object::read(&self.metadata)?, meta::version(&self.metadata)?);
        let row = NamespaceRow::read(&self.metadata, object);
        let concerned = index.write_tenancy().take_namespace(row, version, index.epoch(kind));
        index.concern(&concerned);
        Ok(())
    }

    fn delete(&self, index: &Index, _: Kind) -> Result<(), Unreadable> {
        let (name, uid) = gone(&self.metadata)?;
        let concerned = {
            let mut tenancy = index.write_tenancy();
            if drop_row(&mut tenancy.namespaces, name, uid) {
                let name: Arc<str> = name.into();
                tenancy.settle(&name);
                Concerned { namespaces: vec![name], ..Concerned::OTHER }
            } else {
                Concerned::default()
            }
        };
        index.concern(&concerned);
        Ok(())
    }
}
