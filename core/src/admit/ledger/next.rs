//! What a job is to be granted next, and what it gives back: from what is recorded of it and what it asks for.
//!
//! Knows nothing of quota or of other jobs. Called by `account`.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::model::{Bucket, Grant, Share};

use super::Job;

/// A grant that a job lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) grant: Grant,
    /// It has what is granted already: it is written down, whatever the quota says.
    pub(super) adopts: bool,
}

/// The grant the job lacks for what it asks, where it has `grant`.
pub(super) fn next(job: &Job, grant: Option<&Grant>, now: Timestamp) -> Option<Next> {
    let ask = job.ask.as_ref().filter(|_| job.bucket == Bucket::Production)?;
    let Some(grant) = grant else {
        let adopts = job.runs > 0;
        let instances = if adopts { job.runs } else { ask.instances };
        let share = Share { instances, ..ask.clone() };
        return Some(Next { grant: Grant { number: 1, share, previous: None, time: now }, adopts });
    };
    if grant.covers(ask.revision, ask.instances) {
        return None;
    }
    let previous = previous(job, grant, ask);
    let grant = Grant { number: grant.number.saturating_add(1), share: ask.clone(), previous, time: now };
    Some(Next { grant, adopts: false })
}

/// What may run of an earlier grant until what is asked for is brought about.
fn previous(job: &Job, grant: &Grant, ask: &Share) -> Option<Share> {
    let had: Vec<&Share> = grant.previous.iter().chain([&grant.share]).collect();
    let settled = job.settled.and_then(|(revision, _)| had.iter().find(|share| share.revision == revision));
    let runs = settled.map_or(&had[..], std::slice::from_ref);
    let counts = |share: &&&Share| share.revision != ask.revision || share.instances > ask.instances;
    let mut counted = runs.iter().filter(counts);
    let first = (*counted.next()?).clone();
    // Of a chain of updates that took each other's place instances of any may run: together no more than this.
    Some(counted.fold(first, |sum, share| Share {
        revision: sum.revision,
        instances: sum.instances.max(share.instances),
        each: sum.each.max(&share.each),
    }))
}

/// What is left of the grant once the job gives back what it does not need any more: what it is to record.
pub(super) fn reduced(job: &Job, grant: &Grant) -> Option<Grant> {
    let Some((revision, pods)) = job.settled else { return Some(grant.clone()) };
    let Some(ask) = &job.ask else { return Some(grant.clone()) };
    if job.bucket != Bucket::Production {
        // What runs is not limited any more, once it is of the config that is not.
        return (revision != ask.revision).then(|| grant.clone());
    }
    if revision != grant.share.revision {
        return Some(grant.clone());
    }
    let is_asked = grant.covers(ask.revision, ask.instances);
    let instances = if is_asked { ask.instances } else { grant.share.instances };
    match pods.cmp(&instances) {
        Ordering::Greater => Some(grant.clone()),
        Ordering::Less | Ordering::Equal => {
            let share = Share { instances, ..grant.share.clone() };
            Some(Grant { share, previous: None, ..grant.clone() })
        }
    }
}
