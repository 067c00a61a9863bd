use borealis_core::model;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::{Value, json};

use super::{
    cel::selects,
    classes::{Verdict, class, compare, foreign},
    frameworks::{Unrenderable, render},
    namespaces,
    statuses::{self, Obstacle},
};
use crate::{
    index::{Index, Kind, Tenancy},
    metrics::Metrics,
};

fn meta(name: &str, id: u32) -> Value {
    json!({"name": name, "uid": format!("00000000-0000-4000-8000-{id:012x}"), "resourceVersion": id.to_string(),
        "generation": 1, "creationTimestamp": format!("2026-01-01T00:00:{id:02}Z")})
}

/// What tenancy there is, told as its watches would.
struct World(Index);

impl World {
    /// Namespaces `prod` and `test` of team `web`, `other` of nobody, and three tiers.
    fn new() -> Self {
        let world = Self(Index::new(Metrics::default(), |_| {}));
        for (nth, (name, preemptible, band)) in
            [("preferred", false, 30_000), ("preemptible", true, 20_000), ("native", true, 5)]
                .into_iter()
                .enumerate()
        {
            let by = if name == "native" { "Scheduler" } else { "Borealis" };
            world.tier(
                u32::try_from(nth).unwrap() + 1,
                name,
                &json!({"preemptible": preemptible, "band": band, "preemption": by}),
            );
        }
        for (nth, (name, team)) in
            [("prod", "web"), ("test", "web"), ("other", "none")].into_iter().enumerate()
        {
            world.namespace(u32::try_from(nth).unwrap() + 11, name, &json!({"team": team}), &json!({}));
        }
        world
    }

    fn tier(&self, id: u32, name: &str, spec: &Value) {
        self.0.told(Kind::Tier, json!({"metadata": meta(name, id), "spec": spec}));
    }

