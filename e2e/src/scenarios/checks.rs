//! Updates that name checks: measured by HTTP and by a real Prometheus, failing instances or holding the update.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    kube_api::{at, condition, number, text},
    measured::{METRIC, Measured},
    prometheus::Prometheus,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait,
};

/// Errors in a thousand that no check here bears.
const BAD: u32 = 350;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "checks-http",
            "a check by HTTP that turns bad in mid-update fails its instances, and it rolls back",
            |s| Box::pin(by_http(s)),
        )
        .with_processes(),
        Scenario::new(
            "checks-pulse",
            "an update waits while a check is bad, and goes on when it is good again",
            |s| Box::pin(as_pulse(s)),
        )
        .with_processes(),
        Scenario::new(
            "checks-prometheus",
            "a query to a real Prometheus lets a good update pass and takes a bad one back",
            |s| Box::pin(by_prometheus(s)),
        )
        .with_processes(),
        Scenario::new(
            "checks-hosts",
            "a check of a host that is not allowed holds the update before it begins",
            |s| Box::pin(not_allowed(s)),
        ),
        Scenario::new("checks-failover", "a new leader measures anew what the last one measured", |s| {
            Box::pin(failover(s))
        })
        .exclusive(),
    ]
}

/// A check of the program by HTTP.
fn http(program: &Measured, on_failure: &str) -> Value {
    json!([{
        "name": "errors",
        "http": { "url": format!("http://{}/status", program.address), "jsonPath": "$.errors.rate" },
        "must": { "be": "LessThan", "value": "0.01" },
        "intervalSeconds": 5,
        "onFailure": on_failure,
    }])
}

/// A service whose updates watch for five seconds in batches of two, and ask these checks.
fn checked(instances: u32, checks: Value) -> Service {
    let service = Service::new("web", instances).batch(2).set("/update/watchSeconds", json!(5));
    service.set("/update/checks", checks)
}

/// Waits until the first batch is through.
async fn first_batch(scene: &Scene, number_of_update: u32) -> Result<Value> {
    let is_through = |update: &Value| number(update, "/status/counts/updated") >= 2;
    scene.update_until("web", number_of_update, "its first batch to be done", is_through).await
}

/// What a check last said by the status of the update.
fn said(update: &Value) -> &Value {
    at(update, "/status/checks/0")
}

/// The update failed by the check after its first batch, and what ran before runs again.
async fn rolled_back_by_check(scene: &Scene, update: u32, instances: u32, old: &str) -> Result<()> {
    let update = scene.update_in("web", update, "ROLLED_BACK").await?;
    let cause = at(&update, "/status/cause");
    ensure!(text(cause, "/reason") == "CheckFailed", "the cause is {cause}");
    for words in ["did not pass check \"errors\" within the watch", "0.35", "must be less than 0.01"] {
        ensure!(text(cause, "/message").contains(words), "it does not say {words:?}: {cause}");
    }
    ensure!(text(&update, "/status/updated") == "0-1", "updated before: {}", update["status"]);
    ensure!(text(&update, "/status/failed") == "2-3", "failed: {}", update["status"]);
    let said = said(&update);
    ensure!(
        said["name"] == "errors" && said["holds"] == false && text(said, "/message").contains("0.35"),
        "the check said {said}"
    );
    let service = scene
        .service_until("web", "to run what ran before", |service| {
            number(service, "/status/counts/running") == i64::from(instances)
        })
        .await?;
    ensure!(text(&service, "/status/failure/reason") == "CheckFailed", "{}", service["status"]);
    scene.all_run("web", instances, old)
}

async fn by_http(scene: Scene) -> Result<()> {
    let program = Measured::start().await?;
    let service = checked(6, http(&program, "FailInstance"));
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let old = scene.current_revision("web").await?;

    scene.apply(&service.clone().version(2)).await?;
    let update = first_batch(&scene, 1).await?;
    ensure!(
        said(&update)["holds"] == true,
        "the first batch is through, and the check said {}",
        said(&update)
    );
    program.errors_in_a_thousand(BAD);
    // It is as bad as before on the way back, which it must not hold up.
    rolled_back_by_check(&scene, 1, 6, &old).await?;
    scene.told("web-1", "CheckFails", "check \"errors\": ").await?;

    program.errors_in_a_thousand(0);
    scene.apply(&service.version(3)).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    scene.running("web", 6).await.map(|_| ())
}

