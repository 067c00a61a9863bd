//! The lease as each operator sees it: renewed, lost, and taken when it has not changed for its own duration.
//!
//! A new holder passes a barrier, a live list, before its first plan. Time is counted on the operator's own clock only.

use super::{
    operator::Purpose,
    store::Lease,
    time::{Millis, SECOND},
    world::{Wake, World},
};

/// A lease is taken when it has not changed for so long.
const LEASE: Millis = 15 * SECOND;
/// Whoever could not renew it for so long stops writing.
const RENEW_WITHIN: Millis = 10 * SECOND;
const RENEW_EVERY: Millis = 2 * SECOND;

impl World {
    pub(super) fn lease_tick(&mut self, id: usize) {
        self.after(id, RENEW_EVERY, Wake::Lease);
        let now = self.now;
        let lease = self.store.lease;
        let operator = &mut self.operators[id];
        if now < operator.unrenewed_until {
            return;
        }
        if let Some((term, until)) = operator.term {
            if lease.holder == Some(id) && lease.term == term {
                operator.term = Some((term, now + RENEW_WITHIN));
                self.store.lease.renewed += 1;
                if now >= until {
                    self.rouse(id, 1);
                }
                return;
            }
            operator.term = None;
            operator.past_barrier = false;
            operator.give_up_plan();
            self.note(|| format!("operator {id} has lost the lease"));
        }
        let operator = &mut self.operators[id];
        let seen = match operator.lease_seen {
            Some((seen, at)) if seen == lease => at,
            _ => now,
        };
        operator.lease_seen = Some((lease, seen));
        if lease.holder.is_some() && now < seen + LEASE {
            return;
        }
        let term = lease.term + 1;
        self.store.lease = Lease { holder: Some(id), term, renewed: lease.renewed + 1 };
        self.store.terms.push((now, term));
        operator.term = Some((term, now + RENEW_WITHIN));
        operator.measured = None;
        operator.past_barrier = !self.setting.guards.barrier;
        operator.give_up_plan();
        self.tally.terms += 1;
        self.note(|| format!("operator {id} takes the lease, term {term}"));
        if self.setting.guards.barrier {
            self.after(id, 30, Wake::Listed(Purpose::Barrier(term)));
        } else {
            self.rouse(id, 30);
        }
    }

    pub(super) fn unrenewed(&mut self, id: usize, length: Millis) {
        self.operators[id].unrenewed_until = self.now + length;
    }
}
