//! How each kind comes into the index and leaves it.
//!
//! Reads an object, finds the service it belongs to, and gives the record to that service's state. Called by `feed`.

use borealis_core::model::{JobKind, RevisionRecord, Uid};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Pod, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource,
    core::{DeserializeGuard, PartialObjectMeta},
};
use tracing::{debug, warn};

use super::{
    Index, Kind,
    feed::Feed,
    lean::{Budget, Node, StoredRevision},
    meta::{self, Identity, Unreadable},
    nodes::Vanished,
    packed::TaskRow,
    pod,
    records::{Offered, Record, Records},
    rows::{ChildRow, ServiceRow, UpdateRow, read_child, read_revision, update_number},
    stamp::{Epoch, Source},
    state::State,
};
use crate::{
    JobKey, KeyRef,
    api::{
        Any, AuroraUpdate, JobObject, labels,
        references::{ConfigSource, SourceKind},
    },
};

impl Index {
    fn offer_pod(&self, object: &Pod, source: Source) -> Result<(), Unreadable> {
        let identity = pod::identify(&object.metadata)?;
        let node = pod::node_name(object).map(|name| self.nodes().pin(name));
        let whose = identity.object;
        let mut is_left = false;
        self.change(whose.job, |slot, state| {
            state.see_run(identity.instance, identity.run);
            let owner = state.owner(whose.controller);
            let owned = state.owns(owner);
            let news = self.news(Kind::Pod, &whose, owner, source);
            let mut illegal = false;
            let key = (identity.instance, identity.run);
            let offered = state.pods.offer(&key, &news, |known| {
                let known = known.map(TaskRow::unpack);
                let (task, wrong) = pod::reduce(object, &identity, node, owned, known.as_ref());
                illegal = wrong;
                TaskRow::pack(task)
            });
            if illegal {
                self.metrics.impossible_change();
                debug!(pod = whose.name, "a change of state that cannot be was left out");
            }
            if let Offered::Changed(before) = &offered {
                let after = state.pods.get(&key).map(|(task, _)| task);
                self.account(slot, before.as_ref(), after);
                state.note(slot.key.kind, before.as_ref(), Some(&key), pod::scheduled_at(object));
                if before.is_none() && state.is_duplicate(identity.instance) {
                    self.metrics.duplicate_instance();
                    warn!(pod = whose.name, "an instance has two live Pods");
                }
            }
            if let Some(node) = node {
                self.nodes().unpin(node);
            }
            is_left = state.is_left_over();
            self.changed(&offered, source)
        });
        if is_left && whose.job.kind == JobKind::Job {
            self.tell_crons(whose.job);
        }
        Ok(())
    }

