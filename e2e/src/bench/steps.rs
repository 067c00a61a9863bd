//! What is done to the cluster, step by step, and when each step counts as done: when the object's own status says so.
//!
//! Service and Deployment have the same Pods, the same size, and as much may be down at once. Called by the binary
//! `borealis-bench`, once a run.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    LIMIT, Sizes,
    ground::{Ground, none_left},
    probe::{CONTROLLERS, OPERATOR, Phase},
};
use crate::{
    kube_api::{FIELD_MANAGER, KubeApi, condition, number, text},
    scene::update_name,
    service::Service,
    wait::{self, Look},
};

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
    ground: &'a mut Ground,
    sizes: Sizes,
    /// What was measured so far.
    pub phases: Vec<Phase>,
}

impl<'a> Bench<'a> {
    /// A run on this cluster.
    pub fn new(ground: &'a mut Ground, sizes: Sizes) -> Self {
        Self { ground, sizes, phases: Vec::new() }
    }

    /// Does all of it.
    ///
    /// # Errors
    /// When any step does not come true.
    pub async fn run(&mut self, order: Order) -> Result<()> {
        self.ground.make_namespace(NAMESPACE).await?;
        if order == Order::ServiceFirst {
            self.with_operator().await?;
            self.deployment().await?;
        } else {
            self.deployment().await?;
            self.with_operator().await?;
        }
        self.posts().await
    }

    async fn with_operator(&mut self) -> Result<()> {
        let Self { ground, sizes, phases } = self;
        ground
            .with_operator(async |ground| {
                let mut bench = Bench::new(ground, *sizes);
                let result = bench.service().await;
                phases.append(&mut bench.phases);
                result
            })
            .await
    }

    async fn service(&mut self) -> Result<()> {
        let Sizes { instances, batch, .. } = self.sizes;
        let kube = &self.ground.kube.clone();
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
        let kube = &self.ground.kube.clone();
        self.measure("Deployment comes up", Some(CONTROLLERS), roll_out(kube, sizes, 1)).await?;
        self.measure("Deployment at rest", Some(CONTROLLERS), idle()).await?;
        self.measure("rolling update", Some(CONTROLLERS), roll_out(kube, sizes, 2)).await?;
        let removed = deployments(kube).delete(NAME, &DeleteParams::background()).await;
        removed.context("could not delete the Deployment")?;
        emptied(kube).await
    }

    async fn posts(&mut self) -> Result<()> {
        let (kube, instances) = (self.ground.kube.clone(), self.sizes.instances);
        self.measure("bare loop of POSTs", None, post_all(&kube, instances)).await
    }

    async fn measure(
        &mut self,
        name: &'static str,
        by: Option<&'static str>,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let phase = self.ground.measure(name, by, work).await?;
        self.phases.push(phase);
        Ok(())
    }
}

/// The Pods of both: they stay up for a second before they count.
fn template(instances: u32, version: u32) -> Service {
    Service::new(NAME, instances).version(version).set("/update/watchSeconds", json!(1))
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

/// Makes the Pods without anybody's help, and waits until all of them run.
async fn post_all(kube: &KubeApi, instances: u32) -> Result<()> {
    let pods = kube.pods(NAMESPACE);
    let spec = template(instances, 1).manifest(NAMESPACE)["spec"]["template"]["spec"].take();
    let pod = |at: u32| -> Result<Pod> {
        let metadata = json!({ "name": format!("{NAME}-{at}"), "labels": { "app": NAME } });
        Ok(serde_json::from_value(json!({ "metadata": metadata, "spec": spec }))?)
    };
    post(&pods, (0..instances).map(pod).collect::<Result<_>>()?).await?;
    none_left(kube, NAMESPACE, "all Pods to run", ListParams::default().fields("status.phase!=Running")).await
}

/// Makes Pods as fast as the API server takes them.
pub(super) async fn post(api: &Api<Pod>, pods: Vec<Pod>) -> Result<()> {
    let made = futures::stream::iter(&pods).map(|pod| async {
        api.create(&PostParams::default(), pod).await?;
        Ok(())
    });
    made.buffer_unordered(CONNECTIONS).try_collect::<()>().await
}

/// Waits until the namespace has no Pods.
async fn emptied(kube: &KubeApi) -> Result<()> {
    none_left(kube, NAMESPACE, "the namespace to be empty", ListParams::default()).await
}
