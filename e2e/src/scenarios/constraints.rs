//! Constraints: values an attribute must have or must not, limits, what a missing attribute means, dedicated nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::tenancy::{PREEMPTIBLE, claim_all};
use crate::{
    runner::Scenario,
    scene::Scene,
    service::{SIMULATED, Service},
    wait::{self, Look},
    world::RESERVED,
};

const ZONE: &str = "topology.kubernetes.io/zone";
const DEDICATED: &str = "borealis.dev/dedicated";
/// A label that no node has.
const MISSING: &str = "e2e.borealis.dev/missing";

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("constraints", "values, negated values and limits, as Aurora has them", |s| {
            Box::pin(constraints(s))
        }),
        Scenario::new("dedicated", "dedicated nodes are for those who ask for them, and nobody else", |s| {
            Box::pin(dedicated(s))
        }),
    ]
}

fn constrained(name: &str, instances: u32, constraint: &Value) -> Service {
    Service::new(name, instances).set("/constraints", json!([constraint]))
}

/// The zone of each live Pod of a service that has a node.
async fn zones(scene: &Scene, service: &str) -> Result<Vec<String>> {
    let all = scene.world.kube.nodes().list(&ListParams::default()).await?;
    let zone = |node: &Node| Some((node.name_any(), node.labels().get(ZONE)?.clone()));
    let zones: BTreeMap<String, String> = all.iter().filter_map(zone).collect();
    let of_pod = |node: String| zones.get(&node).cloned().context(format!("node {node} has no zone"));
    scene.live(service).into_iter().filter_map(|pod| pod.node).map(of_pod).collect()
}

async fn only_in(scene: &Scene, service: &str, instances: u32, allowed: &[&str]) -> Result<()> {
    scene.running(service, instances).await?;
    let zones = zones(scene, service).await?;
    ensure!(zones.iter().all(|zone| allowed.contains(&zone.as_str())), "{service} is in {zones:?}");
    Ok(())
}

/// Waits until so many Pods of the service run and the scheduler has found no node for all others, and returns its words.
async fn leaves(scene: &Scene, service: &str, running: usize, pending: usize) -> Result<String> {
    let selector = ListParams::default().labels(&format!("borealis.dev/service={service}"));
    wait::until(
        &format!("{service}: {running} to run and {pending} to have no place"),
        Duration::from_secs(90),
        || async {
            let pods = scene.world.kube.pods(&scene.namespace).list(&selector).await?.items;
            let said: Vec<String> = pods.iter().filter_map(unschedulable).collect();
            let up = scene.live(service).iter().filter(|pod| pod.is_up()).count();
            Ok(match said.first() {
                Some(words) if said.len() == pending && up == running => Look::Done(words.clone()),
                _ => Look::NotYet(format!("{up} run, {} have no place: {said:?}", said.len())),
            })
        },
    )
    .await
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    let is = scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable");
    is.then(|| scheduled.message.clone().unwrap_or_default())
}

async fn constraints(scene: Scene) -> Result<()> {
    let values = |attribute: &str, values: Value, negated: bool| json!({ "attribute": attribute, "values": values, "negated": negated });
    let limit = |attribute: &str, limit: u32| json!({ "attribute": attribute, "limit": limit });
    for service in [
        constrained("value", 4, &values(ZONE, json!(["zone-a"]), false)),
        constrained("either", 6, &values(ZONE, json!(["zone-b", "zone-a"]), false)),
        constrained("negated", 4, &values(ZONE, json!(["zone-a", "zone-b"]), true)),
        constrained("limit", 8, &limit(ZONE, 2)),
        constrained("hosts", 5, &limit("host", 1)),
        constrained("value-missing", 1, &values(MISSING, json!(["a"]), false)),
        constrained("negated-missing", 2, &values(MISSING, json!(["a"]), true)),
        constrained("limit-missing", 1, &limit(MISSING, 5)),
    ] {
        scene.apply(&service).await?;
    }
    only_in(&scene, "value", 4, &["zone-a"]).await?;
    only_in(&scene, "either", 6, &["zone-a", "zone-b"]).await?;
    only_in(&scene, "negated", 4, &["zone-c"]).await?;
    scene.running("negated-missing", 2).await?;
    for missing in ["value-missing", "limit-missing"] {
        leaves(&scene, missing, 0, 1).await?;
    }
    scene.running("hosts", 5).await?;
    let hosts: BTreeSet<_> = scene.live("hosts").into_iter().filter_map(|pod| pod.node).collect();
    ensure!(hosts.len() == 5, "two of five are on one node: {hosts:?}");

    let said = leaves(&scene, "limit", 6, 2).await?;
    ensure!(said.contains("topology spread constraints"), "the scheduler says: {said}");
    ensure!(counted(&scene).await? == [2, 2, 2], "{:?}", counted(&scene).await?);

    // Another limit is another config; Pods of both count while one takes the other's place.
    scene
        .apply(
            &constrained("limit", 8, &limit(ZONE, 3))
                .set("/update/strategy", json!({ "batch": { "groupSize": 8 } })),
        )
        .await?;
    scene.update_in("limit", 1, "ROLLED_FORWARD").await?;
    scene.running("limit", 8).await?;
    let counts = counted(&scene).await?;
    ensure!(counts.iter().all(|count| *count <= 3), "more than 3 in a zone: {counts:?}");
    Ok(())
}