    /// A Pod is gone, by the watch or by a write of our own.
    pub(super) fn drop_pod<'a>(&self, job: impl Into<KeyRef<'a>>, uid: Uid, source: Source) {
        let job = job.into();
        let mut is_left = false;
        self.change(job, |slot, state| {
            let removed = drop_record(&mut state.pods, uid, self.epoch(Kind::Pod), source);
            self.account(slot, removed.as_ref(), None);
            state.note(slot.key.kind, removed.as_ref(), None, None);
            if removed.is_some() {
                state.prune_runs();
            }
            is_left = state.is_left_over();
            removed.is_some() && source != Source::Own
        });
        if is_left && job.kind == JobKind::Job {
            self.tell_crons(job);
        }
    }

    fn offer_job_row(
        &self,
        meta: &ObjectMeta,
        kind: JobKind,
        source: Source,
        build: impl Fn(Uid, Option<&ServiceRow>) -> ServiceRow,
    ) -> Result<(), Unreadable> {
        let identity = Identity::read_job(meta, kind)?;
        let mut is_news = false;
        self.change(identity.job, |_, state| {
            let news = self.news(Kind::of_job(kind), &identity, 0, source);
            let offered = state.offer_service(&news, |known| build(identity.uid, known));
            is_news = matches!(offered, Offered::Changed(_));
            self.changed(&offered, source)
        });
        if is_news && kind == JobKind::Job {
            self.tell_crons(identity.job);
        }
        Ok(())
    }

    fn offer_update_row(
        &self,
        meta: &ObjectMeta,
        source: Source,
        build: impl Fn(Uid, u32, bool) -> UpdateRow,
    ) -> Result<(), Unreadable> {
        let identity = Identity::read(meta)?;
        let number = update_number(&identity)?;
        self.change(identity.job, |_, state| {
            let owner = state.owner(identity.controller);
            let owned = state.owns(owner);
            let news = self.news(Kind::Update, &identity, owner, source);
            let offered = state
                .updates
                .offer(&number, &news, |_| UpdateRow { owned, ..build(identity.uid, number, owned) });
            if !matches!(offered, Offered::Stale) {
                state.trim_updates();
            }
            self.changed(&offered, source)
        });
        Ok(())
    }

    fn offer_child(&self, meta: &ObjectMeta, kind: Kind, source: Source) -> Result<(), Unreadable> {
        let identity = Identity::read(meta)?;
        if identity.name != identity.job.name {
            return Err(Unreadable::Name);
        }
        self.change(identity.job, |_, state| {
            let owner = state.owner(identity.controller);
            let owned = state.owns(owner);
            let news = self.news(kind, &identity, owner, source);
            let row = |_: Option<&ChildRow>| read_child(meta, identity.uid, owned);
            let offered = match kind {
                Kind::Headless => state.headless.offer(&(), &news, row),
                _ => state.budget.offer(&(), &news, row),
            };
            self.changed(&offered, source)
        });
        Ok(())
    }

    /// A stored config is gone by a write of our own.
    pub(super) fn drop_revision(&self, service: &JobKey, uid: Uid) {
        self.drop_row(service.into(), uid, Kind::Revision, Source::Own, |state| &mut state.revisions);
    }

    /// An update is gone by a write of our own.
    pub(super) fn drop_update(&self, service: &JobKey, uid: Uid) {
        self.drop_row(service.into(), uid, Kind::Update, Source::Own, |state| &mut state.updates);
    }

    fn watched_gone<R: Record>(
        &self,
        identity: &Identity<'_>,
        kind: Kind,
        records: impl Fn(&mut State) -> &mut Records<R>,
    ) {
        self.drop_row(identity.job, identity.uid, kind, Source::Watch, records);
    }

    /// An object of a kind without further accounts is gone.
    pub(super) fn drop_row<R: Record>(
        &self,
        job: KeyRef<'_>,
        uid: Uid,
        kind: Kind,
        source: Source,
        records: impl Fn(&mut State) -> &mut Records<R>,
    ) {
        self.change(job, |_, state| {
            let removed = drop_record(records(state), uid, self.epoch(kind), source);
            if removed.is_some() && kind == Kind::Update {
                state.trim_updates();
            }
            removed.is_some() && source != Source::Own
        });
    }
}

fn drop_record<R: Record>(records: &mut Records<R>, uid: Uid, epoch: Epoch, source: Source) -> Option<R> {
    match source {
        Source::Watch | Source::Relist => records.delete(uid, epoch),
        Source::Own => records.learn_gone(uid, epoch),
    }
}

fn is_of_job(meta: &ObjectMeta) -> bool {
    meta::job_label(meta).is_some()
}

impl Feed for Pod {
    fn offer(&self, index: &Index, _: Kind, source: Source) -> Result<(), Unreadable> {
        let placed = index.offer_claim(self, source);
        if is_of_job(&self.metadata) { placed.and(index.offer_pod(self, source)) } else { placed }
    }

    fn delete(&self, index: &Index, _: Kind) -> Result<(), Unreadable> {
        index.drop_claim(self)?;
        if is_of_job(&self.metadata) {
            let identity = Identity::read_pod(&self.metadata)?;
            index.drop_pod(identity.job, identity.uid, Source::Watch);
        }
        Ok(())
    }
}

impl Feed for Node {
    fn offer(&self, index: &Index, kind: Kind, _: Source) -> Result<(), Unreadable> {
        let news = index.nodes().offer(self, index.epoch(kind))?;
        let Some((id, services)) = news else { return Ok(()) };
        index.replan(&services);
        index.offer_host(self, id)
    }

    fn delete(&self, index: &Index, _: Kind) -> Result<(), Unreadable> {
        let Vanished { nodes, services } = index.nodes().delete(self, Timestamp::now());
        nodes.into_iter().for_each(|id| index.drop_host(id));
        index.replan(&services);
        Ok(())
    }
}

impl<K: JobObject> Feed for Any<K> {
    fn offer(&self, index: &Index, _: Kind, source: Source) -> Result<(), Unreadable> {
        let tenant = index.tenant(self.meta().namespace.as_deref().unwrap_or_default());
        index.offer_job_row(self.meta(), K::KIND, source, |uid, known| match self {
            Self::Readable(job) => ServiceRow::read(&**job, uid, &tenant.role.default_tier, known),
            Self::Unreadable { metadata, status, error } => {
                ServiceRow::unusable::<K>(metadata, status.as_deref(), uid, error, known)
            }
        })
    }

    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable> {
        let identity = Identity::read_job(self.meta(), K::KIND)?;
        index.watched_gone(&identity, kind, |state| &mut state.service);
        if K::KIND == JobKind::Job {
            index.tell_crons(identity.job);
        }
        Ok(())
    }
}

