use crate::{
    apply::Learn,
    index::{
        Viewed,
        tests::{key, owned_by, pod, service},
    },
    metrics::Metrics,
    testing::{Answer, Effect, FakeApi, Fault},
};

use borealis_core::plan::Problem;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{core::PartialObjectMeta, runtime::watcher::Event};
use serde_json::json;

use super::*;

/// How often a read is tried at most.
const ATTEMPTS: usize = 5;

fn runs(index: &Index) -> Viewed<Vec<(u32, u32)>> {
    index.view(&key("web"), |view, _| view.tasks.iter().map(|task| (task.instance, task.run)).collect())
}

#[tokio::test(start_paused = true)]
async fn a_live_read_shows_what_became_of_a_write() {
    let api = FakeApi::new();
    let index = Index::new(Metrics::default(), |_| {});
    let known = |object: serde_json::Value| serde_json::from_value(object).unwrap();
    index.learn_service(&known(api.create("auroraservices", service(1, 1, 3))));
    index.learn_pod(&serde_json::from_value(api.create("pods", pod(0, 1, 1, 1))).unwrap());
    index.unsettle(&key("web"));
    // It was applied, and another was removed meanwhile; nobody told the index.
    api.create("pods", pod(1, 1, 2, 1));
    api.remove("pods", "prod", "web-0-1");
    // Another service's are not its own.
    let mut other = pod(0, 1, 3, 1);
    other["metadata"]["name"] = "other-0-1".into();
    other["metadata"]["labels"]["borealis.dev/service"] = "other".into();
    api.create("pods", other);
    assert_eq!(runs(&index), Viewed::Unsettled);

    let failed = Answer::new(500, "InternalError", "etcd leader changed");
    api.inject(Fault::once("list", "auroraupdates", Effect::Refuse(failed)).times(ATTEMPTS));
    let error = settle(&api.client(), &index, &key("web")).await.unwrap_err();
    assert!(matches!(error, SettleError::List { kind: Kind::Update, .. }), "{error}");
    assert_eq!(runs(&index), Viewed::Unsettled, "half a read settles nothing");
    api.inject(Fault::once("list", "pods", Effect::Hang));
    let error = settle(&api.client(), &index, &key("web")).await.unwrap_err();
    assert!(matches!(error, SettleError::Timeout), "{error}");

    settle(&api.client(), &index, &key("web")).await.unwrap();
    assert_eq!(runs(&index), Viewed::Of(vec![(1, 1)]));
    assert_eq!(index.len(), 1, "nothing was read of other services");

    api.remove("auroraservices", "prod", "web");
    index.unsettle(&key("web"));
    settle(&api.client(), &index, &key("web")).await.unwrap();
    assert_eq!(runs(&index), Viewed::Absent, "the service itself is gone");
}

