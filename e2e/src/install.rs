//! Borealis as people install it: by Helm, from its image, as Pods of the real node under the rights and the security of the
//! chart. Then it is upgraded and taken away while a service runs.
//!
//! Called by the binary `borealis-install`; says each step as it is done.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::Value;

use crate::{
    cluster::{Cluster, Shape},
    documented,
    helm::{self, Helm},
    kube_api::{KubeApi, text},
    operator::{NAMESPACE, OPERATOR as REPLICAS},
    service::{REAL, Service, TEST_IMAGE},
    wait,
    world::real_node_required,
};

/// Its name, and that of its folder.
pub const CLUSTER: &str = "install";
/// How long a step may take on a busy machine.
const LONG: Duration = Duration::from_secs(120);
/// The service that runs meanwhile, and its namespace.
const TENANT: &str = "tenant";

/// A cluster on which Borealis is installed.
pub struct Installation<'a> {
    cluster: &'a Cluster,
    kube: KubeApi,
    helm: Helm,
    values: PathBuf,
    begin: Instant,
}

/// The README's second way, on a cluster of its own without a real node: the API server takes all of it, and
/// would start the operator.
///
/// # Errors
/// What did not go as it says there.
pub async fn by_kubectl(cluster: &mut Cluster) -> Result<()> {
    cluster.up(Shape { nodes: 1, real_node: false, audited: None }).await?;
    for command in documented::commands("By kubectl", "kubectl")? {
        cluster.kubectl(&command[1..]).await?;
    }
    let kube = KubeApi::new(&cluster.kubeconfig).await?;
    wait::until("the operator's Pods to be placed", LONG, || async {
        let pods = kube.pods(NAMESPACE).list(&ListParams::default().labels(REPLICAS)).await?.items;
        let placed = pods.iter().filter(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()));
        let placed = placed.count();
        Ok(wait::when(placed == 2, format!("{placed} of {} Pods", pods.len())))
    })
    .await
}

impl<'a> Installation<'a> {
    /// A cluster with a real node that has the image; none where this machine can't have one.
    ///
    /// # Errors
    /// When there is no real node though it is required, or the archive can't be read.
    pub async fn prepare(cluster: &'a mut Cluster, folder: &Path, archive: &str) -> Result<Option<Self>> {
        let begin = Instant::now();
        cluster.up(Shape { nodes: 2, real_node: true, audited: None }).await?;
        let kube = KubeApi::new(&cluster.kubeconfig).await?;
        if kube.nodes().list(&ListParams::default().labels(REAL)).await?.items.is_empty() {
            ensure!(!real_node_required(), "there is no real node; localcluster said why");
            return Ok(None);
        }
        cluster.load_image(archive).await.context("the operator's image could not be loaded")?;
        let values = folder.join("values.json");
        std::fs::write(&values, helm::on_the_real_node().to_string())?;
        let helm = Helm::on(cluster).await?;
        Ok(Some(Self { cluster, kube, helm, values, begin }))
    }

    /// All of it, in the order of `docs/install.md`.
    ///
    /// # Errors
    /// What did not go as it says there.
    pub async fn tell(&self) -> Result<()> {
        self.helm.install_previous(&self.values).await?;
        self.say("installed by the charts before these: both replicas are ready on the real node");
        let label = "pod-security.kubernetes.io/enforce=restricted";
        self.cluster.kubectl(&["label", "namespace", NAMESPACE, label]).await?;
        let before = self.serve().await?;
        self.say(&format!("{} instances of a service run on the real node", before.len()));

        let (release, kinds) = (["--namespace", NAMESPACE], self.kinds().await?);
        self.helm
            .run(&[&["upgrade", "borealis-crds", "charts/borealis-crds"], &release[..]].concat())
            .await?;
        let filter = ["--reset-then-reuse-values", "--set", "log.format=text"];
        self.helm.run(&[&["upgrade", "borealis", "charts/borealis"], &release[..], &filter].concat()).await?;
        self.helm.rolled_out().await?;
        ensure!(self.pods().await? == before, "the upgrade has touched the service's Pods: {before:?}");
        let kinds = format!("generations of the kinds {kinds}, then {}", self.kinds().await?);
        self.say(&format!("upgraded: no Pod of the service was touched; {kinds}"));
        self.tested("after the upgrade").await?;
        self.heals(&before).await?;
        self.say("the new replicas replace an instance that is deleted");

        let before = self.pods().await?;
        let said = self.helm.run(&["uninstall", "borealis", "--namespace", NAMESPACE]).await?;
        wait::until("the operator to be gone", LONG, || async {
            let left = self.cluster.kubectl(&["get", "pods", "-n", NAMESPACE, "-o", "name"]).await?;
            Ok(wait::when(left.trim().is_empty(), left))
        })
        .await?;
        ensure!(self.pods().await? == before, "taking the operator away has touched the service's Pods");
        let tiers = self.cluster.kubectl(&["get", "tiers", "-o", "name"]).await?;
        ensure!(tiers.lines().count() == 3, "Tiers are left: {tiers}");
        self.say(&format!("uninstalled: the Pods run on, kinds and Tiers stay. Helm said: {}", said.trim()));

        self.install_operator().await?;
        self.tested("after the second installation").await?;
        ensure!(self.pods().await? == before, "the second installation has touched the service's Pods");
        self.heals(&before).await?;
        self.say("installed again: it goes on with what is there");
        Ok(())
    }

