//! `spec.constraints` and `spec.dedicated`: on which nodes the Pods of a service may be, as Aurora says it. Types, bounds,
//! and what can't stand beside the template; what becomes of them in a Pod is `apply::placement`'s.

use borealis_core::model::{Dedicated, NoPool};
use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Invalid, TaskConfig, task_spec::TaskSpec};

/// What Aurora calls the node itself.
const HOST: &str = "host";
/// The label that says it here.
const HOSTNAME: &str = "kubernetes.io/hostname";
/// That the scheduler rather leaves a Pod without a node than break a spread.
pub(crate) const DO_NOT_SCHEDULE: &str = "DoNotSchedule";

/// On which nodes Pods may be, by an attribute of the nodes: exactly one of `values` and `limit`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Constraint {
    /// The attribute: a label of nodes such as `topology.kubernetes.io/zone`, or `host` for the node itself.
    #[schemars(length(min = 1, max = 317))]
    pub attribute: String,
    /// The node's value must be one of these, or with `negated` none of them. A node without the attribute has none: it is
    /// refused without `negated`, and taken with it. Aurora: ValueConstraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(max = 63)))]
    pub values: Option<Vec<String>>,
    /// Whether the values are those that are refused. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
    /// The most live Pods of the service on all nodes together that have the same value. A node without the attribute is
    /// refused. Unit: Pods. Aurora: LimitConstraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub limit: Option<i32>,
}

impl Constraint {
    /// The label of nodes it is about.
    #[must_use]
    pub fn label(&self) -> &str {
        if self.attribute == HOST { HOSTNAME } else { &self.attribute }
    }
}

/// The constraints without an order, which means nothing: another one is no other config.
pub(super) fn sorted(constraints: &[Constraint]) -> Vec<Constraint> {
    let sorted = |constraint: &Constraint| {
        let mut constraint = constraint.clone();
        if let Some(values) = &mut constraint.values {
            values.sort();
            values.dedup();
        }
        constraint
    };
    let mut all: Vec<_> = constraints.iter().map(sorted).collect();
    all.sort();
    all.dedup();
    all
}

impl TaskConfig {
    /// The pool of dedicated nodes its Pods run on, if it says one.
    ///
    /// # Errors
    /// When the text names none.
    pub fn dedicated_pool(&self) -> Result<Option<Dedicated>, Invalid> {
        pool(self.dedicated.as_deref())
    }
}

fn pool(text: Option<&str>) -> Result<Option<Dedicated>, Invalid> {
    let pool = text.map(str::parse).transpose();
    pool.map_err(|error: NoPool| Invalid::Field { field: "spec.dedicated", reason: error.to_string() })
}

/// Refuses what the rules of the schema let through: what the template and the constraints can't both say.
///
/// # Errors
/// When they contradict each other, or one of them says nothing.
pub(super) fn check(spec: &TaskSpec<'_>) -> Result<(), Invalid> {
    pool(spec.dedicated)?;
    let invalid = |reason| Err(Invalid::Field { field: "spec.constraints", reason });
    let pod = spec.template.spec.as_ref();
    for constraint in spec.constraints {
        let attribute = &constraint.attribute;
        if constraint.values.is_some() == constraint.limit.is_some() {
            return invalid(format!("the one of {attribute} must hold exactly one of values, limit"));
        }
        let mut spreads =
            pod.and_then(|pod| pod.topology_spread_constraints.as_deref()).into_iter().flatten();
        let is_same = |own: &TopologySpreadConstraint| {
            own.when_unsatisfiable == DO_NOT_SCHEDULE && own.topology_key == constraint.label()
        };
        if constraint.limit.is_some() && spreads.any(is_same) {
            return invalid(format!(
                "limits {attribute}, over which spec.template.spec.topologySpreadConstraints spreads with DoNotSchedule as \
                 well; a Pod can have only one of them, remove the other"
            ));
        }
    }
    Ok(())
}

/// What of the constraints two Pods of an instance can't share, in words.
pub(super) fn obstacle(constraints: &[Constraint]) -> Option<String> {
    let limit = |constraint: &Constraint| Some((constraint.limit?, constraint.attribute.clone()));
    let (limit, attribute) = constraints.iter().find_map(limit)?;
    Some(format!("spec.constraints limits Pods to {limit} for each {attribute}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AuroraService, AuroraServiceSpec};
    use serde_json::{Value, json};

    fn spec(extra: &Value) -> AuroraServiceSpec {
        let mut spec = json!({"template": {"spec": {"containers": [{"name": "main"}]}}});
        json_patch::merge(&mut spec, extra);
        let object = json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService", "metadata": {}, "spec": spec});
        serde_json::from_value::<AuroraService>(object).unwrap().spec
    }

    fn revision(extra: &Value) -> String {
        spec(extra).task_config("preemptible").revision().unwrap().to_string()
    }

    #[test]
    fn the_order_of_constraints_means_nothing() {
        let of = |constraints: Value| revision(&json!({ "constraints": constraints }));
        let (zones, limit) = (
            json!({"attribute": "zone", "values": ["b", "a", "a"]}),
            json!({"attribute": "host", "limit": 2}),
        );
        let one = of(json!([zones, limit]));
        assert_eq!(of(json!([limit, {"attribute": "zone", "values": ["a", "b"], "negated": false}])), one);
        assert_eq!(of(json!([limit, zones, limit])), one);
        assert_ne!(of(json!([limit])), one);
        assert_ne!(of(json!([limit, {"attribute": "zone", "values": ["a", "b"], "negated": true}])), one);
        assert_ne!(of(json!([zones, {"attribute": "host", "limit": 3}])), one);
    }

    #[test]
    fn none_of_them_is_no_other_config() {
        let bare = revision(&json!({}));
        assert_eq!(revision(&json!({"constraints": []})), bare);
        assert_ne!(revision(&json!({"dedicated": "ads"})), bare);
    }

    #[test]
    fn what_contradicts_is_refused() {
        let said = |extra: Value| {
            check(&spec(&extra).task()).map_or_else(|error| error.to_string(), |()| String::new())
        };
        let spread = |key: &str, when: &str| json!([{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": {}}]);
        let limited = |own: Value| {
            said(json!({"constraints": [{"attribute": "host", "limit": 2}],
                        "template": {"spec": {"topologySpreadConstraints": own}}}))
        };
        assert_eq!(limited(spread("kubernetes.io/hostname", "ScheduleAnyway")), "");
        assert_eq!(limited(spread("zone", "DoNotSchedule")), "");
        assert!(
            limited(spread("kubernetes.io/hostname", "DoNotSchedule"))
                .contains("spec.constraints: limits host")
        );
        assert_eq!(
            said(json!({"constraints": [{"attribute": "zone", "values": ["a"]}], "dedicated": "ads/gpu"})),
            ""
        );
        for both in [json!({"attribute": "zone"}), json!({"attribute": "zone", "values": ["a"], "limit": 1})]
        {
            let said = said(json!({ "constraints": [both] }));
            assert_eq!(said, "spec.constraints: the one of zone must hold exactly one of values, limit");
        }
        let said = said(json!({"dedicated": "Ads"}));
        assert!(said.starts_with("spec.dedicated: \"Ads\" names no pool"), "{said}");
    }
}
