//! The loop of preemption: sees the board, has a pass decide, carries that out, and tells of it.
//!
//! Decides nothing: `borealis_core::admit` says who has to go for whom. What was done is in the index when the next
//! pass begins, since answers to writes are learned at once; a Pod of which it is not known what became of it is read
//! before that, and left out if it can't be read. A Pod whose note can't be written is left alone for a while. Run by `operator`, once for the process.

mod hold;
mod job;
mod kept;
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

use borealis_core::admit::{
    pass::{Decisions, Situation, Told, decide},
    slots::{Bounds, Mode},
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

pub(super) use self::verdicts::{Kind, Remark};
use self::{
    job::{Job, job},
    log::Known,
    news::News,
};
pub use self::{kept::Kept, log::DecisionLog, verdicts::Verdicts};
use super::Round;
use crate::{
    apply::{Announcer, Preemption, Wrote},
    index::{Follower, Index},
    metrics::Metrics,
};

/// Writes on their way at a time.
const AT_A_TIME: usize = 16;
/// How much is done in one round; what has come up meanwhile is then seen first.
const PORTION: usize = 128;
/// How soon to look again where the API server did not answer.
const DOUBT: Duration = Duration::from_secs(1);

/// How many times a Pod is read in vain before the others no longer wait for it.
const READS: u32 = 3;
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
        let jobs = self.leave_out(jobs, &mut news);
        let wrote = self.carry_out(jobs).await;
        let is_done = wrote.is_empty();
        let busy = self.conclude(wrote, &mut news, now);
        news.announce(&self.announcer, &self.index);
        if busy.is_some() {
            return busy;
        }
        if decisions.rest || !is_done {
            return Some(Duration::ZERO);
        }
        let next = decisions.next_check.map(|next| next.duration_since(Timestamp::now()));
        let next = next.map(|next| Duration::try_from(next).unwrap_or_default());
        let doubt = (!self.kept.doubts.is_empty()).then_some(DOUBT);
        self.kept.next_pause(began).into_iter().chain(next).chain(doubt).min()
    }
}

impl PreemptionLoop {
    /// Reads those of whom it is not known what became; whether that is known now, but of those who can't be read.
    async fn settle(&mut self) -> bool {
        let doubts = std::mem::take(&mut self.kept.doubts);
        for (pod, reads) in doubts {
            if self.writes.settle(&pod).await {
                continue;
            }
            if reads + 1 == READS {
                warn!(
                    pod = format!("{}/{}", pod.namespace, pod.name),
                    "it can't be read; left out until it can"
                );
            }
            self.kept.doubts.push((pod, reads.saturating_add(1)));
        }
        self.kept.doubts.iter().all(|(_, reads)| *reads >= READS)
    }

    /// Leaves victims out who are in doubt.
    fn leave_out(&mut self, jobs: Vec<Job>, news: &mut News) -> Vec<Job> {
        self.kept.forget(Instant::now());
        let (jobs, left): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| !self.kept.is_in_doubt(job));
        left.iter().for_each(|job| news.withhold(job.pod().1));
        jobs
    }

    /// One pass, under the lock of the board, and what is needed of the board to carry it out.
    fn decide(&mut self, now: Timestamp) -> (Decisions, Vec<Job>, News) {
        let victims_per_minute = self.index.victim_bounds();
        let settings = &self.settings;
        let frozen = settings.frozen.load(Ordering::Relaxed);
        let bounds = self.kept.hold.bounds(&settings.bounds, frozen, now);
        let apart = self.kept.apart(Instant::now());
        let memory = &mut self.kept.memory;
        let verdicts = &self.verdicts;
        let (decisions, jobs, news, known) = self.index.board_and_budgets(|board, budgets| {
            let situation = Situation {
                board,
                budgets,
                bounds: &bounds,
                mode: settings.mode,
                frozen,
                apart: &apart,
                victims_per_minute: &victims_per_minute,
                usual_victims_per_minute: settings.victims_per_minute,
                portion: PORTION,
                now,
            };
            let mut decisions = decide(&situation, memory);
            let jobs = decisions.actions.iter().filter_map(|action| job(board, action)).collect();
            let changed = verdicts.put(board, std::mem::take(&mut decisions.verdicts));
            let news = News::of(board, &decisions.actions, &changed);
            let known = Known::of(board, &decisions.told);
            (decisions, jobs, news, known)
        });
        decisions.told.iter().for_each(|told| self.log.note(&known, told, now));
        (decisions, jobs, news)
    }

    fn count(&self, decisions: &Decisions) {
        self.metrics.preemption_searches(decisions.searched);
        for latency in &decisions.latencies {
            self.metrics.preemption_latency(Duration::try_from(*latency).unwrap_or_default());
        }
        for told in &decisions.told {
            match told {
                Told::Placed { in_vain, .. } => self.metrics.over_evicted(*in_vain),
                Told::Would(_) => self.metrics.dry_run(),
                Told::Decided(_) | Told::Withdrawn { .. } => {}
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
            let (pod, uid) = job.pod();
            let name = format!("{}/{}", pod.namespace, pod.name);
            match (&wrote, &job) {
                (Wrote::Done, _) => self.done(&job, &name),
                (Wrote::Changed, Job::Note { .. }) => {
                    debug!(pod = name, "it has changed; looked at again");
                    self.kept.pause(uid);
                }
                // Its end is on its way, or it has another name.
                (Wrote::Changed, Job::End { .. }) => self.kept.memory.ended(uid, now),
                (Wrote::Budget(why), _) => self.kept.memory.refuse(uid, true, why, now),
                (Wrote::Refused(why), Job::Note { .. }) => {
                    warn!(pod = name, why, "room can't be kept for it");
                    self.kept.memory.put_off(uid, now);
                    self.kept.pause(uid);
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
                    self.kept.doubts.push((pod.clone(), 0));
                }
                (Wrote::Fenced, _) => busy = Some(DOUBT),
            }
            match (&wrote, &job) {
                (Wrote::Done, Job::End { .. }) => self.kept.memory.ended(uid, now),
                (Wrote::Done, Job::Note { .. }) => self.kept.resume(uid),
                // It may stand.
                (Wrote::Unknown(_), _) => news.withhold(uid),
                _ => {
                    self.kept.give_back(&job, now);
                    news.withhold(uid);
                }
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
            Job::Note { failed, in_vain, .. } => {
                if let Some(why) = failed {
                    self.metrics.slot_failed(*why);
                    self.metrics.over_evicted(*in_vain);
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

#[cfg(test)]
mod tests;
