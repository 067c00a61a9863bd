//! Any state of a job, likely or not: what the planner has to bear without a panic or a broken promise.

use borealis_core::model::{Strategy as Groups, *};
use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, option, prelude::*, sample::select, strategy::Strategy};

use crate::still::{Still, new_task};

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

/// Some moment within the two hours before now.
fn moment() -> impl Strategy<Value = Timestamp> {
    (0..7200i64).prop_map(|ago| now() - SignedDuration::from_secs(ago))
}

pub(crate) fn revision() -> impl Strategy<Value = Revision> {
    (1..6u64).prop_map(Revision::v1)
}

pub(crate) fn ranges() -> impl Strategy<Value = Ranges> {
    vec(0..8u32, 0..6).prop_map(|instances| instances.into_iter().collect())
}

fn size() -> impl Strategy<Value = Amount> {
    prop_oneof![3 => (1..4u32).prop_map(Amount::Count), 1 => (1..=100u8).prop_map(Amount::Percent)]
}

fn autopause() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(0.3)
}

pub(crate) fn groups() -> impl Strategy<Value = Groups> {
    prop_oneof![
        size().prop_map(|group_size| Groups::Queue { group_size }),
        (size(), autopause()).prop_map(|(group_size, autopause)| Groups::Batch { group_size, autopause }),
        (vec(size(), 1..4), autopause())
            .prop_map(|(group_sizes, autopause)| Groups::VariableBatch { group_sizes, autopause }),
    ]
}

pub(crate) fn settings() -> impl Strategy<Value = UpdateSettings> {
    let numbers = (0..30u32, 0..3u32, select(vec![0, 30, 600]), select(vec![0, 0, 0, 20]));
    let allowed =
        prop_oneof![3 => (0..3u32).prop_map(Amount::Count), 1 => (1..40u8).prop_map(Amount::Percent)];
    let surge = select(vec![Amount::Count(0), Amount::Count(0), Amount::Count(1), Amount::Percent(50)]);
    let ways = (any::<bool>(), any::<bool>(), surge);
    let drawn = (groups(), allowed, numbers, checks(), ways);
    drawn.prop_map(|(strategy, max_failed_instances, numbers, checks, ways)| {
        let (rollback_on_failure, in_place, max_surge) = ways;
        let (watch_seconds, max_per_instance_failures, max_wait_seconds, pulse_interval_seconds) = numbers;
        UpdateSettings {
            strategy,
            watch_seconds,
            max_per_instance_failures,
            max_failed_instances,
            rollback_on_failure,
            max_wait_seconds,
            pulse_interval_seconds,
            checks,
            in_place,
            max_surge,
            ..UpdateSettings::default()
        }
    })
}

/// No checks mostly; otherwise one or two.
fn checks() -> impl Strategy<Value = Vec<Check>> {
    let meaning = select(vec![OnFailure::FailInstance, OnFailure::LosePulse]);
    prop_oneof![2 => Just(Vec::new()), 1 => vec(meaning, 1..3)].prop_map(|meanings| {
        let check = |(number, on_failure): (usize, OnFailure)| Check {
            name: format!("check-{number}"),
            source: Source::Http { url: "http://web/".to_owned(), json_path: "$".to_owned() },
            must: Must { be: Comparison::AtMost, value: "1".to_owned() },
            interval_seconds: 30,
            timeout_seconds: 5,
            failures_in_a_row: 1,
            on_failure,
        };
        meanings.into_iter().enumerate().map(check).collect()
    })
}

/// What may have come of measuring.
fn outcome() -> impl Strategy<Value = Outcome> {
    let measured = (moment(), option::of(moment()), any::<bool>());
    prop_oneof![
        1 => Just(Outcome::Refused("not allowed".to_owned())),
        5 => measured.prop_map(|(at, held_at, failing)| {
            let (value, message) = ("2".to_owned(), "2, must be at most 1".to_owned());
            Outcome::Measured { at, held_at, fails_since: failing.then_some(at), failing, value, message }
        }),
    ]
}

pub(crate) fn service() -> impl Strategy<Value = Service> {
    (0..7u32, revision(), settings(), 0..400u32, 0..4u32, 0..3u32, any::<bool>()).prop_map(
        |(instances, revision, update, threshold_seconds, failed, ended, reschedule)| Service {
            uid: Uid::new(1),
            generation: 1,
            deleting: false,
            instances,
            revision,
            update,
            hold_updates: false,
            queue_updates: false,
            flapping: Flapping { threshold_seconds, initial_delay_seconds: 60, max_delay_seconds: 300 },
            partition: Partition { reschedule, delay_seconds: 30 },
            history: History { failed, ended, ttl_seconds: 86_400 },
            work: Work::default(),
            batch: None,
        },
    )
}

/// A task, its uid, instance and run still to be given.
fn task() -> impl Strategy<Value = Task> {
    let states = select(TaskState::ALL.iter().copied().filter(is_observed).collect::<Vec<_>>());
    let intents = select(vec![Intent::Kill, Intent::Lose, Intent::Finish, Intent::Drain]);
    let ends = select(vec![EndReason::Exited, EndReason::Stopped, EndReason::Disrupted, EndReason::Unknown]);
    let ending = (option::of(intents), moment(), any::<bool>());
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), option::of(gate()));
    (revision(), states, moment(), option::of(moment()), ending, flags, ends, 0..4u16, 0..3u32).prop_map(
        |(revision, state, created, started, (intent, at, deleting), flags, end, flaps, node)| {
            let (ready, half_ended, live_label, owned, gate) = flags;
            let ended = state.is_terminal();
            let ending = (state.is_ending() || (ended && deleting)).then_some(Ending {
                intent,
                at,
                grace_seconds: 30,
                deleting,
            });
            Task {
                state,
                before: if ended { TaskState::Running } else { state },
                ready: ready && state == TaskState::Running,
                ready_since: started.filter(|_| ready),
                started,
                ended: ended.then_some(at.max(created)),
                end: ended.then_some(end),
                exit_code: ended.then_some(1),
                ending,
                half_ended: half_ended && state == TaskState::Running,
                in_place: gate.map(Box::new),
                flaps,
                failures: flaps,
                node: Some(NodeId(node)),
                live_label,
                owned,
                ..new_task(Uid::new(0), 0, 0, revision, created)
            }
        },
    )
}