    async fn kinds(&self) -> Result<String> {
        self.cluster.kubectl(&["get", "crd", "--output=jsonpath={.items[*].metadata.generation}"]).await
    }

    async fn install_operator(&self) -> Result<()> {
        self.helm.install_operator(&self.values).await?;
        self.say("installed: both replicas are ready on the real node");
        Ok(())
    }

    /// Has Helm ask the operator's own program whether all is at work, and says what it found. Nothing is left of it.
    async fn tested(&self, when: &str) -> Result<()> {
        let said = self.helm.run(&["test", "borealis", "--namespace", NAMESPACE, "--logs"]).await?;
        ensure!(said.contains("Borealis is at work"), "helm test has passed, but says:\n{said}");
        let checks: Vec<_> = said.lines().filter(|line| line.starts_with("ok ")).map(str::trim).collect();
        let left = "serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,networkpolicies,pods";
        let of_tests = ["-l", "app.kubernetes.io/name=borealis-test", "-o", "name"];
        let get = [&["get", left, "-n", NAMESPACE][..], &of_tests].concat();
        let left = self.cluster.kubectl(&get).await?;
        ensure!(left.trim().is_empty(), "helm test has left {left}");
        self.say(&format!("helm test has passed {when}: {}", checks.join("; ")));
        Ok(())
    }

    /// Applies a service and waits until it runs.
    async fn serve(&self) -> Result<Vec<String>> {
        self.cluster.kubectl(&["create", "namespace", TENANT]).await?;
        let service = Service::new("web", 3).on_real_node();
        ensure!(service.spec().to_string().contains(TEST_IMAGE), "these are no real containers");
        let services: Api<DynamicObject> = self.kube.services(TENANT);
        let object: DynamicObject = serde_json::from_value(service.manifest(TENANT))?;
        services.create(&kube::api::PostParams::default(), &object).await?;
        self.all_run(&[]).await
    }

    /// An instance whose Pod is deleted gets another one, and the others keep theirs.
    async fn heals(&self, before: &[String]) -> Result<()> {
        let gone = self.cluster.kubectl(&["get", "pods", "-n", TENANT, "-o", "name"]).await?;
        let gone = gone.lines().next().context("the service has no Pods")?.to_owned();
        self.cluster.kubectl(&["delete", &gone, "-n", TENANT, "--wait=false"]).await?;
        let after = match self.all_run(before).await {
            Ok(after) => after,
            Err(error) => {
                let logs =
                    ["logs", "deployment/borealis", "-n", NAMESPACE, "--all-pods", "--prefix", "--tail=15"];
                return Err(error.context(self.cluster.kubectl(&logs).await.unwrap_or_default()));
            }
        };
        let kept = after.iter().filter(|uid| before.contains(uid)).count();
        ensure!(kept == before.len() - 1, "{kept} of {} Pods are the same", before.len());
        Ok(())
    }

    /// Waits until three Pods are ready that are not just those.
    async fn all_run(&self, but: &[String]) -> Result<Vec<String>> {
        wait::until("three instances to run", LONG, || async {
            let service = self.kube.services(TENANT).get("web").await?;
            let pods = self.pods().await?;
            let good = pods.len() == 3
                && pods != but
                && text(&service.data, "/status/conditions/0/status") == "True";
            let seen = format!("{pods:?}, {}", service.data["status"]["conditions"]);
            Ok(if good { wait::Look::Done(pods) } else { wait::Look::NotYet(seen) })
        })
        .await
    }

    /// The uids of the service's Pods that are ready and not on their way out, in order.
    async fn pods(&self) -> Result<Vec<String>> {
        let live = ["get", "pods", "-n", TENANT, "-l", "borealis.dev/live=true", "-o", "json"];
        let all: Value = serde_json::from_str(&self.cluster.kubectl(&live).await?)?;
        let ready = |pod: &&Value| {
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
            ready.any(|it| it["status"] == "True") && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let items = all["items"].as_array().into_iter().flatten().filter(ready);
        let mut uids: Vec<String> = items.map(|pod| text(pod, "/metadata/uid").to_owned()).collect();
        uids.sort();
        Ok(uids)
    }

    #[expect(clippy::print_stdout, reason = "it tells a person how far it is")]
    fn say(&self, what: &str) {
        println!("{:6.1}s  {what}", self.begin.elapsed().as_secs_f64());
    }
}
