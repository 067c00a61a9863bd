//! Preemption at size: many Pods of production at once on many nodes that are full.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{CPUS, create, disband, exactly, preferred, remain, team, work};
use crate::{runner::Scenario, scene::Scene};

/// Nodes, each full of four Pods.
const NODES: usize = 100;
/// Pods of each kind that nobody's place is for production to take.
const OTHERS: u32 = 20;
/// Pods of batch: all the rest.
const BATCH: u32 = 400 - 3 * OTHERS;
/// Pods of production, each as large as one of those.
const PRODUCTION: u32 = 200;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "preemption-storm",
            "200 Pods of production on 100 full nodes end 200 of batch, and nobody of their tier or a higher one",
            |s| Box::pin(storm(s)),
        )
        .exclusive()
        .full(),
    ]
}

async fn storm(scene: Scene) -> Result<()> {
    scene.world.add_nodes(&scene.namespace, NODES).await?;
    // What it may not take: its own, another role's of its tier, and what ranks higher though it is preemptible.
    let tier = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": scene.namespace},
        "spec": {"preemptible": true, "band": 40_000},
    });
    create(&scene, "tier", &tier).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    let other = team(&scene, "other", &[("preferred", 30_000)]).await?;
    let urgent = team(&scene, "urgent", &[(scene.namespace.as_str(), 40_000)]).await?;
    let of = |name: &str, instances: u32| work(&scene.namespace, name, instances, CPUS / 4, 0);
    scene.apply(&of("batch", BATCH)).await?;
    shop.apply(&preferred(of("old", OTHERS))).await?;
    other.apply(&preferred(of("other", OTHERS))).await?;
    urgent.apply(&of("urgent", OTHERS).set("/tier", json!(scene.namespace))).await?;
    let spared = [(&shop, "old"), (&other, "other"), (&urgent, "urgent")];
    scene.running("batch", BATCH).await?;
    for (team, name) in spared {
        team.running(name, OTHERS).await?;
    }
    let mark = scene.mark();
    let begin = Instant::now();
    let new = preferred(of("new", PRODUCTION));
    shop.apply(&new).await?;
    shop.running("new", PRODUCTION).await?;
    scene.note(format!("{PRODUCTION} Pods of production run after {:.1} s", begin.elapsed().as_secs_f64()));
    remain(&scene, "batch", (BATCH - PRODUCTION) as usize, PRODUCTION as usize).await?;
    exactly(&scene, mark, "batch", PRODUCTION as usize, "not preemptible goes before")?;
    // More than there is to take: batch goes to the last Pod, and the others still stay.
    shop.apply(&new.instances(2 * PRODUCTION)).await?;
    remain(&shop, "new", BATCH as usize, (2 * PRODUCTION - BATCH) as usize).await?;
    exactly(&scene, mark, "batch", BATCH as usize, "not preemptible goes before")?;
    for (team, name) in spared {
        exactly(team, mark, name, 0, "")?;
        team.running(name, OTHERS).await?;
    }
    for team in [&scene, &shop, &other, &urgent] {
        team.kubectl(&["delete", "asvc", "--all"]).await?;
    }
    scene.world.remove_nodes(&scene.namespace).await?;
    disband(shop).await?;
    disband(other).await?;
    disband(urgent).await
}
