//! The records of one kind of one service: sorted, contiguous, each with a stamp; and the uids known to be gone.
//!
//! Decides what an event, a relist, a write of our own or a live read does to them. It knows nothing of what a
//! record means and takes no lock. Called by `state`.

use std::{cmp::Ordering, collections::BTreeSet};

use borealis_core::model::Uid;

use super::stamp::{Epoch, News, Stamp, Verdict, Version, judge};

/// Something the index keeps of an object.
pub(super) trait Record: PartialEq {
    /// What it is sorted by; one object of a key at a time.
    type Key;
    /// How it is placed to a key.
    fn cmp_key(&self, key: &Self::Key) -> Ordering;
    /// The object's uid.
    fn uid(&self) -> Uid;
    /// Says whether its controller is the service.
    fn set_owned(&mut self, owned: bool);
    /// Whether part of it was let go of, so that the same news has more to say.
    fn is_partial(&self) -> bool {
        false
    }
}

/// A uid that is known to be gone although news of it may still be on its way.
#[derive(Debug, Clone, Copy)]
struct Gone {
    uid: Uid,
    epoch: Epoch,
    /// The watch has yet to say so; otherwise it is remembered only while answers are on their way.
    unseen: bool,
}

/// What an offer did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered<R> {
    /// Nothing: it was old news.
    Stale,
    /// Nothing that means anything.
    Same,
    /// A record came, or says something else; the one of the same key from before.
    Changed(Option<R>),
}

/// The records of one kind.
#[derive(Debug)]
pub(super) struct Records<R> {
    rows: Vec<R>,
    stamps: Vec<Stamp>,
    gone: Vec<Gone>,
    /// Answers on their way that may be older than the deletions seen meanwhile.
    awaited: u16,
}

impl<R> Default for Records<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), stamps: Vec::new(), gone: Vec::new(), awaited: 0 }
    }
}

impl<R: Record> Records<R> {
    pub(super) fn rows(&self) -> &[R] {
        &self.rows
    }

    pub(super) fn rows_mut(&mut self) -> &mut [R] {
        &mut self.rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.gone.is_empty() && self.awaited == 0
    }

    pub(super) fn get(&self, key: &R::Key) -> Option<(&R, Version)> {
        let at = self.find(key).ok()?;
        Some((&self.rows[at], self.stamps[at].version))
    }

    /// Takes a piece of news; `build` makes the record, given the one known of the same object.
    pub(super) fn offer(
        &mut self,
        key: &R::Key,
        news: &News,
        build: impl FnOnce(Option<&R>) -> R,
    ) -> Offered<R> {
        if self.gone.iter().any(|gone| gone.uid == news.uid) {
            return Offered::Stale;
        }
        match self.find(key) {
            Err(at) => {
                self.insert(at, build(None), Stamp::of(news, None));
                Offered::Changed(None)
            }
            Ok(at) => self.renew(at, news, build),
        }
    }

    fn renew(&mut self, at: usize, news: &News, build: impl FnOnce(Option<&R>) -> R) -> Offered<R> {
        let uid = self.rows[at].uid();
        let same = uid == news.uid;
        match judge(news, Some((uid, self.stamps[at].version))) {
            Verdict::Take => {
                let row = build(same.then_some(&self.rows[at]));
                self.stamps[at] = Stamp::of(news, same.then_some(self.stamps[at]));
                if self.rows[at] == row {
                    return Offered::Same;
                }
                Offered::Changed(Some(std::mem::replace(&mut self.rows[at], row)))
            }
            Verdict::Known => {
                self.stamps[at].confirm(news);
                if self.rows[at].is_partial() {
                    let row = build(Some(&self.rows[at]));
                    self.rows[at] = row;
                }
                Offered::Same
            }
            Verdict::Stale => {
                if same {
                    self.stamps[at].confirm(news);
                }
                Offered::Stale
            }
        }
    }

    /// The watch said that the object is gone.
    pub(super) fn delete(&mut self, uid: Uid, epoch: Epoch) -> Option<R> {
        self.gone.retain(|gone| gone.uid != uid);
        if self.awaited > 0 {
            self.gone.push(Gone { uid, epoch, unseen: false });
        }
        self.position(uid).map(|at| self.remove(at))
    }

