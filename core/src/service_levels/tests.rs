use jiff::Timestamp;
use proptest::{prelude::*, sample::select};

use super::*;
use crate::model::{
    Change, Ending, InPlace, Intent, Revision, Run, Stage, Task, TaskState, TaskState::*, Uid,
};

const NOW: i64 = 1_000_000;

/// So many seconds before the reckoning.
fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds).unwrap()
}

fn told(intent: Intent) -> Option<Ending> {
    Some(Ending { intent: Some(intent), at: ago(0), grace_seconds: 30, deleting: true })
}

/// A task of instance 0 that was made this long ago and came into its state so long ago.
fn task(run: Run, state: TaskState, made: i64, since: i64) -> Task {
    Task {
        uid: Uid::new(run.into()),
        instance: 0,
        run,
        revision: Revision::v1(1),
        state,
        before: state,
        ready: state == Running,
        ready_since: (state == Running).then(|| ago(since)),
        unready_since: None,
        waiting: None,
        created: ago(made),
        started: matches!(state, Starting | Running).then(|| ago(since)),
        ended: state.is_terminal().then(|| ago(since)),
        end: None,
        exit_code: None,
        ending: state.is_ending().then(|| Ending {
            intent: None,
            at: ago(since),
            grace_seconds: 30,
            deleting: true,
        }),
        half_ended: false,
        in_place: None,
        flaps: 0,
        failures: 0,
        node: None,
        live_label: true,
        owned: true,
    }
}

/// A service of one instance, and what is known of it.
#[derive(Default)]
struct World {
    ledger: Ledger,
    tasks: Vec<Task>,
}

impl World {
    fn note(&mut self, before: Option<&Task>, after: Option<&Task>, at: Timestamp) {
        let of = after.or(before).unwrap();
        let others: Vec<_> =
            self.tasks.iter().filter(|task| task.run != of.run).map(|task| (task.run, task.state)).collect();
        let scheduled = after.and_then(|task| (task.state >= Assigned).then_some(task.created));
        self.ledger.note(&Sighting { before, after, scheduled, others: &others }, at);
    }

    /// The task is seen at a time.
    fn sees(&mut self, task: &Task, at: Timestamp) {
        let known = self.tasks.iter().position(|known| known.run == task.run).map(|at| self.tasks.remove(at));
        self.note(known.as_ref(), Some(task), at);
        self.tasks.push(task.clone());
    }

    /// The task is gone at a time.
    fn loses(&mut self, run: Run, at: Timestamp) {
        let known = self.tasks.iter().position(|known| known.run == run).map(|at| self.tasks.remove(at));
        self.note(known.as_ref(), None, at);
    }

    fn close(&mut self, wanted: u32, now: Timestamp) -> Tally {
        let mut tally = Tally::default();
        let standing = self.tasks.iter().map(|task| Standing {
            instance: task.instance,
            run: task.run,
            state: task.state,
            ready_since: task.ready_since,
        });
        self.ledger.close(wanted, standing, now, &mut tally);
        tally
    }

    fn ratio(&mut self) -> f64 {
        self.close(1, ago(0)).spent().ratio()
    }

    /// One that has been RUNNING for long, for a whole window.
    fn running() -> Self {
        let mut world = Self::default();
        world.sees(&task(1, Running, 900, 800), ago(800));
        world.close(1, ago(60));
        world
    }
}

fn close_to(is: f64, wanted: f64) -> bool {
    (is - wanted).abs() < 1e-9
}

#[test]
fn every_state_says_what_an_instance_is_to_the_platform() {
    use Class::{Down, Removed, Up};
    // From UP, DOWN and REMOVED.
    for (state, ending, wanted) in [
        (Init, None, [Removed, Down, Removed]),
        (Throttled, None, [Removed, Removed, Removed]),
        (Pending, None, [Removed, Down, Removed]),
        (Assigned, None, [Removed, Down, Removed]),
        (Starting, None, [Removed, Down, Removed]),
        (Running, None, [Up, Up, Up]),
        (Preempting, None, [Down, Down, Down]),
        (Restarting, None, [Removed, Removed, Removed]),
        (Draining, None, [Down, Down, Down]),
        (Killing, None, [Removed, Removed, Removed]),
        (Partitioned, None, [Up, Up, Up]),
        (Finished, None, [Removed, Removed, Removed]),
        (Failed, None, [Removed, Removed, Removed]),
        (Lost, None, [Down, Down, Down]),
        (Killed, None, [Down, Down, Removed]),
        (Killed, told(Intent::Kill), [Removed, Down, Removed]),
        (Killed, told(Intent::Restart), [Removed, Down, Removed]),
        (Killed, told(Intent::Drain), [Down, Down, Removed]),
        (Killed, told(Intent::Preempt), [Down, Down, Removed]),
    ] {
        let is = [Up, Down, Removed].map(|class| class.next(state, ending));
        assert_eq!(is, wanted, "{state:?} {ending:?}");
    }
}

