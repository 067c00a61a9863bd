use borealis_core::{
    model::{self, Amount, EndReason},
    plan::NewUpdate,
};
use serde_json::{Value, json};

use super::{checks::tests::every_kind_of_check, *};
use crate::api::conditions::READY;
use crate::api::{AuroraService, AuroraUpdate};
use borealis_core::model::reasons::ROLLED_BACK;

const UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

fn minimal() -> Value {
    json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService",
        "metadata": {"name": "web", "namespace": "prod", "uid": UID, "generation": 3},
        "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}},
    })
}

fn read(object: Value) -> Result<model::Service, Invalid> {
    service(&serde_json::from_value::<AuroraService>(object).unwrap(), "preemptible")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn what_a_service_is_to_its_role_is_read() {
    let mut object = minimal();
    object["metadata"]["creationTimestamp"] = json!("1970-01-01T00:01:17Z");
    object["spec"]["tier"] = json!("preferred");
    object["spec"]["priority"] = json!(7);
    object["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "250m"}});
    object["spec"]["dedicated"] = json!("ads/fast");
    let each = model::Resources { cpu_milli: 250, ..model::Resources::NONE };
    let dedicated = Some("ads/fast".parse().unwrap());
    let expected = model::Work { created: at(77), tier: "preferred".into(), priority: 7, each, dedicated };
    assert_eq!(read(object).unwrap().work, expected);
}

#[test]
fn a_minimal_service_has_auroras_defaults() {
    let object: AuroraService = serde_json::from_value(minimal()).unwrap();
    assert_eq!(
        service(&object, "preemptible").unwrap(),
        model::Service {
            uid: UID.parse().unwrap(),
            generation: 3,
            deleting: false,
            instances: 1,
            revision: object.spec.task_config("preemptible").revision().unwrap(),
            update: model::UpdateSettings {
                strategy: model::Strategy::Queue { group_size: Amount::Count(1) },
                scope: None,
                restart_at: None,
                watch_seconds: 45,
                max_per_instance_failures: 0,
                max_failed_instances: Amount::Count(0),
                rollback_on_failure: true,
                max_wait_seconds: 600,
                pulse_interval_seconds: 0,
                checks: Vec::new(),
                in_place: false,
                max_surge: Amount::Count(0),
            },
            hold_updates: false,
            queue_updates: false,
            flapping: model::Flapping {
                threshold_seconds: 300,
                initial_delay_seconds: 60,
                max_delay_seconds: 300
            },
            partition: model::Partition { reschedule: true, delay_seconds: 0 },
            history: model::History { failed: 3, ended: 1, ttl_seconds: 172_800 },
            work: model::Work::default(),
            batch: None,
        }
    );
    assert_eq!((object.spec.tier.as_deref(), object.spec.priority), (None, 0));
}

#[test]
fn volume_claims_keep_lost_instances_where_they_are_and_are_not_kept_with_a_pod() {
    let (named, own) = (
        json!([{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]),
        json!([{"name": "a", "ephemeral": {}}]),
    );
    for (volumes, said, reschedule, kept) in [
        (json!([{"name": "a", "emptyDir": {}}]), None, true, (3, 1)),
        (named.clone(), None, false, (0, 0)),
        (named, Some(true), true, (0, 0)),
        (own, None, false, (0, 0)),
        (json!([]), Some(false), false, (3, 1)),
    ] {
        let mut object = minimal();
        object["spec"]["template"]["spec"]["volumes"] = volumes.clone();
        object["spec"]["partition"] = json!({"reschedule": said, "delaySeconds": 5});
        let model::Service { partition, history, .. } = read(object).unwrap();
        assert_eq!(partition, model::Partition { reschedule, delay_seconds: 5 }, "{volumes} {said:?}");
        assert_eq!((history.failed, history.ended), kept, "{volumes}");
    }
}

#[test]
fn what_cannot_be_acted_upon_is_named() {
    for (path, value, message) in [
        (
            "/spec/instances",
            json!(10_001),
            "spec.instances: 10001 is out of range; use a whole number from 0 to 10000",
        ),
        ("/spec/instances", json!(-1), "spec.instances: -1 is out of range"),
        (
            "/spec/update",
            json!({"strategy": {}}),
            "spec.update.strategy must hold exactly one of queue, batch, variableBatch, but holds 0",
        ),
        ("/spec/update", json!({"strategy": {"queue": {}, "batch": {}}}), "but holds 2"),
        ("/spec/update", json!({"strategy": {"inPlace": "Never", "queue": {}, "batch": {}}}), "but holds 2"),
        (
            "/spec/update",
            json!({"strategy": {"batch": {"groupSize": 0}}}),
            "spec.update.strategy.batch.groupSize: 0",
        ),
        (
            "/spec/update",
            json!({"strategy": {"queue": {"groupSize": "0%"}}}),
            "queue.groupSize: \"0%\" is no number",
        ),
        ("/spec/update", json!({"strategy": {"variableBatch": {}}}), "variableBatch.groupSizes: is empty"),
        (
            "/spec/update",
            json!({"maxFailedInstances": "7"}),
            "spec.update.maxFailedInstances: \"7\" is no number",
        ),
        ("/spec/update", json!({"pulseIntervalSeconds": 0}), "spec.update.pulseIntervalSeconds: 0"),
        ("/spec/update", json!({"instances": ""}), "spec.update.instances: \"\" names no instance"),
        ("/spec/update", json!({"instances": "4-0"}), "spec.update.instances: \"4-0\" is not"),
        ("/spec/flapping", json!({"thresholdSeconds": -1}), "spec.flapping.thresholdSeconds: -1"),
        ("/spec/history", json!({"failed": 101}), "spec.history.failed: 101"),
        ("/spec/partition", json!({"delaySeconds": -1}), "spec.partition.delaySeconds: -1"),
        ("/metadata/uid", json!("?"), "metadata.uid: \"?\" is not"),
    ] {
        let mut object = minimal();
        object["spec"]["instances"] = json!(1);
        for part in ["update", "flapping", "history", "partition"] {
            object["spec"][part] = json!({});
        }
        *object.pointer_mut(path).unwrap() = value;
        let error = read(object).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

fn failures() -> model::Failures {
    model::Failures {
        count: 2,
        last_pod: Some(UID.parse().unwrap()),
        last_run: 4,
        reason: EndReason::OutOfMemory,
        exit_code: Some(137),
        message: "main used more memory than its limit".to_owned(),
        at: at(50),
    }
}

/// Metadata of a service whose spec was last changed by flux, and whose status by another.
fn changed_service() -> ObjectMeta {
    let entry = |manager: &str, at: &str, part: &str, subresource: Option<&str>| {
        json!({"manager": manager, "operation": "Apply", "time": at, "fieldsType": "FieldsV1",
            "fieldsV1": {part: {}}, "subresource": subresource})
    };
    serde_json::from_value(json!({
        "name": "web", "namespace": "prod",
        "annotations": {"borealis.dev/message": "fix the leak"},
        "managedFields": [
            entry("kubectl", "2026-01-01T10:00:00Z", "f:spec", None),
            entry("flux", "2026-01-02T10:00:00Z", "f:spec", None),
            entry("labeller", "2026-01-03T10:00:00Z", "f:metadata", None),
            entry("autoscaler", "2026-01-04T10:00:00Z", "f:spec", Some("scale")),
        ],
    }))
    .unwrap()
}

#[test]
fn to_change_pods_in_place_is_asked_for_beside_a_strategy_or_alone() {
    let batch = model::Strategy::Batch { group_size: Amount::Count(3), autopause: false };
    let default = model::UpdateSettings::default().strategy;
    for (strategy, expected) in [
        (json!({"inPlace": "IfPossible"}), (default.clone(), true)),
        (json!({"inPlace": "Never"}), (default.clone(), false)),
        (json!({"queue": {}}), (default, false)),
        (json!({"inPlace": "IfPossible", "batch": {"groupSize": 3}}), (batch, true)),
    ] {
        let mut object = minimal();
        object["spec"]["update"] = json!({ "strategy": strategy });
        let object: AuroraService = serde_json::from_value(object).unwrap();
        let update = service(&object, "preemptible").unwrap().update;
        assert_eq!((update.strategy, update.in_place), expected, "{strategy}");
    }
}

#[test]
fn an_update_is_read_back_as_it_was_written() {
    let part = |n: u64, text: &str| (model::Revision::v1(n), text.parse::<model::Ranges>().unwrap());
    let instructions = model::Instructions {
        from: vec![part(1, "0-17,20"), part(2, "18")],
        to: Some(part(3, "0-24")),
        base: vec![part(1, "0-20")],
        instances: 25,
        asked: 30,
        previous_instances: 21,
        last_good: Some(model::Revision::v1(1)),
        takes_back: Some(11),
        in_place: vec![model::Revision::v1(1)],
    };
    for strategy in [
        model::Strategy::Queue { group_size: Amount::Count(7) },
        model::Strategy::Batch { group_size: Amount::Percent(9), autopause: true },
        model::Strategy::VariableBatch {
            group_sizes: vec![Amount::Count(1), Amount::Percent(100)],
            autopause: false,
        },
    ] {
        let settings = model::UpdateSettings {
            strategy,
            scope: Some("0-4,17".parse().unwrap()),
            restart_at: Some(at(33)),
            watch_seconds: 1,
            max_per_instance_failures: 2,
            max_failed_instances: Amount::Percent(3),
            rollback_on_failure: false,
            max_wait_seconds: 4,
            pulse_interval_seconds: 5,
            checks: every_kind_of_check(),
            in_place: true,
            max_surge: Amount::Percent(7),
        };
        let owner = crate::apply::pods::Job {
            kind: model::JobKind::Service,
            namespace: "prod",
            service: "web",
            uid: "u-1",
            key: "",
            role: "",
            scheduled: None,
        }
        .owner();
        let instructions_of = |request| NewUpdate {
            number: 12,
            instructions: instructions.clone(),
            settings: settings.clone(),
            request,
        };
        let new = instructions_of(None);
        let mut object = new_update(&changed_service(), owner, &new, vec!["tier: \"a\" -> \"b\"".to_owned()]);
        assert_eq!(object.spec.message.as_deref(), Some("fix the leak"));
        assert_eq!(object.spec.author.as_deref(), Some("flux"));
        let wish = model::Request { reason: "it leaks".to_owned(), author: String::new() };
        let wished = new_update(
            &changed_service(),
            object.metadata.owner_references.clone().unwrap().remove(0),
            &instructions_of(Some(wish)),
            Vec::new(),
        );
        let told = (wished.spec.message.as_deref(), wished.spec.author.as_deref());
        assert_eq!(told, (Some("it leaks"), Some("flux")), "who asked for it, as far as that is said");
        assert_eq!(object.metadata.name.as_deref(), Some("web-12"));
        object.metadata.uid = Some(UID.to_owned());
        let stored: AuroraUpdate = serde_json::from_str(&serde_json::to_string(&object).unwrap()).unwrap();
        let expected = model::Update {
            uid: UID.parse().unwrap(),
            number: 12,
            instructions: instructions.clone(),
            settings,
            controls: model::Controls::default(),
            progress: None,
            owned: true,
        };
        assert_eq!(update(&stored, true).unwrap(), expected);
        assert!(!update(&stored, false).unwrap().owned);
    }
}

#[test]
fn controls_are_read() {
    let mut object: AuroraUpdate = serde_json::from_value(json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraUpdate", "metadata": {"name": "web-1", "uid": UID},
        "spec": {"service": "web", "number": 1, "instructions": {}, "controls": {
            "paused": true, "abort": {"reason": "a", "author": "b"}, "rollback": {}, "retry": {"author": "c"},
            "resumeAfterBatch": 3, "pulse": {"at": "1970-01-01T00:01:40.5Z"},
        }},
    }))
    .unwrap();
    let wish = |reason: &str, author: &str| {
        Some(model::Request { reason: reason.to_owned(), author: author.to_owned() })
    };
    let controls = update(&object, false).unwrap().controls;
    let expected = model::Controls {
        paused: true,
        abort: wish("a", "b"),
        rollback: wish("", ""),
        retry: wish("", "c"),
        resume_after_batch: 3,
        pulse: Some(at(100)),
    };
    assert_eq!(controls, expected);
    object.spec.controls = super::super::update::Controls::default();
    assert_eq!(update(&object, false).unwrap().controls, model::Controls::default());
}

#[test]
fn progress_is_read_back_as_it_was_written() {
    let ranges = |text: &str| text.parse::<model::Ranges>().unwrap();
    for state in model::UpdateState::ALL {
        let progress = model::Progress {
            floor: 7,
            state,
            started: at(10),
            finished: Some(at(90)),
            advanced: at(40),
            touched: ranges("0-9"),
            working: ranges("8-9"),
            updated: ranges("0-5"),
            failed: ranges("6"),
            rolled_back: ranges("1"),
            failed_back: ranges("7"),
            failures: [(6, failures()), (7, model::Failures { last_pod: None, ..failures() })].into(),
            cause: Some((6, failures())),
            message: "6 failed".to_owned(),
            total: 25,
            pulse: Some(model::Pulse { at: at(60), from: at(55) }),
            refused: "controls.abort is not acted on".to_owned(),
            checks: vec![model::CheckRecord {
                check: "errors".to_owned(),
                holds: false,
                value: "0.35".to_owned(),
                message: "0.35, must be less than 0.01".to_owned(),
                at: at(70),
            }],
        };
        let object = update_status_object(&progress, 4, false);
        assert_eq!(object.progress, if state.is_back() { "1/10" } else { "6/25" });
        let text = serde_json::to_string(&object).unwrap();
        assert!(text.contains(&format!("\"state\":\"{}\"", state.name())), "{text}");
        assert_eq!(
            object.failures.iter().map(|f| f.failed).collect::<Vec<_>>(),
            if state.is_back() { [false, true] } else { [true, false] }
        );
        assert_eq!(super::progress(&serde_json::from_str(&text).unwrap()), Some(progress));
    }
    assert_eq!(super::progress(&Default::default()), None, "a wiped status is no progress");
}

/// What has ended says so to whoever goes by kstatus: that it did what it was made for, or that it never will.
#[test]
fn an_update_that_has_ended_is_ready_or_stalled() {
    for state in model::UpdateState::ALL {
        for takes_back in [false, true] {
            let progress = model::Progress {
                message: "8 failed".to_owned(),
                refused: "controls.abort is not acted on".to_owned(),
                finished: state.is_terminal().then(|| at(90)),
                ..model::Progress::new(state, at(10), 0)
            };
            let object = update_status_object(&progress, 4, takes_back);
            let expected = match (state.name(), takes_back) {
                ("ROLLED_FORWARD", _) | ("ROLLED_BACK", true) => "Ready",
                ("ROLLED_BACK" | "ABORTED" | "FAILED" | "ERROR", _) => "Stalled",
                _ => "Reconciling",
            };
            let holding: Vec<_> = object.conditions.iter().filter(|c| c.status == "True").collect();
            let kinds: Vec<_> = holding.iter().map(|c| c.type_.as_str()).collect();
            assert_eq!(kinds, [expected, "Refused"], "{state:?}, {takes_back}");
            let since = if state.is_terminal() { 90 } else { 10 };
            let k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
                reason,
                message,
                last_transition_time,
                ..
            } = holding[0];
            assert_eq!((reason, &**message), (&format!("{state:?}"), "8 failed"));
            assert_eq!(last_transition_time.0, at(since));
        }
    }
}

fn share(revision: u64, instances: u32, cpu_milli: i64) -> model::Share {
    let each = model::Resources { cpu_milli, memory: 1 << 20, ..model::Resources::NONE };
    model::Share { revision: model::Revision::v1(revision), instances, each }
}

#[test]
fn a_service_status_is_read_back_as_it_was_written() {
    let status = model::ServiceStatus {
        observed_generation: 5,
        observed_revision: Some(model::Revision::v1(2)),
        observed_scope: Some("0-4".parse().unwrap()),
        observed_restart: Some(at(44)),
        observed_count: Some(6),
        last_good: Some(model::Revision::v1(1)),
        highest_run: 9,
        counts: model::Counts {
            desired: 1,
            live: 2,
            throttled: 3,
            pending: 4,
            starting: 5,
            running: 6,
            updated: 7,
            ending: 8,
            kept: 9,
        },
        revisions: vec![(model::Revision::v1(1), "0-17,20".parse().unwrap())],
        lost: "3".parse().unwrap(),
        update: Some(model::UpdateRef { number: 4, state: model::UpdateState::RolledBack }),
        failure: Some(model::Failure {
            revision: model::Revision::v1(2),
            update: 4,
            instance: 6,
            reason: EndReason::Exited,
            exit_code: Some(1),
            message: "main exited with 1".to_owned(),
            at: at(77),
        }),
        batch: None,
        admitted: Some(model::Grant {
            number: 3,
            share: share(2, 8, 250),
            previous: Some(share(1, 6, 100)),
            time: at(79),
        }),
        conditions: vec![model::Condition {
            kind: model::ConditionType::Ready,
            holds: false,
            reason: ROLLED_BACK,
            message: "v1-2 failed, v1-1 runs".to_owned(),
            since: at(80),
        }],
    };
    let job = Identity { name: "web", job_key: "east/ads/default/web", role: "ads" };
    let object = service_status_object(&status, model::Revision::v1(2), &job);
    assert_eq!(object.replicas, 2);
    assert_eq!(object.selector.as_deref(), Some("borealis.dev/service=web,borealis.dev/live=true"));
    assert_eq!(object.update.as_ref().map(|u| u.name.as_str()), Some("web-4"));
    assert_eq!(object.update_revision, None, "the update has ended");
    assert_eq!(object.conditions[0].type_, READY);
    let stored = serde_json::from_str(&serde_json::to_string(&object).unwrap()).unwrap();
    assert_eq!(service_status(&stored), Some(status));
    assert_eq!(service_status(&Default::default()), None, "a wiped status");
}

#[test]
fn times_are_written_in_whole_seconds() {
    let fine = Timestamp::from_millisecond(12_345).unwrap();
    assert_eq!(time(fine).0, at(12));
}