    fn role(&self, id: u32, name: &str, spec: &Value) {
        let mut whole = json!({"namespaces": {"matchLabels": {"team": "web"}}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.0.told(Kind::Role, json!({"metadata": meta(name, id), "spec": whole}));
    }

    fn framework(&self, id: u32, name: &str, spec: &Value) {
        self.0.told(Kind::Framework, json!({"metadata": meta(name, id), "spec": spec}));
    }

    fn namespace(&self, id: u32, name: &str, labels: &Value, annotations: &Value) {
        let mut meta = meta(name, id);
        meta["labels"] = labels.clone();
        meta["annotations"] = annotations.clone();
        self.0.told(Kind::Namespace, json!({"metadata": meta}));
    }

    fn look<R>(&self, look: impl FnOnce(&Tenancy) -> R) -> R {
        self.0.tenancy(look)
    }
}

fn said(
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    kind: &str,
) -> (String, String, String) {
    let found = conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

fn now() -> jiff::Timestamp {
    "2026-07-01T10:00:00.5Z".parse().unwrap()
}

#[test]
fn a_tier_is_one_class_which_is_made_mended_and_never_overwritten() {
    let world = World::new();
    world.look(|it| {
        let wanted = |name: &str| {
            let row = it.tiers().find(|row| *row.object.name == *name).unwrap();
            class(&row.object, row.tier.as_ref().unwrap())
        };
        let preferred = wanted("preferred");
        assert_eq!(
            serde_json::to_value(&preferred).unwrap(),
            json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                "metadata": {
                    "name": "borealis-preferred-30000",
                    "labels": {"app.kubernetes.io/managed-by": "borealis", "borealis.dev/tier": "preferred"},
                    "ownerReferences": [{"apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "name": "preferred",
                        "uid": "00000000-0000-4000-8000-000000000001", "controller": true}],
                },
                "value": 30_000, "preemptionPolicy": "Never", "description": "Pods of tier preferred of Borealis.",
            })
        );
        assert_eq!(wanted("native").preemption_policy.as_deref(), Some("PreemptLowerPriority"));
        assert_eq!(compare(&preferred, None), Verdict::Create);
        assert_eq!(compare(&preferred, Some(&preferred)), Verdict::Keep);
        let changed = |change: &dyn Fn(&mut PriorityClass)| {
            let mut found = preferred.clone();
            change(&mut found);
            compare(&preferred, Some(&found))
        };
        assert!(matches!(changed(&|it| it.metadata.labels = None), Verdict::Mend(_)));
        assert!(matches!(changed(&|it| it.metadata.owner_references = None), Verdict::Mend(_)));
        assert!(matches!(changed(&|it| it.value = Some(7)), Verdict::Conflict(why) if why.contains("value 7")));
        assert!(matches!(changed(&|it| it.preemption_policy = None), Verdict::Conflict(_)));
    });
}

#[test]
fn foreign_classes_that_preempt_by_themselves_are_told_on_the_tiers_below_them() {
    let of = |name: &str, value: i32, policy: Option<&str>| PriorityClass {
        metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            name: Some(name.to_owned()),
            ..Default::default()
        },
        value: Some(value),
        preemption_policy: policy.map(ToOwned::to_owned),
        ..PriorityClass::default()
    };
    let all = [
        of("mine", 25_000, None),
        of("quiet", 25_000, Some("Never")),
        of("low", 1, None),
        of("system-node-critical", 2_000_001_000, None),
        of("borealis-native-5", 5, Some("PreemptLowerPriority")),
    ];
    let foreign = foreign(&all);
    let names: Vec<&str> = foreign.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["mine", "low"]);
    World::new().look(|it| {
        let told = |name: &str| {
            let row = it.tiers().find(|row| *row.object.name == *name).unwrap();
            let status = statuses::tier(row, Ok(()), &statuses::Users::default(), &foreign, now());
            said(&status.conditions, statuses::OUTRANKED)
        };
        let (status, reason, message) = told("preemptible");
        assert_eq!((&*status, &*reason), ("True", "ForeignClass"));
        assert!(message.contains("mine (25000)") && !message.contains("low (1)"), "{message}");
        assert_eq!(told("preferred").0, "False");
    });
}

