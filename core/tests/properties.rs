//! What holds of every plan, whatever the state it is made from, and of every job, whatever was done to it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what is not there fails the test")]

#[path = "properties/any.rs"]
mod any;
#[path = "properties/still.rs"]
mod still;

use std::collections::{BTreeMap, BTreeSet};

use borealis_core::{model::*, plan::Action};
use jiff::SignedDuration;
use proptest::{collection::vec, option, prelude::*, strategy::Strategy};

use still::Still;

fn sorted(actions: &[Action]) -> Vec<String> {
    let mut all: Vec<String> = actions.iter().map(|action| format!("{action:?}")).collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_makes_no_second_pod_and_ends_only_what_lives(still in any::still()) {
        let plan = still.plan();
        let mut created = BTreeSet::new();
        for action in &plan.actions {
            match action {
                Action::Create { instance, run, revision, .. } => {
                    prop_assert!(created.insert(*instance), "two of {instance}");
                    let mut others = still.tasks.iter().filter(|task| task.instance == *instance);
                    let update = still.updates.last();
                    let surges = update.is_some_and(|it| it.settings.max_surge != Amount::Count(0));
                    let lives = others.clone().filter(|task| !task.is_terminal()).count();
                    prop_assert!(lives <= usize::from(surges), "beside {lives} of {instance}");
                    prop_assert!(others.all(|task| task.run < *run));
                    prop_assert!(still.revisions.iter().any(|record| record.revision == *revision));
                }
                Action::End { uid, instance, run, .. } => {
                    let task = still.tasks.iter().find(|task| task.uid == *uid).expect("is there");
                    prop_assert_eq!((task.instance, task.run, task.is_terminal()), (*instance, *run, false));
                }
                Action::SetGate { uid, .. } | Action::ChangeInPlace { uid, .. } => {
                    let task = still.tasks.iter().find(|task| task.uid == *uid).expect("is there");
                    prop_assert!(!task.is_terminal() && task.ending.is_none() && task.in_place.is_some());
                    // Of one Pod just one thing is asked.
                    let ended = |it: &Action| matches!(it, Action::End { uid: other, .. } if other == uid);
                    prop_assert!(!plan.actions.iter().any(ended));
                }
                Action::Prune { uid, .. } | Action::Retire { uid, .. } => {
                    let task = still.tasks.iter().find(|task| task.uid == *uid).expect("is there");
                    prop_assert!(task.is_terminal());
                }
                Action::StartUpdate(new) => {
                    prop_assert!(still.updates.iter().all(|update| update.number < new.number));
                }
                _ => {}
            }
        }
        prop_assert!(plan.actions.is_sorted_by_key(Action::order));
    }

    #[test]
    fn a_plan_hangs_on_no_order_no_uid_and_no_date(still in any::still(), days in 1..400i64) {
        let plan = still.plan();

        let mut shuffled = still.clone();
        shuffled.revisions.reverse();
        prop_assert_eq!(sorted(&shuffled.plan().actions), sorted(&plan.actions));

        let mut renamed = still.clone();
        let mut uids = BTreeMap::new();
        for (number, task) in (1u128..).zip(&mut renamed.tasks) {
            // The first becomes the last: their order means nothing.
            let uid = Uid::new(100_000 - number);
            uids.insert(uid, task.uid);
            task.uid = uid;
        }
        let mut actions = renamed.plan().actions;
        for action in &mut actions {
            if let Action::End { uid, .. }
            | Action::Retire { uid, .. }
            | Action::Prune { uid, .. }
            | Action::SetGate { uid, .. }
            | Action::ChangeInPlace { uid, .. }
            | Action::AdoptTask { uid, .. } = action
            {
                *uid = uids[uid];
            }
        }
        prop_assert_eq!(&actions, &plan.actions);

        let mut later = still;
        let passed = SignedDuration::from_hours(24 * days);
        later.now += passed;
        for task in &mut later.tasks {
            task.created += passed;
            for at in [&mut task.ready_since, &mut task.unready_since, &mut task.started, &mut task.ended].into_iter().flatten() {
                *at += passed;
            }
            task.ending.iter_mut().for_each(|ending| ending.at += passed);
            if let Some(gate) = task.in_place.as_deref_mut() {
                gate.since.iter_mut().for_each(|since| *since += passed);
                gate.change.iter_mut().for_each(|change| change.at += passed);
            }
        }
        later.lost_nodes.values_mut().for_each(|since| *since += passed);
        for progress in later.updates.iter_mut().filter_map(|update| update.progress.as_mut()) {
            progress.started += passed;
            progress.advanced += passed;
        }
        if let Some(Outcome::Measured { at, held_at, fails_since, .. }) = &mut later.measured {
            held_at.iter_mut().chain(fails_since).chain([at]).for_each(|at| *at += passed);
        }
        let shifted = later.plan();
        prop_assert_eq!(shifted.actions, plan.actions);
        prop_assert_eq!(shifted.next_check, plan.next_check.map(|at| at + passed));
    }

    #[test]
    fn plans_come_to_rest_while_nothing_happens(mut still in any::still()) {
        still.come_to_rest();
        prop_assert!(still.made.values().all(|made| *made == 1), "{:?}", still.made);
    }
}

