//! Moving an update on: which instances are good, which failed, which come next, and where the whole stands
//! (Aurora: OneWayJobUpdater, InstanceUpdater, JobUpdateControllerImpl).
//!
//! What it says is written before it is done: an instance is in `working` before its task is ended, so whoever
//! takes over finds every instance that was touched. It ends and starts nothing itself; `targets` follows it.

mod checks;
mod controls;
mod evaluate;
mod group;

use jiff::Timestamp;

use crate::{
    model::{Failures, OnFailure, Progress, Ranges, ServiceStatus, Strategy, Update, UpdateState, reasons},
    state::can_go,
};

use super::{Event, Held, Plan, fleet::Fleet, targets};

pub(super) use evaluate::has_passed;
use evaluate::{Verdict, count, evaluate};
use group::{Place, next_group};

/// Instances whose failures an update remembers.
pub const MAX_FAILURES: usize = 1_000;

/// The progress of the newest update after this step; `None` without one.
pub(super) fn step(fleet: &Fleet<'_>, known: &ServiceStatus, plan: &mut Plan) -> Option<Progress> {
    let update = fleet.view.update?;
    let Some(progress) = update.progress.clone() else {
        return Some(begin(fleet, known, update, plan));
    };
    let mut step = Step { fleet, known, update, progress, plan };
    if step.progress.state.is_terminal() {
        step.refuse();
        return Some(step.progress);
    }
    if step.progress.total == 0 {
        step.progress.total = total(update);
    }
    step.obey();
    if step.is_checked() {
        step.note_checks();
    }
    step.pulse();
    match step.progress.state {
        UpdateState::RollingForward | UpdateState::RollingBack if fleet.view.frozen => {
            step.count();
            step.plan.held.push(Held { instance: None, reason: reasons::FROZEN, until: None });
        }
        UpdateState::RollingForward | UpdateState::RollingBack => step.roll(),
        UpdateState::RollForwardPaused
        | UpdateState::RollBackPaused
        | UpdateState::RollForwardAwaitingPulse
        | UpdateState::RollBackAwaitingPulse => step.count(),
        UpdateState::RolledForward
        | UpdateState::RolledBack
        | UpdateState::Aborted
        | UpdateState::Error
        | UpdateState::Failed => {}
    }
    step.refuse();
    Some(step.progress)
}

/// How many instances an update is about.
fn total(update: &Update) -> u32 {
    u32::try_from(update.instructions.order().len()).unwrap_or(u32::MAX)
}

/// The first progress of an update, or the last of one whose progress was lost in a restore.
fn begin(fleet: &Fleet<'_>, known: &ServiceStatus, update: &Update, plan: &mut Plan) -> Progress {
    let lost = known.update.filter(|of| of.number >= update.number);
    let takes_back = update.instructions.takes_back;
    let state = match lost {
        Some(of) if of.state.is_terminal() => of.state,
        Some(_) => UpdateState::Aborted,
        // Nothing is done before the first pulse.
        None => match (takes_back, update.settings.pulse_interval_seconds) {
            (None, 0) if update.settings.checks_that(OnFailure::LosePulse).next().is_none() => {
                UpdateState::RollingForward
            }
            (None, _) => UpdateState::RollForwardAwaitingPulse,
            (Some(_), 0) => UpdateState::RollingBack,
            (Some(_), _) => UpdateState::RollBackAwaitingPulse,
        },
    };
    let mut progress = Progress::new(state, fleet.now, fleet.highest_run(known));
    progress.total = total(update);
    if lost.is_some() {
        progress.message = "its progress was lost; it does not go on".to_owned();
        return progress;
    }
    if let Some(number) = takes_back {
        progress.message = format!("takes back update {number}");
        progress.touched = update.instructions.order().into_iter().collect();
    }
    plan.events.push(event(update, state, &progress.message));
    progress
}

struct Step<'a, 'p> {
    fleet: &'a Fleet<'a>,
    known: &'a ServiceStatus,
    update: &'a Update,
    progress: Progress,
    plan: &'p mut Plan,
}

impl Step<'_, '_> {
    /// Judges what is being worked on and takes on what comes next.
    fn roll(&mut self) {
        if let Some((revision, _)) = &self.update.instructions.to
            && !self.progress.state.is_back()
            && !self.fleet.is_stored(*revision)
        {
            self.go(UpdateState::Error, format!("its config {revision} is not stored any more"));
            return;
        }
        self.judge();
        if self.over_budget() {
            let message = self.blame();
            if self.progress.state == UpdateState::RollingForward && self.update.settings.rollback_on_failure
            {
                self.turn_back(message);
                // What has to go back is taken on at once.
            } else {
                self.go(UpdateState::Failed, message);
                return;
            }
        }
        self.advance();
    }

