//! What an update shall do: the difference between what runs and what shall run (Aurora: JobDiff), and the order
//! in which its instances are taken on.

use std::collections::BTreeMap;

use crate::model::{Instance, Instructions, Ranges, Revision, ServiceStatus};

use super::{fleet::Fleet, targets};

/// The instructions that bring the job to its spec; `None` where nothing differs.
pub(super) fn instructions(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    base: Option<Vec<(Revision, Ranges)>>,
) -> Option<Instructions> {
    let service = fleet.view.service;
    let settled_count = targets::settled_count(fleet, known);
    let previous_count = match &base {
        Some(_) => settled_count,
        None => settled_count.max(came(fleet)),
    };
    let (mut from, mut to) = (BTreeMap::<Revision, Ranges>::new(), Ranges::default());
    let mut running = BTreeMap::<Revision, Ranges>::new();
    // Whatever is beyond both counts goes at once, with the update or without.
    for instance in 0..service.instances.max(previous_count) {
        let runs = targets::own_revision(fleet, known, instance, previous_count);
        let shall = (instance < service.instances).then_some(service.revision);
        if let Some(revision) = runs {
            running.entry(revision).or_default().insert(instance);
        }
        if runs == shall {
            continue;
        }
        if let Some(revision) = runs {
            from.entry(revision).or_default().insert(instance);
        }
        if shall.is_some() {
            to.insert(instance);
        }
    }
    if from.is_empty() && to.is_empty() {
        return None;
    }
    Some(Instructions {
        from: from.into_iter().collect(),
        // Named even where instances only go: the update is this config's, and ends with another.
        to: Some((service.revision, to)),
        base: base.unwrap_or_default(),
        instances: service.instances,
        previous_instances: previous_count,
    })
}

/// Up to where instances of a change of the count alone have come before the status could say so.
fn came(fleet: &Fleet<'_>) -> u32 {
    let stays = |instance: &Instance| fleet.live(*instance).is_some_and(|task| task.ending.is_none());
    let wanted = fleet.instances().take_while(|instance| *instance < fleet.view.service.instances);
    wanted.filter(stays).last().map_or(0, |last| last + 1)
}

impl Instructions {
    /// The config an instance of the update had.
    pub(super) fn before(&self, instance: Instance) -> Option<Revision> {
        lookup(&self.from, instance)
    }

    /// The config an instance of the update shall have.
    pub(super) fn after(&self, instance: Instance) -> Option<Revision> {
        self.to.as_ref().filter(|(_, ranges)| ranges.contains(instance)).map(|(revision, _)| *revision)
    }

    /// Where a rollback takes an instance.
    pub(super) fn back(&self, instance: Instance) -> Option<Revision> {
        if self.base.is_empty() { self.before(instance) } else { lookup(&self.base, instance) }
    }

    /// Whether the update is about this instance.
    pub(super) fn concerns(&self, instance: Instance) -> bool {
        self.before(instance).is_some() || self.after(instance).is_some()
    }

    /// The instances in the order of the way forward: those that come, those that change, those that go.
    pub(super) fn order(&self) -> Vec<Instance> {
        let to = self.to.iter().flat_map(|(_, ranges)| ranges.iter());
        let from = self.from.iter().flat_map(|(_, ranges)| ranges.iter());
        let all: Ranges = to.chain(from).collect();
        let mut order: Vec<Instance> = all.iter().collect();
        order.sort_by_key(|instance| match (self.before(*instance), self.after(*instance)) {
            (None, _) => 0,
            (Some(_), Some(_)) => 1,
            (Some(_), None) => 2,
        });
        order
    }
}

pub(super) fn lookup(revisions: &[(Revision, Ranges)], instance: Instance) -> Option<Revision> {
    revisions.iter().find(|(_, ranges)| ranges.contains(instance)).map(|(revision, _)| *revision)
}