/// Something a person does, or misfortune.
#[derive(Debug, Clone)]
enum Deed {
    Edit(Revision, u32),
    Scale(u32),
    Scope(Option<Ranges>),
    Restart,
    Fail(u32),
    Wait(i64),
    Pause(bool),
    Abort,
    RollBack,
    Retry,
    LoseStatus,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (any::revision(), 0..7u32).prop_map(|(revision, instances)| Deed::Edit(revision, instances)),
        2 => (0..7u32).prop_map(Deed::Scale),
        1 => option::of(any::ranges()).prop_map(Deed::Scope),
        1 => Just(Deed::Restart),
        2 => (0..7u32).prop_map(Deed::Fail),
        4 => (1..120i64).prop_map(Deed::Wait),
        1 => proptest::bool::ANY.prop_map(Deed::Pause),
        1 => Just(Deed::Abort),
        1 => Just(Deed::RollBack),
        1 => Just(Deed::Retry),
        1 => Just(Deed::LoseStatus),
    ]
}

fn suffer(still: &mut Still, deed: Deed) {
    match deed {
        Deed::Edit(revision, instances) => still.edit(revision, instances),
        Deed::Scale(instances) => still.edit(still.service.revision, instances),
        Deed::Scope(scope) => still.service.update.scope = scope,
        Deed::Restart => still.service.update.restart_at = Some(still.now),
        Deed::Fail(instance) => still.fail(instance),
        Deed::Wait(seconds) => still.live(seconds),
        Deed::LoseStatus => {
            still.status = None;
            still.updates.iter_mut().for_each(|update| update.progress = None);
            still.seen_runs.clear();
        }
        Deed::Pause(_) | Deed::Abort | Deed::RollBack | Deed::Retry => {
            let Some(update) = still.updates.last_mut() else { return };
            let controls = &mut update.controls;
            match deed {
                Deed::Pause(paused) => controls.paused = paused,
                Deed::Abort => controls.abort = Some(Request::default()),
                Deed::RollBack => controls.rollback = Some(Request::default()),
                _ => controls.retry = Some(Request::default()),
            }
        }
    }
}

/// A job whose every second config is bad, after all that was done to it.
fn after(service: Service, deeds: Vec<Deed>) -> Still {
    let mut still = Still::new(service);
    still.bad.extend([Revision::v1(2), Revision::v1(4)]);
    still.live(30);
    deeds.into_iter().for_each(|deed| suffer(&mut still, deed));
    still
}

/// The same, come to rest with good configs, all instances in the scope and nothing paused.
fn at_rest_after(service: Service, deeds: Vec<Deed>) -> Still {
    let mut still = after(service, deeds);
    still.bad.clear();
    still.service.update.scope = None;
    if let Some(update) = still.updates.last_mut() {
        update.controls.paused = false;
    }
    still.live(3600);
    still
}

