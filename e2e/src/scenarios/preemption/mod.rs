//! Preemption: production gets its room on nodes full of other work, at the price that the rule names and no other.
//!
//! Each scenario fills nodes of its own with work of its namespace, which no AuroraRole claims; production is that of a
//! team with a role and a quota. `slots` is about room that is kept while others want it, too, `at_size` about many at once.

mod at_size;
mod dry_run;
mod slots;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::{
    kube_api::{condition, text},
    observer::{Facts, Mark},
    runner::Scenario,
    scene::Scene,
    service::{SIMULATED, Service},
    wait::{self, Look},
    world::{CLAIM, RESERVED},
};

/// How many CPUs a simulated node has.
const CPUS: u32 = 32;
/// How long policies may take to know a new role.
const SOON: Duration = Duration::from_secs(60);
/// How long nothing happens to those who must be spared.
const SPARED: Duration = Duration::from_secs(6);

pub(super) fn all() -> Vec<Scenario> {
    let mut all = vec![
        Scenario::new("preemption", "production ends exactly as many Pods of batch as it needs", |s| {
            Box::pin(production(s))
        }),
        Scenario::new(
            "preemption-priority",
            "within a role the higher priority goes first, and no other",
            |s| Box::pin(priority(s)),
        ),
        Scenario::new("preemption-roles", "the production of one role never ends that of another", |s| {
            Box::pin(roles(s))
        }),
        Scenario::new("preemption-budget", "a disruption budget of a victim is kept to", |s| {
            Box::pin(budget(s))
        }),
        Scenario::new(
            "preemption-young",
            "who has not run for its tier's least time is spared until then",
            |s| Box::pin(young(s)),
        ),
    ];
    all.push(dry_run::scenario());
    all.extend(slots::all());
    all.extend(at_size::all());
    all
}

/// Founds a team beside the scenario: a role and a namespace of one name, with these tiers and room in its quota.
async fn team(scene: &Scene, suffix: &str, tiers: &[(&str, i32)]) -> Result<Scene> {
    let name = format!("{}-{suffix}", scene.namespace);
    let team = Scene::open(Arc::clone(&scene.world), &name).await?;
    team.world.cluster.kubectl(&["label", "namespace", &name, &format!("team={name}")]).await?;
    let names: Vec<&str> = tiers.iter().map(|(tier, _)| *tier).collect();
    let role = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraRole", "metadata": {"name": name},
        "spec": {
            "namespaces": {"matchLabels": {"team": name}}, "tiers": names, "defaultTier": names[0],
            "quota": {"cpu": "100000", "memory": "100Ti", "ephemeral-storage": "100Ti"},
        },
    });
    create(&team, "role", &role).await?;
    wait::until("the namespace to be the role's", SOON, || async {
        let namespace = team.world.kube.namespaces().get(&name).await?;
        let notes = namespace.metadata.annotations.unwrap_or_default();
        let classes = notes.get("borealis.dev/classes").cloned().unwrap_or_default();
        let all = tiers.iter().all(|(tier, band)| {
            let class = format!("borealis-{tier}-{band}");
            classes.split(',').any(|known| known == class)
        });
        Ok(wait::when(all && notes.get("borealis.dev/role") == Some(&name), format!("{notes:?}")))
    })
    .await?;
    Ok(team)
}

/// Ends what a team has, and fails when the witness saw what must never be.
async fn disband(team: Scene) -> Result<()> {
    let violations = team.world.observer.ledger().violations(&team.namespace);
    ensure!(violations.is_empty(), "{}", violations.join("; "));
    team.world.cluster.kubectl(&["delete", "aurorarole", &team.namespace]).await?;
    team.world.kube.namespaces().delete(&team.namespace, &DeleteParams::background()).await?;
    Ok(())
}

/// Applies an object as the administrator.
async fn create(scene: &Scene, what: &str, object: &Value) -> Result<()> {
    let file = scene.world.folder.join(format!("{}-{what}.json", scene.namespace));
    std::fs::write(&file, object.to_string())?;
    scene.kubectl(&["apply", "--filename", &file.to_string_lossy()]).await.map(drop)
}

