//! The watches of an operator, one per kind: they lag, repeat, break, and begin anew with a list that may be old.

use super::{
    objects::Kind,
    operator::Purpose,
    store::Change,
    time::Millis,
    world::{Event, Wake, World},
};

impl World {
    pub(super) fn deliver(&mut self, id: usize, kind: Kind, upto: usize) {
        let life = self.operators[id].life;
        let watch = self.operators[id].watch(kind);
        if watch.broken || watch.next > upto {
            return;
        }
        if self.now < watch.stuck_until {
            let until = watch.stuck_until;
            return self.at(until, Event::Operator(id, life, Wake::Deliver(kind, upto)));
        }
        let from = std::mem::replace(&mut watch.next, upto + 1);
        let mut news = false;
        for change in &self.store.log[from..=upto] {
            if change.kind() == kind {
                news |= self.operators[id].cache.take(change);
            }
        }
        if news {
            self.rouse(id, 15);
        }
    }

    pub(super) fn lag(&mut self, id: usize, kind: Kind, length: Millis) {
        self.operators[id].watch(kind).stuck_until = self.now + length;
    }

    /// Shows the last events of a kind once more.
    pub(super) fn duplicate(&mut self, id: usize, kind: Kind, count: usize) {
        let shown = self.operators[id].watch(kind).next;
        let again = self.store.log[..shown].iter().rev().filter(|change| change.kind() == kind).take(count);
        let again: Vec<Change> = again.cloned().collect();
        for change in again.iter().rev() {
            self.operators[id].cache.take(change);
        }
        self.rouse(id, 15);
    }

    pub(super) fn break_watch(&mut self, id: usize, kind: Kind, length: Millis, back: u64) {
        if self.operators[id].up {
            self.operators[id].watch(kind).broken = true;
            self.after(id, length, Wake::Relist(kind, back));
        }
    }

    /// The watch begins anew with a list that is so many changes old, and goes on from there.
    pub(super) fn relist(&mut self, id: usize, kind: Kind, back: u64) {
        let version = self.store.version().saturating_sub(back);
        let objects = self.store.list(kind, version);
        let operator = &mut self.operators[id];
        operator.cache.relist(kind, &objects, version);
        let watch = operator.watch(kind);
        (watch.broken, watch.next) = (false, usize::try_from(version).unwrap_or(usize::MAX));
        let behind = self.draw(&[12, id as u64, self.now]).between(10, 3000);
        if let Some(last) = self.store.log.len().checked_sub(1) {
            self.after(id, behind, Wake::Deliver(kind, last));
        }
        self.rouse(id, 15);
    }

    pub(super) fn listed(&mut self, id: usize, purpose: Purpose) {
        let version = self.store.version();
        for kind in Kind::ALL {
            let objects = self.store.list_now(kind);
            self.operators[id].cache.relist(kind, &objects, version);
        }
        let operator = &mut self.operators[id];
        match purpose {
            Purpose::Barrier(term) => {
                operator.past_barrier |= operator.term.is_some_and(|(held, _)| held == term);
            }
            Purpose::Settle => operator.busy = false,
        }
        operator.unsettled = false;
        self.rouse(id, 1);
    }
}
