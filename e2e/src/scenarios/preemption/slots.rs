//! Room that is kept while victims take their time to end: not for a rival of the same class, but lost to a higher one;
//! and it outlives the operator that kept it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::json;

use super::{CPUS, create, disband, exactly, preferred, remain, team, victims, work};
use crate::{runner::Scenario, scene::Scene, service::Service, wait};

/// How long a change of leaders may take.
const ELECTION: Duration = Duration::from_secs(40);
/// How many times something is changed back and forth that has the scheduler try again.
const TRIES: u32 = 3;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("preemption-rival", "a rival of the same class does not get room that is kept", |s| {
            Box::pin(rival(s))
        }),
        Scenario::new(
            "preemption-slow-victims",
            "room is kept for as long as a victim takes to end, whatever the scheduler tries meanwhile",
            |s| Box::pin(slow_victims(s)),
        ),
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

/// One victim ends at once, the other after a minute and a half. Meanwhile half of the node is free, rivals of the same
/// rank would fit there, and the scheduler tries again and again to place the Pod that the room is kept for.
async fn slow_victims(scene: Scene) -> Result<()> {
    let nodes = scene.world.claim_nodes(&scene.namespace, 2).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    let rivals = team(&scene, "rivals", &[("preferred", 30_000)]).await?;
    let half =
        |name: &str, instances: u32, stop: u32| work(&scene.namespace, name, instances, CPUS / 2, stop);
    // The victims are on the first node, and the rivals have the second.
    scene.kubectl(&["cordon", &nodes[1]]).await?;
    scene.apply(&half("slow", 1, 90)).await?;
    scene.apply(&half("quick", 1, 0)).await?;
    scene.running("slow", 1).await?;
    scene.running("quick", 1).await?;
    scene.kubectl(&["uncordon", &nodes[1]]).await?;
    rivals.apply(&preferred(half("rival", 2, 1))).await?;
    rivals.running("rival", 2).await?;
    scene.apply(&Service::new("elsewhere", 2 * TRIES)).await?;
    scene.running("elsewhere", 2 * TRIES).await?;
    let mark = scene.mark();
    shop.apply(&preferred(work(&scene.namespace, "shop", 1, CPUS, 1))).await?;
    kept(&shop, "shop", 1).await?;
    let uid = shop.uid_of("shop", 0)?;
    rivals.apply(&preferred(half("rival", 4, 1))).await?;
    for victim in ["slow", "quick"] {
        wait::until(&format!("{victim} to be told to end"), super::super::LONG, || async {
            Ok(wait::when(victims(&scene, mark, victim).len() == 1, "it is not"))
        })
        .await?;
    }
    for _ in 0..TRIES {
        // That a cordoned node becomes usable has the scheduler try again, and so has a Pod that ends anywhere.
        scene.kubectl(&["cordon", &nodes[1]]).await?;
        let elsewhere = scene.live("elsewhere").into_iter().find(|pod| !pod.ending);
        let elsewhere = elsewhere.context("nobody is left to end elsewhere")?;
        scene.kubectl(&["delete", "pod", "--wait=false", &elsewhere.name]).await?;
        tried(&shop, "1 Insufficient cpu").await?;
        scene.kubectl(&["uncordon", &nodes[1]]).await?;
        tried(&shop, "2 Insufficient cpu").await?;
    }
    let slow = scene.live("slow").into_iter().any(|pod| pod.ending);
    ensure!(slow, "the slow victim has ended before the last try");
    wait::until("shop to run", super::super::LONG, || async {
        let up = shop.live("shop").iter().filter(|pod| pod.is_up()).count();
        Ok(wait::when(up == 1, format!("{up} run")))
    })
    .await?;
    ensure!(shop.uid_of("shop", 0)? == uid, "another Pod than that for which room was kept");
    ensure!(shop.live("shop")[0].node.as_ref() == Some(&nodes[0]), "room was kept on another node");
    remain(&rivals, "rival", 2, 2).await?;
    for victim in ["slow", "quick"] {
        exactly(&scene, mark, victim, 1, "not preemptible goes before")?;
    }
    scene.note(format!("{} tries of the scheduler in vain between", 2 * TRIES));
    disband(shop).await?;
    disband(rivals).await
}

/// Waits until the scheduler has tried in vain to place the shop's Pod, and says this of the nodes.
async fn tried(shop: &Scene, words: &str) -> Result<()> {
    wait::until(&format!("the scheduler to say {words:?}"), super::super::LONG, || async {
        let pods = shop.world.kube.pods(&shop.namespace).list(&ListParams::default()).await?.items;
        let conditions = pods.into_iter().filter_map(|pod| pod.status?.conditions).flatten();
        let placed = conditions.filter(|condition| condition.type_ == "PodScheduled");
        let said: Vec<String> = placed.filter_map(|condition| condition.message).collect();
        Ok(wait::when(said.iter().any(|said| said.contains(words)), format!("{said:?}")))
    })
    .await
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
