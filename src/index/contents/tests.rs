use serde_json::json;

use super::*;
use crate::{JobKey, api::snapshot::Content};

const SECOND: Duration = Duration::from_secs(1);

fn source(key: &str) -> ConfigSource {
    ConfigSource::from_key(key).unwrap()
}

fn needs(keys: &[&str]) -> Vec<Reference> {
    let reference =
        |key: &&str| Reference { source: source(key.trim_end_matches('?')), optional: key.ends_with('?') };
    keys.iter().map(reference).collect()
}

fn hash(text: &str) -> ContentHash {
    let map = serde_json::from_value(json!({"data": {"a": text}})).unwrap();
    k8s_openapi::api::core::v1::ConfigMap::content(&map).unwrap()
}

fn held(keys: &[(&str, &str)]) -> Contents {
    Contents::Held(keys.iter().map(|(key, text)| ((*key).to_owned(), hash(text).to_string())).collect())
}

/// A table that one service `prod/web` refers to.
struct Fixture {
    table: ContentTable,
    slot: Arc<Slot>,
    references: Vec<Reference>,
}

impl Fixture {
    fn of(keys: &[&str]) -> Self {
        let mut fixture = Self {
            table: ContentTable::default(),
            slot: Arc::new(Slot::new(JobKey::service("prod", "web"))),
            references: Vec::new(),
        };
        fixture.refer(keys);
        fixture
    }

    fn refer(&mut self, keys: &[&str]) {
        let before = std::mem::replace(&mut self.references, needs(keys));
        self.table.refer(&self.slot, &before, &self.references);
    }

    fn unread(&self) -> Vec<Unread> {
        self.table.unread("prod", &self.references)
    }

    fn contents(&self) -> Contents {
        self.table.contents("prod", &self.references)
    }

    /// An answer that was asked for just now.
    fn read(&mut self, key: &str, known: Known) {
        let unread = self.unread().into_iter().find(|(source, _)| source.key() == key).unwrap();
        self.table.read("prod", &unread, known, Instant::now());
    }

    fn shown(&mut self, key: &str, version: Version, epoch: Epoch) -> usize {
        self.table.shown("prod", &source(key), version, epoch).len()
    }
}

fn at(version: Version, text: &str) -> Known {
    Known::Held(version, hash(text))
}

