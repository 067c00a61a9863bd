//! Very many objects, made at once; and what they cost when nothing happens, and when the controller is started anew.
//!
//! A watch sees when each is made and ready, as a user's would: listing ten thousand again and again would be what is
//! measured. Called by `workloads`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DynamicObject, ListParams},
};

use super::{delete_a_pod, rest};
use crate::{
    bench::{
        LIMIT, NAMESPACE, Sizes,
        adapter::{Adapter, Ask, Stage},
        follow::{follow, now},
        ground::{Ground, none_left},
        make::make,
        report::Round,
        times::Times,
    },
    wait,
};

/// When each object was seen first, and how long after it was ready.
type Seen = BTreeMap<String, (Instant, Option<Duration>)>;

/// Makes so many objects, each of so many instances, and waits until all are ready.
pub(super) async fn come_up(
    ground: &mut Ground,
    adapter: &Adapter,
    (objects, each): (u32, u32),
    round: &mut Round,
) -> Result<()> {
    let api = adapter.api(&ground.kube.client);
    let seen = Mutex::new(Seen::new());
    let version = now(&api).await?;
    let work = async {
        let made = async {
            make(&api, (0..objects).map(|at| adapter.object(&Ask::new(&name(at), each)))).await?;
            wait::until("all to be ready", Ask::limit(objects * each), || async {
                let ready = lock(&seen).values().filter(|(_, ready)| ready.is_some()).count();
                Ok(wait::when(ready == objects as usize, format!("{ready} of {objects} are")))
            })
            .await
        };
        tokio::select! {
            made = made => made,
            broken = watch(&api, version, adapter, each, &seen) => broken,
        }
    };
    let phase = ground.measure("comes up", Some(adapter.program()), work).await?;
    round.phases.push(phase);
    let times =
        Times::of(lock(&seen).values().filter_map(|(_, ready)| *ready).map(|time| time.as_secs_f64()));
    for (percent, what) in [(50, "made to ready, p50 s"), (99, "made to ready, p99 s")] {
        round.figures.entry(what.to_owned()).or_default().extend(times.at(percent));
    }
    Ok(())
}

/// Notes of each object when it is made and when it is ready.
async fn watch(
    api: &Api<DynamicObject>,
    version: String,
    adapter: &Adapter,
    each: u32,
    seen: &Mutex<Seen>,
) -> Result<()> {
    let (sender, mut unclear) = tokio::sync::mpsc::unbounded_channel();
    let see = |object: DynamicObject| {
        let name = object.metadata.name.clone().unwrap_or_default();
        let ready = serde_json::to_value(&object)
            .map_err(anyhow::Error::from)
            .and_then(|object| adapter.is(Stage::Ready, &Ask::new(&name, each), &object));
        let mut seen = lock(seen);
        let (made, when) = seen.entry(name).or_insert((Instant::now(), None));
        match ready {
            Ok(true) if when.is_none() => *when = Some(made.elapsed()),
            Ok(_) => {}
            // The first one is told, and ends it all.
            Err(error) => drop(sender.send(error)),
        }
    };
    tokio::select! {
        broken = follow(api, version, see) => broken,
        error = unclear.recv() => error.map_or(Ok(()), Err),
    }
}

/// Nothing happens for a while; then a Pod is lost while the controller is away, and the controller comes back. That Pod's
/// successor is the first thing it has to do right.
pub(super) async fn idle(
    ground: &mut Ground,
    adapter: &Adapter,
    sizes: Sizes,
    round: &mut Round,
) -> Result<()> {
    rest(ground, adapter, Duration::from_secs(sizes.idle_seconds), round).await?;
    ground.stop(adapter).await?;
    let lost = name(sizes.idle / 2);
    delete_a_pod(&ground.kube, &lost).await?;
    let of_it = ListParams::default().labels(&format!("app={lost}"));
    none_left(&ground.kube, NAMESPACE, "the Pod to be gone", of_it).await?;
    let pods = ground.kube.pods(NAMESPACE);
    let version = now(&pods).await?;
    let mut took = None;
    let phase = ground
        .measure_here("cold start", Some(adapter.program()), async |ground| {
            let begin = Instant::now();
            let next = tokio::spawn(next_pod(pods, version, lost));
            ground.start(adapter).await?;
            let made = tokio::time::timeout(LIMIT, next).await.context("its Pod was not made anew")???;
            took = Some(made.duration_since(begin).as_secs_f64());
            Ok(())
        })
        .await?;
    round.phases.push(phase);
    round.figures.entry("start to the lost Pod made anew, s".to_owned()).or_default().extend(took);
    Ok(())
}

/// When the next Pod of an object is seen.
async fn next_pod(pods: Api<Pod>, version: String, object: String) -> Result<Instant> {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let see = |pod: Pod| {
        if pod.metadata.labels.is_some_and(|labels| labels.get("app") == Some(&object)) {
            // Nobody listens any more when one was seen.
            let _ = sender.send(Instant::now());
        }
    };
    tokio::select! {
        broken = follow(&pods, version, see) => broken.and(Err(anyhow!("the watch has ended"))),
        at = seen.recv() => at.context("nothing was seen"),
    }
}

fn name(at: u32) -> String {
    format!("web-{at}")
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
