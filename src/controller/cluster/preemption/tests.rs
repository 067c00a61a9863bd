//! The loop against an API server: what it writes, in which order, and what it does when that fails.

use borealis_core::model::{Slot, SlotFailure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    api::{labels, slot},
    apply::{Executor, Learn, Limits, events},
    index::Watches,
    lease::{Gate, fence},
    testing::{Answer, Effect, FakeApi, Fault},
};

struct World {
    api: FakeApi,
    what: PreemptionLoop,
    index: Arc<Index>,
    gate: Gate,
    watches: Watches,
    _tasks: JoinSet<()>,
}

fn tier(name: &str, preemptible: bool, band: i32) -> Value {
    json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": name},
        "spec": {"preemptible": preemptible, "revocable": false, "band": band, "preemption": "Borealis",
            "preemptionDelaySeconds": 0, "minRuntimeSeconds": 0}})
}

fn pod(name: &str, namespace: &str, class: &str, rank: i32) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {"a": "b"}},
        "spec": {"priorityClassName": class, "priority": rank, "preemptionPolicy": "Never",
            "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}})
}

/// A node that is full of one Pod, and another that waits for it.
async fn world() -> World {
    let api = FakeApi::new();
    api.create("tiers", tier("preferred", false, 30_000));
    api.create("tiers", tier("preemptible", true, 20_000));
    let role = json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraRole", "metadata": {"name": "prod"},
        "spec": {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "prod"}},
            "tiers": ["preferred", "preemptible"]}});
    api.create("auroraroles", role);
    for name in ["prod", "batch"] {
        let labels = json!({"kubernetes.io/metadata.name": name});
        api.create("namespaces", json!({"metadata": {"name": name, "labels": labels}}));
    }
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {}});
    api.create("nodes", node);
    let ready = json!({"type": "Ready", "status": "True"});
    let status = json!({"status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}, "conditions": [ready]}});
    api.merge("nodes", "", "n1", &status);
    let mut victim = pod("old", "batch", "borealis-preemptible-20000", 20_000);
    victim["spec"]["nodeName"] = "n1".into();
    api.create("pods", victim);
    let run = json!({"status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}});
    api.merge("pods", "batch", "old", &run);
    api.create("pods", pod("new", "prod", "borealis-preferred-30000", 30_000));
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    api.merge("pods", "prod", "new", &json!({"status": {"conditions": [condition]}}));

    let (index, stop, mut tasks) =
        (Arc::new(Index::new(Metrics::default(), |_| ())), CancellationToken::new(), JoinSet::new());
    let watches = Watches::start(&api.client(), &index, &stop, &mut tasks);
    watches.barrier().await;
    let (gate, fence) = fence();
    gate.open(1, Instant::now() + Duration::from_secs(3_600));
    let metrics = Metrics::default();
    let (announcer, _) = events(api.client(), fence.clone(), metrics.clone(), "a".to_owned());
    let learn: Arc<dyn Learn> = Arc::clone(&index) as Arc<dyn Learn>;
    let executor =
        Executor::new(api.client(), Limits::default(), fence, learn, metrics.clone(), announcer.clone());
    let settings = PreemptionSettings {
        mode: Mode::On,
        bounds: Bounds::default(),
        victims_per_minute: 100,
        frozen: Arc::default(),
    };
    let what = PreemptionLoop {
        index: Arc::clone(&index),
        changes: index.changes(),
        writes: executor.preemption(),
        announcer,
        metrics,
        settings,
        log: DecisionLog::default(),
        verdicts: Verdicts::new(index.changes()),
        kept: Kept::default(),
    };
    api.take_calls();
    World { api, what, index, gate, watches, _tasks: tasks }
}

impl World {
    fn waiting(&self) -> Value {
        self.api.get("pods", "prod", "new").unwrap()
    }

    fn note(&self) -> Option<Slot> {
        slot::read(self.waiting()["metadata"]["annotations"][labels::SLOT].as_str()?)
    }

    fn victim(&self) -> Value {
        self.api.get("pods", "batch", "old").unwrap()
    }

    async fn round(&mut self) -> Vec<String> {
        self.what.round().await;
        self.api.take_writes()
    }
}

fn refusal(code: u16, reason: &str, message: &str) -> Effect {
    Effect::Refuse(Answer::new(code, reason, message))
}

#[tokio::test(start_paused = true)]
async fn room_is_kept_first_and_made_then() {
    let mut world = world().await;
    assert_eq!(world.round().await, ["patch pods/new/status 200"]);
    assert_eq!(world.waiting()["status"]["nominatedNodeName"], "n1");
    let held = world.note().unwrap().held.unwrap();
    assert_eq!((&*held.node, held.victims.len()), ("n1", 1));
    assert_eq!(world.round().await, ["patch pods/old/status 200", "delete pods/old 200"]);
    let victim = world.victim();
    assert!(victim["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(victim["metadata"]["deletionGracePeriodSeconds"], 30, "its own time to stop");
    let condition = &victim["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["reason"]),
        (&json!("DisruptionTarget"), &json!("PreemptionByBorealis"))
    );
    let note: Value =
        serde_json::from_str(victim["metadata"]["annotations"][labels::PREEMPTED].as_str().unwrap()).unwrap();
    assert_eq!((&note["node"], &note["name"]), (&json!("n1"), &Value::Null), "no names of another role");
    assert_eq!(
        victim["metadata"]["annotations"][labels::END_REASON],
        Value::Null,
        "if it were not deleted in the end, nobody else would do it"
    );
    assert_eq!(world.round().await, Vec::<String>::new(), "what is done is done");
    let shown = world.what.log.json();
    assert_eq!(shown["decisions"][0]["outcome"], "slot");
    assert_eq!(shown["decisions"][0]["victims"][0]["pod"], "batch/old");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_changed_is_looked_at_again() {
    let mut world = world().await;
    world.api.inject(Fault::once("patch", "pods", refusal(409, "Conflict", "the object has been modified")));
    assert_eq!(world.round().await, ["patch pods/new/status 409"]);
    assert_eq!(world.round().await, Vec::<String>::new(), "it is left alone for a moment");
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_eq!(world.round().await, ["patch pods/new/status 200"]);
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_write_is_found_out_before_the_next_pass() {
    let mut world = world().await;
    world.api.inject(Fault::once("patch", "pods", Effect::DoneAndHang));
    world.what.round().await;
    world.api.inject(Fault::once("get", "pods", refusal(503, "ServiceUnavailable", "not now")));
    world.api.take_calls();
    assert_eq!(world.what.round().await, Some(DOUBT));
    assert_eq!(world.api.take_writes(), Vec::<String>::new(), "nothing is decided meanwhile");
    assert_eq!(world.round().await, ["patch pods/old/status 200", "delete pods/old 200"], "the slot stood");
}

/// The same with a disruption budget that is about the one on the node, and allows one to go.
async fn world_with_budget() -> World {
    let world = world().await;
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "batch"}, "spec": {"selector": {"matchLabels": {"a": "b"}}}});
    world.api.create("poddisruptionbudgets", budget);
    let allow = |count: i32| json!({"status": {"disruptionsAllowed": count}});
    world.api.merge("poddisruptionbudgets", "batch", "b", &allow(1));
    let known = |index: &Index, allowed: u32| {
        use borealis_core::admit::Budgets;
        index.board_and_budgets(|board, budgets| {
            let victim = board.claims().find(|claim| &*claim.name == "old").unwrap();
            matches!(budgets.group(victim), Ok(Some(group)) if budgets.allowance(group) == allowed)
        })
    };
    for _ in 0..1_000 {
        if known(&world.index, 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_budget_has_its_say() {
    let mut world = world_with_budget().await;
    world.round().await;
    let full = "Cannot evict pod as it would violate the pod's disruption budget.";
    world.api.inject(Fault::once("evict", "pods", refusal(429, "TooManyRequests", full)));
    assert_eq!(world.round().await, ["evict pods/old/eviction 429"]);
    assert_eq!(
        world.victim()["metadata"]["annotations"],
        Value::Null,
        "who is not evicted was not preempted"
    );
    // Nobody has ended for it yet, so the slot is given up.
    assert_eq!(world.round().await, ["patch pods/new/status 200"]);
    let note = world.note().unwrap();
    assert_eq!((note.held, note.failed.unwrap().why), (None, SlotFailure::Budget));
    assert_eq!(world.waiting()["status"].get("nominatedNodeName"), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_without_the_lease() {
    let mut world = world().await;
    world.api.take_calls();
    world.gate.close();
    assert_eq!(world.round().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_who_would_end_and_writes_nothing() {
    let mut world = world().await;
    world.what.settings.mode = Mode::DryRun;
    assert_eq!(world.round().await, Vec::<String>::new());
    assert_eq!(said(&world), ["in a dry run of preemption, 1 Pod would end on node n1"]);
    world.what.settings.frozen.store(true, Ordering::Relaxed);
    world.round().await;
    assert_eq!(said(&world), ["nobody ends for it while the cluster is frozen"]);
}

/// What is said of the Pods that wait.
fn said(world: &World) -> Vec<String> {
    let said = world.index.board(|board| world.what.verdicts.by_job(board));
    said.into_values().flatten().map(|remark| remark.words).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tier_can_be_on_trial_and_keeps_nobody_else_waiting() {
    let mut world = world().await;
    let mut trial = tier("trial", false, 30_000);
    trial["spec"]["dryRun"] = true.into();
    world.api.create("tiers", trial);
    // It ranks the same and has waited longer.
    let mut pod = pod("trial", "prod", "borealis-trial-30000", 30_000);
    pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "400m".into();
    world.api.create("pods", pod);
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "lastTransitionTime": "2025-12-31T00:00:00Z"});
    world.api.merge("pods", "prod", "trial", &json!({"status": {"conditions": [condition]}}));
    world.watches.barrier().await;
    let is_known = || {
        world.index.board(|board| {
            let trial = board.claims().find(|claim| &*claim.name == "trial");
            trial.is_some_and(|claim| claim.unschedulable.is_some() && claim.owner.tier.is_some())
        })
    };
    while !is_known() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.api.take_calls();
    assert_eq!(world.round().await, ["patch pods/new/status 200"], "room is kept for the other");
    assert_eq!(said(&world), ["in a dry run of preemption, 1 Pod would end on node n1"]);
    let (_gate, fence) = fence();
    let printed = world.what.metrics.print(&fence).unwrap();
    assert!(printed.contains("preemption_dry_runs_total 1\n"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_written_costs_a_role_nothing() {
    let mut world = world().await;
    let role = "prod";
    world.api.merge("auroraroles", "", role, &json!({"spec": {"maxVictimsPerMinute": 1}}));
    while world.index.victim_bounds().get(role) != Some(&1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.api.inject(Fault::once("patch", "pods", refusal(409, "Conflict", "the object has been modified")));
    world.round().await;
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_eq!(world.round().await, ["patch pods/new/status 200"], "its one victim is still to be had");
}

#[tokio::test(start_paused = true)]
async fn who_is_under_several_budgets_is_refused_once_and_for_a_while() {
    let mut world = world_with_budget().await;
    world.round().await;
    let several =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    world.api.inject(Fault::once("evict", "pods", refusal(500, "InternalError", several)));
    assert_eq!(world.round().await, ["evict pods/old/eviction 500"]);
    assert_eq!(world.round().await, ["patch pods/new/status 200"], "the slot is given up");
    assert_eq!(world.note().unwrap().failed.unwrap().why, SlotFailure::Budget);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_can_not_be_read_holds_up_nobody_else() {
    let mut world = world().await;
    world.api.inject(Fault::once("patch", "pods", Effect::Hang));
    world.what.round().await;
    for _ in 0..READS {
        world.api.inject(Fault::once("get", "pods", refusal(500, "InternalError", "it can't be decoded")));
    }
    let (_gate, fence) = fence();
    let passes = |world: &World| {
        let printed = world.what.metrics.print(&fence).unwrap();
        let count =
            printed.lines().find_map(|line| line.strip_prefix("borealis_preemption_pass_seconds_count "));
        count.map(str::to_owned)
    };
    for _ in 1..READS {
        world.what.round().await;
        assert_eq!(passes(&world).as_deref(), Some("1"), "the pass waits for it");
    }
    world.api.take_calls();
    assert_eq!(world.round().await, Vec::<String>::new(), "nothing is written for it");
    assert_eq!(passes(&world).as_deref(), Some("2"), "but others are looked at");
    assert_eq!(world.round().await, ["patch pods/new/status 200"], "it can be read again");
}

#[tokio::test(start_paused = true)]
async fn victims_of_a_slot_that_came_to_nothing_ended_in_vain() {
    let mut world = world().await;
    world.round().await;
    world.round().await;
    world.what.settings.mode = Mode::Off;
    assert_eq!(world.round().await, ["patch pods/new/status 200"], "the slot is given up");
    let (_gate, fence) = fence();
    let printed = world.what.metrics.print(&fence).unwrap();
    assert!(printed.contains("preemption_over_evictions_total 1\n"), "{printed}");
}
