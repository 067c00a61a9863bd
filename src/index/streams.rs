//! The watches that feed the index: one task a kind, restartable as a barrier.
//!
//! A restarted watch begins with a consistent LIST (resourceVersion unset), so when its list is complete the index
//! is at least as new as the moment of the restart, and goes on from there without a gap: that is the barrier.
//! An error never ends a stream; it backs off and goes on. Started by `run`, asked by readiness and the barrier.

use std::{
    fmt::Debug,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures::Stream;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use kube::{
    Api, Client,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Index, Kind,
    crons::AnyCron,
    feed::Feed,
    lean::{Budget, Node, StoredRevision},
};
use crate::{
    api::{AnyJob, AnyService, AuroraRole, AuroraUpdate, Framework, Tier, labels},
    listen::{SILENCE, Silent, next_event},
};

/// Objects of a page of a list. A page is held as text and as objects at once, which is most of a start's memory.
pub(super) const PAGE: u32 = 100;

/// How one watch is doing.
#[derive(Debug)]
struct StreamHealth {
    kind: Kind,
    /// The restart whose list is complete; 0 is the first.
    listed: watch::Sender<Option<u64>>,
    beat: Mutex<Instant>,
}

impl StreamHealth {
    fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether it has shown all there is and is alive.
    fn is_ready(&self) -> bool {
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        self.listed.borrow().is_some() && beat.elapsed() < SILENCE
    }
}

/// The watches of the process.
#[derive(Debug)]
pub struct Watches {
    restart: watch::Sender<u64>,
    streams: Vec<Arc<StreamHealth>>,
}

impl Watches {
    /// Starts all watches; they end with `stop`. The client's watch calls must not have a read timeout below 300 s.
    pub fn start(
        client: &Client,
        index: &Arc<Index>,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let mut watches = Self { restart: watch::Sender::new(0), streams: Vec::new() };
        let all = Config::default().page_size(PAGE);
        let ours = all.clone().labels(labels::SERVICE);
        let mut spawn = Spawn { client, index, stop, tasks, watches: &mut watches, first: Vec::new() };
        let tenancy = [
            spawn.stream::<DeserializeGuard<Tier>>(Kind::Tier, &all),
            spawn.stream::<DeserializeGuard<AuroraRole>>(Kind::Role, &all),
            spawn.stream::<PartialObjectMeta<Namespace>>(Kind::Namespace, &all),
        ];
        spawn.stream::<DeserializeGuard<Framework>>(Kind::Framework, &all);
        // What is read of services and Pods says more once it is known whose they are.
        spawn.first = tenancy.into();
        spawn.stream::<AnyService>(Kind::Service, &all);
        spawn.stream::<AnyJob>(Kind::Job, &all);
        spawn.stream::<AnyCron>(Kind::Cron, &all);
        spawn.stream::<DeserializeGuard<AuroraUpdate>>(Kind::Update, &all);
        spawn.stream::<Node>(Kind::Node, &all);
        spawn.stream::<StoredRevision>(Kind::Revision, &ours);
        spawn.stream::<Pod>(Kind::Pod, &all);
        spawn.stream::<Budget>(Kind::Budget, &all);
        spawn.stream::<PartialObjectMeta<Service>>(Kind::Headless, &ours);
        spawn.stream::<PartialObjectMeta<ConfigMap>>(Kind::ConfigMap, &all);
        watches
    }

    /// Waits until the index is at least as new as this call: restarts every watch and waits for its list. Ends
    /// only when all of them have been read, so the caller gives up by dropping it.
    pub async fn barrier(&self) {
        self.restart.send_modify(|count| *count += 1);
        let wanted = *self.restart.borrow();
        for stream in &self.streams {
            let mut listed = stream.listed.subscribe();
            // An error would mean that the sender is gone, which `self` holds.
            let _ = listed.wait_for(|count| count.is_some_and(|count| count >= wanted)).await;
        }
    }

    /// Whether the index has been filled and every watch is alive.
    pub fn is_ready(&self) -> bool {
        self.late().next().is_none()
    }

    /// The kinds that have not been listed yet or whose watch is dead.
    pub fn late(&self) -> impl Iterator<Item = Kind> + '_ {
        self.streams.iter().filter(|stream| !stream.is_ready()).map(|stream| stream.kind)
    }
}

/// What is needed to start a watch.
struct Spawn<'a> {
    client: &'a Client,
    index: &'a Arc<Index>,
    stop: &'a CancellationToken,
    tasks: &'a mut JoinSet<()>,
    watches: &'a mut Watches,
    /// Those that have to be listed before the next one begins.
    first: Vec<Arc<StreamHealth>>,
}

impl Spawn<'_> {
    fn stream<K>(&mut self, kind: Kind, config: &Config) -> Arc<StreamHealth>
    where
        K: Feed + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let health = Arc::new(StreamHealth {
            kind,
            listed: watch::Sender::new(None),
            beat: Mutex::new(Instant::now()),
        });
        let api: Api<K> = Api::all(self.client.clone());
        let config = config.clone();
        let open = move || watcher(api.clone(), config.clone()).default_backoff();
        let run = follow(open, Arc::clone(self.index), Arc::clone(&health), self.watches.restart.subscribe());
        let stop = self.stop.clone();
        let first = self.first.clone();
        let run = async move {
            for one in first {
                // An error would mean that the sender is gone, which `one` holds.
                let _ = one.listed.subscribe().wait_for(Option::is_some).await;
            }
            run.await;
        };
        self.tasks.spawn(async move {
            stop.run_until_cancelled_owned(run).await;
        });
        self.watches.streams.push(Arc::clone(&health));
        health
    }
}

/// Follows one watch, opening it anew at each restart and when it falls silent.
async fn follow<K, S>(
    open: impl Fn() -> S,
    index: Arc<Index>,
    health: Arc<StreamHealth>,
    mut restart: watch::Receiver<u64>,
) where
    K: Feed,
    S: Stream<Item = Result<Event<K>, watcher::Error>>,
{
    loop {
        let count = *restart.borrow_and_update();
        let mut events = pin!(open());
        let mut listing = true;
        loop {
            let next = tokio::select! {
                biased;
                // The sender lives as long as the watches; without it there is nobody left to restart for.
                changed = restart.changed() => if changed.is_ok() { break } else { return },
                next = next_event(events.as_mut(), listing, || health.beat()) => next,
            };
            match next {
                Err(Silent) => {
                    warn!(kind = ?health.kind, listing, "no answer in time; the watch is opened anew");
                    break;
                }
                Ok(None) => break,
                Ok(Some(Ok(event))) => {
                    // With this it only says that it begins.
                    if !matches!(event, Event::Init) {
                        health.beat();
                    }
                    listing = match &event {
                        Event::Init | Event::InitApply(_) => true,
                        Event::InitDone | Event::Apply(_) | Event::Delete(_) => false,
                    };
                    let done = matches!(event, Event::InitDone);
                    index.feed(health.kind, &event);
                    if done {
                        info!(kind = ?health.kind, "listed");
                        health.listed.send_replace(Some(count));
                    }
                }
                Ok(Some(Err(error))) => warn!(kind = ?health.kind, %error, "the watch failed; it goes on"),
            }
        }
        debug!(kind = ?health.kind, "the watch is opened anew");
    }
}

#[cfg(test)]
mod tests;
