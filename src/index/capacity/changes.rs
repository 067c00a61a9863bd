//! What has changed of nodes and Pods, told to those who decide by them: each has its own account of it.
//!
//! A follower is woken once however much changes until it looks. Decides nothing. Filled by `capacity`; read by the
//! loops that concern the whole cluster.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::Notify;

/// What has changed since it was looked at last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Which Pods wait for a node, or what is known of one that does.
    pub pending: bool,
    /// Who is on which node, who of them is going, and what they take.
    pub room: bool,
    /// Nodes, their labels, taints and amounts.
    pub hosts: bool,
    /// The roles whose Pods outside of AuroraServices take more or less than before.
    pub roles: BTreeSet<Arc<str>>,
}

impl Changes {
    /// Whether nothing has.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.pending |= other.pending;
        self.room |= other.room;
        self.hosts |= other.hosts;
        self.roles.extend(other.roles.iter().cloned());
    }
}

/// One who follows the changes.
#[derive(Debug)]
pub struct Follower {
    woken: Arc<Notify>,
    changes: Mutex<Changes>,
}

impl Follower {
    /// Notified when something has changed.
    pub fn woken(&self) -> &Arc<Notify> {
        &self.woken
    }

    /// What has changed since the last call.
    pub fn take(&self) -> Changes {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, changes: &Changes) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).add(changes);
        self.woken.notify_one();
    }
}

/// All who follow.
#[derive(Debug, Default)]
pub(super) struct Followers(Vec<Weak<Follower>>);

impl Followers {
    /// One more, as long as it is held, who is woken by `woken`. It begins with everything to look at, but for roles.
    pub(super) fn follow(&mut self, woken: Arc<Notify>) -> Arc<Follower> {
        let follower = Arc::new(Follower { woken, changes: Mutex::default() });
        follower.tell(&Changes { pending: true, room: true, hosts: true, roles: BTreeSet::new() });
        self.0.retain(|follower| follower.strong_count() > 0);
        self.0.push(Arc::downgrade(&follower));
        follower
    }

    /// Wakes all although nothing has changed here.
    pub(super) fn wake(&self) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|follower| follower.woken.notify_one());
    }

    pub(super) fn tell(&self, changes: &Changes) {
        if !changes.is_empty() {
            self.0.iter().filter_map(Weak::upgrade).for_each(|follower| follower.tell(changes));
        }
    }
}