/// Work on the scenario's nodes that takes so many CPUs for each instance, and `stop` seconds to end.
fn work(nodes: &str, name: &str, instances: u32, cpus: u32, stop: u32) -> Service {
    let requests = json!({ "requests": { "cpu": cpus.to_string(), "memory": "1Mi" } });
    Service::new(name, instances)
        .on_claimed_nodes(nodes)
        .container_field("resources", requests)
        .pod("/terminationGracePeriodSeconds", json!(stop + 20))
        .simulate("stop-seconds", &stop.to_string())
}

fn preferred(service: Service) -> Service {
    service.set("/tier", json!("preferred"))
}

/// What is known of a service's victims since a mark, by uid.
fn victims(scene: &Scene, mark: Mark, service: &str) -> BTreeMap<String, Facts> {
    let history = scene.history(mark, service).into_iter().map(|entry| entry.pod);
    history.filter(|pod| pod.preempted.is_some()).map(|pod| (pod.uid.clone(), pod)).collect()
}

/// Fails unless exactly so many Pods of a service were ended since the mark, all of them as victims of this rule.
fn exactly(scene: &Scene, mark: Mark, service: &str, count: usize, rule: &str) -> Result<Vec<Facts>> {
    let history = scene.history(mark, service);
    let ended: std::collections::BTreeSet<&str> =
        history.iter().filter(|entry| entry.pod.ending).map(|entry| entry.pod.uid.as_str()).collect();
    let victims = victims(scene, mark, service);
    ensure!(
        ended.len() == count
            && victims.len() == count
            && victims.keys().all(|uid| ended.contains(uid.as_str())),
        "{} Pods of {service} ended and {} were victims, not {count}",
        ended.len(),
        victims.len()
    );
    for victim in victims.values() {
        let note: Value = serde_json::from_str(victim.preempted.as_deref().unwrap_or_default())?;
        ensure!(text(&note, "/rule").contains(rule), "{victim} went by another rule: {note}");
        ensure!(victim.node.as_deref() == Some(text(&note, "/node")), "{victim} is told of a node: {note}");
    }
    let flaps = history.iter().map(|entry| entry.pod.flaps).max().unwrap_or_default();
    ensure!(flaps == 0, "an end counts as a failure of {service}");
    Ok(victims.into_values().collect())
}

/// Waits until so many instances of a service run while the others have no place, and returns what it says of those.
async fn remain(scene: &Scene, service: &str, running: usize, waiting: usize) -> Result<String> {
    wait::until(&format!("{service}: {running} to run and {waiting} to wait"), super::LONG, || async {
        let live = scene.live(service);
        let up = live.iter().filter(|pod| pod.is_up()).count();
        let wait = live.iter().filter(|pod| pod.node.is_none() && !pod.ending).count();
        let object = scene.service(service).await?;
        let said = condition(&object, "Placed").map(|(status, _, said)| (status == "False", said.to_owned()));
        Ok(match said {
            Some((true, said)) if up == running && wait == waiting => Look::Done(said),
            said => Look::NotYet(format!("{up} run, {wait} wait, it says {said:?}")),
        })
    })
    .await
}

/// Waits until the service's condition has these words of those that wait.
async fn placed_says(scene: &Scene, service: &str, words: &str) -> Result<String> {
    let says = |object: &Value| {
        condition(object, "Placed")
            .filter(|(.., said)| said.contains(words))
            .map(|(.., said)| said.to_owned())
    };
    let object = scene
        .service_until(service, &format!("Placed to say {words:?}"), |object| says(object).is_some())
        .await?;
    says(&object).context("it says something else by now")
}

