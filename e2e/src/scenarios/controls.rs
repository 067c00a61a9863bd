//! What people ask of a running update through the fields of its AuroraUpdate: pause, resume, abort, roll back.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    kube_api::{number, text},
    observer::{Change, Mark},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "control-pause",
            "a paused update starts nothing new; a resumed one goes on to its end",
            |s| Box::pin(pause(s)),
        ),
        Scenario::new("control-abort", "an aborted update leaves every instance as it is", |s| {
            Box::pin(abort(s))
        }),
        Scenario::new("control-rollback", "an update is taken back on request, in reverse order", |s| {
            Box::pin(rollback(s))
        }),
        Scenario::new("control-retry", "a config that failed is tried again on request", |s| {
            Box::pin(retry(s))
        }),
    ]
}

/// An update of eight instances in batches of two, whose first batch is done.
async fn half_way(scene: &Scene) -> Result<(String, String, Mark)> {
    let service = Service::new("web", 8).batch(2).simulate("start-seconds", "1");
    scene.apply(&service).await?;
    scene.running("web", 8).await?;
    let old = scene.current_revision("web").await?;
    let mark = scene.mark();
    scene.apply(&service.version(2)).await?;
    let update = scene
        .update_until("web", 1, "its first batch to be done", |update| {
            number(update, "/status/counts/updated") >= 2
        })
        .await?;
    Ok((old, text(&update, "/spec/instructions/to/revision").to_owned(), mark))
}

fn quiet(update: &Value) -> bool {
    number(update, "/status/counts/working") == 0
}

async fn pause(scene: Scene) -> Result<()> {
    let (_, new, mark) = half_way(&scene).await?;
    scene.control("web", 1, json!({ "paused": true })).await?;
    scene.update_in("web", 1, "ROLL_FORWARD_PAUSED").await?;
    scene.says("web", "Ready", "False", "UpdatePaused").await?;
    // What was being changed when the pause came is done, and stays under way until it is judged.
    scene.calm().await?;
    let changed = changed_to(&scene, &new);
    ensure!((2..8).contains(&changed), "{changed} instances have the new config");
    wait::holds("the pause", Duration::from_secs(4), || async {
        let now = changed_to(&scene, &new);
        Ok(wait::when(now == changed, format!("{now} instances have the new config, {changed} before")))
    })
    .await?;
    scene.control("web", 1, json!({ "paused": false })).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 8).await?;
    scene.all_run("web", 8, &new)?;
    let down = scene.most_down(mark, "web", 8);
    ensure!(down <= 2, "{down} instances were down at once in batches of 2");
    Ok(())
}

fn changed_to(scene: &Scene, revision: &str) -> usize {
    scene.live("web").iter().filter(|pod| pod.revision == revision).count()
}

async fn abort(scene: Scene) -> Result<()> {
    let (old, new, _) = half_way(&scene).await?;
    let request = json!({ "abort": { "reason": "the graphs look odd", "author": "ann" } });
    scene.control("web", 1, request).await?;
    let update = scene.update_in("web", 1, "ABORTED").await?;
    let message = text(&update, "/status/message");
    ensure!(
        message.contains("ann") && message.contains("graphs look odd"),
        "who and why is not told: {message}"
    );
    scene.says("web", "Stalled", "True", "UpdateAborted").await?;
    let (mark, changed) = (scene.calm().await?, changed_to(&scene, &new));
    ensure!((2..8).contains(&changed), "{changed} instances have the new config");
    ensure!(scene.live("web").len() == 8, "not all instances live: {:?}", scene.live("web"));
    scene.stays_untouched(mark, Duration::from_secs(4)).await?;
    let service = scene.service("web").await?;
    let revisions = service["status"]["revisions"].as_array().map_or(0, Vec::len);
    ensure!(revisions == 2, "the status does not list both configs: {}", service["status"]);
    ensure!(
        text(&service, "/status/currentRevision") == old,
        "an aborted config is called the last good one"
    );
    Ok(())
}

async fn rollback(scene: Scene) -> Result<()> {
    let (old, _, mark) = half_way(&scene).await?;
    scene.control("web", 1, json!({ "rollback": { "reason": "too slow", "author": "bob" } })).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    ensure!(quiet(&update), "it ended with instances under way: {}", update["status"]);
    let message = text(&update, "/status/message");
    ensure!(message.contains("bob") && message.contains("too slow"), "who and why is not told: {message}");
    scene.says("web", "Ready", "True", "RolledBack").await?;
    scene.all_run("web", 8, &old)?;
    let down = scene.most_down(mark, "web", 8);
    ensure!(down <= 2, "{down} instances were down at once in batches of 2");
    let history = scene.history(mark, "web");
    let back = history.iter().filter(|entry| entry.change == Change::Added && entry.pod.revision == old);
    let order: Vec<u32> = back.map(|entry| entry.pod.key.instance).collect();
    let groups: Vec<u32> = order.iter().map(|instance| instance / 2).collect();
    ensure!(groups.is_sorted_by(|a, b| a >= b), "not in reverse order: {order:?}");
    Ok(())
}

async fn retry(scene: Scene) -> Result<()> {
    let good = Service::new("web", 3).set("/update/maxWaitSeconds", json!(4));
    scene.apply(&good).await?;
    scene.running("web", 3).await?;
    // A config that fails for a reason outside: its Pods find no node until one gets the label.
    let claim = format!("{}-late", scene.namespace);
    let new = good.version(2).on_claimed_nodes(&claim);
    scene.apply(&new).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    let message = text(&update, "/status/cause/message");
    ensure!(message.contains("no node"), "the cause does not say that there was no node: {message}");
    scene.running("web", 3).await?;
    scene.world.claim_nodes(&claim, 1).await?;
    scene.control("web", 1, json!({ "retry": { "author": "ann" } })).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    let service = scene.running("web", 3).await?;
    scene.all_run("web", 3, text(&service, "/status/currentRevision"))
}
