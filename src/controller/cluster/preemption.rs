//! The loop of preemption: sees the board, has a pass decide, carries that out, and tells of it.
//!
//! Decides nothing: `borealis_core::admit` says who has to go for whom. What was done is in the index when the next
//! pass begins, since answers to writes are learned at once; a Pod of which it is not known what became of it is read
//! before that. Run by `operator`, once for the process.

mod log;
mod news;
mod verdicts;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use borealis_core::{
    admit::Board,
    admit::{
        memory::Memory,
        pass::{Action, Decisions, Situation, Told, decide},
        slots::{Bounds, Mode},
    },
    model::{Slot, SlotFailure, Uid},
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::news::News;
pub(super) use self::verdicts::{Kind, Remark};
pub use self::{log::DecisionLog, verdicts::Verdicts};
use super::Round;
use crate::{
    api::slot::Preempted,
    apply::{Announcer, PodRef, Preemption, Victim, Wrote},
    index::{Follower, Index},
    metrics::Metrics,
};

/// Writes on their way at a time.
const AT_A_TIME: usize = 16;
/// How much is done in one round; what has come up meanwhile is then seen first.
const PORTION: usize = 128;
/// How soon to look again where the API server did not answer.
const DOUBT: Duration = Duration::from_secs(1);

/// How room is made.
#[derive(Debug, Clone)]
pub struct PreemptionSettings {
    /// Whether it is.
    pub mode: Mode,
    /// What slots keep to.
    pub bounds: Bounds,
    /// How many victims a role may have in a minute that says nothing else.
    pub victims_per_minute: u32,
    /// The freeze switch.
    pub frozen: Arc<AtomicBool>,
}

/// The loop of preemption.
pub struct PreemptionLoop {
    /// What is known.
    pub index: Arc<Index>,
    /// Wakes it.
    pub changes: Arc<Follower>,
    /// What writes.
    pub writes: Preemption,
    /// Tells people.
    pub announcer: Announcer,
    /// What counts.
    pub metrics: Metrics,
    /// How it is done.
    pub settings: PreemptionSettings,
    /// What was decided.
    pub log: DecisionLog,
    /// What is the matter with Pods that wait.
    pub verdicts: Verdicts,
    /// What is remembered between rounds.
    pub kept: Kept,
}

/// What the loop remembers between rounds; all of it may be lost.
#[derive(Default)]
pub struct Kept {
    memory: Memory,
    /// Pods of which it is not known what became.
    doubts: Vec<PodRef>,
}

/// A write that a pass wants.
enum Job {
    Note { pod: PodRef, claim: Uid, slot: Slot, node: Option<Arc<str>>, failed: Option<SlotFailure> },
    End { victim: Victim, uid: Uid },
}

impl Round for PreemptionLoop {
    const NAME: &'static str = "preemption";

    async fn round(&mut self) -> Option<Duration> {
        if !self.settle().await {
            return Some(DOUBT);
        }
        let began = Instant::now();
        let now = Timestamp::now();
        let (decisions, jobs, mut news) = self.decide(now);
        self.metrics.preemption_pass(began.elapsed());
        self.count(&decisions);
        let wrote = self.carry_out(jobs).await;
        let is_done = wrote.is_empty();
        let busy = self.conclude(wrote, &mut news, now);
        news.announce(&self.announcer, &self.index);
        match (busy, decisions.rest || !is_done) {
            (Some(after), _) => Some(after),
            (None, true) => Some(Duration::ZERO),
            (None, false) => {
                let next = decisions.next_check?;
                Some(Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default())
            }
        }
    }
}

impl PreemptionLoop {
    /// Reads those of whom it is not known what became; whether all is known now.
    async fn settle(&mut self) -> bool {
        let doubts = std::mem::take(&mut self.kept.doubts);
        for pod in doubts {
            if !self.writes.settle(&pod).await {
                self.kept.doubts.push(pod);
            }
        }
        self.kept.doubts.is_empty()
    }

    /// One pass, under the lock of the board, and what is needed of the board to carry it out.
    fn decide(&mut self, now: Timestamp) -> (Decisions, Vec<Job>, News) {
        let bounds = self.index.victim_bounds();
        let settings = &self.settings;
        let memory = &mut self.kept.memory;
        let (log, verdicts) = (&self.log, &self.verdicts);
        self.index.board_and_budgets(|board, budgets| {
            let situation = Situation {
                board,
                budgets,
                bounds: &settings.bounds,
                mode: settings.mode,
                frozen: settings.frozen.load(Ordering::Relaxed),
                victims_per_minute: &bounds,
                usual_victims_per_minute: settings.victims_per_minute,
                portion: PORTION,
                now,
            };
            let mut decisions = decide(&situation, memory);
            let jobs = decisions.actions.iter().filter_map(|action| job(board, action)).collect();
            let changed = verdicts.put(board, std::mem::take(&mut decisions.verdicts));
            let news = News::of(board, &decisions.actions, &changed);
            decisions.told.iter().for_each(|told| log.note(board, told, now));
            (decisions, jobs, news)
        })
    }

