//! What the executor reports of its own writes.
//!
//! An answer to a write is news like any other, ahead of the watch. Called by the executor.

use std::sync::Arc;

use borealis_core::model::{Tier, Uid};
use k8s_openapi::api::{apps::v1::ControllerRevision, core::v1::Pod};

use super::{Index, Kind, Node, lean::StoredRevision, stamp::Source};
use crate::{
    JobKey,
    api::{AnyJob, AnyService, AuroraUpdate},
    apply::{AnyRole, Learn, LostNode},
};

impl Index {
    /// Takes a role as a write or a read of our own returned it.
    pub fn learn_role(&self, role: &AnyRole) {
        self.learn(Kind::Role, role);
    }
}

impl Learn for Index {
    fn tier(&self, name: &str) -> Option<Arc<Tier>> {
        self.read_tenancy().tier(name)
    }

    fn lost_node(&self, job: &JobKey, task: Uid) -> Option<LostNode> {
        let slot = self.find(job)?;
        let node = slot.lock().tasks().into_iter().find(|known| known.uid == task)?.node?;
        let nodes = self.nodes();
        Some(LostNode { since: *nodes.lost().get(&node)?, name: nodes.name(node)? })
    }

    fn learn_node(&self, node: &Node) {
        self.learn(Kind::Node, node);
    }

    fn learn_pod(&self, pod: &Pod) {
        self.learn(Kind::Pod, pod);
    }

    fn learn_pod_gone(&self, service: &JobKey, uid: Uid) {
        self.drop_pod(service, uid, Source::Own);
    }

    fn learn_revision(&self, revision: &ControllerRevision) {
        self.learn(Kind::Revision, &StoredRevision::of(revision));
    }

    fn learn_revision_gone(&self, service: &JobKey, uid: Uid) {
        self.drop_revision(service, uid);
    }

    fn learn_update(&self, update: &AuroraUpdate) {
        self.learn(Kind::Update, update);
    }

    fn learn_update_gone(&self, service: &JobKey, uid: Uid) {
        self.drop_update(service, uid);
    }

    fn learn_service(&self, service: &AnyService) {
        self.learn(Kind::Service, service);
    }

    fn learn_job(&self, job: &AnyJob) {
        self.learn(Kind::Job, job);
    }

    fn unsettle(&self, service: &JobKey) {
        self.change(service, |_, state| {
            state.unsettle();
            true
        });
    }
}
