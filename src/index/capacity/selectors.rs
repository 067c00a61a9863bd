//! Selectors of labels and of nodes, as lists of requirements.
//!
//! What Kubernetes takes for "nothing" is a requirement that nothing meets. Called by `demand`.

use std::sync::Arc;

use borealis_core::model::{NodeTerm, Requirement, Test};
use k8s_openapi::{
    api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::shared::Names;

/// The requirements of a selector of labels. No selector matches nothing, an empty one all.
pub(super) fn labels(selector: Option<&LabelSelector>, names: &mut Names) -> Vec<Requirement> {
    let Some(selector) = selector else { return vec![never(names)] };
    let mut all: Vec<Requirement> =
        selector.match_labels.iter().flatten().map(|(key, value)| is(key, value, names)).collect();
    for requirement in selector.match_expressions.iter().flatten() {
        let values = requirement.values.iter().flatten().map(String::as_str);
        all.push(expression(&requirement.key, &requirement.operator, values, names));
    }
    all
}

/// That a label has a value.
pub(super) fn is(key: &str, value: &str, names: &mut Names) -> Requirement {
    Requirement { key: names.share(key), test: Test::In(vec![names.share(value)]) }
}

/// The same in one order, so that the same selector is the same thing.
pub(super) fn sorted(mut requirements: Vec<Requirement>) -> Vec<Requirement> {
    requirements.sort();
    requirements.dedup();
    requirements
}

/// The terms of a selector of nodes, of which one has to hold: those without requirements hold for no node.
pub(super) fn node_terms(selector: &NodeSelector, names: &mut Names) -> Vec<NodeTerm> {
    let terms = selector.node_selector_terms.iter();
    let mut terms: Vec<NodeTerm> = terms.filter_map(|term| node_term(term, names)).collect();
    if terms.is_empty() {
        terms.push(NodeTerm { labels: vec![never(names)], names: Vec::new() });
    }
    terms
}

fn node_term(term: &NodeSelectorTerm, names: &mut Names) -> Option<NodeTerm> {
    let mut read = |requirements: Option<&Vec<NodeSelectorRequirement>>| -> Vec<Requirement> {
        let read = |it: &NodeSelectorRequirement| {
            expression(&it.key, &it.operator, it.values.iter().flatten().map(String::as_str), names)
        };
        sorted(requirements.into_iter().flatten().map(read).collect())
    };
    let term =
        NodeTerm { labels: read(term.match_expressions.as_ref()), names: read(term.match_fields.as_ref()) };
    (!term.labels.is_empty() || !term.names.is_empty()).then_some(term)
}

fn expression<'a>(
    key: &str,
    operator: &str,
    values: impl Iterator<Item = &'a str>,
    names: &mut Names,
) -> Requirement {
    let mut values: Vec<Arc<str>> = values.map(|value| names.share(value)).collect();
    values.sort();
    let number = || values.first().and_then(|value| value.parse().ok());
    let test = match operator {
        "In" => Test::In(values),
        "NotIn" => Test::NotIn(values),
        "Exists" => Test::Exists,
        "DoesNotExist" => Test::DoesNotExist,
        "Gt" => number().map_or(Test::In(Vec::new()), Test::Above),
        "Lt" => number().map_or(Test::In(Vec::new()), Test::Below),
        // The API server knows no others.
        _ => Test::In(Vec::new()),
    };
    Requirement { key: names.share(key), test }
}

/// What nothing meets.
fn never(names: &mut Names) -> Requirement {
    Requirement { key: names.share(""), test: Test::In(Vec::new()) }
}
