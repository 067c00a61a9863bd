use super::*;
use serde_json::{Value, json};

const JOB: Job<'_> = Job {
    kind: JobKind::Service,
    namespace: "prod",
    service: "web",
    uid: "u-1",
    key: "east/ads/default/web",
    role: "ads",
    scheduled: None,
};
const NEW: NewRun = NewRun {
    instance: 17,
    run: 4,
    revision: Revision::v1(0xabc),
    term: 12,
    flaps: 2,
    failures: 3,
    in_place: false,
};

/// The Pod of a config given as JSON, as JSON.
fn built(config: Value) -> Value {
    let config: TaskConfig = serde_json::from_value(config).unwrap();
    let tier = crate::testing::tier(&config.tier, 30_000);
    serde_json::to_value(build_pod(&config, &JOB, &NEW, &tier).unwrap()).unwrap()
}

fn minimal() -> Value {
    json!({"tier": "preferred", "template": {"spec": {"containers": [{"name": "main"}]}}})
}

#[test]
fn a_minimal_template_becomes_this_pod() {
    let identity = json!([
        {"name": "BOREALIS_INSTANCE", "value": "17"},
        {"name": "BOREALIS_JOB_KEY", "value": "east/ads/default/web"},
        {"name": "BOREALIS_RUN", "value": "4"},
        {"name": "BOREALIS_SERVICE", "value": "web"},
    ]);
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-17-4",
            "namespace": "prod",
            "labels": {
                "app.kubernetes.io/managed-by": "borealis",
                "borealis.dev/instance": "17",
                "borealis.dev/live": "true",
                "borealis.dev/priority": "0",
                "borealis.dev/revision": "v1-0000000000000abc",
                "borealis.dev/role": "ads",
                "borealis.dev/run": "4",
                "borealis.dev/service": "web",
                "borealis.dev/term": "12",
                "borealis.dev/tier": "preferred",
            },
            "annotations": {
                "borealis.dev/failures": "3",
                "borealis.dev/flaps": "2",
                "borealis.dev/job-key": "east/ads/default/web",
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
            },
            "ownerReferences": [{
                "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService", "name": "web", "uid": "u-1",
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "hostname": "web-17",
            "priorityClassName": "borealis-preferred-30000",
            "restartPolicy": "Never",
            "containers": [{"name": "main", "env": identity}],
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
            ],
        },
    });
    assert_eq!(built(minimal()), expected);
}

#[test]
fn the_tier_says_how_long_a_pod_may_take_to_stop_where_the_template_does_not() {
    let grace = |template: Option<i64>, tier: Option<u32>| {
        let mut config = minimal();
        config["priority"] = json!(7);
        config["template"]["spec"]["terminationGracePeriodSeconds"] = json!(template);
        let config: TaskConfig = serde_json::from_value(config).unwrap();
        let tier = Tier { grace_seconds: tier, ..crate::testing::tier("preferred", 30_000) };
        let pod = build_pod(&config, &JOB, &NEW, &tier).unwrap();
        assert_eq!(pod.metadata.labels.unwrap()[labels::PRIORITY], "7");
        pod.spec.unwrap().termination_grace_period_seconds
    };
    assert_eq!(grace(None, None), None);
    assert_eq!(grace(None, Some(5)), Some(5));
    assert_eq!(grace(Some(60), Some(5)), Some(60));
}

