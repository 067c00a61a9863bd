//! Puts the operator together, starts it in order, and ends it in order.
//!
//! Start: serve health, check the API server, watch, and only then stand for the lease, so that whoever holds it can
//! act. End: plan nothing more, let what is under way come to its end, and only then give the lease back. Without the
//! lease nothing is finished: the program leaves at once. Decides nothing about services. Called by `main`, and by
//! tests with a client of their own.

mod cluster;

use std::{future::Future, sync::Arc, time::Duration};

use borealis_core::plan::plan;
use kube::{Client, Config};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

use self::cluster::Whole;
use crate::{
    CronKey, JobKey,
    admission::{TooOld, check_fence, check_version, wait_for_kinds},
    apply::{Executor, Learn, events},
    checks::Checks,
    controller::{
        Controller, CronController, Everything, Opening, Queue, Rounds, cluster::May, keep_open, opening,
    },
    freeze::Freeze,
    index::{Index, Watches},
    lease::{Elector, Fence, Gate, Lost, fence},
    metrics::Metrics,
    quota::Quota,
    server::{Beat, Health, serve},
    settings::Settings,
    telemetry::LogFilter,
};

/// How long what is under way has when the program is told to end.
const LAST_WRITES: Duration = Duration::from_secs(10);
/// How often it is looked at whether the watches are complete.
const LOOK: Duration = Duration::from_millis(100);
/// How often the runtime shows that it turns.
const TURN: Duration = Duration::from_secs(5);
/// How often is looked which Secrets are to be read again.
const SECRETS: Duration = Duration::from_secs(1);
/// How long a loop may not turn.
const STUCK: Duration = Duration::from_secs(60);

/// Why the operator ended although nobody told it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No way to the API server.
    #[error("no way to the API server: {0}")]
    Config(#[from] Box<kube::config::InferConfigError>),
    /// The way to the API server can't be used.
    #[error("the client for the API server can't be made: {0}")]
    Client(#[from] Box<kube::Error>),
    /// The port is taken, most likely.
    #[error("--listen {address}: {source}; use another port, or 0 for any that is free")]
    Listen {
        /// What was asked for.
        address: std::net::SocketAddr,
        /// What was said to it.
        source: std::io::Error,
    },
    /// Signals can't be listened to.
    #[error("signals can't be received: {0}")]
    Signals(#[source] std::io::Error),
    /// The API server is not one we can work with.
    #[error(transparent)]
    TooOld(#[from] TooOld),
    /// Another replica acts by now, or may.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A loop that never ends has ended.
    #[error("{0} ended by itself")]
    Ended(&'static str),
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't begin, or must not go on: the lease was lost. The program is to leave with a failure then.
pub async fn run(settings: Settings, log: LogFilter) -> Result<(), Error> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("told to end");
        told.cancel();
    });
    let mut config = Config::infer().await.map_err(Box::new)?;
    // What failed may have been applied: each caller knows what follows from that, the client does not.
    config.default_retry = false;
    let client = Client::try_from(config).map_err(Box::new)?;
    // From the first moment on: why it does not become ready may be what is looked for.
    let _following =
        AbortOnDropHandle::new(tokio::spawn(log.follow(client.clone(), settings.namespace.clone())));
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "health, metrics and /debug are served");
    }
    operate(client, &settings, listener, stop).await
}

/// Runs the operator on this client until `stop`. The client must not retry by itself.
///
/// # Errors
/// As [`run`].
pub async fn operate(
    client: Client,
    settings: &Settings,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Error> {
    let (gate, fence) = fence();
    let metrics = Metrics::default();
    let health = Arc::new(Health::new(metrics.clone(), fence.clone()));
    let end = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(drop_error(serve(listener, Arc::clone(&health), end.clone())));
    tasks.spawn(turn(&health));
    let operator = Operator { client, settings, stop, end, metrics, fence, health };
    let outcome = operator.begin_and_act(gate, &mut tasks).await;
    operator.end.cancel();
    tasks.shutdown().await;
    outcome
}

/// What all parts share.
struct Operator<'a> {
    client: Client,
    settings: &'a Settings,
    /// Plan nothing more.
    stop: CancellationToken,
    /// All is done.
    end: CancellationToken,
    metrics: Metrics,
    fence: Fence,
    health: Arc<Health>,
}