async fn counted(scene: &Scene) -> Result<Vec<usize>> {
    let zones = zones(scene, "limit").await?;
    let count = |zone: &str| zones.iter().filter(|one| *one == zone).count();
    Ok(["zone-a", "zone-b", "zone-c"].map(count).into())
}

/// Gives nodes to a pool, as an administrator does.
async fn give(scene: &Scene, nodes: &[String], value: &str) -> Result<()> {
    for node in nodes {
        let patch = json!({ "metadata": { "labels": { DEDICATED: value } } });
        scene.world.kube.nodes().patch(node, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        scene.kubectl(&["taint", "node", node, &format!("{DEDICATED}={value}:NoSchedule")]).await?;
    }
    Ok(())
}

async fn dedicated(scene: Scene) -> Result<()> {
    let role = scene.namespace.clone();
    let pools = json!([format!("{role}/fast"), "*/spare", role]);
    let spec = json!({ "tiers": ["preemptible"], "dedicated": pools });
    claim_all(&scene, &[&role], &spec, &[PREEMPTIBLE]).await?;
    let nodes = scene.world.claim_nodes(&scene.namespace, 2).await?;
    give(&scene, &nodes[..1], &format!("{role}.fast")).await?;
    give(&scene, &nodes[1..], "ANY.spare").await?;
    let bears = |more: Value| {
        let mut all = vec![
            json!({ "key": SIMULATED, "operator": "Exists" }),
            json!({ "key": RESERVED, "operator": "Exists" }),
        ];
        all.extend(more.as_array().cloned().unwrap_or_default());
        json!(all)
    };
    let of_pool = |name: &str, pool: &str| {
        Service::new(name, 3).pod("/tolerations", bears(json!([]))).set("/dedicated", json!(pool))
    };
    scene.apply(&of_pool("own", &format!("{role}/fast"))).await?;
    scene.apply(&of_pool("shared", "*/spare")).await?;
    scene.apply(&of_pool("none", &role)).await?;
    // These may go to the two nodes as far as selectors say, and bear their taints as far as templates may.
    let here = |name: &str, more: Value| {
        Service::new(name, 1).on_claimed_nodes(&scene.namespace).pod("/tolerations", bears(more))
    };
    scene.apply(&here("other", json!([]))).await?;
    scene.apply(&here("bears-all", json!([{ "operator": "Exists" }]))).await?;
    for (name, node) in [("own", &nodes[0]), ("shared", &nodes[1])] {
        scene.running(name, 3).await?;
        let live = scene.live(name);
        ensure!(live.iter().all(|pod| pod.node.as_ref() == Some(node)), "{name} is not on {node}: {live:?}");
    }
    leaves(&scene, "none", 0, 3).await?;
    leaves(&scene, "other", 0, 1).await?;
    leaves(&scene, "bears-all", 0, 1).await?;
    // A pool that is another role's, or that its role was not given, is refused before there is a Pod.
    for (name, pool) in [("of-others", "somebody/fast".to_owned()), ("not-given", format!("{role}/slow"))] {
        scene.apply(&of_pool(name, &pool)).await?;
        let message = scene.says(name, "Stalled", "True", "DedicatedNotAllowed").await?;
        ensure!(message.contains(&format!("may not use the dedicated nodes \"{pool}\"")), "{message}");
        ensure!(scene.live(name).is_empty(), "{name} has Pods: {:?}", scene.live(name));
    }
    let tolerates = json!([{ "key": DEDICATED, "operator": "Exists" }]);
    let refused =
        scene.apply(&here("forbidden", tolerates)).await.err().context("a toleration was let through")?;
    ensure!(format!("{refused:#}").contains("spec.dedicated is what asks"), "{refused:#}");
    Ok(())
}
