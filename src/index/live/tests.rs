use crate::{
    apply::Learn,
    index::{
        Viewed,
        tests::{key, owned_by, pod, service},
    },
    metrics::Metrics,
    testing::{Answer, Effect, FakeApi, Fault},
};

use serde_json::json;

use super::*;

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
    api.inject(Fault::once("list", "auroraupdates", Effect::Refuse(failed)));
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