/// Each of its reads may fail a few times: all of them have to succeed in the end, whatever share of calls fails.
#[tokio::test(start_paused = true)]
async fn reads_that_fail_for_a_moment_are_tried_again_one_by_one() {
    let api = FakeApi::new();
    let index = Index::new(Metrics::default(), |_| {});
    index.learn_service(&serde_json::from_value(api.create("auroraservices", service(1, 1, 1))).unwrap());
    api.create("pods", pod(0, 1, 1, 1));
    index.unsettle(&key("web"));
    for resource in ["auroraservices", "controllerrevisions", "auroraupdates", "pods"] {
        let failed = Answer::new(500, "InternalError", "etcd leader changed");
        api.inject(Fault::once("list", resource, Effect::Refuse(failed)).times(ATTEMPTS - 1));
    }
    settle(&api.client(), &index, &key("web")).await.unwrap();
    assert_eq!(runs(&index), Viewed::Of(vec![(0, 1)]));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_becomes_the_newest_is_known_whole_again() {
    let api = FakeApi::new();
    let index = Index::new(Metrics::default(), |_| {});
    index.learn_service(&serde_json::from_value(api.create("auroraservices", service(1, 1, 3))).unwrap());
    for number in 1..=3 {
        let name = format!("web-{number}");
        let update = json!({
            "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraUpdate",
            "metadata": {"name": name, "namespace": "prod", "labels": {"borealis.dev/service": "web"}},
            "spec": {"service": "web", "number": number, "instructions": {}},
        });
        api.create("auroraupdates", owned_by(update, 1));
        let ended = json!({"status": {"state": "ABORTED", "started": "2026-01-01T00:00:00Z"}});
        let update = api.merge("auroraupdates", "prod", &name, &ended);
        index.learn_update(&serde_json::from_value(update).unwrap());
    }
    let newest = || index.view(&key("web"), |view, _| (view.update.unwrap().number, view.past_updates.len()));
    assert_eq!(newest(), Viewed::Of((3, 2)));
    // As people do who want to be rid of it; the one before it has not changed since it was let go of.
    let gone = api.get("auroraupdates", "prod", "web-3").unwrap();
    api.remove("auroraupdates", "prod", "web-3");
    index.learn_update_gone(&key("web"), gone["metadata"]["uid"].as_str().unwrap().parse().unwrap());
    assert_eq!(newest(), Viewed::Unsettled);
    settle(&api.client(), &index, &key("web")).await.unwrap();
    assert_eq!(newest(), Viewed::Of((2, 1)));
}

/// A service that names a ConfigMap it needs, one it can do without, and a Secret.
fn configured(track: &str) -> serde_json::Value {
    let mut object = service(1, 1, 3);
    object["spec"]["update"] = json!({"trackConfig": track});
    object["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([
        {"configMapRef": {"name": "web"}},
        {"configMapRef": {"name": "extra", "optional": true}},
        {"secretRef": {"name": "key"}},
    ]);
    object
}

/// What a plan is told: the config, and what is wrong with it.
fn config(index: &Index) -> Viewed<(String, Option<Problem>)> {
    index.view(&key("web"), |view, facts| {
        assert_eq!(view.service.revision, facts.revision);
        (view.service.revision.to_string(), view.problem.cloned())
    })
}

fn good(index: &Index) -> String {
    match config(index) {
        Viewed::Of((revision, None)) => revision,
        other => panic!("{other:?}"),
    }
}

fn map(name: &str, text: &str) -> serde_json::Value {
    json!({"metadata": {"name": name, "namespace": "prod"}, "data": {"a": text}})
}

/// Tells the index of a ConfigMap as its watch does.
fn tell(index: &Index, object: serde_json::Value) {
    let event = Event::Apply(serde_json::from_value::<PartialObjectMeta<ConfigMap>>(object).unwrap());
    index.feed(Kind::ConfigMap, &event);
}

