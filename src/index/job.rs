//! A service as the quota ledger sees it: what is recorded of it and what runs, also while it is too unsettled to plan.
//!
//! What was granted has to be known of every service before anything is given to another, so this answers where a view
//! can't: then without what the service asks for. Decides nothing. Called by the quota loop.

use borealis_core::model::{Revision, Service, ServiceStatus, Task, Upstream};

use super::{Index, state::State};
use crate::JobKey;

/// What is known of a service.
#[derive(Debug)]
pub struct JobView<'a> {
    /// Its spec, with the config that was last known.
    pub service: &'a Service,
    /// The config its spec asks for; `None` while that can't be told or used.
    pub revision: Option<Revision>,
    /// Its status.
    pub status: Option<&'a ServiceStatus>,
    /// Its tasks.
    pub tasks: &'a [Task],
    /// An update goes on.
    pub updating: bool,
    /// What it waits for.
    pub upstream: Upstream<'a>,
}

impl Index {
    /// Shows a service to `look`, under its lock: `look` must be quick, and ask the index nothing but tenancy.
    pub fn job<R>(&self, key: &JobKey, look: impl FnOnce(&JobView<'_>) -> R) -> Option<R> {
        let slot = self.find(key)?;
        let (tenant, others) = (self.tenant(&key.namespace), self.others(&slot));
        let mut state = slot.lock();
        state.expect_tier(&tenant.role.default_tier);
        let row = state.service.rows().first()?;
        let is_usable = row.problem.is_none() && others.namesake.is_none() && !row.outdated;
        let config = match self.resolve(&slot.key, &state) {
            Ok(None) => Some(row.service.revision),
            Ok(Some(resolved)) => resolved.problem.is_none().then_some(resolved.service.revision),
            Err(_) => None,
        };
        Some(look(&JobView {
            service: &row.service,
            revision: config.filter(|_| is_usable),
            status: row.status.as_ref(),
            tasks: &state.tasks(),
            updating: state.is_updating(),
            upstream: others.upstream.upstream(),
        }))
    }
}

impl State {
    /// Whether the newest update goes on, or may.
    fn is_updating(&self) -> bool {
        self.updates.rows().last().is_some_and(|newest| newest.whole.is_none() || newest.goes_on())
    }
}

/// A service that asks for nothing.
#[cfg(test)]
pub(crate) fn no_service() -> Service {
    super::rows::nothing(borealis_core::model::Uid::new(1))
}
