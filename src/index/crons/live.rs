//! Reads a cron and its runs live, past the watches: after a write of which the outcome is not known, and before a run that
//! is not seen is taken for one that was removed.
//!
//! The cron is read first, so that the runs are at least as new; each run by its name, since the API server would walk all
//! jobs of the namespace for a label. Called by the cron's controller.

use kube::{Client, api::ListParams};
use tokio::time::timeout;

use super::{
    super::{
        Index, Kind, SettleError,
        live::{TIMEOUT, list, uids},
    },
    row::AnyCron,
};
use crate::{CronKey, JobKey, api::AnyJob};

/// Reads the cron and its runs and takes what was read for what is.
///
/// # Errors
/// When the API server can't be read; the cron then stays unsettled.
pub async fn settle_cron(client: &Client, index: &Index, key: &CronKey) -> Result<(), SettleError> {
    timeout(TIMEOUT, read(client, index, key)).await.map_err(|_| SettleError::Timeout)?
}

async fn read(client: &Client, index: &Index, key: &CronKey) -> Result<(), SettleError> {
    let metrics = &index.metrics;
    let named = |name: &str| ListParams::default().fields(&format!("metadata.name={name}"));
    let doubts = index.doubts(key);
    let _awaited = index.await_cron(key);
    let crons = list::<AnyCron>(client, &key.namespace, metrics, Kind::Cron, named(&key.name)).await?;
    index.learn_all(Kind::Cron, &crons);
    index.listed_cron(key, crons.version, &uids(&crons));
    for name in index.runs_of(key) {
        let run = JobKey::job(&key.namespace, &name);
        let _awaited = index.await_answers(&run);
        let jobs = list::<AnyJob>(client, &key.namespace, metrics, Kind::Job, named(&name)).await?;
        index.learn_all(Kind::Job, &jobs);
        index.read_run(&run, jobs.version, &uids(&jobs));
    }
    index.settled_cron(key, crons.version, doubts);
    metrics.settled();
    Ok(())
}
