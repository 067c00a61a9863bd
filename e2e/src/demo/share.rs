//! Two tenants: production arrives on a cluster full of batch work, which makes room and comes back.
//!
//! Called by the story.

use anyhow::{Result, ensure};

use super::story::Story;
use crate::{
    kube_api::number,
    observer::{Change, Entry},
};

/// Batch work: one instance for each simulated node.
const CRUNCH: (&str, u32) = ("crunch", super::NODES);
/// Production, and how many instances it has. Each takes the place of one of the others.
const SHOP: (&str, u32) = ("shop", 20);

impl Story<'_> {
    /// Two tenants share the cluster.
    pub(super) async fn share(&mut self) -> Result<()> {
        self.view.say("\n(4) Two tenants share the cluster. Batch work fills every node.");
        self.kubectl("apply", "roles.yaml").await?;
        self.kubectl("apply", "crunch.yaml").await?;
        self.until("batch work fills the nodes", "50 batch instances fill the cluster", |frame| {
            frame.runs(CRUNCH.0, CRUNCH.1, "Running")
        })
        .await?;
        let mark = self.world.observer.mark();
        self.view.say("    Production arrives: there is no room for it, and batch work makes some.");
        self.kubectl("apply", "shop.yaml").await?;
        let left = i64::from(CRUNCH.1 - SHOP.1);
        self.until(
            "production arrives",
            "20 production instances run in the place of 20 of batch",
            |frame| {
                let batch = frame.service(CRUNCH.0);
                frame.runs(SHOP.0, SHOP.1, "Running")
                    && batch.is_some_and(|batch| number(batch, "/status/counts/running") == left)
            },
        )
        .await?;
        let ended = {
            let ledger = self.world.observer.ledger();
            let had_node = |entry: &&Entry| entry.change == Change::Deleted && entry.pod.node.is_some();
            ledger.of_namespace(mark, "research").filter(had_node).count()
        };
        ensure!(ended == SHOP.1 as usize, "{ended} batch Pods had to go for {} of production", SHOP.1);
        self.view.say(&format!("    Exactly {ended} batch Pods had to go."));
        self.kubectl("delete", "shop.yaml").await?;
        self.until("production leaves", "all 50 batch instances are back", |frame| {
            frame.runs(CRUNCH.0, CRUNCH.1, "Running")
        })
        .await
    }
}