    fn judge(&mut self) {
        let back = self.progress.state.is_back();
        let (mut good, mut failed) = (Ranges::default(), Ranges::default());
        for instance in self.progress.working.clone().iter() {
            let wanted = self.wanted(instance, back);
            let counted = self.progress.failures.get(&instance).cloned();
            let (verdict, failures) =
                evaluate(self.fleet, self.update, &self.progress, instance, wanted, counted);
            self.note_failures(instance, failures);
            let (set, news) = match verdict {
                Verdict::Wait(until) => {
                    until.into_iter().for_each(|at| self.plan.check_at(at));
                    continue;
                }
                Verdict::Good if back => (&mut self.progress.rolled_back, &mut good),
                Verdict::Good => (&mut self.progress.updated, &mut good),
                Verdict::Failed if back => (&mut self.progress.failed_back, &mut failed),
                Verdict::Failed => (&mut self.progress.failed, &mut failed),
            };
            set.insert(instance);
            news.insert(instance);
            self.progress.working.remove(instance);
        }
        // Where few may surge at a time, the others of the group had no turn yet.
        if self.update.surge_limit() > 0 && !(good.is_empty() && failed.is_empty()) {
            self.progress.advanced = self.fleet.now;
        }
        self.bound_failures();
        self.tell(false, if back { "InstancesRolledBack" } else { "InstancesUpdated" }, &good);
        self.tell(true, if back { "InstancesNotRolledBack" } else { "InstancesNotUpdated" }, &failed);
    }

    /// Keeps the failures to what can be stored: first those that count on, then those over their budget.
    fn bound_failures(&mut self) {
        let surplus = self.progress.failures.len().saturating_sub(MAX_FAILURES);
        if surplus == 0 {
            return;
        }
        let progress = &mut self.progress;
        let counts_on = |instance| progress.working.contains(instance);
        let is_over =
            |instance| progress.failed.contains(instance) || progress.failed_back.contains(instance);
        let mut all: Vec<u32> = progress.failures.keys().copied().collect();
        all.sort_by_key(|instance| (counts_on(*instance), is_over(*instance)));
        for instance in &all[..surplus] {
            progress.failures.remove(instance);
        }
    }

    /// Tells what became of instances, if of any.
    fn tell(&mut self, warning: bool, reason: &'static str, instances: &Ranges) {
        if instances.is_empty() {
            return;
        }
        let message = format!("instances {instances}");
        self.plan.events.push(Event { warning, reason, message, update: Some(self.update.number) });
    }

    /// Counts what fails while the update stands still: what became of a Pod is known as long as the Pod is there.
    fn count(&mut self) {
        let back = self.progress.state.is_back();
        for instance in self.progress.working.clone().iter() {
            let Some(wanted) = self.wanted(instance, back) else { continue };
            let counted = self.progress.failures.get(&instance).cloned();
            let failures =
                count(self.fleet.tasks(instance), wanted, self.update, self.progress.floor, counted);
            self.note_failures(instance, failures);
        }
        self.bound_failures();
    }

    fn note_failures(&mut self, instance: u32, failures: Option<Failures>) {
        let Some(failures) = failures else { return };
        if self.progress.failures.get(&instance) != Some(&failures) {
            let message = format!("instance {instance}: {}", failures.message);
            self.plan.events.push(Event {
                warning: true,
                reason: "InstanceFailed",
                message,
                update: Some(self.update.number),
            });
        }
        self.progress.failures.insert(instance, failures);
    }

    /// Takes on the next group, or ends the update when nothing is left.
    fn advance(&mut self) {
        let back = self.progress.state.is_back();
        if let Some(message) = self.pause_after_group() {
            self.go(UpdateState::RollForwardPaused, message);
            return;
        }
        let idle = self.idle(back);
        let place = Place {
            all: self.update.instructions.all(),
            working: self.progress.working.len(),
            begun: self.progress.touched.len(),
            back,
        };
        let group = next_group(&self.update.settings.strategy, &idle, place);
        if group.is_empty() {
            if idle.is_empty() && self.progress.working.is_empty() {
                let (state, message) = if back {
                    (UpdateState::RolledBack, self.progress.message.clone())
                } else {
                    (UpdateState::RolledForward, self.tolerated())
                };
                self.go(state, message);
            }
            return;
        }
        for instance in group {
            self.progress.working.insert(*instance);
            self.progress.touched.insert(*instance);
        }
        self.progress.advanced = self.fleet.now;
        let ranges: Ranges = group.iter().copied().collect();
        self.tell(false, if back { "RollingBackInstances" } else { "UpdatingInstances" }, &ranges);
        // An instance that already is what it shall be, or needs no time to prove it, is judged right away.
        self.plan.check_at(self.fleet.now);
    }