#[test]
fn what_the_template_says_stays() {
    let pod = built(json!({
        "tier": "preemptible",
        "template": {
            "metadata": {
                "labels": {"team": "web", "borealis.dev/live": "false"},
                "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "note": "x"},
            },
            "spec": {
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 7,
                "containers": [{"name": "a", "env": [
                    {"name": "URL", "value": "http://$(BOREALIS_INSTANCE)"},
                    {"name": "BOREALIS_RUN", "value": "mine"},
                ]}],
                "initContainers": [{"name": "b"}],
            },
        },
    }));
    assert_eq!(pod["spec"]["restartPolicy"], "Always");
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 7);
    assert_eq!(pod["metadata"]["labels"]["team"], "web");
    assert_eq!(pod["metadata"]["labels"]["borealis.dev/live"], "true", "ours wins");
    assert_eq!(pod["metadata"]["annotations"]["note"], "x");
    assert_eq!(pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"], "false");
    let names = |container: &Value| -> Vec<String> {
        container["env"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = names(&pod["spec"]["containers"][0]);
    assert_eq!(first, ["BOREALIS_INSTANCE", "BOREALIS_JOB_KEY", "BOREALIS_SERVICE", "URL", "BOREALIS_RUN"]);
    assert_eq!(names(&pod["spec"]["initContainers"][0]).len(), 4);
}

#[test]
fn discovery_sets_the_subdomain() {
    let mut config = minimal();
    assert_eq!(built(config.clone())["spec"].get("subdomain"), None);
    config["discovery"] = json!(true);
    assert_eq!(built(config)["spec"]["subdomain"], "web");
}

#[test]
fn tolerations_of_the_template_are_respected() {
    let (not_ready, unreachable) = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable");
    for (own, added) in [
        (json!([]), vec![not_ready, unreachable]),
        (
            json!([{"key": not_ready, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]),
            vec![unreachable],
        ),
        (json!([{"key": unreachable, "operator": "Exists"}]), vec![not_ready]),
        (
            json!([{"key": not_ready, "operator": "Exists", "effect": "NoSchedule"}]),
            vec![not_ready, unreachable],
        ),
        (json!([{"operator": "Exists"}]), vec![]),
        (json!([{"key": "gpu", "operator": "Exists"}]), vec![not_ready, unreachable]),
    ] {
        let mut config = minimal();
        config["template"]["spec"]["tolerations"] = own.clone();
        let pod = built(config);
        let all = pod["spec"]["tolerations"].as_array().unwrap();
        let (kept, new) = all.split_at(own.as_array().unwrap().len());
        assert_eq!(kept, own.as_array().unwrap());
        let new: Vec<_> = new.iter().map(|t| t["key"].as_str().unwrap()).collect();
        assert_eq!(new, added, "{own}");
        assert!(all[kept.len()..].iter().all(|t| t.get("tolerationSeconds").is_none()), "{own}");
    }
}

#[test]
fn health_becomes_probes() {
    let http = json!({"httpGet": {"path": "/health", "port": "health", "scheme": "HTTP"}});
    let get = json!({"httpGet": {"path": "/up", "port": 8080, "scheme": "HTTPS"}});
    let tcp = json!({"tcpSocket": {"port": 5432}});
    let exec = json!({"exec": {"command": ["/check", "-v"]}});
    // (health, what is asked, period, timeout, startup failures, fatal failures, successes to be ready)
    for (health, asked, period, timeout, startup, fatal, successes) in [
        (json!({"http": {}}), &http, 10, 1, 3, 1, 1),
        (
            json!({"http": {"path": "/up", "port": 8080, "scheme": "HTTPS"}, "maxConsecutiveFailures": 2}),
            &get,
            10,
            1,
            5,
            3,
            1,
        ),
        (
            json!({"tcp": {"port": 5432}, "initialIntervalSeconds": 0, "minConsecutiveSuccesses": 4}),
            &tcp,
            10,
            1,
            4,
            1,
            4,
        ),
        (
            json!({"exec": {"command": ["/check", "-v"]}, "intervalSeconds": 4, "timeoutSeconds": 3}),
            &exec,
            4,
            3,
            5,
            1,
            1,
        ),
    ] {
        let mut config = minimal();
        config["health"] = health.clone();
        let pod = built(config);
        let container = &pod["spec"]["containers"][0];
        for (probe, failures, successes) in
            [("startupProbe", startup, 1), ("livenessProbe", fatal, 1), ("readinessProbe", fatal, successes)]
        {
            let mut expected = asked.clone();
            expected["periodSeconds"] = json!(period);
            expected["timeoutSeconds"] = json!(timeout);
            expected["failureThreshold"] = json!(failures);
            expected["successThreshold"] = json!(successes);
            assert_eq!(container[probe], expected, "{probe} of {health}");
        }
    }
}

#[test]
fn only_the_named_container_is_probed_and_own_probes_stay() {
    let mut config = minimal();
    config["template"]["spec"]["containers"] = json!([{"name": "side"}, {"name": "main"}]);
    config["health"] = json!({"tcp": {"port": 1}, "container": "main"});
    let pod = built(config.clone());
    assert_eq!(pod["spec"]["containers"][0].get("livenessProbe"), None);
    assert!(pod["spec"]["containers"][1].get("livenessProbe").is_some());

    let own = json!({"tcpSocket": {"port": 2}});
    config["template"]["spec"]["containers"][1]["readinessProbe"] = own.clone();
    let pod = built(config);
    assert_eq!(pod["spec"]["containers"][1]["readinessProbe"], own);
    assert_eq!(pod["spec"]["containers"][1].get("livenessProbe"), None);
    assert_eq!(pod["spec"]["containers"][1].get("startupProbe"), None);
}

#[test]
fn a_health_check_that_cannot_be_made_is_an_error() {
    for (health, field) in [
        (json!({}), "spec.health must hold exactly one"),
        (json!({"http": {}, "tcp": {}}), "spec.health must hold exactly one"),
        (json!({"http": {}, "container": "nope"}), "spec.health.container: \"nope\" is no container"),
    ] {
        let mut config = minimal();
        config["health"] = health;
        let config: TaskConfig = serde_json::from_value(config).unwrap();
        let error = build_pod(&config, &JOB, &NEW, &crate::testing::tier("preferred", 30_000))
            .unwrap_err()
            .to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn what_is_part_of_the_config_is_used_by_the_name_of_its_copy() {
    let pod = |tracked: Value| {
        let env = |name: &str| {
            json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": name, "key": "a"}}},
                   {"name": "B", "valueFrom": {"secretKeyRef": {"name": name, "key": "b"}}}])
        };
        let config = json!({
            "tier": "preferred", "tracked": tracked,
            "template": {"spec": {
                "containers": [{"name": "main", "env": env("site")}],
                "initContainers": [{"name": "init", "env": env("site")}],
                "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "other"}}]}}],
            }},
        });
        let built = built(config);
        let name = |path: &str| built.pointer(path).and_then(Value::as_str).unwrap().to_owned();
        [
            name("/spec/containers/0/env/4/valueFrom/configMapKeyRef/name"),
            name("/spec/initContainers/0/env/4/valueFrom/configMapKeyRef/name"),
            name("/spec/containers/0/env/5/valueFrom/secretKeyRef/name"),
            name("/spec/volumes/0/projected/sources/0/configMap/name"),
        ]
    };
    assert_eq!(pod(json!({})), ["site", "site", "site", "other"]);
    let copy = "site-web-0000000000000abc";
    assert_eq!(pod(json!({"ConfigMap/site": "1"})), [copy, copy, "site", "other"]);
    let other = "other-web-0000000000000abc";
    assert_eq!(pod(json!({"Secret/site": "1", "ConfigMap/other": "2"})), ["site", "site", copy, other]);
}

#[test]
fn the_pod_of_a_run_names_its_job_and_its_time() {
    let job = Job { kind: JobKind::Job, scheduled: Timestamp::from_second(100).ok(), ..JOB };
    let pod = |job: &Job<'_>, config: Value| {
        let config: TaskConfig = serde_json::from_value(config).unwrap();
        let tier = crate::testing::tier(&config.tier, 30_000);
        serde_json::to_value(build_pod(&config, job, &NEW, &tier).unwrap()).unwrap()
    };
    let mut config = minimal();
    config["constraints"] = json!([{"attribute": "host", "limit": 1}]);
    let built = pod(&job, config.clone());
    let labels = &built["metadata"]["labels"];
    assert_eq!((&labels["borealis.dev/job"], labels.get("borealis.dev/service")), (&json!("web"), None));
    assert_eq!(built["metadata"]["ownerReferences"][0]["kind"], "AuroraJob");
    let selector = &built["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
    assert_eq!(selector, &json!({"borealis.dev/job": "web", "borealis.dev/live": "true"}));
    let names = |pod: &Value| -> Vec<String> {
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        env.iter().map(|variable| variable["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["BOREALIS_INSTANCE", "BOREALIS_JOB_KEY", "BOREALIS_RUN", "BOREALIS_JOB"];
    assert_eq!(names(&built), [&all[..], &["BOREALIS_SCHEDULED_TIME"]].concat());
    assert_eq!(built["spec"]["containers"][0]["env"][4]["value"], "1970-01-01T00:01:40Z");
    assert_eq!(names(&pod(&Job { scheduled: None, ..job }, config)), all);
}

/// A liveness kill that exits with 0 would look like success.
#[test]
fn a_job_is_only_asked_whether_it_is_ready() {
    let mut config = minimal();
    config["health"] = json!({"http": {"port": 8080}, "maxConsecutiveFailures": 2});
    let config: TaskConfig = serde_json::from_value(config).unwrap();
    let probes = |kind| {
        let tier = crate::testing::tier("preferred", 30_000);
        let pod = build_pod(&config, &Job { kind, ..JOB }, &NEW, &tier).unwrap();
        let container = pod.spec.unwrap().containers.remove(0);
        (container.startup_probe.is_some(), container.liveness_probe.is_some(), container.readiness_probe)
    };
    let (startup, liveness, readiness) = probes(JobKind::Job);
    assert_eq!((startup, liveness), (false, false));
    let service = probes(JobKind::Service);
    assert_eq!(service, (true, true, readiness.clone()));
    assert_eq!(readiness.unwrap().failure_threshold, Some(3));
}
