//! Quota: what a role's production services may use in all its namespaces together, who waits for it, and that nothing is
//! granted twice.
//!
//! What was granted is read where it is recorded, in `status.admitted` of the services.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams},
};
use serde_json::{Value, json};

use super::{
    LONG,
    tenancy::{PREEMPTIBLE, PREFERRED, claim_all},
};
use crate::{
    kube_api::{at, condition, number, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// How long nothing may happen where nothing should.
const STILL: Duration = Duration::from_secs(4);
/// Services that ask for quota while leaders are killed.
const ASKING: u32 = 40;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("quota", "one quota holds for two namespaces of a role; who is over it waits", |s| {
            Box::pin(quota(s))
        }),
        Scenario::new("quota-unclaimed", "without an AuroraRole only the default tier may be used", |s| {
            Box::pin(unclaimed(s))
        }),
        Scenario::new(
            "quota-leader-killed",
            "leaders are killed while they grant quota, and nothing is granted twice",
            |s| Box::pin(killed(s)),
        )
        .exclusive(),
    ]
}

/// A production service each of whose instances asks for so much CPU.
pub(super) fn production(name: &str, instances: u32, cpu: &str) -> Service {
    let requests = json!({ "requests": { "cpu": cpu, "memory": "1Mi" } });
    Service::new(name, instances).set("/tier", json!("preferred")).container_field("resources", requests)
}

/// Makes the role of the scene's name, with these namespaces and so much CPU.
pub(super) async fn role(scene: &Scene, namespaces: &[&str], cpu: &str) -> Result<()> {
    let spec = json!({ "tiers": ["preferred", "preemptible"], "quota": { "cpu": cpu, "memory": "1Gi" } });
    claim_all(scene, namespaces, &spec, &[PREFERRED, PREEMPTIBLE]).await
}

pub(super) async fn allow(scene: &Scene, cpu: &str) -> Result<()> {
    let patch = json!({ "spec": { "quota": { "cpu": cpu } } }).to_string();
    let args = ["patch", "aurorarole", &scene.namespace, "--type=merge", "--patch", &patch];
    scene.world.cluster.kubectl(&args).await.map(drop)
}

/// Waits until the role's status satisfies this.
async fn role_until(scene: &Scene, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    wait::until(&format!("the role: {what}"), LONG, || async {
        let args = ["get", "aurorarole", &scene.namespace, "--output", "json"];
        let role: Value = serde_json::from_str(&scene.world.cluster.kubectl(&args).await?)?;
        let seen = at(&role, "/status").to_string();
        Ok(if holds(&role) { Look::Done(role) } else { Look::NotYet(seen) })
    })
    .await
}

/// Waits until the service waits for quota in these words.
pub(super) async fn waits(scene: &Scene, service: &str, words: &str) -> Result<String> {
    let says = |service: &Value| {
        let said = condition(service, "Stalled")?;
        (said.0 == "True" && said.1 == "QuotaExceeded" && said.2.contains(words)).then(|| said.2.to_owned())
    };
    let what = format!("Stalled by QuotaExceeded with {words:?}");
    let service = scene.service_until(service, &what, |service| says(service).is_some()).await?;
    says(&service).context("it says something else by now")
}

async fn quota(scene: Scene) -> Result<()> {
    let name = format!("{}-there", scene.namespace);
    let there = Scene::open(scene.world.clone(), &name).await?;
    let outcome = shared(&scene, &there).await;
    scene.world.kube.namespaces().delete(&name, &DeleteParams::default()).await?;
    outcome
}

