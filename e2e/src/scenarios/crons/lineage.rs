//! Crons and jobs that wait for others: a diamond of four, and circles.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{alone, cron_until, outcomes, runs_of};
use crate::{
    cron::{Cron, minutely, quick, soon},
    kube_api::{at, condition},
    observer::Change,
    runner::Scenario,
    scenarios::jobs::ends,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("cron-diamond", "a diamond of four: each runs after all that it waits for", |s| {
            Box::pin(diamond(s))
        }),
        Scenario::new("cron-circle", "who waits for itself is told the whole way around", |s| {
            Box::pin(circle(s))
        }),
    ]
}

/// The top runs by its schedule, left and right after it, the bottom after both.
async fn diamond(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    let begin = soon(8);
    let unscheduled = |name: &str, seconds| Cron::new(name, &[], &quick(seconds));
    scene.apply_cron(&unscheduled("bottom", 1).after(&["left", "right"])).await?;
    scene.apply_cron(&unscheduled("left", 2).after(&["top"])).await?;
    scene.apply_cron(&unscheduled("right", 6).after(&["top"])).await?;
    // A job waits for a cron as well, and runs but once.
    let once = quick(1).set("/parents", json!([{ "kind": "AuroraCron", "name": "bottom" }]));
    scene.apply(&once.named("report")).await?;
    let waits = cron_until(&scene, "bottom", "it to say for whom it waits", |cron| {
        at(cron, "/status/waitsFor").as_array().is_some_and(|waits| waits.len() == 2)
    })
    .await?;
    scene.note(format!("bottom waits for {}", at(&waits, "/status/waitsFor")));
    scene.apply_cron(&Cron::new("top", &minutely(&[begin]), &quick(1))).await?;
    for round in 1..=2_usize {
        cron_until(&scene, "bottom", &format!("{round} runs"), |cron| {
            outcomes(cron).values().filter(|outcome| *outcome == "Succeeded").count() == round
        })
        .await?;
    }
    ends(&scene, "report", "Complete").await?;
    for name in ["top", "left", "right", "bottom"] {
        let runs = runs_of(&scene, mark, name);
        // The top may be a minute ahead.
        ensure!((2..=3).contains(&runs.len()), "{name}: {runs:?}");
        alone(&scene, mark, name)?;
    }
    in_order(&scene, mark)
}

/// Each child's Pod was made after its parents' Pods had succeeded, once more each time.
fn in_order(scene: &Scene, mark: crate::observer::Mark) -> Result<()> {
    let ledger = scene.world.observer.ledger();
    let mut ended = std::collections::BTreeMap::<&str, std::collections::BTreeSet<&str>>::new();
    let mut made = std::collections::BTreeMap::<&str, usize>::new();
    for entry in ledger.of_namespace(mark, &scene.namespace) {
        let Some(cron) = entry.pod.key.service.rsplit_once('-').map(|(cron, _)| cron) else { continue };
        if entry.pod.phase == "Succeeded" {
            ended.entry(cron).or_default().insert(&entry.pod.uid);
        }
        if entry.change != Change::Added {
            continue;
        }
        let parents: &[&str] = match cron {
            "left" | "right" => &["top"],
            "bottom" => &["left", "right"],
            _ => &[],
        };
        let nth = made.entry(cron).or_default();
        *nth += 1;
        for parent in parents {
            let of_parent = ended.get(parent).map_or(0, std::collections::BTreeSet::len);
            ensure!(of_parent >= *nth, "run {nth} of {cron} began after {of_parent} of {parent}");
        }
    }
    Ok(())
}

async fn circle(scene: Scene) -> Result<()> {
    let mark = scene.mark();
    for (name, parent) in [("one", "two"), ("two", "three"), ("three", "one")] {
        scene.apply_cron(&Cron::new(name, &[], &quick(1)).after(&[parent])).await?;
    }
    let own = Service::job("self", 1).set("/parents", json!([{ "kind": "AuroraJob", "name": "self" }]));
    scene.apply(&own).await?;
    let cron = cron_until(&scene, "one", "it to be stalled", |cron| {
        condition(cron, "Stalled").is_some_and(|stalled| stalled.0 == "True")
    })
    .await?;
    let (_, reason, said) = condition(&cron, "Stalled").context("no condition Stalled")?;
    ensure!(reason == "DependencyCycle", "{reason}: {said}");
    for name in ["one", "two", "three"] {
        ensure!(said.contains(name), "{name} is not in {said:?}");
    }
    scene.note(said.to_owned());
    let job = wait::until("the job to be stalled", super::USUAL, || async {
        let job = scene.job("self").await?;
        let stalled = condition(&job, "Stalled").is_some_and(|stalled| stalled.1 == "DependencyCycle");
        let status = at(&job, "/status").to_string();
        Ok(if stalled { Look::Done(job) } else { Look::NotYet(status) })
    })
    .await?;
    drop(job);
    // One of them lets go, and the way is free.
    scene.apply_cron(&Cron::new("three", &minutely(&[soon(3)]), &quick(1))).await?;
    cron_until(&scene, "one", "a run", |cron| outcomes(cron).values().any(|outcome| outcome == "Succeeded"))
        .await?;
    let runs = runs_of(&scene, mark, "two");
    ensure!(!runs.is_empty(), "one ran before two");
    Ok(())
}