#[test]
fn claimed_namespaces_say_whose_they_are_and_others_nothing() {
    let world = World::new();
    let patches = |world: &World| {
        world.look(|it| {
            namespaces::mend(it)
                .into_iter()
                .map(|one| (one.name, one.patch["metadata"]["annotations"].clone()))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(patches(&world), []);
    let spec = json!({"tiers": ["preemptible", "preferred", "missing"],
        "quota": {"cpu": "1500m", "memory": "8Gi", "nvidia.com/gpu": 2}});
    world.role(20, "web", &spec);
    let wanted = json!({"borealis.dev/role": "web", "borealis.dev/classes": "borealis-preemptible-20000,borealis-preferred-30000",
        "borealis.dev/quota": "cpu=1500m,memory=8Gi,ephemeral-storage=0,nvidia.com/gpu=2", "borealis.dev/production": "preferred"});
    assert_eq!(patches(&world), [("prod".to_owned(), wanted.clone()), ("test".to_owned(), wanted.clone())]);
    world.namespace(21, "prod", &json!({"team": "web"}), &wanted);
    // What somebody wrote there of a namespace that nobody claims is taken away.
    world.namespace(22, "other", &json!({}), &json!({"borealis.dev/role": "web"}));
    let none = json!({"borealis.dev/role": null});
    assert_eq!(patches(&world), [("other".to_owned(), none), ("test".to_owned(), wanted)]);
    // Only what differs is written.
    world.role(23, "web", &json!({"tiers": ["preferred"], "defaultTier": "preferred"}));
    let changed = json!({"borealis.dev/classes": "borealis-preferred-30000",
        "borealis.dev/quota": "cpu=0,memory=0,ephemeral-storage=0", "borealis.dev/production": "*,preferred"});
    assert_eq!(patches(&world)[1], ("prod".to_owned(), changed));
}

#[test]
fn a_namespace_says_of_what_its_role_s_quota_is_used_up_and_no_more_than_that() {
    let world = World::new();
    let amounts = |cpu: &str, memory: &str| json!({"cpu": cpu, "memory": memory});
    let mut version = 30;
    let mut full = |limit: &Value, production: &Value, foreign: &Value| {
        version += 1;
        let mut meta = meta("web", 20);
        meta["resourceVersion"] = json!(version.to_string());
        meta["generation"] = json!(version);
        let quota = json!({"limit": limit, "production": production, "foreign": foreign});
        world.0.told(
            Kind::Role,
            json!({"metadata": meta, "spec": {"namespaces": {"matchLabels": {"team": "web"}}, "quota": limit},
                "status": {"quota": quota}}),
        );
        world.look(|it| namespaces::mend(it)[0].patch["metadata"]["annotations"]["borealis.dev/full"].clone())
    };
    let limit = amounts("8", "4Gi");
    for (production, foreign, wanted) in [
        (amounts("0", "0"), amounts("0", "0"), Value::Null),
        (amounts("5", "1Gi"), amounts("2999m", "1Gi"), Value::Null),
        (amounts("5", "1Gi"), amounts("3", "1Gi"), json!("cpu: all of 8 is in use")),
        (amounts("5", "1Gi"), amounts("4", "1Gi"), json!("cpu: all of 8 is in use")),
        (
            amounts("8", "4Gi"),
            amounts("0", "0"),
            json!("cpu: all of 8 is in use; memory: all of 4Gi is in use"),
        ),
        (amounts("0", "0"), json!({"example.com/gpu": "1"}), Value::Null),
    ] {
        assert_eq!(full(&limit, &production, &foreign), wanted, "{production} {foreign}");
    }
    let used = amounts("5", "1Gi");
    assert_eq!(full(&amounts("6", "4Gi"), &used, &used), json!("cpu: all of 6 is in use"));
    assert_eq!(full(&amounts("11", "4Gi"), &used, &used), Value::Null, "a raised quota leaves room at once");
}

#[test]
fn two_roles_that_claim_a_namespace_both_say_so() {
    let world = World::new();
    world.role(21, "older", &json!({"quota": {"cpu": 1}}));
    world.role(22, "younger", &json!({"tiers": ["preemptible", "gone"]}));
    world.look(|it| {
        let told = |name: &str| {
            let row = it.roles().find(|row| *row.object.name == *name).unwrap();
            statuses::role(row, it, now())
        };
        let (older, younger) = (told("older"), told("younger"));
        assert_eq!(
            (older.namespace_count, older.namespaces),
            (2, vec!["prod".to_owned(), "test".to_owned()])
        );
        assert_eq!(younger.namespace_count, 0);
        let (status, reason, message) = said(&older.conditions, statuses::CONFLICT);
        assert_eq!((&*status, &*reason), ("True", "ClaimedTwice"));
        assert!(message.contains("prod (younger), test (younger)"), "{message}");
        let (status, _, message) = said(&younger.conditions, statuses::CONFLICT);
        assert!(
            status == "True" && message.contains("older AuroraRoles have: prod (older), test (older)"),
            "{message}"
        );
        assert_eq!(said(&older.conditions, "Ready").1, "Ready");
        assert_eq!(said(&older.conditions, "Stalled").0, "False", "a conflict is no reason to wait");
        let (ready, stalled) = (said(&younger.conditions, "Ready"), said(&younger.conditions, "Stalled"));
        assert_eq!((&*ready.0, &*ready.1, &*stalled.0), ("False", "TierMissing", "True"));
        assert_eq!((stalled.1, stalled.2), (ready.1, ready.2));
    });
}

#[test]
fn a_condition_keeps_the_time_since_when_it_holds() {
    let world = World::new();
    let mut recorded =
        world.look(|it| statuses::tier(it.tiers().next().unwrap(), Ok(()), &Default::default(), &[], now()));
    let later = now() + jiff::Span::new().minutes(5);
    let again = |recorded: &crate::api::tier::TierStatus, class: Result<(), &Obstacle>| {
        world.look(|it| {
            let mut row = it.tiers().next().unwrap().clone();
            row.status = Some(recorded.clone());
            statuses::tier(&row, class, &Default::default(), &[], later)
        })
    };
    assert_eq!(again(&recorded, Ok(())), recorded);
    let failed = again(&recorded, Err(&Obstacle::Refused("no".to_owned())));
    assert_eq!(failed.conditions[0].last_transition_time.0.as_second(), later.as_second());
    assert_eq!(failed.conditions[1..], recorded.conditions[1..]);
    // What a decision stands on is told in the words of now all the same.
    recorded.conditions[0].message = "older words".to_owned();
    assert_ne!(again(&recorded, Ok(())), recorded);
}

#[test]
fn what_only_a_person_can_mend_is_stalled() {
    let world = World::new();
    let of = |class: Result<(), &Obstacle>, problem: Option<&str>| {
        world.look(|it| {
            let mut row = it.tiers().next().unwrap().clone();
            row.problem = problem.map(str::to_owned);
            let status = statuses::tier(&row, class, &Default::default(), &[], now());
            (said(&status.conditions, "Ready"), said(&status.conditions, "Stalled"))
        })
    };
    let words = |status: &str, reason: &str, message: &str| {
        (status.to_owned(), reason.to_owned(), message.to_owned())
    };
    let quiet = words("False", "Settled", "");
    assert_eq!(of(Ok(()), None).1, quiet);
    let (mistake, refused) = (Obstacle::Mistake("odd".to_owned()), Obstacle::Refused("busy".to_owned()));
    let (ready, stalled) = of(Err(&mistake), None);
    assert_eq!(ready, words("False", "NoPriorityClass", "odd"));
    assert_eq!(stalled, words("True", "NoPriorityClass", "odd"));
    let (ready, stalled) = of(Err(&refused), None);
    assert_eq!((ready, stalled), (words("False", "NoPriorityClass", "busy"), quiet), "it is tried again");
    assert_eq!(of(Ok(()), Some("band: no")).1, words("True", "InvalidSpec", "band: no"));
}

#[test]
fn whoever_uses_a_tier_is_counted_and_named() {
    let world = World::new();
    world.role(20, "web", &json!({"tiers": ["preferred", "preemptible"]}));
    world.framework(21, "spark", &json!({"role": "web", "tier": "native", "pods": [{"selector": {"matchLabels": {"a": "b"}}, "tier": "preferred"}]}));
    world.look(|it| {
        let mut users = statuses::users(it);
        let preferred = users.get_mut("preferred").unwrap();
        preferred.services = (0..10).map(|nth| format!("prod/s{nth}")).collect();
        preferred.pods = 3;
        let mut row = it.tiers().find(|row| *row.object.name == *"preferred").unwrap().clone();
        let status = statuses::tier(&row, Ok(()), &users["preferred"], &[], now());
        let used = status.used_by;
        assert_eq!((used.services, used.pods, used.roles, used.frameworks), (10, 3, 1, 1));
        assert!(!status.conditions.iter().any(|condition| condition.type_ == statuses::IN_USE));
        row.object.deleting = true;
        let status = statuses::tier(&row, Ok(()), &users["preferred"], &[], now());
        let (.., message) = said(&status.conditions, statuses::IN_USE);
        assert!(message.ends_with(
            "used by AuroraServices prod/s0, prod/s1, prod/s2, prod/s3, prod/s4, prod/s5, prod/s6, prod/s7 and 2 more; \
             AuroraRoles web; Frameworks spark; 3 Pods"
        ), "{message}");
        assert_eq!(users["native"].frameworks, ["spark"]);
    });
}

#[test]
fn selectors_become_cel() {
    let of = |selector: Value| selects(&serde_json::from_value(selector).unwrap(), "l");
    for (selector, expected) in [
        (json!({}), "true"),
        (json!({"matchLabels": {"a": "it's"}}), r"('a' in l && l['a'] == 'it\'s')"),
        (
            json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}, {"key": "d", "operator": "Exists"}]}),
            "('a' in l && l['a'] in ['b', 'c']) && ('d' in l)",
        ),
        (
            json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}, {"key": "d", "operator": "DoesNotExist"}]}),
            "!('a' in l && l['a'] in ['b']) && !('d' in l)",
        ),
    ] {
        assert_eq!(of(selector).as_deref(), Some(expected));
    }
    assert_eq!(of(json!({"matchExpressions": [{"key": "a", "operator": "Sometimes"}]})), None);
}

