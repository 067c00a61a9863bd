//! One of each, for all who mean the same: names and demands that many Pods have in common.
//!
//! What nobody holds any more is dropped now and then, so that a table is never more than about twice as large as what
//! is in use. Called by `capacity`, under its lock.

use std::{borrow::Borrow, collections::HashSet, hash::Hash, sync::Arc};

/// Below this many entries a table is not looked through.
const FEW: usize = 256;

/// Things of one type, one of each.
#[derive(Debug)]
pub(super) struct Shared<T: ?Sized> {
    all: HashSet<Arc<T>>,
    /// At this size it is time to look for what nobody holds.
    full: usize,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self { all: HashSet::new(), full: FEW }
    }
}

impl<T: ?Sized + Eq + Hash> Shared<T> {
    /// The one that is the same as this.
    pub(super) fn share<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(known) = self.all.get(value.borrow()) {
            return Arc::clone(known);
        }
        if self.all.len() >= self.full {
            self.all.retain(|one| Arc::strong_count(one) > 1);
            self.full = FEW.max(self.all.len() * 2);
            self.all.shrink_to(self.full);
        }
        let value = value.into();
        self.all.insert(Arc::clone(&value));
        value
    }

    /// How many there are, those too that nobody holds any more.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// Names, of which many are the same.
pub(super) type Names = Shared<str>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_kept_once_and_not_longer_than_it_is_held() {
        let mut names = Names::default();
        let held: Vec<_> = (0..10).map(|n| names.share(format!("held-{n}").as_str())).collect();
        assert!(Arc::ptr_eq(&held[3], &names.share("held-3")));
        for n in 0..100_000 {
            names.share(format!("gone-{n}").as_str());
            assert!(names.len() <= FEW, "{} names", names.len());
        }
        for (n, name) in held.iter().enumerate() {
            assert!(Arc::ptr_eq(name, &names.share(format!("held-{n}").as_str())), "those held stay");
        }
    }
}
