//! Room that is kept while victims take their time to end: not for a rival of the same class, but lost to a higher one;
//! and it outlives the operator that kept it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{CPUS, create, disband, exactly, preferred, remain, team, victims, work};
use crate::{runner::Scenario, scene::Scene, wait};

/// How long a change of leaders may take.
const ELECTION: Duration = Duration::from_secs(40);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("preemption-rival", "a rival of the same class does not get room that is kept", |s| {
            Box::pin(rival(s))
        }),
        Scenario::new(
            "preemption-higher",
            "who is of a higher class gets it, and the slot is looked for again",
            |s| Box::pin(higher(s)),
        ),
        Scenario::new(
            "preemption-killed",
            "the leader is killed while room is made; nobody ends in vain",
            |s| Box::pin(killed(s)),
        )
        .exclusive(),
    ]
}

/// Waits until so many Pods of a service have room kept for them.
async fn kept(scene: &Scene, service: &str, count: usize) -> Result<()> {
    wait::until(&format!("room to be kept for {count} of {service}"), super::super::LONG, || async {
        let kept = scene.live(service).into_iter().filter(|pod| pod.nominated.is_some()).count();
        Ok(wait::when(kept >= count, format!("for {kept}")))
    })
    .await
}

async fn rival(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    let rivals = team(&scene, "rivals", &[("preferred", 30_000)]).await?;
    scene.apply(&work(&scene.namespace, "batch", 1, CPUS, 20)).await?;
    scene.running("batch", 1).await?;
    let mark = scene.mark();
    shop.apply(&preferred(work(&scene.namespace, "shop", 1, CPUS, 1))).await?;
    kept(&shop, "shop", 1).await?;
    let uid = shop.uid_of("shop", 0)?;
    rivals.apply(&preferred(work(&scene.namespace, "rival", 3, CPUS, 1))).await?;
    shop.running("shop", 1).await?;
    ensure!(shop.uid_of("shop", 0)? == uid, "another Pod than that for which room was kept");
    scene.note(remain(&rivals, "rival", 0, 3).await?);
    exactly(&scene, mark, "batch", 1, "not preemptible goes before")?;
    disband(shop).await?;
    disband(rivals).await
}

async fn higher(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let tier = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": scene.namespace},
        "spec": {"preemptible": false, "band": 40_000},
    });
    create(&scene, "tier", &tier).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    let urgent = team(&scene, "urgent", &[(scene.namespace.as_str(), 40_000)]).await?;
    scene.apply(&work(&scene.namespace, "batch", 1, CPUS, 20)).await?;
    scene.running("batch", 1).await?;
    let mark = scene.mark();
    shop.apply(&preferred(work(&scene.namespace, "shop", 1, CPUS, 1))).await?;
    kept(&shop, "shop", 1).await?;
    let first = work(&scene.namespace, "urgent", 1, CPUS, 1).set("/tier", json!(scene.namespace));
    urgent.apply(&first).await?;
    urgent.running("urgent", 1).await?;
    shop.told("shop", "SlotFailed", "").await?;
    scene.note(remain(&shop, "shop", 0, 1).await?);
    exactly(&scene, mark, "batch", 1, "not preemptible goes before")?;
    urgent.kubectl(&["delete", "asvc", "urgent"]).await?;
    shop.running("shop", 1).await?;
    disband(shop).await?;
    disband(urgent).await
}

async fn killed(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 2).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    scene.apply(&work(&scene.namespace, "batch", 64, 1, 10)).await?;
    scene.running("batch", 64).await?;
    let operators = &scene.world.operators;
    let (leader, _) = operators.leader(ELECTION).await?;
    let mark = scene.mark();
    shop.apply(&preferred(work(&scene.namespace, "shop", 30, 2, 1))).await?;
    // Between the first note and the last victim are some milliseconds.
    let begin = Instant::now();
    while !shop.live("shop").iter().any(|pod| pod.nominated.is_some()) {
        ensure!(begin.elapsed() < super::super::LONG, "room is kept for nobody");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    operators.kill(leader).await?;
    // Without a leader nothing is written; what was is seen by the time that there is another.
    operators.leader_other_than(Some(leader), ELECTION).await?;
    let before = victims(&scene, mark, "batch").len();
    shop.running("shop", 30).await?;
    remain(&scene, "batch", 4, 60).await?;
    exactly(&scene, mark, "batch", 60, "not preemptible goes before")?;
    scene.note(format!("{before} of 60 victims had been told to end by the leader that was killed"));
    disband(shop).await
}
