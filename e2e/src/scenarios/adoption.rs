//! What runs is never touched for nothing: after a restart of the operator, without status, after being orphaned.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    kube_api::{condition, number, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "orphaned",
            "a service deleted with --cascade=orphan and made again adopts its Pods",
            |s| Box::pin(orphaned(s)),
        ),
        Scenario::new("deleted-service", "deleting a service ends its Pods", |s| {
            Box::pin(deleted_service(s))
        }),
        Scenario::new("status-wiped", "a status that is lost touches no Pod and starts no update", |s| {
            Box::pin(status_wiped(s))
        }),
        Scenario::new("name-conflict", "a foreign Pod of the wanted name is left alone, and said", |s| {
            Box::pin(name_conflict(s))
        }),
        Scenario::new("restart-1000", "the operator is restarted with 1,000 Pods: none is touched", |s| {
            Box::pin(restart_1000(s))
        })
        .exclusive(),
    ]
}

fn uids(scene: &Scene, service: &str) -> Vec<String> {
    scene.live(service).into_iter().map(|pod| pod.uid).collect()
}

async fn orphaned(scene: Scene) -> Result<()> {
    let service = Service::new("web", 4).batch(2);
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    let service = service.version(2);
    scene.apply(&service).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 4).await?;
    let before = uids(&scene, "web");
    let mark = scene.mark();

    scene.kubectl(&["delete", "asvc", "web", "--cascade=orphan"]).await?;
    wait::until("Pods without an owner", Duration::from_secs(30), || async {
        let pods = scene.world.kube.pods(&scene.namespace).list(&ListParams::default()).await?.items;
        let owned = pods.iter().filter(|pod| pod.metadata.owner_references.is_some()).count();
        Ok(wait::when(owned == 0, format!("{owned} of {} are owned", pods.len())))
    })
    .await?;
    scene.stays_untouched(mark, Duration::from_secs(2)).await?;

    let again = scene.apply(&service).await?;
    let owner = text(&again, "/metadata/uid").to_owned();
    scene.running("web", 4).await?;
    ensure!(uids(&scene, "web") == before, "other Pods run than before");
    scene.untouched_since(mark)?;
    ensure!(scene.updates_count().await? == 1, "adopting started an update");
    for kind in ["pods", "controllerrevisions", "auroraupdates", "poddisruptionbudgets"] {
        let path = "jsonpath={.items[*].metadata.ownerReferences[0].uid}";
        let owners = scene.kubectl(&["get", kind, "--output", path]).await?;
        let all = owners.split_whitespace().all(|uid| uid == owner);
        ensure!(all && !owners.trim().is_empty(), "not all {kind} belong to {owner}: {owners}");
    }
    // What was adopted is healed and updated like any other.
    let pods = scene.world.kube.pods(&scene.namespace);
    pods.delete(&format!("web-0-{}", scene.live("web")[0].run), &DeleteParams::default()).await?;
    scene.apply(&service.version(3)).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    scene.running("web", 4).await.map(|_| ())
}

async fn deleted_service(scene: Scene) -> Result<()> {
    scene.apply(&Service::new("web", 3).set("/discovery", json!({}))).await?;
    scene.running("web", 3).await?;
    scene.kubectl(&["delete", "asvc", "web"]).await?;
    wait::until("everything of it to be gone", Duration::from_secs(60), || async {
        let kinds = "pods,controllerrevisions,poddisruptionbudgets,services,auroraupdates";
        let left = scene.kubectl(&["get", kinds, "--output", "name"]).await?;
        Ok(wait::when(left.trim().is_empty(), left))
    })
    .await
}

/// Wipes the status of every service and update of the namespace.
async fn wipe(scene: &Scene) -> Result<()> {
    let patch = Patch::Merge(json!({ "status": null }));
    for api in [scene.world.kube.services(&scene.namespace), scene.world.kube.updates(&scene.namespace)] {
        for object in api.list(&ListParams::default()).await?.items {
            let name = object.metadata.name.context("an object without a name")?;
            api.patch_status(&name, &PatchParams::default(), &patch).await?;
        }
    }
    Ok(())
}

