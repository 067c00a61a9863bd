//! Updates that wait for people or programs: pulses, a hold on the service, a queue behind a running update.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    kube_api::{number, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "update-pulse",
            "an update goes on while pulses come, and waits where they don't",
            |s| Box::pin(pulse(s)),
        ),
        Scenario::new("update-pulse-failover", "a pulse outlives the leader that took it", |s| {
            Box::pin(failover(s))
        })
        .exclusive(),
        Scenario::new("update-held", "a service that holds its updates begins none", |s| Box::pin(held(s))),
        Scenario::new("update-queued", "a change waits until the running update has ended", |s| {
            Box::pin(queued(s))
        }),
    ]
}

async fn send(scene: &Scene) -> Result<()> {
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    scene.control("web", 1, json!({ "pulse": { "at": now.to_string() } })).await
}

async fn pulse(scene: Scene) -> Result<()> {
    let service = Service::new("web", 6).batch(2).set("/update/pulseIntervalSeconds", json!(5));
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let mark = scene.mark();
    scene.apply(&service.version(2)).await?;
    scene.update_in("web", 1, "ROLL_FORWARD_AWAITING_PULSE").await?;
    scene.says("web", "Ready", "False", "AwaitingPulse").await?;
    wait::holds("waiting for a pulse", Duration::from_secs(3), || async {
        let state = text(&scene.update("web", 1).await?, "/status/state").to_owned();
        Ok(wait::when(state == "ROLL_FORWARD_AWAITING_PULSE", state))
    })
    .await?;
    scene.untouched_since(mark)?;

    // A pulse does not unpause.
    scene.control("web", 1, json!({ "paused": true })).await?;
    scene.update_in("web", 1, "ROLL_FORWARD_PAUSED").await?;
    send(&scene).await?;
    wait::holds("the pause", Duration::from_secs(2), || async {
        let state = text(&scene.update("web", 1).await?, "/status/state").to_owned();
        Ok(wait::when(state == "ROLL_FORWARD_PAUSED", state))
    })
    .await?;
    scene.untouched_since(mark)?;
    scene.control("web", 1, json!({ "paused": false })).await?;

    // One pulse lasts for five seconds and not for six instances with a second of watching for each two.
    send(&scene).await?;
    scene.update_in("web", 1, "ROLLING_FORWARD").await?;
    let update = scene.update_in("web", 1, "ROLL_FORWARD_AWAITING_PULSE").await?;
    ensure!(number(&update, "/status/counts/failed") == 0, "blocked is not failed: {}", update["status"]);
    let ended = wait::until("ROLLED_FORWARD under pulses", super::LONG, || async {
        let update = scene.update("web", 1).await?;
        let state = text(&update, "/status/state").to_owned();
        if state != "ROLLED_FORWARD" {
            send(&scene).await?;
        }
        Ok(wait::when(state == "ROLLED_FORWARD", state))
    });
    ended.await?;
    scene.running("web", 6).await.map(|_| ())
}

async fn failover(scene: Scene) -> Result<()> {
    let operators = &scene.world.operators;
    let election = Duration::from_secs(40);
    let (leader, _) = operators.leader(election).await?;
    let service = Service::new("web", 8).batch(2).set("/update/pulseIntervalSeconds", json!(120));
    let service = service.simulate("start-seconds", "1");
    scene.apply(&service).await?;
    scene.running("web", 8).await?;
    scene.apply(&service.version(2)).await?;
    scene.update_in("web", 1, "ROLL_FORWARD_AWAITING_PULSE").await?;
    send(&scene).await?;
    let taken = scene
        .update_until("web", 1, "its first batch to be done", |update| {
            number(update, "/status/counts/updated") >= 2
        })
        .await?;
    let pulse = taken["status"]["pulse"].clone();
    ensure!(!pulse.is_null(), "the pulse that was taken is not recorded: {}", taken["status"]);
    operators.kill(leader).await?;
    operators.leader_other_than(Some(leader), election).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(update["status"]["pulse"] == pulse, "another pulse was counted: {}", update["status"]);
    scene.running("web", 8).await?;
    Ok(())
}

async fn held(scene: Scene) -> Result<()> {
    let service = Service::new("web", 3).set("/update/paused", json!(true));
    scene.apply(&service).await?;
    scene.running("web", 3).await?;
    let mark = scene.mark();
    let next = service.version(2);
    scene.apply(&next).await?;
    wait::holds("no update", Duration::from_secs(4), || async {
        let count = scene.updates_count().await?;
        Ok(wait::when(count == 0, format!("{count} updates")))
    })
    .await?;
    scene.untouched_since(mark)?;
    scene.apply(&next.set("/update/paused", json!(false))).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 3).await.map(|_| ())
}

async fn queued(scene: Scene) -> Result<()> {
    let service = Service::new("web", 4).batch(2).simulate("start-seconds", "2");
    let service = service.set("/update/whileUpdating", json!("Queue"));
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    scene.apply(&service.clone().version(2)).await?;
    scene.update_in("web", 1, "ROLLING_FORWARD").await?;
    scene.apply(&service.version(3)).await?;
    let first = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    let second = scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    ensure!(
        second["spec"]["instructions"]["from"][0]["revision"]
            == first["spec"]["instructions"]["to"]["revision"],
        "the second does not follow the first: {}",
        second["spec"]
    );
    scene.running("web", 4).await.map(|_| ())
}