async fn shared(scene: &Scene, there: &Scene) -> Result<()> {
    role(scene, &[&scene.namespace, &there.namespace], "1250m").await?;
    scene.apply(&production("base", 1, "250m")).await?;
    scene.running("base", 1).await?;
    scene.apply(&production("web", 2, "250m")).await?;
    scene.running("web", 2).await?;

    // Who is over quota starts nothing, says what it lacks, and stands among those without a place.
    let first = there.apply(&production("second-by-name", 3, "250m")).await?;
    let said = waits(there, "second-by-name", "cpu: asked 750m, used 750m of 1250m, 250m too much").await?;
    scene.note(said);
    let message = there.says("second-by-name", "Placed", "False", "Pending").await?;
    ensure!(
        message.contains("3 of 3 instances have no place: instances 0-2: Held by QuotaExceeded"),
        "{message}"
    );
    shown(there, "second-by-name").await?;
    // A creation is known in whole seconds.
    let created: Timestamp = text(&first, "/metadata/creationTimestamp").parse()?;
    wait::until("the next second", STILL, || async {
        Ok(wait::when(Timestamp::now().as_second() > created.as_second() + 1, "the same second"))
    })
    .await?;
    there.apply(&production("first-by-name", 3, "250m")).await?;
    waits(there, "first-by-name", "cpu: asked 750m, used 750m of 1250m").await?;

    // More of what runs waits, too, and the old count runs on.
    let mark = scene.mark();
    scene.apply(&production("web", 5, "250m")).await?;
    waits(scene, "web", "cpu: asked 1250m, used 750m (500m of it by this job) of 1250m, 250m too much")
        .await?;
    scene.stays_untouched(mark, STILL).await?;
    there.untouched_since(mark)?;
    let held = role_until(scene, "three that wait", |role| number(role, "/status/quota/held") == 3).await?;
    ensure!(text(&held, "/status/quota/heldJobs/0/name") == "web", "{}", at(&held, "/status/quota"));

    // What is freed goes to the oldest that waits.
    scene.apply(&production("web", 1, "250m")).await?;
    there.running("second-by-name", 3).await?;
    scene.running("web", 1).await?;
    waits(there, "first-by-name", "cpu: asked 750m, used 1250m of 1250m").await?;
    ensure!(there.live("first-by-name").is_empty(), "what waits has Pods");

    // A config that costs too much is refused before anything is touched.
    let mark = there.calm().await?;
    let costly = production("second-by-name", 3, "300m");
    there.apply(&costly).await?;
    waits(there, "second-by-name", "cpu: asked 900m, used 1250m (750m of it by this job) of 1250m").await?;
    there.stays_untouched(mark, STILL).await?;
    ensure!(there.updates_count().await? == 0, "an update was begun that quota does not allow");

    // A quota below what is used takes nothing away, and says so.
    allow(scene, "200m").await?;
    role_until(scene, "OverCommitted by 1050m", |role| {
        condition(role, "OverCommitted")
            .is_some_and(|(status, _, message)| status == "True" && message.contains("1050m cpu"))
    })
    .await?;
    scene.stays_untouched(mark, STILL).await?;
    there.untouched_since(mark)?;

    // With more of it all goes on: what runs already first, then who waits.
    allow(scene, "1400m").await?;
    there.update_in("second-by-name", 1, "ROLLED_FORWARD").await?;
    ensure!(there.live("first-by-name").is_empty(), "what does not fit has Pods");
    allow(scene, "2150m").await?;
    there.running("first-by-name", 3).await?;
    let all = role_until(scene, "nobody waits, nothing is under way", |role| {
        number(role, "/status/quota/held") == 0
            && at(role, "/status/quota/grants").is_null()
            && text(role, "/status/quota/production/cpu") == "2150m"
            && condition(role, "OverCommitted").is_some_and(|(status, ..)| status == "False")
    })
    .await?;
    let split = at(&all, "/status/quota/namespaces");
    let used: Vec<&str> = (0..2).map(|nth| text(split, &format!("/{nth}/production/cpu"))).collect();
    ensure!(used == ["500m", "1650m"], "by namespace: {split}");
    Ok(())
}

