//! The repository of `docs/gitops/example` on a real cluster, applied as Flux applies it; what Flux and Argo CD make of the
//! objects then is asked of their own code, in `gitops/`.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use crate::{cluster::Cluster, command::Call, documented, paths, runner::Scenario, scene::Scene};

/// Its namespaces.
const NAMESPACES: [&str; 2] = ["shop", "etl"];
/// What it holds, and what Flux and Argo CD are to say of each: the job's Pod does not end on a simulated node.
const OBJECTS: [(&str, &str, &str); 8] = [
    ("tier/batch", "", "Current.Healthy"),
    ("auroraroles/web", "", "Current.Healthy"),
    ("auroraroles/data", "", "Current.Healthy"),
    ("frameworks/spark", "", "Current.Healthy"),
    ("auroraservices/shop", "shop", "Current.Healthy"),
    ("auroraservices/search", "shop", "Current.Healthy"),
    ("aurorajobs/migrate-42", "shop", "InProgress.Progressing"),
    ("auroracrons/nightly", "etl", "Current.Healthy"),
];
/// The tests of `gitops/` that are about any objects.
const TESTS: &str = "TestSamplesAre|TestKstatusSays|TestHealthIs|TestHealthAndKstatus|TestConditionsDoNot";
/// How long their programs may take to be built.
const BUILD: Duration = Duration::from_secs(600);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "gitops-example",
            "the example repository comes up, is not drifting, and is done by Flux's and Argo CD's own code",
            |s| Box::pin(example(s)),
        )
        .limit(BUILD + Duration::from_secs(180)),
    ]
}

async fn example(scene: Scene) -> Result<()> {
    let cluster = &scene.world.cluster;
    let told = tell(&scene, cluster).await;
    let gone = remove(cluster).await;
    told.and(gone)
}

async fn tell(scene: &Scene, cluster: &Cluster) -> Result<()> {
    apply(cluster).await?;
    let wait = ["wait", "--for=condition=Ready", "--timeout=60s"];
    for (object, namespace, status) in OBJECTS {
        if status.starts_with("Current") {
            cluster.kubectl(&[&wait[..], &[object, "--namespace", namespace]].concat()).await?;
        }
    }
    let ready = ["wait", "--for=condition=Reconciling", "aurorajobs/migrate-42", "--namespace", "shop"];
    cluster.kubectl(&ready).await?;

    let before = generations(cluster).await?;
    apply(cluster).await?;
    let after = generations(cluster).await?;
    ensure!(before == after, "the same applied again was a change: {before} became {after}");

    let folder = scene.world.folder.join("gitops");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    for (object, namespace, status) in OBJECTS {
        let text = cluster.kubectl(&["get", object, "--namespace", namespace, "--output=yaml"]).await?;
        std::fs::write(folder.join(format!("{}.{status}.yaml", object.replace('/', "-"))), text)?;
    }
    let tests = paths::repository().join("gitops");
    let test = Call::new(Path::new("go"), &["test", "-count=1", "-trimpath", "-run", TESTS, "."]);
    let test = test.directory(&tests).env("BOREALIS_OBJECTS", folder.as_os_str());
    let test =
        test.env("CGO_ENABLED", "0".as_ref()).env("GOWORK", "off".as_ref()).limit(BUILD).ended().await?;
    ensure!(test.success, "{}{}", test.stdout, test.stderr);
    scene.note(format!("{} objects", OBJECTS.len()));
    Ok(())
}

/// As the README says, which is as Flux does.
async fn apply(cluster: &Cluster) -> Result<()> {
    for command in documented::commands("By a GitOps pipeline", "kubectl apply --server-side")? {
        cluster.kubectl(&command[1..]).await?;
    }
    Ok(())
}

async fn generations(cluster: &Cluster) -> Result<String> {
    let mut all = String::new();
    for (object, namespace, _) in OBJECTS {
        let question = ["get", object, "--namespace", namespace, "--output=jsonpath={.metadata.generation}"];
        all += &format!("{object} {}; ", cluster.kubectl(&question).await?);
    }
    Ok(all)
}

/// What runs goes first: a Tier is not deleted while it is used.
async fn remove(cluster: &Cluster) -> Result<()> {
    let delete = ["delete", "--ignore-not-found", "--timeout=60s"];
    for namespace in NAMESPACES {
        cluster.kubectl(&[&delete[..], &["namespace", namespace]].concat()).await?;
    }
    cluster.kubectl(&[&delete[..], &["--filename", "docs/gitops/example/platform"]].concat()).await.map(drop)
}
