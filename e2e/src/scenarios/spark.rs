//! A real Spark beside services: its Pods join a role, and its executors go when production needs their place.
//!
//! In `spark` the executors' Pods are on simulated nodes, where nothing runs in them: what counts is that Spark makes
//! them, and makes another when one goes. In `real-spark` all of it runs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    kube_api::{at, text},
    runner::Scenario,
    scene::Scene,
    service::{REAL, SIMULATED, Service},
    spark::{self, Driver, Job},
    wait::{self, Look},
    world::{CLAIM, RESERVED},
};

/// How long Java may take to get anywhere on a busy machine.
const PATIENT: Duration = Duration::from_secs(300);
/// How long a download of Spark and all that follows may take.
const LIMIT: Duration = Duration::from_secs(900);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "spark",
            "executors that Spark makes join a role; production takes the place of one, and Spark makes another",
            |s| Box::pin(simulated(s)),
        )
        .limit(LIMIT),
        Scenario::new(
            "real-spark",
            "a Spark job comes to its result though production takes the place of one of its executors",
            |s| Box::pin(real(s)),
        )
        .real_node()
        .limit(LIMIT),
    ]
}

/// The team, its framework and Spark's account are there, and the API server acts by them.
async fn team(scene: &Scene) -> Result<()> {
    let label = format!("team={}", scene.namespace);
    scene.kubectl(&["label", "namespace", &scene.namespace, &label]).await?;
    spark::apply(scene, "tenant.yaml").await?;
    spark::apply(scene, "account.yaml").await?;
    let probe = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "probe", "namespace": scene.namespace, "labels": { spark::KIND: "executor" } },
        "spec": { "containers": [{ "name": "probe", "image": spark::IMAGE }] },
    });
    let file = spark::write(scene, "probe.json", &probe.to_string())?;
    let args = ["create", "--dry-run=server", "--output=json", "--filename", &file];
    wait::until("the API server to rank Spark's Pods", PATIENT, || async {
        let made: Value = serde_json::from_str(&scene.kubectl(&args).await?)?;
        let labels = at(&made, "/metadata/labels");
        Ok(if labels.get("borealis.dev/framework").is_some() {
            Look::Done(())
        } else {
            Look::NotYet(made.to_string())
        })
    })
    .await
}