async fn as_pulse(scene: Scene) -> Result<()> {
    let program = Measured::start().await?;
    program.errors_in_a_thousand(BAD);
    let service = checked(6, http(&program, "LosePulse"));
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    let mark = scene.mark();

    scene.apply(&service.version(2)).await?;
    let words = "check \"errors\": 0.35, must be less than 0.01";
    let waits = |update: &Value| {
        text(update, "/status/state") == "ROLL_FORWARD_AWAITING_PULSE"
            && text(update, "/status/message").contains(words)
    };
    scene.update_until("web", 1, "to wait for its check", waits).await?;
    scene
        .service_until("web", "to say what it waits for", |service| {
            condition(service, "Ready")
                .is_some_and(|(_, reason, message)| reason == "AwaitingPulse" && message.contains(words))
        })
        .await?;
    // Longer than from one measurement to the next.
    scene.stays_untouched(mark, Duration::from_secs(7)).await?;

    program.errors_in_a_thousand(0);
    first_batch(&scene, 1).await?;
    program.errors_in_a_thousand(BAD);
    let update = scene.update_until("web", 1, "to wait for its check again", waits).await?;
    ensure!(number(&update, "/status/counts/failed") == 0, "blocked is not failed: {}", update["status"]);
    ensure!(at(&update, "/status/failures").is_null(), "blocked is not failed: {}", update["status"]);

    program.errors_in_a_thousand(0);
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    ensure!(said(&update)["holds"] == true, "the check said {}", said(&update));
    scene.told("web-1", "CheckFails", "check \"errors\": ").await?;
    scene.told("web-1", "CheckHolds", "check \"errors\": ").await?;
    scene.running("web", 6).await.map(|_| ())
}

async fn by_prometheus(scene: Scene) -> Result<()> {
    let program = Measured::start().await?;
    let prometheus = Prometheus::start(&scene.world.folder, program.address, METRIC).await?;
    let checks = json!([{
        "name": "errors",
        "prometheus": { "address": prometheus.address, "query": format!("{METRIC}{{job=\"web\"}}") },
        "must": { "be": "LessThan", "value": "0.01" },
        "intervalSeconds": 5,
    }]);
    let service = checked(6, checks);
    scene.apply(&service).await?;
    scene.running("web", 6).await?;

    scene.apply(&service.clone().version(2)).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    let found = said(&update);
    // One sample a shard.
    ensure!(found["holds"] == true && text(found, "/message").contains("2 values"), "the query said {found}");
    scene.running("web", 6).await?;
    let old = scene.current_revision("web").await?;

    scene.apply(&service.version(3)).await?;
    first_batch(&scene, 2).await?;
    program.errors_in_a_thousand(BAD);
    let bad = "0.35".to_owned();
    wait::until("Prometheus to see the errors", Duration::from_secs(30), || async {
        let values = prometheus.values(METRIC).await?;
        Ok(wait::when(values.contains(&bad), format!("{values:?}")))
    })
    .await?;
    rolled_back_by_check(&scene, 2, 6, &old).await?;
    let update = scene.update("web", 2).await?;
    ensure!(
        text(said(&update), "/message").contains("1 of 2 values"),
        "not every sample was looked at: {}",
        said(&update)
    );
    Ok(())
}

async fn not_allowed(scene: Scene) -> Result<()> {
    let checks = json!([{
        "name": "errors",
        "http": { "url": "http://metadata.example/latest", "jsonPath": "$.errors.rate" },
        "must": { "be": "LessThan", "value": "0.01" },
    }]);
    let service = checked(4, checks);
    scene.apply(&service).await?;
    scene.running("web", 4).await?;
    let mark = scene.mark();
    scene.apply(&service.clone().version(2)).await?;
    let update = scene.update_in("web", 1, "ROLL_FORWARD_AWAITING_PULSE").await?;
    let waits = |update: &Value| {
        let message = text(update, "/status/message");
        message.contains("--check-hosts") && message.contains("metadata.example")
    };
    if !waits(&update) {
        scene.update_until("web", 1, "to say what is not allowed", waits).await?;
    }
    scene.stays_untouched(mark, Duration::from_secs(3)).await?;
    // Another config, without the check, takes its place.
    scene.apply(&service.version(3).set("/update/checks", json!([]))).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    scene.running("web", 4).await.map(|_| ())
}

async fn failover(scene: Scene) -> Result<()> {
    let operators = &scene.world.operators;
    let election = Duration::from_secs(40);
    let (leader, _) = operators.leader(election).await?;
    let program = Measured::start().await?;
    let service = checked(6, http(&program, "LosePulse"));
    scene.apply(&service).await?;
    scene.running("web", 6).await?;
    scene.apply(&service.version(2)).await?;
    first_batch(&scene, 1).await?;
    // What the dead leader had measured must not let the next one go on.
    let before = Timestamp::now();
    operators.kill(leader).await?;
    program.errors_in_a_thousand(BAD);
    operators.leader_other_than(Some(leader), election).await?;
    let update = scene
        .update_until("web", 1, "the new leader to measure", |update| {
            text(update, "/status/state") == "ROLL_FORWARD_AWAITING_PULSE" && said(update)["holds"] == false
        })
        .await?;
    let measured: Timestamp = text(said(&update), "/time").parse().context("when it was measured")?;
    ensure!(measured.as_second() >= before.as_second(), "measured at {measured}, killed at {before}");
    program.errors_in_a_thousand(0);
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", 6).await?;
    Ok(())
}
