use super::*;
use crate::index::stamp::Source;

/// A record with a key, a uid and something to say.
#[derive(Debug, Clone, PartialEq)]
struct Row(u32, Uid, u64);

impl Record for Row {
    type Key = u32;

    fn cmp_key(&self, key: &u32) -> Ordering {
        self.0.cmp(key)
    }

    fn uid(&self) -> Uid {
        self.1
    }

    fn set_owned(&mut self, _: bool) {}
}

fn uid(number: u128) -> Uid {
    Uid::new(number)
}

fn offer(
    records: &mut Records<Row>,
    key: u32,
    id: u128,
    version: Version,
    epoch: Epoch,
    source: Source,
) -> bool {
    let news = News { uid: uid(id), version, owner: 0, epoch, source };
    matches!(records.offer(&key, &news, |_| Row(key, uid(id), version)), Offered::Changed(_))
}

fn uids(records: &Records<Row>) -> Vec<u128> {
    records.rows().iter().filter_map(|row| (0..100).find(|n| uid(*n) == row.1)).collect()
}

#[test]
fn old_news_is_left_out() {
    let mut records = Records::default();
    assert!(offer(&mut records, 1, 1, 10, 0, Source::Own));
    for source in [Source::Watch, Source::Relist, Source::Own] {
        assert!(!offer(&mut records, 1, 1, 9, 0, source));
        assert!(!offer(&mut records, 1, 2, 9, 0, source), "of another object of that name, too");
    }
    assert_eq!(records.get(&1), Some((&Row(1, uid(1), 10), 10)));
    assert!(offer(&mut records, 1, 2, 11, 0, Source::Watch));
    assert_eq!(records.delete(uid(1), 0), None, "the end of the old one is not that of the new one");
    assert_eq!(uids(&records), [2]);
}

#[test]
fn what_we_ended_stays_gone_until_the_watch_has_said_so() {
    let mut records = Records::default();
    offer(&mut records, 1, 1, 10, 0, Source::Watch);
    assert!(records.learn_gone(uid(1), 0).is_some());
    assert!(!offer(&mut records, 1, 1, 12, 0, Source::Watch), "news from before its end");
    assert!(!records.is_empty(), "the uid is remembered");
    records.delete(uid(1), 0);
    assert!(records.is_empty(), "and forgotten when it is settled");
}

#[test]
fn a_relist_settles_what_was_gone_before_it_began() {
    let mut records = Records::default();
    offer(&mut records, 1, 1, 10, 0, Source::Watch);
    offer(&mut records, 2, 2, 10, 0, Source::Watch);
    records.learn_gone(uid(1), 0);
    // It begins here; the answer that the other is gone comes while it is under way.
    records.learn_gone(uid(2), 1);
    assert!(!offer(&mut records, 2, 2, 10, 1, Source::Relist));
    records.relisted(1);
    assert!(!offer(&mut records, 2, 2, 11, 1, Source::Watch), "still before its end");
    assert_eq!(records.gone.len(), 1);
    records.relisted(2);
    assert!(records.is_empty());
}

#[test]
fn a_relist_removes_what_it_does_not_show_by_name_and_uid() {
    let mut records = Records::default();
    for key in 1..=3 {
        offer(&mut records, key, key.into(), 10, 0, Source::Watch);
    }
    assert!(!offer(&mut records, 1, 1, 10, 1, Source::Relist));
    assert!(offer(&mut records, 2, 22, 15, 1, Source::Relist), "another object of that name");
    let (removed, unsure) = records.relisted(1);
    assert_eq!((removed, unsure), (vec![Row(3, uid(3), 10)], false));
    assert_eq!(uids(&records), [1, 22]);
}

#[test]
fn a_relist_spares_what_we_wrote_after_it_began_and_says_that_it_is_unsure() {
    let mut records = Records::default();
    offer(&mut records, 1, 1, 10, 0, Source::Own);
    // It begins here.
    offer(&mut records, 2, 2, 20, 1, Source::Own);
    let (removed, unsure) = records.relisted(1);
    assert_eq!(removed.len(), 1, "an answer from before it began is in it, or gone");
    assert!(unsure);
    assert_eq!(uids(&records), [2]);
    offer(&mut records, 2, 2, 20, 1, Source::Watch);
    offer(&mut records, 3, 3, 30, 2, Source::Own);
    offer(&mut records, 3, 3, 30, 2, Source::Relist);
    offer(&mut records, 2, 2, 20, 2, Source::Relist);
    assert_eq!(records.relisted(2), (Vec::new(), false), "both were shown");
}

#[test]
fn a_relist_that_broke_off_does_not_count() {
    let mut records = Records::default();
    offer(&mut records, 1, 1, 10, 0, Source::Watch);
    offer(&mut records, 2, 2, 10, 1, Source::Relist);
    // The first broke off and a second began; what only the first showed is gone by now.
    offer(&mut records, 1, 1, 10, 2, Source::Relist);
    records.relisted(2);
    assert_eq!(uids(&records), [1]);
}

#[test]
fn a_live_read_removes_what_it_does_not_show_at_its_version() {
    let mut records = Records::default();
    for (key, version) in [(1, 10), (2, 20), (3, 30)] {
        offer(&mut records, key, key.into(), version, 0, Source::Own);
    }
    let removed = records.read_live(25, &[uid(1)].into(), 0);
    assert_eq!(removed, [Row(2, uid(2), 20)]);
    assert_eq!(uids(&records), [1, 3], "the third is newer than the read");
    assert!(!offer(&mut records, 2, 2, 22, 0, Source::Watch), "the watch is behind the read");
}

#[test]
fn an_answer_on_its_way_cannot_bring_back_what_the_watch_saw_go() {
    let mut records = Records::default();
    records.await_answer();
    offer(&mut records, 1, 1, 10, 0, Source::Watch);
    records.delete(uid(1), 0);
    assert!(!offer(&mut records, 1, 1, 10, 0, Source::Own));
    offer(&mut records, 2, 2, 10, 0, Source::Watch);
    records.relisted(1);
    assert!(!offer(&mut records, 2, 2, 10, 1, Source::Own), "gone by a relist");
    records.answered();
    assert!(records.is_empty());
}

#[test]
fn little_room_is_left_unused() {
    let mut records = Records::default();
    for key in 0..1000 {
        offer(&mut records, key, key.into(), 1, 0, Source::Watch);
        assert!(records.rows.capacity() <= records.rows.len() * 9 / 8 + 1);
    }
    offer(&mut records, 500, 500, 2, 1, Source::Watch);
    records.relisted(1);
    assert_eq!((records.rows.len(), records.rows.capacity()), (1, 1));
}
