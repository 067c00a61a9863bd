//! ConfigMaps as part of a config: their change is an update, which is rolled back with what they held.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    kube_api::{at, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "real-config-rollback",
            "a ConfigMap that makes a real probe fail is rolled back, and the containers see what it held before",
            |s| Box::pin(real_rollback(s)),
        )
        .real_node(),
        Scenario::new(
            "config-rollback",
            "an edited ConfigMap is an update; a bad edit is rolled back to the copy of what it held before",
            |s| Box::pin(rollback(s)),
        ),
        Scenario::new(
            "config-missing",
            "without its ConfigMap a service waits for it, and one that runs goes on",
            |s| Box::pin(missing(s)),
        ),
    ]
}

pub(super) fn maps(scene: &Scene) -> Api<ConfigMap> {
    Api::namespaced(scene.world.kube.client.clone(), &scene.namespace)
}

/// A service that takes its environment from ConfigMap `web-config`, and has it as files, too.
pub(super) fn configured(service: Service) -> Service {
    service
        .container_field("envFrom", json!([{ "configMapRef": { "name": "web-config" } }]))
        .container_field("volumeMounts", json!([{ "name": "config", "mountPath": "/config" }]))
        .pod("/volumes", json!([{ "name": "config", "configMap": { "name": "web-config" } }]))
}

/// Makes or changes ConfigMap `web-config`.
pub(super) async fn write_map(scene: &Scene, data: Value) -> Result<()> {
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "web-config" }, "data": data });
    maps(scene).patch("web-config", &PatchParams::apply("e2e").force(), &Patch::Apply(&object)).await?;
    Ok(())
}

/// The name of the copy that the Pods of a config use.
pub(super) fn snapshot_name(original: &str, revision: &str) -> String {
    format!("{original}-web-{}", revision.trim_start_matches("v1-"))
}

/// Fails unless the Pods of all instances have this config and name its copy, and that in all places; returns the copy.
pub(super) async fn uses_snapshot(scene: &Scene, instances: u32, revision: &str) -> Result<ConfigMap> {
    scene.all_run("web", instances, revision)?;
    let name = snapshot_name("web-config", revision);
    for pod in scene.live("web") {
        let pod = serde_json::to_value(scene.world.kube.pods(&scene.namespace).get(&pod.name).await?)?;
        let named = [
            text(&pod, "/spec/containers/0/envFrom/0/configMapRef/name"),
            text(&pod, "/spec/volumes/0/configMap/name"),
        ];
        ensure!(named == [name.as_str(); 2], "Pod {} names {named:?}, not {name}", pod["metadata"]["name"]);
    }
    let copy = maps(scene).get(&name).await.with_context(|| format!("no ConfigMap {name}"))?;
    ensure!(copy.immutable == Some(true), "{name} can be changed");
    let owner = copy.metadata.owner_references.iter().flatten().next().context("the copy has no owner")?;
    ensure!(owner.kind == "ControllerRevision", "the copy belongs to a {}", owner.kind);
    Ok(copy)
}

fn held<'a>(map: &'a ConfigMap, key: &str) -> &'a str {
    map.data.as_ref().and_then(|data| data.get(key)).map_or("", String::as_str)
}

/// Ends the live Pods of every other config, as containers that fail do, until an update has come to its end.
async fn fail_others_until_rolled_back(scene: &Scene, good: &str, number: u32) -> Result<Value> {
    let pods = scene.world.kube.pods(&scene.namespace);
    wait::until("the update to be rolled back", super::LONG, || async {
        for pod in scene.live("web").iter().filter(|pod| pod.revision != good && !pod.ending) {
            let state = json!({ "terminated": { "exitCode": 3, "reason": "Error" } });
            let status = json!({ "status": { "phase": "Failed", "containerStatuses": [{
                "name": "main", "image": "example.test/web:1", "imageID": "", "ready": false, "restartCount": 0,
                "state": state,
            }] } });
            // It may have gone since.
            let _ = pods.patch_status(&pod.name, &PatchParams::default(), &Patch::Merge(&status)).await;
        }
        let update = scene.update("web", number).await?;
        let state = text(&update, "/status/state").to_owned();
        Ok(if state == "ROLLED_BACK" { Look::Done(update) } else { Look::NotYet(state) })
    })
    .await
}

