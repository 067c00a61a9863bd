//! The elector on the fake API server: one holder at a time, another term each, and no fence open without the lease.

use std::sync::Arc;

use serde_json::json;
use tokio::{task::JoinHandle, time::advance};

use super::*;
use crate::testing::{Answer, Effect, FakeApi, Fault};

struct Candidate {
    fence: Fence,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Lost>>,
}

impl Candidate {
    async fn done(self) -> Result<(), Lost> {
        self.task.await.unwrap()
    }
}

fn start(api: &FakeApi, identity: &str) -> Candidate {
    let (gate, fence) = fence();
    let settings = LeaseSettings {
        namespace: "borealis".to_owned(),
        name: "borealis".to_owned(),
        identity: identity.to_owned(),
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };
    let stop = CancellationToken::new();
    let elector = Elector::new(api.client(), settings, gate, Metrics::default());
    let task = tokio::spawn(elector.run(stop.clone(), || {}));
    Candidate { fence, stop, task }
}

fn lease(api: &FakeApi) -> (String, u64) {
    let lease = api.get("leases", "borealis", "borealis").unwrap();
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap().to_owned();
    (holder, lease["spec"]["leaseTransitions"].as_u64().unwrap())
}

async fn seconds(count: u64) {
    // In small steps, so that every timer on the way is seen.
    for _ in 0..count * 10 {
        advance(Duration::from_millis(100)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_takes_it_and_keeps_it() {
    let api = FakeApi::new();
    let (a, b) = (start(&api, "a"), start(&api, "b"));
    seconds(1).await;
    let first = [a.fence.term(), b.fence.term()];
    assert!(matches!(first, [Some(1), None] | [None, Some(1)]), "{first:?}");
    seconds(120).await;
    assert_eq!([a.fence.term(), b.fence.term()], first);
    assert_eq!(lease(&api).1, 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_handed_over_at_once_on_a_stop() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(1).await;
    let b = start(&api, "b");
    seconds(5).await;
    let fence = a.fence.clone();
    a.stop.cancel();
    assert!(a.done().await.is_ok());
    assert_eq!(fence.term(), None);
    assert_eq!(lease(&api), (String::new(), 1));
    seconds(3).await;
    assert_eq!(b.fence.term(), Some(2));
    assert_eq!(lease(&api), ("b".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_from_the_dead_when_it_has_expired() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(3).await;
    let b = start(&api, "b");
    seconds(1).await;
    a.task.abort();
    // The dead one's fence is the last to know, and closes before anybody may take over.
    seconds(10).await;
    assert_eq!((a.fence.term(), b.fence.term()), (None, None));
    seconds(7).await;
    assert_eq!((a.fence.term(), b.fence.term()), (None, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn the_same_name_gets_another_term() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(3).await;
    a.task.abort();
    let again = start(&api, "a");
    seconds(10).await;
    assert_eq!(again.fence.term(), None, "it is another process, for all anybody knows");
    seconds(8).await;
    assert_eq!(again.fence.term(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_holder_ends() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(3).await;
    api.merge(
        "leases",
        "borealis",
        "borealis",
        &json!({"spec": {"holderIdentity": "x", "leaseTransitions": 9}}),
    );
    seconds(3).await;
    assert_eq!(a.fence.term(), None);
    assert!(matches!(a.done().await, Err(Lost::Taken(_))));
    assert_eq!(lease(&api), ("x".to_owned(), 9), "what is another's is not given back");
}

#[tokio::test(start_paused = true)]
async fn a_removed_lease_is_lost() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(3).await;
    api.remove("leases", "borealis", "borealis");
    seconds(3).await;
    assert!(matches!(a.done().await, Err(Lost::Taken(_))));
    assert!(api.get("leases", "borealis", "borealis").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_touched_lease_is_still_held() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(3).await;
    api.merge("leases", "borealis", "borealis", &json!({"metadata": {"labels": {"a": "b"}}}));
    seconds(20).await;
    assert_eq!(a.fence.term(), Some(1));
    let lease = api.get("leases", "borealis", "borealis").unwrap();
    assert_eq!(lease["metadata"]["labels"]["a"], "b");
}

#[tokio::test(start_paused = true)]
async fn short_trouble_is_borne_and_long_trouble_ends_it() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(3).await;
    let trouble = || Effect::Refuse(Answer::new(500, "InternalError", "etcd"));
    api.inject(Fault::once("update", "leases", trouble()).times(3));
    seconds(9).await;
    assert_eq!(a.fence.term(), Some(1));

    api.inject(Fault::once("update", "leases", Effect::Hang).times(1000));
    seconds(7).await;
    assert_eq!(a.fence.term(), Some(1), "the last renewal, up to two seconds ago, counts for ten");
    seconds(6).await;
    assert_eq!(a.fence.term(), None);
    assert!(matches!(a.done().await, Err(Lost::Late(..))));
}

#[tokio::test(start_paused = true)]
async fn an_applied_renewal_without_answer_is_found() {
    let api = FakeApi::new();
    let a = start(&api, "a");
    seconds(3).await;
    api.inject(Fault::once("update", "leases", Effect::DoneAndHang));
    seconds(30).await;
    assert_eq!(a.fence.term(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_beat_tells_that_it_lives() {
    let api = FakeApi::new();
    let beats = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (gate, fence) = fence();
    let metrics = Metrics::default();
    let elector = Elector::new(
        api.client(),
        LeaseSettings {
            namespace: "n".to_owned(),
            name: "l".to_owned(),
            identity: "a".to_owned(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        },
        gate,
        metrics.clone(),
    );
    let counted = Arc::clone(&beats);
    let beat = move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::spawn(elector.run(CancellationToken::new(), beat));
    seconds(10).await;
    let count = beats.load(std::sync::atomic::Ordering::Relaxed);
    assert!((4..=6).contains(&count), "{count}");
    let told = metrics.print(&fence).unwrap();
    assert!(told.contains("borealis_api_calls_total{verb=\"update\",code=\"200\"} "), "{told}");
    assert!(!told.contains("borealis_api_calls_total{verb=\"update\",code=\"200\"} 0\n"), "{told}");
}
