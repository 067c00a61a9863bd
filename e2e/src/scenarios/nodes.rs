//! Nodes are lost, under each partition policy, and drained.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::{
    kube_api::{number, text},
    observer::Facts,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("node-lost-at-once", "instances of a lost node are started elsewhere at once", |s| {
            Box::pin(at_once(s))
        }),
        Scenario::new(
            "node-lost-delay",
            "the partition policy's delay is waited for; a node back in time keeps all",
            |s| Box::pin(delay(s)),
        ),
        Scenario::new(
            "node-lost-never",
            "reschedule: false waits for the node, whose Pods are then as before",
            |s| Box::pin(never(s)),
        ),
        Scenario::new("drain", "kubectl drain moves a service without taking all of it", |s| {
            Box::pin(drain(s))
        }),
        Scenario::new(
            "drain-rolled-back",
            "a count that was rolled back with its config keeps no node from being drained",
            |s| Box::pin(drain_rolled_back(s)),
        ),
    ]
}

/// Two nodes of its own, four instances spread over both, and the Pods that are on the first.
async fn two_nodes(scene: &Scene, partition: Value) -> Result<(Vec<String>, Vec<Facts>, Service)> {
    let nodes = scene.world.claim_nodes(&scene.namespace, 2).await?;
    let spread = json!([{
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": { "borealis.dev/service": "web" } },
    }]);
    let service = Service::new("web", 4)
        .on_claimed_nodes(&scene.namespace)
        .pod("/topologySpreadConstraints", spread)
        .set("/partition", partition);
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    let on_first: Vec<Facts> =
        scene.live("web").into_iter().filter(|pod| pod.node.as_deref() == Some(&nodes[0])).collect();
    ensure!(!on_first.is_empty() && on_first.len() < 4, "the Pods did not spread: {:?}", scene.live("web"));
    Ok((nodes, on_first, service))
}

fn is_among(pods: &[Facts], pod: &Facts) -> bool {
    pods.iter().any(|other| other.uid == pod.uid)
}

/// The live Pods once all four instances run on the node that is left, whatever is left of those that are lost.
async fn elsewhere(scene: &Scene, lost: &[Facts], node: &str) -> Result<Vec<Facts>> {
    wait::until("all four to run elsewhere", Duration::from_secs(60), || async {
        let live = scene.live("web");
        let rest: Vec<Facts> = live.into_iter().filter(|pod| !is_among(lost, pod)).collect();
        let done = rest.len() == 4 && rest.iter().all(|pod| pod.is_up() && pod.node.as_deref() == Some(node));
        Ok(if done { Look::Done(rest) } else { Look::NotYet(format!("{rest:?}")) })
    })
    .await
}

async fn at_once(scene: Scene) -> Result<()> {
    let (nodes, lost, _) = two_nodes(&scene, json!({ "reschedule": true })).await?;
    let begin = Instant::now();
    scene.world.lose_node(&nodes[0]).await?;
    let moved = elsewhere(&scene, &lost, &nodes[1]).await?;
    scene.note(format!("{} moved after {:.1}s", lost.len(), begin.elapsed().as_secs_f64()));
    let second = moved.iter().filter(|pod| pod.run == 2).count();
    ensure!(second == lost.len(), "{second} second runs for {} lost instances", lost.len());
    ensure!(moved.iter().all(|pod| pod.flaps == 0), "a lost node counts as flapping: {moved:?}");
    scene.running("web", 4).await?;
    stays_given_up(&scene, &lost[0]).await?;
    // The node comes back: its old Pods end, the new ones stay.
    scene.world.restore_node(&nodes[0]).await?;
    wait::until("the old Pods to be gone", Duration::from_secs(30), || async {
        let live = scene.live("web");
        Ok(wait::when(!live.iter().any(|pod| is_among(&lost, pod)), format!("{live:?}")))
    })
    .await?;
    let live = scene.live("web");
    ensure!(
        live.len() == 4 && live.iter().all(|pod| is_among(&moved, pod)),
        "the new Pods did not stay: {live:?}"
    );
    Ok(())
}

/// A late write of the operator's own account can't make a Pod that was given up one that merely ends.
async fn stays_given_up(scene: &Scene, pod: &Facts) -> Result<()> {
    let account = "--as=system:serviceaccount:borealis-system:borealis";
    let overwrite = ["annotate", "pod", &pod.name, "borealis.dev/end-reason=Kill", "--overwrite", account];
    let refused = scene.kubectl(&overwrite).await.err().context("its end was rewritten")?;
    let said = format!("{refused:#}");
    ensure!(said.contains("borealis-term") && said.contains("given up"), "refused by something else: {said}");
    Ok(())
}

