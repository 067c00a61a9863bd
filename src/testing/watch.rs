//! Watches: the changes after a version that a selector lets through, then whatever comes.

use std::{convert::Infallible, time::Duration};

use axum::body::{Body, Bytes};
use futures::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use super::{FakeApi, Place, http::shown, lock, request::Request, selector::Selector, store::Change};

/// How often a quiet watch hears that it is quiet.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// What one watch is about and how far it has told.
struct Watcher {
    api: FakeApi,
    within: Place,
    selector: Selector,
    partial: bool,
    told: u64,
    end: Instant,
    backlog: Vec<Value>,
    epoch: u64,
}

pub(super) fn watch(api: &FakeApi, request: &Request, selector: Selector) -> Body {
    let seconds = request.parameter("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(290);
    let from =
        request.parameter("resourceVersion").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let mut watcher = Watcher {
        api: api.clone(),
        within: request.place.clone(),
        selector,
        partial: request.partial,
        told: from,
        end: Instant::now() + Duration::from_secs(seconds),
        backlog: Vec::new(),
        epoch: *api.0.broken.borrow(),
    };
    if from == 0 {
        watcher.list_first();
    }
    Body::from_stream(stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        let mut line = event.to_string();
        line.push('\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), watcher))
    }))
}

impl Watcher {
    /// A watch from nowhere begins with what there is.
    fn list_first(&mut self) {
        let store = lock(&self.api.0.store);
        let there = store.all(&self.within.resource).filter(|object| self.is_about(object));
        self.backlog =
            there.map(|object| json!({"type": "ADDED", "object": shown(object, self.partial)})).collect();
        self.backlog.reverse();
        self.told = store.version();
    }

    fn is_about(&self, object: &Value) -> bool {
        let namespace = &self.within.namespace;
        (namespace.is_empty() || object["metadata"]["namespace"] == **namespace)
            && self.selector.matches(object)
    }

    async fn next(&mut self) -> Option<Value> {
        let (mut changed, mut broken) = (self.api.0.changed.subscribe(), self.api.0.broken.subscribe());
        loop {
            if *broken.borrow_and_update() != self.epoch {
                return None;
            }
            if let Some(event) = self.backlog.pop() {
                return Some(event);
            }
            changed.borrow_and_update();
            if !self.catch_up() {
                self.end = Instant::now();
                let gone = super::Answer::new(410, "Expired", "too old resource version");
                return Some(json!({"type": "ERROR", "object": gone.object()}));
            }
            if !self.backlog.is_empty() {
                continue;
            }
            tokio::select! {
                _ = changed.changed() => {}
                _ = broken.changed() => {}
                () = sleep_until(self.end) => return None,
                () = tokio::time::sleep(BOOKMARKS) => return Some(self.bookmark()),
            }
        }
    }

    /// Takes the changes not told yet; false when they are forgotten.
    fn catch_up(&mut self) -> bool {
        let store = lock(&self.api.0.store);
        if self.told < store.compacted() {
            return false;
        }
        let mine = |change: &&Change| change.place.resource == self.within.resource;
        self.backlog = store.since(self.told).filter(mine).filter_map(|change| self.event(change)).collect();
        self.backlog.reverse();
        self.told = store.version();
        true
    }

    fn event(&self, change: &Change) -> Option<Value> {
        let was = change.before.as_ref().is_some_and(|before| self.is_about(before));
        let is = !change.removed && self.is_about(&change.after);
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(json!({"type": kind, "object": shown(&change.after, self.partial)}))
    }

    fn bookmark(&self) -> Value {
        let metadata = json!({"resourceVersion": self.told.to_string()});
        json!({"type": "BOOKMARK", "object": {"kind": "Bookmark", "apiVersion": "v1", "metadata": metadata}})
    }
}

/// Never answers, for as long as anybody could wait.
pub(super) async fn hang() {
    let _ = timeout(Duration::from_secs(3600), std::future::pending::<()>()).await;
}