async fn read_all(api: &FakeApi, index: &Index) -> Vec<String> {
    api.take_calls();
    settle(&api.client(), index, &key("web")).await.unwrap();
    api.take_calls().iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_config_is_told_with_what_the_objects_hold_that_it_names() {
    let api = FakeApi::new();
    let fixture = crate::index::tests::Fixture::new();
    let index = &fixture.index;
    api.create("configmaps", map("web", "1"));
    index.learn_service(
        &serde_json::from_value(api.create("auroraservices", configured("ConfigMaps"))).unwrap(),
    );
    assert_eq!(config(index), Viewed::Unsettled);
    // Only what is named and followed is read, and nothing else of the service.
    assert_eq!(read_all(&api, index).await, ["get configmaps/extra 404", "get configmaps/web 200"]);
    let first = good(index);
    let read: AnyService = serde_json::from_value(api.get("auroraservices", "prod", "web").unwrap()).unwrap();
    let AnyService::Readable(read) = read else { panic!("it can't be read") };
    assert_ne!(first, read.spec.task_config("preemptible").revision().unwrap().to_string());

    fixture.dirty();
    let changed = api.merge("configmaps", "prod", "web", &json!({"data": {"a": "2"}}));
    tell(index, changed);
    assert_eq!((fixture.dirty(), config(index)), (vec!["prod/web".to_owned()], Viewed::Unsettled));
    assert_eq!(read_all(&api, index).await, ["get configmaps/web 200"]);
    let second = good(index);
    assert_ne!(second, first);

    // Metadata is no content; another's ConfigMap is nobody's business.
    tell(index, api.merge("configmaps", "prod", "web", &json!({"metadata": {"labels": {"a": "b"}}})));
    read_all(&api, index).await;
    assert_eq!(good(index), second);
    fixture.dirty();
    tell(index, api.create("configmaps", map("stranger", "1")));
    assert!(fixture.dirty().is_empty());

    // Whoever met another config than was planned has all of it read again.
    api.merge("configmaps", "prod", "web", &json!({"data": {"a": "3"}}));
    index.unsettle(&key("web"));
    let calls = read_all(&api, index).await;
    assert_eq!(calls.iter().filter(|call| call.starts_with("get ")).count(), 2, "{calls:?}");
    assert_ne!(good(index), second);
    tell(index, api.merge("configmaps", "prod", "web", &json!({"data": {"a": "2"}})));
    read_all(&api, index).await;
    assert_eq!(good(index), second);

    // An optional one that comes is part of it from then on.
    tell(index, api.create("configmaps", map("extra", "1")));
    read_all(&api, index).await;
    assert_ne!(good(index), second);
    api.remove("configmaps", "prod", "extra");
    index.feed(Kind::ConfigMap, &Event::<PartialObjectMeta<ConfigMap>>::Init);
    tell(index, api.get("configmaps", "prod", "web").unwrap());
    index.feed(Kind::ConfigMap, &Event::<PartialObjectMeta<ConfigMap>>::InitDone);
    read_all(&api, index).await;
    assert_eq!(good(index), second, "it went while nobody was told");
}

#[tokio::test(start_paused = true)]
async fn without_what_it_needs_a_service_waits_or_stays_as_it_is() {
    let api = FakeApi::new();
    let fixture = crate::index::tests::Fixture::new();
    let index = &fixture.index;
    index.learn_service(
        &serde_json::from_value(api.create("auroraservices", configured("ConfigMaps"))).unwrap(),
    );
    read_all(&api, index).await;
    let Viewed::Of((_, Some(Problem { reason, blocks, message }))) = config(index) else {
        panic!("{:?}", config(index))
    };
    assert_eq!((reason, blocks), ("ConfigMissing", true));
    assert!(message.contains("ConfigMap web") && message.contains("namespace prod"), "{message}");
    assert!(!message.contains("extra"), "{message}");

    tell(index, api.create("configmaps", map("web", "1")));
    read_all(&api, index).await;
    let revision = good(index);
    let status = json!({"status": {"observedGeneration": 1, "observedRevision": revision}});
    index
        .learn_service(&serde_json::from_value(api.merge("auroraservices", "prod", "web", &status)).unwrap());
    assert_eq!(good(index), revision);
    let gone = api.get("configmaps", "prod", "web").unwrap();
    api.remove("configmaps", "prod", "web");
    index.feed(
        Kind::ConfigMap,
        &Event::Delete(serde_json::from_value::<PartialObjectMeta<ConfigMap>>(gone).unwrap()),
    );
    read_all(&api, index).await;
    let Viewed::Of((stays, Some(Problem { reason, blocks, message }))) = config(index) else {
        panic!("{:?}", config(index))
    };
    assert_eq!((stays, reason, blocks), (revision.clone(), "ConfigMissing", false));
    assert!(message.contains(&revision), "{message}");

    // An update that goes on was begun for a config the status may not have heard of.
    let newer = "v1-00000000000000bb";
    let update = json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraUpdate",
        "metadata": {"name": "web-1", "namespace": "prod", "labels": {"borealis.dev/service": "web"}},
        "spec": {"service": "web", "number": 1,
            "instructions": {"to": {"revision": newer, "instances": "0-2"}, "instances": 3, "asked": 3}},
    });
    index.learn_update(&serde_json::from_value(api.create("auroraupdates", owned_by(update, 1))).unwrap());
    let Viewed::Of((stays, _)) = config(index) else { panic!("{:?}", config(index)) };
    assert_eq!(stays, newer);
    let ended = json!({"status": {"state": "ABORTED", "started": "2026-01-01T00:00:00Z"}});
    let update = api.merge("auroraupdates", "prod", "web-1", &ended);
    index.learn_update(&serde_json::from_value(update).unwrap());
    let Viewed::Of((stays, _)) = config(index) else { panic!("{:?}", config(index)) };
    assert_eq!(stays, revision);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_read_where_asked_for_and_said_where_they_can_t() {
    for track in ["None", "ConfigMaps"] {
        let (api, index) = (FakeApi::new(), Index::new(Metrics::default(), |_| {}));
        api.create("configmaps", map("web", "1"));
        index
            .learn_service(&serde_json::from_value(api.create("auroraservices", configured(track))).unwrap());
        let calls = read_all(&api, &index).await;
        assert!(calls.iter().all(|call| !call.contains("secrets")), "{track}: {calls:?}");
        assert_eq!(track == "None", calls.is_empty(), "{calls:?}");
        good(&index);
    }

    let (api, index) = (FakeApi::new(), Index::new(Metrics::default(), |_| {}));
    api.create("configmaps", map("web", "1"));
    api.create(
        "secrets",
        json!({"metadata": {"name": "key", "namespace": "prod"}, "type": "Opaque", "data": {"a": "MQ=="}}),
    );
    let asked = configured("ConfigMapsAndSecrets");
    index.learn_service(&serde_json::from_value(api.create("auroraservices", asked)).unwrap());
    let denied = Answer::new(403, "Forbidden", "secrets \"key\" is forbidden: User \"borealis\" cannot get");
    api.inject(Fault::once("get", "secrets", Effect::Refuse(denied)));
    read_all(&api, &index).await;
    let Viewed::Of((_, Some(Problem { reason, blocks: true, message }))) = config(&index) else {
        panic!("{:?}", config(&index))
    };
    assert_eq!(reason, "ConfigDenied");
    assert!(message.contains("Secret key") && message.contains("Role"), "{message}");

    // The Role is there in the end; nobody says so.
    tokio::time::advance(Duration::from_secs(60)).await;
    index.expire_secrets(Duration::from_secs(60));
    assert_eq!(read_all(&api, &index).await, ["get secrets/key 200"]);
    let first = good(&index);
    api.merge("secrets", "prod", "key", &json!({"data": {"a": "Mg=="}}));
    tokio::time::advance(Duration::from_secs(60)).await;
    index.expire_secrets(Duration::from_secs(60));
    read_all(&api, &index).await;
    assert_ne!(good(&index), first);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_can_t_be_read_leaves_the_service_unsettled() {
    let (api, index) = (FakeApi::new(), Index::new(Metrics::default(), |_| {}));
    index.learn_service(
        &serde_json::from_value(api.create("auroraservices", configured("ConfigMaps"))).unwrap(),
    );
    let failed = Answer::new(500, "InternalError", "etcd leader changed");
    api.inject(Fault::once("get", "configmaps", Effect::Refuse(failed)).times(ATTEMPTS));
    let error = settle(&api.client(), &index, &key("web")).await.unwrap_err();
    assert!(error.to_string().contains("ConfigMap extra"), "{error}");
    assert_eq!(config(&index), Viewed::Unsettled);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_can_not_be_read_for_long_is_gone_without_and_said() {
    let (api, index) = (FakeApi::new(), Index::new(Metrics::default(), |_| {}));
    let service = api.create("auroraservices", configured("ConfigMaps"));
    index.learn_service(&serde_json::from_value(service).unwrap());
    let failed = Answer::new(500, "InternalError", "unable to transform key");
    api.inject(Fault::once("get", "configmaps", Effect::Refuse(failed)).times(100));
    let mut attempts = 0;
    while settle(&api.client(), &index, &key("web")).await.is_err() {
        attempts += 1;
        assert!(attempts < 10);
        assert_eq!(config(&index), Viewed::Unsettled);
    }
    assert_eq!(attempts, 2, "the third is enough");
    let said = index.view(&key("web"), |view, _| view.problem.map(|problem| problem.message.clone()));
    let Viewed::Of(Some(message)) = said else { panic!("{said:?}") };
    assert!(message.contains("ConfigMap extra") && message.contains("fails in namespace prod"), "{message}");
}
