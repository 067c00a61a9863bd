//! What the operator relies on is spoiled while something is going on: its calls, the API server's memory, its clock.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use kube::api::DeleteParams;

use super::failover::{ELECTION, ends_well, mid_update};
use crate::{
    between::{Between, Trouble},
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// What befalls the operator's calls, one update each.
const TROUBLES: [Trouble; 5] = [
    Trouble::TooManyRequests,
    Trouble::InternalError,
    Trouble::Conflict,
    Trouble::AnswerLost,
    Trouble::SlowWatch,
];
/// Seconds by which the replicas' clocks are ahead.
const AHEAD: [i64; 2] = [10, -10];

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "calls-spoiled",
            "a third of the operator's calls fail, conflict, or are done and not answered; news is late",
            |s| Box::pin(calls(s)),
        )
        .exclusive(),
        Scenario::new(
            "history-forgotten",
            "etcd is compacted and the API server restarted while the operator sleeps: it lists anew",
            |s| Box::pin(history(s)),
        )
        .exclusive(),
        Scenario::new("clocks-apart", "the replicas' clocks are 20 s apart while the lead changes", |s| {
            Box::pin(clocks(s))
        })
        .exclusive(),
    ]
}

/// One service, updated once under each trouble; the witness sees what an update without trouble would show.
async fn calls(scene: Scene) -> Result<()> {
    let operators = &scene.world.operators;
    let between = Between::start(operators.kubeconfig()).await?;
    operators.detour(between.address).await?;
    let service = |version| Service::new("web", 12).batch(4).version(version);
    scene.apply(&service(1)).await?;
    scene.running("web", 12).await?;
    for (update, trouble) in (1..).zip(TROUBLES) {
        let mark = scene.mark();
        between.trouble(Some(trouble));
        scene.apply(&service(update + 1)).await?;
        scene.update_in("web", update, "ROLLED_FORWARD").await?;
        between.trouble(None);
        scene.running("web", 12).await?;
        let revision = scene.current_revision("web").await?;
        scene.all_run("web", 12, &revision)?;
        let down = scene.most_down(mark, "web", 12);
        ensure!(down <= 4, "{trouble:?}: {down} instances were down at once in batches of 4");
        let live = scene.live("web");
        ensure!(
            live.iter().all(|pod| pod.run == update + 1),
            "{trouble:?}: an instance was replaced more than once: {live:?}"
        );
        let spoiled = between.spoiled().get(&trouble).copied().unwrap_or_default();
        ensure!(spoiled > 0, "{trouble:?} befell no call");
        scene.note(format!("{trouble:?} {spoiled}"));
    }
    Ok(())
}

/// While the leader sleeps what it has seen is forgotten, and an instance loses its Pod.
async fn history(scene: Scene) -> Result<()> {
    let (operators, cluster) = (&scene.world.operators, &scene.world.cluster);
    scene.apply(&Service::new("web", 5)).await?;
    scene.running("web", 5).await?;
    let (starts, mut lists) = (operators.starts().await, Vec::new());
    for replica in operators.running().await {
        lists.push((replica, operators.counted(replica, "watch_lists").await?));
        operators.suspend(replica).await?;
    }
    let pods = scene.world.kube.pods(&scene.namespace);
    pods.delete("web-3-1", &DeleteParams::default()).await?;
    cluster.component("compact", "etcd").await?;
    cluster.component("restart", "kube-apiserver").await?;
    for replica in operators.running().await {
        operators.resume(replica).await?;
    }
    operators.leader(ELECTION).await?;
    wait::until("the instance to have its next Pod", ELECTION, || async {
        let live = scene.live("web");
        let next = live.len() == 5 && live.iter().map(|pod| pod.run).eq([1, 1, 1, 2, 1]);
        Ok(wait::when(next, format!("{live:?}")))
    })
    .await?;
    // The one that led has lost its lease in its sleep: it ends, and is started again.
    let begun = wait::until("the replicas to have begun their watches anew", ELECTION, || async {
        let (now, mut begun) = (operators.starts().await, Vec::new());
        for &(replica, before) in lists.iter().filter(|(replica, _)| now[*replica] == starts[*replica]) {
            let lists = operators.counted(replica, "watch_lists").await? - before;
            if lists == 0.0 {
                return Ok(Look::NotYet(format!("replica {replica} listed nothing anew")));
            }
            begun.push(format!("replica {replica} began {lists} watches anew"));
        }
        Ok(if begun.is_empty() {
            Look::NotYet(format!("no replica went on: {starts:?} became {now:?}"))
        } else {
            Look::Done(begun)
        })
    })
    .await?;
    scene.note(begun.join(", "));
    Ok(())
}

/// Both replicas lead once in the middle of an update, and the one that was suspended goes on.
async fn clocks(scene: Scene) -> Result<()> {
    let operators = &scene.world.operators;
    for (replica, ahead) in AHEAD.into_iter().enumerate() {
        operators.set_clock(replica, ahead).await?;
    }
    let (first, _) = operators.leader(ELECTION).await?;
    let mark = mid_update(&scene).await?;
    clock_is(&scene, AHEAD[first]).await?;
    operators.suspend(first).await?;
    let (second, _) = operators.leader_other_than(Some(first), ELECTION).await?;
    clock_is(&scene, AHEAD[second]).await?;
    operators.resume(first).await?;
    ends_well(&scene, mark).await?;

    // Back again, with nothing to do: who comes to lead touches nothing.
    let calm = scene.mark();
    operators.kill(second).await?;
    operators.leader_other_than(Some(second), ELECTION).await?;
    clock_is(&scene, AHEAD[first]).await?;
    scene.stays_untouched(calm, Duration::from_secs(5)).await
}

/// Waits until the lease shows a clock that is so far ahead.
async fn clock_is(scene: &Scene, ahead: i64) -> Result<()> {
    wait::until(&format!("a clock {ahead} s ahead in the lease"), ELECTION, || async {
        let seen = scene.world.operators.renewed().await?.as_second() - Timestamp::now().as_second();
        Ok(if (seen - ahead).abs() < 5 {
            Look::Done(())
        } else {
            Look::NotYet(format!("it is {seen} s ahead"))
        })
    })
    .await
}
