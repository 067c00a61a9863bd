//! What traces say of the work.

use opentelemetry_proto::tonic::trace::v1::Span;
use tracing_subscriber::{layer::SubscriberExt, registry};

use super::*;
use crate::traces::tests::{Collector, said, traced, traces};

// One thread, so that all of the operator is traced and nothing else is.
#[tokio::test]
async fn a_round_is_a_trace_with_its_calls_in_it() {
    let collector = Collector::start().await;
    let traces = traces(&format!("--otlp-endpoint http://{} --trace-ratio 1", collector.address)).unwrap();
    let guard = traced(registry().with(traces.layer()));
    let mut world = World::new();
    world.start().await;
    world.apply("web", 2, "web:1");
    world.settled("web:1", 2).await;
    world.stop().await;
    drop(guard);
    tokio::task::spawn_blocking(move || drop(traces)).await.unwrap();

    let spans = collector.spans();
    let is = |span: &Span, name: &str, value: &str| said(&span.attributes, name).as_deref() == Some(value);
    let of_web = |span: &&Span| {
        span.name == "round" && is(span, "kind", "AuroraService") && is(span, "key", "prod/web")
    };
    let rounds: Vec<_> = spans.iter().filter(of_web).collect();
    assert!(rounds.iter().all(|round| round.parent_span_id.is_empty()), "{rounds:?}");
    assert!(rounds.iter().any(|round| is(round, "outcome", "at rest")), "{rounds:?}");
    let started = rounds.iter().find(|round| is(round, "actions", "2")).expect("a round that starts two");
    assert!(is(started, "outcome", "wrote"), "{started:?}");
    let inside: Vec<_> = spans.iter().filter(|span| span.parent_span_id == started.span_id).collect();
    assert!(inside.iter().all(|span| span.trace_id == started.trace_id));
    let count = |name: &str| inside.iter().filter(|span| span.name == name).count();
    let creates = inside.iter().filter(|span| span.name == "call" && is(span, "verb", "create")).count();
    assert!(creates >= 2, "{inside:?}");
    assert_eq!(count("call"), count("wait for a call's turn"), "{inside:?}");
}
