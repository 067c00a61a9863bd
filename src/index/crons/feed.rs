//! How AuroraCrons come in and leave, and who hears of them: a cron of its runs and its parents, a run of its cron.

use std::{collections::BTreeSet, sync::Arc};

use borealis_core::{
    model::{ParentKind, Uid},
    plan::Name,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use super::{
    super::{
        Index, Kind,
        feed::Feed,
        meta::{self, Unreadable},
        records::Offered,
        stamp::{News, Source, Version},
    },
    Table,
    row::{AnyCron, CronRow, cron_name},
};
use crate::{CronKey, JobKey};

impl Feed for AnyCron {
    fn offer(&self, index: &Index, kind: Kind, source: Source) -> Result<(), Unreadable> {
        let (namespace, name) = names(self.meta())?;
        let uid = meta::uid(self.meta())?;
        let version = meta::version(self.meta())?;
        let news = News { uid, version, owner: 0, epoch: index.epoch(kind), source };
        let mut table = index.crons();
        let mut schedules = std::mem::take(&mut table.schedules);
        let offered = table.change(namespace, name, |family| {
            family.cron.offer(&(), &news, |known| CronRow::read(self, uid, known, &mut schedules))
        });
        table.schedules = schedules;
        let concerned = match &offered {
            Offered::Changed(_) => table.changed(namespace, name),
            Offered::Same | Offered::Stale => Concerned::default(),
        };
        drop(table);
        if index.changed(&offered, source) {
            index.replan_cron(namespace, name);
        }
        index.tell(namespace, &concerned);
        Ok(())
    }

    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable> {
        let (namespace, name) = names(self.meta())?;
        let uid = meta::uid(self.meta())?;
        let mut table = index.crons();
        let epoch = index.epoch(kind);
        let removed = table.change(namespace, name, |family| family.cron.delete(uid, epoch));
        let concerned = if removed.is_some() { table.changed(namespace, name) } else { Concerned::default() };
        drop(table);
        if removed.is_some() {
            index.replan_cron(namespace, name);
        }
        index.tell(namespace, &concerned);
        Ok(())
    }
}

/// Who is to be planned again.
#[derive(Debug, Default)]
pub(super) struct Concerned {
    pub(super) jobs: BTreeSet<Arc<str>>,
    pub(super) crons: BTreeSet<Arc<str>>,
}

impl Table {
    /// A cron has come, gone or changed: what it waits for is noted, its runs hear of it, and those that wait for it.
    fn changed(&mut self, namespace: &str, name: &str) -> Concerned {
        let (waits, jobs) = self.change(namespace, name, |family| {
            let jobs: BTreeSet<Arc<str>> = family.runs.keys().cloned().collect();
            (family.row().map(CronRow::parents).unwrap_or_default(), jobs)
        });
        self.wait(namespace, &cron_name(name), waits);
        let mut concerned = self.children(namespace, &cron_name(name));
        concerned.jobs.extend(jobs);
        concerned
    }

    /// Notes what somebody waits for.
    pub(super) fn wait(&mut self, namespace: &str, who: &Name, parents: Vec<Name>) {
        if !parents.is_empty() {
            return self.namespaces.entry(namespace.into()).or_default().wait(who, parents);
        }
        let Some(of_namespace) = self.namespaces.get_mut(namespace) else { return };
        of_namespace.wait(who, parents);
        if of_namespace.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// Those that wait for somebody.
    pub(super) fn children(&self, namespace: &str, parent: &Name) -> Concerned {
        let mut concerned = Concerned::default();
        let children = self.namespaces.get(namespace).and_then(|of| of.children.get(parent));
        for (kind, name) in children.into_iter().flatten() {
            match kind {
                ParentKind::Job => concerned.jobs.insert(Arc::clone(name)),
                ParentKind::Cron => concerned.crons.insert(Arc::clone(name)),
            };
        }
        concerned
    }
}

impl Index {
    pub(super) fn tell(&self, namespace: &str, concerned: &Concerned) {
        concerned.jobs.iter().for_each(|job| (self.dirty)(&JobKey::job(namespace, job)));
        concerned.crons.iter().for_each(|cron| self.replan_cron(namespace, cron));
    }

    /// A relist of crons is complete: what it did not show is gone.
    pub(in crate::index) fn relisted_crons(&self) {
        let epoch = self.epoch(Kind::Cron);
        let mut table = self.crons();
        let mut dirty = Vec::new();
        for (namespace, of_namespace) in &mut table.namespaces {
            for (name, family) in &mut of_namespace.families {
                let (removed, unsure) = family.cron.relisted(epoch);
                family.doubts += u32::from(unsure);
                if unsure || !removed.is_empty() {
                    dirty.push((Arc::clone(namespace), Arc::clone(name)));
                }
            }
        }
        let concerned: Vec<_> =
            dirty.iter().map(|(namespace, name)| table.changed(namespace, name)).collect();
        drop(table);
        for ((namespace, name), concerned) in dirty.iter().zip(concerned) {
            self.replan_cron(namespace, name);
            self.tell(namespace, &concerned);
        }
    }

    /// Takes a cron as a write or a read of our own returned it.
    pub fn learn_cron(&self, cron: &AnyCron) {
        self.learn(Kind::Cron, cron);
    }

    /// It is not known whether a write on behalf of this cron was applied.
    pub fn unsettle_cron(&self, key: &CronKey) {
        self.crons().change(&key.namespace, &key.name, |family| family.doubts += 1);
        self.replan_cron(&key.namespace, &key.name);
    }

    /// A cron was read live at a version: where it was not there, it is gone.
    pub(in crate::index) fn listed_cron(&self, key: &CronKey, version: Version, present: &BTreeSet<Uid>) {
        let epoch = self.epoch(Kind::Cron);
        let mut table = self.crons();
        let removed =
            table.change(&key.namespace, &key.name, |family| family.cron.read_live(version, present, epoch));
        let concerned =
            if removed.is_empty() { Concerned::default() } else { table.changed(&key.namespace, &key.name) };
        drop(table);
        self.tell(&key.namespace, &concerned);
    }

    /// How often it was not known what became of a write: what is read from now on settles that.
    pub(super) fn doubts(&self, key: &CronKey) -> u32 {
        self.crons().family(&key.namespace, &key.name).map_or(0, |family| family.doubts)
    }

    /// The cron and its runs were read live: the cron at this version.
    pub(super) fn settled_cron(&self, key: &CronKey, version: Version, doubts: u32) {
        self.crons().change(&key.namespace, &key.name, |family| {
            family.read = family.read.max(version);
            family.settled = doubts;
        });
    }

    /// From now until the answer is dropped, deletions of a cron are remembered, so that answers that are on their way can't
    /// bring back what the watch has seen go.
    pub fn await_cron<'a>(&'a self, key: &'a CronKey) -> AwaitedCron<'a> {
        self.crons().change(&key.namespace, &key.name, |family| family.cron.await_answer());
        AwaitedCron { index: self, key }
    }
}

/// A cron whose deletions are remembered as long as this lives.
pub struct AwaitedCron<'a> {
    index: &'a Index,
    key: &'a CronKey,
}

impl Drop for AwaitedCron<'_> {
    fn drop(&mut self) {
        let CronKey { namespace, name } = self.key;
        self.index.crons().change(namespace, name, |family| family.cron.answered());
    }
}

pub(super) fn names(meta: &ObjectMeta) -> Result<(&str, &str), Unreadable> {
    let namespace = meta.namespace.as_deref().ok_or(Unreadable::Metadata("namespace"))?;
    Ok((namespace, meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?))
}
