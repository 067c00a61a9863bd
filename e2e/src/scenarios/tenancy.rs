//! Who may rank and label Pods: a tenant who forges what is Borealis's is refused in words that help, and ordinary use
//! goes through; Pods of foreign systems join a role by a Framework.
//!
//! The tenant is a user of the API server with a certificate of its own and the rights of a namespace's administrator,
//! and to statuses and bindings besides.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api,
    api::{EvictParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    kube_api::KubeApi,
    runner::Scenario,
    scene::Scene,
    service::{SIMULATED, Service},
    wait::{self, Look},
};

/// Classes of the tiers that `deploy/` makes.
pub(super) const PREFERRED: &str = "borealis-preferred-30000";
pub(super) const PREEMPTIBLE: &str = "borealis-preemptible-20000";
const REVOCABLE: &str = "borealis-revocable-10000";
/// How long policies may take to act.
const SOON: Duration = Duration::from_secs(60);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "forgery",
            "a tenant who forges what is Borealis's is refused, and ordinary use is not",
            |s| Box::pin(forgery(s)),
        ),
        Scenario::new(
            "framework",
            "a plain Job's Pods join a role, are ranked, refused where it may not, and replaced",
            |s| Box::pin(framework(s)),
        ),
        Scenario::new("tier-in-use", "a Tier that is used is not deleted, and says who uses it", |s| {
            Box::pin(tier_in_use(s))
        }),
    ]
}

/// Gives the namespace to an AuroraRole of its name that may use these tiers, and waits until policies know.
async fn claim(scene: &Scene, tiers: &[&str], classes: &str) -> Result<()> {
    let classes: Vec<&str> = classes.split(',').collect();
    claim_all(scene, &[&scene.namespace], &json!({ "tiers": tiers }), &classes).await
}

/// Gives these namespaces to an AuroraRole of the scene's name with this spec, and waits until policies know.
pub(super) async fn claim_all(
    scene: &Scene,
    namespaces: &[&str],
    spec: &Value,
    classes: &[&str],
) -> Result<()> {
    let name = &scene.namespace;
    let team = format!("team={name}");
    let mut spec = spec.clone();
    spec["namespaces"] = json!({"matchLabels": {"team": name}});
    for namespace in namespaces {
        scene.world.cluster.kubectl(&["label", "namespace", namespace, &team]).await?;
    }
    let role = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraRole", "metadata": {"name": name}, "spec": spec,
    });
    apply(scene, "role", &role).await?;
    let wanted: BTreeSet<&str> = classes.iter().copied().collect();
    for namespace in namespaces {
        wait::until("the namespace to be the role's", SOON, || async {
            let namespace = scene.world.kube.namespaces().get(namespace).await?;
            let notes = namespace.metadata.annotations.unwrap_or_default();
            let known = notes.get("borealis.dev/classes").map(String::as_str).unwrap_or_default();
            let is_role = notes.get("borealis.dev/role") == Some(name);
            Ok(wait::when(
                is_role && known.split(',').collect::<BTreeSet<_>>() == wanted,
                format!("{notes:?}"),
            ))
        })
        .await?;
    }
    Ok(())
}

/// Applies an object as the administrator.
async fn apply(scene: &Scene, what: &str, object: &Value) -> Result<()> {
    let file = scene.world.folder.join(format!("{}-{what}.json", scene.namespace));
    std::fs::write(&file, object.to_string())?;
    scene.kubectl(&["apply", "--filename", &file.to_string_lossy()]).await.map(drop)
}

/// A Pod on a simulated node, with more in its metadata and its spec.
pub(super) fn pod(name: &str, meta: &Value, spec: &Value) -> Result<Pod> {
    let mut pod = json!({
        "metadata": {"name": name},
        "spec": {"nodeSelector": {SIMULATED: "true"}, "containers": [{"name": "main", "image": "example.test/a:1"}]},
    });
    for (target, extra) in [("metadata", meta), ("spec", spec)] {
        for (key, value) in extra.as_object().into_iter().flatten() {
            pod[target][key] = value.clone();
        }
    }
    Ok(serde_json::from_value(pod)?)
}

/// What was said to something that must be refused.
fn refused<T>(what: &str, answer: kube::Result<T>, words: &str) -> Result<()> {
    match answer {
        Ok(_) => bail!("{what} was let through"),
        Err(kube::Error::Api(status)) if status.message.contains(words) => Ok(()),
        Err(error) => bail!("{what} was refused, but not with {words:?}: {error}"),
    }
}