/// What the team has of its own in the cluster goes with the scene.
async fn disband(scene: &Scene) -> Result<()> {
    let framework = format!("framework/{}-spark", scene.namespace);
    scene.kubectl(&["delete", &framework, &format!("aurorarole/{}", scene.namespace)]).await.map(|_| ())
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
    wait::until(&format!("executors {wanted:?} to be {phase}"), PATIENT, || async {
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

/// Waits until one of these executors is ending or gone and its people were told why, and returns its number.
async fn preempted(scene: &Scene, before: &[Value]) -> Result<u32> {
    let victim = wait::until("an executor to make room", PATIENT, || async {
        let now = pods(scene, "executor").await?;
        let gone = before.iter().find(|pod| !now.iter().any(|other| name(other) == name(pod)));
        Ok(gone.map_or_else(|| Look::NotYet(format!("{} executors stay", now.len())), Look::Done))
    })
    .await?;
    scene.told(name(victim), "Preempted", "ended to make room on node ").await?;
    Ok(executor(victim))
}

/// Fails unless a Pod is ranked and labelled as the framework says.
fn ranked(scene: &Scene, pod: &Value, tier: &str, band: i64, priority: &str) -> Result<()> {
    let framework = format!("{}-spark", scene.namespace);
    for (label, value) in [
        ("role", scene.namespace.as_str()),
        ("tier", tier),
        ("priority", priority),
        ("framework", &framework),
    ] {
        let found = text(pod, &format!("/metadata/labels/borealis.dev~1{label}"));
        ensure!(
            found == value,
            "{} has {label} {found:?}, not {value:?}: {}",
            name(pod),
            at(pod, "/metadata/labels")
        );
    }
    let spec = at(pod, "/spec");
    ensure!(
        text(spec, "/priorityClassName") == format!("borealis-{tier}-{band}")
            && at(spec, "/priority") == &json!(band)
            && text(spec, "/preemptionPolicy") == "Never",
        "{} is ranked {} {} {}",
        name(pod),
        at(spec, "/priorityClassName"),
        at(spec, "/priority"),
        at(spec, "/preemptionPolicy")
    );
    Ok(())
}

/// Waits until the role counts so much of a CPU for work of its production tiers that is of no service.
async fn counted(scene: &Scene, cpu: &str) -> Result<()> {
    wait::until("the role to count Spark's driver", PATIENT, || async {
        let role = format!("aurorarole/{}", scene.namespace);
        let found = scene.kubectl(&["get", &role, "--output=jsonpath={.status.quota.foreign.cpu}"]).await?;
        Ok(wait::when(found == cpu, format!("{found:?} instead of {cpu}")))
    })
    .await
}

/// A service of the tier `preferred` whose instance asks for this much of a CPU.
fn production(millicores: u32) -> Service {
    let requests = json!({ "requests": { "cpu": format!("{millicores}m"), "memory": "1Mi" } });
    Service::new("shop", 1).set("/tier", json!("preferred")).container_field("resources", requests)
}

/// A Pod after which Spark makes its executors.
fn template(selector: &Value, tolerations: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": { "nodeSelector": selector, "tolerations": tolerations },
    })
}

/// What one of two executors on a node of this many thousandths of a CPU asks for, and what production does: beside
/// both there is too little for it, and when one has gone too little for a third.
fn shares(millicores: u32) -> (u32, u32) {
    (millicores * 2 / 5, millicores * 3 / 10)
}

async fn simulated(scene: Scene) -> Result<()> {
    team(&scene).await?;
    let node = scene.world.claim_nodes(&scene.namespace, 1).await?.remove(0);
    let (each, asked) = shares(cpu(&scene, &node).await?);
    let template = template(
        &json!({ CLAIM: scene.namespace }),
        &json!([{ "key": SIMULATED, "operator": "Exists" }, { "key": RESERVED, "operator": "Exists" }]),
    );
    let mut driver = Driver::start(&scene, Job { tasks: 4 }, each, &template).await?;
    let before = executors(&scene, &[1, 2], "Running").await?;
    for pod in &before {
        ranked(&scene, pod, "preemptible", 20_000, "10")?;
    }

    let shop = production(asked).on_claimed_nodes(&scene.namespace);
    scene.apply(&shop).await?;
    let lost = preempted(&scene, &before).await?;
    scene.running("shop", 1).await?;
    let third = executors(&scene, &[3], "Pending").await?.remove(0);
    ranked(&scene, &third, "preemptible", 20_000, "10")?;
    let stays = if lost == 1 { 2 } else { 1 };
    executors(&scene, &[stays], "Running").await?;

    scene.kubectl(&["delete", "auroraservice", "shop"]).await?;
    executors(&scene, &[stays, 3], "Running").await?;
    driver.runs()?;
    disband(&scene).await
}

async fn real(scene: Scene) -> Result<()> {
    spark::load_image(&scene).await?;
    team(&scene).await?;
    let node = scene.world.real_node.clone().context("there is no real node")?;
    let (each, asked) = shares(cpu(&scene, &node).await?);
    let template = template(&json!({ REAL: "true" }), &json!([{ "key": REAL, "operator": "Exists" }]));
    let job = Job { tasks: 40 };
    let manifest = spark::driver_pod(&scene, job, each, &template)?;
    let file = spark::write(&scene, "job.json", &manifest.to_string())?;
    scene.kubectl(&["apply", "--filename", &file]).await?;
    let before = executors(&scene, &[1, 2], "Running").await?;
    for pod in pods(&scene, "driver").await? {
        ranked(&scene, &pod, "preferred", 30_000, "0")?;
    }
    counted(&scene, "100m").await?;
    for pod in &before {
        ranked(&scene, pod, "preemptible", 20_000, "10")?;
        // From now on something is lost with it.
        says(&scene, name(pod), "Finished task").await?;
    }

    scene.apply(&production(asked).on_real_node()).await?;
    let lost = preempted(&scene, &before).await?;
    scene.running("shop", 1).await?;
    says(&scene, "driver", &format!("Lost executor {lost} ")).await?;
    let third = executors(&scene, &[3], "Pending").await?.remove(0);
    ranked(&scene, &third, "preemptible", 20_000, "10")?;

    let log = wait::until("the job to end", PATIENT, || async {
        let log = scene.kubectl(&["logs", "driver"]).await?;
        spark::write(&scene, "driver.log", &log)?;
        let driver = serde_json::to_value(scene.world.kube.pods(&scene.namespace).get("driver").await?)?;
        Ok(match text(&driver, "/status/phase") {
            "Succeeded" => Look::Done(log),
            phase => Look::NotYet(format!("the driver is {phase}:\n{}", spark::tail(&log))),
        })
    })
    .await?;
    job.is_done_in(&log)?;
    disband(&scene).await
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
    wait::until(&format!("{pod} to say {words:?}"), PATIENT, || async {
        let log = scene.kubectl(&["logs", pod]).await?;
        Ok(wait::when(log.contains(words), spark::tail(&log)))
    })
    .await
}
