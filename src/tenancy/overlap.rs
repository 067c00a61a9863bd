//! Frameworks that may be about the same Pods: what one sets the other would set otherwise.
//!
//! Told from their specs alone, so that it shows before there is such a Pod. Selectors that exclude each other by a key that
//! both name do; others may meet.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::{
    api::framework::FrameworkSpec,
    index::{FrameworkRow, Tenancy},
};

/// The names of the older Frameworks that may be about Pods of this one.
pub(super) fn older(row: &FrameworkRow, tenancy: &Tenancy) -> Vec<String> {
    let age = |row: &FrameworkRow| (row.object.created, row.object.name.clone());
    let Some(spec) = &row.spec else { return Vec::new() };
    let is_older = |other: &&FrameworkRow| !other.object.deleting && age(other) < age(row);
    let meets = |other: &&FrameworkRow| other.spec.as_ref().is_some_and(|other| meet(spec, other));
    tenancy.frameworks().filter(is_older).filter(meets).map(|other| other.object.name.to_string()).collect()
}

/// Whether one Pod may be of both.
fn meet(one: &FrameworkSpec, other: &FrameworkSpec) -> bool {
    one.role == other.role
        && share(&one.namespaces, &other.namespaces)
        && share(&one.service_accounts, &other.service_accounts)
        && !exclude(one.pod_selector.as_ref(), other.pod_selector.as_ref())
}

/// Whether something is in both lists, of which an empty one has everything.
fn share<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.is_empty() || other.is_empty() || one.iter().any(|it| other.contains(it))
}

/// What a selector asks of a label.
enum Asked<'a> {
    In(Vec<&'a str>),
    NotIn(Vec<&'a str>),
    Exists,
    Absent,
}

/// Whether no labels satisfy both.
fn exclude(one: Option<&LabelSelector>, other: Option<&LabelSelector>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    let other = asked(other);
    asked(one).iter().any(|(key, one)| {
        other.iter().any(|(also, other)| key == also && (rules_out(one, other) || rules_out(other, one)))
    })
}

fn asked(selector: &LabelSelector) -> Vec<(&str, Asked<'_>)> {
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(key, value)| (key.as_str(), Asked::In(vec![value])));
    let expressions = selector.match_expressions.iter().flatten().filter_map(|one| {
        let values = one.values.iter().flatten().map(String::as_str).collect();
        Some((
            one.key.as_str(),
            match one.operator.as_str() {
                "In" => Asked::In(values),
                "NotIn" => Asked::NotIn(values),
                "Exists" => Asked::Exists,
                "DoesNotExist" => Asked::Absent,
                _ => return None,
            },
        ))
    });
    labels.chain(expressions).collect()
}

fn rules_out(one: &Asked<'_>, other: &Asked<'_>) -> bool {
    match (one, other) {
        (Asked::In(one), Asked::In(other)) => !one.iter().any(|value| other.contains(value)),
        (Asked::In(one), Asked::NotIn(other)) => one.iter().all(|value| other.contains(value)),
        (Asked::In(_) | Asked::Exists, Asked::Absent) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn frameworks_meet_unless_something_keeps_them_apart() {
        let labels = |labels: Value| json!({"podSelector": {"matchLabels": labels}});
        let asks = |key: &str, operator: &str, values: Value| json!({"podSelector": {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}});
        let account = |name: &str| json!({"serviceAccounts": [{"namespace": "etl", "name": name}]});
        for (one, other, wanted) in [
            (json!({}), json!({}), true),
            (json!({}), json!({"role": "other"}), false),
            (json!({"namespaces": ["a"]}), json!({}), true),
            (json!({"namespaces": ["a", "b"]}), json!({"namespaces": ["b"]}), true),
            (json!({"namespaces": ["a"]}), json!({"namespaces": ["b"]}), false),
            (account("spark"), account("spark"), true),
            (account("spark"), account("other"), false),
            (labels(json!({"app": "a"})), json!({}), true),
            (labels(json!({"app": "a"})), labels(json!({"app": "b"})), false),
            (labels(json!({"app": "a"})), labels(json!({"kind": "b"})), true),
            (labels(json!({"app": "a"})), asks("app", "In", json!(["a", "b"])), true),
            (labels(json!({"app": "a"})), asks("app", "NotIn", json!(["a", "b"])), false),
            (asks("app", "In", json!(["a", "c"])), asks("app", "NotIn", json!(["a", "b"])), true),
            (labels(json!({"app": "a"})), asks("app", "Exists", json!([])), true),
            (labels(json!({"app": "a"})), asks("app", "DoesNotExist", json!([])), false),
            (asks("app", "Exists", json!([])), asks("app", "DoesNotExist", json!([])), false),
            (asks("app", "NotIn", json!(["a"])), asks("app", "DoesNotExist", json!([])), true),
        ] {
            let spec = |value: &Value| -> FrameworkSpec {
                let mut spec = json!({"role": "web"});
                spec.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
                serde_json::from_value(spec).unwrap()
            };
            assert_eq!(meet(&spec(&one), &spec(&other)), wanted, "{one} {other}");
            assert_eq!(meet(&spec(&other), &spec(&one)), wanted, "{other} {one}");
        }
    }
}