#[tokio::test(start_paused = true)]
async fn contents_are_known_when_all_of_them_were_read() {
    let mut fixture = Fixture::of(&["ConfigMap/a", "ConfigMap/b?", "Secret/a"]);
    assert_eq!((fixture.contents(), fixture.unread().len()), (Contents::Unread, 3));
    fixture.read("ConfigMap/a", at(5, "1"));
    fixture.read("ConfigMap/b", Known::Absent);
    assert_eq!((fixture.contents(), fixture.unread().len()), (Contents::Unread, 1));
    fixture.read("Secret/a", at(6, "2"));
    let all = held(&[("ConfigMap/a", "1"), ("Secret/a", "2")]);
    assert_eq!((fixture.contents(), fixture.unread().len()), (all, 0), "what is optional may be absent");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_read_is_read_again_after_a_while() {
    let mut fixture = Fixture::of(&["ConfigMap/a"]);
    let unread = fixture.unread().remove(0);
    let fail = |fixture: &mut Fixture| fixture.table.failed("prod", &unread, Instant::now());
    assert_eq!([fail(&mut fixture), fail(&mut fixture)], [false, false]);
    assert_eq!(fixture.contents(), Contents::Unread);
    assert!(fail(&mut fixture));
    let unreadable = vec![source("ConfigMap/a")];
    let lacking = Contents::Lacking { absent: Vec::new(), denied: Vec::new(), unreadable };
    assert_eq!((fixture.contents(), fixture.unread().len()), (lacking, 0));
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(fixture.table.expire(Instant::now(), 60 * SECOND).len(), 1);
    // Once is enough now, until it could be read.
    assert_eq!((fixture.unread().len(), fail(&mut fixture)), (1, true));
    fixture.table.expire(Instant::now() + 60 * SECOND, 60 * SECOND);
    fixture.read("ConfigMap/a", at(5, "1"));
    assert_eq!((fixture.contents(), fail(&mut fixture)), (held(&[("ConfigMap/a", "1")]), false));
}

#[tokio::test(start_paused = true)]
async fn what_is_needed_and_not_there_is_named() {
    let mut fixture = Fixture::of(&["ConfigMap/a", "Secret/a?", "Secret/b?"]);
    fixture.read("ConfigMap/a", Known::Absent);
    fixture.read("Secret/a", Known::Denied);
    fixture.read("Secret/b", Known::Absent);
    let (absent, denied) = (vec![source("ConfigMap/a")], vec![source("Secret/a")]);
    let lacking = Contents::Lacking { absent, denied, unreadable: Vec::new() };
    assert_eq!(
        fixture.contents(),
        lacking,
        "whether an optional one is there can't be told without the right"
    );
}

#[tokio::test(start_paused = true)]
async fn news_of_another_version_has_it_read_again() {
    let mut fixture = Fixture::of(&["ConfigMap/a"]);
    fixture.read("ConfigMap/a", at(5, "1"));
    assert_eq!((fixture.shown("ConfigMap/a", 5, 1), fixture.shown("ConfigMap/a", 4, 1)), (0, 0), "old news");
    assert_eq!(fixture.contents(), held(&[("ConfigMap/a", "1")]));
    assert_eq!((fixture.shown("ConfigMap/a", 7, 1), fixture.contents()), (1, Contents::Unread));
    fixture.read("ConfigMap/a", at(7, "2"));
    assert_eq!(fixture.contents(), held(&[("ConfigMap/a", "2")]));
    assert_eq!(fixture.table.gone("prod", &source("ConfigMap/a"), 6).len(), 0, "of the one before it");
    assert_eq!(fixture.table.gone("prod", &source("ConfigMap/a"), 8).len(), 1);
    fixture.read("ConfigMap/a", Known::Absent);
    assert_eq!((fixture.shown("ConfigMap/a", 9, 1), fixture.contents()), (1, Contents::Unread), "made anew");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_older_than_the_news_does_not_count() {
    let mut fixture = Fixture::of(&["ConfigMap/a"]);
    let asked = fixture.unread().remove(0);
    fixture.shown("ConfigMap/a", 7, 1);
    for late in [at(6, "old"), Known::Absent, Known::Denied] {
        fixture.table.read("prod", &asked, late, Instant::now());
        assert_eq!(fixture.contents(), Contents::Unread, "{late:?}");
    }
    fixture.table.read("prod", &asked, at(7, "new"), Instant::now());
    assert_eq!(fixture.contents(), held(&[("ConfigMap/a", "new")]));
}

#[tokio::test(start_paused = true)]
async fn a_relist_has_read_again_what_it_does_not_show() {
    let mut fixture = Fixture::of(&["ConfigMap/a", "ConfigMap/b", "ConfigMap/c?", "Secret/a"]);
    for key in ["ConfigMap/a", "ConfigMap/b", "Secret/a"] {
        fixture.read(key, at(5, key));
    }
    fixture.read("ConfigMap/c", Known::Absent);
    fixture.shown("ConfigMap/a", 5, 1);
    assert_eq!(fixture.table.relisted(1).len(), 1);
    let unread: Vec<_> = fixture.unread().iter().map(|(source, _)| source.key()).collect();
    assert_eq!(unread, ["ConfigMap/b"]);
}

#[tokio::test(start_paused = true)]
async fn only_secrets_grow_old() {
    let mut fixture = Fixture::of(&["ConfigMap/a", "Secret/a", "Secret/b"]);
    fixture.read("ConfigMap/a", at(5, "1"));
    fixture.read("Secret/a", at(5, "1"));
    tokio::time::advance(SECOND * 30).await;
    fixture.read("Secret/b", Known::Denied);
    tokio::time::advance(SECOND * 29).await;
    assert!(fixture.table.expire(Instant::now(), SECOND * 60).is_empty());
    tokio::time::advance(SECOND).await;
    assert_eq!(fixture.table.expire(Instant::now(), SECOND * 60).len(), 1);
    assert_eq!(fixture.unread()[0].0, source("Secret/a"));
    tokio::time::advance(SECOND * 30).await;
    assert_eq!(fixture.table.expire(Instant::now(), SECOND * 60).len(), 1, "a right may have been given");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_names_is_not_kept() {
    let mut fixture = Fixture::of(&["ConfigMap/a", "ConfigMap/b"]);
    fixture.read("ConfigMap/a", at(5, "1"));
    fixture.shown("ConfigMap/stranger", 5, 1);
    assert_eq!(fixture.table.len(), 2);
    let other = Arc::new(Slot::new(JobKey::service("prod", "other")));
    fixture.table.refer(&other, &[], &needs(&["ConfigMap/a"]));
    assert_eq!(fixture.shown("ConfigMap/a", 6, 1), 2, "both name it");
    fixture.refer(&["ConfigMap/b"]);
    assert_eq!((fixture.table.len(), fixture.shown("ConfigMap/b", 6, 1)), (2, 0));
    fixture.table.refer(&other, &needs(&["ConfigMap/a"]), &[]);
    fixture.refer(&[]);
    assert_eq!(fixture.table.len(), 0);
    assert!(fixture.table.namespaces.is_empty());
}
