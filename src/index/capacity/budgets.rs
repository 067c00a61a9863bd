//! PodDisruptionBudgets as preemption asks for them: whom they are about, and how many of those may go.
//!
//! The budget that a service has without asking for one is left out: it keeps drains and upgrades gentle, and must not
//! keep production from its room (Aurora asks no SLA before it preempts, and gives none to what is preemptible). What a
//! selector asks of labels that the board does not know counts as met, so that a budget is rather about too many.
//! Called by `kinds`.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use borealis_core::{
    admit::{
        Board,
        budgets::{Budget, BudgetTable},
    },
    model::Uid,
};

use super::{Capacity, Changes, claim, selectors};
use crate::{
    api::labels,
    apply::ASKED,
    index::{
        Index,
        lean::Budget as Object,
        meta::{self, Controller, Unreadable, annotation},
    },
};

/// All budgets, and those that the relist under way has shown.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    table: BudgetTable,
    shown: Option<HashSet<Uid>>,
}

impl Index {
    /// Shows all nodes, Pods and disruption budgets to `look`, as one snapshot, under the lock that news of them waits
    /// for.
    pub fn board_and_budgets<R>(&self, look: impl FnOnce(&Board, &BudgetTable) -> R) -> R {
        let capacity = self.capacity();
        look(&capacity.board, &capacity.budgets.table)
    }

    /// How many victims each role may have in a minute, by its AuroraRole.
    pub fn victim_bounds(&self) -> BTreeMap<Arc<str>, u32> {
        let tenancy = self.read_tenancy();
        let roles = tenancy.roles().filter_map(|row| row.role.as_ref());
        roles.map(|role| (Arc::clone(&role.name), role.max_victims_per_minute)).collect()
    }

    /// Takes a budget as it is now.
    pub(in crate::index) fn offer_budget(&self, object: &Object) -> Result<(), Unreadable> {
        let uid = meta::uid(&object.metadata)?;
        let namespace = object.metadata.namespace.as_deref().ok_or(Unreadable::Metadata("namespace"))?;
        let mut capacity = self.capacity();
        let Capacity { budgets, tables, followers, .. } = &mut *capacity;
        if let Some(shown) = &mut budgets.shown {
            shown.insert(uid);
        }
        let is_new = if is_of_course(object) {
            budgets.table.remove(namespace, uid)
        } else {
            let mut selector = selectors::labels(object.spec.selector.as_ref(), &mut tables.names);
            selector.retain(|requirement| !claim::differs(&requirement.key));
            let allowed = u32::try_from(object.status.disruptions_allowed).unwrap_or(0);
            let name = tables.names.share(object.metadata.name.as_deref().unwrap_or_default());
            let namespace = tables.names.share(namespace);
            budgets.table.set(&namespace, uid, Budget { name, selector, allowed })
        };
        if is_new {
            followers.tell(&Changes { room: true, ..Changes::default() });
        }
        Ok(())
    }

    /// A budget is gone.
    pub(in crate::index) fn drop_budget(&self, object: &Object) -> Result<(), Unreadable> {
        let uid = meta::uid(&object.metadata)?;
        let mut capacity = self.capacity();
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        if capacity.budgets.table.remove(namespace, uid) {
            capacity.followers.tell(&Changes { room: true, ..Changes::default() });
        }
        Ok(())
    }

    /// A relist of budgets begins.
    pub(in crate::index) fn list_budgets(&self) {
        self.capacity().budgets.shown = Some(HashSet::new());
    }

    /// A relist of budgets is complete.
    pub(in crate::index) fn listed_budgets(&self) {
        let mut capacity = self.capacity();
        if let Some(shown) = capacity.budgets.shown.take() {
            capacity.budgets.table.retain(|uid| shown.contains(&uid));
            capacity.followers.tell(&Changes { room: true, ..Changes::default() });
        }
    }
}

/// Whether it is one that a service has without asking for it.
fn is_of_course(object: &Object) -> bool {
    let content = annotation(&object.metadata, labels::CONTENT);
    matches!(meta::controller(&object.metadata), Controller::Job(..))
        && content.is_some_and(|content| !content.ends_with(ASKED))
}

#[cfg(test)]
mod tests {
    use borealis_core::admit::Budgets as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::{index::Kind, metrics::Metrics};

    fn budget(name: &str, id: u32, allowed: i32, more: &Value) -> Object {
        let mut object = json!({
            "metadata": {"name": name, "namespace": "a", "uid": format!("00000000-0000-0000-0000-{id:012}"),
                "resourceVersion": "5"},
            "spec": {"selector": {"matchLabels": {"app": "web", "borealis.dev/instance": "3"}}},
            "status": {"disruptionsAllowed": allowed},
        });
        object["metadata"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    fn of_service(content: &str) -> Value {
        json!({
            "annotations": {"borealis.dev/content": content},
            "ownerReferences": [{"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService", "name": "web",
                "uid": "00000000-0000-0000-0000-000000000009", "controller": true}],
        })
    }

    #[test]
    fn budgets_are_known_by_what_they_allow() {
        let index = Index::new(Metrics::default(), |_| ());
        let follower = index.changes();
        follower.take();
        let known = || index.board_and_budgets(|_, budgets| budgets.len());
        index.offer_budget(&budget("b", 1, 2, &json!({}))).unwrap();
        assert!(follower.take().room);
        index.offer_budget(&budget("b", 1, 2, &json!({}))).unwrap();
        assert!(!follower.take().room, "that is no news");
        assert_eq!(known(), 1);
        index.offer_budget(&budget("web", 2, 0, &of_service("v1-3"))).unwrap();
        assert_eq!(known(), 1, "it has it without asking");
        index.offer_budget(&budget("web", 2, 0, &of_service(&format!("v1-3{ASKED}")))).unwrap();
        assert_eq!(known(), 2);
        index
            .offer_budget(&budget("mine", 3, 0, &json!({"annotations": {"borealis.dev/content": "v1-3"}})))
            .unwrap();
        assert_eq!(known(), 3, "it is nobody's child");
        index.drop_budget(&budget("web", 2, 0, &json!({}))).unwrap();
        assert_eq!(known(), 2);
        index.feed(Kind::Budget, &kube::runtime::watcher::Event::<Object>::Init);
        index.offer_budget(&budget("b", 1, 2, &json!({}))).unwrap();
        index.feed(Kind::Budget, &kube::runtime::watcher::Event::<Object>::InitDone);
        assert_eq!(known(), 1, "the list did not show the others");
    }

    #[test]
    fn a_selector_is_rather_about_too_many() {
        let index = Index::new(Metrics::default(), |_| ());
        index.offer_budget(&budget("b", 1, 2, &json!({}))).unwrap();
        let pod = json!({"metadata": {"name": "p", "namespace": "a", "resourceVersion": "7",
            "uid": "00000000-0000-0000-0000-000000000008", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Pending"}});
        let pod: k8s_openapi::api::core::v1::Pod = serde_json::from_value(pod).unwrap();
        index.offer_claim(&pod, crate::index::stamp::Source::Watch).unwrap();
        let group = index.board_and_budgets(|board, budgets| {
            board.claims().next().map(|claim| budgets.group(claim).is_ok_and(|group| group.is_some()))
        });
        assert_eq!(group, Some(true), "of the instance nothing is known");
    }
}
