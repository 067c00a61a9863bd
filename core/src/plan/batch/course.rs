//! What a job as a whole is up to: it waits, runs, is suspended, or it is decided how it ends.
//!
//! A decision is recorded and never taken again. What a job asks of its role's quota follows from the same rules, so a
//! job that asks for nothing is one that starts nothing.

use jiff::Timestamp;

use crate::model::{
    Batch, BatchFailure, BatchStatus, Parent, ParentKind, Phase, Service, ServiceStatus, Upstream,
};

use super::{
    super::{Plan, ending::later},
    Scene,
    status::parent_name,
};

/// What a job is up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// Nothing of it is started yet.
    Waits(Wait),
    /// What runs is ended, nothing is started.
    Suspended,
    /// Since when it runs.
    Runs(Timestamp),
    /// How it ends is decided.
    Over {
        /// When it had started, where it had.
        started: Option<Timestamp>,
        /// When it was decided.
        ended: Timestamp,
        /// Why it has failed; `None` where it has succeeded.
        failure: Option<BatchFailure>,
    },
}

/// What keeps a job from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// It waits for itself along this way.
    Cycle(String),
    /// Its cron has not recorded it as a run.
    Unconfirmed,
    /// Parents that have not ended as they must; none where it is yet to be recorded that they have.
    Parents(Vec<Parent>),
}

impl Course {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over { .. })
    }
}

/// How many instances a job is to be charged for: all while it runs, none while it waits, is suspended, or has ended. What
/// asks for nothing starts nothing, whatever it is granted.
pub fn asks(service: &Service, status: Option<&ServiceStatus>, upstream: &Upstream<'_>) -> u32 {
    let Some(batch) = &service.batch else { return service.instances };
    let has_run = status.is_some_and(|status| status.observed_revision.is_some());
    let recorded = status.and_then(|status| status.batch.as_deref());
    let rests = match recorded {
        Some(recorded) if recorded.phase.is_terminal() => true,
        // Its last Pods are ending.
        Some(BatchStatus { ended: Some(_), .. }) => !has_run,
        _ if batch.kill.is_some() => !has_run,
        _ => batch.suspend || wait(service, batch, status, upstream).is_some(),
    };
    if rests { 0 } else { service.instances }
}

/// Whether it is decided that the job ends, or it shall end now: that goes on whatever stands in the way of running it.
pub(super) fn is_to_end(batch: &Batch, known: &ServiceStatus) -> bool {
    batch.kill.is_some() || known.batch.as_ref().is_some_and(|batch| batch.ended.is_some())
}

/// What the job is up to now.
pub(super) fn course(scene: &Scene<'_>, plan: &mut Plan) -> Course {
    let Scene { fleet, batch, known, tally, .. } = scene;
    let recorded = known.batch.as_deref();
    let started = recorded.and_then(|recorded| recorded.started);
    if let Some(BatchStatus { ended: Some(ended), failure, .. }) = recorded {
        return Course::Over { started, ended: *ended, failure: *failure };
    }
    let over = |failure| Course::Over { started, ended: fleet.now, failure };
    let wait = wait(fleet.view.service, batch, fleet.view.status, &fleet.view.upstream);
    let all = fleet.view.service.instances;
    let within = |instances: &crate::model::Ranges| instances.iter().take_while(|it| *it < all).count();
    let (succeeded, failed) = (within(&tally.succeeded), within(&tally.failed));
    if wait.is_none() {
        if succeeded >= batch.min_succeeded.map_or(all, |least| least.min(all)) as usize {
            return over(None);
        }
        if succeeded + failed >= all as usize {
            return over(Some(BatchFailure::Instances));
        }
    }
    if let Some(reason) = batch.kill {
        return over(Some(BatchFailure::Killed(reason)));
    }
    if let Some(wait) = wait {
        return Course::Waits(wait);
    }
    if batch.suspend {
        return Course::Suspended;
    }
    let started = started.unwrap_or(fleet.now);
    if let Some(seconds) = batch.job_timeout_seconds {
        let due = later(started, seconds.into());
        if fleet.now >= due {
            return over(Some(BatchFailure::TimedOut));
        }
        plan.check_at(due);
    }
    Course::Runs(started)
}

/// What keeps a job from starting that has not started yet.
fn wait(
    service: &Service,
    batch: &Batch,
    status: Option<&ServiceStatus>,
    upstream: &Upstream<'_>,
) -> Option<Wait> {
    // What has begun goes on, whatever becomes of those it has waited for.
    let has_begun = |status: &ServiceStatus| {
        let runs = status.batch.as_ref().is_some_and(|batch| batch.phase == Phase::Running);
        runs || status.highest_run > 0
    };
    if status.is_some_and(has_begun) {
        return None;
    }
    if let Some(cycle) = upstream.cycle {
        return Some(Wait::Cycle(cycle.to_owned()));
    }
    if batch.run_of.is_some() && !upstream.confirmed {
        return Some(Wait::Unconfirmed);
    }
    let recorded = |parent: &Parent| {
        let recorded = status.and_then(|status| status.batch.as_deref());
        recorded.is_some_and(|recorded| recorded.parents_ended.contains(&parent_name(parent)))
    };
    if batch.parents.iter().all(recorded) {
        return None;
    }
    let ended = parents_ended(service, batch, status, upstream);
    let missing = batch.parents.iter().filter(|parent| !ended.contains(&parent_name(parent)));
    Some(Wait::Parents(missing.cloned().collect()))
}

/// The parents that have ended as they must, by what is recorded and what is seen: who has ended once may be gone by the
/// time that quota or a person lets the job begin.
pub(super) fn parents_ended(
    service: &Service,
    batch: &Batch,
    status: Option<&ServiceStatus>,
    upstream: &Upstream<'_>,
) -> Vec<String> {
    let has_ended = |at: usize, parent: &Parent| {
        let end = upstream.parents.get(at).and_then(|seen| seen.end(parent.when));
        // A job ends once; of a cron only what ran since this job was made counts.
        end.is_some_and(|end| parent.kind == ParentKind::Job || end > service.work.created)
    };
    let recorded = status.and_then(|status| status.batch.as_deref());
    let mut ended = recorded.map_or(Vec::new(), |recorded| recorded.parents_ended.clone());
    for name in batch.parents.iter().map(parent_name) {
        // One may be named twice, once to end and once to succeed.
        let mut same = batch.parents.iter().enumerate().filter(|(_, parent)| parent_name(parent) == name);
        if !ended.contains(&name) && same.all(|(at, parent)| has_ended(at, parent)) {
            ended.push(name);
        }
    }
    ended
}
