//! Each thing people can ask of an update, in each state it can be in: done, without effect, or refused.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::{
    kube_api::{number, text},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait,
};

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario::new("control-in-every-state", "each control in each state of an update", |s| {
        Box::pin(every_cell(s))
    })]
}

/// Services that are worked with at a time.
const AT_A_TIME: usize = 11;
/// How long is looked on where nothing shall change.
const A_WHILE: Duration = Duration::from_millis(1_500);

/// What is asked for, in the order of the columns.
const WISHES: [&str; 6] = ["pause", "resume", "abort", "rollback", "retry", "pulse"];

/// What becomes of it: the state it goes to, `=` where it stays, `+` where another update follows, `.` where the API
/// server refuses. The way back may be through at the first look, so `back` is any state of it.
const TABLE: [(&str, [&str; 6]); 11] = [
    ("ROLLING_FORWARD", ["ROLL_FORWARD_PAUSED", "=", "ABORTED", "back", ".", "="]),
    ("ROLLING_BACK", ["ROLL_BACK_PAUSED", "=", "ABORTED", "=", ".", "="]),
    // It is still paused: the way back begins when it is not.
    ("ROLL_FORWARD_PAUSED", ["=", "ROLLING_FORWARD", "ABORTED", "ROLL_BACK_PAUSED", ".", "="]),
    ("ROLL_BACK_PAUSED", ["=", "back", "ABORTED", "=", ".", "="]),
    ("ROLL_FORWARD_AWAITING_PULSE", ["ROLL_FORWARD_PAUSED", "=", "ABORTED", "back", ".", "ROLLING_FORWARD"]),
    ("ROLL_BACK_AWAITING_PULSE", ["ROLL_BACK_PAUSED", "=", "ABORTED", "=", ".", "back"]),
    ("ROLLED_FORWARD", [".", "=", ".", "+", ".", "="]),
    ("ROLLED_BACK", [".", "=", ".", "=", "+", "="]),
    ("ABORTED", [".", "=", "=", ".", "+", "="]),
    ("ERROR", [".", "=", ".", ".", "+", "="]),
    ("FAILED", [".", "=", ".", "+", "+", "="]),
];

async fn every_cell(scene: Scene) -> Result<()> {
    let mut tries = Vec::new();
    for (row, (state, cells)) in TABLE.into_iter().enumerate() {
        for (wish, expected) in WISHES.into_iter().zip(cells) {
            tries.push(cell(&scene, format!("c{row}-{wish}"), state, wish, expected));
        }
    }
    stream::iter(tries).buffer_unordered(AT_A_TIME).try_collect::<()>().await
}

async fn cell(
    scene: &Scene,
    name: String,
    state: &'static str,
    wish: &'static str,
    expected: &'static str,
) -> Result<()> {
    let what = || format!("{wish} in {state}, where {expected:?} is expected");
    bring(scene, &name, state).await.with_context(what)?;
    try_it(scene, &name, state, wish, expected).await.with_context(what)
}

async fn try_it(scene: &Scene, name: &str, state: &str, wish: &str, expected: &str) -> Result<()> {
    let taken = ask(scene, name, wish).await;
    if expected == "." {
        let refused = taken.err().context("it was taken")?;
        let said = format!("{refused:#}");
        ensure!(said.contains(&format!("cannot be asked for in state {state}")), "refused with: {said}");
        return Ok(());
    }
    taken?;
    match expected {
        "=" => stays(scene, name, state).await,
        "+" => scene.update_until(name, 2, "to be there", |_| true).await.map(|_| ()),
        "back" => {
            let back = |update: &Value| is_back(text(update, "/status/state"));
            scene.update_until(name, 1, "to go back", back).await.map(|_| ())
        }
        to => scene.update_in(name, 1, to).await.map(|_| ()),
    }
}

