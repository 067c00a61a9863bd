//! What a config's constraints become in a Pod: node affinity, tolerations and spreads that the scheduler goes by.
//!
//! Adds to what the template says, and takes nothing of it away. Pure; called by `pods`.

use borealis_core::model::JobKind;
use k8s_openapi::{
    api::core::v1::{
        NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Toleration,
        TopologySpreadConstraint,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::api::{
    Invalid, TaskConfig,
    constraints::{Constraint, DO_NOT_SCHEDULE},
    labels,
};

/// As many domains as there can be: the emptiest then counts as empty, and a spread's skew is a limit.
const MIN_DOMAINS: i32 = i32::MAX;
/// Domains are counted whatever the nodes are like otherwise.
const IGNORE: &str = "Ignore";

/// Puts a Pod of the service or job where the config's constraints let it be.
///
/// # Errors
/// When the config asks for dedicated nodes by something that names none.
pub(super) fn place(spec: &mut PodSpec, config: &TaskConfig, job: (JobKind, &str)) -> Result<(), Invalid> {
    let mut required: Vec<_> = config.constraints.iter().filter_map(value).collect();
    required.extend(dedicate(spec, config)?);
    require(spec, &required);
    let limits: Vec<_> = config.constraints.iter().filter_map(|constraint| limit(constraint, job)).collect();
    if !limits.is_empty() {
        spec.topology_spread_constraints.get_or_insert_default().extend(limits);
    }
    Ok(())
}

/// A missing label fails In and passes NotIn, as a missing attribute does in Aurora.
fn value(constraint: &Constraint) -> Option<NodeSelectorRequirement> {
    Some(NodeSelectorRequirement {
        key: constraint.label().to_owned(),
        operator: if constraint.negated { "NotIn" } else { "In" }.to_owned(),
        values: Some(constraint.values.clone()?),
    })
}

fn limit(constraint: &Constraint, (kind, name): (JobKind, &str)) -> Option<TopologySpreadConstraint> {
    let live = [(labels::of_kind(kind), name), (labels::LIVE, labels::TRUE)];
    let live = live.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Some(TopologySpreadConstraint {
        max_skew: constraint.limit?,
        min_domains: Some(MIN_DOMAINS),
        topology_key: constraint.label().to_owned(),
        when_unsatisfiable: DO_NOT_SCHEDULE.to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(live.into()), match_expressions: None }),
        node_affinity_policy: Some(IGNORE.to_owned()),
        node_taints_policy: Some(IGNORE.to_owned()),
        match_label_keys: None,
    })
}

/// Lets the Pod onto the nodes of its pool, and nowhere else; without a pool it keeps off all of them, also where its
/// template bears any taint.
fn dedicate(spec: &mut PodSpec, config: &TaskConfig) -> Result<Option<NodeSelectorRequirement>, Invalid> {
    let required = |operator: &str, values| NodeSelectorRequirement {
        key: labels::DEDICATED.to_owned(),
        operator: operator.to_owned(),
        values,
    };
    let Some(pool) = config.dedicated_pool()? else {
        let mut own = spec.tolerations.iter().flatten();
        let bears =
            own.any(|own| own.key.as_deref().is_none_or(|key| key.is_empty() || key == labels::DEDICATED));
        return Ok(bears.then(|| required("DoesNotExist", None)));
    };
    let value = pool.label_value();
    spec.tolerations.get_or_insert_default().push(Toleration {
        key: Some(labels::DEDICATED.to_owned()),
        operator: Some("Equal".to_owned()),
        value: Some(value.clone()),
        // Whatever the taint does, so that what else is there can be driven off by NoExecute.
        effect: None,
        toleration_seconds: None,
    });
    Ok(Some(required("In", Some(vec![value]))))
}

