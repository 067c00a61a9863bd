//! What to do next for one service: `plan(view, now)`, level-triggered and pure.
//!
//! `plan` reads no clock, does no I/O and never fails; planning again after its actions were carried out yields
//! nothing. `baseline` takes up a service without status, `update` moves an update on, `rollout` begins and
//! concludes updates, `targets` says which config each instance shall have, `instances` brings each instance there, `in_place`
//! without a new Pod where it can, `surge` says which of two live tasks of an instance goes, `history` decides what is
//! kept, `status` says all of it to people. What a job that ends differs in is in `batch`. `cron` does the same for crons, in
//! a plan of its own; `lineage` finds what waits for itself.

mod action;
mod baseline;
pub mod batch;
pub mod cron;
mod ending;
mod flapping;
mod fleet;
mod history;
mod in_place;
mod instances;
mod instructions;
mod lineage;
mod news;
mod rollout;
mod sla;
mod status;
mod surge;
mod targets;
mod update;
mod view;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::model::reasons;

pub use action::{Action, Ended, Event, Held, NewUpdate, Plan};
pub use lineage::{Name, cycle, kind_of};
pub use sla::{Cause, NoSla, Sla, Veto};
pub use update::MAX_FAILURES;
pub use view::{PastUpdate, Problem, ServiceView};

use fleet::Fleet;

/// What to do for the service now.
pub fn plan(view: &ServiceView<'_>, now: Timestamp) -> Plan {
    plan_under(view, now, &NoSla)
}

/// What to do for the service now, where `sla` has a say in which tasks are ended on purpose.
pub fn plan_under(view: &ServiceView<'_>, now: Timestamp, sla: &dyn Sla) -> Plan {
    // The garbage collector ends what belongs to a deleted service, or leaves it where its deletion said so.
    if view.service.deleting {
        return Plan::default();
    }
    if let Some(batch) = &view.service.batch {
        return finish(view, batch::plan(view, batch, now));
    }
    let fleet = Fleet::new(view, now);
    let mut plan = Plan::default();
    if let Some(problem) = view.problem.filter(|problem| problem.blocks) {
        plan.status = Some(status::blocked(&fleet, problem));
        in_place::open_all(&fleet, &mut plan);
        return finish(view, plan);
    }
    baseline::adopt(view, &mut plan);
    let Some(known) = view.status.filter(|status| status.observed_revision.is_some()) else {
        // Nothing is touched before there is a status: from it on, a change of the spec can be told from a restore.
        plan.status = Some(baseline::status(&fleet, &mut plan));
        return finish(view, plan);
    };
    let progress = update::step(&fleet, known, &mut plan);
    let known = rollout::conclude(&fleet, known, progress.as_ref(), &mut plan);
    let targets = targets::targets(&fleet, &known, progress.as_ref());
    let kept = instances::reconcile(&fleet, &known, &targets, sla, &mut plan);
    history::tidy(&fleet, &known, &targets, &mut plan);
    let holds = |reason| plan.held.iter().any(|held| held.reason == reason);
    let wanted = targets.iter().filter(|(_, target)| target.revision.is_some());
    let pending = status::pending(&fleet, wanted.map(|(instance, _)| *instance), &plan.held);
    let (frozen, update) = (holds(reasons::FROZEN), holds(reasons::UPDATE_HELD));
    plan.events.extend(status::pending_news(view.status, &pending));
    let held = status::HeldBack { kept, frozen, update, pending };
    plan.status = Some(status::status(&fleet, known, progress.as_ref(), &targets, &held));
    if let (Some(update), Some(progress)) = (view.update, progress)
        && update.progress.as_ref() != Some(&progress)
    {
        plan.progress = Some((update.uid, progress));
    }
    finish(view, plan)
}

fn finish(view: &ServiceView<'_>, mut plan: Plan) -> Plan {
    plan.actions.sort_by_key(Action::order);
    plan.events.extend(plan.status.as_ref().and_then(|status| news::news(view.status, status)));
    plan
}

impl Plan {
    /// Asks for another plan at a time, if not earlier.
    fn check_at(&mut self, at: Timestamp) {
        self.next_check = Some(self.next_check.map_or(at, |next| next.min(at)));
    }
}
