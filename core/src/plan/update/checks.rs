//! What the checks of an update mean for it: an instance that failed, or a halt as without a pulse.
//!
//! Only on the way forward: what is bad must not keep itself from being taken back. What was measured before an
//! instance became Ready says nothing about it. What is not measured, or not any more, holds nowhere and fails
//! nobody.

use jiff::Timestamp;

use crate::model::{
    Check, CheckRecord, Measurement, OnFailure, Outcome, Progress, Task, Update, UpdateState,
};

use super::{
    super::{Event, ServiceView, fleet::Fleet},
    Step, after,
    evaluate::is_of,
};

/// Seconds after which the newest measurement says nothing any more, beyond twice the check's interval and its
/// timeout: whoever measures has ended.
const PATIENCE: u32 = 60;
/// The longest reason to wait, in characters: what is cut off when it is stored would be written for ever.
const MAX_WORDS: usize = 2_000;

/// What the checks say of a task in its watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// All hold, as was measured since it became Ready.
    Hold,
    /// Not all were measured since, or the newest measurement of one is bad, but not often enough.
    Nothing,
    /// One fails: this is to be said of it.
    Fail(String),
}

/// What the checks say of a task that became Ready at this time.
pub(super) fn said(
    fleet: &Fleet<'_>,
    update: &Update,
    progress: &Progress,
    task: &Task,
    ready_since: Timestamp,
) -> Said {
    if progress.state.is_back() || update.settings.checks.is_empty() {
        return Said::Hold;
    }
    // The API server gives whole seconds, cut off. What was there before this direction began is judged by what was
    // measured since it was taken on.
    let ready = after(ready_since, 1);
    let since = if is_of(update, progress.floor, task) { ready } else { ready.max(progress.advanced) };
    let mut said = Said::Hold;
    for check in &update.settings.checks {
        match outcome(fleet.view, check) {
            Some(Outcome::Measured { at, fails_since, failing: true, message, .. }) if *at >= since => {
                let is_of_task = fails_since.is_none_or(|began| began >= since);
                if check.on_failure == OnFailure::FailInstance && is_of_task {
                    return Said::Fail(format!(
                        "did not pass check {:?} within the watch: {message}",
                        check.name
                    ));
                }
                said = Said::Nothing;
            }
            Some(Outcome::Measured { at, held_at, failing: false, .. })
                if *at >= since && *held_at == Some(*at) => {}
            Some(_) | None => said = Said::Nothing,
        }
    }
    said
}

fn outcome<'a>(view: &ServiceView<'a>, check: &Check) -> Option<&'a Outcome> {
    let of_check = |measurement: &&Measurement| measurement.check == check.name;
    view.measurements.iter().find(of_check).map(|measurement| &measurement.outcome)
}

impl Step<'_, '_> {
    /// Whether the checks mean anything to the update as it stands.
    pub(super) fn is_checked(&self) -> bool {
        let state = self.progress.state;
        let goes_on = matches!(state, UpdateState::RollingForward | UpdateState::RollForwardAwaitingPulse);
        goes_on && !self.update.settings.checks.is_empty()
    }

    /// Notes what the checks say, and tells each change of it.
    pub(super) fn note_checks(&mut self) {
        for check in &self.update.settings.checks {
            let Some(Outcome::Measured { at, held_at, failing, value, message, fails_since: _ }) =
                outcome(self.fleet.view, check)
            else {
                continue;
            };
            let holds = match (failing, held_at) {
                (true, _) => false,
                (false, Some(_)) => true,
                (false, None) => continue,
            };
            let known = self.progress.checks.iter().position(|record| record.check == check.name);
            let before = known.map(|at| self.progress.checks[at].holds);
            if before == Some(holds) {
                continue;
            }
            // Where it holds after all, though the newest measurement does not, that one is not what shows it.
            let (value, message) = if holds && *held_at != Some(*at) {
                (String::new(), format!("must be {}", check.must.words()))
            } else {
                (value.clone(), message.clone())
            };
            if before.is_some() || !holds {
                self.plan.events.push(Event {
                    warning: !holds,
                    reason: if holds { "CheckHolds" } else { "CheckFails" },
                    message: format!("check {:?}: {message}", check.name),
                    update: Some(self.update.number),
                });
            }
            let record = CheckRecord { check: check.name.clone(), holds, value, message, at: *at };
            match known {
                Some(known) => self.progress.checks[known] = record,
                None => self.progress.checks.push(record),
            }
        }
    }

    /// Until when the update may go on as far as its checks are concerned, where that is known; or why it may not.
    pub(super) fn checks_allow(&self) -> Result<Option<Timestamp>, String> {
        let mut until: Option<Timestamp> = None;
        let mut against = Vec::new();
        for check in &self.update.settings.checks {
            let seen = outcome(self.fleet.view, check);
            if let Some(Outcome::Refused(why)) = seen {
                against.push(format!("check {:?} is not measured: {why}", check.name));
            }
            if check.on_failure != OnFailure::LosePulse || matches!(seen, Some(Outcome::Refused(_))) {
                continue;
            }
            let patience = check.interval_seconds * 2 + check.timeout_seconds + PATIENCE;
            match seen {
                Some(Outcome::Measured { at, held_at: Some(_), failing: false, .. })
                    if self.fleet.now < after(*at, patience) =>
                {
                    let end = after(*at, patience);
                    until = Some(until.map_or(end, |until| until.min(end)));
                }
                Some(Outcome::Measured { failing: true, .. }) => {
                    // As it was recorded: what differs from one measurement to the next is not written each time.
                    let records = &self.progress.checks;
                    let record = records.iter().find(|record| record.check == check.name);
                    let message = record.map_or("it fails", |record| &record.message);
                    against.push(format!("check {:?}: {message}", check.name));
                }
                Some(_) | None => against.push(format!("check {:?} was not measured yet", check.name)),
            }
        }
        if against.is_empty() { Ok(until) } else { Err(against.join("; ").chars().take(MAX_WORDS).collect()) }
    }
}
