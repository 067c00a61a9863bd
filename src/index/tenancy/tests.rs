use k8s_openapi::api::core::v1::Namespace;
use kube::{
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::watcher::Event,
};
use serde_json::{Value, json};

use super::super::{
    Kind, Viewed,
    feed::Feed,
    tests::{Fixture, key, object, service, uid},
};
use crate::{
    api::{AnyService, AuroraRole, Framework, Tier as TierObject},
    apply::Learn,
};

fn meta(name: &str, id: u128, version: u64) -> Value {
    json!({"name": name, "uid": uid(id), "resourceVersion": version.to_string(), "generation": version,
        "creationTimestamp": "2026-01-01T00:00:00Z"})
}

fn role(name: &str, id: u128, version: u64, team: &str, spec: &Value) -> Value {
    let mut whole = json!({"namespaces": {"matchLabels": {"team": team}}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"metadata": meta(name, id, version), "spec": whole})
}

fn tier(name: &str, id: u128, version: u64, band: i32) -> Value {
    json!({"metadata": meta(name, id, version), "spec": {"preemptible": true, "band": band}})
}

fn namespace(name: &str, id: u128, version: u64, labels: &Value) -> Value {
    let mut meta = meta(name, id, version);
    meta["labels"] = labels.clone();
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
}

impl Fixture {
    fn tell<K: Feed + serde::de::DeserializeOwned>(&self, kind: Kind, value: Value) {
        self.index.feed(kind, &Event::Apply(object::<K>(value)));
    }

    fn role(&self, value: Value) {
        self.tell::<DeserializeGuard<AuroraRole>>(Kind::Role, value);
    }

    fn tier(&self, value: Value) {
        self.tell::<DeserializeGuard<TierObject>>(Kind::Tier, value);
    }

    fn namespace(&self, value: Value) {
        self.tell::<PartialObjectMeta<Namespace>>(Kind::Namespace, value);
    }

    fn key_of(&self, namespace: &str) -> String {
        self.index.tenant(namespace).job_key("east", "web")
    }

    /// The config of `prod/web`, unless it has to be read.
    fn config(&self) -> Option<String> {
        match self.index.view(&key("web"), |view, _| view.service.revision.to_string()) {
            Viewed::Of(revision) => Some(revision),
            Viewed::Absent | Viewed::Unsettled => None,
        }
    }
}

/// Namespace `prod` of team `web`.
fn prod(fixture: &Fixture) {
    fixture.namespace(namespace("prod", 1, 10, &json!({"team": "web"})));
}

#[test]
fn a_namespace_that_none_claims_is_a_role_of_its_own_with_the_default_tier() {
    let fixture = Fixture::new();
    for known in [false, true] {
        if known {
            prod(&fixture);
        }
        let tenant = fixture.index.tenant("prod");
        assert_eq!((&*tenant.role.name, tenant.claimed), ("prod", false));
        assert!(tenant.role.quota.is_none() && tenant.role.allows("preemptible"));
        assert!(!tenant.role.allows("preferred"));
        assert_eq!(fixture.key_of("prod"), "east/prod/default/web");
    }
}

#[test]
fn the_oldest_role_that_claims_a_namespace_has_it() {
    let fixture = Fixture::new();
    prod(&fixture);
    let mut younger = role("a", 2, 11, "web", &json!({}));
    younger["metadata"]["creationTimestamp"] = json!("2026-02-01T00:00:00Z");
    fixture.role(younger);
    assert_eq!(fixture.key_of("prod"), "east/a/default/web");
    fixture.role(role("z", 3, 12, "web", &json!({})));
    fixture.role(role("y", 4, 13, "web", &json!({})));
    fixture.role(role("b", 5, 14, "other", &json!({})));
    assert_eq!(fixture.key_of("prod"), "east/y/default/web", "of two as old the first by name");
    let claims = |fixture: &Fixture| {
        fixture.index.tenancy(|it| {
            it.claims().map(|(name, all)| (name.to_string(), all.join(" "))).collect::<Vec<_>>()
        })
    };
    assert_eq!(claims(&fixture), [("prod".to_owned(), "y z a".to_owned())]);
    // What is gone claims nothing any more.
    let gone = Event::Delete(object::<DeserializeGuard<AuroraRole>>(role("y", 4, 15, "web", &json!({}))));
    fixture.index.feed(Kind::Role, &gone);
    assert_eq!(fixture.key_of("prod"), "east/z/default/web");
    fixture.relist::<DeserializeGuard<AuroraRole>>(Kind::Role, vec![]);
    assert_eq!((fixture.key_of("prod"), claims(&fixture)), ("east/prod/default/web".to_owned(), vec![]));
}