/// What is known and whom it concerns.
struct Known {
    index: Arc<Index>,
    queue: Arc<Queue<JobKey>>,
    crons: Arc<Queue<CronKey>>,
    everything: Everything,
    quota: Arc<Quota>,
    watches: Arc<Watches>,
    freeze: Freeze,
}

impl Operator<'_> {
    async fn begin_and_act(&self, gate: Gate, tasks: &mut JoinSet<()>) -> Result<(), Error> {
        let Some(known) = self.stop.run_until_cancelled(self.begin(tasks)).await else { return Ok(()) };
        self.act(gate, known?, tasks).await
    }

    /// Everything that can be done without the lease.
    async fn begin(&self, tasks: &mut JoinSet<()>) -> Result<Known, Error> {
        check_version(&self.client).await?;
        wait_for_kinds(&self.client).await;
        let queue: Arc<Queue<JobKey>> = Arc::default();
        let quota: Arc<Quota> = Arc::default();
        let dirty = (Arc::clone(&queue), Arc::clone(&quota));
        let index = Arc::new(Index::new(self.metrics.clone(), move |key| {
            dirty.0.add(key);
            dirty.1.touch(key);
        }));
        let crons: Arc<Queue<CronKey>> = Arc::default();
        let due = Arc::clone(&crons);
        index.tell_of_crons(move |key| due.add(key));
        let watches = Arc::new(Watches::start(&self.client, &index, &self.end, tasks));
        let everything = Everything::new(Arc::clone(&index), Arc::clone(&queue), Arc::clone(&crons));
        tasks.spawn(everything.clone().follow_clock(self.end.clone()));
        let again = {
            let (index, everything) = (Arc::clone(&index), everything.clone());
            move || {
                everything.begin();
                index.wake_followers();
            }
        };
        let (mut freeze, follow) =
            Freeze::watch(self.client.clone(), &self.settings.namespace, self.end.clone(), again);
        tasks.spawn(follow);
        let (late, known) = (Arc::clone(&watches), freeze.clone());
        self.health.ready_when(move || {
            let unknown = (!known.is_known()).then(|| "the freeze switch".to_owned());
            late.late().map(|kind| format!("the watch of {kind:?}")).chain(unknown).collect()
        });
        while !watches.is_ready() {
            sleep(LOOK).await;
        }
        freeze.known().await;
        info!(services = index.len(), "the cluster is indexed");
        Ok(Known { index, queue, crons, everything, quota, watches, freeze })
    }

    /// Stands for the lease, acts while it is held, and gives it back in the end.
    async fn act(&self, gate: Gate, known: Known, tasks: &mut JoinSet<()>) -> Result<(), Error> {
        let identity = self.settings.identity();
        let release = CancellationToken::new();
        let elector =
            Elector::new(self.client.clone(), self.settings.lease(&identity), gate, self.metrics.clone());
        let beat = Beat::default();
        self.health.expect("the lease", beat.clone(), lease_patience(self.settings));
        let mut lease =
            AbortOnDropHandle::new(tokio::spawn(elector.run(release.clone(), move || beat.beat())));
        let mut planning = self.start_planning(known, identity, tasks);
        tokio::select! {
            ended = &mut lease => return lease_outcome(ended),
            _ = &mut planning => {
                if !self.stop.is_cancelled() {
                    return Err(Error::Ended("the planning of services"));
                }
            }
            () = self.stop.cancelled() => {
                // The lease is renewed meanwhile.
                if timeout(LAST_WRITES, &mut planning).await.is_err() {
                    warn!("not everything that was under way came to its end in time");
                }
            }
        }
        drop(planning);
        release.cancel();
        lease_outcome(lease.await)
    }

    fn start_planning(
        &self,
        known: Known,
        identity: String,
        tasks: &mut JoinSet<()>,
    ) -> AbortOnDropHandle<()> {
        let Known { index, queue, crons, everything, quota, watches, freeze } = known;
        let (announcer, writer) =
            events(self.client.clone(), self.fence.clone(), self.metrics.clone(), identity);
        tasks.spawn(writer.run());
        let learn: Arc<dyn Learn> = Arc::clone(&index) as Arc<dyn Learn>;
        let executor = Executor::new(
            self.client.clone(),
            self.settings.limits(),
            self.fence.clone(),
            learn,
            self.metrics.clone(),
            announcer.clone(),
        );
        let (sender, opening) = opening();
        let barrier = move || {
            let watches = Arc::clone(&watches);
            async move { watches.barrier().await }
        };
        let begin = {
            let (everything, quota) = (everything.clone(), Arc::clone(&quota));
            let (client, namespace) = (self.client.clone(), self.settings.namespace.clone());
            move || {
                // Before anything is planned: what was granted in an earlier term is not known any more.
                quota.restart();
                everything.begin();
                tokio::spawn(check_fence(client.clone(), namespace.clone()));
            }
        };
        tasks.spawn(expire_secrets(Arc::clone(&index), self.settings.secret_interval, self.end.clone()));
        tasks.spawn(keep_open(self.fence.clone(), sender, barrier, begin, self.end.clone()));
        let may = May { fence: self.fence.clone(), opening: opening.clone() };
        let pending = self.start_cluster(
            &Whole {
                index: Arc::clone(&index),
                queue: Arc::clone(&queue),
                quota: Arc::clone(&quota),
                writes: executor.preemption(),
                announcer,
                frozen: Arc::clone(&freeze.frozen),
            },
            &may,
            tasks,
        );
        let checks = {
            let queue = Arc::clone(&queue);
            let hosts = self.settings.check_hosts.clone();
            Checks::new(hosts, self.fence.clone(), self.metrics.clone(), move |key| queue.add(key))
        };
        let of_crons = CronController {
            index: Arc::clone(&index),
            executor: executor.crons(Arc::clone(&index), self.metrics.clone()),
            live: self.client.clone(),
            everything,
            // A cron's turn is one write, and many of them are due at the same time.
            rounds: self.rounds(crons, self.settings.in_flight, &opening, &freeze),
        };
        let of_jobs = Controller {
            index,
            executor,
            live: self.client.clone(),
            planner: plan,
            checks,
            pending,
            quota,
            cluster: self.settings.cluster_name.clone(),
            max_ended: self.settings.kept_cap,
            rounds: self.rounds(queue, self.settings.workers, &opening, &freeze),
        };
        let (jobs, crons) = (of_jobs.run(self.stop.clone()), of_crons.run(self.stop.clone()));
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::join!(jobs, crons);
        }))
    }

    fn rounds<K>(
        &self,
        queue: Arc<Queue<K>>,
        concurrency: usize,
        opening: &Opening,
        freeze: &Freeze,
    ) -> Rounds<K> {
        Rounds {
            queue,
            fence: self.fence.clone(),
            opening: opening.clone(),
            frozen: Arc::clone(&freeze.frozen),
            concurrency,
            resync: self.settings.resync,
            metrics: self.metrics.clone(),
        }
    }
}

/// Has Secrets read again in time, each by its own: services that name some are then planned, others not.
async fn expire_secrets(index: Arc<Index>, age: Duration, end: CancellationToken) {
    while end.run_until_cancelled(sleep(SECRETS.min(age))).await.is_some() {
        index.expire_secrets(age);
    }
}

/// How long the elector may not turn: a try may take the renew deadline, and the next one waits a while.
fn lease_patience(settings: &Settings) -> Duration {
    STUCK.max((settings.lease_renew_deadline + settings.lease_retry_period) * 2)
}

fn lease_outcome(ended: Result<Result<(), Lost>, JoinError>) -> Result<(), Error> {
    ended.map_err(|_| Error::Ended("the holding of the lease"))?.map_err(Error::Lost)
}

async fn drop_error(serving: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = serving.await {
        warn!(%error, "health and metrics are not served any more");
    }
}

/// Shows that the runtime turns: one that is stuck answers nothing, or shows it here.
fn turn(health: &Health) -> impl Future<Output = ()> + use<> {
    let beat = Beat::default();
    health.expect("the runtime", beat.clone(), STUCK);
    async move {
        loop {
            beat.beat();
            sleep(TURN).await;
        }
    }
}

#[cfg(test)]
mod tests;
