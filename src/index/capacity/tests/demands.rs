//! What Pods demand, field by field.

use borealis_core::model::{
    Beside, Demand, Effect, HostPort, NodeTerm, Requirement, Spread, Test, Toleration,
};
use serde_json::{Value, json};

use super::super::{demand, shared::Names};
use crate::index::tests::object;

fn demand(spec: Value) -> Demand {
    let mut spec = spec;
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "main"}]);
    }
    let pod = json!({"metadata": {"labels": {"app": "web", "pod-template-hash": "h1", "borealis.dev/instance": "3"}},
        "spec": spec});
    demand::read(&object(pod), &mut Names::default())
}

fn requirement(key: &str, test: Test) -> Requirement {
    Requirement { key: key.into(), test }
}

fn one_of(values: &[&str]) -> Test {
    Test::In(values.iter().map(|value| (*value).into()).collect())
}

#[test]
fn node_selectors_and_affinity() {
    let affinity = |terms: Value| {
        let required = json!({"nodeSelectorTerms": terms});
        demand(json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}))
            .affinity
    };
    let expression = |operator: &str, values: Value| {
        affinity(json!([{"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}]))
    };
    let term = |test: Test| vec![NodeTerm { labels: vec![requirement("k", test)], names: Vec::new() }];
    for (operator, values, test) in [
        ("In", json!(["b", "a"]), one_of(&["a", "b"])),
        ("NotIn", json!(["a"]), Test::NotIn(vec!["a".into()])),
        ("Exists", json!([]), Test::Exists),
        ("DoesNotExist", json!([]), Test::DoesNotExist),
        ("Gt", json!(["8"]), Test::Above(8)),
        ("Lt", json!(["-1"]), Test::Below(-1)),
        ("Gt", json!(["many"]), one_of(&[])),
    ] {
        assert_eq!(expression(operator, values.clone()), term(test), "{operator} {values}");
    }
    let by_name =
        affinity(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]));
    let names = vec![requirement("metadata.name", one_of(&["n1"]))];
    assert_eq!(by_name, [NodeTerm { labels: Vec::new(), names }]);
    let nothing = vec![NodeTerm { labels: vec![requirement("", one_of(&[]))], names: Vec::new() }];
    assert_eq!(affinity(json!([{}])), nothing, "a term without requirements holds for no node");
    assert_eq!(affinity(json!([])), nothing);
    assert_eq!(demand(json!({})).affinity, []);
    assert_eq!(demand(json!({"nodeSelector": {"disk": "ssd"}})).selector, [("disk".into(), "ssd".into())]);
}

#[test]
fn tolerations() {
    let one = |key: Option<&str>, value: Option<&str>, effect| {
        vec![Toleration { key: key.map(Into::into), value: value.map(Into::into), effect }]
    };
    for (toleration, wanted) in [
        (
            json!({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}),
            one(Some("k"), Some("v"), Some(Effect::NoSchedule)),
        ),
        (json!({"key": "k", "value": "v"}), one(Some("k"), Some("v"), None)),
        (json!({"key": "k"}), one(Some("k"), Some(""), None)),
        (
            json!({"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}),
            one(Some("k"), None, Some(Effect::NoExecute)),
        ),
        (json!({"operator": "Exists"}), one(None, None, None)),
        (json!({"key": "k", "operator": "Gt", "value": "5"}), Vec::new()),
    ] {
        assert_eq!(demand(json!({"tolerations": [toleration]})).tolerations, wanted, "{toleration}");
    }
}

#[test]
fn host_ports() {
    let ports = |number: u16, address: Value, protocol: &str| json!([{"containerPort": 80, "hostPort": number, "hostIP": address, "protocol": protocol}]);
    let spec = json!({
        "initContainers": [
            {"name": "once", "ports": ports(1, json!(null), "TCP")},
            {"name": "sidecar", "restartPolicy": "Always", "ports": ports(2, json!("0.0.0.0"), "UDP")},
        ],
        "containers": [{"name": "a", "ports": ports(3, json!("10.0.0.1"), "TCP")},
            {"name": "b", "ports": [{"containerPort": 80}]}],
    });
    let port = |address: Option<&str>, protocol: &str, port| HostPort {
        address: address.map(Into::into),
        protocol: protocol.into(),
        port,
    };
    assert_eq!(demand(spec).host_ports, [port(None, "UDP", 2), port(Some("10.0.0.1"), "TCP", 3)]);
}

#[test]
fn spreading() {
    let spread = |constraint: Value| demand(json!({"topologySpreadConstraints": [constraint]}));
    let plain = json!({"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}});
    let with = |key: &str, value: Value| {
        let mut constraint = plain.clone();
        constraint[key] = value;
        constraint
    };
    let wanted = Spread {
        key: "zone".into(),
        max_skew: 2,
        min_domains: 1,
        selector: vec![requirement("app", one_of(&["web"]))],
        honor_affinity: true,
        honor_taints: false,
    };
    assert_eq!(spread(plain.clone()).spread, std::slice::from_ref(&wanted));
    assert_eq!(spread(with("whenUnsatisfiable", json!("ScheduleAnyway"))).spread, [], "only a wish");
    let policies = spread(json!({"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}, "minDomains": i32::MAX,
        "nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor"}));
    let min_domains = u32::try_from(i32::MAX).unwrap();
    assert_eq!(
        policies.spread,
        [Spread { min_domains, honor_affinity: false, honor_taints: true, ..wanted.clone() }]
    );
    let folded = spread(with("matchLabelKeys", json!(["pod-template-hash", "absent"])));
    let hash = requirement("pod-template-hash", one_of(&["h1"]));
    let selector = vec![requirement("app", one_of(&["web"])), hash];
    assert_eq!((folded.spread, folded.unknown), (vec![Spread { selector, ..wanted.clone() }], None));
    let nobody = vec![requirement("", one_of(&[]))];
    assert_eq!(
        spread(with("labelSelector", json!(null))).spread,
        [Spread { selector: nobody, ..wanted.clone() }]
    );
    assert_eq!(spread(with("labelSelector", json!({}))).spread, [Spread { selector: Vec::new(), ..wanted }]);
    let own = spread(with("matchLabelKeys", json!(["borealis.dev/instance"])));
    assert!(own.unknown.is_some_and(|words| words.starts_with("spec.topologySpreadConstraints:")));
}

#[test]
fn other_pods() {
    let term = |rest: Value| {
        let mut term = json!({"topologyKey": "zone", "labelSelector": {"matchExpressions":
            [{"key": "app", "operator": "NotIn", "values": ["db"]}]}});
        term.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        demand(json!({"affinity": {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]},
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}))
    };
    let wanted = Beside {
        key: "zone".into(),
        selector: vec![requirement("app", Test::NotIn(vec!["db".into()]))],
        namespaces: Vec::new(),
    };
    let plain = term(json!({}));
    assert_eq!(
        (plain.apart, plain.beside, plain.unknown),
        (vec![wanted.clone()], vec![wanted.clone()], None)
    );
    let named = term(json!({"namespaces": ["b", "a"]}));
    assert_eq!(named.apart, [Beside { namespaces: vec!["a".into(), "b".into()], ..wanted }]);
    let by_labels = term(json!({"namespaceSelector": {}}));
    assert_eq!(
        (by_labels.apart, by_labels.unknown),
        (Vec::new(), Some("spec.affinity: namespaces by their labels"))
    );
}

#[test]
fn what_can_not_be_told_is_said() {
    for (spec, wanted) in [
        (
            json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}),
            Some("spec.volumes: a volume claim"),
        ),
        (json!({"volumes": [{"name": "v", "ephemeral": {}}]}), Some("spec.volumes: an ephemeral volume")),
        (
            json!({"volumes": [{"name": "v", "rbd": {"image": "i", "monitors": []}}]}),
            Some("spec.volumes: a disk that is attached to its node"),
        ),
        (
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "emptyDir": {}},
            {"name": "x", "csi": {"driver": "d"}}, {"name": "y", "configMap": {}}]}),
            None,
        ),
        (json!({"resourceClaims": [{"name": "gpu"}]}), Some("spec.resourceClaims: devices that are claimed")),
        (json!({"resourceClaims": []}), None),
        (json!({"schedulingGroup": {}}), Some("spec.schedulingGroup: a group that is placed together")),
    ] {
        assert_eq!(demand(spec.clone()).unknown, wanted, "{spec}");
    }
}