#[test]
fn a_framework_is_one_policy_that_sets_all_together() {
    let world = World::new();
    world.role(20, "web", &json!({"tiers": ["preemptible", "preferred"]}));
    world.framework(21, "spark", &json!({
        "role": "web", "serviceAccounts": [{"namespace": "prod", "name": "spark"}], "namespaces": ["prod"],
        "podSelector": {"matchLabels": {"app": "etl"}}, "priority": 3,
        "pods": [{"selector": {"matchLabels": {"spark-role": "driver"}}, "tier": "preferred", "priority": 9},
                 {"selector": {"matchLabels": {"spark-role": "executor"}}}],
    }));
    world.look(|it| {
        let row = it.frameworks().next().unwrap();
        let rendered = render(&row.object, row.spec.as_ref().unwrap(), it, "system:serviceaccount:b:o").unwrap();
        let policy = serde_json::to_value(&rendered.policy).unwrap();
        assert_eq!(policy["metadata"]["name"], "borealis-framework-spark");
        assert_eq!(policy["metadata"]["ownerReferences"][0]["kind"], "Framework");
        assert_eq!(serde_json::to_value(&rendered.binding).unwrap()["spec"], json!({"policyName": "borealis-framework-spark"}));
        let spec = &policy["spec"];
        assert_eq!(spec["failurePolicy"], "Fail");
        assert_eq!(spec["matchConstraints"]["objectSelector"], json!({"matchLabels": {"app": "etl"}}));
        assert_eq!(spec["matchConstraints"]["namespaceSelector"]["matchExpressions"][0]["values"], json!(["prod"]));
        let conditions: Vec<&str> =
            spec["matchConditions"].as_array().unwrap().iter().map(|it| it["expression"].as_str().unwrap()).collect();
        assert_eq!(conditions, [
            "request.userInfo.username != 'system:serviceaccount:b:o'",
            "!request.userInfo.username.startsWith('system:node:')",
            "request.userInfo.username in ['system:serviceaccount:prod:spark']",
        ]);
        let variable = |nth: usize| spec["variables"][nth]["expression"].as_str().unwrap();
        assert_eq!(
            variable(2),
            "(('spark-role' in variables.labels && variables.labels['spark-role'] == 'driver')) ? 0 : \
             (('spark-role' in variables.labels && variables.labels['spark-role'] == 'executor')) ? 1 : 2"
        );
        let mutation = spec["mutations"][0]["applyConfiguration"]["expression"].as_str().unwrap();
        for part in [
            "variables.role == 'web' ? Object{",
            "'borealis.dev/framework': 'spark'",
            "'borealis.dev/priority': ['9', '3', '3'][variables.kind]",
            "'borealis.dev/tier': ['preferred', 'preemptible', 'preemptible'][variables.kind]",
            "priorityClassName: ['borealis-preferred-30000', 'borealis-preemptible-20000', 'borealis-preemptible-20000'][variables.kind]",
            "priority: [30000, 20000, 20000][variables.kind]",
            "preemptionPolicy: ['Never', 'Never', 'Never'][variables.kind]",
            ": Object{}",
        ] {
            assert!(mutation.contains(part), "{part} in {mutation}");
        }
    });
}