async fn forgery(scene: Scene) -> Result<()> {
    claim(&scene, &["preemptible"], PREEMPTIBLE).await?;
    let namespace = scene.namespace.as_str();
    scene.kubectl(&["create", "rolebinding", "tenant", "--clusterrole=admin", "--user=tenant"]).await?;
    let more = [
        "create",
        "role",
        "more",
        "--verb=create,patch,update",
        "--resource=pods/status,pods/binding,pods/eviction",
    ];
    scene.kubectl(&more).await?;
    scene.kubectl(&["create", "rolebinding", "more", "--role=more", "--user=tenant"]).await?;
    let tenant = KubeApi::new(&scene.world.cluster.kubeconfig_of("tenant").await?).await?;
    let pods = tenant.pods(namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    wait::until("the tenant to be let in", SOON, || async {
        let asked = pods.create(&dry, &pod("first", &json!({}), &json!({}))?).await;
        Ok(asked.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
    })
    .await?;
    let class = json!({"priorityClassName": PREEMPTIBLE});
    let labels = |labels: Value| json!({"labels": labels});
    let ours = |key: &str| format!("only Borealis itself writes borealis.dev/{key}");
    let mut forged: Vec<(String, Value, Value, String)> = Vec::new();
    for key in ["service", "instance", "run", "revision", "live", "term"] {
        forged.push((
            format!("label {key}"),
            labels(json!({format!("borealis.dev/{key}"): "1"})),
            json!({}),
            ours(key),
        ));
    }
    for key in ["slot", "preempted", "end-reason", "in-place", "job-key"] {
        let notes = json!({"annotations": {format!("borealis.dev/{key}"): "1"}});
        forged.push((format!("annotation {key}"), notes, json!({}), ours(key)));
    }
    for (what, meta, spec, words) in [
        (
            "the role of others",
            labels(json!({"borealis.dev/role": "prod"})),
            json!({}),
            "are of role forgery",
        ),
        (
            "a tier without its class",
            labels(json!({"borealis.dev/tier": "preferred"})),
            json!({}),
            "is of no tier",
        ),
        (
            "a tier of another class",
            labels(json!({"borealis.dev/tier": "preferred"})),
            class.clone(),
            "is of tier preemptible",
        ),
        (
            "a rank without a tier",
            labels(json!({"borealis.dev/priority": "9"})),
            json!({}),
            "are a Framework's",
        ),
        (
            "a framework",
            labels(json!({"borealis.dev/framework": "spark"})),
            class.clone(),
            "are a Framework's",
        ),
        (
            "a rank that is none",
            labels(json!({"borealis.dev/role": namespace, "borealis.dev/priority": "soon"})),
            class.clone(),
            "is no whole number from 0 to 1000000",
        ),
        (
            "a tier that its role may not use",
            json!({}),
            json!({"priorityClassName": PREFERRED}),
            "role forgery may not use PriorityClass borealis-preferred-30000: it may use borealis-preemptible-20000",
        ),
        (
            "a class with another policy",
            json!({}),
            json!({"priorityClassName": PREEMPTIBLE, "preemptionPolicy": "PreemptLowerPriority"}),
            "must not be provided in pod spec",
        ),
        (
            "a class with another value",
            json!({}),
            json!({"priorityClassName": PREEMPTIBLE, "priority": 30_000}),
            "must not be provided in pod spec",
        ),
    ] {
        forged.push((what.to_owned(), meta, spec, words.to_owned()));
    }
    for (what, meta, spec, words) in &forged {
        refused(what, pods.create(&dry, &pod("forged", meta, spec)?).await, words)?;
    }
    scene.note(format!("{} forged Pods refused", forged.len()));
    changes(&scene, &tenant).await?;
    elsewhere(&scene).await?;
    // An unclaimed namespace may use the default tier, and no other.
    let unclaimed = scene.world.kube.pods("default");
    unclaimed.create(&dry, &pod("plain", &json!({}), &class)?).await.context("the default tier")?;
    let asked =
        unclaimed.create(&dry, &pod("plain", &json!({}), &json!({"priorityClassName": REVOCABLE}))?).await;
    refused("a tier in an unclaimed namespace", asked, "it may use tier preemptible alone")?;
    // A role whose tiers are all missing may use none, the default tier of others included.
    let spec = json!({"spec": {"tiers": ["nowhere"], "defaultTier": "nowhere"}}).to_string();
    scene
        .world
        .cluster
        .kubectl(&["patch", "aurorarole", namespace, "--type=merge", "--patch", &spec])
        .await?;
    wait::until("the role to have no classes", SOON, || async {
        let found = scene.world.kube.namespaces().get(namespace).await?;
        let classes = found.metadata.annotations.unwrap_or_default().remove("borealis.dev/classes");
        Ok(wait::when(classes.as_deref() == Some(""), format!("{classes:?}")))
    })
    .await?;
    // The API server reads namespaces from a cache of its own, which may be behind what was just read.
    wait::until("a tier of a role without any to be refused", SOON, || async {
        let asked = pods.create(&dry, &pod("plain", &json!({}), &class)?).await;
        refused("a tier of a role without any", asked, "it may use none").map(Look::Done)
    })
    .await
}

/// What a tenant may change of Pods, and what not.
async fn changes(scene: &Scene, tenant: &KubeApi) -> Result<()> {
    let pods = tenant.pods(&scene.namespace);
    pods.create(
        &PostParams::default(),
        &pod("mine", &json!({}), &json!({"priorityClassName": PREEMPTIBLE}))?,
    )
    .await?;
    scene.apply(&Service::new("web", 2)).await?;
    scene.running("web", 2).await?;
    let (merge, parameters) = (|body: Value| Patch::Merge(body), PatchParams::default());
    let words = "only Borealis itself changes borealis.dev/";
    for (name, key, value) in [
        ("mine", "role", json!("prod")),
        ("mine", "service", json!("web")),
        ("web-0-1", "live", Value::Null),
        ("web-0-1", "role", json!("prod")),
        ("web-0-1", "priority", json!("1000")),
        ("web-0-1", "term", json!("7")),
    ] {
        let body = json!({"metadata": {"labels": {format!("borealis.dev/{key}"): value}}});
        let what = format!("label {key} of {name}");
        refused(&what, pods.patch(name, &parameters, &merge(body.clone())).await, words)?;
        refused(
            &format!("{what} by its status"),
            pods.patch_status(name, &parameters, &merge(body)).await,
            words,
        )?;
    }
    for key in ["slot", "preempted", "end-reason"] {
        let body = json!({"metadata": {"annotations": {format!("borealis.dev/{key}"): "{}"}}});
        refused(key, pods.patch("web-0-1", &parameters, &merge(body)).await, words)?;
    }
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "none"},
        "metadata": {"name": "mine", "annotations": {"borealis.dev/slot": "{}"}},
    });
    let asked: kube::Result<Value> =
        pods.create_subresource("binding", "mine", &PostParams::default(), &binding).await;
    refused("a binding with a slot", asked, "not by a binding")?;

    // All else is theirs, as ever.
    let own = json!({"metadata": {"labels": {"team": "web"}, "annotations": {"note": "mine"}}});
    pods.patch("web-0-1", &parameters, &merge(own)).await.context("a label of their own")?;
    pods.evict("web-1-1", &EvictParams::default()).await.context("an eviction")?;
    wait::until("the evicted instance's successor", SOON, || async {
        let found = scene.live("web").into_iter().any(|pod| pod.key.instance == 1 && pod.run > 1);
        Ok(wait::when(found, "none yet"))
    })
    .await
}

