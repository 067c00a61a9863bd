//! Which instances have no place although they shall run, grouped by why, and what people are told of it.
//!
//! Only what somebody has found an obstacle to counts: an instance whose Pod is about to be made, or has not been looked
//! at by the scheduler, has none. What keeps Pods off the nodes is found elsewhere and stands in the view.

use std::collections::BTreeMap;

use crate::model::{
    ConditionType, Instance, Pending, PendingReason, Ranges, ServiceStatus, Task, Waiting, reasons,
};

use super::super::{Event, Held, fleet::Fleet};

/// Reasons told at most; what is beyond is counted.
const REASONS: usize = 8;
/// Characters of a list of instances at most.
const INSTANCES: usize = 128;

/// The wanted instances without a place, those of the reason of most of them first and those last of whom nobody knows
/// why.
pub(in crate::plan) fn pending(
    fleet: &Fleet<'_>,
    wanted: impl Iterator<Item = Instance>,
    held: &[Held],
) -> Vec<Pending> {
    let held: BTreeMap<Instance, &Held> =
        held.iter().filter_map(|held| Some((held.instance?, held))).collect();
    let mut all = Groups::default();
    for instance in wanted {
        if fleet.lives(instance).any(waits) {
            let known = fleet.view.pending.iter().find(|known| known.instances.contains(instance));
            match known {
                Some(Pending { reason, topic, detail, .. }) => all.add(instance, *reason, topic, detail),
                None => all.add(instance, PendingReason::Scheduling, "The scheduler has found no node", ""),
            }
        } else if fleet.live(instance).is_none() {
            absent(fleet, instance, held.get(&instance).copied(), &mut all);
        }
    }
    all.sorted()
}

/// The instances that are not there and can't be made, since nothing can be done for the service.
pub(super) fn blocked(fleet: &Fleet<'_>, desired: u32) -> Vec<Pending> {
    let mut all = Groups::default();
    for instance in (0..desired).filter(|instance| fleet.live(*instance).is_none()) {
        absent(fleet, instance, None, &mut all);
    }
    all.sorted()
}

fn waits(task: &Task) -> bool {
    task.waiting == Some(Waiting::Unschedulable) && task.node.is_none() && task.ending.is_none()
}

fn absent(fleet: &Fleet<'_>, instance: Instance, held: Option<&Held>, all: &mut Groups) {
    match held.map(|held| (held.reason, held.until)) {
        Some((reasons::THROTTLED, until)) => {
            let until = until.map(|at| format!(" until {at}")).unwrap_or_default();
            all.add(instance, PendingReason::Flapping, "Flapping", &until);
        }
        Some((reasons::REVISION_MISSING, _)) => {
            all.add(instance, PendingReason::ConfigMissing, "Its config is not stored any more", "");
        }
        Some((reasons::NAME_CONFLICT, _)) => {
            all.add(instance, PendingReason::Held, "A Pod that is not the job's has its labels", "");
        }
        // It is being ended, or changed, or about to be made.
        Some(_) => {}
        None => {
            if let Some(problem) = fleet.view.problem {
                all.add(instance, PendingReason::Held, &format!("Held by {}", problem.reason), "");
            }
        }
    }
}

#[derive(Default)]
struct Groups(BTreeMap<(PendingReason, String, String), Vec<Instance>>);

impl Groups {
    fn add(&mut self, instance: Instance, reason: PendingReason, topic: &str, detail: &str) {
        self.0.entry((reason, topic.to_owned(), detail.to_owned())).or_default().push(instance);
    }

    fn sorted(self) -> Vec<Pending> {
        let group = |((reason, topic, detail), instances): ((_, _, _), Vec<_>)| Pending {
            reason,
            topic,
            detail,
            instances: instances.into_iter().collect(),
        };
        let mut all: Vec<Pending> = self.0.into_iter().map(group).collect();
        let is_vague = |pending: &Pending| pending.reason == PendingReason::Scheduling;
        all.sort_by_key(|pending| (is_vague(pending), std::cmp::Reverse(pending.instances.len())));
        all
    }
}

/// The condition: whether nothing is without a place, in a word and a sentence.
pub(in crate::plan) fn words(pending: &[Pending], wanted: usize) -> (bool, &'static str, String) {
    let count: u32 = pending.iter().map(|pending| pending.instances.len()).sum();
    if count == 0 {
        return (true, reasons::ALL_PLACED, String::new());
    }
    let mut parts: Vec<String> = pending.iter().take(REASONS).map(sentence).collect();
    if let Some(more) = pending.len().checked_sub(REASONS).filter(|more| *more > 0) {
        parts.push(format!("and {more} more reasons"));
    }
    (false, reasons::PENDING, format!("{count} of {wanted} instances have no place: {}", parts.join("; ")))
}

/// What people have not been told yet: reasons that the recorded condition does not name.
pub(in crate::plan) fn news(recorded: Option<&ServiceStatus>, pending: &[Pending]) -> Vec<Event> {
    let before = recorded.and_then(|recorded| recorded.condition(ConditionType::Placed));
    let said = before.map(|before| before.message.as_str()).unwrap_or_default();
    let told = pending.iter().take(REASONS).filter(|pending| {
        // What else is in the way is told as it is found, and what is about to be over is no news.
        let is_told = matches!(
            pending.reason,
            PendingReason::Held | PendingReason::ConfigMissing | PendingReason::Scheduling
        );
        !is_told && !said.contains(&pending.topic)
    });
    told.map(|pending| Event {
        warning: true,
        reason: reasons::PENDING,
        message: sentence(pending),
        update: None,
    })
    .collect()
}

fn sentence(pending: &Pending) -> String {
    let Pending { topic, detail, instances, .. } = pending;
    let s = if instances.len() == 1 { "" } else { "s" };
    format!("instance{s} {}: {topic}{detail}", shortened(instances))
}

fn shortened(instances: &Ranges) -> String {
    let text = instances.to_string();
    if text.len() <= INSTANCES {
        return text;
    }
    let part = text.get(..INSTANCES).unwrap_or_default();
    let whole = part.rsplit_once(',').map_or(part, |(whole, _)| whole);
    format!("{whole},… ({} of them)", instances.len())
}
