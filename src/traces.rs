//! Traces over OTLP: a span a round, and in it the waits and the calls to the API server. Off unless a collector is named.
//!
//! Spans are made where the work is done, under [`TARGET`]; those of calls are made by kube's client. `telemetry` adds the layer
//! that hands them to a thread of the exporter, which sends them in batches. A collector that is away costs spans, and one line
//! in the log; it holds nothing up.

use std::{
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, ResponseFuture, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tokio::{runtime::Handle, time::timeout};
use tracing::{Level, Metadata, Subscriber, info, warn};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::{
    outbound::{causes, verified},
    settings::{Settings, Wrong},
};

/// The target of spans that are made for traces alone. No filter of the log that names the operator's own is meant for them, so
/// it does not begin as those do.
pub const TARGET: &str = "traces";
/// What the exporter says in the log of a batch that failed, which `Sender` says once.
const TOLD_ONCE: &str = "BatchSpanProcessor.ExportError";
/// Where kube's client makes its span of each call.
const CALLS: &str = "kube_client::client::builder";
/// Where a collector takes traces, below its endpoint.
const PATH: &str = "/v1/traces";
/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last spans may take when the program ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much of an answer is read.
const MAX_ANSWER: usize = 64 * 1024;

/// What sends spans, until it is dropped.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// What the settings ask for; nothing where they name no collector.
    ///
    /// # Errors
    /// When no connection to such a collector can be made, whatever it answers.
    pub fn new(settings: &Settings, runtime: &Handle) -> Result<Option<Self>, Wrong> {
        let named = settings.otlp_endpoint.as_ref().filter(|endpoint| !endpoint.is_empty());
        let Some(endpoint) = named else { return Ok(None) };
        let wrong = |why: String| Wrong::Collector { endpoint: endpoint.clone(), why };
        let sender = Sender::new(endpoint, runtime.clone()).map_err(wrong)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.trace_ratio)));
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler);
        Ok(Some(Self(provider.with_resource(resource(settings)).build())))
    }

    /// What has spans sent.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("borealis"));
        let wanted = Targets::new().with_target(TARGET, Level::TRACE).with_target(CALLS, Level::DEBUG);
        layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_filter(wanted)
    }
}

impl Drop for Traces {
    /// Sends what is left, on a runtime that still runs.
    fn drop(&mut self) {
        // What can't be sent now is lost; `Sender` has said why.
        let _ = self.0.shutdown_with_timeout(FAREWELL);
    }
}

/// What of the exporter is for the log: that spans are dropped since more end than can be sent.
pub fn is_for_the_log(event: &Metadata<'_>) -> bool {
    event.name() != TOLD_ONCE
}

/// Who traces are of. What the OTEL_RESOURCE_ATTRIBUTES of the environment say is added.
fn resource(settings: &Settings) -> Resource {
    let more = [
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("k8s.namespace.name", Some(settings.namespace.clone())),
        ("k8s.pod.name", settings.identity.clone()),
        ("k8s.cluster.name", Some(settings.cluster_name.clone())),
    ];
    let more = more.into_iter().filter_map(|(name, value)| Some(KeyValue::new(name, value?)));
    Resource::builder().with_service_name("borealis").with_attributes(more).build()
}

/// Sends what the exporter's thread hands over, on the runtime.
#[derive(Clone)]
struct Sender {
    endpoint: Arc<str>,
    request: Arc<dyn Fn(Request<Full<Bytes>>) -> ResponseFuture + Send + Sync>,
    runtime: Handle,
    /// Whether the last batch did not arrive, which is said once.
    lost: Arc<AtomicBool>,
}

impl Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Sender {
    fn new(endpoint: &str, runtime: Handle) -> Result<Self, String> {
        let client = Client::builder(TokioExecutor::new());
        let request: Arc<dyn Fn(_) -> _ + Send + Sync> = if endpoint.starts_with("https:") {
            let client = client.build(verified()?);
            Arc::new(move |request| client.request(request))
        } else {
            let client = client.build(HttpConnector::new());
            Arc::new(move |request| client.request(request))
        };
        Ok(Self { endpoint: endpoint.into(), request, runtime, lost: Arc::default() })
    }

    fn note(&self, why: Option<&str>) {
        let endpoint = &*self.endpoint;
        match (self.lost.swap(why.is_some(), Ordering::Relaxed), why) {
            (false, Some(why)) => {
                warn!(endpoint, why, "traces can't be sent, and spans are dropped until they can");
            }
            (true, None) => info!(endpoint, "traces are sent again"),
            (true, Some(_)) | (false, None) => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let asked = (self.request)(request.map(Full::new));
        let answered = async move {
            let (head, body) = asked.await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        let this = self.clone();
        let sent = async move {
            let sent = timeout(PATIENCE, answered).await.map_err(HttpError::from).flatten();
            match &sent {
                Ok(answer) if answer.status().is_success() => this.note(None),
                Ok(answer) => this.note(Some(&format!("it answers {}", answer.status()))),
                Err(error) => this.note(Some(&causes(&**error))),
            }
            sent
        };
        // The exporter's thread has no runtime of its own, which connections need.
        self.runtime.spawn(sent).await?
    }
}

#[cfg(test)]
pub(crate) mod tests;