#[test]
fn labels_of_a_namespace_say_whose_it_is_and_its_environment() {
    let fixture = Fixture::new();
    fixture.role(role("web", 2, 5, "web", &json!({})));
    fixture.tell::<AnyService>(Kind::Service, service(9, 8, 1));
    fixture.dirty();
    prod(&fixture);
    assert_eq!(
        (fixture.key_of("prod"), fixture.dirty()),
        ("east/web/default/web".to_owned(), vec!["prod/web".to_owned()])
    );
    fixture.namespace(namespace(
        "prod",
        1,
        11,
        &json!({"team": "web", "borealis.dev/environment": "canary"}),
    ));
    assert_eq!(fixture.key_of("prod"), "east/web/canary/web");
    fixture.dirty();
    fixture.namespace(namespace(
        "prod",
        1,
        12,
        &json!({"team": "web", "borealis.dev/environment": "canary", "a": "b"}),
    ));
    fixture.namespace(namespace("prod", 1, 10, &json!({})));
    assert_eq!(
        (fixture.key_of("prod"), fixture.dirty()),
        ("east/web/canary/web".to_owned(), vec![]),
        "no news, and old news"
    );
    fixture.namespace(namespace("prod", 1, 13, &json!({})));
    assert_eq!(fixture.key_of("prod"), "east/prod/default/web");
}

#[test]
fn nobody_joins_a_role_by_giving_a_namespace_its_name() {
    let fixture = Fixture::new();
    prod(&fixture);
    fixture.namespace(namespace("web", 2, 6, &json!({})));
    fixture.role(role("web", 3, 11, "web", &json!({})));
    assert_eq!(fixture.key_of("prod"), "east/web/default/web");
    assert_eq!(fixture.key_of("web"), "east/unclaimed.web/default/web");
}

#[test]
fn what_can_not_be_used_leaves_what_was_last_usable() {
    let fixture = Fixture::new();
    prod(&fixture);
    fixture.role(role("web", 2, 11, "web", &json!({"quota": {"cpu": "3"}})));
    fixture.tier(tier("cheap", 3, 12, 7));
    let quota = |fixture: &Fixture| fixture.index.role("web").map(|role| role.quota.cpu_milli);
    for (version, broken) in [
        (13, json!({"quota": {"cpu": "many"}})),
        (14, json!({"namespaces": {"matchExpressions": [{"key": "a", "operator": "Sometimes"}]}})),
        (15, json!({"weight": "heavy"})),
    ] {
        fixture.role(role("web", 2, version, "web", &broken));
        assert_eq!(
            (quota(&fixture), fixture.key_of("prod")),
            (Some(3_000), "east/web/default/web".to_owned())
        );
        let said = fixture.index.tenancy(|it| it.roles().next().unwrap().problem.clone());
        assert!(said.is_some(), "{broken}");
    }
    fixture.tier(tier("cheap", 3, 16, -1));
    assert_eq!(fixture.index.tier("cheap").map(|tier| tier.band), Some(7));
    // One that was never usable claims nothing.
    fixture.role(role("web", 2, 17, "web", &json!({})));
    fixture.role(role("other", 4, 18, "web", &json!({"quota": {"cpu": "many"}})));
    assert_eq!(quota(&fixture), Some(0));
    let claims = fixture.index.tenancy(|it| it.claims().map(|(_, all)| all.len()).collect::<Vec<_>>());
    assert_eq!(claims, [1]);
}

