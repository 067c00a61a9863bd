//! A node as placement sees it: what Pods can have of it, and what it asks of them.
//!
//! Translates only; heartbeats leave no trace here. Called by `capacity`, under its lock.

use std::sync::Arc;

use borealis_core::model::{Effect, Host, NodeId, Taint};

use super::{
    super::{lean::Node, meta::Unreadable},
    Tables, demand,
};
use crate::api::quantity;

/// The taint of a node that takes no new Pods; its controller sets it a little later than the field it stands for.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Reads a node.
pub(super) fn read(node: &Node, id: NodeId, tables: &mut Tables) -> Result<Host, Unreadable> {
    let names = &mut tables.names;
    let name = node.metadata.name.as_deref().ok_or(Unreadable::Metadata("name"))?;
    let labels = node.metadata.labels.iter().flatten();
    let labels =
        labels.map(|(key, value)| (names.share(key.as_str()), names.share(value.as_str()))).collect();
    let mut taints: Vec<Taint> = Vec::new();
    for taint in &node.spec.taints {
        // A taint that is only a preference keeps nobody away.
        if let Some(effect) =
            demand::effect(&taint.effect).filter(|effect| *effect != Effect::PreferNoSchedule)
        {
            let value = taint.value.as_deref().unwrap_or_default();
            taints.push(Taint { key: names.share(taint.key.as_str()), value: names.share(value), effect });
        }
    }
    if node.spec.unschedulable {
        let (key, value) = (names.share(UNSCHEDULABLE), names.share(""));
        taints.push(Taint { key, value, effect: Effect::NoSchedule });
    }
    taints.sort();
    taints.dedup();
    let mut allocatable = quantity::resources(Some(&node.status.allocatable));
    let pods = allocatable.extended.remove("pods").unwrap_or(0);
    Ok(Host {
        id,
        name: names.share(name),
        labels: Arc::new(labels),
        taints: taints.into(),
        allocatable,
        pods: u32::try_from(pods.max(0)).unwrap_or(u32::MAX),
    })
}
