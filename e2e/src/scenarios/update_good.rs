//! Good updates, in batches and in a queue: never more instances down than the strategy allows.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::json;

use crate::{
    kube_api::{condition, number, text},
    observer,
    runner::Scenario,
    scene::Scene,
    service::Service,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "update-batch",
            "a good update in batches: group after group, bounded, then last good",
            |s| Box::pin(batch(s)),
        ),
        Scenario::new(
            "update-queue",
            "a good update in a sliding window, with more instances at once",
            |s| Box::pin(queue(s)),
        ),
        Scenario::new("update-unchanged", "a change that shapes no Pod starts no update", |s| {
            Box::pin(unchanged(s))
        }),
        Scenario::new("update-superseded", "a new config takes over from a running update", |s| {
            Box::pin(superseded(s))
        }),
    ]
}

async fn batch(scene: Scene) -> Result<()> {
    let service = Service::new("web", 11).batch(4);
    scene.apply(&service).await?;
    scene.running("web", 11).await?;
    let old = scene.current_revision("web").await?;

    let (begin, mark) = (Instant::now(), scene.mark());
    scene.apply(&service.clone().version(2)).await?;
    let under_way = scene.update_in("web", 1, "ROLLING_FORWARD").await?;
    let new = text(&under_way, "/spec/instructions/to/revision").to_owned();
    ensure!(
        text(&under_way, "/spec/instructions/to/instances") == "0-10",
        "not all instances: {under_way:#}"
    );
    ensure!(
        text(&under_way, "/spec/instructions/from/0/revision") == old,
        "another old revision: {under_way:#}"
    );
    scene.says("web", "Reconciling", "True", "Updating").await?;

    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.note(format!("11 in batches of 4: {:.1}s", begin.elapsed().as_secs_f64()));
    ensure!(text(&update, "/status/updated") == "0-10", "updated: {}", update["status"]);
    ensure!(!text(&update, "/status/finished").is_empty(), "it has no end: {}", update["status"]);
    let service = scene.running("web", 11).await?;
    ensure!(text(&service, "/status/currentRevision") == new, "the new config is not the last good one");
    ensure!(
        text(&service, "/status/update/state") == "ROLLED_FORWARD",
        "the service names {}",
        service["status"]
    );
    let (_, reason, _) = condition(&service, "Ready").context("no condition Ready")?;
    ensure!(reason == "Running", "Ready's reason is {reason}");
    scene.all_run("web", 11, &new)?;
    let runs: Vec<u32> = scene.live("web").iter().map(|pod| pod.run).collect();
    ensure!(runs.iter().all(|run| *run == 2), "an instance was replaced more than once: {runs:?}");

    let down = scene.most_down(mark, "web", 11);
    ensure!(down <= 4, "{down} instances were down at once in batches of 4");
    let groups = observer::groups(scene.history(mark, "web").iter(), &new)
        .map_err(|what| anyhow::anyhow!("{what}"))?;
    let mut sizes = Vec::new();
    let mut next = 0;
    for mut group in groups {
        group.sort_unstable();
        let count = u32::try_from(group.len())?;
        ensure!(group == (next..next + count).collect::<Vec<_>>(), "not in order: {group:?}");
        next += count;
        sizes.push(count);
    }
    ensure!(sizes == [4, 4, 3], "the groups were {sizes:?}");
    last_good_is(&scene, &new).await
}

/// Exactly one stored config is marked as the last good one.
async fn last_good_is(scene: &Scene, revision: &str) -> Result<()> {
    let params = ListParams::default().labels("borealis.dev/last-good=true");
    let marked = scene.world.kube.revisions(&scene.namespace).list(&params).await?.items;
    let of = |stored: &k8s_openapi::api::apps::v1::ControllerRevision| {
        stored
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(observer::REVISION))
            .cloned()
            .unwrap_or_default()
    };
    let names: Vec<String> = marked.iter().map(of).collect();
    ensure!(names == [revision], "last good are {names:?}, not {revision}");
    Ok(())
}

async fn queue(scene: Scene) -> Result<()> {
    let service = Service::new("web", 9).queue(3).simulate("start-seconds", "1");
    scene.apply(&service).await?;
    scene.running("web", 9).await?;
    let mark = scene.mark();
    // More instances with the new config: they come first, then the old ones are changed.
    scene.apply(&service.clone().version(2).instances(11)).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/updated") == "0-10", "updated: {}", update["status"]);
    ensure!(number(&update, "/spec/instructions/previousInstances") == 9, "instructions: {}", update["spec"]);
    let service = scene.running("web", 11).await?;
    scene.all_run("web", 11, text(&service, "/status/currentRevision"))?;
    let down = scene.most_down(mark, "web", 9);
    ensure!(down <= 3, "{down} instances were down at once in a window of 3");
    ensure!(down >= 2, "the window was not used: at most {down} at once");
    Ok(())
}

async fn unchanged(scene: Scene) -> Result<()> {
    let service = Service::new("web", 3).version(1);
    scene.apply(&service).await?;
    scene.running("web", 3).await?;
    let mark = scene.mark();
    scene.apply(&service.clone().batch(2).set("/update/watchSeconds", json!(7))).await?;
    scene.apply(&service.set("/history", json!({ "failed": 2 }))).await?;
    scene.running("web", 3).await?;
    ensure!(scene.updates_count().await? == 0, "settings alone started an update");
    scene.untouched_since(mark)
}

async fn superseded(scene: Scene) -> Result<()> {
    let service = Service::new("web", 6).batch(2).simulate("start-seconds", "1");
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let old = scene.current_revision("web").await?;
    let mark = scene.mark();
    scene.apply(&service.clone().version(2)).await?;
    scene
        .update_until("web", 1, "its first batch to be done", |update| {
            number(update, "/status/counts/updated") >= 2
        })
        .await?;
    // The third config is bad; the way back goes to the first, not to the second that was never proven.
    let bad = service.version(3).simulate("fail-after-seconds", "1").simulate("start-seconds", "30");
    scene.apply(&bad).await?;
    let first = scene.update_in("web", 1, "ABORTED").await?;
    ensure!(text(&first, "/status/message").contains("superseded"), "message: {}", first["status"]);
    scene.update_in("web", 2, "ROLLED_BACK").await?;
    let service = scene.running("web", 6).await?;
    ensure!(text(&service, "/status/currentRevision") == old, "not back at the base of the chain");
    scene.all_run("web", 6, &old)?;
    let down = scene.most_down(mark, "web", 6);
    ensure!(down <= 4, "{down} instances were down at once in two updates of batches of 2");
    Ok(())
}
