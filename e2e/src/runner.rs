//! Runs scenarios: those that disturb nobody side by side, the others one after the other.
//!
//! Each scenario gets a scene, a time limit and, whatever it asserts itself, the witness's verdict on its Pods.
//! Called by the binary `borealis-e2e`; `scenarios` says what there is.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use kube::api::DeleteParams;

use crate::{
    dump,
    errors::joined,
    monitored::Monitored,
    report::{Line, Outcome, Report},
    scene::Scene,
    world::World,
};

/// How long it may take until the operator leads again after a scenario that disturbed it.
const RESTORED: Duration = Duration::from_secs(40);
/// How long a scenario may take unless it says otherwise.
const LIMIT: Duration = Duration::from_secs(240);

/// Something to try.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, and that of its namespace.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// It stops or suspends what others need, or needs the machine for itself.
    pub exclusive: bool,
    /// It is run by `--full` only.
    pub full: bool,
    /// It needs the real node.
    pub real_node: bool,
    /// The operator has to be a process of this machine.
    processes: bool,
    limit: Duration,
    run: fn(Scene) -> BoxFuture<'static, Result<()>>,
}

impl Scenario {
    /// A scenario that disturbs no other.
    pub fn new(
        name: &'static str,
        about: &'static str,
        run: fn(Scene) -> BoxFuture<'static, Result<()>>,
    ) -> Self {
        Self {
            name,
            about,
            exclusive: false,
            full: false,
            real_node: false,
            processes: false,
            limit: LIMIT,
            run,
        }
    }

    /// It disturbs others.
    #[must_use]
    pub fn exclusive(self) -> Self {
        Self { exclusive: true, ..self }
    }

    /// It takes long.
    #[must_use]
    pub fn full(self) -> Self {
        Self { full: true, ..self }
    }

    /// The operator has to reach servers of this machine, which no Pod does.
    #[must_use]
    pub fn with_processes(self) -> Self {
        Self { processes: true, ..self }
    }

    /// It may take this long.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// It needs the real node.
    #[must_use]
    pub fn real_node(self) -> Self {
        Self { real_node: true, ..self }
    }
}

/// Runs the scenarios and reports each as it ends: first those that disturb nobody, whatever the operator runs as, then those
/// that need its processes. A `whole` run has used all there is to be seen.
pub async fn run(world: &Arc<World>, scenarios: &[Scenario], side_by_side: usize, whole: bool) -> Report {
    let mut report = Report::default();
    let (exclusive, others): (Vec<Scenario>, Vec<Scenario>) = scenarios.iter().partition(|s| s.exclusive);
    let deployed = world.operators.is_deployed();
    let (late, early) = others.into_iter().partition(|s| deployed && s.processes);
    let monitored = if whole && deployed { Some(Monitored::start(world).await) } else { None };
    group(world, early, side_by_side.max(1), &mut report).await;
    if let Some(monitored) = monitored {
        report.add(told(monitored).await);
    }
    if let Err(error) = world.operators.take_over().await {
        let why = format!("the processes did not take over: {error:#}");
        report.add(Line::of("take-over", Outcome::Failed(why)));
    }
    group(world, late, side_by_side.max(1), &mut report).await;
    group(world, exclusive, 1, &mut report).await;
    report
}

/// What was there to be seen of the operator.
async fn told(monitored: Result<Monitored>) -> Line {
    let verdict = async { monitored?.verdict().await };
    match verdict.await {
        Ok(note) => Line { notes: vec![note], ..Line::of("monitored", Outcome::Passed) },
        Err(error) => Line::of("monitored", Outcome::Failed(format!("{error:#}"))),
    }
}

async fn group(world: &Arc<World>, scenarios: Vec<Scenario>, side_by_side: usize, report: &mut Report) {
    let mut ends = stream::iter(scenarios)
        .map(|scenario| one(Arc::clone(world), scenario))
        .buffer_unordered(side_by_side);
    while let Some(line) = ends.next().await {
        report.add(line);
    }
}

async fn one(world: Arc<World>, scenario: Scenario) -> Line {
    let begin = Instant::now();
    let end = |outcome, notes| Line { name: scenario.name, outcome, took: begin.elapsed(), notes };
    if scenario.real_node && world.real_node.is_none() {
        return end(
            Outcome::Skipped("this machine has no real node; localcluster said why".into()),
            Vec::new(),
        );
    }
    let mark = world.observer.mark();
    let scene = match Scene::open(Arc::clone(&world), scenario.name).await {
        Ok(scene) => scene,
        Err(error) => return end(Outcome::Failed(format!("{error:#}")), Vec::new()),
    };
    // A scenario runs as a task of its own: what it blocks or breaks is its own affair.
    let running = tokio::spawn(AssertUnwindSafe((scenario.run)(scene.clone())).catch_unwind());
    let abort = running.abort_handle();
    let result = match tokio::time::timeout(scenario.limit, running).await {
        Ok(Ok(Ok(result))) => result,
        Ok(Ok(Err(panic))) => Err(anyhow!("it panicked: {}", panic_text(panic.as_ref()))),
        Ok(Err(error)) => Err(anyhow!("it was cancelled: {error}")),
        Err(_) => {
            abort.abort();
            Err(anyhow!("it took more than {:?}", scenario.limit))
        }
    };
    let violations = world.observer.ledger().violations(&scene.namespace);
    let outcome = match (result, violations.is_empty()) {
        (Ok(()), true) => Outcome::Passed,
        (result, _) => {
            let mut why: Vec<String> = result.err().map(|error| format!("{error:#}")).into_iter().collect();
            why.extend(violations.into_iter().take(5));
            why.push(dump::scene(&scene, mark).await.unwrap_or_else(|error| format!("no dump: {error:#}")));
            Outcome::Failed(why.join("\n"))
        }
    };
    let outcome = if scenario.exclusive { restored(&world, outcome).await } else { outcome };
    // Not awaited: the next scenario has a namespace of its own.
    let _ = world.kube.namespaces().delete(&scene.namespace, &DeleteParams::background()).await;
    end(outcome, scene.notes())
}

/// However a scenario ended that may kill or suspend the operator or what it talks to, the next one finds all of it whole.
async fn restored(world: &World, outcome: Outcome) -> Outcome {
    let goes_on = world.cluster.all_goes_on().await.context("the control plane did not come back after it");
    let whole = world.operators.restore(RESTORED).await.context("the operator did not come back after it");
    match (joined([goes_on, whole]), outcome) {
        (Err(error), Outcome::Passed) => Outcome::Failed(format!("{error:#}")),
        (Err(error), Outcome::Failed(why)) => Outcome::Failed(format!("{why}\n{error:#}")),
        (_, outcome) => outcome,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}
