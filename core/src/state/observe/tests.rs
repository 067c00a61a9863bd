//! The table of Pod status to task state, row by row.

use super::*;
use crate::model::{Revision, Uid};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn running() -> ContainerFacts {
    ContainerFacts { kind: ContainerKind::Regular, state: ContainerState::Running { since: at(10) } }
}

fn exited(code: i32, second: i64) -> ContainerFacts {
    let state = ContainerState::Terminated {
        exit_code: code,
        out_of_memory: false,
        started: Some(at(10)),
        finished: Some(at(second)),
        for_good: true,
    };
    ContainerFacts { kind: ContainerKind::Regular, state }
}

fn out_of_memory() -> ContainerFacts {
    let mut container = exited(137, 50);
    if let ContainerState::Terminated { out_of_memory, .. } = &mut container.state {
        *out_of_memory = true;
    }
    container
}

fn of_kind(kind: ContainerKind, container: ContainerFacts) -> ContainerFacts {
    ContainerFacts { kind, ..container }
}

fn facts(phase: Phase, containers: &[ContainerFacts]) -> PodFacts<'_> {
    PodFacts {
        phase,
        reason: None,
        scheduled: true,
        ready_since: None,
        disrupted: false,
        deleting: None,
        intent: None,
        in_place: None,
        containers,
    }
}

fn task(state: TaskState) -> Task {
    Task {
        uid: Uid::new(1),
        instance: 0,
        run: 1,
        revision: Revision::v1(1),
        state,
        before: state,
        ready: false,
        unready_since: None,
        waiting: None,
        ready_since: None,
        created: at(1),
        started: None,
        ended: None,
        end: None,
        exit_code: None,
        ending: None,
        half_ended: false,
        in_place: None,
        flaps: 0,
        failures: 0,
        node: None,
        live_label: true,
        owned: true,
    }
}

#[test]
fn ended_pods_are_judged_by_who_ended_them() {
    use EndReason::*;
    use TaskState::*;
    let (ok, bad, oom) = ([exited(0, 50)], [exited(3, 50)], [out_of_memory()]);
    let failed = |reason| PodFacts { reason: Some(reason), ..facts(Phase::Failed, &bad) };
    let rejected = |reason| PodFacts { reason: Some(reason), ..facts(Phase::Failed, &[]) };
    let meant = |intent, phase, containers| PodFacts { intent: Some(intent), ..facts(phase, containers) };
    let rows: Vec<(&str, PodFacts<'_>, TaskState, EndReason)> = vec![
        ("success", facts(Phase::Succeeded, &ok), Finished, Exited),
        ("non-zero exit", facts(Phase::Failed, &bad), Failed, Exited),
        ("memory limit", facts(Phase::Failed, &oom), Failed, OutOfMemory),
        ("nothing known", facts(Phase::Failed, &[]), Failed, Unknown),
        ("refused by the kubelet", rejected("OutOfcpu"), Lost, Rejected),
        ("refused for affinity", rejected("NodeAffinity"), Lost, Rejected),
        ("node shut down", failed("Terminated"), Lost, NodeLost),
        ("node lost", failed("NodeLost"), Lost, NodeLost),
        ("own storage limit", failed("Evicted"), Failed, OwnLimit),
        ("node pressure", PodFacts { disrupted: true, ..failed("Evicted") }, Lost, Disrupted),
        (
            "eviction API, container failed on SIGTERM",
            PodFacts { disrupted: true, ..facts(Phase::Failed, &bad) },
            Lost,
            Disrupted,
        ),
        ("deadline of another", failed("DeadlineExceeded"), Killed, Stopped),
        (
            "deleted from outside",
            PodFacts { deleting: Some(at(40)), ..facts(Phase::Failed, &bad) },
            Killed,
            Stopped,
        ),
        ("killed on purpose", meant(Intent::Kill, Phase::Failed, &bad), Killed, Stopped),
        ("killed on purpose, exit 0", meant(Intent::Kill, Phase::Succeeded, &ok), Killed, Stopped),
        ("preempted", meant(Intent::Preempt, Phase::Failed, &bad), Killed, Stopped),
        ("given up", meant(Intent::Lose, Phase::Failed, &bad), Lost, NodeLost),
        ("took too long", meant(Intent::TimeOut, Phase::Failed, &bad), Failed, TimedOut),
        ("was quicker than its time", meant(Intent::TimeOut, Phase::Succeeded, &ok), Finished, Exited),
        ("without health", meant(Intent::Unhealthy, Phase::Failed, &bad), Failed, Unhealthy),
        ("was quicker than its health", meant(Intent::Unhealthy, Phase::Succeeded, &ok), Finished, Exited),
        (
            "took too long and exited with 0 when it was deleted for it",
            PodFacts { deleting: Some(at(40)), ..meant(Intent::TimeOut, Phase::Succeeded, &ok) },
            Failed,
            TimedOut,
        ),
    ];
    for (name, facts, state, end) in rows {
        let seen = observe(&facts, Some(&task(Running)));
        assert_eq!((seen.state, seen.end), (state, Some(end)), "{name}");
        assert_eq!(seen.before, Running, "{name}");
    }
}

