//! Jobs that end: all instances succeed, some are tried again, and what ends them early.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::quota;
use crate::{
    kube_api::{at, condition, number, text},
    observer::{self, Change, Entry},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// How long nothing may happen where nothing should.
const STILL: Duration = Duration::from_secs(4);

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "job-complete",
            "a job of twelve runs four at a time, is complete, and is removed",
            |s| Box::pin(complete(s)),
        ),
        Scenario::new("job-retries", "what fails is tried once, three times, or without end", |s| {
            Box::pin(retries(s))
        }),
        Scenario::new("job-suspended", "a suspended job stops, and spends no try", |s| {
            Box::pin(suspended(s))
        }),
        Scenario::new("job-timeouts", "tasks and jobs that take too long have failed", |s| {
            Box::pin(timeouts(s))
        }),
        Scenario::new("job-disrupted", "Pods that are deleted or evicted cost a job no try", |s| {
            Box::pin(disrupted(s))
        }),
        Scenario::new("job-scaled", "a job is scaled, and a disruption budget knows its size", |s| {
            Box::pin(scaled(s))
        }),
        Scenario::new("job-quota", "a job over its role's quota starts when there is room", |s| {
            Box::pin(over_quota(s))
        }),
        Scenario::new("job-name-conflict", "a service and a job can't have one name", |s| {
            Box::pin(name_conflict(s))
        }),
    ]
}

/// A job whose instances succeed after so many seconds.
fn succeeds(name: &str, instances: u32, seconds: u32) -> Service {
    Service::job(name, instances).simulate("exit-after-seconds", &seconds.to_string())
}

/// A job whose instances fail after a second, and are tried so often, at once.
fn fails(name: &str, tries: i32) -> Service {
    Service::job(name, 1)
        .simulate("fail-after-seconds", "1")
        .simulate("exit-code", "7")
        .set("/maxTaskFailures", json!(tries))
        .set("/flapping", json!({ "thresholdSeconds": 0 }))
}

/// Waits as a person does until the job has ended so, and returns what the condition says.
pub(super) async fn ends(scene: &Scene, job: &str, condition_: &str) -> Result<String> {
    let (which, what) = (format!("--for=condition={condition_}"), format!("aurorajob/{job}"));
    if let Err(error) = scene.kubectl(&["wait", &which, &what, "--timeout=90s"]).await {
        let job = scene.job(job).await?;
        return Err(error.context(at(&job, "/status").to_string()));
    }
    let job = scene.job(job).await?;
    Ok(condition(&job, condition_).context("the condition is gone")?.2.to_owned())
}

/// The most Pods that were live at once.
fn most_live(entries: &[Entry]) -> usize {
    let (mut live, mut most) = (BTreeSet::new(), 0);
    for Entry { change, pod, .. } in entries {
        if *change != Change::Deleted && pod.is_live() {
            live.insert(&pod.uid);
        } else {
            live.remove(&pod.uid);
        }
        most = most.max(live.len());
    }
    most
}

/// How many runs each instance had.
fn runs(scene: &Scene, mark: observer::Mark, job: &str) -> BTreeMap<u32, usize> {
    let mut runs = BTreeMap::new();
    for entry in scene.history(mark, job).iter().filter(|entry| entry.change == Change::Added) {
        *runs.entry(entry.pod.key.instance).or_default() += 1;
    }
    runs
}

async fn complete(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let history = json!({ "failed": 1, "ended": 2, "ttlSeconds": 600 });
    scene.apply(&succeeds("crunch", 12, 1).set("/parallelism", json!(4)).set("/history", history)).await?;
    ends(&scene, "crunch", "Complete").await?;
    let all: BTreeMap<u32, usize> = (0..12).map(|instance| (instance, 1)).collect();
    ensure!(runs(&scene, mark, "crunch") == all, "runs by instance: {:?}", runs(&scene, mark, "crunch"));
    let most = most_live(&scene.history(mark, "crunch"));
    ensure!(most == 4, "{most} Pods were live at once, not 4");
    let job = scene.job("crunch").await?;
    ensure!(text(&job, "/status/succeeded") == "0-11", "{}", at(&job, "/status"));
    ensure!(number(&job, "/status/replicas") == 0, "{}", at(&job, "/status"));
    let ready = condition(&job, "Ready").context("no condition Ready")?;
    ensure!(ready.0 == "True", "a complete job is not Ready: {ready:?}");
    wait::until("two ended Pods to be kept", STILL * 4, || async {
        let kept = scene.world.kube.pods(&scene.namespace).list(&ListParams::default()).await?.items.len();
        Ok(wait::when(kept == 2, format!("{kept} are there")))
    })
    .await?;

    // Enough may be less than all: what is not needed is not started.
    let mark = scene.mark();
    let enough = succeeds("enough", 5, 1).set("/parallelism", json!(1)).set("/minSucceeded", json!(3));
    scene.apply(&enough.set("/ttlSecondsAfterFinished", json!(1))).await?;
    wait::until("the job to be removed with its Pods", Duration::from_secs(60), || async {
        let gone = matches!(scene.world.kube.jobs(&scene.namespace).get_opt("enough").await, Ok(None));
        let runs = runs(&scene, mark, "enough");
        ensure!(runs.len() <= 3, "more than three were started: {runs:?}");
        let left: Vec<_> = scene.live("enough").iter().map(ToString::to_string).collect();
        Ok(wait::when(
            gone && left.is_empty() && runs.len() == 3,
            format!("gone: {gone}, {runs:?}, {left:?}"),
        ))
    })
    .await
}

