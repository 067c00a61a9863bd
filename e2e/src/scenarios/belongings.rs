//! What belongs to a service or a Tier beside its Pods: it follows the config, goes with it, and is put right.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::{runner::Scenario, scene::Scene, service::Service, wait};

/// How long an object may take to become what it shall be.
const SOON: Duration = Duration::from_secs(60);
/// The class of a tier that comes with the installation, and the label by which it is the tier's.
const CLASS: &str = "priorityclass/borealis-preemptible";
const LABEL: &str = "borealis.dev/tier";

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "headless-follows",
            "a service's Service has the ports of its config, and goes when it is not asked for",
            |s| Box::pin(headless(s)),
        ),
        Scenario::new("class-mended", "the label that says whose a PriorityClass is comes back", |s| {
            Box::pin(class(s))
        }),
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
    scene.apply(&found.version(2).pod("/containers/0/ports", port)).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    says(&scene, &ports, "None 8080").await?;

    scene.apply(&plain.version(3)).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    says(&scene, &ports, "").await
}

async fn class(scene: Scene) -> Result<()> {
    let label = ["get", CLASS, "--output=jsonpath={.metadata.labels.borealis\\.dev/tier}"];
    says(&scene, &label, "preemptible").await?;
    scene.kubectl(&["label", CLASS, &format!("{LABEL}-")]).await?;
    says(&scene, &label, "preemptible").await
}

async fn says(scene: &Scene, question: &[&str], answer: &str) -> Result<()> {
    wait::until(&format!("kubectl {} to say {answer:?}", question.join(" ")), SOON, || async {
        let said = scene.kubectl(question).await?;
        Ok(wait::when(said.trim() == answer, said))
    })
    .await
}
