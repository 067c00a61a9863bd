//! What is done to the cluster, step by step, and when each step counts as done: when the object's own status says so.
//!
//! Service and Deployment have the same Pods, the same size, and as much may be down at once. Called by the binary
//! `borealis-bench`, once a run.

use std::{
    future::Future,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    Sizes,
    probe::{CONTROLLERS, OPERATOR, Phase, Probe},
};
use crate::{
    kube_api::{FIELD_MANAGER, KubeApi, condition, number, text},
    operator::Operators,
    scene::update_name,
    service::Service,
    wait::{self, Look},
};

/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(900);
/// How long after a step its stragglers are still counted: late Events, the last status.
const REST: Duration = Duration::from_secs(5);
/// How long it is looked at what a controller costs when nothing happens.
const IDLE: Duration = Duration::from_secs(20);
/// Connections of the bare loop.
const CONNECTIONS: usize = 32;
/// Where everything is.
const NAMESPACE: &str = "bench";
/// The service, the Deployment, and the Pods of the bare loop.
const NAME: &str = "web";

/// What comes first, since what comes second meets a cluster with a past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The service before the Deployment.
    ServiceFirst,
    /// The Deployment before the service.
    DeploymentFirst,
}

/// One run.
pub struct Bench<'a> {
    kube: &'a KubeApi,
    operators: &'a Operators,
    address: SocketAddr,
    probe: Probe,
    sizes: Sizes,
    /// What was measured so far.
    pub phases: Vec<Phase>,
}

impl<'a> Bench<'a> {
    /// A run on this cluster, with an operator that does not run yet and will serve at this address.
    pub fn new(
        kube: &'a KubeApi,
        operators: &'a Operators,
        address: SocketAddr,
        probe: Probe,
        sizes: Sizes,
    ) -> Self {
        Self { kube, operators, address, probe, sizes, phases: Vec::new() }
    }

    /// Does all of it.
    ///
    /// # Errors
    /// When any step does not come true.
    pub async fn run(&mut self, order: Order) -> Result<()> {
        self.kube.make_namespace(NAMESPACE).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.kube.client.clone(), NAMESPACE);
        wait::until("the namespace's service account", LIMIT, || async {
            Ok(Look::Done(accounts.get("default").await?))
        })
        .await?;
        if order == Order::ServiceFirst {
            self.with_operator().await?;
            self.deployment().await?;
        } else {
            self.deployment().await?;
            self.with_operator().await?;
        }
        self.posts().await
    }

    /// The service, with an operator for that time only: what is no business of its costs it nothing.
    async fn with_operator(&mut self) -> Result<()> {
        let operators = self.operators;
        operators.start_all().await?;
        operators.leader(Duration::from_secs(60)).await?;
        let pid = *operators.pids().await.first().context("the operator does not run")?;
        self.probe.operator_is(pid, self.address)?;
        tokio::select! {
            done = self.service() => done?,
            () = ended(operators, pid) => bail!("the operator ended by itself"),
        }
        self.probe.operator_is_gone();
        operators.stop_all().await
    }

    async fn service(&mut self) -> Result<()> {
        let Sizes { instances, batch, .. } = self.sizes;
        let kube = self.kube;
        let service = |version| template(instances, version).batch(batch);
        self.measure("service comes up", Some(OPERATOR), async {
            apply(kube, &service(1)).await?;
            service_runs(kube, instances, "/status/counts/running").await
        })
        .await?;
        self.measure("service at rest", Some(OPERATOR), idle()).await?;
        let window = template(instances, 3).queue(batch);
        let good = [("good update, in batches", service(2), 1), ("good update, in a window", window, 2)];
        for (name, service, number) in good {
            self.measure(name, Some(OPERATOR), async {
                apply(kube, &service).await?;
                update_ends(kube, number, "ROLLED_FORWARD").await?;
                service_runs(kube, instances, "/status/counts/updated").await
            })
            .await?;
        }
        // Its Pods never become Ready, and fail after a second.
        let bad = service(4).simulate("never-ready", "true").simulate("fail-after-seconds", "1");
        self.measure("bad update, rolled back", Some(OPERATOR), async {
            apply(kube, &bad).await?;
            update_ends(kube, 3, "ROLLED_BACK").await?;
            service_runs(kube, instances, "/status/counts/running").await
        })
        .await?;
        let removed = kube.services(NAMESPACE).delete(NAME, &DeleteParams::background()).await;
        removed.context("could not delete the service")?;
        emptied(kube).await
    }

    async fn deployment(&mut self) -> Result<()> {
        let sizes = self.sizes;
        let kube = self.kube;
        self.measure("Deployment comes up", Some(CONTROLLERS), roll_out(kube, sizes, 1)).await?;
        self.measure("Deployment at rest", Some(CONTROLLERS), idle()).await?;
        self.measure("rolling update", Some(CONTROLLERS), roll_out(kube, sizes, 2)).await?;
        let removed = deployments(kube).delete(NAME, &DeleteParams::background()).await;
        removed.context("could not delete the Deployment")?;
        emptied(kube).await
    }

    async fn posts(&mut self) -> Result<()> {
        let (kube, instances) = (self.kube, self.sizes.instances);
        self.measure("bare loop of POSTs", None, post_all(kube, instances)).await
    }

    async fn measure(
        &mut self,
        name: &'static str,
        by: Option<&'static str>,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        self.probe.forget_peaks()?;
        let before = self.probe.read().await?;
        let begin = Instant::now();
        work.await.context(name)?;
        let wall = begin.elapsed();
        tokio::time::sleep(REST).await;
        let after = self.probe.read().await?;
        let phase = Phase::between(name, by, wall, &before, &after);
        println!("{:>8.1} s  {name}", wall.as_secs_f64());
        self.phases.push(phase);
        Ok(())
    }
}