#[test]
fn live_pods_are_on_their_way() {
    use TaskState::*;
    let up = [running()];
    let deleting = |base: PodFacts<'static>| PodFacts { deleting: Some(at(40)), ..base };
    let up: &'static [ContainerFacts] = Box::leak(Box::new(up));
    let run = facts(Phase::Running, up);
    let rows = [
        ("no node", PodFacts { scheduled: false, ..facts(Phase::Pending, &[]) }, Pending),
        ("a node", facts(Phase::Pending, &[]), Assigned),
        ("containers run", run, Starting),
        ("ready", PodFacts { ready_since: Some(at(20)), ..run }, Running),
        ("deleted from outside", deleting(run), Killing),
        ("evicted", PodFacts { disrupted: true, ..deleting(run) }, Draining),
        ("stopped, to be kept", PodFacts { intent: Some(Intent::Kill), ..run }, Killing),
        ("preempted", PodFacts { intent: Some(Intent::Preempt), ..deleting(run) }, Preempting),
        ("half ended, the rest is stopped", PodFacts { intent: Some(Intent::Finish), ..run }, Starting),
        ("stopped for its time", PodFacts { intent: Some(Intent::TimeOut), ..run }, Starting),
        ("stopped for its health", PodFacts { intent: Some(Intent::Unhealthy), ..run }, Starting),
        ("deleted for its time", PodFacts { intent: Some(Intent::TimeOut), ..deleting(run) }, Killing),
        ("drained", PodFacts { intent: Some(Intent::Drain), ..deleting(run) }, Draining),
        ("restarted", PodFacts { intent: Some(Intent::Restart), ..deleting(run) }, Restarting),
        ("given up on a lost node", PodFacts { intent: Some(Intent::Lose), ..deleting(run) }, Lost),
    ];
    for (name, facts, state) in rows {
        let seen = observe(&facts, None);
        assert_eq!((seen.state, seen.illegal), (state, false), "{name}");
    }
}

#[test]
fn a_task_that_was_ready_keeps_running_while_it_is_not() {
    let up = [running()];
    let known = Task { ready_since: Some(at(20)), ..task(TaskState::Running) };
    let seen = observe(&facts(Phase::Running, &up), Some(&known));
    assert_eq!((seen.state, seen.ready, seen.illegal), (TaskState::Running, false, false));
    assert_eq!(seen.ready_since, Some(at(20)));
}

#[test]
fn what_cannot_follow_is_dropped_and_said() {
    let ended = Task { end: Some(EndReason::Exited), ended: Some(at(50)), ..task(TaskState::Failed) };
    let up = [running()];
    let seen = observe(&facts(Phase::Running, &up), Some(&ended));
    assert_eq!((seen.state, seen.illegal), (TaskState::Failed, true));
    assert_eq!((seen.end, seen.ended), (Some(EndReason::Exited), Some(at(50))));
    let pending = observe(
        &PodFacts { scheduled: false, ..facts(Phase::Pending, &[]) },
        Some(&task(TaskState::Running)),
    );
    assert!(pending.illegal);
}

#[test]
fn an_ended_task_stays_what_it_was_when_its_pod_is_pruned() {
    let bad = [exited(3, 50)];
    let known = observe(&facts(Phase::Failed, &bad), Some(&task(TaskState::Running)));
    let record = Task {
        state: known.state,
        before: known.before,
        end: known.end,
        ended: known.ended,
        ..task(known.state)
    };
    let pruned = observe(&PodFacts { deleting: Some(at(90)), ..facts(Phase::Failed, &bad) }, Some(&record));
    assert_eq!(
        (pruned.state, pruned.end, pruned.ended),
        (TaskState::Failed, Some(EndReason::Exited), Some(at(50)))
    );
}

#[test]
fn a_task_ends_when_one_regular_container_has_ended_for_good() {
    let half = |containers: &[ContainerFacts]| observe(&facts(Phase::Running, containers), None).half_ended;
    assert!(half(&[exited(1, 50), running()]));
    assert!(half(&[exited(0, 50), running()]));
    assert!(!half(&[running(), running()]));
    assert!(!half(&[exited(0, 50), exited(0, 51)]), "the phase will say so");
    assert!(!half(&[of_kind(ContainerKind::Sidecar, exited(1, 50)), running()]));
    assert!(!half(&[of_kind(ContainerKind::Init, exited(0, 50)), running()]));
    let mut again = exited(1, 50);
    if let ContainerState::Terminated { for_good, .. } = &mut again.state {
        *for_good = false;
    }
    assert!(!half(&[again, running()]), "it is about to be started again");
}

