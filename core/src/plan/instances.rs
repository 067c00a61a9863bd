//! Bringing each instance to its target: ending what shall not be, replacing what has ended, and never two at a
//! time. The next Pod of an instance is only made when the last is terminal or gone, or given up as lost; or beside
//! one that serves, where an update asks for that.

use std::collections::BTreeMap;

use crate::model::{Instance, Intent, Ranges, Revision, Run, ServiceStatus, Task, TaskState, reasons};

use super::{
    Action, Cause, Ended, Plan, Sla, Veto, ending, flapping,
    fleet::Fleet,
    history::Keeping,
    in_place::{self, Rest, Step},
    surge::{self, Pair, cause},
    targets::Target,
};

/// Why nothing is done about a task whose change is under way.
const CHANGING: &str = "ChangingInPlace";

/// What keeps instances from having a Pod.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// How many are held back because they flapped.
    pub(super) throttled: u32,
    /// A config that is not stored any more, and the instances that need it.
    pub(super) missing: BTreeMap<Revision, Ranges>,
}

/// Plans what brings each instance to its target; returns what can't be brought there.
pub(super) fn reconcile(
    fleet: &Fleet<'_>,
    known: &ServiceStatus,
    targets: &BTreeMap<Instance, Target>,
    sla: &dyn Sla,
    plan: &mut Plan,
) -> Kept {
    let (keeping, surge) = (Keeping::new(fleet), surge::room(fleet));
    let mut work = Work { fleet, known, sla, keeping, surge, plan, kept: Kept::default() };
    for (instance, target) in targets {
        work.instance(*instance, *target);
    }
    work.kept
}

struct Work<'a, 'p> {
    fleet: &'a Fleet<'a>,
    known: &'a ServiceStatus,
    sla: &'a dyn Sla,
    keeping: Keeping,
    /// Instances that may get a second live task.
    surge: u32,
    plan: &'p mut Plan,
    kept: Kept,
}

impl Work<'_, '_> {
    fn instance(&mut self, instance: Instance, target: Target) {
        let mut lives = self.fleet.lives(instance);
        match (lives.next_back(), lives.next_back()) {
            (Some(new), Some(old)) => {
                // More than two were never meant.
                lives.for_each(|older| ending::odd(self.fleet, older, self.plan));
                self.pair(old, new, target);
            }
            (Some(task), None) => self.live(task, target),
            (None, _) => {
                if let Some(revision) = target.revision {
                    self.absent(instance, revision, target.floor);
                }
            }
        }
    }

    fn pair(&mut self, old: &Task, new: &Task, target: Target) {
        let pair = surge::pair(self.fleet, old, new, &target);
        for (task, goes) in [(old, pair == Pair::OldGoes), (new, pair == Pair::NewGoes)] {
            if pair == Pair::Stays || (!goes && target.revision.is_some()) {
                self.live(task, Target::keep(Some(task.revision)));
            } else if cause(task, &target).is_some() {
                self.live(task, Target { may_surge: false, ..target });
            } else if self.fleet.view.update.is_some_and(|update| update.surge_limit() > 0) {
                self.left_over(task);
            } else {
                ending::odd(self.fleet, task, self.plan);
            }
        }
    }

    /// One of two that an update has made, and that nobody wants any more.
    fn left_over(&mut self, task: &Task) {
        match task.ending {
            Some(ending) => ending::press(self.fleet, task, ending, self.plan),
            None if self.fleet.view.frozen => self.plan.hold(task.instance, reasons::FROZEN, None),
            None => {
                let how = self.keeping.choose(self.fleet, task);
                self.plan.end(task, Intent::Kill, how);
            }
        }
    }

