//! A service comes up, is scaled, and each Pod knows who it is.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::json;

use crate::{
    kube_api::{condition, number, text},
    observer::Key,
    runner::Scenario,
    scene::Scene,
    service::Service,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("start-200", "200 instances start at once and the status says so", |s| {
            Box::pin(start_200(s))
        }),
        Scenario::new("scale", "kubectl scale adds and removes instances, and is no update", |s| {
            Box::pin(scale(s))
        }),
        Scenario::new(
            "identity",
            "each Pod has its labels, its variables, its name, and DNS by discovery",
            |s| Box::pin(identity(s)),
        ),
    ]
}

async fn start_200(scene: Scene) -> Result<()> {
    let (begin, mark) = (Instant::now(), scene.mark());
    scene.apply(&Service::new("web", 200)).await?;
    let service = scene.running("web", 200).await?;
    scene.note(format!("200 run after {:.1}s", begin.elapsed().as_secs_f64()));

    let (_, reason, message) = condition(&service, "Ready").context("no condition Ready")?;
    ensure!(reason == "Running", "Ready's reason is {reason}");
    ensure!(message.contains("200 of 200"), "Ready's message does not count: {message}");
    let counts =
        ["desired", "running", "updated"].map(|count| number(&service, &format!("/status/counts/{count}")));
    ensure!(counts == [200; 3], "desired, running, updated are {counts:?}");
    ensure!(number(&service, "/status/replicas") == 200, "status.replicas is not 200");
    ensure!(
        condition(&service, "Stalled").is_none_or(|(status, ..)| status == "False"),
        "it says it is stalled"
    );
    ensure!(scene.updates_count().await? == 0, "the first config is no update");

    let revision = scene.current_revision("web").await?;
    scene.all_run("web", 200, &revision)?;
    let made = scene.history(mark, "web").iter().filter(|e| e.pod.run != 1).count();
    ensure!(made == 0, "some instance needed a second run to start");

    let columns = scene.kubectl(&["get", "asvc", "web"]).await?;
    let key = format!("/{}/default/web", scene.namespace);
    for shown in ["JOB", "DESIRED", "RUNNING", "UPDATED", "STATE", "AGE", "Running", "200", &key] {
        ensure!(columns.contains(shown), "kubectl get does not show {shown}:\n{columns}");
    }
    Ok(())
}

async fn scale(scene: Scene) -> Result<()> {
    scene.apply(&Service::new("web", 5)).await?;
    scene.running("web", 5).await?;
    let revision = scene.current_revision("web").await?;
    let first = scene.uid_of("web", 0)?;

    scene.kubectl(&["scale", "asvc/web", "--replicas=12"]).await?;
    scene.running("web", 12).await?;
    scene.all_run("web", 12, &revision)?;

    let mark = scene.mark();
    scene.kubectl(&["scale", "asvc/web", "--replicas=3"]).await?;
    scene.running("web", 3).await?;
    scene.all_run("web", 3, &revision)?;
    ensure!(scene.uid_of("web", 0)? == first, "instance 0 was touched by scaling");
    let down = scene.most_down(mark, "web", 3);
    ensure!(down == 0, "{down} of the instances that stay were down");

    scene.kubectl(&["scale", "asvc/web", "--replicas=0"]).await?;
    scene.running("web", 0).await?;
    ensure!(scene.live("web").is_empty(), "Pods live on at 0 replicas");

    scene.kubectl(&["scale", "asvc/web", "--replicas=4"]).await?;
    scene.running("web", 4).await?;
    let again = scene.live("web");
    ensure!(again.iter().all(|pod| pod.run > 1), "a run number was used again: {again:?}");
    ensure!(scene.updates_count().await? == 0, "scaling started an update");
    Ok(())
}

async fn identity(scene: Scene) -> Result<()> {
    let service = Service::new("web", 2).set("/discovery", json!({}));
    scene.apply(&service).await?;
    scene.running("web", 2).await?;
    let object = scene.service("web").await?;
    let pods = scene.world.kube.pods(&scene.namespace).list(&ListParams::default()).await?.items;
    for pod in pods {
        let pod = serde_json::to_value(pod)?;
        let label = |key: &str| text(&pod, &format!("/metadata/labels/borealis.dev~1{key}")).to_owned();
        let instance = label("instance");
        let expected = [
            (text(&pod, "/metadata/name").to_owned(), format!("web-{instance}-1")),
            (text(&pod, "/spec/hostname").to_owned(), format!("web-{instance}")),
            (text(&pod, "/spec/subdomain").to_owned(), "web".to_owned()),
            (text(&pod, "/spec/restartPolicy").to_owned(), "Never".to_owned()),
            (label("service"), "web".to_owned()),
            (label("run"), "1".to_owned()),
            (label("role"), scene.namespace.clone()),
            (label("tier"), "preemptible".to_owned()),
            (label("live"), "true".to_owned()),
            (label("revision"), text(&object, "/status/currentRevision").to_owned()),
            (
                text(&pod, "/metadata/ownerReferences/0/uid").to_owned(),
                text(&object, "/metadata/uid").to_owned(),
            ),
        ];
        for (found, wanted) in expected {
            ensure!(found == wanted, "found {found:?}, not {wanted:?} in {pod:#}");
        }
        ensure!(label("term").parse::<u32>().is_ok(), "no term: {:?}", label("term"));
        let env = pod["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        let variable = |name: &str| {
            env.iter().find(|entry| entry["name"] == name).map(|entry| text(entry, "/value").to_owned())
        };
        ensure!(variable("BOREALIS_INSTANCE") == Some(instance), "BOREALIS_INSTANCE is wrong: {env:?}");
        ensure!(variable("BOREALIS_RUN").as_deref() == Some("1"), "BOREALIS_RUN is wrong: {env:?}");
        let key = variable("BOREALIS_JOB_KEY").unwrap_or_default();
        ensure!(
            key == text(&object, "/status/jobKey"),
            "BOREALIS_JOB_KEY {key:?} is not the status's job key"
        );
    }
    let dns = scene.kubectl(&["get", "service", "web", "--output", "jsonpath={.spec.clusterIP}"]).await?;
    ensure!(dns == "None", "the Service for discovery is not headless: {dns}");
    let key = Key { namespace: scene.namespace.clone(), service: "web".into(), instance: 1 };
    ensure!(scene.live("web").iter().any(|pod| pod.key == key), "the witness saw no instance 1");
    Ok(())
}
