//! What the loop of preemption remembers between rounds; all of it may be lost.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use borealis_core::{admit::memory::Memory, model::Uid};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{hold::Hold, job::Job};
use crate::{apply::PodRef, controller::backoff::Backoff};

/// How long after its pause a Pod is forgotten whose note could not be written.
const FORGET: Duration = Duration::from_secs(120);

/// What the loop remembers between rounds; all of it may be lost.
#[derive(Default)]
pub struct Kept {
    pub(super) memory: Memory,
    /// Pods of which it is not known what became, and how often they were read in vain.
    pub(super) doubts: Vec<(PodRef, u32)>,
    /// Until when Pods are left alone whose note could not be written.
    paused: HashMap<Uid, Instant>,
    backoff: Backoff<Uid>,
    pub(super) hold: Hold,
}

impl Kept {
    /// A note could not be written: its Pod is left alone for a while, the longer the more often that happens.
    pub(super) fn pause(&mut self, claim: Uid) {
        self.paused.insert(claim, Instant::now() + self.backoff.failed(&claim));
    }

    pub(super) fn resume(&mut self, claim: Uid) {
        self.paused.remove(&claim);
        self.backoff.clear(&claim);
    }

    /// A slot that was decided on does not begin, so its victims count for nothing.
    pub(super) fn give_back(&mut self, job: &Job, decided: Timestamp) {
        if let Some((role, victims)) = job.begins() {
            self.memory.refund(role, victims, decided);
        }
    }

    /// Those whose notes are not to be written now: they are in doubt, or could not be written a moment ago.
    pub(super) fn apart(&self, at: Instant) -> BTreeSet<Uid> {
        let paused = self.paused.iter().filter(|(_, until)| **until > at).map(|(uid, _)| *uid);
        let doubts = self.doubts.iter().filter_map(|(pod, _)| pod.uid.parse().ok());
        paused.chain(doubts).collect()
    }

    /// Whether nothing is to be written for it now: its Pod is in doubt.
    pub(super) fn is_in_doubt(&self, job: &Job) -> bool {
        let (pod, _) = job.pod();
        self.doubts.iter().any(|(doubt, _)| doubt.uid == pod.uid)
    }

    /// How long until somebody is no longer left alone.
    pub(super) fn next_pause(&self, at: Instant) -> Option<Duration> {
        let pauses = self.paused.values().map(|until| until.duration_since(at));
        pauses.filter(|pause| !pause.is_zero()).min()
    }

    /// Forgets those whose note nobody wants to write any more.
    pub(super) fn forget(&mut self, at: Instant) {
        let backoff = &self.backoff;
        self.paused.retain(|uid, until| {
            let stays = at < *until + FORGET;
            if !stays {
                backoff.clear(uid);
            }
            stays
        });
    }
}