    fn count(&self, decisions: &Decisions) {
        self.metrics.preemption_searches(decisions.searched);
        for latency in &decisions.latencies {
            self.metrics.preemption_latency(Duration::try_from(*latency).unwrap_or_default());
        }
        for told in &decisions.told {
            if let Told::Placed { in_vain, .. } = told {
                self.metrics.over_evicted(*in_vain);
            }
        }
    }

    /// Writes side by side, in the order of the pass: nobody is ended before what comes first was begun.
    async fn carry_out(&self, jobs: Vec<Job>) -> Vec<(Job, Wrote)> {
        let writes = &self.writes;
        let all = jobs.into_iter().map(|job| async move {
            let wrote = match &job {
                Job::Note { pod, slot, node, .. } => writes.note(pod, slot, node.as_deref()).await,
                Job::End { victim, .. } => writes.end(victim).await,
            };
            (job, wrote)
        });
        stream::iter(all).buffer_unordered(AT_A_TIME).collect().await
    }

    /// Takes down what came of the writes; how long to wait, if the API server is busy.
    fn conclude(&mut self, wrote: Vec<(Job, Wrote)>, news: &mut News, now: Timestamp) -> Option<Duration> {
        let mut busy = None;
        for (job, wrote) in wrote {
            let (pod, uid) = match &job {
                Job::Note { pod, claim, .. } => (pod, *claim),
                Job::End { victim, uid } => (&victim.pod, *uid),
            };
            let name = format!("{}/{}", pod.namespace, pod.name);
            match (&wrote, &job) {
                (Wrote::Done, _) => self.done(&job, &name),
                (Wrote::Changed, Job::Note { .. }) => debug!(pod = name, "it has changed; looked at again"),
                // Its end is on its way, or it has another name.
                (Wrote::Changed, Job::End { .. }) => self.kept.memory.ended(uid, now),
                (Wrote::Budget(why), _) => self.kept.memory.refuse(uid, true, why, now),
                (Wrote::Refused(why), Job::Note { .. }) => {
                    warn!(pod = name, why, "room can't be kept for it");
                    self.kept.memory.put_off(uid, now);
                }
                (Wrote::Refused(why), Job::End { .. }) => {
                    warn!(pod = name, why, "it can't be ended");
                    self.kept.memory.refuse(uid, false, why, now);
                }
                (Wrote::Busy(after, why), _) => {
                    debug!(pod = name, why, "not now");
                    busy = busy.max(Some(after.unwrap_or(DOUBT)));
                }
                (Wrote::Unknown(why), _) => {
                    debug!(pod = name, why, "it is not known what became of it");
                    self.kept.doubts.push(pod.clone());
                }
                (Wrote::Fenced, _) => busy = Some(DOUBT),
            }
            if wrote == Wrote::Done {
                if let Job::End { .. } = job {
                    self.kept.memory.ended(uid, now);
                }
            } else {
                news.withhold(uid);
            }
        }
        busy
    }

    fn done(&self, job: &Job, name: &str) {
        match job {
            Job::Note { node: Some(node), slot, .. } => {
                let victims = slot.held.as_ref().map_or(0, |held| held.victims.len());
                if slot.held.as_ref().is_some_and(|held| held.asserted == 0) {
                    self.metrics.slot_found();
                    info!(pod = name, %node, victims, "room is kept for it");
                } else {
                    info!(pod = name, %node, "its nomination was lost; it is written again");
                }
            }
            Job::Note { failed, .. } => {
                if let Some(why) = failed {
                    self.metrics.slot_failed(*why);
                    info!(pod = name, why = why.name(), "the room for it came to nothing");
                }
            }
            Job::End { victim, .. } => {
                self.metrics.victim();
                info!(pod = name, node = %victim.note.node, rule = victim.note.rule, "ended to make room");
            }
        }
    }
}

/// What an action asks to be written, unless its Pod is gone.
fn job(board: &Board, action: &Action) -> Option<Job> {
    match action {
        Action::Withdraw { claim, slot, why, .. } => {
            let pod = PodRef::of(board.claim(*claim)?);
            Some(Job::Note { pod, claim: *claim, slot: slot.clone(), node: None, failed: Some(*why) })
        }
        Action::Keep { claim, slot, node } => {
            let pod = PodRef::of(board.claim(*claim)?);
            let node = Some(Arc::clone(node));
            Some(Job::Note { pod, claim: *claim, slot: slot.clone(), node, failed: None })
        }
        Action::End { victim, claim, node, rule, budget } => {
            let (for_whom, who) = (board.claim(*claim)?, board.claim(*victim)?);
            let is_of_role = for_whom.owner.role == who.owner.role;
            let name = || format!("{}/{}", for_whom.owner.namespace, for_whom.name);
            let note = Preempted {
                rule: rule.to_string(),
                preemptor: for_whom.uid.to_string(),
                name: is_of_role.then(name),
                node: Arc::clone(node),
            };
            let pod = PodRef::of(who);
            let end = Victim { pod, budget: *budget, note };
            Some(Job::End { victim: end, uid: *victim })
        }
    }
}

#[cfg(test)]
mod tests;
