//! The operator's replicas as processes of this machine: started, stopped, killed, suspended and continued; before that,
//! where it was installed as people do, as Pods.
//!
//! `credentials` gives processes the rights of `deploy/`, `replica` is one of them, `pods` is the Deployment. Started by
//! `world` and `demo`; driven by the scenarios about failover.

mod credentials;
mod pods;
mod replica;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use tokio::{sync::Mutex, task::JoinHandle};

use self::replica::{Clock, Replica, Signal};
pub use self::{
    credentials::{ACCOUNT, NAMESPACE, account_kubeconfig},
    pods::OPERATOR,
    replica::{end, end_leftovers},
};
use crate::{
    cluster::Cluster,
    debian,
    kube_api::KubeApi,
    wait::{self, Look},
};

/// The lease's name, as `deploy/` and the operator's own default have it.
pub const LEASE: &str = "borealis";

/// What all replicas have in common.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// The kubeconfig of the operator's account.
    pub kubeconfig: PathBuf,
    /// Where logs and pid files go.
    pub folder: PathBuf,
    /// How long the lease is held without renewal.
    pub lease_seconds: u32,
    /// Where its probes and metrics are served; each replica at a port of its own unless this names one.
    pub listen: SocketAddr,
}

impl Launch {
    /// With what suits tests: a lease they can wait for.
    ///
    /// # Errors
    /// When the operator's account has no token.
    pub async fn new(cluster: &Cluster, folder: &Path, program: PathBuf) -> Result<Self> {
        Ok(Self {
            program,
            kubeconfig: account_kubeconfig(cluster, folder, NAMESPACE, ACCOUNT)
                .await
                .context("does deploy/ make the operator's account?")?,
            folder: folder.to_owned(),
            lease_seconds: 6,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        })
    }
}

/// How often is looked whether a replica has ended by itself.
const LOOK: Duration = Duration::from_secs(1);

/// The replicas of the operator.
///
/// One that ends by itself is started again, as a kubelet does; one that was killed or stopped here is not.
pub struct Operators {
    kube: KubeApi,
    launch: Launch,
    replicas: Arc<Mutex<Vec<Replica>>>,
    keeping: JoinHandle<()>,
    cluster: Cluster,
    /// Whether its Deployment is at work, and none of the processes.
    as_pods: AtomicBool,
}

