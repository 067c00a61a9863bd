//! The calls of a probe, and when it ends, against an API server.

use std::collections::BTreeSet;

use clap::Parser;
use serde::Deserialize;
use serde_json::{Value, json};
use serde_yaml_ng::Deserializer;

use super::*;
use crate::testing::{Answer, Effect, FakeApi, Fault};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(flags: &str) -> Arguments {
    Line::parse_from(std::iter::once("probe").chain(flags.split_whitespace())).arguments
}

fn objects(text: &str) -> impl Iterator<Item = Value> {
    Deserializer::from_str(text).map(|one| Value::deserialize(one).unwrap())
}

/// A cluster on which all is installed, and nobody is at work.
fn installed() -> FakeApi {
    let api = FakeApi::new();
    for text in [
        include_str!("../../deploy/15-tiers.yaml"),
        include_str!("../../deploy/30-term-fence.yaml"),
        include_str!("../../deploy/35-tenancy.yaml"),
        include_str!("../../deploy/36-quota.yaml"),
    ] {
        for object in objects(text) {
            let plural = match object["kind"].as_str().unwrap() {
                "Tier" => "tiers",
                "ValidatingAdmissionPolicy" => "validatingadmissionpolicies",
                "ValidatingAdmissionPolicyBinding" => "validatingadmissionpolicybindings",
                kind => panic!("{kind}"),
            };
            api.create(plural, object);
        }
    }
    let lease = json!({"metadata": {"name": "borealis", "namespace": "borealis-system"},
        "spec": {"holderIdentity": "a", "leaseTransitions": 1, "renewTime": "2026-01-01T00:00:00.000000Z"}});
    api.create("leases", lease);
    api
}

/// Looks at the tiers, and renews the Lease each two seconds.
async fn operate(api: FakeApi) {
    for tier in api.all("tiers") {
        let ready = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"observedGeneration": tier["metadata"]["generation"], "usedBy": {}, "conditions": [ready]});
        api.merge("tiers", "", tier["metadata"]["name"].as_str().unwrap(), &json!({"status": status}));
    }
    for second in (2..60).step_by(2) {
        sleep(Duration::from_secs(2)).await;
        let renewed = json!({"spec": {"renewTime": format!("2026-01-01T00:00:{second:02}.000000Z")}});
        api.merge("leases", "borealis-system", "borealis", &renewed);
    }
}

async fn probed(api: &FakeApi, flags: &str) -> (bool, String, Duration) {
    let begin = Instant::now();
    let report = probe(api.client(), &arguments(flags)).await;
    (report.is_good(), report.to_string(), begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_operator_at_work_is_found_once_it_has_renewed_the_lease() {
    let api = installed();
    tokio::spawn(operate(api.clone()));
    let (good, text, took) = probed(&api, "--tiers preferred,preemptible,revocable").await;
    assert!(good, "{text}");
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(text.matches("ok       ").count(), 5, "{text}");
    for line in
        ["ok       tiers: preferred, preemptible, revocable are Ready\n", "Borealis is at work: all 5 checks"]
    {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_is_waited_for_and_what_does_not_come_is_told() {
    let api = installed();
    let later = api.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(20)).await;
        operate(later).await;
    });
    let (good, text, took) = probed(&api, "").await;
    assert!(good && took > Duration::from_secs(20), "{took:?} {text}");

    let dead = installed();
    dead.remove("validatingadmissionpolicies", "", "borealis-term");
    let (good, text, took) = probed(&dead, "--timeout-seconds 30").await;
    assert!(!good, "{text}");
    assert!(took > Duration::from_secs(28) && took <= Duration::from_secs(30), "{took:?}");
    for line in [
        "ok       version: Kubernetes 1.36",
        "ok       kinds: ",
        "MISSING  lease: a holds the Lease borealis-system/borealis, but was not seen to renew it",
        "MISSING  tiers: preemptible was not looked at yet",
        "MISSING  policies: borealis-term is not there; ",
        "Borealis is not at work: 3 of 5 checks fail",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_and_silence_are_told_and_hold_it_up_no_longer_than_allowed() {
    let api = installed();
    tokio::spawn(operate(api.clone()));
    let no = |why: &str| Effect::Refuse(Answer::new(403, "Forbidden", why));
    let none = Effect::Refuse(Answer::new(404, "Failed to parse error data", "404 page not found"));
    api.inject(Fault::once("list", "tiers", no("nobody may list tiers")).times(99));
    api.inject(Fault::once("list", "", none).times(99));
    api.inject(Fault::once("get", "leases", Effect::Hang).times(99));
    let (good, text, took) = probed(&api, "--timeout-seconds 15").await;
    assert!(!good && took <= Duration::from_secs(15), "{took:?} {text}");
    for line in [
        "MISSING  kinds: all of borealis.dev/v1alpha1; install or upgrade the chart borealis-crds",
        "MISSING  lease: no answer from the API server in time; look whether a NetworkPolicy",
        "MISSING  tiers: nobody may list tiers; run it as an account that may",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    api.heal();
    let (good, text, _) = probed(&api, "--timeout-seconds 15").await;
    assert!(good, "{text}");
}

/// What the chart's test may do is what a probe does, and it does nothing but read.
#[tokio::test(start_paused = true)]
async fn the_account_of_the_charts_test_may_do_what_a_probe_does_and_no_more() {
    let api = installed();
    tokio::spawn(operate(api.clone()));
    drop(probed(&api, "").await);
    let open_to_all = ["version", ""];
    let asked: BTreeSet<(String, String)> = api
        .take_calls()
        .iter()
        .filter(|call| !open_to_all.contains(&call.place.resource.as_str()))
        .map(|call| (call.verb.to_owned(), call.place.resource.clone()))
        .collect();

    let mut may = BTreeSet::new();
    let all = include_str!("../../charts/test/testdata/default.golden.yaml");
    for role in objects(all).filter(|it| {
        it["metadata"]["name"] == "borealis-test"
            && matches!(it["kind"].as_str(), Some("Role" | "ClusterRole"))
    }) {
        for rule in role["rules"].as_array().unwrap() {
            let texts = |field: &str| -> Vec<String> {
                rule[field].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
            };
            for verb in texts("verbs") {
                may.extend(texts("resources").into_iter().map(|resource| (verb.clone(), resource)));
            }
        }
    }
    assert_eq!(may, asked);
    assert!(may.len() >= 4 && may.iter().all(|(verb, _)| verb == "get" || verb == "list"), "{may:?}");
}