async fn rollback(scene: Scene) -> Result<()> {
    write_map(&scene, json!({ "MODE": "one" })).await?;
    scene.apply(&configured(Service::new("web", 4).batch(2).set("/update/watchSeconds", json!(4)))).await?;
    scene.running("web", 4).await?;
    let first = scene.current_revision("web").await?;
    ensure!(held(&uses_snapshot(&scene, 4, &first).await?, "MODE") == "one", "the copy holds something else");

    // A good edit is an update like any other.
    write_map(&scene, json!({ "MODE": "two" })).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    let changes = at(&update, "/spec/changes").to_string();
    ensure!(changes.contains("ConfigMap web-config: contents changed"), "its changes are {changes}");
    scene.running("web", 4).await?;
    let second = scene.current_revision("web").await?;
    ensure!(second != first, "the config is the same as before the edit");
    ensure!(
        held(&uses_snapshot(&scene, 4, &second).await?, "MODE") == "two",
        "the copy is of something else"
    );

    // A bad one is taken back, and what it replaced is what runs again.
    write_map(&scene, json!({ "MODE": "bad" })).await?;
    scene.update_until("web", 2, "to be there", |_| true).await?;
    fail_others_until_rolled_back(&scene, &second, 2).await?;
    scene.service_until("web", "all to run", |s| at(s, "/status/counts/running") == 4).await?;
    let back = uses_snapshot(&scene, 4, &second).await?;
    ensure!(
        held(&back, "MODE") == "two",
        "the copy of the good config holds {:?} by now",
        held(&back, "MODE")
    );
    ensure!(held(&maps(&scene).get("web-config").await?, "MODE") == "bad", "the original was touched");

    // What is taken back by its own content is the old config again, and no new one.
    write_map(&scene, json!({ "MODE": "two" })).await?;
    let service = scene.running("web", 4).await?;
    ensure!(text(&service, "/status/currentRevision") == second, "the same contents are another config");

    // Metadata is no content.
    let mark = scene.calm().await?;
    scene.kubectl(&["label", "configmap", "web-config", "team=web"]).await?;
    scene.stays_untouched(mark, Duration::from_secs(4)).await
}

async fn real_rollback(scene: Scene) -> Result<()> {
    write_map(&scene, json!({ "HEALTH": "ok", "MODE": "one" })).await?;
    let service = configured(Service::new("web", 2).on_real_node().batch(1))
        .set("/update/maxWaitSeconds", json!(60))
        .set(
            "/health",
            json!({ "http": {}, "intervalSeconds": 1, "initialIntervalSeconds": 4, "maxConsecutiveFailures": 1 }),
        );
    scene.apply(&service).await?;
    scene.running("web", 2).await?;
    let good = scene.current_revision("web").await?;

    write_map(&scene, json!({ "HEALTH": "fail", "MODE": "two" })).await?;
    scene.update_in("web", 1, "ROLLED_BACK").await?;
    scene.service_until("web", "both to run", |s| at(s, "/status/counts/running") == 2).await?;
    uses_snapshot(&scene, 2, &good).await?;
    for pod in scene.live("web") {
        let base = format!("/api/v1/namespaces/{}/pods/{}:8080/proxy", scene.namespace, pod.name);
        let env = scene.kubectl(&["get", "--raw", &format!("{base}/env")]).await?;
        ensure!(env.lines().any(|line| line == "MODE=one"), "the environment of {} is {env}", pod.name);
        let file = scene.kubectl(&["get", "--raw", &format!("{base}/files/config/MODE")]).await?;
        ensure!(file.trim() == "one", "the file of {} holds {file:?}", pod.name);
        scene.note(format!("{} has the file MODE with {:?}", pod.name, file.trim()));
    }
    Ok(())
}

async fn missing(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    scene.apply(&configured(Service::new("web", 3).queue(3))).await?;
    let message = scene.says("web", "Stalled", "True", "ConfigMissing").await?;
    for words in ["ConfigMap web-config", &scene.namespace, "optional"] {
        ensure!(message.contains(words), "{words:?} is not said: {message}");
    }
    scene.stays_untouched(mark, Duration::from_secs(2)).await?;
    write_map(&scene, json!({ "MODE": "one" })).await?;
    scene.running("web", 3).await?;
    let revision = scene.current_revision("web").await?;

    // It is deleted: what runs goes on, is healed and scaled with the copies, and people hear of it.
    let mark = scene.calm().await?;
    maps(&scene).delete("web-config", &DeleteParams::default()).await?;
    let message = scene.says("web", "Stalled", "True", "ConfigMissing").await?;
    ensure!(message.contains("stays"), "it is not said that what runs stays: {message}");
    scene.stays_untouched(mark, Duration::from_secs(2)).await?;
    let victim = scene.live("web").first().map(|pod| pod.name.clone()).context("no Pod lives")?;
    scene.world.kube.pods(&scene.namespace).delete(&victim, &DeleteParams::default()).await?;
    scene.apply(&configured(Service::new("web", 4).queue(3))).await?;
    scene.service_until("web", "four to run", |s| at(s, "/status/counts/running") == 4).await?;
    uses_snapshot(&scene, 4, &revision).await?;

    // It comes back as it was: all is well, and nothing was changed.
    let mark = scene.calm().await?;
    write_map(&scene, json!({ "MODE": "one" })).await?;
    scene.running("web", 4).await?;
    scene.stays_untouched(mark, Duration::from_secs(2)).await?;
    ensure!(scene.updates_count().await? == 0, "an update was made for nothing");

    // As Kustomize does it: another name, whose ConfigMap comes later than the reference to it.
    let renamed = configured(Service::new("web", 4).queue(4))
        .container_field("envFrom", json!([{ "configMapRef": { "name": "web-config" } }]))
        .pod("/volumes", json!([{ "name": "config", "configMap": { "name": "other-config" } }]));
    scene.apply(&renamed).await?;
    let message = scene.says("web", "Stalled", "True", "ConfigMissing").await?;
    ensure!(message.contains("other-config") && !message.contains("web-config,"), "{message}");
    scene.all_run("web", 4, &revision)?;
    scene.kubectl(&["create", "configmap", "other-config", "--from-literal=MODE=two"]).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 4).await.map(|_| ())
}