/// What nobody may do to classes and namespaces, an administrator included.
async fn elsewhere(scene: &Scene) -> Result<()> {
    let cluster = &scene.world.cluster;
    let class = ["create", "priorityclass", "borealis-mine-5", "--value=5"];
    let words = "names begin with borealis- are those of Tiers";
    for args in
        [&class[..], &["label", "priorityclass", PREFERRED, "a=b"], &["delete", "priorityclass", PREFERRED]]
    {
        let ended = cluster.kubectl_ended(args).await?;
        ensure!(!ended.success && ended.stderr.contains(words), "{args:?}: {}{}", ended.stdout, ended.stderr);
    }
    let namespace = scene.namespace.as_str();
    let (role, classes) = ("borealis.dev/role=prod", format!("borealis.dev/classes={PREFERRED}"));
    let quota = ["borealis.dev/quota=cpu=1000", "borealis.dev/production=preferred", "borealis.dev/full=no"];
    for note in [role, &classes, "borealis.dev/role-"].into_iter().chain(quota) {
        let args = ["annotate", "--overwrite", "namespace", namespace, note];
        let ended = cluster.kubectl_ended(&args).await?;
        let words = "only Borealis itself writes borealis.dev/";
        ensure!(!ended.success && ended.stderr.contains(words), "{note}: {}{}", ended.stdout, ended.stderr);
    }
    let forged = json!({"metadata": {"name": "forged", "annotations": {"borealis.dev/role": "prod"}}});
    let namespaces: Api<Namespace> = scene.world.kube.namespaces();
    let asked = namespaces.create(&PostParams::default(), &serde_json::from_value(forged)?).await;
    refused("a namespace that says whose it is", asked, "only Borealis itself writes borealis.dev/role")?;
    cluster.kubectl(&["annotate", "namespace", namespace, "note=mine"]).await.map(drop)
}

