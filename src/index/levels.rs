//! The service levels: what tasks do is noted as it is seen, and reckoned up by role and tier once a minute.
//!
//! What counts how is `borealis_core::service_levels`; here is whose it is. The groups are bounded: namespaces that no
//! AuroraRole claims are one, and so are tiers that there are not. Noted by `kinds`, `feed` and `live`; reckoned by the service
//! controller.

use std::{collections::BTreeMap, sync::Arc};

use borealis_core::{
    model::{Instance, JobKind, Run, Task, TaskState},
    service_levels::{Sighting, Standing, Tally},
};
use jiff::Timestamp;

use super::{Index, packed::TaskRow, state::State};

/// The role of all namespaces that no AuroraRole claims. No AuroraRole can have this name.
const UNCLAIMED: &str = "unclaimed.";
/// The tier of services whose tier there is not. No Tier can have this name.
const UNKNOWN: &str = "unknown.";

/// Services that are reckoned as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// The AuroraRole that has their namespaces.
    pub role: Arc<str>,
    /// Their tier.
    pub tier: Arc<str>,
}

/// What was found of each group.
pub type Levels = BTreeMap<Group, Tally>;

impl Index {
    /// How well services were served in the window that ends now; the next begins.
    pub fn service_levels(&self, now: Timestamp) -> Levels {
        let mut levels = Levels::new();
        for slot in self.slots() {
            if slot.key.kind != JobKind::Service {
                continue;
            }
            let mut state = slot.lock();
            let wanted = state.service.rows().first().filter(|row| !row.service.deleting);
            let Some(service) = wanted.map(|row| &row.service) else {
                state.levels = None;
                continue;
            };
            let instances = service.instances;
            let group = self.group(&slot.key.namespace, &service.work.tier);
            state.reckon(instances, now, levels.entry(group).or_default());
        }
        levels
    }

    fn group(&self, namespace: &str, tier: &Arc<str>) -> Group {
        let tenancy = self.read_tenancy();
        let tenant = tenancy.tenant(namespace);
        Group {
            role: if tenant.claimed { Arc::clone(&tenant.role.name) } else { UNCLAIMED.into() },
            tier: if tenancy.tier(tier).is_some() { Arc::clone(tier) } else { UNKNOWN.into() },
        }
    }
}

impl State {
    /// Notes that a task came, went or changed: `before` is what was known, `after` where it is now.
    pub(super) fn note(
        &mut self,
        kind: JobKind,
        before: Option<&TaskRow>,
        after: Option<&(Instance, Run)>,
        scheduled: Option<Timestamp>,
    ) {
        let after = after.and_then(|key| self.pods.get(key)).map(|(task, _)| task);
        let Some(task) = after.or(before) else { return };
        // Most news changes no state, and needs no unpacking.
        if kind != JobKind::Service || before.map(TaskRow::state) == after.map(TaskRow::state) {
            return;
        }
        let (instance, run) = (task.instance(), task.run());
        let others: Vec<(Run, TaskState)> = self
            .runs_of(instance)
            .iter()
            .filter(|other| other.run() != run)
            .map(|other| (other.run(), other.state()))
            .collect();
        let (before, after): (Option<Task>, Option<Task>) =
            (before.map(TaskRow::unpack), after.map(TaskRow::unpack));
        let seen = Sighting { before: before.as_ref(), after: after.as_ref(), scheduled, others: &others };
        let mut ledger = self.levels.take().unwrap_or_default();
        ledger.note(&seen, Timestamp::now());
        self.levels = Some(ledger).filter(|ledger| !ledger.is_empty());
    }

    fn reckon(&mut self, wanted: u32, now: Timestamp, tally: &mut Tally) {
        let mut ledger = self.levels.take().unwrap_or_default();
        let standing = self.pods.rows().iter().map(|task| Standing {
            instance: task.instance(),
            run: task.run(),
            state: task.state(),
            ready_since: task.ready_since(),
        });
        ledger.close(wanted, standing, now, tally);
        self.levels = Some(ledger).filter(|ledger| !ledger.is_empty());
    }

    /// The tasks of an instance.
    fn runs_of(&self, instance: Instance) -> &[TaskRow] {
        let rows = self.pods.rows();
        let from = rows.partition_point(|task| task.instance() < instance);
        let to = rows.partition_point(|task| task.instance() <= instance);
        &rows[from..to]
    }
}