    /// What has not been taken on in this direction, in the order of taking on.
    fn idle(&self, back: bool) -> Vec<u32> {
        let progress = &self.progress;
        let mut order = self.update.instructions.order();
        if !back {
            order.retain(|instance| !progress.touched.contains(*instance));
            return order;
        }
        let mut all: Vec<u32> =
            progress.touched.iter().filter(|i| !self.update.instructions.concerns(*i)).collect();
        all.extend(order.into_iter().filter(|instance| progress.touched.contains(*instance)));
        all.reverse();
        // What is down already goes back first: a window over others beside it would take down more than its size.
        if matches!(self.update.settings.strategy, Strategy::Queue { .. }) {
            all.sort_by_key(|instance| progress.updated.contains(*instance));
        }
        all.retain(|instance| {
            !progress.working.contains(*instance)
                && !progress.rolled_back.contains(*instance)
                && !progress.failed_back.contains(*instance)
        });
        all
    }

    /// The config an instance shall have in this direction. Instances beyond a scale-down in mid-update go.
    fn wanted(&self, instance: u32, back: bool) -> Option<crate::model::Revision> {
        let instructions = &self.update.instructions;
        let count = targets::asked_now(self.fleet, self.update);
        if count != instructions.asked && instance >= count {
            return None;
        }
        if back { instructions.back(instance) } else { instructions.after(instance) }
    }

    fn over_budget(&self) -> bool {
        let failed =
            if self.progress.state.is_back() { &self.progress.failed_back } else { &self.progress.failed };
        failed.len() > self.failures_allowed()
    }

    /// How many failed instances are borne.
    fn failures_allowed(&self) -> u32 {
        self.update.settings.max_failed_instances.of(self.update.instructions.all())
    }

    /// Remembers the instance that failed first, and says what happened.
    fn blame(&mut self) -> String {
        let limit = self.failures_allowed();
        let progress = &mut self.progress;
        let failed = if progress.state.is_back() { &progress.failed_back } else { &progress.failed };
        let first = progress.failures.iter().filter(|(instance, _)| failed.contains(**instance));
        let Some((instance, failures)) = first.min_by_key(|(_, failures)| failures.at) else {
            return format!("{} instances failed", failed.len());
        };
        let message = format!(
            "{} failed (instances {failed}), more than the {limit} that maxFailedInstances allows; first instance \
             {instance}: {}",
            failed.len(),
            failures.message
        );
        // The way back may fail as well; what turned it round stays the cause.
        if progress.cause.is_none() {
            progress.cause = Some((*instance, failures.clone()));
        }
        message
    }

    fn tolerated(&self) -> String {
        if self.progress.failed.is_empty() {
            return String::new();
        }
        format!("instances {} failed and were tolerated", self.progress.failed)
    }

    fn turn_back(&mut self, message: String) {
        if !can_go(self.progress.state, UpdateState::RollingBack) {
            return;
        }
        // Of a chain of superseded updates, all that was left off the base goes back with it.
        let instructions = &self.update.instructions;
        let all = if instructions.base.is_empty() {
            0
        } else {
            // One that is being replaced may have no Pod at all.
            self.fleet.instances().last().map_or(0, |last| last + 1).max(self.known.counts.desired)
        };
        // What came since by a change of the count alone is not of the base, and stays.
        let is_off = |instance: &u32| {
            let back = instructions.back(*instance);
            back.is_some() && self.fleet.revision(*instance, self.known) != back
        };
        let chained: Vec<u32> = (0..all).filter(is_off).collect();
        for instance in chained {
            self.progress.touched.insert(instance);
        }
        self.progress.working = Ranges::default();
        self.progress.failures.clear();
        self.progress.floor = self.fleet.highest_run(self.known);
        self.go(UpdateState::RollingBack, message);
    }

    fn go(&mut self, state: UpdateState, message: String) {
        if self.progress.state == state || !can_go(self.progress.state, state) {
            return;
        }
        self.progress.state = state;
        self.progress.finished = state.is_terminal().then_some(self.fleet.now);
        self.plan.events.push(event(self.update, state, &message));
        self.progress.message = message;
    }
}

fn event(update: &Update, state: UpdateState, message: &str) -> Event {
    let (warning, reason) = match state {
        UpdateState::RollingForward => (false, "RollingForward"),
        UpdateState::RollingBack => (true, "RollingBack"),
        UpdateState::RollForwardPaused | UpdateState::RollBackPaused => (false, "Paused"),
        UpdateState::RollForwardAwaitingPulse | UpdateState::RollBackAwaitingPulse => {
            (false, "AwaitingPulse")
        }
        UpdateState::RolledForward => (false, "RolledForward"),
        UpdateState::RolledBack => (true, "RolledBack"),
        UpdateState::Aborted => (true, "Aborted"),
        UpdateState::Error => (true, "UpdateError"),
        UpdateState::Failed => (true, "UpdateFailed"),
    };
    let text = format!("update {}: {}", update.number, state.name());
    let message = if message.is_empty() { text } else { format!("{text}: {message}") };
    Event { warning, reason, message, update: Some(update.number) }
}

/// When something that takes a while will be over.
fn after(start: Timestamp, seconds: u32) -> Timestamp {
    start.checked_add(jiff::SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}
