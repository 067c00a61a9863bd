//! Reads a cron and its runs live, past the watches: after a write of which the outcome is not known, and before a run that
//! is not seen is taken for one that was removed.
//!
//! The cron is read first, so that the runs are at least as new. Called by the cron's controller.

use kube::{Api, Client, api::ListParams};
use tokio::time::timeout;

use super::{
    super::{
        Index, Kind, SettleError,
        live::{TIMEOUT, list, uids},
        meta,
    },
    row::AnyCron,
};
use crate::{
    CronKey,
    api::{AnyJob, labels},
    metrics::Verb,
};

/// Reads the cron and its runs and takes what was read for what is.
///
/// # Errors
/// When the API server can't be read; the cron then stays unsettled.
pub async fn settle_cron(client: &Client, index: &Index, key: &CronKey) -> Result<(), SettleError> {
    timeout(TIMEOUT, read(client, index, key)).await.map_err(|_| SettleError::Timeout)?
}

async fn read(client: &Client, index: &Index, key: &CronKey) -> Result<(), SettleError> {
    let metrics = &index.metrics;
    let itself = ListParams::default().fields(&format!("metadata.name={}", key.name));
    let crons = list::<AnyCron>(client, &key.namespace, metrics, Kind::Cron, itself).await?;
    index.learn_all(Kind::Cron, &crons);
    index.listed_cron(key, crons.version, &uids(&crons));
    let ours = ListParams::default().labels(&format!("{}={}", labels::CRON, key.name));
    let runs = list::<AnyJob>(client, &key.namespace, metrics, Kind::Job, ours).await?;
    index.learn_all(Kind::Job, &runs);
    let mut present = uids(&runs);
    // What stands where a run would need not say whose it is.
    let api: Api<AnyJob> = Api::namespaced(client.clone(), &key.namespace);
    for name in index.runs_beside(key, &present) {
        let read = api.get_opt(&name).await;
        metrics.answered(Verb::get, &read);
        let read = read.map_err(|source| SettleError::List { kind: Kind::Job, source: Box::new(source) })?;
        if let Some(job) = read {
            present.extend(meta::uid(kube::Resource::meta(&job)).ok());
            index.learn(Kind::Job, &job);
        }
    }
    index.listed_runs(key, runs.version, &present);
    metrics.settled();
    Ok(())
}