#[test]
fn a_namespace_that_merely_has_the_name_of_an_aurora_role_is_not_its_own() {
    let world = World::new();
    let role = |id: u32, role: &str| {
        world.framework(id, "spark", &json!({"role": role}));
        world.look(|it| {
            let row = it.frameworks().next().unwrap();
            let policy = render(&row.object, row.spec.as_ref().unwrap(), it, "o").unwrap().policy;
            policy.spec.unwrap().variables.unwrap()[1].expression.clone()
        })
    };
    let of =
        |own: &str| format!("namespaceObject.metadata.?annotations[?'borealis.dev/role'].orValue({own})");
    assert_eq!(role(21, "other"), of("namespaceObject.metadata.name"));
    world.role(22, "other", &json!({}));
    assert_eq!(role(23, "other"), of("''"));
}

#[test]
fn of_two_frameworks_that_may_meet_the_younger_says_so() {
    let world = World::new();
    world.role(20, "web", &json!({}));
    world.framework(21, "spark", &json!({"role": "web"}));
    world.framework(22, "airflow", &json!({"role": "web", "namespaces": ["prod"]}));
    let overlap = |name: &str| {
        world.look(|it| {
            let row = it.frameworks().find(|row| *row.object.name == *name).unwrap();
            said(&statuses::framework(row, Ok(()), it, now()).conditions, statuses::OVERLAP)
        })
    };
    let (status, _, message) = overlap("airflow");
    assert_eq!(status, "True");
    assert!(message.starts_with("a Pod may be of Framework spark as well"), "{message}");
    assert_eq!(overlap("spark").0, "False");
    world.framework(23, "spark", &json!({"role": "web", "namespaces": ["test"]}));
    assert_eq!(overlap("airflow").0, "False");
    assert_eq!(overlap("spark").0, "False");
}

