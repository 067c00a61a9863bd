//! Instances are replaced: deleted ones at once, flapping ones held back, ended ones kept with their logs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;
use serde_json::json;

use crate::{
    kube_api::{condition, number},
    observer,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("pod-deleted", "deleted Pods are replaced, the others left alone", |s| {
            Box::pin(deleted(s))
        }),
        Scenario::new(
            "pod-flapping",
            "an instance that keeps failing young is held back longer and longer",
            |s| Box::pin(flapping(s)),
        ),
        Scenario::new(
            "pod-finished",
            "a service's Pod that ends well is replaced; ended ones are kept in bounds",
            |s| Box::pin(finished(s)),
        ),
    ]
}

async fn deleted(scene: Scene) -> Result<()> {
    scene.apply(&Service::new("web", 6)).await?;
    scene.running("web", 6).await?;
    let before = scene.live("web");
    let pods = scene.world.kube.pods(&scene.namespace);
    for pod in before.iter().take(3) {
        pods.delete(&pod.name, &DeleteParams::default()).await?;
    }
    let after = wait::until("three instances in their second run", Duration::from_secs(30), || async {
        let live = scene.live("web");
        let runs: Vec<u32> = live.iter().map(|pod| pod.run).collect();
        let up = live.iter().all(|pod| pod.is_up());
        Ok(if runs == [2, 2, 2, 1, 1, 1] && up {
            Look::Done(live)
        } else {
            Look::NotYet(format!("{runs:?}"))
        })
    })
    .await?;
    let same = before.iter().zip(&after).skip(3).all(|(a, b)| a.uid == b.uid);
    ensure!(same, "Pods that nobody deleted were replaced");
    ensure!(after.iter().all(|pod| pod.flaps == 0), "a deleted Pod counts as flapping: {after:?}");
    scene.running("web", 6).await?;
    ensure!(scene.updates_count().await? == 0, "healing is no update");
    Ok(())
}

/// Real times are a minute and more; here the delays are 0, 3, 6, 6 seconds.
async fn flapping(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let service = Service::new("web", 1)
        .simulate("fail-after-seconds", "1")
        .simulate("exit-code", "3")
        .set("/flapping", json!({ "thresholdSeconds": 60, "initialDelaySeconds": 3, "maxDelaySeconds": 6 }));
    scene.apply(&service).await?;
    let held = scene
        .service_until("web", "an instance that is held back", |service| {
            number(service, "/status/counts/throttled") == 1
        })
        .await?;
    let (status, _, message) = condition(&held, "Ready").context("no condition Ready")?;
    ensure!(status == "False", "Ready although its only instance is held back");
    ensure!(message.contains("held back"), "Ready's message does not say that it is held back: {message}");

    let runs = wait::until("five runs", Duration::from_secs(60), || async {
        let runs = observer::runs(scene.history(mark, "web").iter(), 0);
        Ok(if runs.len() >= 5 { Look::Done(runs) } else { Look::NotYet(format!("{runs:?}")) })
    })
    .await?;
    let flaps: Vec<u32> = runs.iter().take(5).map(|run| run.flaps).collect();
    ensure!(flaps == [0, 1, 2, 3, 4], "the Pods carry the flaps {flaps:?}");
    let delays: Vec<f64> = runs.iter().filter_map(|run| run.held).map(|held| held.as_secs_f64()).collect();
    scene.note(format!(
        "held back {}",
        delays.iter().map(|d| format!("{d:.1}s")).collect::<Vec<_>>().join(", ")
    ));
    // Ends are told in whole seconds, so a delay may seem up to one shorter; the upper bounds leave room for a busy
    // machine.
    for (delay, (least, most)) in delays.iter().zip([(0.0, 2.5), (2.0, 5.5), (5.0, 8.5), (5.0, 8.5)]) {
        ensure!(
            (least..most).contains(delay),
            "held back {delay:.1}s, not {least} to {most}; all: {delays:?}"
        );
    }
    Ok(())
}

async fn finished(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let service = Service::new("web", 2)
        .simulate("exit-after-seconds", "2")
        .set("/flapping", json!({ "thresholdSeconds": 0, "initialDelaySeconds": 0, "maxDelaySeconds": 0 }))
        .set("/history", json!({ "failed": 1, "ended": 0, "ttlSeconds": 600 }));
    scene.apply(&service).await?;
    let seen = wait::until("both instances in their eighth run", Duration::from_secs(120), || async {
        let live = scene.live("web");
        let reached = live.len() == 2 && live.iter().all(|pod| pod.run >= 8);
        Ok(if reached { Look::Done(live) } else { Look::NotYet(format!("{live:?}")) })
    })
    .await?;
    ensure!(seen.iter().all(|pod| pod.live_label), "a live Pod has lost its label");
    let (mut kept, mut most_kept) = (std::collections::BTreeSet::new(), 0);
    for entry in scene.history(mark, "web").iter() {
        if entry.change == observer::Change::Deleted {
            kept.remove(&entry.pod.uid);
        } else if !entry.pod.is_live() {
            kept.insert(entry.pod.uid.clone());
        }
        most_kept = most_kept.max(kept.len());
    }
    // One is kept; each instance's newest ended one also stays until its successor was seen, and pruning takes a moment.
    // Without pruning there would be fourteen.
    ensure!((1..=6).contains(&most_kept), "{most_kept} ended Pods were kept at once");
    Ok(())
}