const GOOD: Revision = Revision::v1(100);
const BAD: Revision = Revision::v1(102);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_good_config_comes_about_whatever_was_before(
        service in any::service(),
        deeds in vec(deed(), 0..12),
        instances in 0..7u32,
    ) {
        let mut still = after(service, deeds);
        // A restore takes the spec for what runs, so the change has to come after it was taken up.
        still.come_to_rest();
        still.service.update.scope = None;
        if let Some(update) = still.updates.last_mut() {
            // It takes the place of an update that goes on, whether that is paused or not.
            update.controls.paused = false;
        }
        still.edit(GOOD, instances);
        still.live(3600);
        let all: BTreeMap<_, _> = (0..instances).map(|instance| (instance, GOOD)).collect();
        prop_assert_eq!(still.running(), all, "{:#?}", still.updates.last());
        prop_assert!(still.progress().is_none_or(|progress| progress.state.is_terminal()));
        let status = still.status.clone().unwrap();
        prop_assert_eq!((status.last_good, status.counts.desired, status.counts.running), (Some(GOOD), instances, instances));
        prop_assert_eq!(still.plan().actions, vec![]);
    }

    #[test]
    fn a_rollback_restores_every_instance(
        service in any::service(),
        deeds in vec(deed(), 0..6),
        instances in 1..7u32,
    ) {
        let mut still = at_rest_after(service, deeds);
        let before = still.running();
        still.service.update.rollback_on_failure = true;
        still.service.update.max_failed_instances = Amount::Count(0);
        still.bad.insert(BAD);
        still.edit(BAD, instances);
        still.live(3600);
        prop_assert_eq!(still.progress().map(|progress| progress.state), Some(UpdateState::RolledBack));
        prop_assert_eq!(still.running(), before);
        prop_assert_eq!(still.plan().actions, vec![]);
    }

    #[test]
    fn nothing_outside_the_scope_is_touched(
        service in any::service(),
        scope in any::ranges(),
        deeds in vec(deed(), 0..6),
        revision in any::revision(),
        instances in 1..7u32,
        gone in 0..7u32,
        back in proptest::bool::ANY,
    ) {
        let mut still = after(service, deeds);
        still.bad.clear();
        still.service.update.scope = None;
        still.edit(GOOD, instances);
        still.live(3600);
        let uid = |still: &Still, instance| still.live_task(instance).map(|task| task.uid);
        let before: Vec<_> = (0..8).map(|instance| uid(&still, instance)).collect();
        still.bad.insert(Revision::v1(2));
        still.service.update.scope = Some(scope.clone());
        still.edit(revision, gone);
        still.live(600);
        // Where no instance of it differs there is no update, and a count is changed as ever.
        let scoped = |update: &Update| update.settings.scope.as_ref() == Some(&scope);
        prop_assume!(gone == instances || still.updates.last().is_some_and(scoped));
        if back && let Some(update) = still.updates.last_mut() {
            update.controls.rollback = Some(Request::default());
        }
        still.live(3600);
        // Where the scope lets no instance come, the count is changed as ever.
        let may_come = |instance: &u32| (instances..gone).contains(instance);
        for instance in (0..8).filter(|instance| !scope.contains(*instance) && !may_come(instance)) {
            prop_assert_eq!(uid(&still, instance), before[instance as usize], "instance {}", instance);
        }
    }

    #[test]
    fn instructions_say_just_the_difference(
        service in any::service(),
        deeds in vec(deed(), 0..6),
        instances in 1..7u32,
    ) {
        let mut still = at_rest_after(service, deeds);
        let before = still.running();
        let known = still.updates.len();
        still.edit(GOOD, instances);
        while still.updates.len() == known {
            prop_assert!(still.step(), "nothing begins");
        }
        let instructions = &still.updates.last().unwrap().instructions;
        let lookup = |parts: &[(Revision, Ranges)], instance| {
            parts.iter().find(|(_, ranges)| ranges.contains(instance)).map(|(revision, _)| *revision)
        };
        for instance in 0..8 {
            let had = before.get(&instance).copied();
            let shall = (instance < instances).then_some(GOOD);
            let from = lookup(&instructions.from, instance);
            let to = lookup(instructions.to.as_slice(), instance);
            let expected = if had == shall { (None, None) } else { (had, shall) };
            prop_assert_eq!((from, to), expected, "instance {}: {:?}", instance, instructions);
        }
    }

    #[test]
    fn an_update_goes_on_or_says_why_not(
        service in any::service(),
        deeds in vec(deed(), 0..8),
        instances in 0..7u32,
        revision in any::revision(),
        pauses in proptest::bool::ANY,
        frozen in proptest::bool::weighted(0.2),
    ) {
        let mut still = after(service, deeds);
        still.edit(revision, instances);
        still.come_to_rest();
        still.frozen = frozen;
        if pauses && let Some(update) = still.updates.last_mut() {
            update.controls.paused = true;
        }
        for _ in 0..40 {
            still.come_to_rest();
            let plan = still.plan();
            let goes_on = still.progress().filter(|progress| !progress.state.is_terminal());
            if let Some(progress) = goes_on {
                let is_moving = |task: &Task| !task.is_terminal() && (task.ending.is_some() || !task.ready);
                let ready = &still.status.as_ref().unwrap().conditions[0];
                let is_halted = [reasons::UPDATE_PAUSED, reasons::AWAITING_PULSE].contains(&ready.reason);
                prop_assert!(
                    plan.next_check.is_some()
                        || !plan.held.is_empty()
                        || still.tasks.iter().any(is_moving)
                        || (is_halted && !ready.message.is_empty()),
                    "it stands still in {:?}: {still:?}",
                    progress.state
                );
            }
            still.pods();
            still.now += SignedDuration::from_secs(5);
        }
    }

    #[test]
    fn an_update_takes_on_no_more_than_its_group(
        mut service in any::service(),
        instances in 1..7u32,
        revision in any::revision(),
    ) {
        service.revision = Revision::v1(1);
        service.instances = instances;
        let group_size = service.update.strategy.sizes(instances).into_iter().max().unwrap();
        // A change in place takes down what it changes.
        let surges = service.update.max_surge != Amount::Count(0) && !service.update.in_place;
        let mut still = after(service.clone(), vec![Deed::Wait(600)]);
        still.edit(revision, instances);
        for _ in 0..400 {
            still.come_to_rest();
            let down = (0..instances).filter(|instance| !still.is_served(*instance));
            let failed = still.progress().map_or(0, |progress| progress.failed.len() + progress.failed_back.len());
            // What is made beside the last run takes nothing down, however bad it is.
            let most = if surges { 0 } else { group_size + failed };
            prop_assert!(u32::try_from(down.count()).unwrap() <= most);
            let two = (0..instances).filter(|instance| still.live_tasks(*instance) == 2).count();
            prop_assert!(two <= service.update.surge(instances) as usize);
            still.pods();
            still.now += SignedDuration::from_secs(2);
        }
    }
}
