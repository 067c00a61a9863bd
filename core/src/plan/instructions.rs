//! What an update shall do: the difference between what runs and what shall run (Aurora: JobDiff), and the order
//! in which its instances are taken on.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{Instance, Instructions, Ranges, Revision, Service, ServiceStatus, Update};

use super::{fleet::Fleet, targets};

/// The instructions that bring the job to its spec, as far as its scope goes; `None` where nothing differs. With a
/// restart, tasks made before it differ whatever they run.
pub(super) fn instructions(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    base: Option<Vec<(Revision, Ranges)>>,
    restart_at: Option<Timestamp>,
) -> Option<Instructions> {
    let service = fleet.view.service;
    let settled_count = targets::settled_count(fleet, known);
    let previous_count = match &base {
        // What a superseded one has added goes again, unless the scope keeps it.
        Some(_) => {
            let kept = (settled_count..came(fleet)).take_while(|it| !service.update.allows(*it));
            kept.last().map_or(settled_count, |last| last + 1)
        }
        None => settled_count.max(came(fleet)),
    };
    let (mut from, mut to) = (BTreeMap::<Revision, Ranges>::new(), Ranges::default());
    let reached = reached(service, previous_count);
    let is_old = |instance| {
        let live = fleet.live(instance).or_else(|| fleet.newest(instance));
        restart_at.is_some_and(|at| live.is_some_and(|task| task.created < at))
    };
    // Whatever is beyond both counts goes at once, with the update or without.
    for instance in (0..service.instances.max(previous_count)).filter(|it| service.update.allows(*it)) {
        let runs = targets::own_revision(fleet, known, instance, previous_count);
        let shall = (instance < reached).then_some(service.revision);
        if runs == shall && !(shall.is_some() && is_old(instance)) {
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
        instances: reached,
        asked: service.instances,
        previous_instances: previous_count,
        last_good: known.last_good,
        takes_back: None,
        in_place: Vec::new(),
    })
}

/// How many instances an update comes to: the scope says which of those that the spec adds or takes away it may touch,
/// and instances are numbered without gaps.
fn reached(service: &Service, previous: u32) -> u32 {
    let is_kept = |instance: &Instance| !service.update.allows(*instance);
    if service.instances > previous {
        return (previous..service.instances).find(is_kept).unwrap_or(service.instances);
    }
    (service.instances..previous).rev().find(is_kept).map_or(service.instances, |last| last + 1)
}

/// The instructions that take back an update which has ended: where it changed something, what was before; the count
/// goes back with it unless that was changed since.
pub(super) fn undoing(fleet: &Fleet<'_>, known: &ServiceStatus, update: &Update) -> Option<Instructions> {
    let service = fleet.view.service;
    let done = &update.instructions;
    let (undone, _) = done.to.as_ref()?;
    let most = done.from.iter().max_by_key(|(_, ranges)| ranges.len()).map(|(revision, _)| *revision);
    let last_good = done.last_good.filter(|good| good != undone).or(most).or(known.last_good);
    let count = targets::settled_count(fleet, known);
    let goes_back = service.instances == done.asked;
    let previous_instances = if goes_back { done.previous_instances } else { count };
    let (mut from, mut to) = (BTreeMap::<Revision, Ranges>::new(), Ranges::default());
    for instance in 0..count.max(previous_instances) {
        let runs = targets::own_revision(fleet, known, instance, count);
        // What came after the update runs what it had proven, and goes with it; what had run it before stays.
        let came = instance >= done.previous_instances && runs == Some(*undone);
        let own = || if came { last_good } else { runs.or(last_good) };
        let shall = if instance < previous_instances { done.back(instance).or_else(own) } else { None };
        if shall == runs {
            continue;
        }
        if let Some(revision) = shall {
            from.entry(revision).or_default().insert(instance);
        }
        if shall.is_none() || runs == Some(*undone) {
            to.insert(instance);
        }
    }
    (!from.is_empty() || !to.is_empty()).then(|| Instructions {
        from: from.into_iter().collect(),
        to: Some((*undone, to)),
        base: Vec::new(),
        instances: count,
        asked: service.instances,
        previous_instances,
        last_good,
        takes_back: Some(update.number),
        in_place: Vec::new(),
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
