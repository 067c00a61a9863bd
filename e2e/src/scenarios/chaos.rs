//! Everything at once, for minutes: replicas killed, Pods deleted, nodes lost, updates good and bad, by a seed.
//!
//! Nothing is asserted of the way, but by the witness; in the end everything has to be as it was asked for. Runs with
//! `--full` only. CHAOS_SEED chooses another course, CHAOS_SECONDS another length.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kube::api::DeleteParams;

use crate::{
    kube_api::text,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// The services and how many instances each has.
const SERVICES: [(&str, u32); 3] = [("a", 20), ("b", 12), ("c", 5)];
/// How long it goes on.
const SECONDS: u64 = 180;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("chaos", "replicas, Pods, nodes and updates at random, then all is well", |s| {
            Box::pin(chaos(s))
        })
        .exclusive()
        .full()
        .limit(Duration::from_secs(900)),
    ]
}

/// Numbers that are the same for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        usize::try_from(z % sides.max(1) as u64).unwrap_or_default()
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn service(name: &str, instances: u32, version: u32, bad: bool) -> Service {
    let plain = Service::new(name, instances).batch(3).version(version);
    if bad { plain.simulate("fail-after-seconds", "1").simulate("start-seconds", "30") } else { plain }
}

async fn chaos(scene: Scene) -> Result<()> {
    let seed = number("CHAOS_SEED", 1);
    scene.note(format!("seed {seed}"));
    let mut dice = Dice(seed);
    let (mut version, mut lost): (u32, Option<String>) = (1, None);
    for (name, instances) in SERVICES {
        scene.apply(&service(name, instances, version, false)).await?;
    }
    for (name, instances) in SERVICES {
        scene.running(name, instances).await?;
    }
    let length = Duration::from_secs(number("CHAOS_SECONDS", SECONDS));
    let (begin, mut done) = (Instant::now(), 0);
    while begin.elapsed() < length {
        let (name, instances) = SERVICES[dice.roll(SERVICES.len())];
        match dice.roll(10) {
            0..=3 => delete_one(&scene, name, &mut dice).await,
            4 | 5 => {
                version += 1;
                let bad = dice.roll(3) == 0;
                // The API server may be away.
                let _ = scene.apply(&service(name, instances, version, bad)).await;
            }
            6 => {
                scene.world.operators.kill(dice.roll(2)).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                scene.world.operators.start_all().await?;
            }
            7 => match lost.take() {
                Some(node) => scene.world.restore_node(&node).await?,
                None => lost = lose_one(&scene, name, &mut dice).await?,
            },
            8 if dice.roll(4) == 0 => {
                scene.world.cluster.component("restart", "kube-apiserver").await?;
            }
            _ => {}
        }
        done += 1;
        tokio::time::sleep(Duration::from_millis(200 + 100 * dice.roll(20) as u64)).await;
    }
    scene.note(format!("{done} things done"));
    if let Some(node) = lost {
        scene.world.restore_node(&node).await?;
    }
    scene.world.operators.start_all().await?;
    for (name, instances) in SERVICES {
        scene.apply(&service(name, instances, version + 1, false)).await?;
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

async fn delete_one(scene: &Scene, name: &str, dice: &mut Dice) {
    let live = scene.live(name);
    if let Some(pod) = live.get(dice.roll(live.len())) {
        // It may be gone by now.
        let _ = scene.world.kube.pods(&scene.namespace).delete(&pod.name, &DeleteParams::default()).await;
    }
}

async fn lose_one(scene: &Scene, name: &str, dice: &mut Dice) -> Result<Option<String>> {
    let live = scene.live(name);
    let Some(pod) = live.get(dice.roll(live.len())) else { return Ok(None) };
    let Some(node) = pod.node.clone() else { return Ok(None) };
    scene.world.lose_node(&node).await.with_context(|| format!("could not lose {node}"))?;
    Ok(Some(node))
}
