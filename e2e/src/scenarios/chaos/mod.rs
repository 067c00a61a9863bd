//! Everything at once, by a seed: replicas killed, suspended and with wrong clocks, their calls spoiled, API server and etcd
//! restarted, hanging and without a memory, nodes lost, Pods deleted, updates good and bad, while crons run.
//!
//! Of the way the witness judges, who never sees two live Pods of an instance; no time of the cron may be without its run or
//! have two, and no more instances are ended at a time than an update may; in the end everything has to be as it was asked
//! for. For a minute among the other scenarios, for half an hour by `make chaos`: CHAOS_SEED chooses another course,
//! CHAOS_SECONDS another length.

mod course;
mod dice;
mod faults;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;

use self::course::Course;
use super::crons::{self, cron_until, runs_of};
use crate::{
    cron::{Cron, apart, minutely, quick, soon},
    errors::joined,
    kube_api::{at, number, text},
    observer::{self, Mark},
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
const SECONDS: u64 = 60;
/// How many instances an update may have under way.
const BATCH: u32 = 3;
/// By how many instances a service is scaled down at most.
const FEWER: u32 = 2;
/// Seconds between two times at which the cron is due.
const APART: i64 = 20;
/// How often it is looked at what the cron says.
const LOOK: Duration = Duration::from_secs(10);
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
        .limit(Duration::from_secs(number_of("CHAOS_SECONDS", SECONDS)) + RECOVERY),
    ]
}

fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn service(name: &str, instances: u32, version: u32, bad: bool) -> Service {
    let plain = Service::new(name, instances).batch(BATCH).version(version);
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

    let (outcomes, mut course) = (Recorded::of(&scene, "often"), Course::new(&scene, seed).await?);
    let result = go_on(&mut course).await;
    let told = format!("seed {seed}: {}", course.told());
    scene.note(told.clone());
    // Also where a fault could not be caused: those who look at the cluster want it whole.
    joined([result, course.mend().await]).context(told.clone())?;
    let wells = async {
        all_is_well(&scene, course.version + 1).await?;
        scene.note(no_run_is_lost(&scene, mark, due, &outcomes).await?);
        budgets_are_kept(&scene, mark, &course)
    };
    scene.note(wells.await.context(told)?);
    Ok(())
}

/// As long as it is to last.
async fn go_on(course: &mut Course<'_>) -> Result<()> {
    let (begin, length) = (Instant::now(), Duration::from_secs(number_of("CHAOS_SECONDS", SECONDS)));
    while begin.elapsed() < length {
        course.go_on().await?;
    }
    Ok(())
}

/// What a cron says became of its times, looked at all the while, since its status keeps the last few alone.
struct Recorded {
    outcomes: Arc<Mutex<Outcomes>>,
    looking: JoinHandle<()>,
}

impl Recorded {
    fn of(scene: &Scene, cron: &'static str) -> Self {
        let outcomes = Arc::<Mutex<Outcomes>>::default();
        let (scene, kept) = (scene.clone(), Arc::clone(&outcomes));
        let looking = tokio::spawn(async move {
            loop {
                // The API server may be away.
                if let Ok(cron) = scene.cron(cron).await {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).extend(crons::outcomes(&cron));
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { outcomes, looking }
    }

    fn so_far(&self) -> Outcomes {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// The operator ended no more instances of a service at a time than an update may have under way.
fn budgets_are_kept(scene: &Scene, mark: Mark, course: &Course<'_>) -> Result<String> {
    let most = SERVICES.map(|(name, instances)| {
        let history = scene.history(mark, name);
        observer::most_ended(history.iter(), instances - FEWER, |pod| course.excuses(pod))
    });
    ensure!(
        most.iter().all(|most| *most <= BATCH as usize),
        "{most:?} instances of {SERVICES:?} were ended at a time in batches of {BATCH}"
    );
    Ok(format!("at most {most:?} instances of {SERVICES:?} ended at a time in batches of {BATCH}"))
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

/// Ends the cron and counts its runs: each time that was due has one, of one job, or was left out by its collision policy,
/// which it says.
async fn no_run_is_lost(scene: &Scene, mark: Mark, first: Timestamp, recorded: &Recorded) -> Result<String> {
    let now = Timestamp::now().as_second();
    let cron = cron_until(scene, "often", "what is due to be dealt with, and no run to go on", |cron| {
        let dealt: Option<Timestamp> = text(cron, "/status/lastScheduledTime").parse().ok();
        dealt.is_some_and(|dealt| dealt.as_second() > now) && number(cron, "/status/active") == 0
    })
    .await?;
    scene
        .kubectl(&["patch", "auroracron/often", "--type=merge", "--patch", r#"{"spec":{"suspend":true}}"#])
        .await?;
    let runs = runs_of(scene, mark, "often");
    let doubled: Vec<_> = runs.iter().filter(|(_, (jobs, _))| jobs.len() > 1).collect();
    ensure!(doubled.is_empty(), "more than one job of a time: {doubled:?}");
    let ran: BTreeSet<i64> = runs.into_keys().collect();
    let mut outcomes = recorded.so_far();
    outcomes.extend(crons::outcomes(&cron));
    let left_out = |time: &i64| outcomes.get(time).is_some_and(|outcome| outcome == "SkippedAnotherWaits");
    let missing = crons::without_run(&ran, (first.as_second(), now), APART)?;
    let (skipped, lost): (Vec<i64>, Vec<i64>) = missing.into_iter().partition(left_out);
    ensure!(lost.is_empty(), "no run of {lost:?}: {}", at(&cron, "/status"));
    Ok(format!("{} runs of the cron, {} left out since another waited, none lost", ran.len(), skipped.len()))
}
