//! The operator's replicas fail: killed, suspended, cut off from the API server, all while something is going on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;
use serde_json::json;

use crate::{
    kube_api::number,
    observer::{Change, Mark},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// How long a change of leaders may take.
pub(super) const ELECTION: Duration = Duration::from_secs(40);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "leader-killed",
            "the leader is killed in mid-update; the other replica ends the update",
            |s| Box::pin(killed(s)),
        )
        .exclusive(),
        Scenario::new("apiserver-restarted", "the API server is restarted in mid-update", |s| {
            Box::pin(apiserver(s))
        })
        .exclusive(),
        Scenario::new(
            "leader-suspended",
            "a leader that sleeps over two runs of an instance makes no second Pod",
            |s| Box::pin(suspended(s)),
        )
        .exclusive(),
    ]
}

/// Starts an update of twenty instances in batches of five and waits until it is well under way.
pub(super) async fn mid_update(scene: &Scene) -> Result<Mark> {
    let service = Service::new("web", 20).batch(5).simulate("start-seconds", "1");
    scene.apply(&service).await?;
    scene.running("web", 20).await?;
    let mark = scene.mark();
    scene.apply(&service.version(2)).await?;
    scene
        .update_until("web", 1, "its second batch to be under way", |update| {
            number(update, "/status/counts/updated") >= 5 && number(update, "/status/counts/working") > 0
        })
        .await?;
    Ok(mark)
}

/// The update ends well, each instance was replaced once, and the batch was kept throughout.
pub(super) async fn ends_well(scene: &Scene, mark: Mark) -> Result<()> {
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 20).await?;
    let revision = scene.current_revision("web").await?;
    scene.all_run("web", 20, &revision)?;
    let down = scene.most_down(mark, "web", 20);
    ensure!(down <= 5, "{down} instances were down at once in batches of 5");
    let live = scene.live("web");
    ensure!(live.iter().all(|pod| pod.run == 2), "an instance was replaced twice: {live:?}");
    ensure!(scene.updates_count().await? == 1, "a second update was made");
    Ok(())
}

async fn killed(scene: Scene) -> Result<()> {
    let operators = &scene.world.operators;
    let (leader, term) = operators.leader(ELECTION).await?;
    let mark = mid_update(&scene).await?;
    let begin = Instant::now();
    operators.kill(leader).await?;
    let (next, next_term) = operators.leader_other_than(Some(leader), ELECTION).await?;
    scene.note(format!("a new leader after {:.1}s", begin.elapsed().as_secs_f64()));
    ensure!(next != leader && next_term > term, "term {term} went to {next_term}");
    ends_well(&scene, mark).await
}

async fn apiserver(scene: Scene) -> Result<()> {
    let mark = mid_update(&scene).await?;
    scene.world.cluster.component("restart", "kube-apiserver").await?;
    ends_well(&scene, mark).await
}

/// The leader has a timer running for the next run of an instance when it is suspended. Its successor makes that run
/// and the one after it, and removes both; then the first leader goes on, with a name that is free again.
async fn suspended(scene: Scene) -> Result<()> {
    let operators = &scene.world.operators;
    let (leader, _) = operators.leader(ELECTION).await?;
    let service = Service::new("web", 1)
        .simulate("fail-after-seconds", "1")
        .set("/history", json!({ "failed": 0, "ended": 0 }))
        .set("/flapping", json!({ "thresholdSeconds": 60, "initialDelaySeconds": 8, "maxDelaySeconds": 8 }));
    let mark = scene.mark();
    scene.apply(&service).await?;
    scene
        .service_until("web", "an instance that is held back", |s| number(s, "/status/counts/throttled") == 1)
        .await?;
    operators.suspend(leader).await?;
    let begin = Instant::now();
    operators.leader_other_than(Some(leader), ELECTION).await?;

    // Two runs of the successor's: the first it owes, the second after the first was removed from outside.
    let third = next_run(&scene, mark, 2).await?;
    // It may have ended and be gone already, which is as good.
    let _ = scene.world.kube.pods(&scene.namespace).delete(&third, &DeleteParams::default()).await;
    let fourth = next_run(&scene, mark, 3).await?;
    ensure!(fourth != third, "a name was used twice: {third}");
    scene.note(format!("suspended {:.1}s", begin.elapsed().as_secs_f64()));

    // A service that stays up, to see that the first leader does nothing when it goes on.
    scene.apply(&Service::new("calm", 3)).await?;
    scene.running("calm", 3).await?;
    operators.resume(leader).await?;
    wait::holds("using each name once", Duration::from_secs(6), || async {
        let added = scene.history(mark, "web").into_iter().filter(|entry| entry.change == Change::Added);
        let names: Vec<String> = added.map(|entry| entry.pod.name).collect();
        let unique: std::collections::BTreeSet<&String> = names.iter().collect();
        Ok(wait::when(unique.len() == names.len(), format!("{names:?}")))
    })
    .await?;
    operators.start_all().await?;
    operators.leader(ELECTION).await?;
    scene.running("calm", 3).await?;
    Ok(())
}

/// Waits until the instance has had more runs than `after`, and returns the name of the newest.
async fn next_run(scene: &Scene, mark: Mark, after: u32) -> Result<String> {
    wait::until(&format!("a run after {after}"), Duration::from_secs(60), || async {
        let newest = scene.history(mark, "web").into_iter().map(|entry| entry.pod).max_by_key(|pod| pod.run);
        let newest = newest.context("no Pod was seen")?;
        Ok(if newest.run > after { Look::Done(newest.name) } else { Look::NotYet(newest.to_string()) })
    })
    .await
}