fn is_back(state: &str) -> bool {
    matches!(state, "ROLLING_BACK" | "ROLL_BACK_AWAITING_PULSE" | "ROLLED_BACK")
}

/// The state stays what it is, but that an update under way goes on meanwhile.
async fn stays(scene: &Scene, name: &str, state: &str) -> Result<()> {
    wait::holds("the state", A_WHILE, || async {
        let now = text(&scene.update(name, 1).await?, "/status/state").to_owned();
        Ok(wait::when(now == state || (state == "ROLLING_BACK" && is_back(&now)), now))
    })
    .await
}

fn asked(wish: &str) -> Result<Value> {
    let by = json!({ "reason": "to see", "author": "ann" });
    Ok(match wish {
        "pause" => json!({ "paused": true }),
        "resume" => json!({ "paused": false }),
        "pulse" => {
            json!({ "pulse": { "at": Timestamp::from_second(Timestamp::now().as_second())?.to_string() } })
        }
        "abort" | "rollback" | "retry" => json!({ wish: by }),
        other => bail!("no such wish: {other}"),
    })
}

async fn ask(scene: &Scene, name: &str, wish: &str) -> Result<()> {
    scene.control(name, 1, asked(wish)?).await
}

async fn under_way(scene: &Scene, name: &str) -> Result<Value> {
    let touched = |update: &Value| number(update, "/status/counts/touched") > 0;
    scene.update_until(name, 1, "to be under way", touched).await
}

/// Brings the first update of a new service into a state.
async fn bring(scene: &Scene, name: &str, state: &str) -> Result<()> {
    let service = Service::new(name, 2).simulate("start-seconds", "3");
    let service = match state {
        "ROLL_FORWARD_AWAITING_PULSE" => service.set("/update/pulseIntervalSeconds", json!(600)),
        "ROLL_BACK_AWAITING_PULSE" => service.set("/update/pulseIntervalSeconds", json!(4)),
        "FAILED" => service.set("/update/rollbackOnFailure", json!(false)),
        _ => service,
    };
    scene.apply(&service).await?;
    scene.running(name, 2).await?;
    let next = service.version(2);
    scene.apply(&if state == "FAILED" { next.simulate("fail-after-seconds", "1") } else { next }).await?;
    match state {
        "ROLL_FORWARD_AWAITING_PULSE" | "ROLLED_FORWARD" | "FAILED" => {}
        "ROLL_BACK_AWAITING_PULSE" => {
            scene.update_in(name, 1, "ROLL_FORWARD_AWAITING_PULSE").await?;
            ask(scene, name, "pulse").await?;
            under_way(scene, name).await?;
            scene.update_in(name, 1, "ROLL_FORWARD_AWAITING_PULSE").await?;
            ask(scene, name, "rollback").await?;
        }
        "ROLLING_FORWARD" => drop(under_way(scene, name).await?),
        "ROLL_FORWARD_PAUSED" => {
            under_way(scene, name).await?;
            ask(scene, name, "pause").await?;
        }
        "ROLLING_BACK" | "ROLLED_BACK" => {
            under_way(scene, name).await?;
            ask(scene, name, "rollback").await?;
        }
        "ROLL_BACK_PAUSED" => {
            under_way(scene, name).await?;
            let both = json!({ "paused": true, "rollback": asked("rollback")?["rollback"] });
            scene.control(name, 1, both).await?;
        }
        "ABORTED" => {
            under_way(scene, name).await?;
            ask(scene, name, "abort").await?;
        }
        "ERROR" => {
            let update = under_way(scene, name).await?;
            let revision = text(&update, "/spec/instructions/to/revision");
            let stored = format!("{name}-{}", revision.trim_start_matches("v1-"));
            let revisions = scene.world.kube.revisions(&scene.namespace);
            revisions.delete(&stored, &DeleteParams::default()).await?;
        }
        other => bail!("no such state: {other}"),
    }
    scene.update_in(name, 1, state).await.map(|_| ())
}