#[test]
fn no_tasks_are_served_in_full_and_have_no_other_figures() {
    let tally = World::default().close(0, ago(0));
    assert!(close_to(tally.spent().ratio(), 1.0));
    assert_eq!(Mark::ALL.map(|mark| tally.median(mark)), [None; 3]);
    assert_eq!(PERCENTILES.map(|percentile| tally.uptime(percentile)), [None; 5]);
}

#[test]
fn the_platform_answers_for_what_it_ended_until_the_next_one_runs() {
    let mut world = World::running();
    assert!(close_to(world.ratio(), 1.0));
    let mut world = World::running();
    world.sees(&task(1, Lost, 900, 40), ago(39));
    world.sees(&task(2, Pending, 38, 38), ago(38));
    world.sees(&task(2, Running, 38, 10), ago(10));
    assert!(close_to(world.ratio(), 30.0 / 60.0), "down for 30 of 60 s");
    assert!(close_to(world.ratio(), 1.0), "and that is counted once");
}

#[test]
fn what_is_partitioned_is_up_until_it_is_given_up() {
    let mut world = World::running();
    let given_up = Ending { intent: Some(Intent::Lose), at: ago(12), grace_seconds: 0, deleting: true };
    world.sees(&Task { ending: Some(given_up), ..task(1, Lost, 900, 45) }, ago(11));
    assert!(close_to(world.ratio(), 48.0 / 60.0));
}

#[test]
fn an_instance_with_two_tasks_has_spent_its_time_once() {
    let (mut one, mut two) = (World::running(), World::running());
    two.sees(&task(2, Running, 900, 800), ago(60));
    assert_eq!(two.close(1, ago(0)).spent(), one.close(1, ago(0)).spent());
}

#[test]
fn what_is_down_stays_down_from_window_to_window() {
    let mut world = World::running();
    world.sees(&task(1, Draining, 900, 15), ago(15));
    world.loses(1, ago(5));
    assert!(close_to(world.ratio(), 45.0 / 60.0));
    assert!(close_to(world.ratio(), 0.0), "all of the next window");
    assert!(close_to(world.close(0, ago(0)).spent().ratio(), 1.0), "nobody wants it any more");
}

#[test]
fn the_platform_does_not_answer_for_what_its_user_ended() {
    for state in [Killing, Restarting, Failed, Finished] {
        let mut world = World::running();
        world.sees(&task(1, state, 900, 40), ago(40));
        world.loses(1, ago(20));
        world.sees(&task(2, Pending, 18, 18), ago(18));
        assert!(close_to(world.ratio(), 1.0), "{state:?}");
    }
}

#[test]
fn a_pod_that_vanishes_unasked_counts_against_the_platform() {
    let mut world = World::running();
    world.loses(1, ago(30));
    assert!(close_to(world.ratio(), 0.5));
}

#[test]
fn an_old_run_says_nothing_while_a_newer_one_stands() {
    let mut world = World::running();
    world.sees(&task(2, Running, 50, 40), ago(40));
    world.sees(&task(1, Lost, 900, 30), ago(30));
    assert!(close_to(world.ratio(), 1.0), "the newer one runs");
    let mut world = World::default();
    world.sees(&task(2, Failed, 900, 30), ago(30));
    world.sees(&task(1, Lost, 900, 40), ago(20));
    assert!(close_to(world.ratio(), 1.0), "what was kept of an earlier run");
}

#[test]
fn medians_are_of_those_who_got_there_in_the_window() {
    let median = |waits: &[u32]| {
        let mut tally = Tally::default();
        tally.waits[Mark::Running as usize].extend(waits);
        tally.median(Mark::Running)
    };
    for (waits, wanted) in [
        (&[][..], None),
        (&[7], Some(7)),
        (&[9, 1, 5], Some(5)),
        (&[8, 2, 4, 6], Some(4)),
        (&[30, 60, 70, 90, 100, 110], Some(70)),
    ] {
        assert_eq!(median(waits), wanted, "{waits:?}");
    }
}

#[test]
fn uptimes_are_what_most_instances_have_passed() {
    let tally = Tally { uptimes: vec![90, 30, 70, 60], ..Tally::default() };
    assert_eq!(PERCENTILES.map(|percentile| tally.uptime(percentile)), [60, 30, 30, 30, 30].map(Some));
    let tally = Tally { uptimes: (1..=100).collect(), ..Tally::default() };
    assert_eq!(PERCENTILES.map(|percentile| tally.uptime(percentile)), [50, 25, 10, 5, 1].map(Some));
}

