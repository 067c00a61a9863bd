//! What the ledger is told of a service.
//!
//! Pure, out of what the index shows. Called by the quota loop.

use borealis_core::{
    admit::ledger::Job,
    model::{Bucket, Revision, Share, Tier},
    plan::batch::asks,
};

use super::place;
use crate::index::{JobView, Tenant};

/// The service as the ledger sees it.
#[must_use]
pub fn job(view: &JobView<'_>, tenant: &Tenant, tier: Option<&Tier>) -> Job {
    let JobView { service, revision, status, upstream, .. } = view;
    let place = place::bucket(service, tenant, tier);
    // What may not be is still what it would be, so that nothing it was granted is given away.
    let bucket = place.as_ref().copied().unwrap_or(Bucket::Production);
    let may_ask = place.is_ok() && !service.deleting;
    let ask = revision.filter(|_| may_ask).map(|revision| Share {
        revision,
        instances: asks(service, *status, upstream),
        each: service.work.each.clone(),
    });
    let recorded = status.and_then(|status| status.admitted.clone());
    let runs = ask.as_ref().map_or(0, |ask| runs(view, ask.revision));
    Job {
        uid: service.uid,
        created: service.work.created,
        role: tenant.role.name.clone(),
        bucket,
        ask,
        recorded,
        runs,
        settled: settled(view),
    }
}

/// How many instances of the config it has, or is known to have had when its spec was last acted on.
fn runs(view: &JobView<'_>, revision: Revision) -> u32 {
    let live = view.tasks.iter().filter(|task| !task.is_terminal() && task.revision == revision).count();
    let live = u32::try_from(live).unwrap_or(u32::MAX);
    // Those of a job that ends have ended, or wait for their turn.
    let acted_on = view
        .status
        .filter(|status| view.service.batch.is_none() && status.observed_revision == Some(revision));
    let seen = acted_on.and_then(|status| status.observed_count);
    live.max(seen.unwrap_or(0))
}

/// The one config of all its Pods and how many those are, while no update goes on.
fn settled(view: &JobView<'_>) -> Option<(Revision, u32)> {
    let status = view.status.filter(|_| !view.updating)?;
    // The config of a job never changes.
    let good = if view.service.batch.is_some() { view.revision? } else { status.last_good? };
    let mut live = view.tasks.iter().filter(|task| !task.is_terminal());
    let count = live.clone().count();
    live.all(|task| task.revision == good).then(|| (good, u32::try_from(count).unwrap_or(u32::MAX)))
}
