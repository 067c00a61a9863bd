//! The leader of two replicas is gone, and right after it a Pod: how long until the other replica makes it anew.
//!
//! Killed it can do nothing any more; suspended it comes back in the belief that it leads. The witness counts the Pods
//! that are made either way. Called by `workloads`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::{delete_a_pod, reaches};
use crate::{
    bench::{
        LIMIT, NAMESPACE, Sizes,
        adapter::{Adapter, Ask, Stage},
        ground::{Ground, LEASE_SECONDS},
        make::make,
        report::Round,
    },
    observer::{Change, Observer},
    operator::Operators,
    wait::{self, Look},
};

/// How long it is looked whether anything is done twice, once the first leader is back.
const LOOK: Duration = Duration::from_secs(5);
/// How long a change of leaders may take.
const ELECTION: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Killed,
    Suspended,
}

pub(super) async fn run(
    ground: &mut Ground,
    adapter: &Adapter,
    sizes: Sizes,
    round: &mut Round,
) -> Result<()> {
    let operators = ground.replicas(2);
    let done = rounds(ground, &operators, adapter, sizes, round).await;
    let stopped = operators.stop_all().await;
    match done {
        Ok(()) => stopped,
        Err(error) => bail!("{error:#}\n{}", operators.log_tails(40).await),
    }
}

async fn rounds(
    ground: &Ground,
    operators: &Operators,
    adapter: &Adapter,
    sizes: Sizes,
    round: &mut Round,
) -> Result<()> {
    let observer = Observer::start(ground.kube.client.clone()).await?;
    operators.start_all().await?;
    operators.leader(ELECTION).await?;
    let (api, ask) = (adapter.api(&ground.kube.client), Ask::new("web", sizes.failover_instances));
    make(&api, std::iter::once(adapter.object(&ask))).await?;
    for _ in 0..sizes.failovers {
        for how in [How::Killed, How::Suspended] {
            reaches(&api, adapter, &ask, Stage::Ready).await?;
            once(ground, operators, &observer, how, round).await?;
        }
    }
    let violations = observer.ledger().violations(NAMESPACE);
    anyhow::ensure!(violations.is_empty(), "{violations:?}");
    Ok(())
}

async fn once(
    ground: &Ground,
    operators: &Operators,
    observer: &Observer,
    how: How,
    round: &mut Round,
) -> Result<()> {
    // The other one has to have seen what is there, or its start is measured.
    tokio::time::sleep(LOOK).await;
    let (leader, _) = operators.leader(ELECTION).await?;
    let mark = observer.mark();
    let begin = Instant::now();
    match how {
        How::Killed => operators.kill(leader).await?,
        How::Suspended => operators.suspend(leader).await?,
    }
    delete_a_pod(&ground.kube, "web").await?;
    let made = || -> Vec<Instant> {
        let ledger = observer.ledger();
        let added = ledger.of_namespace(mark, NAMESPACE).filter(|entry| entry.change == Change::Added);
        added.map(|entry| entry.at).collect()
    };
    let first = wait::until("the Pod to be made anew", LIMIT, || async {
        Ok(made().first().map_or_else(|| Look::NotYet("it is not".to_owned()), |at| Look::Done(*at)))
    })
    .await?;
    let (next, _) = operators.leader_other_than(Some(leader), ELECTION).await?;
    let barrier = operators.barrier(next).await?.context("the new leader passed no barrier")?.as_secs_f64();
    if how == How::Suspended {
        operators.resume(leader).await?;
    }
    operators.start_all().await?;
    tokio::time::sleep(LOOK).await;
    let beyond = made().len().checked_sub(1).ok_or_else(|| anyhow!("the Pod is not there any more"))?;
    let took = first.duration_since(begin).as_secs_f64();
    let what = match how {
        How::Killed => "killed",
        How::Suspended => "suspended",
    };
    println!("{took:>8.1} s  leader {what} to Pod made anew");
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let figures = [
        ("to Pod made anew, s", took),
        ("barrier in it, s", barrier),
        ("beyond lease and barrier, s", took - f64::from(LEASE_SECONDS) - barrier),
        ("Pods too many", beyond as f64),
    ];
    for (name, value) in figures {
        round.figures.entry(format!("leader {what}: {name}")).or_default().push(value);
    }
    Ok(())
}