/// That a service without Pods stands under /debug/pending.
async fn shown(scene: &Scene, service: &str) -> Result<()> {
    wait::until("who waits for quota under /debug/pending", Duration::from_secs(30), || async {
        let shown = scene.world.operators.shows("pending").await?;
        let services = shown["services"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = services.iter().any(|one| {
            text(one, "/namespace") == scene.namespace
                && text(one, "/name") == service
                && text(one, "/message").contains("Held by QuotaExceeded")
        });
        Ok(wait::when(found, shown.to_string()))
    })
    .await
}

async fn unclaimed(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    scene.apply(&production("web", 2, "1m")).await?;
    let message = scene.says("web", "Stalled", "True", "TierNotAllowed").await?;
    ensure!(message.contains("role quota-unclaimed may not use tier \"preferred\""), "{message}");
    scene.stays_untouched(mark, STILL).await?;
    scene.apply(&Service::new("plain", 2)).await?;
    scene.running("plain", 2).await?;
    // With a role that allows it, it runs.
    role(&scene, &[&scene.namespace], "1").await?;
    scene.running("web", 2).await.map(drop)
}

/// Those that were granted something, and how much CPU in thousandths that is in all.
async fn granted(scene: &Scene) -> Result<(BTreeSet<String>, u32)> {
    let all = scene.world.kube.services(&scene.namespace).list(&ListParams::default()).await?.items;
    let instances = |service: &DynamicObject| number(&service.data, "/status/admitted/instances");
    let names: BTreeSet<String> =
        all.iter().filter(|one| instances(one) > 0).map(ResourceExt::name_any).collect();
    let sum: i64 = all.iter().map(|one| instances(one) * 100).sum();
    Ok((names, u32::try_from(sum)?))
}

async fn killed(scene: Scene) -> Result<()> {
    role(&scene, &[&scene.namespace], "2").await?;
    let operators = &scene.world.operators;
    let mark = scene.mark();
    let names: Vec<String> = (0..ASKING).map(|nth| format!("web-{nth}")).collect();
    let mut before = BTreeSet::new();
    for (round, (cpu, fits)) in [("2", 20), ("3", 30)].into_iter().enumerate() {
        let (leader, term) = operators.leader(LONG).await?;
        if round == 0 {
            for name in &names {
                scene.apply(&production(name, 1, "100m")).await?;
            }
        } else {
            allow(&scene, cpu).await?;
        }
        let least = before.len();
        let seen = wait::until("the first grants", LONG, || async {
            let (seen, _) = granted(&scene).await?;
            Ok(if seen.len() > least { Look::Done(seen) } else { Look::NotYet(format!("{seen:?}")) })
        })
        .await?;
        operators.kill(leader).await?;
        scene.note(format!("killed when {} of {fits} were granted", seen.len()));
        let (_, next) = operators.leader_other_than(Some(leader), LONG).await?;
        ensure!(next > term, "term {term} went to {next}");
        before.extend(seen);
        settles(&scene, mark, &names, &before, fits).await?;
        before = granted(&scene).await?.0;
        operators.start_all().await?;
    }
    Ok(())
}

/// Waits until so many run and all others wait, and fails when it was ever more than the quota.
async fn settles(
    scene: &Scene,
    mark: crate::observer::Mark,
    names: &[String],
    before: &BTreeSet<String>,
    fits: u32,
) -> Result<()> {
    let most = AtomicU32::new(0);
    let wanted = (fits as usize, names.len() - fits as usize);
    role_until_all(scene, wanted, names, &most).await?;
    let most = most.load(Ordering::Relaxed);
    ensure!(most <= fits * 100, "{most}m CPU was granted of {}m", fits * 100);
    let (now, sum) = granted(scene).await?;
    ensure!(sum == fits * 100, "{sum}m CPU is granted in the end");
    ensure!(before.is_subset(&now), "a grant was taken back: {before:?}, then {now:?}");
    // A grant is never taken back, so who ever had a Pod was granted one.
    let ever = names.iter().filter(|name| !scene.history(mark, name).is_empty()).count();
    ensure!(ever == fits as usize, "{ever} services have had Pods, {fits} may");
    Ok(())
}

async fn role_until_all(
    scene: &Scene,
    (running, waiting): (usize, usize),
    names: &[String],
    most: &AtomicU32,
) -> Result<()> {
    wait::until(&format!("{running} to run and {waiting} to wait for quota"), LONG, || async {
        let (_, sum) = granted(scene).await?;
        most.fetch_max(sum, Ordering::Relaxed);
        let args = ["get", "aurorarole", &scene.namespace, "--output", "json"];
        let role: Value = serde_json::from_str(&scene.world.cluster.kubectl(&args).await?)?;
        let up = names.iter().filter(|name| scene.live(name).iter().any(|pod| pod.is_up())).count();
        let quota = at(&role, "/status/quota");
        let held = usize::try_from(number(quota, "/held"))?;
        let settled = at(quota, "/grants").is_null() && (up, held) == (running, waiting);
        Ok(wait::when(settled, format!("{up} run, {sum}m granted, {quota}")))
    })
    .await
}
