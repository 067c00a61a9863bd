//! Why instances have no place: in the words of the condition, as Events, and for all Pods under /debug/pending.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{
    kube_api::{condition, number, text},
    runner::Scenario,
    scene::Scene,
    service::{SIMULATED, Service},
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario::new("why-pending", "a service says which instances have no place, and why", |s| {
        Box::pin(why_pending(s))
    })]
}

/// Waits until the service says these words of instances without a place, and returns all it says of them.
async fn unplaced(scene: &Scene, service: &str, words: &[&str]) -> Result<String> {
    let says = |service: &Value| {
        let (status, _, message) = condition(service, "Placed")?;
        (status == "False" && words.iter().all(|words| message.contains(words))).then(|| message.to_owned())
    };
    let service = scene
        .service_until(service, &format!("Placed=False with {words:?}"), |service| says(service).is_some())
        .await?;
    says(&service).context("it says something else by now")
}

fn large(instances: u32) -> Service {
    let resources = json!({ "requests": { "cpu": "64", "memory": "1Mi" } });
    Service::new("large", instances).container_field("resources", resources)
}

async fn why_pending(scene: Scene) -> Result<()> {
    let zone = json!([{ "attribute": "topology.kubernetes.io/zone", "limit": 2 }]);
    scene.apply(&large(3)).await?;
    scene.apply(&Service::new("limited", 8).set("/constraints", zone)).await?;
    scene.apply(&Service::new("flaps", 2).simulate("fail-after-seconds", "1")).await?;
    let node = scene.world.claim_nodes(&scene.namespace, 1).await?.remove(0);
    let label = json!({ "metadata": { "labels": { "borealis.dev/dedicated": "somebody" } } });
    scene.world.kube.nodes().patch(&node, &PatchParams::default(), &Patch::Merge(&label)).await?;
    scene.kubectl(&["taint", "node", &node, "borealis.dev/dedicated=somebody:NoSchedule"]).await?;
    scene.apply(&Service::new("outside", 1).on_claimed_nodes(&scene.namespace)).await?;
    foreign(&scene).await?;

    let said =
        unplaced(&scene, "large", &["3 of 3 instances", "instances 0-2: Insufficient cpu on "]).await?;
    scene.note(said);
    scene.told("large", "Pending", ": Insufficient cpu on ").await?;
    unplaced(
        &scene,
        "limited",
        &["2 of 8 instances", ": Limit not satisfied: topology.kubernetes.io/zone on "],
    )
    .await?;
    unplaced(&scene, "outside", &["1 of 1 instances", "Host is dedicated on "]).await?;
    unplaced(&scene, "flaps", &[": Flapping until 20"]).await?;
    shown(&scene).await?;

    // What was in the way is mended: nobody is without a place any more.
    scene.apply(&Service::new("large", 3)).await?;
    scene.running("large", 3).await?;
    scene.says("large", "Placed", "True", "AllPlaced").await?;
    Ok(())
}

/// A Pod that no service has made and that fits on no node.
async fn foreign(scene: &Scene) -> Result<()> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "alone" },
        "spec": {
            "nodeSelector": { SIMULATED: "true" },
            "tolerations": [{ "key": SIMULATED, "operator": "Exists" }],
            "containers": [{
                "name": "main", "image": "example.test/web:1",
                "resources": { "requests": { "memory": "1Ti" } },
            }],
        },
    }))?;
    scene.world.kube.pods(&scene.namespace).create(&PostParams::default(), &pod).await?;
    Ok(())
}

/// The same stands under /debug/pending, with what no condition says.
async fn shown(scene: &Scene) -> Result<()> {
    let shown = wait::until("all that wait under /debug/pending", Duration::from_secs(30), || async {
        let shown = scene.world.operators.shows("pending").await?;
        let known = ["large", "limited", "outside", "Pod/alone"];
        let all = known.iter().all(|name| job(scene, &shown, name).is_some());
        Ok(if all { Look::Done(shown) } else { Look::NotYet(shown.to_string()) })
    })
    .await?;
    let group = |name: &str| job(scene, &shown, name).map(|job| job["groups"][0].clone()).unwrap_or_default();
    let large = group("large");
    ensure!(
        text(&large, "/reason") == "InsufficientResources"
            && text(&large, "/instances") == "0-2"
            && number(&large, "/pods") == 3
            && number(&large, "/nodes") > 0
            && number(&large, "/fitting") == 0
            && text(&large, "/vetoes/0/veto") == "Insufficient cpu",
        "large: {large}"
    );
    ensure!(text(&group("limited"), "/reason") == "LimitNotSatisfied", "limited: {}", group("limited"));
    let alone = job(scene, &shown, "Pod/alone").cloned().unwrap_or_default();
    ensure!(alone["kind"] == json!(null), "a Pod of nobody's is a service's: {alone}");
    ensure!(text(&group("Pod/alone"), "/vetoes/0/veto") == "Insufficient memory", "alone: {alone}");
    let services = shown["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    let flaps = services
        .iter()
        .find(|service| text(service, "/namespace") == scene.namespace && text(service, "/name") == "flaps");
    ensure!(flaps.is_some_and(|flaps| text(flaps, "/message").contains("Flapping")), "flaps: {services:?}");
    Ok(())
}

fn job<'a>(scene: &Scene, shown: &'a Value, name: &str) -> Option<&'a Value> {
    let is_it = |job: &&Value| text(job, "/namespace") == scene.namespace && text(job, "/name") == name;
    shown["jobs"].as_array()?.iter().find(is_it)
}