async fn production(scene: Scene) -> Result<()> {
    let nodes = scene.world.claim_nodes(&scene.namespace, 2).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    // Four of it fill a node.
    scene.apply(&work(&scene.namespace, "batch", 8, CPUS / 4, 2)).await?;
    scene.running("batch", 8).await?;
    let mark = scene.mark();
    // Two victims for each: three of the victims would be of one node, were they chosen by age alone.
    shop.apply(&preferred(work(&scene.namespace, "shop", 3, CPUS / 2, 1))).await?;
    shop.running("shop", 3).await?;
    remain(&scene, "batch", 2, 6).await?;
    let victims = exactly(&scene, mark, "batch", 6, "not preemptible goes before")?;
    for victim in &victims {
        ensure!(
            victim.disrupted.as_deref() == Some("PreemptionByBorealis"),
            "{victim}: {:?}",
            victim.disrupted
        );
        let note: Value = serde_json::from_str(victim.preempted.as_deref().unwrap_or_default())?;
        ensure!(note.get("name").is_none(), "a victim of another role is told a name: {note}");
        let is_for = shop.live("shop").iter().any(|pod| pod.uid == text(&note, "/preemptor"));
        ensure!(is_for, "a victim is told of somebody else: {note}");
        ensure!(victim.node.as_ref().is_some_and(|node| nodes.contains(node)), "{victim} was elsewhere");
        scene.told(&victim.name, "Preempted", "ended to make room on node ").await?;
    }
    shop.told("shop", "MakingRoom", "").await?;
    // Production leaves, and batch comes back.
    shop.kubectl(&["delete", "asvc", "shop"]).await?;
    scene.running("batch", 8).await?;
    exactly(&scene, mark, "batch", 6, "")?;
    scene.note("3 instances of production, 6 victims");
    disband(shop).await
}

async fn priority(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let other = team(&scene, "other", &[("preemptible", 20_000)]).await?;
    let of = |name: &str, instances: u32, priority: u32| {
        work(&scene.namespace, name, instances, CPUS / 4, 1).set("/priority", json!(priority))
    };
    scene.apply(&of("low", 4, 1)).await?;
    scene.running("low", 4).await?;
    let mark = scene.mark();
    // Neither an equal of the role nor who is of another, however high.
    scene.apply(&of("equal", 1, 1)).await?;
    other.apply(&of("other", 1, 1000)).await?;
    remain(&scene, "equal", 0, 1).await?;
    scene.note(placed_says(&scene, "equal", "Insufficient cpu on 1 of ").await?);
    remain(&other, "other", 0, 1).await?;
    scene.note(placed_says(&other, "other", "Insufficient cpu on 1 of ").await?);
    wait::holds("sparing its equals", SPARED, || async {
        Ok(wait::when(exactly(&scene, mark, "low", 0, "").is_ok(), "one of them has ended"))
    })
    .await?;
    scene.apply(&of("high", 2, 10)).await?;
    scene.running("high", 2).await?;
    remain(&scene, "low", 2, 2).await?;
    for victim in exactly(&scene, mark, "low", 2, "within a role the higher priority goes first")? {
        let note = victim.preempted.as_deref().unwrap_or_default();
        ensure!(note.contains(&format!("{}/high-", scene.namespace)), "its own role is told no name: {note}");
    }
    ensure!(other.live("other").iter().all(|pod| pod.node.is_none()), "another role has got a place");
    disband(other).await
}

async fn roles(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let (first, second) = tokio::try_join!(
        team(&scene, "first", &[("preferred", 30_000)]),
        team(&scene, "second", &[("preferred", 30_000)])
    )?;
    first.apply(&preferred(work(&scene.namespace, "first", 4, CPUS / 4, 1))).await?;
    first.running("first", 4).await?;
    let mark = scene.mark();
    let high = preferred(work(&scene.namespace, "second", 1, CPUS / 4, 1)).set("/priority", json!(1000));
    second.apply(&high).await?;
    remain(&second, "second", 0, 1).await?;
    scene.note(placed_says(&second, "second", "Insufficient cpu on 1 of ").await?);
    wait::holds("sparing the production of others", SPARED, || async {
        Ok(wait::when(exactly(&first, mark, "first", 0, "").is_ok(), "one of them has ended"))
    })
    .await?;
    disband(first).await?;
    disband(second).await
}

