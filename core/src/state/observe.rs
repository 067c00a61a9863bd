//! What a Pod's status means in Aurora's words: the table of Pod status to task state.
//!
//! Called by the index for each event of a Pod, with what it knew before: Kubernetes forgets that a Pod has been
//! Ready once and what it was doing when it ended, so the record remembers.

use jiff::Timestamp;

use crate::model::{Change, EndReason, InPlace, Intent, Stage, Task, TaskState};

use super::task::{Kind, transition};

/// Exit code of a process that was killed by a signal: 128 and its number.
const SIGKILLED: i32 = 128 + 9;
/// The same of one that was asked to stop.
const SIGTERMED: i32 = 128 + 15;

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not all containers have been started.
    Pending,
    /// At least one container runs, starts or restarts.
    Running,
    /// All containers have ended, with success.
    Succeeded,
    /// All containers have ended, one at least without success.
    Failed,
    /// The node can't be asked.
    Unknown,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerKind {
    /// It does the task's work; when it has ended for good, so has the task.
    Regular,
    /// A native sidecar (an init container that restarts always), which the kubelet ends after the others.
    Sidecar,
    /// It prepares the task.
    Init,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Not started, or about to be started again.
    Waiting,
    /// It runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It has ended.
    Terminated {
        /// How.
        exit_code: i32,
        /// The kernel ended it at its memory limit.
        out_of_memory: bool,
        /// When it had started.
        started: Option<Timestamp>,
        /// When it ended.
        finished: Option<Timestamp>,
        /// The Pod's restart policy, or the container's own rules, won't start it again.
        for_good: bool,
    },
}

/// One container of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerFacts {
    /// What it is for.
    pub kind: ContainerKind,
    /// What it is doing.
    pub state: ContainerState,
}

/// What the API says of a Pod.
#[derive(Debug, Clone, Copy)]
pub struct PodFacts<'a> {
    /// `status.phase`.
    pub phase: Phase,
    /// `status.reason`.
    pub reason: Option<&'a str>,
    /// `spec.nodeName` is set.
    pub scheduled: bool,
    /// Since when the Ready condition is true; `None` where it is not.
    pub ready_since: Option<Timestamp>,
    /// The DisruptionTarget condition is true.
    pub disrupted: bool,
    /// When its deletion was asked for.
    pub deleting: Option<Timestamp>,
    /// Why Borealis ends it, from its annotation.
    pub intent: Option<Intent>,
    /// Its gate and last change, where it has a gate.
    pub in_place: Option<&'a InPlace>,
    /// Its containers.
    pub containers: &'a [ContainerFacts],
}

/// What a Pod's status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The task's state.
    pub state: TaskState,
    /// The last active state before a terminal one; the state itself while active.
    pub before: TaskState,
    /// It is Ready now.
    pub ready: bool,
    /// When it last became Ready.
    pub ready_since: Option<Timestamp>,
    /// When its first regular container started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it ended.
    pub end: Option<EndReason>,
    /// The exit code of the regular container that ended it.
    pub exit_code: Option<i32>,
    /// A regular container has ended for good while others run.
    pub half_ended: bool,
    /// What was seen cannot follow from what was known; the known state was kept.
    pub illegal: bool,
}

/// What a Pod's status means, given the record of it from before (of the same uid).
pub fn observe(facts: &PodFacts<'_>, known: Option<&Task>) -> Observation {
    // What was changed in place begins anew: it is RUNNING when it has become Ready with its new config.
    let known = known.filter(|task| is_same_making(task.change(), change(facts)));
    let from = known.map_or(TaskState::Init, |task| task.state);
    let (seen, end) = seen_state(facts, from);
    let legal = transition(Kind::Service, from, seen);
    // A Pod that was Ready once keeps RUNNING while it is not Ready; that is no illegal step, only an unready one.
    let unready = from == TaskState::Running && seen == TaskState::Starting;
    let state = if legal.is_ok() { seen } else { from };
    let before = match known {
        _ if !state.is_terminal() => state,
        Some(task) if task.state.is_terminal() => task.before,
        Some(task) => task.state,
        None => TaskState::Init,
    };
    let ended = if state.is_terminal() {
        known.and_then(|task| task.ended).or_else(|| last_end(facts))
    } else {
        None
    };
    Observation {
        state,
        before,
        ready: facts.ready_since.is_some() && !state.is_terminal(),
        ready_since: facts.ready_since.or_else(|| known.and_then(|task| task.ready_since)),
        started: first_start(facts).or_else(|| known.and_then(|task| task.started)),
        ended,
        end: if state.is_terminal() { known.and_then(|task| task.end).or(end) } else { None },
        exit_code: deciding_exit(facts).or_else(|| known.and_then(|task| task.exit_code)),
        half_ended: !state.is_terminal() && !is_being_changed(facts) && half_ended(facts),
        illegal: legal.is_err() && !unready,
    }
}

