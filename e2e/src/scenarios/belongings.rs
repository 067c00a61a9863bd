//! What belongs to a service or a Tier beside its Pods: it follows the config, goes with it, and is put right.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::{runner::Scenario, scene::Scene, service::Service, wait};

/// How long an object may take to become what it shall be.
const SOON: Duration = Duration::from_secs(60);
/// The band of a Tier that nobody else has.
const BAND: u32 = 12_345;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "headless-follows",
            "a service's Service has the ports of its config, and goes when it is not asked for",
            |s| Box::pin(headless(s)),
        ),
        Scenario::new(
            "class-mended",
            "a PriorityClass that a Tier left behind is that of the next one of its name",
            |s| Box::pin(class(s)),
        ),
    ]
}

async fn headless(scene: Scene) -> Result<()> {
    let plain = Service::new("web", 2).batch(2);
    let found = plain.clone().set("/discovery", json!({}));
    scene.apply(&found).await?;
    scene.running("web", 2).await?;
    let ports = [
        "get",
        "service",
        "web",
        "--ignore-not-found",
        "--output=jsonpath={.spec.clusterIP} {.spec.ports[*].port}",
    ];
    says(&scene, &ports, "None").await?;

    let port = json!([{"name": "http", "containerPort": 8080}]);
    scene.apply(&found.version(2).container_field("ports", port)).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    says(&scene, &ports, "None 8080").await?;

    scene.apply(&plain.version(3)).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    says(&scene, &ports, "").await
}

async fn class(scene: Scene) -> Result<()> {
    let file = scene.world.folder.join("mended-tier.json");
    let tier = json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": "mended"},
        "spec": {"band": BAND, "preemptible": true}});
    std::fs::write(&file, tier.to_string())?;
    let file = file.to_string_lossy();
    let class = format!("priorityclass/borealis-mended-{BAND}");
    let owner = ["get", &class, "--output=jsonpath={.metadata.ownerReferences[*].uid}"];
    let uid = ["get", "tier/mended", "--output=jsonpath={.metadata.uid}"];

    scene.kubectl(&["create", "--filename", &file]).await?;
    says(&scene, &owner, &scene.kubectl(&uid).await?).await?;
    scene.kubectl(&["delete", "tier/mended", "--cascade=orphan"]).await?;
    says(&scene, &owner, "").await?;
    scene.kubectl(&["create", "--filename", &file]).await?;
    says(&scene, &owner, &scene.kubectl(&uid).await?).await?;
    scene.kubectl(&["delete", "tier/mended"]).await.map(drop)
}

async fn says(scene: &Scene, question: &[&str], answer: &str) -> Result<()> {
    wait::until(&format!("kubectl {} to say {answer:?}", question.join(" ")), SOON, || async {
        let said = scene.kubectl(question).await?;
        Ok(wait::when(said.trim() == answer, said))
    })
    .await
}