#[test]
fn a_framework_says_what_stands_in_its_way() {
    let world = World::new();
    world.role(20, "web", &json!({}));
    let told = |id: u32, spec: Value| {
        world.framework(id, "spark", &spec);
        world.look(|it| {
            let row = it.frameworks().next().unwrap();
            let policy = render(&row.object, row.spec.as_ref().unwrap(), it, "o")
                .map(drop)
                .map_err(|error| Obstacle::Mistake(error.to_string()));
            let status = statuses::framework(row, policy.as_ref().copied(), it, now());
            let (ready, stalled) = (said(&status.conditions, "Ready"), said(&status.conditions, "Stalled"));
            assert_eq!(stalled.0 == "True", ready.0 == "False", "{ready:?}, {stalled:?}");
            ready.1
        })
    };
    assert_eq!(told(21, json!({"role": "web"})), "Ready");
    assert_eq!(told(22, json!({"role": "web", "tier": "preferred"})), "TierNotAllowed");
    assert_eq!(told(23, json!({"role": "web", "tier": "gone"})), "NoPolicy");
    assert_eq!(told(24, json!({"role": "nobody"})), "RoleMissing");
    assert_eq!(told(25, json!({"role": "other"})), "Ready", "a namespace is a role of its own");
    let selector = json!({"matchExpressions": [{"key": "a", "operator": "Sometimes"}]});
    world.framework(26, "spark", &json!({"role": "web", "pods": [{"selector": selector}]}));
    world.look(|it| {
        let row = it.frameworks().next().unwrap();
        let refused = render(&row.object, row.spec.as_ref().unwrap(), it, "o").unwrap_err();
        assert_eq!(refused, Unrenderable::Selector { field: "spec.pods[0].selector".to_owned() });
    });
    let tier: Option<std::sync::Arc<model::Tier>> = world.0.tier("native");
    assert_eq!(tier.map(|tier| tier.preemption), Some(model::Preemption::Scheduler));
}