impl Drop for Operators {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl Operators {
    /// As many replicas as said, none of them started.
    pub fn prepare(cluster: &Cluster, kube: KubeApi, launch: Launch, count: usize) -> Self {
        let replicas: Arc<Mutex<Vec<Replica>>> = Arc::new(Mutex::new((0..count).map(Replica::new).collect()));
        let (kept, with) = (Arc::clone(&replicas), launch.clone());
        let keeping = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                for replica in kept.lock().await.iter_mut() {
                    if replica.is_wanting()
                        && let Err(error) = replica.start(&with)
                    {
                        println!("{} could not be started again: {error:#}", replica.name());
                    }
                }
            }
        });
        let (cluster, as_pods) = (cluster.clone(), AtomicBool::new(false));
        Self { kube, launch, replicas, keeping, cluster, as_pods }
    }

    /// The Deployment is at work, until [`Operators::take_over`].
    ///
    /// # Errors
    /// When none of its Pods comes to lead.
    pub async fn are_pods(&self) -> Result<()> {
        self.as_pods.store(true, Ordering::SeqCst);
        self.holder(Duration::from_secs(60)).await.map(drop)
    }

    /// Whether its Deployment is at work.
    pub fn is_deployed(&self) -> bool {
        self.as_pods.load(Ordering::SeqCst)
    }

    /// From now on the replicas are processes, which can be killed and suspended.
    ///
    /// # Errors
    /// When the Pods don't end, or no process comes to lead.
    pub async fn take_over(&self) -> Result<()> {
        if self.is_deployed() {
            pods::end(&self.cluster).await?;
            self.as_pods.store(false, Ordering::SeqCst);
            self.start_all().await?;
            self.leader(Duration::from_secs(60)).await?;
        }
        Ok(())
    }

    /// Starts every replica that does not run.
    ///
    /// # Errors
    /// When one can't be started.
    pub async fn start_all(&self) -> Result<()> {
        for replica in self.replicas.lock().await.iter_mut() {
            if !replica.is_running() {
                replica.start(&self.launch)?;
            }
        }
        Ok(())
    }

    /// Has every replica run again as it was meant to, whatever was done to it, and waits for one that leads.
    ///
    /// # Errors
    /// When one can't be started, or none leads in time.
    pub async fn restore(&self, limit: Duration) -> Result<()> {
        for replica in self.replicas.lock().await.iter_mut() {
            if replica.clock.take().is_some() | replica.kubeconfig.take().is_some() {
                replica.stop().await;
            } else if replica.is_running() {
                replica.signal(Signal::Continue).await?;
            }
        }
        self.start_all().await?;
        self.leader(limit).await.map(|_| ())
    }

    /// Stops every replica as a node shutting down does: SIGTERM, and SIGKILL after ten seconds.
    ///
    /// # Errors
    /// When one did not end by itself in time; it is ended all the same.
    pub async fn stop_all(&self) -> Result<()> {
        let mut late = Vec::new();
        for replica in self.replicas.lock().await.iter_mut() {
            if !replica.stop().await {
                late.push(replica.name());
            }
        }
        if late.is_empty() { Ok(()) } else { bail!("{late:?} did not end within 10 s of SIGTERM") }
    }

    /// Has every replica find the API server at this address from now on, until it is restored.
    ///
    /// # Errors
    /// When one can't be started, or none comes to lead.
    pub async fn detour(&self, server: SocketAddr) -> Result<()> {
        let kubeconfig = credentials::by_way_of(&self.launch.kubeconfig, server)?;
        for replica in self.replicas.lock().await.iter_mut() {
            replica.stop().await;
            replica.kubeconfig = Some(kubeconfig.clone());
        }
        self.start_all().await?;
        self.leader(Duration::from_secs(60)).await.map(drop)
    }

    /// The kubeconfig of the operator's account.
    pub fn kubeconfig(&self) -> &Path {
        &self.launch.kubeconfig
    }

    /// Kills a replica and starts it with a clock that is so many seconds ahead, or behind, until it is restored.
    ///
    /// # Errors
    /// When what moves clocks can't be fetched, or the replica can't be started.
    pub async fn set_clock(&self, index: usize, ahead: i64) -> Result<()> {
        let library = "usr/lib/*/faketime/libfaketime.so.1";
        let library = debian::file("libfaketime", library, "BOREALIS_LIBFAKETIME").await?;
        let mut replicas = self.replicas.lock().await;
        let replica = replicas.get_mut(index).context("there is no such replica")?;
        replica.signal(Signal::Kill).await?;
        replica.clock = Some(Clock { library, ahead });
        replica.start(&self.launch)
    }

    /// Lets every replica outlive this program; its pid file is how it is ended later.
    pub async fn leave_running(&self) {
        for replica in self.replicas.lock().await.iter_mut() {
            replica.leave();
        }
    }

    /// Kills a replica without warning.
    ///
    /// # Errors
    /// When there is no such replica.
    pub async fn kill(&self, index: usize) -> Result<()> {
        self.signal(index, Signal::Kill).await
    }

    /// Suspends a replica.
    ///
    /// # Errors
    /// When there is no such replica.
    pub async fn suspend(&self, index: usize) -> Result<()> {
        self.signal(index, Signal::Stop).await
    }

    /// Lets a suspended replica go on.
    ///
    /// # Errors
    /// When there is no such replica.
    pub async fn resume(&self, index: usize) -> Result<()> {
        self.signal(index, Signal::Continue).await
    }

    async fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        let mut replicas = self.replicas.lock().await;
        let replica = replicas.get_mut(index).context("there is no such replica")?;
        replica.signal(signal).await
    }

    /// Which replicas run, suspended ones included.
    pub async fn running(&self) -> Vec<usize> {
        let mut replicas = self.replicas.lock().await;
        (0..replicas.len()).filter(|&index| replicas[index].is_running()).collect()
    }

    /// The process of a replica, if it was started.
    pub async fn pid(&self, index: usize) -> Option<u32> {
        self.replicas.lock().await.get(index)?.pid()
    }

    /// Waits until somebody holds the lease, and says who and since which term.
    ///
    /// # Errors
    /// When nobody does in time.
    pub async fn holder(&self, limit: Duration) -> Result<(String, i32)> {
        wait::until("a holder of the lease", limit, || async {
            let (holder, term) = self.lease().await?;
            Ok(if holder.is_empty() {
                Look::NotYet("the lease is held by nobody".to_owned())
            } else {
                Look::Done((holder, term))
            })
        })
        .await
    }

    async fn lease(&self) -> Result<(String, i32)> {
        let spec = self.kube.leases(NAMESPACE).get(LEASE).await?.spec.unwrap_or_default();
        Ok((spec.holder_identity.unwrap_or_default(), spec.lease_transitions.unwrap_or_default()))
    }

    /// Waits until a replica that runs holds the lease, and says which and since which term.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader(&self, limit: Duration) -> Result<(usize, i32)> {
        self.leader_other_than(None, limit).await
    }

    /// Waits until a replica other than this one holds the lease.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader_other_than(&self, not: Option<usize>, limit: Duration) -> Result<(usize, i32)> {
        wait::until("a leader", limit, || async {
            let (holder, term) = self.lease().await?;
            let mut replicas = self.replicas.lock().await;
            let holding =
                replicas.iter_mut().position(|replica| replica.is_running() && replica.identity() == holder);
            Ok(match holding {
                Some(index) if Some(index) != not => Look::Done((index, term)),
                _ => Look::NotYet(format!("the lease is held by {holder:?}")),
            })
        })
        .await
    }

    /// What the leader shows under /debug by this name.
    ///
    /// # Errors
    /// When there is no leader, or it shows nothing of the kind.
    pub async fn shows(&self, name: &str) -> Result<serde_json::Value> {
        if self.is_deployed() {
            let (pod, _) = self.holder(Duration::from_secs(30)).await?;
            return pods::shows(&self.cluster, &pod, name).await;
        }
        let (leader, _) = self.leader(Duration::from_secs(30)).await?;
        let path = format!("/debug/{name}");
        serde_json::from_str(&self.tells(leader, &path).await?).with_context(|| format!("{path} is no JSON"))
    }

    /// The sum of a counter over all its series of a replica, by its name without the prefix.
    ///
    /// # Errors
    /// When the replica does not tell.
    pub async fn counted(&self, index: usize, counter: &str) -> Result<f64> {
        let told = self.tells(index, "/metrics").await?;
        let name = format!("borealis_{counter}_total");
        let series = told
            .lines()
            .filter(|line| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    /// What a replica serves at a path.
    async fn tells(&self, index: usize, path: &str) -> Result<String> {
        let replicas = self.replicas.lock().await;
        let replica = replicas.get(index).context("there is no such replica")?;
        let address = replica.address(&self.launch.folder)?;
        drop(replicas);
        let client = kube::Client::try_from(kube::Config::new(format!("http://{address}/").parse()?))?;
        let request = http::Request::get(path).body(Vec::new())?;
        client.request_text(request).await.with_context(|| format!("could not read {path} of {address}"))
    }

    /// When the holder of the lease renewed it last, by its own clock.
    ///
    /// # Errors
    /// When there is no lease.
    pub async fn renewed(&self) -> Result<Timestamp> {
        let spec = self.kube.leases(NAMESPACE).get(LEASE).await?.spec.unwrap_or_default();
        Ok(spec.renew_time.context("nobody holds the lease")?.0)
    }

    /// How long the last barrier of a replica took: none when it never passed one.
    ///
    /// # Errors
    /// When there is no such replica, or it has no log.
    pub async fn barrier(&self, index: usize) -> Result<Option<Duration>> {
        let replicas = self.replicas.lock().await;
        replicas.get(index).context("there is no such replica")?.barrier(&self.launch.folder)
    }

    /// How many times each replica was started.
    pub async fn starts(&self) -> Vec<u32> {
        self.replicas.lock().await.iter().map(Replica::starts).collect()
    }

    /// The last lines of each replica's log.
    pub async fn log_tails(&self, lines: usize) -> String {
        if self.is_deployed() {
            return pods::log_tails(&self.cluster, lines).await;
        }
        let replicas = self.replicas.lock().await;
        replicas.iter().map(|replica| replica.log_tail(&self.launch.folder, lines)).collect()
    }
}