fn change(facts: &PodFacts<'_>) -> Option<Change> {
    facts.in_place?.change
}

fn is_same_making(known: Option<Change>, seen: Option<Change>) -> bool {
    match (known, seen) {
        (None, None) => true,
        (Some(known), Some(seen)) => known.is(&seen),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Whether a change has not been carried out: what ends meanwhile is of the config before.
fn is_being_changed(facts: &PodFacts<'_>) -> bool {
    change(facts).is_some_and(|change| change.stage != Stage::Done)
}

/// Whether the kubelet can't carry out a change: what has ended was stopped for it, and nothing has failed.
fn is_stuck(facts: &PodFacts<'_>) -> bool {
    change(facts).is_some_and(|change| change.stage == Stage::Stuck)
}

/// The state the facts show by themselves, and why it ended.
fn seen_state(facts: &PodFacts<'_>, from: TaskState) -> (TaskState, Option<EndReason>) {
    if matches!(facts.phase, Phase::Succeeded | Phase::Failed) {
        let (state, end) = ended_state(facts);
        return (state, Some(end));
    }
    // Given up: whatever still runs there is the returning kubelet's to end.
    if facts.intent == Some(Intent::Lose) && facts.deleting.is_some() {
        return (TaskState::Lost, Some(EndReason::NodeLost));
    }
    // A task that is stopped because it has ended or failed ends by itself: it stays what it was till then.
    let on_purpose = |intent| !matches!(intent, Intent::Finish | Intent::TimeOut | Intent::Unhealthy);
    if facts.deleting.is_some() || facts.intent.is_some_and(on_purpose) {
        return (ending_state(facts), None);
    }
    let state = match facts.phase {
        Phase::Pending if facts.scheduled => TaskState::Assigned,
        Phase::Pending => TaskState::Pending,
        Phase::Running if facts.ready_since.is_some() => TaskState::Running,
        Phase::Running => TaskState::Starting,
        // The kubelet could not say; the node's own condition tells when it is lost.
        Phase::Unknown | Phase::Succeeded | Phase::Failed => from,
    };
    (state, None)
}

fn ending_state(facts: &PodFacts<'_>) -> TaskState {
    match facts.intent {
        Some(Intent::Restart) => TaskState::Restarting,
        Some(Intent::Drain) => TaskState::Draining,
        Some(Intent::Preempt) => TaskState::Preempting,
        Some(Intent::Kill | Intent::Finish | Intent::TimeOut | Intent::Unhealthy | Intent::Lose) => {
            TaskState::Killing
        }
        None if facts.disrupted => TaskState::Draining,
        None => TaskState::Killing,
    }
}

fn ended_state(facts: &PodFacts<'_>) -> (TaskState, EndReason) {
    match facts.intent {
        Some(Intent::Lose) => return (TaskState::Lost, EndReason::NodeLost),
        Some(Intent::Kill | Intent::Restart | Intent::Drain | Intent::Preempt) => {
            return (TaskState::Killed, EndReason::Stopped);
        }
        // It was stopped because one of its containers had ended: that one's end is the task's.
        Some(Intent::Finish) => return by_containers(facts),
        // It was quicker than what was to stop it.
        Some(Intent::TimeOut | Intent::Unhealthy)
            if facts.phase == Phase::Succeeded && facts.deleting.is_none() =>
        {
            return by_containers(facts);
        }
        Some(Intent::TimeOut) => return (TaskState::Failed, EndReason::TimedOut),
        Some(Intent::Unhealthy) => return (TaskState::Failed, EndReason::Unhealthy),
        None => {}
    }
    if facts.disrupted {
        return (TaskState::Lost, EndReason::Disrupted);
    }
    match facts.reason {
        Some(reason) if is_rejection(reason) => (TaskState::Lost, EndReason::Rejected),
        Some("NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated") => {
            (TaskState::Lost, EndReason::NodeLost)
        }
        // The kubelet adds DisruptionTarget where the node is short of something; without it the Pod's own limit
        // on local storage was passed.
        Some("Evicted") => (TaskState::Failed, EndReason::OwnLimit),
        Some("DeadlineExceeded") => (TaskState::Killed, EndReason::Stopped),
        _ if facts.deleting.is_some() || is_stuck(facts) => (TaskState::Killed, EndReason::Stopped),
        _ => by_containers(facts),
    }
}

/// Reasons with which a kubelet refuses a Pod that was placed on it: nothing ran.
fn is_rejection(reason: &str) -> bool {
    reason.starts_with("OutOf")
        || matches!(
            reason,
            "NodeAffinity"
                | "NodeName"
                | "NodePorts"
                | "UnexpectedAdmissionError"
                | "AdmissionFailed"
                | "InvalidNodeInfo"
                | "PodOSNotSupported"
                | "PodLevelResourcesNotSupported"
                | "InitContainerRestartPolicyForbidden"
                | "TopologyAffinityError"
                | "SysctlForbidden"
                | "AppArmor"
                | "ResourceNotSupported"
                | "PodOSSelectorNodeLabelDoesNotMatch"
        )
}

fn by_containers(facts: &PodFacts<'_>) -> (TaskState, EndReason) {
    let out_of_memory = facts
        .containers
        .iter()
        .any(|container| matches!(container.state, ContainerState::Terminated { out_of_memory: true, .. }));
    match deciding_exit(facts) {
        _ if out_of_memory => (TaskState::Failed, EndReason::OutOfMemory),
        Some(0) => (TaskState::Finished, EndReason::Exited),
        Some(_) => (TaskState::Failed, EndReason::Exited),
        None if facts.phase == Phase::Succeeded => (TaskState::Finished, EndReason::Unknown),
        None => (TaskState::Failed, EndReason::Unknown),
    }
}

/// Exit codes of the containers whose end is the task's, in the order they ended.
fn ends<'a>(facts: &'a PodFacts<'_>) -> impl Iterator<Item = (Option<Timestamp>, i32)> + 'a {
    facts.containers.iter().filter_map(|container| match (container.kind, container.state) {
        (_, ContainerState::Terminated { for_good: false, .. }) | (ContainerKind::Sidecar, _) => None,
        // A finished init container is on the way; a failed one is the end.
        (ContainerKind::Init, ContainerState::Terminated { exit_code: 0, .. }) => None,
        (_, ContainerState::Terminated { exit_code, finished, .. }) => Some((finished, exit_code)),
        (_, ContainerState::Waiting | ContainerState::Running { .. }) => None,
    })
}

/// The exit code that decides: the first failure where the task was not stopped for another's end, else success.
fn deciding_exit(facts: &PodFacts<'_>) -> Option<i32> {
    if facts.intent == Some(Intent::Finish) {
        // What ended first is why the others were stopped. Times are whole seconds: in the same one a failure of its own
        // comes before success, and both before the code of a container that was told to stop.
        let rank = |code: i32| match code {
            0 => 1,
            SIGKILLED | SIGTERMED => 2,
            _ => 0,
        };
        return ends(facts).min_by_key(|(finished, code)| (*finished, rank(*code))).map(|(_, code)| code);
    }
    let mut all: Vec<_> = ends(facts).collect();
    all.sort_by_key(|(finished, code)| (*code == 0, *finished));
    all.first().map(|(_, code)| *code)
}

fn half_ended(facts: &PodFacts<'_>) -> bool {
    let regular = || facts.containers.iter().filter(|container| container.kind == ContainerKind::Regular);
    let over = |container: &ContainerFacts| {
        matches!(container.state, ContainerState::Terminated { for_good: true, .. })
    };
    facts.phase == Phase::Running && regular().any(over) && !regular().all(over)
}

fn first_start(facts: &PodFacts<'_>) -> Option<Timestamp> {
    let regular = facts.containers.iter().filter(|container| container.kind == ContainerKind::Regular);
    regular
        .filter_map(|container| match container.state {
            ContainerState::Waiting => None,
            ContainerState::Running { since } => Some(since),
            ContainerState::Terminated { started, .. } => started,
        })
        .min()
}

fn last_end(facts: &PodFacts<'_>) -> Option<Timestamp> {
    facts
        .containers
        .iter()
        .filter_map(|container| match container.state {
            ContainerState::Terminated { finished, .. } => finished,
            ContainerState::Waiting | ContainerState::Running { .. } => None,
        })
        .max()
        .or(facts.deleting)
}

#[cfg(test)]
mod tests;
