//! Everything at once, for minutes, by a seed: replicas killed and suspended, API server and etcd restarted and hanging, nodes
//! lost, Pods deleted, updates good and bad, while crons run.
//!
//! Of the way the witness judges, who never sees two live Pods of an instance, and no time of the cron may be without its run;
//! in the end everything has to be as it was asked for. Run by `make chaos`. CHAOS_SEED chooses another course, CHAOS_SECONDS
//! another length.

mod dice;
mod faults;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;

use self::faults::Course;
use super::crons::{self, cron_until, runs_of};
use crate::{
    cron::{Cron, apart, minutely, quick, soon},
    kube_api::{at, number, text},
    observer::Mark,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// What the cron said became of its times, in seconds.
type Outcomes = BTreeMap<i64, String>;

/// The services and how many instances each has.
const SERVICES: [(&str, u32); 3] = [("a", 20), ("b", 12), ("c", 5)];
/// How long it goes on.
const SECONDS: u64 = 180;
/// Seconds between two times at which the cron is due.
const APART: i64 = 20;
/// How long all may take to be well again.
const RECOVERY: Duration = Duration::from_secs(720);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "chaos",
            "replicas, control plane, nodes, Pods and updates at random, then all is well",
            |s| Box::pin(chaos(s)),
        )
        .exclusive()
        .full()
        .limit(Duration::from_secs(number_of("CHAOS_SECONDS", SECONDS)) + RECOVERY),
    ]
}

fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn service(name: &str, instances: u32, version: u32, bad: bool) -> Service {
    let plain = Service::new(name, instances).batch(3).version(version);
    if bad { plain.simulate("fail-after-seconds", "1").simulate("start-seconds", "30") } else { plain }
}

async fn chaos(scene: Scene) -> Result<()> {
    let seed = number_of("CHAOS_SEED", 1);
    for (name, instances) in SERVICES {
        scene.apply(&service(name, instances, 1, false)).await?;
    }
    for (name, instances) in SERVICES {
        scene.running(name, instances).await?;
    }
    let (mark, due) = (scene.mark(), soon(10));
    begin_cron(&scene, due).await?;

    let length = Duration::from_secs(number_of("CHAOS_SECONDS", SECONDS));
    let (begin, mut course) = (Instant::now(), Course::new(&scene, seed));
    let mut outcomes = Outcomes::new();
    while begin.elapsed() < length {
        course.go_on().await?;
        // A status keeps the last few alone; the API server may be away.
        if let Ok(cron) = scene.cron("often").await {
            outcomes.extend(crons::outcomes(&cron));
        }
    }
    course.mend().await?;
    let told = format!("seed {seed}: {}", course.told());
    scene.note(told.clone());
    all_is_well(&scene, course.version + 1).await.context(told.clone())?;
    let runs = no_run_is_lost(&scene, mark, due, outcomes).await.context(told)?;
    scene.note(runs);
    Ok(())
}

/// One second of work at each of these times, whoever is away then.
async fn begin_cron(scene: &Scene, due: Timestamp) -> Result<()> {
    let cron = Cron::new("often", &minutely(&apart(due, APART)), &quick(1));
    let cron = cron.set("/collisionPolicy", json!("Queue"));
    let cron = cron.set("/catchUp", json!({ "policy": "All", "windowSeconds": 3600 }));
    scene.apply_cron(&cron).await?;
    cron_until(scene, "often", "it to be seen", |cron| number(cron, "/status/observedGeneration") > 0)
        .await
        .map(drop)
}

/// Each service is updated once more, and runs that in all its instances.
async fn all_is_well(scene: &Scene, version: u32) -> Result<()> {
    for (name, instances) in SERVICES {
        scene.apply(&service(name, instances, version, false)).await?;
        wait::until(&format!("{name} to run its last version"), super::LONG, || async {
            let service = scene.service(name).await?;
            let same =
                text(&service, "/status/currentRevision") == text(&service, "/status/observedRevision");
            let state = text(&service, "/status/update/state");
            Ok(if same && state == "ROLLED_FORWARD" {
                Look::Done(())
            } else {
                Look::NotYet(format!("{}", service["status"]))
            })
        })
        .await?;
        scene.running(name, instances).await?;
        let revision = scene.current_revision(name).await?;
        scene.all_run(name, instances, &revision)?;
    }
    Ok(())
}

/// Ends the cron and counts its runs: each time that was due has one, or was left out by its collision policy, which it says.
async fn no_run_is_lost(
    scene: &Scene,
    mark: Mark,
    first: Timestamp,
    mut outcomes: Outcomes,
) -> Result<String> {
    let now = Timestamp::now().as_second();
    let cron = cron_until(scene, "often", "what is due to be dealt with, and no run to go on", |cron| {
        let dealt: Option<Timestamp> = text(cron, "/status/lastScheduledTime").parse().ok();
        dealt.is_some_and(|dealt| dealt.as_second() > now) && number(cron, "/status/active") == 0
    })
    .await?;
    scene
        .kubectl(&["patch", "auroracron/often", "--type=merge", "--patch", r#"{"spec":{"suspend":true}}"#])
        .await?;
    let ran: BTreeSet<i64> = runs_of(scene, mark, "often").into_keys().collect();
    outcomes.extend(crons::outcomes(&cron));
    let left_out = |time: &i64| outcomes.get(time).is_some_and(|outcome| outcome == "SkippedAnotherWaits");
    let missing = crons::without_run(&ran, (first.as_second(), now), APART)?;
    let (skipped, lost): (Vec<i64>, Vec<i64>) = missing.into_iter().partition(left_out);
    ensure!(lost.is_empty(), "no run of {lost:?}: {}", at(&cron, "/status"));
    Ok(format!("{} runs of the cron, {} left out since another waited, none lost", ran.len(), skipped.len()))
}