async fn budget(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    // Of a service one may always go.
    let kept = work(&scene.namespace, "kept", 2, CPUS / 4, 1).set("/sla", json!({ "percentage": 100 }));
    scene.apply(&kept).await?;
    let foreign = ["foreign-0", "foreign-1"];
    for name in foreign {
        scene.world.kube.pods(&scene.namespace).create(&PostParams::default(), &alone(&scene, name)?).await?;
    }
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "foreign"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "foreign"}}},
    });
    create(&scene, "budget", &budget).await?;
    scene.running("kept", 2).await?;
    wait::until("the budgets to allow one each", SOON, || async {
        let path = "jsonpath={.items[*].status.disruptionsAllowed}";
        let allowed = scene.kubectl(&["get", "pdb", "--output", path]).await?;
        Ok(wait::when(allowed == "1 1", format!("{allowed:?}")))
    })
    .await?;
    let mark = scene.mark();
    // By each budget one may go, and the third has to wait.
    shop.apply(&preferred(work(&scene.namespace, "shop", 3, CPUS / 4, 1))).await?;
    scene.note(remain(&shop, "shop", 2, 1).await?);
    wait::holds("keeping to budgets", SPARED, || async {
        let ended = (victims(&scene, mark, "kept").len(), gone(&scene, &foreign).await?);
        Ok(wait::when(ended == (1, 1), format!("{ended:?} have ended")))
    })
    .await?;
    scene.kubectl(&["delete", "pdb", "foreign"]).await?;
    shop.running("shop", 3).await?;
    exactly(&scene, mark, "kept", 1, "not preemptible goes before")?;
    ensure!(gone(&scene, &foreign).await? == 2, "another than a Pod without a budget went");
    disband(shop).await
}

/// A Pod of the default tier that no service has made.
fn alone(scene: &Scene, name: &str) -> Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": "foreign"}},
        "spec": {
            "priorityClassName": "borealis-preemptible-20000", "terminationGracePeriodSeconds": 5,
            "nodeSelector": {CLAIM: scene.namespace},
            "tolerations": [{"key": SIMULATED, "operator": "Exists"}, {"key": RESERVED, "operator": "Exists"}],
            "containers": [{
                "name": "main", "image": "example.test/web:1",
                "resources": {"requests": {"cpu": (CPUS / 4).to_string(), "memory": "1Mi"}},
            }],
        },
    }))?)
}

/// How many of these Pods are ending or gone.
async fn gone(scene: &Scene, names: &[&str]) -> Result<usize> {
    let mut gone = 0;
    for name in names {
        let found = scene.world.kube.pods(&scene.namespace).get_opt(name).await?;
        gone += usize::from(found.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some()));
    }
    Ok(gone)
}

async fn young(scene: Scene) -> Result<()> {
    scene.world.claim_nodes(&scene.namespace, 1).await?;
    let tier = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": scene.namespace},
        "spec": {"preemptible": true, "band": 15_000, "minRuntimeSeconds": 30},
    });
    create(&scene, "tier", &tier).await?;
    let batch = team(&scene, "batch", &[(scene.namespace.as_str(), 15_000)]).await?;
    let shop = team(&scene, "shop", &[("preferred", 30_000)]).await?;
    batch.apply(&work(&scene.namespace, "batch", 1, CPUS, 1).set("/tier", json!(scene.namespace))).await?;
    batch.running("batch", 1).await?;
    let mark = scene.mark();
    shop.apply(&preferred(work(&scene.namespace, "shop", 1, CPUS, 1))).await?;
    wait::until("preemption to find its victim too young", SOON, || async {
        let shown = scene.world.operators.shows("preemptions").await?.to_string();
        let found = shown.contains(&shop.namespace) && shown.contains("not to be preempted before 20");
        Ok(wait::when(found, "no such decision"))
    })
    .await?;
    exactly(&batch, mark, "batch", 0, "")?;
    shop.running("shop", 1).await?;
    exactly(&batch, mark, "batch", 1, "not preemptible goes before")?;
    disband(batch).await?;
    disband(shop).await
}
