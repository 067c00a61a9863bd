//! Kubernetes Events: what people see in `kubectl describe`. Best effort, never in anybody's way.
//!
//! The executor puts an event into a bounded queue; one task writes them, slowly, and counts what it drops. Warnings go
//! first: a service with much news must not keep another's trouble from being told. The same words about the same
//! object within ten minutes become a series on one Event. It must not write unless the lease is ours. kube's Recorder
//! is not used: it waits for the API at each event and searches all it remembers.

use std::{num::NonZeroUsize, time::Duration};

use borealis_core::{
    model::{JobKind, Uid},
    plan,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use lru::LruCache;
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tracing::debug;

use super::Facts;
use crate::{
    CronKey, JobKey,
    api::{AuroraCron, AuroraJob, AuroraService, AuroraUpdate, update::update_name},
    lease::Fence,
    metrics::{Metrics, Verb},
};

/// Events that wait to be written, of warnings and of other news each.
const QUEUE: usize = 512;
/// The pace at which they are, all services together.
const PACE: Duration = Duration::from_millis(50);
/// Within which time the same words are one Event.
const WINDOW: Duration = Duration::from_secs(600);
/// How many Events are remembered for that.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(1024) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes the API takes for a note.
const MAX_NOTE: usize = 1023;
/// Who reports.
const CONTROLLER: &str = "borealis.dev/operator";

/// An event on its way.
#[derive(Debug)]
struct Waiting {
    regarding: ObjectReference,
    event: plan::Event,
}

/// The executor's end of the queues.
#[derive(Clone)]
pub struct Announcer {
    warnings: mpsc::Sender<Waiting>,
    news: mpsc::Sender<Waiting>,
    metrics: Metrics,
}

/// Writes the Events of the queues.
pub struct EventWriter {
    warnings: mpsc::Receiver<Waiting>,
    news: mpsc::Receiver<Waiting>,
    client: Client,
    fence: Fence,
    metrics: Metrics,
    /// Which replica reports.
    identity: String,
    written: LruCache<(Option<String>, &'static str, String), Written>,
}

/// An Event that was written not long ago.
struct Written {
    name: String,
    at: Instant,
    count: i32,
}

/// A queue for events, and what empties it.
pub fn events(client: Client, fence: Fence, metrics: Metrics, identity: String) -> (Announcer, EventWriter) {
    let ((warn, warnings), (tell, news)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
    let announcer = Announcer { warnings: warn, news: tell, metrics: metrics.clone() };
    let written = LruCache::new(REMEMBERED);
    (announcer, EventWriter { warnings, news, client, fence, metrics, identity, written })
}

impl Announcer {
    /// Queues an event, or drops it when too many wait.
    pub fn announce(&self, key: &JobKey, facts: &Facts, event: plan::Event) {
        let regarding = match event.update {
            Some(number) => {
                let uid =
                    facts.update.as_ref().filter(|update| update.number == number).map(|update| update.uid);
                reference::<AuroraUpdate>(&key.namespace, update_name(&key.name, number), uid)
            }
            None => {
                let (name, uid) = (key.name.to_string(), Some(facts.uid));
                match key.kind {
                    JobKind::Service => reference::<AuroraService>(&key.namespace, name, uid),
                    JobKind::Job => reference::<AuroraJob>(&key.namespace, name, uid),
                }
            }
        };
        self.announce_on(regarding, event);
    }

    /// The same about a cron.
    pub fn announce_of_cron(&self, key: &CronKey, uid: Uid, event: plan::Event) {
        let regarding = reference::<AuroraCron>(&key.namespace, key.name.to_string(), Some(uid));
        self.announce_on(regarding, event);
    }

    /// The same about any object; it is told from others by its uid.
    pub fn announce_on(&self, regarding: ObjectReference, event: plan::Event) {
        let queue = if event.warning { &self.warnings } else { &self.news };
        if queue.try_send(Waiting { regarding, event }).is_err() {
            self.metrics.event_dropped();
        }
    }
}

impl EventWriter {
    /// Writes events until no announcer is left.
    pub async fn run(mut self) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let Some(waiting) = self.next().await else { return };
            if self.fence.term().is_none() {
                continue;
            }
            match timeout(CALL_TIMEOUT, self.write(waiting)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.metrics.event_dropped();
                    debug!(%error, "an Event was not written");
                }
                Err(_) => self.metrics.event_dropped(),
            }
        }
    }

    async fn next(&mut self) -> Option<Waiting> {
        tokio::select! {
            biased;
            Some(warning) = self.warnings.recv() => Some(warning),
            Some(news) = self.news.recv() => Some(news),
            else => None,
        }
    }

    async fn write(&mut self, waiting: Waiting) -> kube::Result<()> {
        let Waiting { regarding, event } = waiting;
        let namespace = regarding.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let object = regarding.uid.clone().or_else(|| regarding.name.clone());
        let key = (object, event.reason, event.message.clone());
        if let Some(written) = self.written.get_mut(&key).filter(|written| written.at.elapsed() < WINDOW) {
            written.count += 1;
            let series =
                EventSeries { count: written.count, last_observed_time: MicroTime(Timestamp::now()) };
            let patch = Patch::Merge(json!({ "series": series }));
            let patched = api.patch(&written.name, &PatchParams::default(), &patch).await;
            self.metrics.answered(Verb::patch, &patched);
            match patched {
                // The API server lets Events go after an hour, or an operator did earlier: it is news again.
                Err(kube::Error::Api(status)) if status.is_not_found() => drop(self.written.pop(&key)),
                patched => return patched.map(drop),
            }
        }
        let now = Timestamp::now();
        let name = format!("{}.{:x}", regarding.name.as_deref().unwrap_or_default(), now.as_nanosecond());
        let object = self.object(&name, namespace, regarding, event, now);
        let created = api.create(&PostParams::default(), &object).await;
        self.metrics.answered(Verb::create, &created);
        created?;
        self.written.put(key, Written { name, at: Instant::now(), count: 1 });
        Ok(())
    }

    fn object(
        &self,
        name: &str,
        namespace: String,
        regarding: ObjectReference,
        event: plan::Event,
        now: Timestamp,
    ) -> Event {
        let plan::Event { warning, reason, message, update: _ } = event;
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            action: Some(reason.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(truncated(message)),
            reason: Some(reason.to_owned()),
            regarding: Some(regarding),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.identity.chars().take(128).collect()),
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

fn reference<K: Resource<DynamicType = ()>>(
    namespace: &str,
    name: String,
    uid: Option<Uid>,
) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name),
        uid: uid.map(|uid| uid.to_string()),
        ..ObjectReference::default()
    }
}

fn truncated(mut note: String) -> String {
    if note.len() > MAX_NOTE {
        let end = (0..=MAX_NOTE).rev().find(|&at| note.is_char_boundary(at)).unwrap_or_default();
        note.truncate(end);
    }
    note
}
