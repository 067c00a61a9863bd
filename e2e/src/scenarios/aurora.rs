//! The updates that Aurora's own end-to-end test goes through, one after the other, under its names.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    kube_api::{number, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("aurora-add-1-to-3", "two instances are added, the first is not touched", |s| {
            Box::pin(add(s))
        }),
        Scenario::new(
            "aurora-kill-only-3-to-1",
            "two instances are removed, the first is not touched",
            |s| Box::pin(kill_only(s)),
        ),
        Scenario::new("aurora-add-with-waits", "instances come with a new config, each watched", |s| {
            Box::pin(add_with_waits(s))
        }),
        Scenario::new(
            "aurora-restart-in-mid-update",
            "the scheduler is restarted, the update paused and resumed",
            |s| Box::pin(restart(s)),
        )
        .exclusive(),
        Scenario::new("aurora-bad-health", "a health check that can't succeed is rolled back", |s| {
            Box::pin(bad_health(s))
        }),
        Scenario::new("aurora-variable-batch", "one instance first, then two at a time", |s| {
            Box::pin(variable_batch(s))
        }),
    ]
}

async fn add(scene: Scene) -> Result<()> {
    let service = Service::new("web", 1);
    scene.apply(&service).await?;
    scene.running("web", 1).await?;
    let first = scene.uid_of("web", 0)?;
    scene.apply(&service.instances(3)).await?;
    scene.running("web", 3).await?;
    ensure!(scene.uid_of("web", 0)? == first, "the first instance was touched");
    // More of the same config needs no proof: it is no update.
    ensure!(scene.updates_count().await? == 0, "a change of the count alone made an update");
    Ok(())
}

async fn kill_only(scene: Scene) -> Result<()> {
    let service = Service::new("web", 3);
    scene.apply(&service).await?;
    scene.running("web", 3).await?;
    let first = scene.uid_of("web", 0)?;
    scene.apply(&service.instances(1)).await?;
    scene.running("web", 1).await?;
    let live: Vec<u32> = scene.live("web").iter().map(|pod| pod.key.instance).collect();
    ensure!(live == [0] && scene.uid_of("web", 0)? == first, "live are {live:?}");
    Ok(())
}

async fn add_with_waits(scene: Scene) -> Result<()> {
    let service = Service::new("web", 1).set("/update/watchSeconds", json!(3));
    scene.apply(&service).await?;
    scene.running("web", 1).await?;
    scene.apply(&service.version(2).instances(3)).await?;
    // A queue of one, each watched for three seconds from when it runs: nine at least.
    let began = std::time::Instant::now();
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    let took = began.elapsed();
    ensure!(took >= Duration::from_secs(8), "three instances were watched in {:.1} s", took.as_secs_f64());
    ensure!(number(&update, "/spec/instructions/previousInstances") == 1, "{}", update["spec"]);
    scene.running("web", 3).await?;
    scene.all_run("web", 3, text(&update, "/spec/instructions/to/revision"))
}

async fn restart(scene: Scene) -> Result<()> {
    let operators = &scene.world.operators;
    let election = Duration::from_secs(40);
    let (leader, _) = operators.leader(election).await?;
    let service = Service::new("web", 6).batch(2).simulate("start-seconds", "1");
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    scene.apply(&service.version(2)).await?;
    scene
        .update_until("web", 1, "its first batch to be done", |update| {
            number(update, "/status/counts/updated") >= 2
        })
        .await?;
    operators.kill(leader).await?;
    operators.leader_other_than(Some(leader), election).await?;
    scene.control("web", 1, json!({ "paused": true })).await?;
    scene.update_in("web", 1, "ROLL_FORWARD_PAUSED").await?;
    scene.control("web", 1, json!({ "paused": false })).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 6).await?;
    scene.all_run("web", 6, text(&update, "/spec/instructions/to/revision"))?;
    let runs: Vec<u32> = scene.live("web").iter().map(|pod| pod.run).collect();
    ensure!(runs == [2; 6], "an instance was changed twice: {runs:?}");
    Ok(())
}

async fn bad_health(scene: Scene) -> Result<()> {
    let service = Service::new("web", 2).set("/update/maxWaitSeconds", json!(5));
    scene.apply(&service).await?;
    scene.running("web", 2).await?;
    let old = scene.current_revision("web").await?;
    scene.apply(&service.version(2).simulate("never-ready", "true")).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    let said = text(&update, "/status/cause/message");
    ensure!(said.contains("not Ready"), "the cause is told as: {said}");
    scene.running("web", 2).await?;
    scene.all_run("web", 2, &old)
}

async fn variable_batch(scene: Scene) -> Result<()> {
    let service =
        Service::new("web", 5).set("/update/strategy", json!({ "variableBatch": { "groupSizes": [1, 2] } }));
    scene.apply(&service).await?;
    scene.running("web", 5).await?;
    let mark = scene.mark();
    scene.apply(&service.version(2)).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/progress") == "5/5", "progress: {}", update["status"]);
    let down = scene.most_down(mark, "web", 5);
    ensure!(down <= 2, "{down} instances were down at once in groups of at most 2");
    Ok(())
}
