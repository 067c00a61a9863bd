//! The operator at steady work for long: whether its memory grows, or its work costs more and more.
//!
//! Services are updated, Pods deleted, runs of a cron come and go, all at the same pace; the leader's memory and CPU are read
//! meanwhile. Run by `make soak`; SOAK_SECONDS chooses how long.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::DeleteParams;

use crate::{
    bench::process,
    cron::{Cron, apart, minutely, quick, soon},
    runner::Scenario,
    scene::Scene,
    service::Service,
};

/// The services, updated in turns.
const SERVICES: [(&str, u32); 3] = [("a", 30), ("b", 20), ("c", 10)];
/// How long it goes on.
const SECONDS: u64 = 1800;
/// From one update, one reading and two deleted Pods to the next.
const STEP: Duration = Duration::from_secs(10);
/// The share of the readings in which memory still fills with what it will keep.
const WARM_UP: usize = 4;
const KIB_OF_MIB: f64 = 1024.0;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("soak", "memory and CPU of the operator at steady work", |s| Box::pin(soak(s)))
            .exclusive()
            .full()
            .limit(Duration::from_secs(length()) + super::LONG * 2),
    ]
}

fn length() -> u64 {
    std::env::var("SOAK_SECONDS").ok().and_then(|value| value.parse().ok()).unwrap_or(SECONDS)
}

/// What was read of the leader.
struct Reading {
    /// Seconds since the first.
    at: f64,
    /// MiB resident.
    memory: f64,
    /// Seconds of CPU since the reading before, a minute.
    cpu: f64,
}

async fn soak(scene: Scene) -> Result<()> {
    for (name, instances) in SERVICES {
        scene.apply(&service(name, instances, 0)).await?;
        scene.running(name, instances).await?;
    }
    scene.apply_cron(&Cron::new("often", &minutely(&apart(soon(10), 20)), &quick(1))).await?;
    let operators = &scene.world.operators;
    let (leader, term) = operators.leader(super::LONG).await?;
    let pid = operators.pid(leader).await.context("the leader is no process")?;

    let (begin, mut used, mut readings) = (Instant::now(), process::usage(pid)?.cpu, Vec::new());
    for step in 1.. {
        let at = step * STEP;
        work(&scene, step).await?;
        tokio::time::sleep(at.saturating_sub(begin.elapsed())).await;
        let usage = process::usage(pid)?;
        let memory = usage.resident as f64 / KIB_OF_MIB;
        readings.push(Reading {
            at: at.as_secs_f64(),
            memory,
            cpu: (usage.cpu - used) * 60.0 / STEP.as_secs_f64(),
        });
        used = usage.cpu;
        if begin.elapsed() > Duration::from_secs(length()) {
            break;
        }
    }
    let (same, same_term) = operators.leader(super::LONG).await?;
    ensure!((same, same_term) == (leader, term), "the lead has changed: term {term} became {same_term}");
    scene.note(told(&readings));
    Ok(())
}

fn service(name: &str, instances: u32, version: u32) -> Service {
    Service::new(name, instances).batch(instances / 5).version(version)
}

/// A service gets its next config, and loses two Pods.
async fn work(scene: &Scene, step: u32) -> Result<()> {
    let (name, instances) = SERVICES[step as usize % SERVICES.len()];
    scene.apply(&service(name, instances, step)).await?;
    for pod in scene.live(name).iter().filter(|pod| !pod.ending).take(2) {
        // It may be gone by now.
        let _ = scene.world.kube.pods(&scene.namespace).delete(&pod.name, &DeleteParams::default()).await;
    }
    Ok(())
}

/// The slopes after the warm-up, with their standard errors.
fn told(readings: &[Reading]) -> String {
    let warm = &readings[readings.len() / WARM_UP..];
    let of = |what: fn(&Reading) -> f64| slope(warm.iter().map(|reading| (reading.at, what(reading))));
    let hour = 3600.0;
    let (memory, cpu) = (of(|reading| reading.memory), of(|reading| reading.cpu));
    let mean = warm.iter().map(|reading| reading.cpu).sum::<f64>() / warm.len().max(1) as f64;
    let ends = [readings.first(), warm.first(), warm.last()].map(|at| at.map_or(0.0, |at| at.memory));
    format!(
        "{} readings; memory {:.1} MiB at first, {:.1} warm, {:.1} at last, {:+.2} ± {:.2} MiB an hour; \
         CPU {mean:.2} s a minute, {:+.2} ± {:.2} an hour later",
        readings.len(),
        ends[0],
        ends[1],
        ends[2],
        memory.0 * hour,
        memory.1 * hour,
        cpu.0 * hour,
        cpu.1 * hour,
    )
}

/// The slope of the line through these points by least squares, and its standard error.
fn slope(points: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let points: Vec<(f64, f64)> = points.collect();
    let count = points.len() as f64;
    if points.len() < 3 {
        return (0.0, f64::INFINITY);
    }
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    let off: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
    (slope, (off / (count - 2.0) / spread).sqrt())
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn a_line_is_found_and_noise_says_how_well() {
        let line = slope((0..10).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))));
        assert!((line.0 - 2.0).abs() < 1e-9 && line.1 < 1e-9, "{line:?}");
        let noise = slope((0..100).map(|x| (f64::from(x), f64::from(x % 2))));
        assert!(noise.0.abs() < 2.0 * noise.1, "{noise:?}");
        assert!(slope([(0.0, 0.0), (1.0, 1.0)].into_iter()).1.is_infinite());
    }
}
