//! Updates that make the next Pod of an instance beside the one that runs: nothing is ever down for them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    kube_api::{number, text},
    observer::{Change, Mark},
    runner::Scenario,
    scene::Scene,
    service::Service,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("surge", "the next Pod of an instance is Ready before the last one ends", |s| {
            Box::pin(surge(s))
        }),
        Scenario::new("surge-rolled-back", "a bad config takes nothing down, and what ran stays", |s| {
            Box::pin(rolled_back(s))
        }),
        Scenario::new("surge-abort", "what serves stays when an update is given up half way", |s| {
            Box::pin(abort(s))
        }),
    ]
}

/// A service of which two instances may have two Pods at a time, which the witness is told.
fn surging(scene: &Scene, instances: u32) -> Service {
    scene.world.observer.ledger().allow_surge(&scene.namespace, "web", 2);
    Service::new("web", instances)
        .simulate("start-seconds", "2")
        .set("/update/strategy", json!({ "queue": { "groupSize": 3 } }))
        .set("/update/maxSurge", json!(2))
}

/// The most instances that had two live Pods at once.
fn most_two(scene: &Scene, since: Mark) -> usize {
    let mut live: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut most = 0;
    for entry in scene.history(since, "web") {
        let uids = live.entry(entry.pod.key.instance).or_default();
        if entry.change != Change::Deleted && entry.pod.is_live() {
            uids.insert(entry.pod.uid);
        } else {
            uids.remove(&entry.pod.uid);
        }
        most = most.max(live.values().filter(|uids| uids.len() > 1).count());
    }
    most
}

fn uids(scene: &Scene, instances: u32) -> Result<Vec<String>> {
    (0..instances).map(|instance| scene.uid_of("web", instance)).collect()
}

async fn surge(scene: Scene) -> Result<()> {
    let begin = scene.mark();
    let service = surging(&scene, 6);
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let old = scene.current_revision("web").await?;
    let mark = scene.mark();
    scene.apply(&service.clone().version(2)).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    let new = text(&update, "/spec/instructions/to/revision").to_owned();
    scene.running("web", 6).await?;
    scene.all_run("web", 6, &new)?;
    ensure!(most_two(&scene, begin) == 2, "{} instances had two Pods, not 2", most_two(&scene, begin));

    // What has come about is taken back in the same way.
    scene.control("web", 1, json!({ "rollback": { "reason": "changed our minds" } })).await?;
    scene.update_in("web", 2, "ROLLED_BACK").await?;
    scene.running("web", 6).await?;
    scene.all_run("web", 6, &old)?;
    let down = scene.most_down(mark, "web", 6);
    ensure!(down == 0, "{down} instances were down");
    Ok(())
}

async fn rolled_back(scene: Scene) -> Result<()> {
    let service = surging(&scene, 4);
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    let (mark, before) = (scene.mark(), uids(&scene, 4)?);
    let bad = service.version(2).simulate("start-seconds", "60").simulate("fail-after-seconds", "1");
    scene.apply(&bad).await?;
    scene.update_in("web", 1, "ROLLED_BACK").await?;
    scene
        .service_until("web", "all to run", |service| {
            number(service, "/status/counts/running") == 4 && number(service, "/status/replicas") == 4
        })
        .await?;
    ensure!(uids(&scene, 4)? == before, "Pods that served were replaced");
    let down = scene.most_down(mark, "web", 4);
    ensure!(down == 0, "{down} instances were down");
    Ok(())
}

async fn abort(scene: Scene) -> Result<()> {
    let service = surging(&scene, 2);
    scene.apply(&service).await?;
    scene.running("web", 2).await?;
    let (mark, before) = (scene.mark(), uids(&scene, 2)?);
    let slow = service.version(2).simulate("start-seconds", "600");
    scene.apply(&slow).await?;
    scene.service_until("web", "four Pods", |service| number(service, "/status/replicas") == 4).await?;
    scene.control("web", 1, json!({ "abort": { "reason": "takes too long" } })).await?;
    scene.update_in("web", 1, "ABORTED").await?;
    scene.service_until("web", "two Pods again", |service| number(service, "/status/replicas") == 2).await?;
    ensure!(uids(&scene, 2)? == before, "what served did not stay");
    let down = scene.most_down(mark, "web", 2);
    ensure!(down == 0, "{down} instances were down");
    Ok(())
}
