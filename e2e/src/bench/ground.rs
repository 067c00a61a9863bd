//! What a benchmark stands on: a cluster of its own, an operator that runs only while it is measured, and the probe.
//!
//! Called by the binaries of the benchmarks; `controller` starts and stops what is measured on it.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, api::ListParams};
use tokio::process::Child;

use super::{
    CLUSTER, LIMIT,
    probe::{OPERATOR, Phase, Probe},
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
pub(super) const LEASE_SECONDS: u32 = 15;
/// How long after a step its stragglers are still counted: late Events, the last status.
const REST: Duration = Duration::from_secs(5);

/// A cluster that runs, with Borealis installed.
pub struct Ground {
    /// Its API.
    pub kube: KubeApi,
    pub(super) cluster: Cluster,
    pub(super) probe: Probe,
    /// A peer's controller that was started here.
    pub(super) peer: Option<Child>,
    pub(super) folder: PathBuf,
    launch: Launch,
    operators: Arc<Operators>,
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
    let launch = Launch::new(cluster, folder, paths::operator()?).await?;
    let launch = Launch { lease_seconds: LEASE_SECONDS, listen: free_address()?, ..launch };
    let operators = Arc::new(Operators::prepare(cluster, kube.clone(), launch.clone(), 1));
    let probe = Probe::new(&cluster.kubeconfig).await?;
    let (cluster, folder) = (cluster.clone(), folder.to_owned());
    let mut ground =
        Ground { kube, cluster, probe, peer: None, folder, launch, operators: Arc::clone(&operators) };
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
        let pid = self.start_operator().await?;
        let operators = Arc::clone(&self.operators);
        let done = tokio::select! {
            done = work(self) => done?,
            () = ended(&operators, pid) => bail!("the operator ended by itself"),
        };
        self.stop_operator().await?;
        Ok(done)
    }

    /// Starts the operator, which leads then, and says its process.
    pub(super) async fn start_operator(&mut self) -> Result<u32> {
        self.operators.start_all().await?;
        let pid = self.operators.pid(0).await.context("the operator does not run")?;
        self.operators.leader(Duration::from_secs(60)).await?;
        let metrics = format!("http://{}/", self.launch.listen).parse()?;
        self.probe.program_is(OPERATOR, pid, Some(metrics))?;
        Ok(pid)
    }

    /// Stops it.
    pub(super) async fn stop_operator(&mut self) -> Result<()> {
        self.probe.is_gone(OPERATOR);
        self.operators.stop_all().await
    }

    /// So many replicas of the operator, none of them started, in the place of the one.
    pub(super) fn replicas(&self, count: usize) -> Operators {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let launch = Launch { listen, ..self.launch.clone() };
        Operators::prepare(&self.cluster, self.kube.clone(), launch, count)
    }

    /// Does one step, and says what it took.
    ///
    /// # Errors
    /// When the step fails, or a program does not say what it used.
    pub async fn measure(
        &mut self,
        name: &str,
        by: Option<&str>,
        work: impl Future<Output = Result<()>>,
    ) -> Result<Phase> {
        self.measure_here(name, by, async |_| work.await).await
    }

    /// The same of a step that starts or stops what is measured.
    pub(super) async fn measure_here(
        &mut self,
        name: &str,
        by: Option<&str>,
        work: impl AsyncFnOnce(&mut Self) -> Result<()>,
    ) -> Result<Phase> {
        self.probe.forget_peaks()?;
        let before = self.probe.read().await?;
        let begin = Instant::now();
        work(self).await.with_context(|| name.to_owned())?;
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
    none_left_within(LIMIT, kube, namespace, what, which).await
}

/// The same, of so many that it takes longer.
pub(super) async fn none_left_within(
    limit: Duration,
    kube: &KubeApi,
    namespace: &str,
    what: &str,
    which: ListParams,
) -> Result<()> {
    // From the API server's memory: a look that is a little old costs the cluster next to nothing.
    let which = which.match_any();
    wait::until(what, limit, || async {
        let left = kube.pods(namespace).list_metadata(&which).await?.items.len();
        Ok(wait::when(left == 0, format!("{left} Pods left")))
    })
    .await
}

/// Returns when the operator's process is not this one any more.
async fn ended(operators: &Operators, pid: u32) {
    while operators.running().await == [0] && operators.pid(0).await == Some(pid) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// An address that nobody listens at just now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
