//! Bad updates: rolled back by themselves, or halted where that is switched off; the status tells the story.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    kube_api::{at, condition, number, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "update-rolls-back",
            "a bad update is taken back by itself, and the status says why",
            |s| Box::pin(rolls_back(s)),
        ),
        Scenario::new(
            "update-never-ready",
            "instances that never get ready fail an update by its deadline",
            |s| Box::pin(never_ready(s)),
        ),
        Scenario::new(
            "update-halts",
            "with rollback off a bad update ends FAILED and nothing more is changed",
            |s| Box::pin(halts(s)),
        ),
        Scenario::new("update-tolerates", "failures within the budgets are borne and listed", |s| {
            Box::pin(tolerates(s))
        }),
    ]
}

/// A version whose instances end before they ever get ready, so that none is taken for good by chance.
fn bad(service: &Service) -> Service {
    let failing = service.clone().version(2).simulate("fail-after-seconds", "1");
    failing.simulate("exit-code", "42").simulate("start-seconds", "30")
}

async fn rolls_back(scene: Scene) -> Result<()> {
    let good = Service::new("web", 8).batch(2);
    scene.apply(&good).await?;
    scene.running("web", 8).await?;
    let old = scene.current_revision("web").await?;
    let untouched: Vec<String> =
        (2..8).map(|instance| scene.uid_of("web", instance)).collect::<Result<_>>()?;

    let mark = scene.mark();
    scene.apply(&bad(&good)).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    let new = text(&update, "/spec/instructions/to/revision").to_owned();
    tells_the_cause(at(&update, "/status/cause"))?;
    ensure!(text(&update, "/status/rolledBack") == "0-1", "rolled back: {}", update["status"]);

    let message = scene.says("web", "Stalled", "True", "RolledBack").await?;
    ensure!(message.contains(&new) && message.contains(&old), "it does not name both configs: {message}");
    let service =
        scene.service_until("web", "Ready again", |s| number(s, "/status/counts/running") == 8).await?;
    let (status, reason, _) = condition(&service, "Ready").context("no condition Ready")?;
    ensure!((status, reason) == ("True", "RolledBack"), "Ready is {status}, {reason}");
    ensure!(text(&service, "/status/currentRevision") == old, "the running config is not named");
    ensure!(text(&service, "/status/failure/revision") == new, "the failed config is not named");
    ensure!(text(&service, "/status/failure/update") == "web-1", "the update is not named");
    tells_the_cause(at(&service, "/status/failure"))?;
    scene.all_run("web", 8, &old)?;
    let after: Vec<String> = (2..8).map(|instance| scene.uid_of("web", instance)).collect::<Result<_>>()?;
    ensure!(after == untouched, "instances that the update never reached were touched");
    let down = scene.most_down(mark, "web", 8);
    ensure!(down <= 2, "{down} instances were down at once in batches of 2");

    events_tell(&scene).await?;

    // The failed config is not tried again by applying it again.
    let mark = scene.mark();
    scene.apply(&bad(&good)).await?;
    scene.stays_untouched(mark, Duration::from_secs(3)).await?;
    ensure!(scene.updates_count().await? == 1, "the failed config was tried again");

    // A better one is, and clears the story.
    scene.apply(&good.version(3)).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    let service = scene.running("web", 8).await?;
    ensure!(at(&service, "/status/failure").is_null(), "an old failure is still told: {}", service["status"]);
    ensure!(condition(&service, "Stalled").is_none_or(|(status, ..)| status == "False"), "still stalled");
    Ok(())
}

/// The update's events tell of the instance that failed and of the way back, the service's of what became of it.
async fn events_tell(scene: &Scene) -> Result<()> {
    told_of(scene, "web-1", &["InstanceFailed", "RollingBack", "RolledBack"]).await?;
    told_of(scene, "web", &["Running", "Updating", "RollingBack", "RolledBack"]).await
}

async fn told_of(scene: &Scene, name: &str, expected: &[&str]) -> Result<()> {
    wait::until(&format!("events about {name}"), super::LONG, || async {
        let all = scene.world.kube.events(&scene.namespace).list(&ListParams::default()).await?.items;
        let about = |event: &&Event| {
            event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(name))
        };
        let reasons: Vec<String> =
            all.iter().filter(about).filter_map(|event| event.reason.clone()).collect();
        let told = expected.iter().all(|reason| reasons.iter().any(|r| r == reason));
        Ok(wait::when(told, format!("{reasons:?}")))
    })
    .await
}

/// A failure names its instance, a reason and the exit code.
fn tells_the_cause(failure: &Value) -> Result<()> {
    ensure!((0..=1).contains(&number(failure, "/instance")), "not of the first batch: {failure}");
    ensure!(text(failure, "/reason") == "Exited", "reason: {failure}");
    ensure!(number(failure, "/exitCode") == 42, "exit code: {failure}");
    ensure!(text(failure, "/message").contains("42"), "message: {failure}");
    Ok(())
}

async fn never_ready(scene: Scene) -> Result<()> {
    let good = Service::new("web", 4).batch(2).set("/update/maxWaitSeconds", json!(5));
    scene.apply(&good).await?;
    scene.running("web", 4).await?;
    let old = scene.current_revision("web").await?;
    scene.apply(&good.version(2).simulate("never-ready", "true")).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    let message = text(&update, "/status/cause/message");
    ensure!(message.contains("maxWaitSeconds"), "the cause does not name the deadline: {message}");
    scene.says("web", "Ready", "True", "RolledBack").await?;
    scene.all_run("web", 4, &old)
}

async fn halts(scene: Scene) -> Result<()> {
    let good = Service::new("web", 6).batch(2).set("/update/rollbackOnFailure", json!(false));
    scene.apply(&good).await?;
    scene.running("web", 6).await?;
    let old = scene.current_revision("web").await?;
    scene.apply(&bad(&good)).await?;
    let update = scene.update_in("web", 1, "FAILED").await?;
    tells_the_cause(at(&update, "/status/cause"))?;
    let message = scene.says("web", "Stalled", "True", "UpdateFailed").await?;
    ensure!(message.contains("42"), "Stalled does not say why: {message}");
    scene.says("web", "Ready", "False", "UpdateFailed").await?;
    wait::holds("instances 2 to 5 on the old config", Duration::from_secs(4), || async {
        let live = scene.live("web");
        let old_ones: Vec<_> =
            live.iter().filter(|pod| pod.revision == old).map(|pod| pod.key.instance).collect();
        Ok(wait::when(old_ones == [2, 3, 4, 5], format!("{old_ones:?}")))
    })
    .await?;
    let service = scene.service("web").await?;
    ensure!(text(&service, "/status/currentRevision") == old, "a failed config is called the last good one");
    Ok(())
}

async fn tolerates(scene: Scene) -> Result<()> {
    // All that are updated fail, and just as many are borne.
    let good = Service::new("web", 5)
        .batch(2)
        .set("/update/instances", json!("0-3"))
        .set("/update/maxFailedInstances", json!(4))
        .set("/flapping", json!({ "thresholdSeconds": 0, "initialDelaySeconds": 0, "maxDelaySeconds": 0 }));
    scene.apply(&good).await?;
    scene.running("web", 5).await?;
    scene.apply(&bad(&good)).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/failed") == "0-3", "failed: {}", update["status"]);
    let message = text(&update, "/status/message");
    ensure!(
        message.contains("tolerated"),
        "the message does not say that failures were tolerated: {message}"
    );
    let failures = update["status"]["failures"].as_array().map_or(0, Vec::len);
    ensure!(failures == 4, "{failures} instances with failures are listed");
    Ok(())
}
