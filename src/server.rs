//! What the operator says of itself over HTTP: /livez, /readyz, /metrics, and what parts of it show under /debug.
//!
//! Live means that its loops turn; a loop that doesn't is cured by a restart. Ready means that it could take over:
//! our kinds are served and everything is indexed, whether or not the lease is held. It changes nothing. Started
//! first by `operator`, so that it answers while the rest waits.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{lease::Fence, metrics::Metrics};

/// The media type of the metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// When a loop last turned. Clones are the same loop's.
#[derive(Debug, Clone)]
pub struct Beat(Arc<Mutex<Instant>>);

impl Default for Beat {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Beat {
    /// It turns.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Says what is missing, an item each; nothing when all is well.
type Missing = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// Something to show, as JSON.
type Show = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// What is asked about.
pub struct Health {
    /// The metrics to print.
    pub metrics: Metrics,
    /// Whether the lease is held, for the metrics.
    pub fence: Fence,
    loops: Mutex<Vec<(&'static str, Beat, Duration)>>,
    missing: Mutex<Option<Missing>>,
    shown: Mutex<BTreeMap<&'static str, Show>>,
}

impl Health {
    /// Of a process that has begun, and is neither watched nor ready yet.
    pub fn new(metrics: Metrics, fence: Fence) -> Self {
        Self { metrics, fence, loops: Mutex::default(), missing: Mutex::default(), shown: Mutex::default() }
    }

    /// From now on this loop must turn at least that often.
    pub fn expect(&self, name: &'static str, beat: Beat, within: Duration) {
        beat.beat();
        self.loops.lock().unwrap_or_else(PoisonError::into_inner).push((name, beat, within));
    }

    /// From now on readiness hangs on this only.
    pub fn ready_when(&self, missing: impl Fn() -> Vec<String> + Send + Sync + 'static) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(missing));
    }

    /// From now on this is shown under /debug by that name.
    pub fn show(&self, name: &'static str, what: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(what));
    }

    fn shown(&self, name: &str) -> Option<serde_json::Value> {
        let what = self.shown.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        what.map(|what| what())
    }

    fn stuck(&self) -> Vec<String> {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let late = loops.iter().filter(|(_, beat, within)| beat.age() > *within);
        late.map(|(name, beat, _)| format!("{name} has not turned for {} s", beat.age().as_secs())).collect()
    }

    fn missing(&self) -> Vec<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.as_ref().map_or_else(|| vec!["the API server and its kinds".to_owned()], |missing| missing())
    }
}

/// Serves until `stop`.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let server = axum::serve(listener, routes(health));
    server.with_graceful_shutdown(async move { stop.cancelled().await }).await
}

fn routes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(async |State(health): State<Arc<Health>>| verdict(&health.stuck())))
        .route("/readyz", get(async |State(health): State<Arc<Health>>| verdict(&health.missing())))
        .route("/metrics", get(async |State(health): State<Arc<Health>>| print(&health)))
        .route(
            "/debug/{name}",
            get(async |State(health): State<Arc<Health>>, Path(name): Path<String>| show(&health, &name)),
        )
        .with_state(health)
}

fn show(health: &Health, name: &str) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    match health.shown(name) {
        Some(shown) => (StatusCode::OK, [("content-type", "application/json")], format!("{shown:#}\n")),
        None => {
            let text = format!("nothing is shown as {name}\n");
            (StatusCode::NOT_FOUND, [("content-type", "text/plain; charset=utf-8")], text)
        }
    }
}

fn verdict(wrong: &[String]) -> (StatusCode, String) {
    if wrong.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {}\n", wrong.join(", ")))
}

fn print(health: &Health) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let content = [("content-type", OPEN_METRICS)];
    health.metrics.ready(health.missing().is_empty());
    match health.metrics.print(&health.fence) {
        Ok(text) => (StatusCode::OK, content, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, content, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(health: &Arc<Health>, path: &str) -> (u16, String) {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = routes(Arc::clone(health)).oneshot(request).await.unwrap();
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn says_whether_it_lives_and_is_ready() {
        let (_gate, fence) = crate::lease::fence();
        let health = Arc::new(Health::new(Metrics::default(), fence));
        assert_eq!(ask(&health, "/livez").await.0, 200);
        assert_eq!(ask(&health, "/readyz").await.0, 503);

        let beat = Beat::default();
        health.expect("the lease", beat.clone(), Duration::from_secs(30));
        health.ready_when(Vec::new);
        assert_eq!(ask(&health, "/readyz").await, (200, "ok\n".to_owned()));
        tokio::time::advance(Duration::from_secs(31)).await;
        let (code, text) = ask(&health, "/livez").await;
        assert_eq!(code, 503);
        assert!(text.contains("the lease has not turned for 31 s"), "{text}");
        beat.beat();
        assert_eq!(ask(&health, "/livez").await.0, 200);

        let (_, text) = ask(&health, "/metrics").await;
        assert!(text.contains("borealis_ready 1\n"), "{text}");

        health.ready_when(|| vec!["Pods".to_owned()]);
        assert_eq!(ask(&health, "/readyz").await, (503, "waiting for: Pods\n".to_owned()));
        let (code, text) = ask(&health, "/metrics").await;
        assert_eq!(code, 200);
        assert!(text.contains("borealis_ready 0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert_eq!(ask(&health, "/other").await.0, 404);
        assert_eq!(ask(&health, "/debug/rooms").await, (404, "nothing is shown as rooms\n".to_owned()));
        health.show("rooms", || serde_json::json!({"a": 1}));
        assert_eq!(ask(&health, "/debug/rooms").await, (200, "{\n  \"a\": 1\n}\n".to_owned()));
    }
}