impl Feed for DeserializeGuard<AuroraUpdate> {
    fn offer(&self, index: &Index, _: Kind, source: Source) -> Result<(), Unreadable> {
        match &self.0 {
            Ok(update) => update.offer(index, Kind::Update, source),
            Err(broken) => index.offer_update_row(&broken.metadata, source, |uid, number, _| {
                UpdateRow::unusable(&broken.metadata, uid, number, &broken.error)
            }),
        }
    }

    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable> {
        let identity = Identity::read(self.meta())?;
        index.watched_gone(&identity, kind, |state| &mut state.updates);
        Ok(())
    }
}

impl Feed for AuroraUpdate {
    fn offer(&self, index: &Index, _: Kind, source: Source) -> Result<(), Unreadable> {
        index.offer_update_row(&self.metadata, source, |uid, number, owned| {
            UpdateRow::read(self, uid, number, owned)
        })
    }

    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable> {
        let identity = Identity::read(&self.metadata)?;
        index.watched_gone(&identity, kind, |state| &mut state.updates);
        Ok(())
    }
}

impl Feed for StoredRevision {
    fn offer(&self, index: &Index, kind: Kind, source: Source) -> Result<(), Unreadable> {
        let identity = Identity::read(&self.metadata)?;
        let record = read_revision(&self.metadata, self.revision, identity.uid, false)?;
        index.change(identity.job, |_, state| {
            let owner = state.owner(identity.controller);
            let owned = state.owns(owner);
            let news = index.news(kind, &identity, owner, source);
            let offered =
                state.revisions.offer(&record.revision, &news, |_| RevisionRecord { owned, ..record });
            index.changed(&offered, source)
        });
        Ok(())
    }

    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable> {
        let identity = Identity::read(&self.metadata)?;
        index.watched_gone(&identity, kind, |state| &mut state.revisions);
        Ok(())
    }
}

impl Feed for Budget {
    fn offer(&self, index: &Index, kind: Kind, source: Source) -> Result<(), Unreadable> {
        index.offer_budget(self)?;
        if meta::label(&self.metadata, labels::SERVICE).is_none() {
            return Ok(());
        }
        index.offer_child(&self.metadata, kind, source)
    }

    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable> {
        index.drop_budget(self)?;
        if meta::label(&self.metadata, labels::SERVICE).is_none() {
            return Ok(());
        }
        let identity = Identity::read(&self.metadata)?;
        index.watched_gone(&identity, kind, |state| &mut state.budget);
        Ok(())
    }
}

impl Feed for PartialObjectMeta<Service> {
    fn offer(&self, index: &Index, kind: Kind, source: Source) -> Result<(), Unreadable> {
        index.offer_child(&self.metadata, kind, source)
    }

    fn delete(&self, index: &Index, kind: Kind) -> Result<(), Unreadable> {
        let identity = Identity::read(&self.metadata)?;
        index.watched_gone(&identity, kind, |state| &mut state.headless);
        Ok(())
    }
}

impl Feed for PartialObjectMeta<ConfigMap> {
    fn offer(&self, index: &Index, kind: Kind, _: Source) -> Result<(), Unreadable> {
        let (namespace, source) = config_map(&self.metadata)?;
        let version = meta::version(&self.metadata)?;
        let dirty = index.contents().shown(namespace, &source, version, index.epoch(kind));
        index.replan(&dirty);
        Ok(())
    }

    fn delete(&self, index: &Index, _: Kind) -> Result<(), Unreadable> {
        let (namespace, source) = config_map(&self.metadata)?;
        let dirty = index.contents().gone(namespace, &source, meta::version(&self.metadata)?);
        index.replan(&dirty);
        Ok(())
    }
}

fn config_map(meta: &ObjectMeta) -> Result<(&str, ConfigSource), Unreadable> {
    let namespace = meta.namespace.as_deref().ok_or(Unreadable::Metadata("namespace"))?;
    let name = meta.name.as_deref().ok_or(Unreadable::Metadata("name"))?;
    Ok((namespace, ConfigSource { kind: SourceKind::ConfigMap, name: name.into() }))
}