async fn framework(scene: Scene) -> Result<()> {
    let classes = format!("{PREEMPTIBLE},{REVOCABLE}");
    claim(&scene, &["preemptible", "revocable"], &classes).await?;
    let name = scene.namespace.as_str();
    let spec = json!({
        "role": name, "podSelector": {"matchLabels": {"app": "etl"}}, "tier": "revocable", "priority": 3,
        "pods": [{"selector": {"matchLabels": {"kind": "driver"}}, "tier": "preferred", "priority": 9}],
    });
    let framework = json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "Framework", "metadata": {"name": name}, "spec": spec});
    apply(&scene, "framework", &framework).await?;
    let pods = scene.world.kube.pods(name);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let of_app = json!({"labels": {"app": "etl"}});
    wait::until("the API server to know of the framework", SOON, || async {
        let made = pods.create(&dry, &pod("asked", &of_app, &json!({}))?).await?;
        let labels = made.metadata.labels.unwrap_or_default();
        Ok(wait::when(labels.contains_key("borealis.dev/framework"), format!("{labels:?}")))
    })
    .await?;
    let plain = pods.create(&dry, &pod("plain", &json!({}), &json!({}))?).await?;
    ensure!(plain.metadata.labels.is_none(), "a Pod that is not the framework's was labelled");
    let foreign = scene.world.kube.pods("default").create(&dry, &pod("asked", &of_app, &json!({}))?).await?;
    let ranked = foreign.spec.and_then(|spec| spec.priority_class_name);
    ensure!(ranked.is_none(), "a Pod of another role got {ranked:?}");

    apply(&scene, "work", &job("work", "executor")).await?;
    let before =
        wait::until("the Job's Pods to run", SOON, || async { members(&scene, "work", 2).await }).await?;
    for one in &before {
        let labels = one.metadata.labels.clone().unwrap_or_default();
        for (key, value) in [("role", name), ("tier", "revocable"), ("priority", "3"), ("framework", name)] {
            let found = labels.get(&format!("borealis.dev/{key}"));
            ensure!(found.is_some_and(|found| found == value), "{key} is {found:?}");
        }
        let spec = one.spec.clone().unwrap_or_default();
        let rank = (spec.priority_class_name.as_deref(), spec.priority, spec.preemption_policy.as_deref());
        ensure!(rank == (Some(REVOCABLE), Some(10_000), Some("Never")), "{rank:?}");
    }
    // Its role may not use the tier of drivers.
    apply(&scene, "lead", &job("lead", "driver")).await?;
    scene.told("lead", "FailedCreate", "may not use PriorityClass borealis-preferred-30000").await?;
    let said = scene
        .world
        .cluster
        .kubectl(&["get", "framework", name, "--output", "jsonpath={.status.conditions[0].reason}"])
        .await?;
    ensure!(said == "TierNotAllowed", "the framework says {said}");

    // An eviction is a disruption: by its own policy the Job does not count it as a failure.
    let victim = before.first().and_then(|one| one.metadata.name.clone()).context("no Pod")?;
    pods.evict(&victim, &EvictParams::default()).await?;
    // A kubelet says how a Pod has ended; the simulated ones don't, and the Job waits for it.
    let ended = Patch::Merge(json!({"status": {"phase": "Failed"}}));
    pods.patch_status(&victim, &PatchParams::default(), &ended).await?;
    wait::until("another Pod in the place of the evicted one", SOON, || async {
        let now = match members(&scene, "work", 2).await? {
            Look::Done(now) => now,
            Look::NotYet(what) => return Ok(Look::NotYet(what)),
        };
        let replaced = now.iter().all(|one| one.metadata.name.as_deref() != Some(&victim));
        Ok(wait::when(replaced, "the evicted one is still there"))
    })
    .await?;
    let path = "jsonpath={.status.failed}{.status.conditions[?(@.type==\"Failed\")].status}";
    let failed = scene.kubectl(&["get", "job", "work", "--output", path]).await?;
    ensure!(failed.is_empty(), "the Job counts the eviction: {failed}");
    scene.world.cluster.kubectl(&["delete", "framework", name]).await?;
    wait::until("the policy to go with the framework", SOON, || async {
        let kinds = "mutatingadmissionpolicies,mutatingadmissionpolicybindings";
        let left = scene.world.cluster.kubectl(&["get", kinds, "--output", "name"]).await?;
        Ok(wait::when(!left.contains(&format!("borealis-framework-{name}")), left))
    })
    .await
}

