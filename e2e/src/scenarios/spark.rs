//! A real Spark beside services, and what it does when it loses an executor.
//!
//! In `spark` the executors' Pods are on simulated nodes, where nothing runs in them: what counts is that Spark makes
//! them, and makes another when one goes. In `real-spark` all of it runs.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    kube_api::text,
    runner::Scenario,
    scene::Scene,
    service::{REAL, SIMULATED},
    spark::{self, Driver, Job},
    wait::{self, Look},
    world::{CLAIM, RESERVED},
};

/// How long a download of Spark and all that follows may take.
const LIMIT: Duration = Duration::from_secs(900);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "spark",
            "Spark makes its executors' Pods itself, and another for one that is gone",
            |s| Box::pin(simulated(s)),
        )
        .limit(LIMIT),
        Scenario::new("real-spark", "a Spark job comes to its result though it loses an executor", |s| {
            Box::pin(real(s))
        })
        .real_node()
        .limit(LIMIT),
    ]
}

/// The Pods of this kind that Spark has, but for those that are ending, by the number of the executor.
async fn pods(scene: &Scene, kind: &str) -> Result<Vec<Value>> {
    let selector = ListParams::default().labels(&format!("{}={kind}", spark::KIND));
    let all = scene.world.kube.pods(&scene.namespace).list(&selector).await?.items;
    let live = all.into_iter().filter(|pod: &Pod| pod.metadata.deletion_timestamp.is_none());
    let mut pods = live.map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
    pods.sort_by_key(executor);
    Ok(pods)
}

/// The number of an executor; Spark counts up and uses none again.
fn executor(pod: &Value) -> u32 {
    text(pod, "/metadata/labels/spark-exec-id").parse().unwrap_or_default()
}

fn name(pod: &Value) -> &str {
    text(pod, "/metadata/name")
}

/// Waits until these executors have Pods in this phase, and returns them.
async fn executors(scene: &Scene, wanted: &[u32], phase: &str) -> Result<Vec<Value>> {
    wait::until(&format!("executors {wanted:?} to be {phase}"), super::LONG, || async {
        let pods = pods(scene, "executor").await?;
        let found: Vec<&Value> = pods.iter().filter(|pod| wanted.contains(&executor(pod))).collect();
        let seen: Vec<String> =
            pods.iter().map(|pod| format!("{} {}", name(pod), text(pod, "/status/phase"))).collect();
        let all = found.len() == wanted.len() && found.iter().all(|pod| text(pod, "/status/phase") == phase);
        Ok(if all {
            Look::Done(found.into_iter().cloned().collect())
        } else {
            Look::NotYet(format!("{seen:?}"))
        })
    })
    .await
}

/// Ends the first of these executors, and returns its number.
async fn end_first(scene: &Scene, executors: &[Value]) -> Result<u32> {
    let first = executors.first().context("there are no executors")?;
    scene.kubectl(&["delete", "pod", "--wait=false", name(first)]).await?;
    Ok(executor(first))
}

/// A Pod after which Spark makes its executors.
fn template(selector: &Value, tolerations: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": { "nodeSelector": selector, "tolerations": tolerations },
    })
}

async fn simulated(scene: Scene) -> Result<()> {
    spark::apply(&scene, "account.yaml").await?;
    let node = scene.world.claim_nodes(&scene.namespace, 1).await?.remove(0);
    let each = cpu(&scene, &node).await? * 2 / 5;
    let template = template(
        &json!({ CLAIM: scene.namespace }),
        &json!([{ "key": SIMULATED, "operator": "Exists" }, { "key": RESERVED, "operator": "Exists" }]),
    );
    let mut driver = Driver::start(&scene, Job { tasks: 4 }, each, &template).await?;
    let before = executors(&scene, &[1, 2], "Running").await?;

    end_first(&scene, &before).await?;
    executors(&scene, &[2, 3], "Running").await?;
    driver.runs()
}

async fn real(scene: Scene) -> Result<()> {
    spark::load_image(&scene).await?;
    spark::apply(&scene, "account.yaml").await?;
    let node = scene.world.real_node.clone().context("there is no real node")?;
    let each = cpu(&scene, &node).await? * 2 / 5;
    let template = template(&json!({ REAL: "true" }), &json!([{ "key": REAL, "operator": "Exists" }]));
    let job = Job { tasks: 40 };
    let manifest = spark::driver_pod(&scene, job, each, &template)?;
    let file = spark::write(&scene, "job.json", &manifest.to_string())?;
    scene.kubectl(&["apply", "--filename", &file]).await?;
    let before = executors(&scene, &[1, 2], "Running").await?;
    for pod in &before {
        // From now on something is lost with it.
        says(&scene, name(pod), "Finished task").await?;
    }

    let lost = end_first(&scene, &before).await?;
    says(&scene, "driver", &format!("Lost executor {lost} ")).await?;

    let log = wait::until("the job to end", super::LONG, || async {
        let log = scene.kubectl(&["logs", "driver"]).await?;
        spark::write(&scene, "driver.log", &log)?;
        let driver = serde_json::to_value(scene.world.kube.pods(&scene.namespace).get("driver").await?)?;
        Ok(match text(&driver, "/status/phase") {
            "Succeeded" => Look::Done(log),
            phase => Look::NotYet(format!("the driver is {phase}:\n{}", spark::tail(&log))),
        })
    })
    .await?;
    job.is_done_in(&log)
}

/// What a node has for Pods. Unit: thousandths of a CPU.
async fn cpu(scene: &Scene, node: &str) -> Result<u32> {
    let node = serde_json::to_value(scene.world.kube.nodes().get(node).await?)?;
    let quantity = text(&node, "/status/allocatable/cpu");
    let millicores = match quantity.strip_suffix('m') {
        Some(thousandths) => thousandths.parse(),
        None => quantity.parse::<u32>().map(|whole| whole * 1000),
    };
    millicores.with_context(|| format!("the node has {quantity:?} CPUs"))
}

/// Waits until a Pod's log has these words.
async fn says(scene: &Scene, pod: &str, words: &str) -> Result<()> {
    wait::until(&format!("{pod} to say {words:?}"), super::LONG, || async {
        let log = scene.kubectl(&["logs", pod]).await?;
        Ok(wait::when(log.contains(words), spark::tail(&log)))
    })
    .await
}
