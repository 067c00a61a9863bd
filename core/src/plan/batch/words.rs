//! What people are told of a job: Ready, Reconciling and Stalled, each with a word and a sentence.
//!
//! As kstatus reads a Job of Kubernetes: it is being brought about while it runs, there once it is complete, and stuck
//! once it has failed. One that waits is neither; one that its spec suspends is as that asks for, and so Ready.

use crate::model::{
    BatchFailure, BatchStatus, EndReason, InstanceFailure, KillReason, Parent, ParentEnd, Phase,
    ServiceStatus, reasons,
};

use super::{
    super::{Plan, status::Words},
    Scene,
    course::Wait,
    status::{is_kept, parent_name},
};

/// The words of the three conditions.
pub(super) struct Told {
    pub(super) ready: Words,
    pub(super) reconciling: Words,
    pub(super) stalled: Words,
}

/// What is to be said of the job as it stands.
pub(super) fn tell(
    scene: &Scene<'_>,
    status: &ServiceStatus,
    batch: &BatchStatus,
    wait: Option<&Wait>,
    frozen: bool,
    plan: &Plan,
) -> Told {
    let quiet = || (false, reasons::SETTLED, String::new());
    let census = census(status, batch);
    let busy = |reason, words: String| Told {
        ready: (false, reason, words.clone()),
        reconciling: (true, reason, words),
        stalled: quiet(),
    };
    let rests =
        |reason, words| Told { ready: (false, reason, words), reconciling: quiet(), stalled: quiet() };
    let stuck = |reason, words: String| Told {
        ready: (false, reason, words.clone()),
        reconciling: quiet(),
        stalled: (true, reason, words),
    };
    if frozen {
        return busy(reasons::FROZEN, format!("{census}; the freeze holds back what the spec asks for"));
    }
    let is_over = batch.ended.is_some();
    if let Some(problem) = scene.fleet.view.problem.filter(|_| !is_over) {
        return stuck(problem.reason, format!("{census}; {}", problem.message));
    }
    match (batch.phase, batch.failure) {
        (Phase::Complete, _) => {
            Told { ready: (true, reasons::COMPLETE, census), reconciling: quiet(), stalled: quiet() }
        }
        (Phase::Failed, failure) => {
            let (reason, why) = failed(scene, failure);
            let first =
                batch.first_failure.map(|first| format!("; first, {}", given_up(scene, &first, plan)));
            stuck(reason, format!("{why}: {census}{}", first.unwrap_or_default()))
        }
        (Phase::Ending, failure) => {
            let why = failure.map_or("it has succeeded", |failure| failed(scene, Some(failure)).1);
            busy(reasons::ENDING, format!("{why}, and its last Pods are ending: {census}"))
        }
        (Phase::Suspended, _) if status.counts.live > 0 => {
            busy(reasons::SUSPENDED, format!("{census}; spec.suspend ends what runs"))
        }
        (Phase::Suspended, _) => {
            let words = format!("{census}; spec.suspend holds the rest back: set it to false to go on");
            Told { ready: (true, reasons::SUSPENDED, words), reconciling: quiet(), stalled: quiet() }
        }
        (Phase::Waiting, _) => match wait {
            Some(Wait::Cycle(way)) => stuck(
                reasons::DEPENDENCY_CYCLE,
                format!("spec.parents: the job waits for itself: {way}; take one of these parents away"),
            ),
            Some(Wait::Parents(parents)) if parents.is_empty() => {
                rests(reasons::WAITING, "its parents have ended: it is about to start".to_owned())
            }
            Some(Wait::Parents(parents)) => rests(reasons::WAITING, waiting(scene, parents)),
            Some(Wait::Unconfirmed) | None => {
                let run = scene.batch.run_of.as_ref().map(|run| run.cron.as_ref()).unwrap_or_default();
                rests(reasons::WAITING, format!("waits until AuroraCron/{run} has recorded it as its run"))
            }
        },
        (Phase::Running, _) if status.counts.running == 0 => busy(reasons::STARTING, census),
        (Phase::Running, _) => busy(reasons::RUNNING, census),
    }
}

fn waiting(scene: &Scene<'_>, missing: &[Parent]) -> String {
    let parents = scene.batch.parents.iter().enumerate().filter(|(_, parent)| missing.contains(parent));
    let each: Vec<String> = parents
        .map(|(at, parent)| {
            let verb = match parent.when {
                ParentEnd::Succeeded => "succeed",
                ParentEnd::Ended => "end",
            };
            let exists = scene.fleet.view.upstream.parents.get(at).is_some_and(|seen| seen.exists);
            let missing = if exists { "" } else { " (there is none of that name)" };
            format!("{}{missing} to {verb}", parent_name(parent))
        })
        .collect();
    format!("waits for {}", each.join(", "))
}

/// Why a job has failed, in a word and a sentence.
fn failed(scene: &Scene<'_>, failure: Option<BatchFailure>) -> (&'static str, &'static str) {
    match failure {
        Some(BatchFailure::TimedOut) => {
            (reasons::TIMED_OUT, "it has taken longer than spec.jobTimeoutSeconds allows")
        }
        Some(BatchFailure::Killed(KillReason::Collision)) => {
            (reasons::KILLED, "the next run of its cron took its place")
        }
        Some(BatchFailure::Killed(KillReason::Asked)) => {
            (reasons::KILLED, "it was ended since a person asked")
        }
        Some(BatchFailure::Instances) | None if scene.batch.min_succeeded.is_some() => {
            (reasons::INSTANCES_FAILED, "fewer instances than spec.minSucceeded have succeeded")
        }
        Some(BatchFailure::Instances) | None => {
            (reasons::INSTANCES_FAILED, "not all of its instances have succeeded")
        }
    }
}

/// The failure of an instance in a sentence, with the place of its log.
pub(super) fn given_up(scene: &Scene<'_>, failure: &InstanceFailure, plan: &Plan) -> String {
    let InstanceFailure { instance, run, reason, exit_code, .. } = failure;
    let how = match (reason, exit_code) {
        (EndReason::OutOfMemory, _) => "needed more memory than its limit".to_owned(),
        (EndReason::OwnLimit, _) => "used more local storage than its limit".to_owned(),
        (EndReason::TimedOut, _) => "took longer than spec.timeoutSeconds allows".to_owned(),
        (EndReason::Unhealthy, _) => "was without health for longer than spec.health bears".to_owned(),
        (_, Some(code)) => format!("exited with code {code}"),
        (_, None) => "failed".to_owned(),
    };
    let (namespace, name) = &scene.batch.called;
    let log = if is_kept(scene, (*instance, *run), plan) {
        format!("its log: kubectl -n {namespace} logs {name}-{instance}-{run}")
    } else {
        "its Pod is not kept, nor is its log".to_owned()
    };
    format!("instance {instance} was given up: its run {run} {how}; {log}")
}

/// The instances in a sentence.
fn census(status: &ServiceStatus, batch: &BatchStatus) -> String {
    let counts = &status.counts;
    let parts = [
        (batch.failed.len(), "given up"),
        (counts.running + counts.starting, "running"),
        (counts.throttled, "held back after ending young"),
        (counts.pending, "waiting for a node or starting there"),
        (counts.ending, "ending"),
        (status.lost.len(), "on lost nodes"),
    ];
    let rest: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let (succeeded, all) = (batch.succeeded.len(), counts.desired);
    let all = format!("{succeeded} of {all} instances have succeeded");
    if rest.is_empty() { all } else { format!("{all}, {}", rest.join(", ")) }
}
