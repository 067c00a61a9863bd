//! What the API server refuses for want of quota: services that ask for more than there ever is, and Pods of no service while
//! all of it is in use.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, PodSchedulingGate};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{
    LONG,
    quota::{allow, production, role, waits},
    tenancy::{PREEMPTIBLE, PREFERRED, pod},
};
use crate::{
    command::Ended,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "quota-refused",
            "what asks for more than its role's whole quota is refused when it is applied, and what shrinks is not",
            |s| Box::pin(refused(s)),
        ),
        Scenario::new(
            "quota-pods",
            "Pods of no service are refused while their role's quota is used up, and let in again when there is room",
            |s| Box::pin(pods(s)),
        ),
    ]
}

/// Waits until the policies know this quota of CPU.
async fn known(scene: &Scene, cpu: &str) -> Result<()> {
    wait::until("the policies to know the quota", LONG, || async {
        let namespace = scene.world.kube.namespaces().get(&scene.namespace).await?;
        let quota = namespace.metadata.annotations.unwrap_or_default().remove("borealis.dev/quota");
        let quota = quota.unwrap_or_default();
        Ok(wait::when(quota.starts_with(&format!("cpu={cpu},")), quota))
    })
    .await
}

/// What `kubectl apply` says to the service, which is not applied.
async fn asked(scene: &Scene, service: &Service) -> Result<Ended> {
    let file = scene.world.folder.join(format!("{}-asked.json", scene.namespace));
    std::fs::write(&file, service.manifest(&scene.namespace).to_string())?;
    let file = file.to_string_lossy();
    let args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", &*file];
    scene.world.cluster.kubectl_ended(&args).await
}

/// Waits until the API server goes by what was last written for it.
async fn asked_until(scene: &Scene, service: &Service, words: Option<&str>) -> Result<()> {
    wait::until(&format!("{words:?} to {}", service.name()), LONG, || async {
        let ended = asked(scene, service).await?;
        let as_wanted = words.map_or(ended.success, |words| !ended.success && ended.stderr.contains(words));
        Ok(wait::when(as_wanted, format!("{}{}", ended.stdout, ended.stderr)))
    })
    .await
}

async fn refused(scene: Scene) -> Result<()> {
    role(&scene, &[&scene.namespace], "1").await?;
    known(&scene, "1").await?;
    let words =
        "insufficient quota of role quota-refused: cpu: asked 1250m, the whole quota is 1; ask for less";
    asked_until(&scene, &production("web", 5, "250m"), Some(words)).await?;
    let said = asked(&scene, &production("web", 5, "250m")).await?.stderr;
    scene.note(said.trim().to_owned());

    // Limits count where nothing is requested, and so does what the quota does not name.
    let limited = |limits: Value| {
        Service::new("web", 2).set("/tier", json!("preferred")).container_field("resources", limits)
    };
    for (what, resources, words) in [
        ("limits", json!({"limits": {"cpu": 1}}), "cpu: asked 2, the whole quota is 1;"),
        ("memory", json!({"requests": {"memory": "600Mi"}}), "memory: asked 1200Mi, the whole quota is 1Gi"),
        (
            "what it does not name",
            json!({"limits": {"example.com/gpu": 1}, "requests": {"example.com/gpu": 1}}),
            "example.com/gpu: asked 2, the whole quota is 0;",
        ),
    ] {
        let ended = asked(&scene, &limited(resources)).await?;
        ensure!(!ended.success && ended.stderr.contains(words), "{what}: {}{}", ended.stdout, ended.stderr);
    }
    // The whole of it may be asked for, and other tiers are not limited.
    let plain = production("web", 5, "250m").set("/tier", json!("preemptible"));
    let requests = json!({ "requests": { "cpu": "250m" } });
    let unnamed = Service::new("web", 5).container_field("resources", requests);
    let tenths = production("web", 10, "0.1");
    for (what, service) in [
        ("all of it", production("web", 4, "250m")),
        ("ten tenths", tenths),
        ("a tier that is not limited", plain),
        ("no tier", unnamed),
    ] {
        let ended = asked(&scene, &service).await?;
        ensure!(ended.success, "{what}: {}{}", ended.stdout, ended.stderr);
    }

    // More of it lets it in.
    allow(&scene, "1250m").await?;
    asked_until(&scene, &production("web", 5, "250m"), None).await?;
    scene.apply(&production("web", 5, "250m")).await?;
    scene.running("web", 5).await?;
    // With less of it nothing may grow, and what shrinks is let through, though it is still too much.
    allow(&scene, "500m").await?;
    asked_until(&scene, &production("web", 6, "250m"), Some("cpu: asked 1500m, the whole quota is 500m"))
        .await?;
    let same = production("web", 5, "250m").container_field("image", json!("example.test/web:other"));
    let ended = asked(&scene, &same).await?;
    ensure!(ended.success, "a change that asks for no more: {}{}", ended.stdout, ended.stderr);
    scene.apply(&production("web", 4, "250m")).await?;
    scene.running("web", 4).await.map(drop)
}

