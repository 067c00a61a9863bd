//! Which instances an update is about: a range of them, none, all again.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    kube_api::{number, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("update-range", "only some instances are updated, and later the others", |s| {
            Box::pin(range(s))
        }),
        Scenario::new("update-range-keeps-count", "an update of some instances removes none", |s| {
            Box::pin(keeps_count(s))
        }),
        Scenario::new("update-restart", "a rolling restart makes every Pod anew, of the same config", |s| {
            Box::pin(restart(s))
        }),
        Scenario::new("update-taken-back", "a finished update is taken back by a new one", |s| {
            Box::pin(taken_back(s))
        }),
    ]
}

/// Which instances run the config.
fn running(scene: &Scene, revision: &str) -> Vec<u32> {
    let live = scene.live("web").into_iter();
    live.filter(|pod| pod.revision == revision).map(|pod| pod.key.instance).collect()
}

async fn range(scene: Scene) -> Result<()> {
    let service = Service::new("web", 6).batch(2);
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let old = scene.current_revision("web").await?;
    let others: Vec<String> =
        [0, 3, 5].map(|at| scene.uid_of("web", at)).into_iter().collect::<Result<_>>()?;

    let some = service.version(2).set("/update/instances", json!("1-2,4"));
    scene.apply(&some).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    let new = text(&update, "/spec/instructions/to/revision").to_owned();
    ensure!(text(&update, "/status/updated") == "1-2,4", "updated: {}", update["status"]);
    scene.running("web", 6).await?;
    ensure!(running(&scene, &new) == [1, 2, 4], "{new} runs on {:?}", running(&scene, &new));
    let after: Vec<String> =
        [0, 3, 5].map(|at| scene.uid_of("web", at)).into_iter().collect::<Result<_>>()?;
    ensure!(after == others, "instances out of the range were touched");

    // The job stays mixed: what dies comes back as it was.
    let pods = scene.live("web");
    let victim =
        pods.iter().find(|pod| pod.key.instance == 3).map(|pod| pod.name.clone()).unwrap_or_default();
    scene.kubectl(&["delete", "pod", &victim]).await?;
    scene
        .service_until("web", "instance 3 to be replaced", |service| {
            number(service, "/status/counts/running") == 6
                && scene.live("web").iter().any(|pod| pod.key.instance == 3 && pod.name != victim)
        })
        .await?;
    ensure!(running(&scene, &old) == [0, 3, 5], "{old} runs on {:?}", running(&scene, &old));

    // The same range again has nothing to do, and says so.
    let updated: Vec<String> =
        [1, 2, 4].map(|at| scene.uid_of("web", at)).into_iter().collect::<Result<_>>()?;
    // A wider one goes on with what is left.
    scene.apply(&some.set("/update/instances", json!("0-5"))).await?;
    let update = scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/updated") == "0,3,5", "updated: {}", update["status"]);
    scene.running("web", 6).await?;
    scene.all_run("web", 6, &new)?;
    let after: Vec<String> =
        [1, 2, 4].map(|at| scene.uid_of("web", at)).into_iter().collect::<Result<_>>()?;
    ensure!(after == updated, "instances that were updated already were touched");
    Ok(())
}

async fn keeps_count(scene: Scene) -> Result<()> {
    let service = Service::new("web", 5).batch(2);
    scene.apply(&service).await?;
    scene.running("web", 5).await?;
    scene.apply(&service.version(2).instances(3).set("/update/instances", json!("0-1"))).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/updated") == "0-1", "updated: {}", update["status"]);
    let numbers: Vec<u32> = scene.live("web").iter().map(|pod| pod.key.instance).collect();
    ensure!(numbers == [0, 1, 2, 3, 4], "an update of two instances removed some: {numbers:?} live");
    Ok(())
}

async fn restart(scene: Scene) -> Result<()> {
    let service = Service::new("web", 6).batch(2);
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let config = scene.current_revision("web").await?;
    let mark = scene.mark();
    // A Pod's creation is known in whole seconds: in a second from now all are older.
    let now = Timestamp::from_second(Timestamp::now().as_second() + 1)?;
    scene.apply(&service.set("/update/restartAt", json!(now.to_string()))).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/updated") == "0-5", "restarted: {}", update["status"]);
    scene.running("web", 6).await?;
    scene.all_run("web", 6, &config)?;
    let runs: Vec<u32> = scene.live("web").iter().map(|pod| pod.run).collect();
    ensure!(runs == [2; 6], "runs after one restart: {runs:?}");
    let down = scene.most_down(mark, "web", 6);
    ensure!(down <= 2, "{down} instances were down at once in batches of 2");
    Ok(())
}

async fn taken_back(scene: Scene) -> Result<()> {
    let service = Service::new("web", 4).batch(2);
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    let old = scene.current_revision("web").await?;
    scene.apply(&service.version(2)).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 4).await?;
    scene
        .control("web", 1, json!({ "rollback": { "reason": "the report is wrong", "author": "ann" } }))
        .await?;
    let back = scene.update_in("web", 2, "ROLLED_BACK").await?;
    ensure!(number(&back, "/spec/instructions/takesBack") == 1, "not linked: {}", back["spec"]);
    let told = (text(&back, "/spec/message"), text(&back, "/spec/author"));
    ensure!(told == ("the report is wrong", "ann"), "why and who is told as {told:?}");
    let service =
        scene.service_until("web", "four to run", |s| number(s, "/status/counts/running") == 4).await?;
    scene.all_run("web", 4, &old)?;
    ensure!(text(&service, "/status/currentRevision") == old, "the old config is not the last good one");
    Ok(())
}
