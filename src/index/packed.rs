//! A task as the index keeps it: small, since there is one for every Pod of a service.
//!
//! Nothing is lost: a task with a time that does not fit the small form, which those of the API do, is kept whole. Pure; called by `state` and `kinds`.

use std::{cmp::Ordering, num::NonZeroU32};

use borealis_core::model::{
    EndReason, Ending, InPlace, Instance, Intent, NodeId, Revision, Run, Task, TaskState, Uid, Waiting,
};
use jiff::Timestamp;

use super::records::Record;

/// A task, packed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TaskRow {
    /// Most are.
    Small(Small),
    /// One that the small form can't hold.
    Whole(Box<Task>),
}

/// The small form: times in whole seconds since 1970, flags in one byte.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Small {
    uid: Uid,
    revision: Revision,
    in_place: Option<Box<InPlace>>,
    instance: Instance,
    run: Run,
    created: u32,
    ready_since: Option<NonZeroU32>,
    unready_since: Option<NonZeroU32>,
    started: Option<NonZeroU32>,
    ended: Option<NonZeroU32>,
    /// When its end was ordered, and how long it has for it.
    ending: Option<NonZeroU32>,
    grace_seconds: u32,
    exit_code: i32,
    node: u32,
    flaps: u16,
    failures: u16,
    state: TaskState,
    before: TaskState,
    waiting: Option<Waiting>,
    end: Option<EndReason>,
    intent: Option<Intent>,
    flags: u8,
}

const READY: u8 = 1;
const HALF_ENDED: u8 = 1 << 1;
const LIVE_LABEL: u8 = 1 << 2;
const OWNED: u8 = 1 << 3;
const DELETING: u8 = 1 << 4;
const HAS_EXIT_CODE: u8 = 1 << 5;
const HAS_NODE: u8 = 1 << 6;

impl Small {
    /// `None` if the task has something that does not fit.
    fn pack(task: &Task) -> Option<Self> {
        let Task {
            uid,
            instance,
            run,
            revision,
            state,
            before,
            ready,
            ready_since,
            unready_since,
            waiting,
            created,
            started,
            ended,
            end,
            exit_code,
            ending,
            half_ended,
            in_place,
            flaps,
            failures,
            node,
            live_label,
            owned,
        } = task;
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        let flags = flag(*ready, READY)
            | flag(*half_ended, HALF_ENDED)
            | flag(*live_label, LIVE_LABEL)
            | flag(*owned, OWNED)
            | flag(ending.is_some_and(|ending| ending.deleting), DELETING)
            | flag(exit_code.is_some(), HAS_EXIT_CODE)
            | flag(node.is_some(), HAS_NODE);
        Some(Self {
            uid: *uid,
            revision: *revision,
            in_place: in_place.clone(),
            instance: *instance,
            run: *run,
            created: seconds(*created)?,
            ready_since: maybe(*ready_since)?,
            unready_since: maybe(*unready_since)?,
            started: maybe(*started)?,
            ended: maybe(*ended)?,
            ending: maybe(ending.map(|ending| ending.at))?,
            grace_seconds: ending.map_or(0, |ending| ending.grace_seconds),
            exit_code: exit_code.unwrap_or(0),
            node: node.map_or(0, |NodeId(number)| number),
            flaps: *flaps,
            failures: *failures,
            state: *state,
            before: *before,
            waiting: *waiting,
            end: *end,
            intent: ending.and_then(|ending| ending.intent),
            flags,
        })
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn unpack(&self) -> Task {
        let time = |seconds: Option<NonZeroU32>| seconds.map(|seconds| timestamp(seconds.get()));
        Task {
            uid: self.uid,
            instance: self.instance,
            run: self.run,
            revision: self.revision,
            state: self.state,
            before: self.before,
            ready: self.has(READY),
            ready_since: time(self.ready_since),
            unready_since: time(self.unready_since),
            waiting: self.waiting,
            created: timestamp(self.created),
            started: time(self.started),
            ended: time(self.ended),
            end: self.end,
            exit_code: self.has(HAS_EXIT_CODE).then_some(self.exit_code),
            ending: time(self.ending).map(|at| Ending {
                intent: self.intent,
                at,
                grace_seconds: self.grace_seconds,
                deleting: self.has(DELETING),
            }),
            half_ended: self.has(HALF_ENDED),
            in_place: self.in_place.clone(),
            flaps: self.flaps,
            failures: self.failures,
            node: self.has(HAS_NODE).then_some(NodeId(self.node)),
            live_label: self.has(LIVE_LABEL),
            owned: self.has(OWNED),
        }
    }
}

impl TaskRow {
    /// Packs a task.
    pub(super) fn pack(task: Task) -> Self {
        Small::pack(&task).map_or_else(|| Self::Whole(Box::new(task)), Self::Small)
    }

    /// The task as it was packed.
    pub(super) fn unpack(&self) -> Task {
        match self {
            Self::Small(small) => small.unpack(),
            Self::Whole(task) => Task::clone(task),
        }
    }

    /// Which instance.
    pub(super) fn instance(&self) -> Instance {
        match self {
            Self::Small(small) => small.instance,
            Self::Whole(task) => task.instance,
        }
    }

    /// Its state.
    pub(super) fn state(&self) -> TaskState {
        match self {
            Self::Small(small) => small.state,
            Self::Whole(task) => task.state,
        }
    }

