//! Whether a step of an update follows from what its operator saw: budgets, groups, watches, and who is to blame.
//!
//! Says so in the words of Aurora's updates, not of the planner. Called by `oracle` for each plan.

use jiff::{SignedDuration, Timestamp};

use crate::model::*;

use super::{cache::Snapshot, checks};

/// What is wrong with a step from one progress to the next.
pub(super) fn objection(snapshot: &Snapshot, new: &Progress, local: Timestamp) -> Option<String> {
    let update = snapshot.update.as_ref()?;
    let old = update.progress.as_ref()?;
    let step = Step { snapshot, update, old, new, local };
    let objections = [Step::state, Step::group, Step::judged, Step::blamed, Step::scoped, Step::pulsed];
    let what = objections.into_iter().find_map(|objection| objection(&step));
    let what = what.or_else(|| checks::objection(snapshot, old, new))?;
    Some(format!("step of update {}: {what}", update.number))
}

struct Step<'a> {
    snapshot: &'a Snapshot,
    update: &'a Update,
    old: &'a Progress,
    new: &'a Progress,
    local: Timestamp,
}

impl Step<'_> {
    fn state(&self) -> Option<String> {
        let Self { update: Update { instructions, settings, controls, .. }, old, new, .. } = self;
        if old.state == new.state {
            return None;
        }
        let allowed = settings.max_failed_instances.of(instructions.all());
        let over = new.failed.len() > allowed;
        let turned = new.state.is_back() && !old.state.is_back();
        if turned && controls.rollback.is_none() && !(over && settings.rollback_on_failure) {
            return Some(format!("turned back with {} failed, {allowed} allowed", new.failed));
        }
        let service = &self.snapshot.object.service;
        let to = instructions.to.as_ref().map(|(to, _)| *to);
        let asks_for_it = to == Some(service.revision)
            && settings.scope == service.update.scope
            && service.update.restart_at.is_none_or(|at| settings.restart_at == Some(at));
        let scope = instructions.from.iter().chain(&instructions.to);
        let scope: Ranges = scope.flat_map(|(_, ranges)| ranges.iter()).collect();
        let left = |done: &Ranges, failed: &Ranges, instances: &Ranges| {
            instances.iter().find(|instance| !done.contains(*instance) && !failed.contains(*instance))
        };
        match new.state {
            UpdateState::Aborted if controls.abort.is_none() && (asks_for_it || service.queue_updates) => {
                Some("given up for nothing".to_owned())
            }
            UpdateState::Failed if old.state.is_back() && new.failed_back.len() <= allowed => {
                Some(format!("failed with {} failed on the way back", new.failed_back))
            }
            UpdateState::Failed if !old.state.is_back() && (!over || settings.rollback_on_failure) => {
                Some(format!("failed with {} failed", new.failed))
            }
            UpdateState::RolledForward if over => Some(format!("through with {} failed", new.failed)),
            UpdateState::RolledForward => left(&new.updated, &new.failed, &scope)
                .map(|instance| format!("through, and instance {instance} was not")),
            UpdateState::RolledBack => left(&new.rolled_back, &new.failed_back, &new.touched)
                .map(|instance| format!("back, and instance {instance} is not")),
            _ => None,
        }
    }

    /// A batch begins when the last is done as a whole.
    fn group(&self) -> Option<String> {
        let (old, new) = (&self.old.working, &self.new.working);
        let same_way = self.old.state.is_back() == self.new.state.is_back();
        let gained = new.iter().find(|instance| !old.contains(*instance))?;
        let stays = old.iter().find(|instance| new.contains(*instance))?;
        let is_batch = !matches!(self.update.settings.strategy, Strategy::Queue { .. });
        (is_batch && same_way).then(|| format!("takes on {gained} while it works on {stays}"))
    }

    /// What was found good is what it shall be, and has been long enough.
    fn judged(&self) -> Option<String> {
        let back = self.new.state.is_back();
        let (old, new) = if back {
            (&self.old.rolled_back, &self.new.rolled_back)
        } else {
            (&self.old.updated, &self.new.updated)
        };
        let mut fresh = new.iter().filter(|instance| !old.contains(*instance));
        let wrong = fresh.find(|instance| !self.is_good(*instance, self.wanted(*instance, back)))?;
        Some(format!("calls instance {wrong} good"))
    }

    fn wanted(&self, instance: Instance, back: bool) -> Option<Revision> {
        let instructions = &self.update.instructions;
        let service = &self.snapshot.object.service;
        let waits = instructions.to.as_ref().is_some_and(|(to, _)| *to != service.revision);
        let count = if waits { instructions.asked } else { service.instances };
        if instance >= count && count != instructions.asked {
            return None;
        }
        let side = match (back, instructions.base.is_empty()) {
            (false, _) => instructions.to.as_slice(),
            (true, true) => &instructions.from,
            (true, false) => &instructions.base,
        };
        side.iter().find(|(_, ranges)| ranges.contains(instance)).map(|(revision, _)| *revision)
    }

    fn is_good(&self, instance: Instance, wanted: Option<Revision>) -> bool {
        let mut live =
            self.snapshot.tasks.iter().filter(|task| task.instance == instance && !task.is_terminal());
        let Some(wanted) = wanted else { return live.next().is_none() };
        let watch = SignedDuration::from_secs(self.update.settings.watch_seconds.into());
        live.any(|task| {
            let long_enough = task.ready_since.is_some_and(|since| since + watch <= self.local);
            let restart_at = self.update.settings.restart_at.filter(|_| !self.new.state.is_back());
            let is_new = restart_at.is_none_or(|at| task.created >= at || task.run > self.new.floor);
            let runs = task.state == TaskState::Running && task.ready && long_enough;
            task.revision == wanted && is_new && runs
        })
    }

    /// Nothing outside the scope is taken on, on no way.
    fn scoped(&self) -> Option<String> {
        // What goes back as a whole may have come about under other scopes.
        let Instructions { base, takes_back, .. } = &self.update.instructions;
        let chained = !base.is_empty() || takes_back.is_some();
        let outside = self.new.touched.iter().find(|instance| !self.update.settings.allows(*instance))?;
        (!chained).then(|| format!("takes on {outside}, which is out of its scope"))
    }

    /// Nothing is taken on without a fresh pulse.
    fn pulsed(&self) -> Option<String> {
        let interval = SignedDuration::from_secs(self.update.settings.pulse_interval_seconds.into());
        let gained = self.new.working.iter().find(|instance| !self.old.working.contains(*instance))?;
        let sent = self.update.controls.pulse.into_iter().chain(self.old.pulse.map(|pulse| pulse.from)).max();
        let fresh = sent.is_some_and(|sent| self.local < sent + interval);
        (!interval.is_zero() && !fresh).then(|| format!("takes on {gained} without a fresh pulse"))
    }

    /// Nobody fails for what was done to its Pod, nor before its failures are used up.
    fn blamed(&self) -> Option<String> {
        let innocent = [EndReason::Disrupted, EndReason::NodeLost, EndReason::Stopped, EndReason::Rejected];
        let wronged = self.new.failures.iter().find(|(_, failures)| innocent.contains(&failures.reason));
        if let Some((instance, failures)) = wronged {
            return Some(format!("blames instance {instance} for {:?}", failures.reason));
        }
        let back = self.new.state.is_back();
        let same_way = self.old.state.is_back() == back;
        let (old, new) = if back {
            (&self.old.failed_back, &self.new.failed_back)
        } else {
            (&self.old.failed, &self.new.failed)
        };
        let mut fresh = new.iter().filter(|instance| same_way && !old.contains(*instance));
        fresh.find_map(|instance| {
            let failures = self.new.failures.get(&instance)?;
            let borne = self.update.settings.max_per_instance_failures;
            let counts =
                matches!(failures.reason, EndReason::Exited | EndReason::Unready | EndReason::CheckFailed);
            let early = counts && failures.count <= borne;
            early.then(|| format!("instance {instance} failed after {} failures", failures.count))
        })
    }
}
