//! A namespace is lost and comes back from a backup as backup tools do it: objects without their statuses, of new uids, that
//! name owners of before; no Pods.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    cron::{self, Cron},
    kube_api::text,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait,
};

/// What is in the backup, in the order in which it comes back.
const KINDS: &str = "controllerrevisions,auroracrons,aurorajobs,auroraservices,auroraupdates";
/// How long objects may take to go.
const GONE: Duration = Duration::from_secs(60);
/// How long nothing may happen where nothing should.
const STILL: Duration = Duration::from_secs(4);
/// A new year's cron has no run until then.
const YEARLY: &str = "0 0 1 1 *";

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario::new(
        "restored",
        "a namespace that comes back from a backup runs what it ran, and starts no update and no run",
        |s| Box::pin(restored(s)),
    )]
}

async fn restored(scene: Scene) -> Result<()> {
    let service = Service::new("web", 4).batch(4);
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    let service = service.version(2);
    scene.apply(&service).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 4).await?;
    let revision = scene.current_revision("web").await?;
    scene.apply_cron(&Cron::new("yearly", &[YEARLY.to_owned()], &cron::quick(1))).await?;
    let before = due(&scene).await?;
    scene.apply(&Service::job("once", 1).simulate("exit-after-seconds", "1")).await?;
    complete(&scene).await?;

    let backup = scene.world.folder.join(format!("{}-backup.json", scene.namespace));
    let objects: Value = serde_json::from_str(&scene.kubectl(&["get", KINDS, "--output=json"]).await?)?;
    std::fs::write(&backup, without_what_the_cluster_gave(objects).to_string())?;
    scene.kubectl(&["delete", "auroraservices,auroracrons,aurorajobs", "--all"]).await?;
    wait::until("all of it to be gone", GONE, || async {
        let kinds = format!("{KINDS},pods");
        let left = scene.kubectl(&["get", &kinds, "--output=name"]).await?;
        Ok(wait::when(left.trim().is_empty(), left))
    })
    .await?;

    scene.kubectl(&["create", "--filename", &backup.to_string_lossy()]).await?;
    scene.running("web", 4).await?;
    ensure!(scene.current_revision("web").await? == revision, "another config runs than before");
    ensure!(due(&scene).await? == before, "the cron is due at another time than before");
    let mark = scene.calm().await?;
    scene.stays_untouched(mark, STILL).await?;
    let jobs = scene.kubectl(&["get", "aurorajobs", "--output=name"]).await?;
    ensure!(jobs.lines().count() == 1, "the cron has run: {jobs}");
    // Nobody knows any more that it had ended.
    complete(&scene).await?;
    let updates = scene.updates_count().await?;
    ensure!(updates <= 1, "there are {updates} updates, one at most was in the backup");
    // It is looked after like any other.
    scene.apply(&service.version(3)).await?;
    scene
        .service_until("web", "a new update to end well", |service| {
            text(service, "/status/currentRevision") != revision
                && text(service, "/status/conditions/0/status") == "True"
        })
        .await?;
    scene.running("web", 4).await.map(|_| ())
}

async fn complete(scene: &Scene) -> Result<()> {
    let args = ["wait", "--for=condition=Complete", "--timeout=60s", "aurorajob/once"];
    scene.kubectl(&args).await.map(drop)
}

/// When the cron runs next, as its status says.
async fn due(scene: &Scene) -> Result<String> {
    wait::until("the cron to say when it is due", GONE, || async {
        let cron = scene.cron("yearly").await?;
        let next = text(&cron, "/status/nextRunTime").to_owned();
        Ok(if next.is_empty() { wait::Look::NotYet("it doesn't".to_owned()) } else { wait::Look::Done(next) })
    })
    .await
    .context("nextRunTime")
}

/// What a backup tool leaves out of the objects that it makes again.
fn without_what_the_cluster_gave(mut objects: Value) -> Value {
    for object in objects["items"].as_array_mut().into_iter().flatten() {
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        if let Some(meta) = object["metadata"].as_object_mut() {
            for given in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
                meta.remove(given);
            }
        }
    }
    json!({ "apiVersion": "v1", "kind": "List", "items": objects["items"] })
}