/// A Job of two Pods that run until they are ended.
fn job(name: &str, kind: &str) -> Value {
    let rules = json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]);
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {
            "parallelism": 2, "completions": 2, "backoffLimit": 0, "podFailurePolicy": {"rules": rules},
            "template": {
                "metadata": {"labels": {"app": "etl", "kind": kind}},
                "spec": {
                    "restartPolicy": "Never", "nodeSelector": {SIMULATED: "true"},
                    "containers": [{"name": "main", "image": "example.test/etl:1"}],
                },
            },
        },
    })
}

/// The Pods of a Job, once so many of them run.
async fn members(scene: &Scene, job: &str, count: usize) -> Result<Look<Vec<Pod>>> {
    let of_job = ListParams::default().labels(&format!("job-name={job}"));
    let mut all = scene.world.kube.pods(&scene.namespace).list(&of_job).await?.items;
    all.retain(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
    });
    Ok(if all.len() == count { Look::Done(all) } else { Look::NotYet(format!("{} run", all.len())) })
}

async fn tier_in_use(scene: Scene) -> Result<()> {
    let cluster = &scene.world.cluster;
    let name = scene.namespace.as_str();
    let tier = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": name},
        "spec": {"preemptible": true, "band": 15_000},
    });
    apply(&scene, "tier", &tier).await?;
    let class = format!("borealis-{name}-15000");
    claim(&scene, &["preemptible", name], &format!("{PREEMPTIBLE},{class}")).await?;
    scene.apply(&Service::new("web", 1).set("/tier", json!(name))).await?;
    scene.running("web", 1).await?;
    let ranked =
        scene.kubectl(&["get", "pod", "web-0-1", "--output", "jsonpath={.spec.priorityClassName}"]).await?;
    ensure!(ranked == class, "the Pod has class {ranked}");
    wait::until("the Tier to be refused", SOON, || async {
        let ended = cluster.kubectl_ended(&["delete", "tier", name, "--dry-run=server"]).await?;
        Ok(wait::when(ended.stderr.contains("it is used by 1 AuroraServices"), ended.stderr))
    })
    .await?;
    // Pods alone hold it as well: one of its class that no service, role or framework stands for.
    let pods = scene.world.kube.pods(name);
    pods.create(&PostParams::default(), &pod("alone", &json!({}), &json!({"priorityClassName": class}))?)
        .await?;
    // A service that names a tier which is not there says so.
    scene.apply(&Service::new("lost", 1).set("/tier", json!("nowhere"))).await?;
    scene.says("lost", "Stalled", "True", "TierMissing").await?;
    scene.kubectl(&["delete", "asvc", "web", "lost"]).await?;
    cluster.kubectl(&["delete", "aurorarole", name]).await?;
    wait::until("the Tier to be held by its Pod alone", SOON, || async {
        let ended = cluster.kubectl_ended(&["delete", "tier", name, "--dry-run=server"]).await?;
        Ok(wait::when(ended.stderr.contains("it is used by 1 Pods;"), ended.stderr))
    })
    .await?;
    scene.kubectl(&["delete", "pod", "alone", "--grace-period=0", "--force"]).await?;
    wait::until("the Tier to go, with its class", SOON, || async {
        let ended =
            cluster.kubectl_ended(&["delete", "tier", name, "--ignore-not-found", "--wait=false"]).await?;
        let left = cluster.kubectl_ended(&["get", "priorityclass", &class]).await?;
        Ok(wait::when(ended.success && !left.success, format!("{}{}", ended.stderr, left.stdout)))
    })
    .await
}