async fn delay(scene: Scene) -> Result<()> {
    let (nodes, lost, service) = two_nodes(&scene, json!({ "reschedule": true, "delaySeconds": 6 })).await?;
    let (mark, begin) = (scene.mark(), Instant::now());
    scene.world.lose_node(&nodes[0]).await?;
    elsewhere(&scene, &lost, &nodes[1]).await?;
    let made = scene.history(mark, "web").into_iter().find(|entry| entry.pod.run == 2);
    let waited = made.context("no second run was seen")?.at.duration_since(begin).as_secs_f64();
    scene.note(format!("waited {waited:.1}s of 6"));
    ensure!(waited >= 5.0, "replaced after {waited:.1}s, before the delay of 6 s was over");
    ensure!(waited <= 14.0, "replaced only after {waited:.1}s");
    scene.world.restore_node(&nodes[0]).await?;
    scene.running("web", 4).await?;

    // Back in time: nothing is replaced.
    scene.apply(&service.set("/partition", json!({ "reschedule": true, "delaySeconds": 600 }))).await?;
    scene.running("web", 4).await?;
    let mark = scene.mark();
    scene.world.lose_node(&nodes[1]).await?;
    let gone = scene.service_until("web", "lost instances", |s| !text(s, "/status/lost").is_empty()).await?;
    ensure!(
        number(&gone, "/status/counts/running") < 4,
        "lost instances count as running: {}",
        gone["status"]
    );
    scene.world.restore_node(&nodes[1]).await?;
    scene.running("web", 4).await?;
    scene.untouched_since(mark)
}

async fn never(scene: Scene) -> Result<()> {
    let (nodes, lost, _) = two_nodes(&scene, json!({ "reschedule": false })).await?;
    let mark = scene.mark();
    scene.world.lose_node(&nodes[0]).await?;
    let service =
        scene.service_until("web", "lost instances", |s| !text(s, "/status/lost").is_empty()).await?;
    let ranges = text(&service, "/status/lost");
    let named = lost.iter().all(|pod| in_ranges(ranges, pod.key.instance));
    ensure!(named, "status.lost says {ranges:?}, lost are {lost:?}");
    scene.stays_untouched(mark, Duration::from_secs(5)).await?;
    scene.world.restore_node(&nodes[0]).await?;
    let service = scene.running("web", 4).await?;
    ensure!(text(&service, "/status/lost").is_empty(), "still lost: {}", service["status"]);
    scene.untouched_since(mark)
}

fn in_ranges(ranges: &str, instance: u32) -> bool {
    ranges.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if (first..=last).contains(&instance))
    })
}

async fn drain(scene: Scene) -> Result<()> {
    let nodes = scene.world.claim_nodes(&scene.namespace, 1).await?;
    let service = Service::new("web", 6).on_claimed_nodes(&scene.namespace).simulate("start-seconds", "1");
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let budget = scene.world.kube.budgets(&scene.namespace).get("web").await?;
    let policy = budget.spec.and_then(|spec| spec.unhealthy_pod_eviction_policy);
    ensure!(policy.as_deref() == Some("AlwaysAllow"), "the budget's eviction policy is {policy:?}");

    let spare = scene.world.claim_nodes(&scene.namespace, 1).await?;
    let mark = scene.mark();
    let args = ["drain", &nodes[0], "--ignore-daemonsets", "--timeout=80s"];
    let said = scene.world.cluster.kubectl(&args).await?;
    ensure!(said.contains("drained"), "kubectl drain said: {said}");
    let down = scene.most_down(mark, "web", 6);
    scene.note(format!("at most {down} of 6 down"));
    ensure!(
        down <= 2,
        "{down} of 6 instances were down at once; the budget allows 1 and one may be starting"
    );
    scene.running("web", 6).await?;
    let live = scene.live("web");
    ensure!(live.iter().all(|pod| pod.node.as_ref() == spare.first()), "not all moved: {live:?}");
    ensure!(live.iter().all(|pod| pod.flaps == 0), "a drain counts as flapping: {live:?}");
    // A Pod that is evicted at the same time as its service is scaled in must not come back.
    let pods = scene.world.kube.pods(&scene.namespace);
    if let Some(last) = live.last() {
        scene.kubectl(&["scale", "asvc/web", "--replicas=5"]).await?;
        let _ = pods.delete(&last.name, &DeleteParams::default()).await;
    }
    scene.running("web", 5).await?;
    Ok(())
}

/// The spec asks for forty by then; a budget of forty would never let one of the four go.
async fn drain_rolled_back(scene: Scene) -> Result<()> {
    let nodes = scene.world.claim_nodes(&scene.namespace, 1).await?;
    let service = Service::new("web", 4).batch(2).on_claimed_nodes(&scene.namespace);
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    let bad = service.instances(40).version(2).simulate("fail-after-seconds", "1");
    scene.apply(&bad.simulate("start-seconds", "30")).await?;
    scene.update_in("web", 1, "ROLLED_BACK").await?;
    scene.running("web", 4).await?;

    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let mark = scene.mark();
    let args = ["drain", &nodes[0], "--ignore-daemonsets", "--timeout=80s"];
    let said = scene.world.cluster.kubectl(&args).await?;
    ensure!(said.contains("drained"), "kubectl drain said: {said}");
    let down = scene.most_down(mark, "web", 4);
    ensure!(down <= 2, "{down} of 4 were down at once; the budget allows 1 and one may be starting");
    scene.running("web", 4).await.map(|_| ())
}
