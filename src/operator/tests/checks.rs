//! An update with a check, measured on a server of this machine.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, routing::get};

use super::*;

/// Times a server was asked, and how many of its answers are bad.
#[derive(Default)]
struct Asked {
    times: AtomicUsize,
    bad: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_waits_for_its_check_and_writes_nothing_meanwhile() {
    let asked = Arc::new(Asked { bad: AtomicUsize::new(usize::MAX), ..Asked::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let of_server = Arc::clone(&asked);
    let answer = move || async move {
        let nth = of_server.times.fetch_add(1, Ordering::SeqCst);
        // Another value each time: none of them is to be written.
        let rate = if nth < of_server.bad.load(Ordering::SeqCst) { nth + 100 } else { 0 };
        format!("{{\"rate\": {rate}}}")
    };
    let router = Router::new().route("/", get(answer));
    let _server = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await }));

    let mut world = World::new();
    world.start().await;
    world.apply("web", 2, "web:1");
    world.settled("web:1", 2).await;
    let check = json!({
        "name": "errors", "http": {"url": url, "jsonPath": "$.rate"}, "must": {"be": "LessThan", "value": "1"},
        "intervalSeconds": 5, "onFailure": "LosePulse",
    });
    let spec = json!({"update": {"checks": [check]}});
    world.api.merge("auroraservices", "prod", "web", &json!({"spec": spec}));
    world.apply("web", 2, "web:2");
    let status = |world: &World| {
        let update = world.api.get("auroraupdates", "prod", "web-1").unwrap_or_default();
        update["status"].clone()
    };
    world
        .until("it waits and says for what", |world| {
            let message = status(world)["message"].as_str().unwrap_or_default().to_owned();
            message == "check \"errors\": 100, must be less than 1"
                && world.service()["status"].to_string().contains(&message.replace('"', "\\\""))
        })
        .await;
    assert_eq!(status(&world)["checks"][0]["holds"], false);
    assert_eq!(world.ready(), ["0 web:1", "1 web:1"]);
    let asked_before = asked.times.load(Ordering::SeqCst);
    world.until("it is measured again", |_| asked.times.load(Ordering::SeqCst) > asked_before).await;
    // The Events of what happened before are out by now.
    drop(world.api.take_writes());
    let asked_before = asked.times.load(Ordering::SeqCst);
    world.until("it is measured once more", |_| asked.times.load(Ordering::SeqCst) > asked_before).await;
    let mut writes = world.api.take_writes();
    writes.retain(|call| !call.contains("leases/"));
    assert!(writes.is_empty(), "a measurement that says the same as before was written: {writes:?}");

    asked.bad.store(0, Ordering::SeqCst);
    world.until("it goes on to its end", |world| status(world)["state"] == "ROLLED_FORWARD").await;
    assert_eq!(status(&world)["checks"][0]["holds"], true);
    world.settled("web:2", 2).await;
    world.stop().await;
}