/// The Pods of both: they stay up for a second before they count.
fn template(instances: u32, version: u32) -> Service {
    Service::new(NAME, instances).version(version).set("/update/watchSeconds", json!(1))
}

/// Returns when the operator's process is not this one any more.
async fn ended(operators: &Operators, pid: u32) {
    while operators.running().await == [0] && operators.pids().await == [pid] {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn idle() -> Result<()> {
    tokio::time::sleep(IDLE).await;
    Ok(())
}

async fn apply(kube: &KubeApi, service: &Service) -> Result<()> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let manifest = Patch::Apply(service.manifest(NAMESPACE));
    kube.services(NAMESPACE).patch(NAME, &params, &manifest).await.context("could not apply the service")?;
    Ok(())
}

/// Waits until the service says that as many as it has instances are so, and nothing is under way.
async fn service_runs(kube: &KubeApi, instances: u32, count: &str) -> Result<()> {
    wait::until("the service to be as it shall be", LIMIT, || async {
        let service = serde_json::to_value(kube.services(NAMESPACE).get(NAME).await?)?;
        let seen = number(&service, "/status/observedGeneration") == number(&service, "/metadata/generation");
        let ready = condition(&service, "Ready").is_some_and(|(status, ..)| status == "True");
        let all = number(&service, count) == i64::from(instances);
        Ok(wait::when(seen && ready && all, service["status"].to_string()))
    })
    .await
}

/// Waits until an update of the service has ended, and fails at once where it ended in another way.
async fn update_ends(kube: &KubeApi, number: u32, wanted: &str) -> Result<()> {
    let name = update_name(NAME, number);
    let state = wait::until(&format!("{name} to be {wanted}"), LIMIT, || async {
        let update = serde_json::to_value(kube.updates(NAMESPACE).get(&name).await?)?;
        let state = text(&update, "/status/state").to_owned();
        let ended = ["ROLLED_FORWARD", "ROLLED_BACK", "ABORTED", "ERROR", "FAILED"].contains(&state.as_str());
        Ok(if ended { Look::Done(state) } else { Look::NotYet(update["status"].to_string()) })
    })
    .await?;
    ensure!(state == wanted, "{name} ended as {state}, not as {wanted}");
    Ok(())
}

fn deployments(kube: &KubeApi) -> Api<Deployment> {
    Api::namespaced(kube.client.clone(), NAMESPACE)
}

/// Applies the Deployment and waits until it says that all of it runs.
async fn roll_out(kube: &KubeApi, sizes: Sizes, version: u32) -> Result<()> {
    let labels = json!({ "app": NAME });
    let mut pods = template(sizes.instances, version).manifest(NAMESPACE)["spec"]["template"].take();
    pods["metadata"]["labels"] = labels.clone();
    let manifest = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME, "namespace": NAMESPACE },
        "spec": {
            "replicas": sizes.instances,
            "selector": { "matchLabels": labels },
            "minReadySeconds": 1,
            "strategy": { "rollingUpdate": { "maxUnavailable": sizes.batch, "maxSurge": 0 } },
            "template": pods,
        },
    });
    let deployments = deployments(kube);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    deployments
        .patch(NAME, &params, &Patch::Apply(&manifest))
        .await
        .context("could not apply the Deployment")?;
    wait::until("the Deployment to be rolled out", LIMIT, || async {
        let deployment = serde_json::to_value(deployments.get(NAME).await?)?;
        let status = &deployment["status"];
        let seen = number(status, "/observedGeneration") == number(&deployment, "/metadata/generation");
        let all = ["/replicas", "/updatedReplicas", "/availableReplicas"]
            .iter()
            .all(|field| number(status, field) == i64::from(sizes.instances));
        Ok(wait::when(seen && all, status.to_string()))
    })
    .await
}

/// Makes Pods as fast as the API server takes them, and waits until all of them run.
async fn post_all(kube: &KubeApi, instances: u32) -> Result<()> {
    let pods = kube.pods(NAMESPACE);
    let spec = template(instances, 1).manifest(NAMESPACE)["spec"]["template"]["spec"].take();
    let pod = |at: u32| -> Result<Pod> {
        let metadata = json!({ "name": format!("{NAME}-{at}"), "labels": { "app": NAME } });
        Ok(serde_json::from_value(json!({ "metadata": metadata, "spec": spec }))?)
    };
    let made = futures::stream::iter(0..instances).map(|at| {
        let (pod, pods) = (pod(at), &pods);
        async move { Ok::<_, anyhow::Error>(pods.create(&PostParams::default(), &pod?).await.map(|_| ())?) }
    });
    made.buffer_unordered(CONNECTIONS).try_collect::<()>().await?;
    none_left(kube, "all Pods to run", ListParams::default().fields("status.phase!=Running")).await
}

/// Waits until the namespace has no Pods.
async fn emptied(kube: &KubeApi) -> Result<()> {
    none_left(kube, "the namespace to be empty", ListParams::default()).await
}

async fn none_left(kube: &KubeApi, what: &str, which: ListParams) -> Result<()> {
    // From the API server's memory: a look that is a little old costs the cluster next to nothing.
    let which = which.match_any();
    wait::until(what, LIMIT, || async {
        let left = kube.pods(NAMESPACE).list_metadata(&which).await?.items.len();
        Ok(wait::when(left == 0, format!("{left} Pods left")))
    })
    .await
}
