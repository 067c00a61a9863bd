//! In which groups instances are changed: sizes that vary, percentages, a pause after each group.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    kube_api::{number, text},
    observer::{self, Mark},
    runner::Scenario,
    scene::Scene,
    service::Service,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("update-variable-batch", "groups of several sizes, the last of which repeats", |s| {
            Box::pin(variable(s))
        }),
        Scenario::new("update-variable-back", "groups of several sizes on the way back", |s| {
            Box::pin(variable_back(s))
        }),
        Scenario::new("update-percent", "a group is a share of the service", |s| Box::pin(percent(s))),
        Scenario::new("update-autopause", "a pause after each group but the last", |s| {
            Box::pin(autopause(s))
        }),
    ]
}

/// The sizes of the groups in which instances got the config, each group in order and none twice.
fn sizes(scene: &Scene, mark: Mark, revision: &str) -> Result<Vec<usize>> {
    let groups = observer::groups(scene.history(mark, "web").iter(), revision)
        .map_err(|what| anyhow::anyhow!("{what}"))?;
    Ok(groups.iter().map(Vec::len).collect())
}

fn in_groups(instances: u32, sizes: &serde_json::Value) -> Service {
    Service::new("web", instances)
        .simulate("start-seconds", "1")
        .set("/update/strategy", json!({ "variableBatch": { "groupSizes": sizes } }))
}

async fn variable(scene: Scene) -> Result<()> {
    let service = in_groups(10, &json!([1, 2, "30%"]));
    scene.apply(&service).await?;
    scene.running("web", 10).await?;
    let mark = scene.mark();
    scene.apply(&service.version(2)).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/progress") == "10/10", "progress: {}", update["status"]);
    let new = text(&update, "/spec/instructions/to/revision").to_owned();
    let sizes = sizes(&scene, mark, &new)?;
    ensure!(sizes == [1, 2, 3, 3, 1], "the groups were {sizes:?}");
    let down = scene.most_down(mark, "web", 10);
    ensure!(down <= 3, "{down} instances were down at once in groups of at most 3");
    Ok(())
}

async fn variable_back(scene: Scene) -> Result<()> {
    let service = in_groups(7, &json!([1, 2, 4]));
    scene.apply(&service).await?;
    scene.running("web", 7).await?;
    let old = scene.current_revision("web").await?;
    scene.apply(&service.version(2)).await?;
    scene
        .update_until("web", 1, "its second group to be done", |update| {
            number(update, "/status/counts/updated") >= 3
        })
        .await?;
    let mark = scene.mark();
    scene.control("web", 1, json!({ "rollback": { "reason": "changed our minds" } })).await?;
    scene.update_in("web", 1, "ROLLED_BACK").await?;
    scene.running("web", 7).await?;
    scene.all_run("web", 7, &old)?;
    let mut back: Vec<u32> = Vec::new();
    for entry in scene.history(mark, "web") {
        if entry.change == observer::Change::Added && entry.pod.revision == old {
            back.push(entry.pod.key.instance);
        }
    }
    // Instance 0 was alone in the first group, so it is alone in the last of the way back.
    ensure!(back.last() == Some(&0), "the way back went {back:?}");
    let down = scene.most_down(mark, "web", 7);
    ensure!(down <= 4, "{down} instances were down at once in groups of at most 4");
    Ok(())
}

async fn percent(scene: Scene) -> Result<()> {
    let service = Service::new("web", 12)
        .simulate("start-seconds", "1")
        .set("/update/strategy", json!({ "batch": { "groupSize": "25%" } }));
    scene.apply(&service).await?;
    scene.running("web", 12).await?;
    let mark = scene.mark();
    scene.apply(&service.version(2)).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    let new = text(&update, "/spec/instructions/to/revision").to_owned();
    let sizes = sizes(&scene, mark, &new)?;
    ensure!(sizes == [3, 3, 3, 3], "the groups were {sizes:?}");
    Ok(())
}

async fn autopause(scene: Scene) -> Result<()> {
    let service = Service::new("web", 6)
        .set("/update/strategy", json!({ "batch": { "groupSize": 2, "autopauseAfterBatch": true } }));
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    scene.apply(&service.version(2)).await?;
    for (batch, progress) in [(1, "2/6"), (2, "4/6")] {
        let update = scene
            .update_until("web", 1, &format!("a pause after group {batch}"), |update| {
                text(update, "/status/state") == "ROLL_FORWARD_PAUSED"
                    && text(update, "/status/progress") == progress
            })
            .await?;
        ensure!(number(&update, "/status/counts/working") == 0, "not at rest: {}", update["status"]);
        let mark = scene.mark();
        scene.says("web", "Ready", "False", "UpdatePaused").await?;
        scene.untouched_since(mark)?;
        scene.control("web", 1, json!({ "resumeAfterBatch": batch })).await?;
    }
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(text(&update, "/status/progress") == "6/6", "progress: {}", update["status"]);
    scene.running("web", 6).await.map(|_| ())
}
