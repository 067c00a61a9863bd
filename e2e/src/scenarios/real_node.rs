//! Real containers and real probes: a liveness failure, a bad update taken back by a probe, a task that ends as one.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    kube_api::{condition, number, text},
    observer::Facts,
    runner::Scenario,
    scene::Scene,
    service::{Service, TEST_IMAGE},
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "real-liveness",
            "a container that turns unhealthy is ended by its probe and replaced",
            |s| Box::pin(liveness(s)),
        )
        .real_node(),
        Scenario::new("real-rollback", "a bad update is taken back because a real probe fails", |s| {
            Box::pin(rollback(s))
        })
        .real_node(),
        Scenario::new(
            "real-ends-as-one",
            "a task of several containers ends when one of them has ended",
            |s| Box::pin(ends_as_one(s)),
        )
        .real_node(),
    ]
}

/// A service of real containers that is checked every second.
fn checked(instances: u32) -> Service {
    Service::new("web", instances).on_real_node().set(
        "/health",
        json!({ "http": {}, "intervalSeconds": 1, "initialIntervalSeconds": 4, "maxConsecutiveFailures": 1 }),
    )
}

/// Waits until an instance's run is up, and returns its Pod.
async fn run_of(scene: &Scene, instance: u32, run: u32) -> Result<Facts> {
    wait::until(&format!("run {run} of instance {instance}"), super::LONG, || async {
        let live = scene.live("web");
        let found = live.iter().find(|pod| pod.key.instance == instance && pod.run >= run && pod.is_up());
        Ok(found.cloned().map_or_else(|| Look::NotYet(format!("{live:?}")), Look::Done))
    })
    .await
}

async fn liveness(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    scene.apply(&checked(1).env_var("FAIL_HEALTH_AFTER", "8")).await?;
    scene.running("web", 1).await?;
    let first = scene.live("web").first().cloned().context("no Pod lives")?;
    let second = run_of(&scene, 0, 2).await?;
    ensure!(second.uid != first.uid, "the unhealthy Pod goes on");
    let ended = scene.history(mark, "web").into_iter().filter(|entry| entry.pod.uid == first.uid);
    let last = ended.filter(|entry| !entry.pod.is_live()).map(|entry| entry.pod.phase).next();
    // The image exits 0 when it is told to end: to Kubernetes that is a success, to a service it is an end.
    ensure!(last.is_some(), "the first Pod was never seen to end");
    scene.note(format!("its phase became {}", last.unwrap_or_default()));
    let logs = scene.kubectl(&["logs", &first.name]).await;
    ensure!(logs.is_ok_and(|logs| logs.contains("ends with status")), "the ended task's logs are gone");
    Ok(())
}

async fn rollback(scene: Scene) -> Result<()> {
    let good = checked(3).batch(1).set("/update/maxWaitSeconds", json!(60));
    scene.apply(&good).await?;
    scene.running("web", 3).await?;
    let old = scene.current_revision("web").await?;
    let mark = scene.mark();
    scene.apply(&good.env_var("HEALTH", "fail").env_var("TERM_EXIT_CODE", "3")).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    ensure!(number(&update, "/status/cause/exitCode") == 3, "the cause is {}", update["status"]["cause"]);
    let service = scene.running("web", 3).await?;
    let (_, reason, message) = condition(&service, "Ready").context("no condition Ready")?;
    ensure!(reason == "RolledBack", "Ready's reason is {reason}: {message}");
    ensure!(text(&service, "/status/failure/revision") != old, "the failed config is not named");
    scene.all_run("web", 3, &old)?;
    let down = scene.most_down(mark, "web", 3);
    ensure!(down <= 1, "{down} instances were down at once, one at a time was asked for");
    Ok(())
}

async fn ends_as_one(scene: Scene) -> Result<()> {
    let idle = json!({ "name": "idle", "image": TEST_IMAGE, "args": ["pause"] });
    let service = Service::new("web", 1)
        .on_real_node()
        .env_var("EXIT_AFTER", "4")
        .env_var("EXIT_CODE", "5")
        .container(idle)
        .set("/flapping", json!({ "thresholdSeconds": 0 }));
    let mark = scene.mark();
    scene.apply(&service).await?;
    let second = run_of(&scene, 0, 2).await?;
    let seen = scene.history(mark, "web");
    let first = seen.first().map(|entry| entry.pod.uid.clone()).context("no Pod was seen")?;
    let ended = seen.iter().any(|entry| entry.pod.uid == first && !entry.pod.is_live());
    ensure!(ended, "the other container goes on");
    let pod = scene.world.kube.pods(&scene.namespace).get(&second.name).await?;
    let pod: Value = serde_json::to_value(pod)?;
    let failures = text(&pod, "/metadata/annotations/borealis.dev~1failures");
    ensure!(failures == "1", "the successor carries {failures:?} failures; exit code 5 is one");
    Ok(())
}