fn gate() -> impl Strategy<Value = InPlace> {
    let stages = select(vec![Stage::Pending, Stage::Done, Stage::Stuck]);
    let change = (1..4u32, moment(), stages).prop_map(|(update, at, stage)| Change { update, at, stage });
    (any::<bool>(), option::of(moment()), option::of(change)).prop_map(|(open, since, change)| InPlace {
        open,
        since,
        change,
    })
}

/// States that a Pod's status can mean; the others are what the planner makes of them.
fn is_observed(state: &TaskState) -> bool {
    !matches!(state, TaskState::Init | TaskState::Throttled | TaskState::Partitioned)
}

fn update() -> impl Strategy<Value = Update> {
    let instructions =
        (vec((revision(), ranges()), 0..3), (revision(), ranges()), 0..7u32, 0..7u32, vec(revision(), 0..3));
    let controls = (any::<bool>(), 0..12u8);
    (instructions, settings(), controls, option::weighted(0.9, progress())).prop_map(
        |((from, to, instances, previous_instances, in_place), settings, (paused, asked), progress)| {
            let request = |wish| (asked == wish).then(Request::default);
            let (abort, rollback, retry) = (request(0), request(1), request(2));
            let controls = Controls { paused, abort, rollback, retry, ..Controls::default() };
            let to = Some(to);
            let instructions = Instructions {
                from,
                to,
                instances,
                asked: instances,
                previous_instances,
                in_place,
                ..Instructions::default()
            };
            Update { uid: Uid::new(0), number: 0, instructions, settings, controls, progress, owned: true }
        },
    )
}

fn progress() -> impl Strategy<Value = Progress> {
    let states = select(UpdateState::ALL.to_vec());
    (states, moment(), 0..3u32, vec(0..6u8, 8)).prop_map(|(state, started, floor, fates)| {
        let of = |wanted: &[u8]| {
            let instances = fates.iter().enumerate().filter(|(_, fate)| wanted.contains(fate));
            instances.map(|(instance, _)| u32::try_from(instance).unwrap()).collect::<Ranges>()
        };
        let (working, done, failed) = (of(&[1]), of(&[2, 3]), of(&[4]));
        let back = state.is_back();
        Progress {
            finished: state.is_terminal().then_some(started),
            touched: of(&[1, 2, 3, 4]),
            working: if state.is_terminal() { Ranges::default() } else { working },
            updated: if back { Ranges::default() } else { done.clone() },
            failed: if back { Ranges::default() } else { failed.clone() },
            rolled_back: if back { done } else { Ranges::default() },
            failed_back: if back { failed } else { Ranges::default() },
            ..Progress::new(state, started, floor)
        }
    })
}

fn status() -> impl Strategy<Value = ServiceStatus> {
    let revisions = vec((revision(), ranges()), 0..2);
    let update = option::of((1..4u32, select(UpdateState::ALL.to_vec())));
    (option::weighted(0.9, revision()), option::of(revision()), 0..9u32, 0..7u32, revisions, update).prop_map(
        |(observed_revision, last_good, highest_run, desired, revisions, update)| ServiceStatus {
            observed_generation: 1,
            observed_revision,
            last_good,
            highest_run,
            counts: Counts { desired, ..Counts::default() },
            revisions,
            update: update.map(|(number, state)| UpdateRef { number, state }),
            ..ServiceStatus::default()
        },
    )
}

/// Any state at all.
pub(crate) fn still() -> impl Strategy<Value = Still> {
    let tasks = vec(vec(task(), 0..4), 8);
    let revisions = vec((any::<bool>(), any::<bool>(), 0..8u8), 5);
    let world = (any::<bool>(), any::<bool>(), option::of(moment()), option::of(outcome()));
    (service(), tasks, revisions, vec(update(), 0..3), option::weighted(0.9, status()), world).prop_map(
        |(service, tasks, revisions, updates, status, (frozen, keep_allowed, lost, measured))| {
            let mut still = Still::new(service);
            for (instance, tasks) in (0..).zip(tasks) {
                for (run, task) in (1..).zip(tasks) {
                    let uid = still.uid();
                    still.tasks.push(Task { uid, instance, run, ..task });
                    still.seen_runs.insert(instance, run);
                }
            }
            for (hash, (last_good, failed, owned)) in (1..).zip(revisions) {
                let (uid, number) = (still.uid(), i64::try_from(hash).unwrap());
                let owned = owned > 0;
                let revision = Revision::v1(hash);
                still.revisions.push(RevisionRecord { revision, uid, number, last_good, failed, owned });
            }
            for (number, update) in (1..).zip(updates) {
                let uid = still.uid();
                still.updates.push(Update { uid, number, ..update });
            }
            still.lost_nodes.extend(lost.map(|since| (NodeId(0), since)));
            (still.status, still.frozen, still.keep_allowed) = (status, frozen, keep_allowed);
            still.measured = measured;
            still
        },
    )
}
