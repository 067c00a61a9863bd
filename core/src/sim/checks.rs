//! What operators measure for the checks of an update, each on its own and only while it leads; and that nothing good
//! or bad is made of what was not measured.

use jiff::Timestamp;

use crate::{model::*, plan::Plan};

use super::{
    cache::Snapshot,
    draw::Draw,
    time::{Millis, SECOND, clock},
    world::{Event, World},
};

/// How often every check is measured.
const INTERVAL: Millis = 5 * SECOND;

/// What an operator has measured of the checks of one update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    update: Uid,
    newest: Option<Millis>,
    held: Option<Millis>,
}

/// At times an update has a check.
pub(super) fn draw_checks(draw: &mut Draw, watch_seconds: u32) -> Vec<Check> {
    if !draw.chance(30) {
        return Vec::new();
    }
    let fails = watch_seconds > 0 && draw.chance(60);
    vec![Check {
        name: "errors".to_owned(),
        source: Source::Http { url: "http://web/".to_owned(), json_path: "$".to_owned() },
        must: Must { be: Comparison::Equal, value: "0".to_owned() },
        interval_seconds: 5,
        timeout_seconds: 1,
        failures_in_a_row: 1,
        on_failure: if fails { OnFailure::FailInstance } else { OnFailure::LosePulse },
    }]
}

fn is_measured(update: &Update, state: UpdateState) -> bool {
    let goes_on = matches!(state, UpdateState::RollingForward | UpdateState::RollForwardAwaitingPulse);
    goes_on && !update.settings.checks.is_empty()
}

impl World {
    /// Measures what leading operators have taken up, and has them look at it.
    pub(super) fn measure(&mut self) {
        let (now, holds) = (self.now, self.now >= self.bad_until);
        self.at(now + INTERVAL, Event::Measure);
        for id in 0..2 {
            let operator = &mut self.operators[id];
            let leads = operator.up && now >= operator.stopped_until && operator.writes(now).is_some();
            let Some(measured) = operator.measured.as_mut().filter(|_| leads) else { continue };
            measured.newest = Some(now);
            if holds {
                measured.held = Some(now);
            }
            self.rouse(id, 1);
        }
    }

    /// Takes up the checks of the newest update, or lets go of them, as the plan leaves it.
    pub(super) fn follow(&mut self, id: usize, snapshot: &Snapshot, plan: &Plan) {
        let planned = plan.progress.as_ref().map(|(_, progress)| progress);
        let checked = snapshot.update.as_ref().filter(|update| {
            let progress = planned.or(update.progress.as_ref());
            progress.is_some_and(|progress| is_measured(update, progress.state))
        });
        let known = self.operators[id].measured;
        self.operators[id].measured = checked.map(|update| {
            let fresh = Measured { update: update.uid, newest: None, held: None };
            known.filter(|known| known.update == update.uid).unwrap_or(fresh)
        });
    }

    /// What an operator has measured, by its own clock.
    pub(super) fn measurements(&self, id: usize, update: Option<&Update>) -> Vec<Measurement> {
        let operator = &self.operators[id];
        let measured =
            operator.measured.filter(|measured| update.is_some_and(|it| it.uid == measured.update));
        let Some((update, Measured { newest: Some(newest), held, .. })) = update.zip(measured) else {
            return Vec::new();
        };
        let local = |at| clock(at, operator.skew);
        let failing = held != Some(newest);
        let of_check = |check: &Check| Measurement {
            check: check.name.clone(),
            outcome: Outcome::Measured {
                at: local(newest),
                held_at: held.map(local),
                fails_since: failing.then(|| local(newest)),
                failing,
                value: u32::from(failing).to_string(),
                message: format!("{}, must be equal to 0", u32::from(failing)),
            },
        };
        update.settings.checks.iter().map(of_check).collect()
    }
}

/// What is wrong with what a step makes of its checks.
pub(super) fn objection(snapshot: &Snapshot, old: &Progress, new: &Progress) -> Option<String> {
    let update = snapshot.update.as_ref().filter(|update| !update.settings.checks.is_empty())?;
    let back = new.state.is_back();
    let blamed = new.failures.iter().find(|(instance, failures)| {
        let fresh = old.failures.get(instance) != Some(failures);
        fresh && failures.reason == EndReason::CheckFailed
    });
    if let Some((instance, failures)) = blamed {
        let task = snapshot.tasks.iter().find(|task| Some(task.uid) == failures.last_pod);
        let ready = task.and_then(|task| task.ready_since);
        let seen = ready.is_some_and(|ready| all(snapshot, update, |at, _, failing| failing && at > ready));
        if (back && !old.failures.contains_key(instance)) || !seen {
            return Some(format!("blames instance {instance} for a check"));
        }
    }
    let good = new.updated.iter().find(|instance| {
        let live = snapshot.tasks.iter().find(|task| task.instance == *instance && !task.is_terminal());
        // What goes is good when it is gone.
        let ready = live.and_then(|task| task.ready_since);
        let unproven =
            ready.is_some_and(|ready| !all(snapshot, update, |at, held, _| held == Some(at) && at > ready));
        !old.updated.contains(*instance) && unproven
    });
    if let Some(instance) = good {
        return Some(format!("calls instance {instance} good, which was not measured"));
    }
    let gained = new.working.iter().find(|instance| !old.working.contains(*instance))?;
    let waits = update.settings.checks_that(OnFailure::LosePulse).next().is_some() && !back;
    let holds = all(snapshot, update, |_, held, failing| held.is_some() && !failing);
    (waits && !holds).then(|| format!("takes on {gained} although its check does not hold"))
}

/// Whether this is true of every check, of which there has to be a measurement.
fn all(
    snapshot: &Snapshot,
    update: &Update,
    is_true: impl Fn(Timestamp, Option<Timestamp>, bool) -> bool,
) -> bool {
    update.settings.checks.iter().all(|check| {
        let of_check = snapshot.measurements.iter().find(|measurement| measurement.check == check.name);
        match of_check.map(|measurement| &measurement.outcome) {
            Some(Outcome::Measured { at, held_at, failing, .. }) => is_true(*at, *held_at, *failing),
            Some(Outcome::Refused(_)) | None => false,
        }
    })
}
