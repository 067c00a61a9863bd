//! What is kept of contents that are part of a config: copies of Secrets where allowed, and how long copies stay.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::config::{configured, maps, snapshot_name, uses_snapshot, write_map};
use crate::{kube_api::text, operator::NAMESPACE, runner::Scenario, scene::Scene, service::Service, wait};

/// The operator's account, as RBAC names it.
const OPERATOR: &str = "system:serviceaccount:borealis-system:borealis";
/// Stored configs that are kept at least.
const KEPT: usize = 10;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "config-secret",
            "Secrets are part of a config where asked for and allowed, and nowhere else",
            |s| Box::pin(secret(s)),
        ),
        Scenario::new(
            "config-orphaned",
            "a service that is orphaned and made again keeps the copies its Pods use",
            |s| Box::pin(orphaned(s)),
        ),
        Scenario::new("config-pruned", "the copies of a config go with it", |s| Box::pin(pruned(s)))
            .limit(Duration::from_secs(400)),
    ]
}

fn secrets(scene: &Scene) -> Api<Secret> {
    Api::namespaced(scene.world.kube.client.clone(), &scene.namespace)
}

async fn secret(scene: Scene) -> Result<()> {
    let can_read = || async {
        let args =
            ["auth", "can-i", "get", "secrets", "--as", OPERATOR, "--namespace", scene.namespace.as_str()];
        Ok::<_, anyhow::Error>(scene.world.cluster.kubectl_ended(&args).await?.stdout.trim() == "yes")
    };
    scene
        .kubectl(&["create", "secret", "generic", "key", "--type=example.com/own", "--from-literal=KEY=one"])
        .await?;
    let plain = Service::new("web", 2)
        .queue(2)
        .container_field("envFrom", json!([{ "secretRef": { "name": "key" } }]));
    scene.apply(&plain).await?;
    scene.running("web", 2).await?;
    ensure!(!can_read().await?, "the operator may read Secrets of a namespace that did not let it");

    // Not asked for: its rotation surprises nobody, and Pods name the original.
    let mark = scene.calm().await?;
    rotate(&scene, "two").await?;
    scene.stays_untouched(mark, Duration::from_secs(5)).await?;
    ensure!(secret_of(&scene).await? == ["key"; 2], "Pods name a copy of a Secret nobody asked for");

    // Asked for, but not allowed: it is said, and what runs goes on.
    let tracked = plain.set("/update/trackConfig", json!("ConfigMapsAndSecrets"));
    scene.apply(&tracked).await?;
    let message = scene.says("web", "Stalled", "True", "ConfigDenied").await?;
    ensure!(message.contains("Secret key") && message.contains("Role"), "the Role is not named: {message}");
    scene.untouched_since(mark)?;

    // Allowed: the same type in the copy, and an update at each rotation.
    scene.kubectl(&["create", "role", "borealis-secrets", "--verb=get,create", "--resource=secrets"]).await?;
    let account = format!("--serviceaccount={NAMESPACE}:borealis");
    scene
        .kubectl(&["create", "rolebinding", "borealis-secrets", "--role=borealis-secrets", &account])
        .await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 2).await?;
    uses_secret(&scene, "two").await?;
    rotate(&scene, "three").await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    scene.running("web", 2).await?;
    uses_secret(&scene, "three").await?;
    // Taken away again: it is said, and what runs is healed all the same.
    scene.kubectl(&["delete", "rolebinding", "borealis-secrets"]).await?;
    scene.says("web", "Stalled", "True", "ConfigDenied").await?;
    let victim = scene.live("web").first().cloned().context("no Pod lives")?;
    scene.world.kube.pods(&scene.namespace).delete(&victim.name, &DeleteParams::default()).await?;
    wait::until("the Pod to be made anew", super::LONG, || async {
        let live = scene.live("web");
        let healed = live.len() == 2 && live.iter().all(|pod| pod.is_up() && pod.uid != victim.uid);
        Ok(wait::when(healed, format!("{live:?}")))
    })
    .await?;
    uses_secret(&scene, "three").await?;
    let others = ["auth", "can-i", "get", "secrets", "--as", OPERATOR, "--namespace", "default"];
    let elsewhere = scene.world.cluster.kubectl_ended(&others).await?;
    ensure!(elsewhere.stdout.trim() == "no", "a Role here lets the operator read there");
    Ok(())
}