async fn retries(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    for (name, tries) in [("once", 1), ("thrice", 3), ("endless", -1)] {
        scene.apply(&fails(name, tries)).await?;
    }
    for (name, tries) in [("once", 1_u32), ("thrice", 3)] {
        let said = ends(&scene, name, "Failed").await?;
        let words = ["instance 0", "exited with code 7", &format!("{name}-0-{tries}")].map(str::to_owned);
        let missing: Vec<_> = words.iter().filter(|words| !said.contains(words.as_str())).collect();
        ensure!(missing.is_empty(), "{name}: {missing:?} are not in {said:?}");
        let runs = runs(&scene, mark, name);
        ensure!(runs == [(0, tries as usize)].into(), "{name}: {runs:?}");
        scene.note(format!("{name}: {said}"));
        // What it points to is there.
        scene.world.kube.pods(&scene.namespace).get(&format!("{name}-0-{tries}")).await?;
    }
    wait::until("a seventh try", Duration::from_secs(60), || async {
        let runs = runs(&scene, mark, "endless");
        Ok(wait::when(runs.values().all(|count| *count >= 7) && !runs.is_empty(), format!("{runs:?}")))
    })
    .await?;
    let endless = scene.job("endless").await?;
    ensure!(condition(&endless, "Failed").is_none(), "{}", at(&endless, "/status"));
    ensure!(number(&endless, "/status/failures") >= 5, "{}", at(&endless, "/status"));
    Ok(())
}

async fn suspended(scene: Scene) -> Result<()> {
    let job = succeeds("crunch", 3, 6);
    scene.apply(&job).await?;
    wait::until("three that run", STILL * 4, || async {
        let up = scene.live("crunch").iter().filter(|pod| pod.is_up()).count();
        Ok(wait::when(up == 3, format!("{up} run")))
    })
    .await?;
    scene.apply(&job.clone().set("/suspend", json!(true))).await?;
    wait::until("none that runs", STILL * 4, || async {
        let live = scene.live("crunch");
        Ok(wait::when(live.is_empty(), format!("{live:?}")))
    })
    .await?;
    let mark = scene.calm().await?;
    scene.stays_untouched(mark, STILL).await?;
    let said = scene.job("crunch").await?;
    ensure!(
        condition(&said, "Ready").is_some_and(|ready| ready.1 == "Suspended"),
        "{}",
        at(&said, "/status")
    );
    scene.apply(&job.set("/suspend", json!(false))).await?;
    ends(&scene, "crunch", "Complete").await?;
    let job = scene.job("crunch").await?;
    ensure!(number(&job, "/status/failures") == 0, "{}", at(&job, "/status"));
    Ok(())
}

async fn timeouts(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let never_ends = |name: &str| Service::job(name, 1).set("/flapping", json!({ "thresholdSeconds": 0 }));
    let task = never_ends("task").set("/timeoutSeconds", json!(2)).set("/maxTaskFailures", json!(2));
    scene.apply(&task).await?;
    scene.apply(&never_ends("whole").set("/jobTimeoutSeconds", json!(3))).await?;
    let said = ends(&scene, "task", "Failed").await?;
    ensure!(said.contains("instance 0") && said.contains("2"), "{said}");
    ensure!(runs(&scene, mark, "task") == [(0, 2)].into(), "{:?}", runs(&scene, mark, "task"));
    ends(&scene, "whole", "Failed").await?;
    let whole = scene.job("whole").await?;
    let reason = condition(&whole, "Failed").context("no condition Failed")?.1.to_owned();
    ensure!(reason == "TimedOut", "it failed by {reason}");
    let live: Vec<_> = [scene.live("task"), scene.live("whole")].concat();
    ensure!(live.is_empty(), "what has failed still runs: {live:?}");
    Ok(())
}

