//! A tier on trial: who would end for its Pods is said, and nobody does until the tier is no longer on trial.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{CPUS, SPARED, create, disband, exactly, placed_says, remain, team, work};
use crate::{runner::Scenario, scene::Scene, wait};

/// The band of the tier: above that of what it may end.
const BAND: i32 = 29_000;

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "preemption-dry-run",
        "for a tier on trial it is said who would end, and nobody does",
        |s| Box::pin(dry_run(s)),
    )
}

async fn dry_run(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let tier = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": scene.namespace},
        "spec": {"preemptible": false, "band": BAND, "dryRun": true, "preemptionDelaySeconds": 1},
    });
    create(&scene, "tier", &tier).await?;
    let shop = team(&scene, "shop", &[(scene.namespace.as_str(), BAND), ("preemptible", 20_000)]).await?;
    // Of the same role, so that it may be named.
    shop.apply(&work(&scene.namespace, "batch", 1, CPUS, 1).set("/tier", json!("preemptible"))).await?;
    shop.running("batch", 1).await?;
    let mark = shop.mark();
    shop.apply(&work(&scene.namespace, "shop", 1, CPUS, 1).set("/tier", json!(scene.namespace))).await?;
    let said = placed_says(&shop, "shop", "in a dry run of preemption, 1 Pod (batch-0-").await?;
    scene.note(said);
    shop.told("shop", "PreemptionDryRun", "would end on node ").await?;
    let shown = scene.world.operators.shows("preemptions").await?;
    let decisions = shown["decisions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ours = |pod: &str| pod.starts_with(&format!("{}/shop-", shop.namespace));
    let is_told = decisions.iter().any(|it| it["dryRun"] == true && it["pod"].as_str().is_some_and(is_ours));
    ensure!(is_told, "no such decision is shown: {shown}");
    wait::holds("ending nobody for a tier on trial", SPARED, || async {
        let nominated = shop.live("shop").iter().any(|pod| pod.nominated.is_some());
        let spared = exactly(&shop, mark, "batch", 0, "").is_ok() && !nominated;
        Ok(wait::when(spared, "one has ended, or room is kept"))
    })
    .await?;
    let patch = json!({"spec": {"dryRun": false}}).to_string();
    scene.world.cluster.kubectl(&["patch", "tier", &scene.namespace, "--type=merge", "-p", &patch]).await?;
    shop.running("shop", 1).await?;
    remain(&shop, "batch", 0, 1).await?;
    exactly(&shop, mark, "batch", 1, "not preemptible goes before")?;
    disband(shop).await
}