async fn rotate(scene: &Scene, value: &str) -> Result<()> {
    let patch = json!({ "stringData": { "KEY": value } });
    secrets(scene).patch("key", &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

/// The Secret that each live Pod names.
async fn secret_of(scene: &Scene) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for pod in scene.live("web") {
        let pod = serde_json::to_value(scene.world.kube.pods(&scene.namespace).get(&pod.name).await?)?;
        names.push(text(&pod, "/spec/containers/0/envFrom/0/secretRef/name").to_owned());
    }
    Ok(names)
}

async fn uses_secret(scene: &Scene, value: &str) -> Result<()> {
    let revision = scene.current_revision("web").await?;
    let name = snapshot_name("key", &revision);
    ensure!(secret_of(scene).await? == [name.as_str(); 2], "Pods don't name {name}");
    let copy = secrets(scene).get(&name).await?;
    ensure!(copy.immutable == Some(true), "{name} can be changed");
    ensure!(copy.type_.as_deref() == Some("example.com/own"), "its type is {:?}", copy.type_);
    let held = copy.data.as_ref().and_then(|data| data.get("KEY")).map(|bytes| bytes.0.clone());
    ensure!(held.as_deref() == Some(value.as_bytes()), "it does not hold {value}");
    Ok(())
}

async fn pruned(scene: Scene) -> Result<()> {
    write_map(&scene, json!({ "MODE": "0" })).await?;
    scene.apply(&configured(Service::new("web", 1).set("/update/watchSeconds", json!(0)))).await?;
    scene.running("web", 1).await?;
    let first = snapshot_name("web-config", &scene.current_revision("web").await?);
    maps(&scene).get(&first).await.with_context(|| format!("no ConfigMap {first}"))?;
    for edit in 1..=KEPT + 2 {
        write_map(&scene, json!({ "MODE": edit.to_string() })).await?;
        scene.update_in("web", u32::try_from(edit)?, "ROLLED_FORWARD").await?;
    }
    scene.running("web", 1).await?;
    let last = scene.current_revision("web").await?;
    let copies = |most: usize| {
        let scene = &scene;
        async move {
            let names = copies_of(scene).await?;
            Ok(wait::when(names.len() <= most, format!("{} copies: {names:?}", names.len())))
        }
    };
    wait::until("the copies of old configs to go", super::LONG, || copies(KEPT)).await?;
    ensure!(maps(&scene).get_opt(&first).await?.is_none(), "{first} is still there");
    uses_snapshot(&scene, 1, &last).await?;
    scene.kubectl(&["delete", "asvc", "web"]).await?;
    wait::until("all copies to go with the service", super::LONG, || copies(0)).await?;
    ensure!(maps(&scene).get_opt("web-config").await?.is_some(), "the original went, too");
    Ok(())
}

/// The names of the copies there are.
async fn copies_of(scene: &Scene) -> Result<Vec<String>> {
    let ours = ListParams::default().labels("borealis.dev/service=web");
    Ok(maps(scene).list(&ours).await?.items.iter().map(ConfigMap::name_any).collect())
}

async fn orphaned(scene: Scene) -> Result<()> {
    let service = configured(Service::new("web", 3).queue(3));
    write_map(&scene, json!({ "MODE": "one" })).await?;
    scene.apply(&service).await?;
    scene.running("web", 3).await?;
    write_map(&scene, json!({ "MODE": "two" })).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 3).await?;
    let (revision, copies) = (scene.current_revision("web").await?, copies_of(&scene).await?);
    ensure!(copies.len() == 2, "the copies are {copies:?}");

    let mark = scene.calm().await?;
    scene.kubectl(&["delete", "asvc", "web", "--cascade=orphan"]).await?;
    wait::until("stored configs without an owner", super::LONG, || async {
        let stored = scene.world.kube.revisions(&scene.namespace).list(&ListParams::default()).await?.items;
        let owned = stored.iter().filter(|it| it.metadata.owner_references.is_some()).count();
        Ok(wait::when(owned == 0, format!("{owned} of {} are owned", stored.len())))
    })
    .await?;
    scene.apply(&service).await?;
    scene.running("web", 3).await?;
    ensure!(scene.current_revision("web").await? == revision, "another config runs");
    scene.stays_untouched(mark, Duration::from_secs(3)).await?;
    ensure!(copies_of(&scene).await? == copies, "the copies are {:?}", copies_of(&scene).await?);
    uses_snapshot(&scene, 3, &revision).await.map(|_| ())
}
