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
    Table, cron_of,
    row::{AnyCron, CronRow, cron_name, job_name},
};
use crate::{CronKey, JobKey, KeyRef, api::AnyJob};

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
        index.tell(namespace, concerned);
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
        index.tell(namespace, concerned);
        Ok(())
    }
}

/// Who is to be planned again.
#[derive(Debug, Default)]
struct Concerned {
    jobs: BTreeSet<Arc<str>>,
    crons: BTreeSet<Arc<str>>,
}

impl Table {
    /// A cron has come, gone or changed: what it waits for is noted, its runs hear of it, and those that wait for it.
    fn changed(&mut self, namespace: &str, name: &str) -> Concerned {
        let (waits, jobs) = self.change(namespace, name, |family| {
            (family.row().map(CronRow::parents).unwrap_or_default(), family.runs.clone())
        });
        self.wait(namespace, &cron_name(name), waits);
        let mut concerned = self.children(namespace, &cron_name(name));
        concerned.jobs.extend(jobs);
        concerned
    }

    /// Notes what somebody waits for.
    fn wait(&mut self, namespace: &str, who: &Name, parents: Vec<Name>) {
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
    fn children(&self, namespace: &str, parent: &Name) -> Concerned {
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
    fn tell(&self, namespace: &str, concerned: Concerned) {
        concerned.jobs.iter().for_each(|job| (self.dirty)(&JobKey::job(namespace, job)));
        concerned.crons.iter().for_each(|cron| self.replan_cron(namespace, cron));
    }

    /// An AuroraJob has come, gone or changed: the cron whose run it is or stands for hears of it, and those that wait for
    /// it. No slot is locked.
    pub(in crate::index) fn tell_crons(&self, key: KeyRef<'_>) {
        let KeyRef { namespace, name, .. } = key;
        let known = self.find(key).map(|slot| {
            let state = slot.lock();
            let row = state.service.rows().first();
            let batch = row.and_then(|row| row.service.batch.as_ref());
            let parents = batch.iter().flat_map(|batch| &batch.parents);
            let waits: Vec<Name> = parents.map(|parent| (parent.kind, Arc::clone(&parent.name))).collect();
            (row.is_some(), waits)
        });
        let (is_there, waits) = known.unwrap_or_default();
        let mut table = self.crons();
        table.wait(namespace, &job_name(name), waits);
        let mut concerned = table.children(namespace, &job_name(name));
        if let Some(cron) = cron_of(name) {
            table.change(namespace, cron, |family| {
                if is_there { family.runs.insert(name.into()) } else { family.runs.remove(name) }
            });
            concerned.crons.insert(cron.into());
        }
        drop(table);
        self.tell(namespace, concerned);
    }

    /// A relist of crons is complete: what it did not show is gone.
    pub(in crate::index) fn relisted_crons(&self) {
        let epoch = self.epoch(Kind::Cron);
        let mut table = self.crons();
        let mut dirty = Vec::new();
        for (namespace, of_namespace) in &mut table.namespaces {
            for (name, family) in &mut of_namespace.families {
                let (removed, unsure) = family.cron.relisted(epoch);
                family.unsettled |= unsure;
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
            self.tell(namespace, concerned);
        }
    }

    /// Takes a cron as a write or a read of our own returned it.
    pub fn learn_cron(&self, cron: &AnyCron) {
        self.learn(Kind::Cron, cron);
    }

    /// Takes a run as a write or a read on behalf of its cron returned it: it is planned by others, who hear of it here.
    pub fn learn_run(&self, run: &AnyJob) {
        self.learn(Kind::Job, run);
        if let Ok((namespace, name)) = names(run.meta()) {
            (self.dirty)(&JobKey::job(namespace, name));
        }
    }

    /// A run is no more, or about to go.
    pub fn learn_run_gone(&self, run: &JobKey, uid: Uid) {
        self.drop_row(run.into(), uid, Kind::Job, Source::Own, |state| &mut state.service);
        self.tell_crons(run.into());
        (self.dirty)(run);
    }

    /// It is not known whether a write on behalf of this cron was applied.
    pub fn unsettle_cron(&self, key: &CronKey) {
        self.crons().change(&key.namespace, &key.name, |family| family.unsettled = true);
        self.replan_cron(&key.namespace, &key.name);
    }

    /// A cron was read live at a version: where it was not there, it is gone.
    pub(in crate::index) fn listed_cron(&self, key: &CronKey, version: Version, present: &BTreeSet<Uid>) {
        let epoch = self.epoch(Kind::Cron);
        let mut table = self.crons();
        let removed = table
            .change(&key.namespace, &key.name, |family| family.cron.read_live(version, present, epoch));
        let concerned =
            if removed.is_empty() { Concerned::default() } else { table.changed(&key.namespace, &key.name) };
        drop(table);
        self.tell(&key.namespace, concerned);
    }

    /// The names of those that stand where runs of a cron do, and are none of these.
    pub(in crate::index) fn runs_beside(&self, key: &CronKey, listed: &BTreeSet<Uid>) -> Vec<Arc<str>> {
        let runs = self.crons().change(&key.namespace, &key.name, |family| family.runs.clone());
        let is_listed = |name: &Arc<str>| {
            let slot = self.find(&JobKey::job(&key.namespace, name));
            let uid = slot.and_then(|slot| Some(slot.lock().service.rows().first()?.service.uid));
            uid.is_some_and(|uid| listed.contains(&uid))
        };
        runs.into_iter().filter(|name| !is_listed(name)).collect()
    }

    /// From now until the answer is in, deletions of a cron are remembered.
    pub fn await_cron(&self, key: &CronKey) {
        self.crons().change(&key.namespace, &key.name, |family| family.cron.await_answer());
    }

    /// The answer is in.
    pub fn cron_answered(&self, key: &CronKey) {
        self.crons().change(&key.namespace, &key.name, |family| family.cron.answered());
    }

    /// The runs of a cron were listed live at a version, and offered: of what stands where they do, what the list does not
    /// show is gone.
    pub(in crate::index) fn listed_runs(&self, key: &CronKey, version: Version, present: &BTreeSet<Uid>) {
        let runs = self.crons().change(&key.namespace, &key.name, |family| {
            family.listed = family.listed.max(version);
            family.unsettled = false;
            family.runs.clone()
        });
        for name in runs {
            let job = JobKey::job(&key.namespace, &name);
            self.change(&job, |_, state| {
                !state.service.read_live(version, present, self.epoch(Kind::Job)).is_empty()
            });
            self.tell_crons((&job).into());
        }
    }
}

fn names(meta: &ObjectMeta) -> Result<(&str, &str), Unreadable> {
    let namespace = meta.namespace.as_deref().ok_or(Unreadable::Metadata("namespace"))?;
    Ok((namespace, meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?))
}