/// One is deleted, one evicted; neither is a failure, of which the job bears none.
async fn disrupted(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    scene.apply(&succeeds("crunch", 3, 8)).await?;
    wait::until("three that run", STILL * 4, || async {
        let up = scene.live("crunch").iter().filter(|pod| pod.is_up()).count();
        Ok(wait::when(up == 3, format!("{up} run")))
    })
    .await?;
    let pods = scene.world.kube.pods(&scene.namespace);
    pods.delete("crunch-0-1", &DeleteParams::default()).await?;
    pods.evict("crunch-1-1", &EvictParams::default()).await?;
    ends(&scene, "crunch", "Complete").await?;
    let job = scene.job("crunch").await?;
    ensure!(number(&job, "/status/failures") == 0, "{}", at(&job, "/status"));
    let runs = runs(&scene, mark, "crunch");
    ensure!(runs == [(0, 2), (1, 2), (2, 1)].into(), "{runs:?}");
    Ok(())
}

async fn scaled(scene: Scene) -> Result<()> {
    scene.apply(&Service::job("crunch", 2)).await?;
    let selector = json!({ "matchLabels": { "borealis.dev/job": "crunch", "borealis.dev/live": "true" } });
    let budget: PodDisruptionBudget = serde_json::from_value(json!({
        "metadata": { "name": "crunch" },
        "spec": { "minAvailable": "50%", "selector": selector },
    }))?;
    let budgets = scene.world.kube.budgets(&scene.namespace);
    budgets.create(&PostParams::default(), &budget).await?;
    for instances in [2_i32, 4, 3] {
        scene.kubectl(&["scale", "aurorajob/crunch", &format!("--replicas={instances}")]).await?;
        wait::until(&format!("{instances} that run and are counted"), Duration::from_secs(60), || async {
            let up: Vec<u32> =
                scene.live("crunch").iter().filter(|pod| pod.is_up()).map(|pod| pod.key.instance).collect();
            // The controller of budgets learns of a new kind each half minute, and looks at a budget when it changes.
            let touch = json!({ "metadata": { "annotations": { "looked": Timestamp::now().to_string() } } });
            let budget = budgets.patch("crunch", &PatchParams::default(), &Patch::Merge(touch)).await?;
            let expected = budget.status.map(|status| status.expected_pods);
            let done =
                up.iter().copied().eq(0..instances.unsigned_abs()) && expected == Some(Some(instances));
            Ok(wait::when(done, format!("{up:?} run, {expected:?} expected")))
        })
        .await?;
    }
    Ok(())
}

async fn over_quota(scene: Scene) -> Result<()> {
    quota::role(&scene, &[&scene.namespace], "300m").await?;
    let production = |name: &str, instances| {
        let requests = json!({ "requests": { "cpu": "200m", "memory": "1Mi" } });
        succeeds(name, instances, 2).set("/tier", json!("preferred")).container_field("resources", requests)
    };
    // As long as it runs; then its quota is free.
    scene.apply(&production("first", 1).simulate("exit-after-seconds", "20")).await?;
    wait::until("the first to run", STILL * 4, || async {
        let live = scene.live("first");
        Ok(wait::when(live.iter().any(observer::Facts::is_up), format!("{live:?}")))
    })
    .await?;
    let mark = scene.mark();
    scene.apply(&production("second", 1)).await?;
    wait::until("the second to wait for quota", STILL * 4, || async {
        let job = scene.job("second").await?;
        let stalled = condition(&job, "Stalled");
        let waits = stalled.is_some_and(|(status, reason, _)| (status, reason) == ("True", "QuotaExceeded"));
        Ok(if waits { Look::Done(()) } else { Look::NotYet(at(&job, "/status").to_string()) })
    })
    .await?;
    ensure!(runs(&scene, mark, "second").is_empty(), "it runs although it waits for quota");
    ends(&scene, "first", "Complete").await?;
    ends(&scene, "second", "Complete").await.map(drop)
}

async fn name_conflict(scene: Scene) -> Result<()> {
    scene.apply(&Service::new("web", 2)).await?;
    scene.running("web", 2).await?;
    let mark = scene.calm().await?;
    scene.apply(&succeeds("web", 2, 1)).await?;
    wait::until("the job to say so", STILL * 4, || async {
        let job = scene.job("web").await?;
        let stalled = condition(&job, "Stalled");
        let says = stalled.is_some_and(|(status, reason, _)| (status, reason) == ("True", "NameConflict"));
        Ok(if says { Look::Done(()) } else { Look::NotYet(at(&job, "/status").to_string()) })
    })
    .await?;
    scene.stays_untouched(mark, STILL).await?;
    scene.running("web", 2).await?;
    scene.world.kube.services(&scene.namespace).delete("web", &DeleteParams::default()).await?;
    ends(&scene, "web", "Complete").await.map(drop)
}
