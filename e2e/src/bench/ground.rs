//! What a benchmark stands on: a cluster of its own, an operator that runs only while it is measured, and the probe.
//!
//! Called by the binaries of the benchmarks; `steps` and `storm` work on it.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, api::ListParams};

use super::{
    CLUSTER, LIMIT,
    probe::{Phase, Probe},
};
use crate::{
    cluster::{Cluster, Shape},
    command,
    kube_api::KubeApi,
    operator::{Launch, Operators},
    paths,
    wait::{self, Look},
    world,
};

/// Seconds the lease is held without renewal: the operator's own default. On a machine this full a shorter one
/// would measure the lease.
const LEASE_SECONDS: u32 = 15;
/// How long after a step its stragglers are still counted: late Events, the last status.
const REST: Duration = Duration::from_secs(5);

/// A cluster that runs, with Borealis installed.
pub struct Ground {
    /// Its API.
    pub kube: KubeApi,
    operators: Arc<Operators>,
    address: SocketAddr,
    probe: Probe,
}

/// Does this on a cluster of its own with so many simulated nodes, which is taken down also when it fails.
///
/// # Errors
/// When the work fails, or the cluster does not come up or leaves something behind.
pub async fn on_cluster<T>(
    folder: &Path,
    nodes: u32,
    work: impl AsyncFnOnce(&mut Ground) -> Result<T>,
) -> Result<T> {
    let mut cluster = Cluster::named(CLUSTER).await?;
    let result = tokio::select! {
        result = on(&mut cluster, folder, nodes, work) => result,
        name = command::interrupted() => Err(anyhow!("interrupted by {}", name?)),
    };
    cluster.down().await.context("the cluster left something behind")?;
    result
}

async fn on<T>(
    cluster: &mut Cluster,
    folder: &Path,
    nodes: u32,
    work: impl AsyncFnOnce(&mut Ground) -> Result<T>,
) -> Result<T> {
    cluster.up(Shape { nodes, real_node: false, audited: None }).await?;
    let kube = KubeApi::new(&cluster.kubeconfig).await?;
    world::install(cluster).await?;
    let address = free_address()?;
    let launch = Launch::new(cluster, folder, paths::operator()?).await?;
    let launch = Launch { lease_seconds: LEASE_SECONDS, listen: address, ..launch };
    let operators = Arc::new(Operators::prepare(cluster, kube.clone(), launch, 1));
    let probe = Probe::new(&cluster.kubeconfig).await?;
    let mut ground = Ground { kube, operators: Arc::clone(&operators), address, probe };
    let result = work(&mut ground).await;
    let stopped = operators.stop_all().await;
    match result {
        Ok(done) => stopped.map(|()| done),
        Err(error) => bail!("{error:#}\n{}", operators.log_tails(40).await),
    }
}

impl Ground {
    /// Does this with an operator that runs for that time only: what is no business of its costs it nothing.
    ///
    /// # Errors
    /// When the work fails, or the operator does not start or ends by itself.
    pub async fn with_operator<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let operators = Arc::clone(&self.operators);
        operators.start_all().await?;
        operators.leader(Duration::from_secs(60)).await?;
        let pid = *operators.pids().await.first().context("the operator does not run")?;
        self.probe.operator_is(pid, self.address)?;
        let done = tokio::select! {
            done = work(self) => done?,
            () = ended(&operators, pid) => bail!("the operator ended by itself"),
        };
        self.probe.operator_is_gone();
        operators.stop_all().await?;
        Ok(done)
    }

    /// Does one step, and says what it took.
    ///
    /// # Errors
    /// When the step fails, or a program does not say what it used.
    pub async fn measure(
        &mut self,
        name: &'static str,
        by: Option<&'static str>,
        work: impl Future<Output = Result<()>>,
    ) -> Result<Phase> {
        self.probe.forget_peaks()?;
        let before = self.probe.read().await?;
        let begin = Instant::now();
        work.await.context(name)?;
        let wall = begin.elapsed();
        tokio::time::sleep(REST).await;
        let after = self.probe.read().await?;
        println!("{:>8.1} s  {name}", wall.as_secs_f64());
        Ok(Phase::between(name, by, wall, &before, &after))
    }

    /// Makes a namespace in which Pods can be made.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn make_namespace(&self, name: &str) -> Result<()> {
        self.kube.make_namespace(name).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.kube.client.clone(), name);
        wait::until("the namespace's service account", LIMIT, || async {
            Ok(Look::Done(accounts.get("default").await?))
        })
        .await
        .map(drop)
    }
}

/// Waits until a namespace has no such Pods.
pub(super) async fn none_left(kube: &KubeApi, namespace: &str, what: &str, which: ListParams) -> Result<()> {
    // From the API server's memory: a look that is a little old costs the cluster next to nothing.
    let which = which.match_any();
    wait::until(what, LIMIT, || async {
        let left = kube.pods(namespace).list_metadata(&which).await?.items.len();
        Ok(wait::when(left == 0, format!("{left} Pods left")))
    })
    .await
}

/// Returns when the operator's process is not this one any more.
async fn ended(operators: &Operators, pid: u32) {
    while operators.running().await == [0] && operators.pids().await == [pid] {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// An address that nobody listens at just now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