    /// Which run of it.
    pub(super) fn run(&self) -> Run {
        match self {
            Self::Small(small) => small.run,
            Self::Whole(task) => task.run,
        }
    }

    /// When it last became Ready.
    pub(super) fn ready_since(&self) -> Option<Timestamp> {
        match self {
            Self::Small(small) => small.ready_since.map(|seconds| timestamp(seconds.get())),
            Self::Whole(task) => task.ready_since,
        }
    }

    /// Its node.
    pub(super) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Small(small) => small.has(HAS_NODE).then_some(NodeId(small.node)),
            Self::Whole(task) => task.node,
        }
    }

    /// Whether its controller is the service.
    pub(super) fn owned(&self) -> bool {
        match self {
            Self::Small(small) => small.has(OWNED),
            Self::Whole(task) => task.owned,
        }
    }
}

impl Record for TaskRow {
    type Key = (Instance, Run);

    fn cmp_key(&self, key: &Self::Key) -> Ordering {
        (self.instance(), self.run()).cmp(key)
    }

    fn uid(&self) -> Uid {
        match self {
            Self::Small(small) => small.uid,
            Self::Whole(task) => task.uid,
        }
    }

    fn set_owned(&mut self, owned: bool) {
        match self {
            Self::Small(small) if owned => small.flags |= OWNED,
            Self::Small(small) => small.flags &= !OWNED,
            Self::Whole(task) => task.owned = owned,
        }
    }
}

fn timestamp(seconds: u32) -> Timestamp {
    Timestamp::from_second(seconds.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whole seconds since 1970; `None` if it is no such time.
fn seconds(time: Timestamp) -> Option<u32> {
    u32::try_from(time.as_second()).ok().filter(|seconds| timestamp(*seconds) == time)
}

/// The same of a time that may be missing; the outer `None` says that it doesn't fit.
fn maybe(time: Option<Timestamp>) -> Option<Option<NonZeroU32>> {
    match time {
        None => Some(None),
        Some(time) => NonZeroU32::new(seconds(time)?).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// Mostly what the API has, and now and then something finer, earlier or later.
    fn time() -> impl Strategy<Value = Timestamp> {
        let second = |second| Timestamp::from_second(second).unwrap();
        prop_oneof![
            6 => (0..=i64::from(u32::MAX)).prop_map(second),
            1 => (-10..10_i64).prop_map(second),
            1 => (i64::from(u32::MAX) - 1..=i64::from(u32::MAX) + 1).prop_map(second),
            1 => (0..2_000_000_000_000_i64).prop_map(|milli| Timestamp::from_millisecond(milli).unwrap()),
        ]
    }

    fn maybe_time() -> impl Strategy<Value = Option<Timestamp>> {
        prop::option::of(time())
    }

    prop_compose! {
        fn task()(
            (uid, instance, run, hash) in any::<(u128, u32, u32, u64)>(),
            (state, before) in (select(&TaskState::ALL[..]), select(&TaskState::ALL[..])),
            (ready, half_ended, live_label, owned, deleting) in any::<(bool, bool, bool, bool, bool)>(),
            (ready_since, unready_since, started, ended) in (maybe_time(), maybe_time(), maybe_time(), maybe_time()),
            (created, ending) in (time(), maybe_time()),
            (flaps, failures, grace_seconds) in any::<(u16, u16, u32)>(),
            (exit_code, node) in any::<(Option<i32>, Option<u32>)>(),
            waiting in prop::option::of(select(&[Waiting::Unschedulable, Waiting::CrashLoop][..])),
            end in prop::option::of(select(&[EndReason::Exited, EndReason::Disrupted, EndReason::CheckFailed][..])),
            intent in prop::option::of(select(&[Intent::Kill, Intent::Preempt, Intent::Finish][..])),
            in_place in prop::bool::weighted(0.3),
        ) -> Task {
            Task {
                uid: Uid::new(uid), instance, run, revision: Revision::v1(hash), state, before, ready, ready_since,
                unready_since, waiting, created, started, ended, end, exit_code,
                ending: ending.map(|at| Ending { intent, at, grace_seconds, deleting }),
                half_ended,
                in_place: in_place.then(|| Box::new(InPlace { open: true, since: ended, change: None })),
                flaps, failures, node: node.map(NodeId), live_label, owned,
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_is_what_comes_out(task in task(), owned in any::<bool>()) {
            let mut row = TaskRow::pack(task.clone());
            prop_assert_eq!(&row.unpack(), &task);
            let seen = (row.uid(), row.instance(), row.state(), row.node(), row.owned());
            prop_assert_eq!(seen, (task.uid, task.instance, task.state, task.node, task.owned));
            prop_assert_eq!((row.run(), row.ready_since()), (task.run, task.ready_since));
            prop_assert_eq!(row.cmp_key(&(task.instance, task.run)), Ordering::Equal);
            row.set_owned(owned);
            prop_assert_eq!(row, TaskRow::pack(Task { owned, ..task }));
        }
    }

    #[test]
    fn a_row_is_small() {
        assert!(size_of::<TaskRow>() <= 96, "{} bytes", size_of::<TaskRow>());
        assert!(size_of::<Task>() > 200, "or there is no point to it");
    }
}