#[test]
fn a_tier_is_found_by_its_class_and_a_role_s_classes_are_those_of_its_tiers() {
    let fixture = Fixture::new();
    prod(&fixture);
    fixture.tier(tier("preemptible", 2, 11, 20_000));
    fixture.tier(tier("preferred", 3, 12, 30_000));
    let name = |class: &str| fixture.index.tier_of_class(class).map(|tier| tier.name.to_string());
    assert_eq!(name("borealis-preferred-30000").as_deref(), Some("preferred"));
    assert_eq!((name("borealis-preferred-1"), name("borealis-gone-1"), name("other")), (None, None, None));
    let classes = || fixture.index.tenancy(|it| it.classes("prod"));
    assert_eq!(classes(), ["borealis-preemptible-20000"]);
    fixture.role(role("web", 4, 13, "web", &json!({"tiers": ["preemptible", "preferred", "missing"]})));
    assert_eq!(classes(), ["borealis-preemptible-20000", "borealis-preferred-30000"]);
}

#[test]
fn a_service_that_names_no_tier_has_its_role_s_and_is_read_again_when_that_changes() {
    let fixture = Fixture::new();
    prod(&fixture);
    let silent = service(9, 8, 1);
    let told = |tier: Option<&str>, version: u64| {
        let mut told = silent.clone();
        told["metadata"]["resourceVersion"] = json!(version.to_string());
        if let Some(tier) = tier {
            told["spec"]["tier"] = json!(tier);
        }
        told
    };
    fixture.tell::<AnyService>(Kind::Service, told(None, 20));
    let before = fixture.config().unwrap();
    fixture.tell::<AnyService>(Kind::Service, told(Some("preemptible"), 21));
    assert_eq!(fixture.config().unwrap(), before, "to name the default changes nothing");
    fixture.tell::<AnyService>(Kind::Service, told(None, 22));

    fixture.dirty();
    fixture.role(role("web", 2, 30, "web", &json!({"defaultTier": "cheap"})));
    assert_eq!((fixture.dirty(), fixture.config()), (vec!["prod/web".to_owned()], None));
    // A live read shows it as it was, at the same version.
    let slot = fixture.index.find(&crate::JobKey::service("prod", "web")).unwrap();
    slot.lock().settling();
    fixture.index.learn_service(&object(told(None, 22)));
    slot.lock().settled();
    let after = fixture.config().unwrap();
    assert_ne!(after, before);
    fixture.tell::<AnyService>(Kind::Service, told(Some("cheap"), 23));
    assert_eq!(fixture.config().unwrap(), after);
    // One that names its tier is not concerned.
    fixture.role(role("web", 2, 31, "web", &json!({"defaultTier": "dear"})));
    assert_eq!(fixture.config().unwrap(), after);
}

#[test]
fn whoever_asked_is_woken_by_changes_and_by_nothing_else() {
    use futures::FutureExt;
    let fixture = Fixture::new();
    let woken = std::sync::Arc::new(tokio::sync::Notify::new());
    fixture.index.wake_on_tenancy(std::sync::Arc::clone(&woken));
    let was = || woken.notified().now_or_never().is_some();
    assert!(!was());
    let framework = |version| json!({"metadata": meta("spark", 5, version), "spec": {"role": "web"}});
    fixture.tell::<DeserializeGuard<Framework>>(Kind::Framework, framework(3));
    assert!(was());
    fixture.tell::<DeserializeGuard<Framework>>(Kind::Framework, framework(3));
    assert!(!was());
    fixture.relist::<DeserializeGuard<Framework>>(Kind::Framework, vec![object(framework(3))]);
    assert!(!was());
    fixture.relist::<DeserializeGuard<Framework>>(Kind::Framework, vec![]);
    assert!(was());
    fixture.tier(tier("cheap", 3, 12, 7));
    assert!(was());
    fixture.relist::<DeserializeGuard<TierObject>>(Kind::Tier, vec![]);
    assert!(was() && fixture.index.tier("cheap").is_none());
}