/// One of the template's terms must hold, and all of these. A term without anything matches no node and stays so.
fn require(spec: &mut PodSpec, all: &[NodeSelectorRequirement]) {
    if all.is_empty() {
        return;
    }
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let add =
        |term: &mut NodeSelectorTerm| term.match_expressions.get_or_insert_default().extend_from_slice(all);
    let matches_none = |term: &NodeSelectorTerm| {
        let none = |list: &Option<Vec<_>>| list.as_ref().is_none_or(Vec::is_empty);
        none(&term.match_expressions) && none(&term.match_fields)
    };
    match &mut affinity.required_during_scheduling_ignored_during_execution {
        Some(own) => own.node_selector_terms.iter_mut().filter(|term| !matches_none(term)).for_each(add),
        required @ None => {
            let mut term = NodeSelectorTerm::default();
            add(&mut term);
            *required = Some(NodeSelector { node_selector_terms: vec![term] });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The Pod's spec of a config given as JSON.
    fn placed(config: &Value, template: &Value) -> Value {
        let mut all = json!({"tier": "preferred", "template": {"spec": {"containers": [{"name": "main"}]}}});
        json_patch::merge(&mut all, config);
        json_patch::merge(&mut all["template"]["spec"], template);
        let config: TaskConfig = serde_json::from_value(all).unwrap();
        let mut spec = config.template.spec.clone().unwrap();
        place(&mut spec, &config, (JobKind::Service, "web")).unwrap();
        serde_json::to_value(spec).unwrap()
    }

    fn terms(placed: &Value) -> Value {
        placed
            .pointer(
                "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
            )
            .cloned()
            .unwrap_or_default()
    }

    #[test]
    fn without_constraints_the_template_stays_as_it_is() {
        let template =
            json!({"tolerations": [{"key": "gpu", "operator": "Exists"}], "affinity": {"podAffinity": {}}});
        let mut whole = template.clone();
        whole["containers"] = json!([{"name": "main"}]);
        assert_eq!(placed(&json!({}), &template), whole);
    }

    #[test]
    fn values_are_asked_of_every_term_that_matches_anything() {
        let zone = json!({"attribute": "topology.kubernetes.io/zone", "values": ["a", "b"]});
        let host = json!({"attribute": "host", "values": ["n1"], "negated": true});
        let config = json!({ "constraints": [zone, host] });
        let zone = json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a", "b"]});
        let host = json!({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n1"]});
        let both = json!({ "matchExpressions": [zone, host] });
        assert_eq!(terms(&placed(&config, &json!({}))), json!([both]));

        let of = |terms: Value| {
            let required = json!({ "nodeSelectorTerms": terms });
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}})
        };
        let (own, fields) = (
            json!({"key": "disk", "operator": "Exists"}),
            json!([{"key": "metadata.name", "operator": "In", "values": ["n2"]}]),
        );
        let template = of(json!([{"matchExpressions": [own]}, {"matchFields": fields}, {}]));
        let expected = json!([
            {"matchExpressions": [own, zone, host]},
            {"matchExpressions": [zone, host], "matchFields": fields},
            {},
        ]);
        assert_eq!(terms(&placed(&config, &template)), expected);
        assert_eq!(
            terms(&placed(&config, &of(json!([])))),
            json!([]),
            "the API server refuses it, as it did"
        );
    }

    #[test]
    fn a_limit_is_a_spread_over_as_many_domains_as_there_can_be() {
        let own = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"});
        let config =
            json!({"constraints": [{"attribute": "rack", "limit": 3}, {"attribute": "host", "limit": 1}]});
        let limit = |key: &str, limit: i32| {
            json!({
                "maxSkew": limit, "minDomains": 2_147_483_647, "topologyKey": key,
                "whenUnsatisfiable": "DoNotSchedule",
                "nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Ignore",
                "labelSelector": {"matchLabels": {"borealis.dev/service": "web", "borealis.dev/live": "true"}},
            })
        };
        let pod = placed(&config, &json!({ "topologySpreadConstraints": [own] }));
        let expected = json!([own, limit("rack", 3), limit("kubernetes.io/hostname", 1)]);
        assert_eq!(pod["topologySpreadConstraints"], expected);
        assert_eq!(pod.get("affinity"), None);
    }

    #[test]
    fn dedicated_nodes_are_for_those_who_ask_for_them() {
        let toleration =
            |value: &str| json!({"key": "borealis.dev/dedicated", "operator": "Equal", "value": value});
        let label = |value: &str| json!([{"matchExpressions": [{"key": "borealis.dev/dedicated", "operator": "In", "values": [value]}]}]);
        for (pool, value) in [("ads", "ads"), ("ads/gpu", "ads.gpu"), ("*/gpu", "ANY.gpu")] {
            let pod = placed(&json!({ "dedicated": pool }), &json!({}));
            assert_eq!(
                (&pod["tolerations"], terms(&pod)),
                (&json!([toleration(value)]), label(value)),
                "{pool}"
            );
        }
        let off =
            json!([{"matchExpressions": [{"key": "borealis.dev/dedicated", "operator": "DoesNotExist"}]}]);
        for (own, expected) in [
            (json!([{"operator": "Exists"}]), &off),
            (json!([{"operator": "Exists", "effect": "NoSchedule"}]), &off),
            (json!([{"key": "borealis.dev/dedicated", "operator": "Exists"}]), &off),
            (json!([{"key": "gpu", "operator": "Exists"}]), &Value::Null),
        ] {
            let pod = placed(&json!({}), &json!({ "tolerations": own }));
            assert_eq!((&pod["tolerations"], &terms(&pod)), (&own, expected));
        }
        let any = json!([{"operator": "Exists"}]);
        let pod = placed(&json!({"dedicated": "ads"}), &json!({ "tolerations": any }));
        assert_eq!(terms(&pod), label("ads"), "who asks for a pool may bear any taint");
    }
}