/// A Pod of a class of ours that asks for half a CPU.
fn plain(name: &str, class: &str) -> Result<Pod> {
    asks(name, class, &json!({ "requests": { "cpu": "500m", "memory": "1Mi" } }))
}

/// A Pod of a class of ours that asks for this alone.
fn asks(name: &str, class: &str, resources: &Value) -> Result<Pod> {
    let containers = json!([{ "name": "main", "image": "example.test/a:1", "resources": resources }]);
    pod(name, &json!({}), &json!({ "priorityClassName": class, "containers": containers }))
}

async fn pods(scene: Scene) -> Result<()> {
    role(&scene, &[&scene.namespace], "1").await?;
    let pods = scene.world.kube.pods(&scene.namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    pods.create(&PostParams::default(), &plain("first", PREFERRED)?).await?;
    // It has no node: a simulated one would not let it be resized.
    let mut second = plain("second", PREFERRED)?;
    second.spec.get_or_insert_default().scheduling_gates =
        Some(vec![PodSchedulingGate { name: "e2e.borealis.dev/never".into() }]);
    pods.create(&PostParams::default(), &second).await?;
    let words = "the quota of role quota-pods leaves no room for Pods of tier preferred (cpu: all of 1 is in use); wait until";
    let third = plain("third", PREFERRED)?;
    let said = wait::until("a third Pod to be refused", LONG, || async {
        Ok(match pods.create(&dry, &third).await {
            Err(kube::Error::Api(status)) if status.message.contains(words) => {
                Look::Done(status.message.clone())
            }
            other => Look::NotYet(format!("{other:?}")),
        })
    })
    .await?;
    scene.note(said);
    // Nobody else is concerned: Pods of other tiers, services of tiers that are not limited, and changes of what is there.
    pods.create(&dry, &plain("other", PREEMPTIBLE)?).await.context("a tier that is not limited")?;
    pods.create(&dry, &pod("none", &json!({}), &json!({}))?).await.context("no tier")?;
    pods.create(&dry, &asks("memory", PREFERRED, &json!({ "limits": { "memory": "1Mi" } }))?)
        .await
        .context("no CPU")?;
    let gpu =
        pods.create(&dry, &asks("gpu", PREFERRED, &json!({ "limits": { "example.com/gpu": 1 } }))?).await;
    let said = gpu.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(said.contains("example.com/gpu: it has none"), "what the quota does not name: {said:?}");
    // What grows would take what is not there; what shrinks may.
    for (cpu, may) in [("800m", false), ("400m", true)] {
        let containers = json!([{ "name": "main", "resources": { "requests": { "cpu": cpu } } }]);
        let patch = json!({ "spec": { "containers": containers } }).to_string();
        let args = ["patch", "pod", "second", "--namespace", &scene.namespace, "--subresource=resize"];
        let args = [&args[..], &["--dry-run=server", "--patch", &patch]].concat();
        let ended = scene.world.cluster.kubectl_ended(&args).await?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        ensure!(ended.success == may && (may || said.contains(words)), "a resize to {cpu}: {said}");
    }
    let note = Patch::Merge(json!({ "metadata": { "labels": { "team": "web" } } }));
    pods.patch("first", &PatchParams::default(), &note).await.context("a change of a Pod that is there")?;
    // A service waits for what such Pods leave.
    scene.apply(&production("web", 1, "500m")).await?;
    waits(&scene, "web", "cpu: asked 500m, used 1 of 1, 500m too much").await?;

    // What is granted first is gone for the others; where more is left Pods are let in again.
    pods.delete("first", &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }).await?;
    scene.running("web", 1).await?;
    allow(&scene, "1500m").await?;
    wait::until("a third Pod to be let in", LONG, || async {
        let made = pods.create(&dry, &third).await;
        Ok(made.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
    })
    .await?;
    allow(&scene, "1").await?;
    wait::until("it to be refused again", LONG, || async {
        Ok(wait::when(pods.create(&dry, &third).await.is_err(), "it is let in"))
    })
    .await?;
    scene.kubectl(&["delete", "asvc", "web"]).await?;
    wait::until("a third Pod to be let in with the service gone", LONG, || async {
        let made = pods.create(&dry, &third).await;
        Ok(made.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
    })
    .await
}