    /// A write of our own said that the object is gone. The watch says so later, or has already.
    pub(super) fn learn_gone(&mut self, uid: Uid, epoch: Epoch) -> Option<R> {
        let at = self.position(uid);
        if !self.gone.iter().any(|gone| gone.uid == uid) && (at.is_some() || self.awaited > 0) {
            self.gone.push(Gone { uid, epoch, unseen: at.is_some() });
        }
        at.map(|at| self.remove(at))
    }

    /// A relist that began in this epoch is complete: what it did not show is gone, unless we learned of it since.
    ///
    /// Returns what is gone, and whether something is left whose fate only a live read can tell.
    pub(super) fn relisted(&mut self, epoch: Epoch) -> (Vec<R>, bool) {
        // A deletion that was known before the relist began is in it; the watch goes on behind it.
        for gone in &mut self.gone {
            gone.unseen &= gone.epoch == epoch;
        }
        if self.awaited == 0 {
            self.gone.retain(|gone| gone.unseen);
        }
        let unsure = self.stamps.iter().any(|stamp| stamp.epoch == epoch && !stamp.watched);
        let removed = self.take(|_, stamp| stamp.epoch != epoch);
        if self.awaited > 0 {
            self.gone.extend(removed.iter().map(|row| Gone { uid: row.uid(), epoch, unseen: false }));
        }
        (removed, unsure)
    }

    /// A live read of the whole, made at this version, is complete, and its objects have been offered.
    pub(super) fn read_live(&mut self, version: Version, present: &BTreeSet<Uid>, epoch: Epoch) -> Vec<R> {
        let removed = self.take(|uid, stamp| stamp.version <= version && !present.contains(&uid));
        // The watch still has their end before it, with older news in front perhaps.
        self.gone.extend(removed.iter().map(|row| Gone { uid: row.uid(), epoch, unseen: true }));
        removed
    }

    /// An answer is on its way that may be older than what the watch says meanwhile.
    pub(super) fn await_answer(&mut self) {
        self.awaited = self.awaited.saturating_add(1);
    }

    /// The answer is in.
    pub(super) fn answered(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 {
            self.gone.retain(|gone| gone.unseen);
            self.gone.shrink_to_fit();
        }
    }

    /// Says of every record anew whether it belongs to the service.
    pub(super) fn reown(&mut self, is_owner: impl Fn(u16) -> bool) {
        for (row, stamp) in self.rows.iter_mut().zip(&self.stamps) {
            row.set_owned(is_owner(stamp.owner));
        }
    }

    /// Takes out all of a kind in one pass.
    fn take(&mut self, matches: impl Fn(Uid, &Stamp) -> bool) -> Vec<R> {
        if !self.rows.iter().zip(&self.stamps).any(|(row, stamp)| matches(row.uid(), stamp)) {
            return Vec::new();
        }
        let pairs = std::mem::take(&mut self.rows).into_iter().zip(std::mem::take(&mut self.stamps));
        let (removed, kept): (Vec<_>, Vec<_>) = pairs.partition(|(row, stamp)| matches(row.uid(), stamp));
        (self.rows, self.stamps) = kept.into_iter().unzip();
        self.shrink();
        removed.into_iter().map(|(row, _)| row).collect()
    }

    fn shrink(&mut self) {
        if self.rows.len() + self.rows.len() / 4 + 1 < self.rows.capacity() {
            self.rows.shrink_to_fit();
            self.stamps.shrink_to_fit();
        }
    }

    fn find(&self, key: &R::Key) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.cmp_key(key))
    }

    fn position(&self, uid: Uid) -> Option<usize> {
        self.rows.iter().position(|row| row.uid() == uid)
    }

    fn insert(&mut self, at: usize, row: R, stamp: Stamp) {
        if self.rows.len() == self.rows.capacity() {
            // Doubling would leave half of a large service's memory unused.
            let more = self.rows.len() / 8 + 1;
            self.rows.reserve_exact(more);
            self.stamps.reserve_exact(more);
        }
        self.rows.insert(at, row);
        self.stamps.insert(at, stamp);
    }

    fn remove(&mut self, at: usize) -> R {
        let row = self.rows.remove(at);
        self.stamps.remove(at);
        self.shrink();
        row
    }
}

#[cfg(test)]
mod tests;
