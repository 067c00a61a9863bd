//! Checks against servers of this machine: what they answer, how slowly, and when nobody is asked any more.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Body,
    extract::RawQuery,
    http::{HeaderMap, StatusCode, header},
    response::Redirect,
    routing::get,
};
use borealis_core::model::{
    Comparison, Controls, Instructions, Must, NoData, OnFailure, Progress, Ranges, UpdateSettings,
};
use futures::stream::pending;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

use super::*;
use crate::lease::{Gate, fence};

const DEADLINE: Duration = Duration::from_secs(20);

/// A server of this machine, until it is dropped.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        let rate = move |headers: HeaderMap| async move {
            let named = headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE);
            assert!(!named, "credentials were sent");
            let nth = count.fetch_add(1, Ordering::SeqCst);
            // Bad twice, then good for ever.
            if nth < 2 { "{\"rate\": 0.5}" } else { "{\"rate\": 0.001}" }
        };
        let endless = || async {
            let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 16 * 1024]));
            Body::from_stream(chunks)
        };
        let never = || async {
            std::future::pending::<()>().await;
        };
        let stalls = || async { Body::from_stream(pending::<Result<Vec<u8>, std::io::Error>>()) };
        let head = || async { ([("x-long", "x".repeat(64 * 1024))], "{\"rate\": 0}") };
        let query = |RawQuery(query): RawQuery| async move {
            let query = query.unwrap_or_default();
            assert_eq!(
                query,
                "query=sum%28rate%28errors%7Bjob%3D%22web%22%7D%5B1m%5D%29%29%20%2F%202%20%3E%200%20%26%20%C3%BC&timeout=1s"
            );
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"0.25"]}}"#
        };
        let router = Router::new()
            .route("/rate", get(rate))
            .route("/moved", get(|| async { Redirect::temporary("/good") }))
            .route("/good", get(|| async { "{\"rate\": 0.001}" }))
            .route("/bad", get(|| async { "{\"rate\": 0.5}" }))
            .route("/down", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "{\"rate\": 0.001}") }))
            .route("/html", get(|| async { "<html>" }))
            .route("/endless", get(endless))
            .route("/never", get(never))
            .route("/stalls", get(stalls))
            .route("/head", get(head))
            .route("/prefix/api/v1/query", get(query));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, _task: AbortOnDropHandle::new(task) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn check(name: &str, url: String) -> Check {
    Check {
        name: name.to_owned(),
        source: Source::Http { url, json_path: "$.rate".to_owned() },
        must: Must { be: Comparison::LessThan, value: "0.01".to_owned() },
        interval_seconds: 5,
        timeout_seconds: 1,
        failures_in_a_row: 1,
        on_failure: OnFailure::FailInstance,
    }
}

#[tokio::test]
async fn a_server_is_asked_within_bounds() {
    let server = Server::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let asker = Asker::default();
    for (url, kind, message) in [
        (server.url("good"), Kind::Holds, "0.001, must be less than 0.01"),
        (server.url("bad"), Kind::Fails, "0.5, must be less than 0.01"),
        (server.url("missing"), Kind::Unanswered, "it answers 404 Not Found"),
        (server.url("down"), Kind::Unanswered, "it answers 503 Service Unavailable"),
        (
            server.url("moved"),
            Kind::Unanswered,
            "it answers 307 Temporary Redirect, and redirects are not followed",
        ),
        (server.url("html"), Kind::Unanswered, "the answer is no JSON"),
        (server.url("endless"), Kind::Unanswered, "the answer has more than 128 KiB"),
        (server.url("never"), Kind::Unanswered, "no answer within 1 s"),
        (server.url("stalls"), Kind::Unanswered, "no answer within 1 s"),
        (server.url("head"), Kind::Unanswered, "no answer: "),
        (format!("http://{closed}/"), Kind::Unanswered, "no answer: client error (Connect)"),
        (format!("http://{}.invalid/", "no-such-host"), Kind::Unanswered, "no answer"),
        // It speaks no TLS, and nothing else is tried.
        (
            server.url("good").replace("http:", "https:"),
            Kind::Unanswered,
            "no answer: client error (Connect)",
        ),
    ] {
        let reading = timeout(DEADLINE, asker.measure(&check("a", url.clone()))).await.unwrap();
        assert_eq!(reading.kind, kind, "{url}: {}", reading.message);
        assert!(reading.message.starts_with(message), "{url}: {}", reading.message);
    }
}

#[tokio::test]
async fn a_query_reaches_prometheus_as_it_was_written() {
    let server = Server::start().await;
    for end in ["prefix", "prefix/"] {
        let source = Source::Prometheus {
            address: server.url(end),
            query: "sum(rate(errors{job=\"web\"}[1m])) / 2 > 0 & ü".to_owned(),
            when_no_data: NoData::Fail,
        };
        let reading = Asker::default().measure(&Check { source, ..check("a", String::new()) }).await;
        assert_eq!((reading.kind, reading.value.as_str()), (Kind::Fails, "0.25"), "{}", reading.message);
    }
}

/// Checks that may ask this machine, what they ask to be planned again, and the lease.
fn start() -> (Checks, mpsc::UnboundedReceiver<JobKey>, Gate) {
    let (gate, fence) = fence();
    let (sender, again) = mpsc::unbounded_channel();
    let hosts = Hosts::parse("127.0.0.1").unwrap();
    let checks = Checks::new(hosts, fence, Metrics::default(), move |key: &JobKey| {
        drop(sender.send(key.clone()));
    });
    (checks, again, gate)
}