    fn live(&mut self, task: &Task, target: Target) {
        let (state, effects) = self.fleet.state(task);
        if effects.give_up {
            return self.plan.end(task, Intent::Lose, Ended::Lost);
        }
        if let Some(ending) = task.ending {
            return ending::press(self.fleet, task, ending, self.plan);
        }
        let cause = cause(task, &target);
        if cause.is_some() && self.fleet.view.frozen {
            self.plan.hold(task.instance, reasons::FROZEN, None);
            // What was begun may take long to go on: nobody is kept from a healthy task meanwhile.
            if in_place::rest(task) == Rest::Open {
                self.settle(task);
            }
            return;
        }
        match (cause, state) {
            // Nobody answers there: what shall go is given up at once.
            (Some(Cause::Change | Cause::Remove), TaskState::Partitioned) => {
                self.plan.end(task, Intent::Lose, Ended::Lost);
            }
            (Some(cause), state) if state != TaskState::Partitioned => {
                let step = target.revision.filter(|_| cause == Cause::Change).and_then(|wanted| {
                    Some((wanted, in_place::towards(self.fleet, task, state, wanted, target)?))
                });
                let may_surge = target.may_surge && cause != Cause::Remove && self.fleet.serves(task);
                match step {
                    Some((wanted, step)) => self.change(task, wanted, step),
                    None if may_surge => self.beside(task, target),
                    None => self.end_on_purpose(task, cause),
                }
            }
            (_, TaskState::Partitioned) => ending::partitioned(self.fleet, task, self.plan),
            (None, _) if task.half_ended => {
                // How it ended stands in the Pod alone: it is kept until it was read, whatever the history takes.
                self.plan.end(task, Intent::Finish, Ended::Kept);
            }
            (_, _) => self.settle(task),
        }
    }

    /// Goes a step towards another config without ending the task.
    fn change(&mut self, task: &Task, revision: Revision, step: Step) {
        let Task { uid, instance, run, .. } = *task;
        match step {
            // A shut gate takes the instance down as its end would.
            Step::Shut => match self.sla.veto(task, Cause::Change) {
                Some(Veto { reason, until }) => self.plan.hold(instance, reason, until),
                None => self.plan.actions.push(Action::SetGate { uid, instance, run, open: false }),
            },
            Step::Wait(until) => self.plan.hold(instance, CHANGING, Some(until)),
            Step::Change(update) => {
                let (from, instead) = (task.revision, self.keeping.choose(self.fleet, task));
                self.plan.actions.push(Action::ChangeInPlace {
                    uid,
                    instance,
                    run,
                    from,
                    revision,
                    update,
                    instead,
                });
            }
        }
    }

    /// Brings to its end what was begun in place with a task that runs what it shall.
    fn settle(&mut self, task: &Task) {
        let Task { uid, instance, run, .. } = *task;
        match in_place::rest(task) {
            Rest::None => {}
            Rest::Open => self.plan.actions.push(Action::SetGate { uid, instance, run, open: true }),
            Rest::Wait => self.plan.hold(instance, CHANGING, None),
            Rest::Anew if self.fleet.view.frozen => self.plan.hold(instance, reasons::FROZEN, None),
            Rest::Anew => {
                let how = self.keeping.choose(self.fleet, task);
                self.plan.end(task, Intent::Kill, how);
            }
        }
    }

    /// Makes the next run while this one serves, if there is room for one more.
    fn beside(&mut self, task: &Task, target: Target) {
        let Some(revision) = target.revision else { return };
        if self.surge == 0 {
            return self.plan.hold(task.instance, "SurgeFull", None);
        }
        self.surge -= u32::from(self.absent(task.instance, revision, target.floor));
    }

    /// Ends a task that could live on, if it may go now.
    fn end_on_purpose(&mut self, task: &Task, cause: Cause) {
        if let Some(Veto { reason, until }) = self.sla.veto(task, cause) {
            return self.plan.hold(task.instance, reason, until);
        }
        let how = self.keeping.choose(self.fleet, task);
        let intent = if cause == Cause::Restart { Intent::Restart } else { Intent::Kill };
        self.plan.end(task, intent, how);
    }

    /// Makes the next run of an instance, unless something holds it back; whether it does.
    fn absent(&mut self, instance: Instance, revision: Revision, floor: Run) -> bool {
        if !self.fleet.is_stored(revision) {
            self.kept.missing.entry(revision).or_default().insert(instance);
            self.plan.hold(instance, reasons::REVISION_MISSING, None);
            return false;
        }
        let run = self.fleet.next_run(instance, self.known).max(floor + 1);
        // Only the direct predecessor counts; another config begins anew.
        let predecessor =
            self.fleet.newest(instance).filter(|task| task.run + 1 == run && task.revision == revision);
        let inherited = predecessor
            .map(|task| flapping::inherit(task, &self.fleet.view.service.flapping))
            .unwrap_or_default();
        if let Some(due) = inherited.due.filter(|due| self.fleet.now < *due) {
            self.kept.throttled += 1;
            self.plan.hold(instance, reasons::THROTTLED, Some(due));
            return false;
        }
        let flapping::Inherited { flaps, failures, due: _ } = inherited;
        self.plan.actions.push(Action::Create { instance, run, revision, flaps, failures });
        true
    }
}
