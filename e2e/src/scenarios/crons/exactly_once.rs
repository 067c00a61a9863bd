//! Leaders are killed around the times at which runs are due, and replicas are away for several: no run is lost, none is
//! there twice.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{alone, cron_until, outcomes, runs_of, without_run};
use crate::{
    cron::{Cron, apart, minutely, quick, soon},
    kube_api::{at, number},
    runner::Scenario,
    scene::Scene,
    wait,
};

/// How long a change of leaders may take.
const ELECTION: Duration = Duration::from_secs(40);
/// Seconds between two times that are due. A new leader needs six for the lease.
const APART: i64 = 12;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "cron-leader-killed",
            "five leaders are killed around due times; each run is there once",
            |s| Box::pin(killed(s, 5)),
        )
        .exclusive(),
        Scenario::new("cron-leader-killed-20", "the same with twenty leaders", |s| Box::pin(killed(s, 20)))
            .exclusive()
            .full()
            .limit(Duration::from_secs(600)),
        Scenario::new("cron-away", "nobody is there for several due times; each catch-up policy", |s| {
            Box::pin(away(s))
        })
        .exclusive(),
    ]
}

/// One second of work, of which nothing is left when it has ended, and the same that stays; both due at the same times.
/// Each leader is killed a little earlier or later than the one before: from a second and a half before a time is due until
/// as long after it.
async fn killed(scene: Scene, kills: u32) -> Result<()> {
    let mark = scene.mark();
    let begin = soon(10);
    let rules = minutely(&apart(begin, APART));
    let gone = quick(1).set("/ttlSecondsAfterFinished", json!(0));
    scene.apply_cron(&Cron::new("gone", &rules, &gone).set("/collisionPolicy", json!("Queue"))).await?;
    scene.apply_cron(&Cron::new("stays", &rules, &quick(1)).set("/collisionPolicy", json!("Queue"))).await?;
    for name in ["gone", "stays"] {
        cron_until(&scene, name, "it to be seen", |cron| number(cron, "/status/observedGeneration") > 0)
            .await?;
    }
    let operators = &scene.world.operators;
    for kill in 0..kills {
        let due = begin + SignedDuration::from_secs(i64::from(kill) * APART);
        let offset = i64::from(kill) * 3_000 / i64::from(kills.max(2) - 1) - 1_500;
        let when = due + SignedDuration::from_millis(offset);
        let (leader, _) = operators.leader(ELECTION).await?;
        wait_for(when).await;
        operators.kill(leader).await?;
        // Started again before that, the killed replica could win as well, under a new name.
        operators.leader_other_than(Some(leader), ELECTION).await?;
        operators.start_all().await?;
    }
    let last = begin + SignedDuration::from_secs(i64::from(kills - 1) * APART);
    for name in ["gone", "stays"] {
        cron_until(&scene, name, "the last run to succeed", |cron| {
            let outcomes = outcomes(cron);
            outcomes.iter().any(|(time, outcome)| *time >= last.as_second() && outcome == "Succeeded")
        })
        .await?;
        let ran: BTreeSet<i64> = runs_of(&scene, mark, name).into_keys().collect();
        let times = (begin.as_second(), last.as_second());
        let lost = without_run(&ran, times, APART).with_context(|| name.to_owned())?;
        ensure!(lost.is_empty(), "{name}: no run of {lost:?}; there were {ran:?}");
        alone(&scene, mark, name)?;
    }
    scene.note(format!("{kills} leaders killed at as many due times"));
    Ok(())
}

/// Waits for a time by the clock.
async fn wait_for(when: Timestamp) {
    let left = Duration::try_from(when.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(left).await;
}

/// All replicas are stopped over five due times.
async fn away(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let begin = soon(15);
    let times = apart(begin, APART);
    let missed = &times[..5];
    // The last is more than a minute ago when somebody is there again: too late for who makes nothing up.
    let rules: Vec<String> = missed.iter().map(|time| format!("R1/{time}/PT1M")).collect();
    for (name, policy) in [("none", "None"), ("latest", "Latest"), ("all", "All")] {
        let catch_up = match policy {
            "None" => json!({ "policy": policy }),
            _ => json!({ "policy": policy, "windowSeconds": 3600 }),
        };
        scene.apply_cron(&Cron::new(name, &rules, &quick(1)).set("/catchUp", catch_up)).await?;
        cron_until(&scene, name, "it to be seen", |cron| number(cron, "/status/observedGeneration") > 0)
            .await?;
    }
    let operators = &scene.world.operators;
    operators.stop_all().await?;
    wait_for(missed[4] + SignedDuration::from_secs(62)).await;
    operators.start_all().await?;
    operators.leader(ELECTION).await?;
    for (name, wanted) in [("none", &missed[..0]), ("latest", &missed[4..]), ("all", missed)] {
        let wanted: BTreeSet<i64> = wanted.iter().map(|time| time.as_second()).collect();
        let left_out = i64::try_from(missed.len() - wanted.len())?;
        let cron = cron_until(&scene, name, "all times to be dealt with", |cron| {
            let succeeded = outcomes(cron).values().filter(|outcome| *outcome == "Succeeded").count();
            succeeded == wanted.len() && number(cron, "/status/missed") == left_out
        })
        .await?;
        let ran: BTreeSet<i64> = runs_of(&scene, mark, name).into_keys().collect();
        ensure!(ran == wanted, "{name}: ran {ran:?}, not {wanted:?}: {}", at(&cron, "/status"));
        alone(&scene, mark, name)?;
    }
    wait::until("the missed times to be told", Duration::from_secs(30), || async {
        scene.told("none", "RunMissed", "").await.map(wait::Look::Done)
    })
    .await
}
