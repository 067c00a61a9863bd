//! A cron that runs each minute beside all of it, from the demo's beginning to its end.
//!
//! Called by the story.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use super::{
    frame::{Frame, NAMESPACE},
    story::Story,
};
use crate::{
    kube_api::{at, text},
    observer::{self, Mark},
};

/// The cron.
const REPORT: &str = "report";

impl Story<'_> {
    /// Starts it, and returns since when it is there.
    pub(super) async fn start_cron(&mut self) -> Result<Timestamp> {
        self.view.say("\nA cron is to run each minute beside it.");
        self.kubectl("apply", "report.yaml").await?;
        let cron = serde_json::to_value(self.world.kube.crons(NAMESPACE).get(REPORT).await?)?;
        Ok(text(&cron, "/metadata/creationTimestamp").parse()?)
    }

    /// Each minute since then had its run, and no minute two.
    pub(super) async fn has_run_each_minute(&mut self, since: Timestamp, mark: Mark) -> Result<()> {
        self.view.say("\n(5) All the while a cron ran each minute.");
        let ran =
            |frame: &Frame| frame.crons.iter().any(|cron| cron.outcome == "Succeeded" && cron.active == 0);
        self.until("a run of the cron ends", "the cron has run", ran).await?;
        let cron = serde_json::to_value(self.world.kube.crons(NAMESPACE).get(REPORT).await?)?;
        // The next one may be under way by now.
        let runs = at(&cron, "/status/runs").as_array().cloned().unwrap_or_default();
        let last = runs.iter().find(|run| text(run, "/outcome") == "Succeeded");
        let last: Timestamp = text(last.context("no run has succeeded")?, "/scheduledTime").parse()?;
        let minutes = since.as_second() / 60 + 1..=last.as_second() / 60;
        let due: BTreeSet<i64> = minutes.map(|minute| minute * 60).collect();
        let ran: BTreeSet<i64> = {
            let ledger = self.world.observer.ledger();
            let entries = ledger.of_namespace(mark, NAMESPACE);
            observer::each_once(entries.clone(), REPORT).map_err(anyhow::Error::msg)?;
            let ran = observer::cron_runs(entries, REPORT).into_keys();
            ran.filter(|time| *time <= last.as_second()).collect()
        };
        ensure!(ran == due, "{due:?} were due, {ran:?} ran");
        let table = ["--namespace", NAMESPACE, "get", "auroracrons,aurorajobs"];
        self.view.say(&format!("    $ kubectl {}", table.join(" ")));
        let table = self.world.cluster.kubectl(&table).await?;
        table.lines().for_each(|line| self.view.say(&format!("    {line}")));
        self.view.say(&format!("    {} times were due, and each ran once.", due.len()));
        Ok(())
    }
}