async fn status_wiped(scene: Scene) -> Result<()> {
    let plain = Service::new("plain", 3);
    scene.apply(&plain).await?;
    let updated = Service::new("updated", 4).batch(4);
    scene.apply(&updated).await?;
    let bad = Service::new("bad", 4).batch(2);
    scene.apply(&bad).await?;
    for (name, instances) in [("plain", 3), ("updated", 4), ("bad", 4)] {
        scene.running(name, instances).await?;
    }
    scene.apply(&updated.version(2)).await?;
    scene.apply(&bad.version(2).simulate("fail-after-seconds", "1").simulate("start-seconds", "30")).await?;
    scene.update_in("updated", 1, "ROLLED_FORWARD").await?;
    scene.update_in("bad", 1, "ROLLED_BACK").await?;
    for (name, instances) in [("updated", 4), ("bad", 4)] {
        scene.running(name, instances).await?;
    }
    let (mark, good) = (scene.calm().await?, scene.current_revision("bad").await?);
    wipe(&scene).await?;
    for (name, instances) in [("plain", 3), ("updated", 4), ("bad", 4)] {
        scene.running(name, instances).await?;
    }
    scene.stays_untouched(mark, Duration::from_secs(3)).await?;
    ensure!(scene.updates_count().await? == 2, "losing status started an update");
    ensure!(scene.current_revision("bad").await? == good, "another config is called the last good one");
    let service = scene.service("bad").await?;
    ensure!(
        condition(&service, "Stalled").is_some_and(|(s, ..)| s == "True"),
        "the failed config is forgotten"
    );
    Ok(())
}

async fn name_conflict(scene: Scene) -> Result<()> {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "web-1-1" },
        "spec": {
            "nodeSelector": { crate::service::SIMULATED: "true" },
            "containers": [{ "name": "foreign", "image": "example.test/foreign:1" }],
        },
    });
    let pods = scene.world.kube.pods(&scene.namespace);
    let made = pods.create(&Default::default(), &serde_json::from_value(pod)?).await?;
    scene.apply(&Service::new("web", 3)).await?;
    scene.told("web", "NameConflict", "web-1-1").await?;
    scene.service_until("web", "the others to run", |s| number(s, "/status/counts/running") >= 2).await?;
    let still = pods.get("web-1-1").await?;
    ensure!(still.metadata.uid == made.metadata.uid, "the foreign Pod was touched");
    ensure!(still.metadata.owner_references.is_none(), "the foreign Pod was taken");
    pods.delete("web-1-1", &DeleteParams::default()).await?;
    scene.running("web", 3).await.map(|_| ())
}

async fn restart_1000(scene: Scene) -> Result<()> {
    let names = ["a", "b", "c", "d"];
    for name in names {
        scene.apply(&Service::new(name, 250)).await?;
    }
    let begin = Instant::now();
    for name in names {
        scene.running(name, 250).await?;
    }
    scene.note(format!("1,000 run after {:.1}s", begin.elapsed().as_secs_f64()));
    let before: Vec<Value> = statuses(&scene, &names).await?;
    let mark = scene.mark();

    scene.world.operators.stop_all().await?;
    // A change that comes while nobody looks, so that it is seen when the operator is at work again.
    scene.apply(&Service::new("late", 1)).await?;
    let begin = Instant::now();
    scene.world.operators.start_all().await?;
    scene.running("late", 1).await?;
    scene.note(format!("at work again after {:.1}s", begin.elapsed().as_secs_f64()));
    wait::holds("a restart that touches no Pod", Duration::from_secs(5), || async {
        let touched = scene.world.observer.ledger().touched(mark, &scene.namespace);
        let others: Vec<&String> = touched.iter().filter(|text| !text.contains("/late-")).collect();
        Ok(wait::when(others.is_empty(), format!("{others:?}")))
    })
    .await?;
    ensure!(statuses(&scene, &names).await? == before, "a restart changed a status that says the same");

    let victim = scene.live("a").first().cloned().context("no Pod of a")?;
    let pods = scene.world.kube.pods(&scene.namespace);
    pods.delete(&victim.name, &DeleteParams::default()).await?;
    wait::until("the deleted Pod's successor", Duration::from_secs(30), || async {
        let found = scene.live("a").into_iter().find(|pod| pod.key == victim.key && pod.uid != victim.uid);
        Ok(found.map_or_else(|| Look::NotYet("none yet".into()), Look::Done))
    })
    .await
    .map(|_| ())
}

async fn statuses(scene: &Scene, names: &[&str]) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for name in names {
        all.push(scene.service(name).await?["status"].clone());
    }
    Ok(all)
}