#[test]
fn a_task_is_followed_on_its_way() {
    let mut world = World::default();
    world.sees(&task(1, Pending, 50, 50), ago(50));
    world.sees(&task(1, Assigned, 50, 45), ago(45));
    let tally = world.close(1, ago(40));
    assert_eq!(Mark::ALL.map(|mark| tally.median(mark)), [Some(0), None, None]);
    world.sees(&task(1, Starting, 50, 30), ago(29));
    world.sees(&task(1, Running, 50, 12), ago(11));
    let tally = world.close(1, ago(0));
    assert_eq!(Mark::ALL.map(|mark| tally.median(mark)), [None, Some(20), Some(38)]);
    assert_eq!(tally.uptime(50), Some(12));
    let tally = world.close(1, ago(0));
    assert_eq!(Mark::ALL.map(|mark| tally.median(mark)), [None; 3], "each is counted once");
}

#[test]
fn only_what_is_active_new_and_made_for_it_counts_for_medians() {
    let of = |tasks: &[Task]| {
        let mut world = World::default();
        tasks.iter().for_each(|task| world.sees(task, ago(1)));
        world.close(1, ago(0)).median(Mark::Running)
    };
    assert_eq!(of(&[task(1, Pending, 20, 20), task(1, Running, 20, 5)]), Some(15), "states were skipped");
    assert_eq!(of(&[task(1, Running, 20, 5)]), Some(15), "seen first when it ran already");
    assert_eq!(of(&[task(1, Running, 200, 90)]), None, "that was before anybody looked");
    assert_eq!(
        of(&[task(1, Pending, 20, 20), task(1, Running, 20, 5), task(1, Failed, 20, 2)]),
        None,
        "it has ended"
    );
    assert_eq!(of(&[task(1, Pending, 20, 20), task(1, Running, 20, 25)]), Some(0), "clocks differ");
    let change = Change { update: 1, at: ago(9), stage: Stage::Done };
    let in_place = Some(Box::new(InPlace { open: true, since: None, change: Some(change) }));
    let changed = Task { in_place, ..task(1, Running, 900, 5) };
    assert_eq!(of(&[task(1, Starting, 900, 9), changed]), None, "it was changed in place, and made long ago");
}

proptest! {
    /// Whatever has happened, the ratio is one, and a user who ends the task then adds nothing to what counts against the
    /// platform.
    #[test]
    fn ends_by_users_add_no_time_down(
        steps in prop::collection::vec((select(&TaskState::ALL[..]), 0..20_i64), 0..8),
        user in select(&[Killing, Restarting, Failed, Finished][..]),
    ) {
        let happens = |user: Option<TaskState>| {
            let mut world = World::running();
            let (mut run, mut left) = (1, 60);
            for (state, seconds) in &steps {
                left = (left - seconds).max(1);
                run += u32::from(world.tasks.last().is_none_or(Task::is_terminal));
                world.sees(&task(run, *state, 900, left), ago(left));
            }
            run += u32::from(world.tasks.last().is_none_or(Task::is_terminal));
            if let Some(state) = user {
                world.sees(&task(run, state, 900, left - 1), ago(left - 1));
            }
            world.close(1, ago(0)).spent()
        };
        let (alone, ended) = (happens(None), happens(Some(user)));
        prop_assert!((0.0..=1.0).contains(&alone.ratio()) && (0.0..=1.0).contains(&ended.ratio()));
        prop_assert!(ended.down <= alone.down, "{ended:?} {alone:?}");
    }

    /// A user ending what has always run is never held against the platform, whenever and however it is seen.
    #[test]
    fn killing_is_never_counted(
        state in select(&[Killing, Restarting, Failed, Finished][..]), at in 1..60_i64, gone in any::<bool>(), again in any::<bool>(),
    ) {
        let mut world = World::running();
        world.sees(&task(1, state, 900, at), ago(at));
        if gone {
            world.loses(1, ago(at / 2));
        }
        if again {
            world.sees(&task(2, Pending, at / 2, at / 2), ago(at / 2));
        }
        prop_assert!(close_to(world.ratio(), 1.0));
    }

    /// The whole is neither better than its best part nor worse than its worst.
    #[test]
    fn sums_are_between_their_parts(ups in prop::collection::vec(0..=60_000_i64, 1..5)) {
        let parts: Vec<Spent> = ups.iter().map(|up| {
            let mut spent = Spent::default();
            spent.add(Class::Up, *up);
            spent.add(Class::Down, 60_000 - up);
            spent
        }).collect();
        let all = parts.iter().fold(Spent::default(), |sum, part| sum.with(*part)).ratio();
        let least = parts.iter().map(|part| part.ratio()).fold(1.0, f64::min);
        let most = parts.iter().map(|part| part.ratio()).fold(0.0, f64::max);
        prop_assert!(least - 1e-9 <= all && all <= most + 1e-9);
    }
}

#[test]
fn what_is_remembered_is_small() {
    let sizes = [size_of::<Ledger>(), size_of::<uptime::Change>(), size_of::<waits::Reached>()];
    assert_eq!(sizes, [72, 24, 16], "docs/operations.md tells these");
}
