//! Crons: what becomes of runs that meet, of times that nobody was there for, and of runs that wait for others.
//!
//! The witness says which runs there were: a run's Pods carry the name of the cron and the time. `exactly_once` is about
//! leaders that are killed.

mod exactly_once;
mod lineage;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    cron::{Cron, apart, minutely, quick, soon},
    kube_api::{at, number, text},
    observer::{self, CronRuns, Mark},
    runner::Scenario,
    scene::Scene,
    wait::{self, Look},
};

/// How long the usual thing may take on a busy machine.
const USUAL: Duration = Duration::from_secs(60);

pub(super) fn all() -> Vec<Scenario> {
    let own = vec![
        Scenario::new(
            "cron-collisions",
            "runs that meet: killed, left out, or waiting for each other",
            |s| Box::pin(collisions(s)),
        ),
        Scenario::new("cron-run-now", "a run that is asked for, also of a suspended cron", |s| {
            Box::pin(run_now(s))
        }),
        Scenario::new("cron-history", "as many ended runs are kept as the history says", |s| {
            Box::pin(history(s))
        }),
        Scenario::new("cron-changed", "a change of the template is for later runs only", |s| {
            Box::pin(changed(s))
        }),
        Scenario::new("cron-bad", "crons that can't be followed say why, and stop no other", |s| {
            Box::pin(bad(s))
        }),
    ];
    [own, lineage::all(), exactly_once::all()].concat()
}

/// What the witness saw of a cron since a mark.
pub(in crate::scenarios) fn runs_of(scene: &Scene, mark: Mark, cron: &str) -> CronRuns {
    observer::cron_runs(scene.world.observer.ledger().of_namespace(mark, &scene.namespace), cron)
}

/// The times, so many seconds apart from the first to the last, of which no run was seen.
///
/// # Errors
/// When one was seen of a time at which nothing was due.
pub(in crate::scenarios) fn without_run(
    ran: &BTreeSet<i64>,
    (first, last): (i64, i64),
    apart: i64,
) -> Result<Vec<i64>> {
    let odd: Vec<_> = ran.iter().filter(|time| (**time - first) % apart != 0).collect();
    ensure!(odd.is_empty(), "nothing was due at {odd:?}");
    let due = (0..).map(|nth| first + nth * apart).take_while(|time| *time <= last);
    Ok(due.filter(|time| !ran.contains(time)).collect())
}

