//! How new a record is, and which of two pieces of news about one object wins.
//!
//! News comes by three ways: the watch, its relists, and the operator's own writes and live reads. The greater
//! resourceVersion wins (they are comparable integers of one history), and a uid that is known to be gone stays
//! gone. An *epoch* counts the relists of one kind: what was learned by a write of our own after a relist began
//! may be missing from it and must not be taken for deleted. Pure; called by `records`.

use borealis_core::model::Uid;

/// A resourceVersion, as a number of etcd's history.
pub(super) type Version = u64;

/// How many relists of a kind have begun; wraps after four thousand million.
pub(super) type Epoch = u32;

/// By which way a piece of news came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// An event of the watch.
    Watch,
    /// An object of the watch's relist.
    Relist,
    /// The answer to a write of our own, or a live read beside the watch.
    Own,
}

/// One piece of news about one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    pub(super) uid: Uid,
    pub(super) version: Version,
    /// The number of its controller in the service's table of owners.
    pub(super) owner: u16,
    /// The epoch of its kind when the news came.
    pub(super) epoch: Epoch,
    pub(super) source: Source,
}

/// How new a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) version: Version,
    /// The epoch it was last learned or confirmed in.
    pub(super) epoch: Epoch,
    pub(super) owner: u16,
    /// The watch itself has shown it in that epoch.
    pub(super) watched: bool,
}

/// What becomes of a piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is newer than what is known, or the first.
    Take,
    /// It is what is known.
    Known,
    /// It is older than what is known.
    Stale,
}

impl Stamp {
    /// The stamp of a record taken from this news, in the place of the one before of the same object.
    pub(super) fn of(news: &News, before: Option<Self>) -> Self {
        let mut stamp = before.unwrap_or(Self {
            version: news.version,
            epoch: news.epoch.wrapping_sub(1),
            owner: news.owner,
            watched: false,
        });
        stamp.version = stamp.version.max(news.version);
        stamp.owner = news.owner;
        stamp.confirm(news);
        stamp
    }

    /// Notes that the object was there when the news was made.
    pub(super) fn confirm(&mut self, news: &News) {
        match news.source {
            Source::Watch | Source::Relist => self.watched = true,
            Source::Own if self.epoch != news.epoch => self.watched = false,
            Source::Own => {}
        }
        self.epoch = news.epoch;
    }
}

/// Judges a piece of news by the record of the same key.
pub(super) fn judge(news: &News, known: Option<(Uid, Version)>) -> Verdict {
    match known {
        None => Verdict::Take,
        Some((_, version)) if news.version > version => Verdict::Take,
        Some((uid, version)) if uid == news.uid && version == news.version => Verdict::Known,
        Some(_) => Verdict::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(uid: u128, version: Version, source: Source) -> News {
        News { uid: Uid::new(uid), version, owner: 0, epoch: 4, source }
    }

    #[test]
    fn the_greater_version_wins_whatever_the_uid() {
        let known = Some((Uid::new(1), 10));
        assert_eq!(judge(&news(1, 11, Source::Watch), known), Verdict::Take);
        assert_eq!(judge(&news(1, 10, Source::Watch), known), Verdict::Known);
        assert_eq!(judge(&news(1, 9, Source::Relist), known), Verdict::Stale);
        assert_eq!(judge(&news(2, 9, Source::Watch), known), Verdict::Stale);
        assert_eq!(judge(&news(2, 11, Source::Own), known), Verdict::Take);
        assert_eq!(judge(&news(2, 1, Source::Own), None), Verdict::Take);
    }

    #[test]
    fn an_own_write_counts_as_watched_only_where_the_watch_showed_it_in_this_epoch() {
        let own = Stamp::of(&news(1, 10, Source::Own), None);
        assert_eq!((own.epoch, own.watched), (4, false));
        let shown = Stamp::of(&news(1, 10, Source::Relist), Some(own));
        assert!(shown.watched);
        let again = Stamp::of(&news(1, 12, Source::Own), Some(shown));
        assert!(again.watched, "a write after the relist showed it");
        let older = Stamp { epoch: 3, ..shown };
        assert!(!Stamp::of(&news(1, 12, Source::Own), Some(older)).watched);
    }
}
