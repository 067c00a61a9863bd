use serde_json::json;

use super::*;
use crate::JobKey;

fn node(name: &str, version: u64, ready: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": format!("00000000-0000-0000-0000-0000000000{:02}", name.len()),
            "resourceVersion": version.to_string(), "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"conditions": [
            {"type": "MemoryPressure", "status": "False"},
            {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-02T00:00:00Z",
             "lastHeartbeatTime": "2026-01-03T00:00:00Z"},
        ]},
    }))
    .unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The services that hear of it.
fn offer(nodes: &mut Nodes, node: &Node) -> Vec<Arc<Slot>> {
    nodes.offer(node, 0).unwrap().map(|(_, services)| services).unwrap_or_default()
}

/// Nodes with one task of one service on node `a`.
fn one_task() -> (Nodes, NodeId, Arc<Slot>) {
    let mut nodes = Nodes::default();
    let slot = Arc::new(Slot::new(JobKey::service("prod", "web")));
    let id = nodes.pin("a");
    nodes.moved(&slot, None, Some(id));
    nodes.unpin(id);
    (nodes, id, slot)
}

#[test]
fn only_services_with_tasks_on_it_hear_of_a_lost_node() {
    let (mut nodes, id, slot) = one_task();
    assert!(offer(&mut nodes, &node("a", 1, "True")).is_empty());
    assert!(offer(&mut nodes, &node("bb", 1, "Unknown")).is_empty());
    let dirty = offer(&mut nodes, &node("a", 2, "Unknown"));
    assert_eq!(dirty.iter().map(|slot| slot.number).collect::<Vec<_>>(), [slot.number]);
    assert_eq!(nodes.lost().get(&id), Some(&at("2026-01-02T00:00:00Z")));
    assert!(offer(&mut nodes, &node("a", 3, "Unknown")).is_empty(), "a heartbeat says nothing new");
    assert!(offer(&mut nodes, &node("a", 2, "True")).is_empty(), "old news");
    assert_eq!(offer(&mut nodes, &node("a", 4, "True")).len(), 1);
    assert!(!nodes.lost().contains_key(&id));
}

#[test]
fn the_taint_of_a_lost_node_counts() {
    let (mut nodes, id, _) = one_task();
    let mut tainted = node("a", 1, "True");
    tainted.spec.taints = serde_json::from_value(json!([
        {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule", "timeAdded": "2026-01-04T00:00:00Z"},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-05T00:00:00Z"},
    ]))
    .unwrap();
    assert_eq!(offer(&mut nodes, &tainted).len(), 1);
    assert_eq!(nodes.lost().get(&id), Some(&at("2026-01-05T00:00:00Z")));
}

#[test]
fn a_node_that_was_never_seen_is_not_lost() {
    let (mut nodes, id, slot) = one_task();
    assert!(nodes.relisted(1, at("2026-02-01T00:00:00Z")).services.is_empty());
    assert!(nodes.lost().is_empty(), "its news may be on the way");
    nodes.moved(&slot, Some(id), None);
    assert!(nodes.rows.is_empty() && nodes.numbers.is_empty(), "nobody names it");
}

#[test]
fn a_node_that_a_relist_misses_is_lost_since_then() {
    let (mut nodes, id, slot) = one_task();
    offer(&mut nodes, &node("a", 1, "True"));
    let missed = at("2026-02-01T00:00:00Z");
    assert_eq!(nodes.relisted(1, missed).services.len(), 1);
    assert_eq!(nodes.lost().get(&id), Some(&missed));
    assert!(nodes.relisted(2, at("2026-03-01T00:00:00Z")).nodes.is_empty());
    assert_eq!(nodes.lost().get(&id), Some(&missed), "and not later");
    nodes.moved(&slot, Some(id), None);
    assert!(nodes.lost().is_empty() && nodes.rows.is_empty() && nodes.numbers.is_empty(), "nobody names it");
}

#[test]
fn a_deleted_node_stays_known_while_tasks_name_it() {
    let (mut nodes, id, slot) = one_task();
    offer(&mut nodes, &node("a", 1, "True"));
    let gone = at("2026-02-01T00:00:00Z");
    assert_eq!(nodes.delete(&node("a", 2, "True"), gone).services.len(), 1);
    assert_eq!((nodes.lost().get(&id), nodes.name(id).as_deref()), (Some(&gone), Some("a")));
    assert_eq!(offer(&mut nodes, &node("a", 3, "True")).len(), 1, "a node of that name came back");
    nodes.moved(&slot, Some(id), None);
    nodes.delete(&node("a", 4, "True"), gone);
    assert!(nodes.rows.is_empty());
}