/// Waits until the cron satisfies this.
pub(in crate::scenarios) async fn cron_until(
    scene: &Scene,
    cron: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Result<Value> {
    wait::until(&format!("{cron}: {what}"), USUAL * 2, || async {
        let cron = scene.cron(cron).await?;
        let status = at(&cron, "/status").to_string();
        Ok(if holds(&cron) { Look::Done(cron) } else { Look::NotYet(status) })
    })
    .await
}

/// The outcomes that the status records, by time in seconds.
pub(in crate::scenarios) fn outcomes(cron: &Value) -> BTreeMap<i64, String> {
    let records = at(cron, "/status/runs").as_array().cloned().unwrap_or_default();
    let read = |record: &Value| {
        let time: Timestamp = text(record, "/scheduledTime").parse().ok()?;
        Some((time.as_second(), text(record, "/outcome").to_owned()))
    };
    records.iter().filter_map(read).collect()
}

/// Three crons due at the same three times, six seconds apart, whose runs last longer than from the first to the third.
async fn collisions(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let times: Vec<Timestamp> = apart(soon(8), 6).into_iter().take(3).collect();
    // Each rule is due but once.
    let rules: Vec<String> = times.iter().map(|time| format!("R1/{time}/PT1M")).collect();
    for (name, policy) in [("killed", "KillExisting"), ("left-out", "CancelNew"), ("waits", "Queue")] {
        scene.apply_cron(&Cron::new(name, &rules, &quick(14)).set("/collisionPolicy", json!(policy))).await?;
    }
    for (name, wanted) in [
        ("killed", ["Killed", "Killed", "Succeeded"]),
        ("left-out", ["Succeeded", "SkippedCollision", "SkippedCollision"]),
        // The second waits when the third is due: one waits at the most.
        ("waits", ["Succeeded", "Succeeded", "SkippedAnotherWaits"]),
    ] {
        let wanted: BTreeMap<i64, String> =
            times.iter().map(|time| time.as_second()).zip(wanted.map(str::to_owned)).collect();
        cron_until(&scene, name, &format!("{wanted:?}"), |cron| outcomes(cron) == wanted).await?;
        let ran: BTreeSet<i64> = runs_of(&scene, mark, name).into_keys().collect();
        let skipped = |outcome: &&String| !outcome.starts_with("Skipped");
        let wanted: BTreeSet<i64> =
            wanted.iter().filter(|(_, outcome)| skipped(outcome)).map(|(time, _)| *time).collect();
        ensure!(ran == wanted, "{name}: the witness saw {ran:?}, the status says {wanted:?}");
        alone(&scene, mark, name)?;
    }
    scene.told("left-out", "RunSkipped", "").await?;
    scene.told("killed", "RunKilled", "").await
}

/// Fails when Pods of two runs of the cron were live at once, or a run had more than one Pod.
pub(super) fn alone(scene: &Scene, mark: Mark, cron: &str) -> Result<()> {
    let ledger = scene.world.observer.ledger();
    observer::each_once(ledger.of_namespace(mark, &scene.namespace), cron).map_err(anyhow::Error::msg)
}

/// The only time of the schedule is far away; a person asks for runs.
async fn run_now(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let yearly = ["0 0 1 1 *".to_owned()];
    let cron = Cron::new("asked", &yearly, &quick(1)).set("/suspend", json!(true));
    scene.apply_cron(&cron).await?;
    cron_until(&scene, "asked", "it to be seen", |cron| number(cron, "/status/observedGeneration") > 0)
        .await?;
    for nth in 1..=2_usize {
        let at_ = Timestamp::now();
        let patch = json!({ "spec": { "runAt": at_.to_string() } }).to_string();
        scene.kubectl(&["patch", "auroracron/asked", "--type=merge", "--patch", &patch]).await?;
        let cron = cron_until(&scene, "asked", "the run to end", |cron| {
            outcomes(cron).values().filter(|outcome| *outcome == "Succeeded").count() == nth
        })
        .await?;
        ensure!(outcomes(&cron).contains_key(&at_.as_second()), "not of {at_}: {}", at(&cron, "/status"));
    }
    let runs = runs_of(&scene, mark, "asked");
    ensure!(runs.len() == 2, "{runs:?}");
    alone(&scene, mark, "asked")
}

async fn history(scene: Scene) -> Result<()> {
    let rules = minutely(&apart(soon(6), 6));
    let kept = json!({ "succeeded": 2, "failed": 1 });
    scene.apply_cron(&Cron::new("good", &rules, &quick(1)).set("/history", kept.clone())).await?;
    let bad = quick(1).simulate("fail-after-seconds", "1").simulate("exit-after-seconds", "600");
    scene.apply_cron(&Cron::new("bad", &rules, &bad).set("/history", kept)).await?;
    for (name, outcome, most) in [("good", "Succeeded", 2), ("bad", "Failed", 1)] {
        cron_until(&scene, name, "four runs that ended", |cron| {
            outcomes(cron).values().filter(|was| *was == outcome).count() >= 4
        })
        .await?;
        let ours = ListParams::default().labels(&format!("borealis.dev/cron={name}"));
        let jobs = scene.world.kube.jobs(&scene.namespace);
        wait::until(&format!("{most} ended runs of {name} to be kept"), USUAL, || async {
            let all = jobs.list(&ours).await?.items;
            let ended = all.iter().filter(|job| {
                let job = serde_json::to_value(job).unwrap_or_default();
                ["Complete", "Failed"].contains(&text(&job, "/status/phase"))
            });
            let ended = ended.count();
            Ok(wait::when(ended == most, format!("{ended} ended of {}", all.len())))
        })
        .await?;
    }
    Ok(())
}

/// A run goes on with the template it was made of.
async fn changed(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let (first, second) = (soon(4), soon(14));
    let rules = [first, second].map(|time| format!("R1/{time}/PT1M")).to_vec();
    let cron = |version: u32| Cron::new("report", &rules, &quick(5).env_var("VERSION", &version.to_string()));
    scene.apply_cron(&cron(1)).await?;
    wait::until("the first run", USUAL, || async {
        let runs = runs_of(&scene, mark, "report");
        Ok(wait::when(runs.len() == 1, format!("{runs:?}")))
    })
    .await?;
    scene.apply_cron(&cron(2)).await?;
    cron_until(&scene, "report", "both runs to succeed", |cron| {
        outcomes(cron).values().filter(|outcome| *outcome == "Succeeded").count() == 2
    })
    .await?;
    for (time, version) in [(first, "1"), (second, "2")] {
        let job = scene.job(&format!("report-{}", time.as_second())).await?;
        let env = at(&job, "/spec/template/spec/containers/0/env");
        ensure!(text(env, "/0/value") == version, "the run of {time} has {env}");
    }
    alone(&scene, mark, "report")
}

async fn bad(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let rows = [
        ("words", vec!["every day at noon"], None, "every day at noon"),
        ("never", vec!["0 0 30 2 *"], None, "never"),
        ("nowhere", vec!["0 0 * * *"], Some("Mars/Olympus"), "Mars/Olympus"),
    ];
    for (name, rules, zone, _) in &rows {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let cron = Cron::new(name, &rules, &quick(1));
        let cron = match zone {
            Some(zone) => cron.set("/timeZone", json!(zone)),
            None => cron,
        };
        scene.apply_cron(&cron).await?;
    }
    let well = Timestamp::now() + SignedDuration::from_secs(5);
    scene.apply_cron(&Cron::new("well", &minutely(&[soon(5)]), &quick(1))).await?;
    for (name, _, _, words) in &rows {
        let cron = cron_until(&scene, name, "it to be stalled", |cron| {
            crate::kube_api::condition(cron, "Stalled").is_some_and(|stalled| stalled.0 == "True")
        })
        .await?;
        let said = crate::kube_api::condition(&cron, "Stalled").map(|stalled| stalled.2.to_owned());
        let said = said.unwrap_or_default();
        ensure!(said.contains(words) && said.contains("spec."), "{name} says {said:?}");
        scene.note(said);
    }
    wait::until("the good one to run", USUAL, || async {
        let runs = runs_of(&scene, mark, "well");
        Ok(wait::when(runs.keys().any(|time| *time >= well.as_second() - 5), format!("{runs:?}")))
    })
    .await
}