fn key() -> JobKey {
    JobKey::service("prod", "web")
}

fn update(uid: u128, checks: Vec<Check>) -> Update {
    let progress = Progress::new(UpdateState::RollingForward, Timestamp::UNIX_EPOCH, 0);
    Update {
        uid: Uid::new(uid),
        number: 1,
        instructions: Instructions {
            to: Some((borealis_core::model::Revision::v1(1), Ranges::default())),
            ..Instructions::default()
        },
        settings: UpdateSettings { checks, ..UpdateSettings::default() },
        controls: Controls::default(),
        progress: Some(progress),
        owned: true,
    }
}

fn open(gate: &Gate) {
    gate.open(1, Instant::now() + Duration::from_secs(3_600));
}

#[tokio::test]
async fn an_update_that_goes_forward_is_measured_and_planned_again() {
    let server = Server::start().await;
    let (checks, mut again, gate) = start();
    open(&gate);
    let update = update(1, vec![check("good", server.url("good")), check("bad", server.url("bad"))]);
    assert_eq!(checks.measurements(&key(), Some(&update)), [], "nothing is known before it is measured");
    let before = Timestamp::now();
    checks.follow(&key(), Some((&update, UpdateState::RollForwardAwaitingPulse)));
    for _ in 0..2 {
        assert_eq!(timeout(DEADLINE, again.recv()).await.unwrap(), Some(key()));
    }
    let seen = checks.measurements(&key(), Some(&update));
    for (measurement, (name, fails, value)) in
        seen.iter().zip([("good", false, "0.001"), ("bad", true, "0.5")])
    {
        let Outcome::Measured { at, held_at, failing, value: found, .. } = &measurement.outcome else {
            panic!("{measurement:?}");
        };
        assert_eq!((measurement.check.as_str(), *failing, found.as_str()), (name, fails, value));
        assert_eq!(held_at.is_none(), fails);
        assert!(*at >= before && *at <= Timestamp::now());
    }
    assert_eq!(seen.len(), 2);
    // Another update is not judged by what was measured for this one.
    let next = Update { uid: Uid::new(2), ..update.clone() };
    assert_eq!(checks.measurements(&key(), Some(&next)), []);
    checks.follow(&key(), Some((&next, UpdateState::RollingForward)));
    assert_eq!(checks.measurements(&key(), Some(&update)), []);
}

#[tokio::test]
async fn what_was_measured_is_forgotten_where_it_means_nothing() {
    let server = Server::start().await;
    for state in UpdateState::ALL {
        let (checks, mut again, gate) = start();
        open(&gate);
        let update = update(1, vec![check("good", server.url("good"))]);
        checks.follow(&key(), Some((&update, UpdateState::RollingForward)));
        timeout(DEADLINE, again.recv()).await.unwrap();
        checks.follow(&key(), Some((&update, state)));
        let kept = matches!(state, UpdateState::RollingForward | UpdateState::RollForwardAwaitingPulse);
        assert_eq!(checks.measurements(&key(), Some(&update)).len(), usize::from(kept), "{state:?}");
        checks.follow(&key(), None);
        assert_eq!(checks.measurements(&key(), Some(&update)), []);
        let tasks = Arc::downgrade(&checks.0);
        drop(checks);
        let ended = async {
            while tasks.strong_count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, ended).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_is_asked_without_the_lease_or_leave() {
    let server = Server::start().await;
    let (checks, mut again, gate) = start();
    let elsewhere = server.url("rate").replace("127.0.0.1", "localhost");
    let update = update(1, vec![check("here", server.url("rate")), check("elsewhere", elsewhere)]);
    let refused = checks.measurements(&key(), Some(&update));
    let [Measurement { check: name, outcome: Outcome::Refused(why) }] = refused.as_slice() else {
        panic!("{refused:?}");
    };
    assert_eq!(name, "elsewhere");
    assert!(why.contains("--check-hosts") && why.contains("localhost"), "{why}");
    checks.follow(&key(), Some((&update, UpdateState::RollingForward)));
    let followed: Vec<String> =
        checks.0.services()[&key()].seen.iter().map(|seen| seen.name.clone()).collect();
    assert_eq!(followed, ["here"], "the other is never asked");
    // Twice as long as the first measurement may wait.
    let early = timeout(FIRST * 2, again.recv()).await;
    assert!(early.is_err() && server.asked() == 0, "asked without the lease");
    open(&gate);
    assert_eq!(timeout(DEADLINE, again.recv()).await.unwrap(), Some(key()));
    assert_eq!(server.asked(), 1);
}

#[test]
fn failures_count_in_a_row() {
    let bad = || Reading::unanswered("no answer");
    let good = || Reading { kind: Kind::Holds, value: "1".to_owned(), message: String::new() };
    let at = |second| Timestamp::from_second(second).unwrap();
    let mut seen = Seen::default();
    assert_eq!(seen.outcome(), None);
    // Whether it held, and then whether the check fails and when it last held.
    for (second, (holds, failing, held_at)) in (1..).zip([
        (false, false, None),
        (false, true, None),
        (false, true, None),
        (true, false, Some(4)),
        (false, false, Some(4)),
        (true, false, Some(6)),
        (false, false, Some(6)),
        (false, true, Some(6)),
    ]) {
        seen.note(2, at(second), if holds { good() } else { bad() });
        let Some(Outcome::Measured { at: newest, held_at: held, failing: fails, .. }) = seen.outcome() else {
            panic!("nothing at {second}");
        };
        assert_eq!((newest, held, fails), (at(second), held_at.map(at), failing), "at {second}");
    }
}