#[test]
fn stopping_the_rest_of_a_task_that_failed_does_not_unmake_its_failure() {
    let half = [exited(5, 50), running()];
    let stopping = PodFacts { intent: Some(Intent::Finish), ..facts(Phase::Running, &half) };
    let seen = observe(&stopping, Some(&task(TaskState::Running)));
    let record = Task { state: seen.state, before: seen.before, ..task(seen.state) };
    let over = [exited(5, 50), exited(143, 51)];
    let ended = PodFacts { intent: Some(Intent::Finish), ..facts(Phase::Failed, &over) };
    let seen = observe(&ended, Some(&record));
    let effects = transition(Kind::Service, seen.before, seen.state);
    assert!(effects.is_ok_and(|effects| effects.count_failure), "{seen:?}");
}

#[test]
fn of_several_containers_the_one_that_ended_the_task_decides() {
    let first_fails = [exited(0, 50), exited(4, 49)];
    let seen = observe(&facts(Phase::Failed, &first_fails), None);
    assert_eq!((seen.state, seen.exit_code), (TaskState::Failed, Some(4)));
    // Its sibling was stopped for it and exited with 143; the task has finished all the same.
    let stopped = [exited(0, 40), exited(143, 50)];
    let finished = PodFacts { intent: Some(Intent::Finish), ..facts(Phase::Failed, &stopped) };
    let seen = observe(&finished, None);
    assert_eq!((seen.state, seen.exit_code), (TaskState::Finished, Some(0)));
    let init = [of_kind(ContainerKind::Init, exited(9, 12))];
    assert_eq!(observe(&facts(Phase::Failed, &init), None).exit_code, Some(9));
}

fn changed(stage: Stage, second: i64) -> InPlace {
    let change = Change { update: 3, at: at(second), stage };
    InPlace { open: false, since: Some(at(second)), change: Some(change) }
}

#[test]
fn a_task_that_was_changed_in_place_begins_anew() {
    let (containers, gate) = ([running()], changed(Stage::Pending, 70));
    let seen = PodFacts { in_place: Some(&gate), ..facts(Phase::Running, &containers) };
    let mut known = Task { ready_since: Some(at(20)), started: Some(at(10)), ..task(TaskState::Running) };
    // It was RUNNING with its old config; of the new one that is still to be seen.
    let first = observe(&seen, Some(&known));
    assert_eq!((first.state, first.before), (TaskState::Starting, TaskState::Starting));
    assert_eq!((first.ready_since, first.illegal), (None, false));
    // From then on it is remembered, however far the change comes.
    known.in_place = Some(Box::new(gate));
    known.ready_since = Some(at(80));
    let done = changed(Stage::Done, 70);
    let later = observe(&PodFacts { in_place: Some(&done), ..seen }, Some(&known));
    assert_eq!((later.state, later.ready_since), (TaskState::Running, Some(at(80))));
    // Another change is another beginning.
    let again = changed(Stage::Pending, 90);
    let anew = observe(&PodFacts { in_place: Some(&again), ..seen }, Some(&known));
    assert_eq!((anew.state, anew.ready_since), (TaskState::Starting, None));
}

#[test]
fn what_was_stopped_for_a_change_that_can_not_be_has_not_failed() {
    let (ended, half) = ([exited(3, 50)], [exited(3, 50), running()]);
    for (stage, state, end, half_ended) in [
        (Stage::Stuck, TaskState::Killed, EndReason::Stopped, false),
        (Stage::Pending, TaskState::Failed, EndReason::Exited, false),
        (Stage::Done, TaskState::Failed, EndReason::Exited, true),
    ] {
        let gate = changed(stage, 40);
        let seen = PodFacts { in_place: Some(&gate), ..facts(Phase::Failed, &ended) };
        let found = observe(&seen, None);
        assert_eq!((found.state, found.end), (state, Some(end)), "{stage:?}");
        let seen = PodFacts { phase: Phase::Running, containers: &half, ..seen };
        assert_eq!(observe(&seen, None).half_ended, half_ended, "{stage:?}");
    }
    // Who was evicted meanwhile was evicted.
    let gate = changed(Stage::Stuck, 40);
    let evicted = PodFacts { in_place: Some(&gate), disrupted: true, ..facts(Phase::Failed, &ended) };
    assert_eq!(observe(&evicted, None).end, Some(EndReason::Disrupted));
}
