//! A job's plan, held to what the job was granted: nothing is brought about that its own status does not record.
//!
//! A grant is recorded first, in the status that the plan writes, and acted on in the plan after that one. While the
//! spec asks for more, the job runs on with what was last acted on, or with nothing where nothing was. Called by the
//! service controller in the place of `plan`.

use crate::{
    model::{Grant, Service, ServiceStatus},
    plan::{Plan, Problem, ServiceView, batch::asks},
};

use super::Shortage;

/// How a job stands with the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The grant that its status is to record.
    pub grant: Option<Grant>,
    /// Whether it may go beyond that.
    pub verdict: Verdict,
}

/// Whether a job is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The ledger does not know the job yet: what its status records goes for now.
    Unknown,
    /// Quota does not limit it.
    Free,
    /// It may bring about what it was granted; if it asks for more, that will be decided.
    Limited,
    /// It waits for quota.
    Held(Box<Shortage>),
}

impl Admission {
    /// Nothing is known of the job.
    pub const fn unknown() -> Self {
        Self { grant: None, verdict: Verdict::Unknown }
    }
}

/// The plan of a job within its grant. `obstacle` is why it is not granted what it asks for, or must not be.
pub fn plan_admitted(
    view: &ServiceView<'_>,
    admission: &Admission,
    obstacle: Option<&Problem>,
    plan: impl FnOnce(&ServiceView<'_>) -> Plan,
) -> Plan {
    let recorded = view.status.and_then(|status| status.admitted.as_ref());
    let record = match admission.verdict {
        Verdict::Unknown => recorded.cloned(),
        Verdict::Free | Verdict::Limited | Verdict::Held(_) => admission.grant.clone(),
    };
    let mut plan = if may_go(view, admission, recorded) && obstacle.is_none() {
        plan(view)
    } else if let Some(service) = within(view, recorded) {
        let problem = view.problem.or(obstacle);
        plan(&ServiceView { service: &service, problem, ..view.clone() })
    } else if let Some(obstacle) = obstacle.or(view.problem) {
        let obstacle = Problem { blocks: true, ..obstacle.clone() };
        // What does not block would let all of it through.
        let blocks = view.problem.filter(|problem| problem.blocks);
        // A spec that says what it asks for is believed: so many instances have no place.
        let mut status = view.status.cloned().unwrap_or_default();
        if blocks.is_none() {
            status.counts.desired = view.service.instances;
        }
        let (status, problem) = (Some(&status), Some(blocks.unwrap_or(&obstacle)));
        plan(&ServiceView { status, problem, ..view.clone() })
    } else {
        // It was made a moment ago, and nobody has decided about it.
        Plan::default()
    };
    if let Some(status) = &mut plan.status {
        status.admitted = record;
    }
    plan
}

/// Whether all that the spec asks for may be brought about now.
fn may_go(view: &ServiceView<'_>, admission: &Admission, recorded: Option<&Grant>) -> bool {
    let asked = asks(view.service, view.status, &view.upstream);
    let covers = |grant: Option<&Grant>| grant.is_some_and(|it| it.covers(view.service.revision, asked));
    match admission.verdict {
        Verdict::Free => true,
        // A job that asks for nothing starts nothing.
        _ if asked == 0 && view.service.batch.is_some() => true,
        Verdict::Unknown | Verdict::Held(_) => covers(recorded),
        // The first plan of a service makes no Pods but records that there is one: it may record the grant as well.
        Verdict::Limited => covers(recorded) || (is_new(view.status) && covers(admission.grant.as_ref())),
    }
}

fn is_new(status: Option<&ServiceStatus>) -> bool {
    status.is_none_or(|status| status.observed_revision.is_none())
}

/// The service as it was last acted on; `None` where it never was.
fn within(view: &ServiceView<'_>, recorded: Option<&Grant>) -> Option<Service> {
    let (spec, status) = (view.service, view.status?);
    let goes_on = view
        .update
        .filter(|update| update.progress.as_ref().is_none_or(|progress| !progress.state.is_terminal()));
    let brought = goes_on.and_then(|update| Some(update.instructions.to.as_ref()?.0));
    let revision = brought.or(status.observed_revision)?;
    let seen = || status.observed_count.unwrap_or(spec.instances);
    let mut service = spec.clone();
    let granted = recorded.filter(|grant| grant.share.revision == revision);
    let granted = spec.instances.min(granted.map_or_else(seen, |grant| grant.share.instances));
    if let Some(batch) = &mut service.batch {
        // How it ends hangs on all of its instances: fewer of them run at a time.
        batch.parallelism = Some(batch.parallelism.unwrap_or(granted).min(granted));
    } else if revision == spec.revision {
        service.instances = granted;
    } else {
        // A change of config and count in one is held back as a whole.
        service.instances = goes_on.map_or_else(seen, |update| update.instructions.asked);
        service.update.scope =
            goes_on.map_or_else(|| status.observed_scope.clone(), |update| update.settings.scope.clone());
        service.revision = revision;
    }
    Some(service)
}
