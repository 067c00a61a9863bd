//! A collector of traces on this machine takes what is sent, or is not there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Mutex,
};

use axum::{Router, body::Bytes as Body, routing::post};
use clap::Parser;
use k8s_openapi::api::core::v1::Pod;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue as Attribute, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::Instant,
};
use tracing::{
    Dispatch,
    dispatcher::{DefaultGuard, set_default},
    trace_span,
};
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry,
};

use super::*;
use crate::testing::Page;

/// How many spans wait to be sent at most, as the exporter has it unless the environment says otherwise.
fn max_queue() -> usize {
    std::env::var("OTEL_BSP_MAX_QUEUE_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(2048)
}

/// Keeps what it is sent.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    sent: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap())
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let sent = Arc::<Mutex<Vec<_>>>::default();
        let taken = Arc::clone(&sent);
        let take = move |body: Body| async move {
            taken.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
        };
        let app = Router::new().route(PATH, post(take));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, sent }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let sent = self.sent.lock().unwrap();
        let scopes = sent.iter().flat_map(|it| &it.resource_spans).flat_map(|it| &it.scope_spans);
        scopes.flat_map(|it| &it.spans).cloned().collect()
    }

    fn resource(&self) -> Vec<Attribute> {
        let sent = self.sent.lock().unwrap();
        sent[0].resource_spans[0].resource.clone().unwrap().attributes
    }
}

/// What an attribute says, as text.
pub(crate) fn said(attributes: &[Attribute], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

pub(crate) fn traces(flags: &str) -> Option<Traces> {
    let settings = Settings::parse_from(format!("borealis {flags}").split_whitespace());
    Traces::new(&settings, &Handle::current()).unwrap()
}

/// Has this thread traced by it. There is another dispatcher meanwhile: with one alone `tracing` asks the thread that first
/// comes by a span whether anybody wants it, which may be that of another test.
pub(crate) fn traced(by: impl Into<Dispatch>) -> (DefaultGuard, Dispatch) {
    let another = Dispatch::new(registry());
    (set_default(&by.into()), another)
}

/// The log as `telemetry` has it, on a page.
fn logged<S: Subscriber + for<'span> LookupSpan<'span>>(page: &Page) -> impl Layer<S> + use<S> {
    let writer = page.clone();
    let log = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    log.with_filter(EnvFilter::new("info").and(filter_fn(is_for_the_log)))
}

/// Has what was traced sent; not on a thread of the runtime, which does the sending.
async fn flush(traces: &Traces) {
    let provider = traces.0.clone();
    let _ = tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap();
}

fn trace() {
    trace_span!(target: TARGET, "work").in_scope(|| trace_span!("of others").in_scope(|| ()));
}

#[tokio::test]
async fn spans_of_ours_arrive_and_say_whose_they_are() {
    let collector = Collector::start().await;
    let flags = format!("--otlp-endpoint http://{}/ --trace-ratio 1 --cluster-name north", collector.address);
    let traces = traces(&flags).unwrap();
    let guard = traced(registry().with(traces.layer()));
    trace();
    drop(guard);
    flush(&traces).await;
    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["work"]);
    let resource = collector.resource();
    for (name, value) in [
        ("service.name", "borealis"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("k8s.namespace.name", "borealis-system"),
        ("k8s.cluster.name", "north"),
    ] {
        assert_eq!(said(&resource, name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn as_many_are_sent_as_are_asked_for_and_none_without_a_collector() {
    let collector = Collector::start().await;
    let traces = traces(&format!("--otlp-endpoint http://{} --trace-ratio 0", collector.address)).unwrap();
    let guard = traced(registry().with(traces.layer()));
    trace();
    drop(guard);
    flush(&traces).await;
    assert_eq!(collector.spans(), []);
    let mut none = Settings::parse_from(["borealis", "--otlp-endpoint="]);
    assert!(Traces::new(&none, &Handle::current()).unwrap().is_none());
    none.otlp_endpoint = None;
    assert!(Traces::new(&none, &Handle::current()).unwrap().is_none());
}

#[tokio::test]
async fn a_collector_that_is_away_is_told_of_once_and_so_is_its_return() {
    // Nobody else gets the port, and nobody listens.
    let held = TcpSocket::new_v4().unwrap();
    held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = held.local_addr().unwrap();
    let traces = traces(&format!("--otlp-endpoint http://{address} --trace-ratio 1")).unwrap();
    let page = Page::default();
    let _log = traced(registry().with(traces.layer()).with(logged(&page)));
    for _ in 0..2 {
        trace();
        flush(&traces).await;
    }
    let text = page.text();
    assert_eq!(text.matches("traces can't be sent").count(), 1, "{text}");
    assert!(text.contains(&format!("endpoint=\"http://{address}\"")), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");

    let collector = Collector::on(held.listen(16).unwrap());
    trace();
    flush(&traces).await;
    assert_eq!(collector.spans().len(), 1, "what was lost is not sent later");
    assert_eq!(page.text().matches("traces are sent again").count(), 1);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_nobody_up_and_what_is_dropped_for_it_is_told() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let flags = format!("--otlp-endpoint http://{} --trace-ratio 1", silent.local_addr().unwrap());
    let traces = traces(&flags).unwrap();
    let page = Page::default();
    let log = traced(registry().with(traces.layer()).with(logged(&page)));
    let begin = Instant::now();
    for _ in 0..3 * max_queue() {
        trace();
    }
    assert!(begin.elapsed() < PATIENCE, "spans wait for the collector");
    assert_eq!(page.text().matches("dropped a Span due to queue full").count(), 1, "{}", page.text());
    let last = page.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let _log = traced(registry().with(logged(&last)));
        drop(traces);
    });
    timeout(FAREWELL * 5, ended).await.expect("the end waits for the collector").unwrap();
    assert!(page.text().contains("dropped_span_count="), "{}", page.text());
    drop((log, silent));
}

#[tokio::test]
async fn calls_of_the_client_are_traced_with_their_answers() {
    let collector = Collector::start().await;
    let traces = traces(&format!("--otlp-endpoint http://{} --trace-ratio 1", collector.address)).unwrap();
    let mut config = kube::Config::new(format!("http://{}", collector.address).parse().unwrap());
    config.default_retry = false;
    let pods: kube::Api<Pod> = kube::Api::namespaced(kube::Client::try_from(config).unwrap(), "prod");
    let guard = traced(registry().with(traces.layer()));
    // The collector knows no Pods.
    assert!(pods.get("web-0-1").await.is_err());
    drop(guard);
    flush(&traces).await;
    let spans = collector.spans();
    let call = spans.iter().find(|span| said(&span.attributes, "http.status_code").as_deref() == Some("404"));
    let call = call.expect("the span of the call");
    assert_eq!(call.name, "get");
    let url = said(&call.attributes, "http.url").unwrap();
    assert!(url.ends_with("/namespaces/prod/pods/web-0-1"), "{url}");
}
