//! What keeps an instance from having two Pods at a time: `spec.update.maxSurge` is refused beside it.
//!
//! Two Pods of one instance would meet at the same port of a node or the same claim, or be one too many for a limit, and
//! the new one would wait for the old, which waits for the new. Called by `convert`.

use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};

use super::{AuroraServiceSpec, constraints};

/// What of a service two Pods of an instance can't share, in words; `None` where nothing is.
pub(super) fn obstacle(spec: &AuroraServiceSpec) -> Option<String> {
    of_template(&spec.template).or_else(|| constraints::obstacle(&spec.constraints))
}

fn of_template(template: &PodTemplateSpec) -> Option<String> {
    let spec = template.spec.as_ref()?;
    if spec.host_network == Some(true) {
        return Some("spec.template.spec.hostNetwork is true".to_owned());
    }
    host_port(spec).or_else(|| claim(spec)).or_else(|| limit(spec))
}

fn host_port(spec: &PodSpec) -> Option<String> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let port = |container: &Container| container.ports.iter().flatten().find_map(|port| port.host_port);
    let (name, port) = containers.into_iter().find_map(|it| Some((&it.name, port(it)?)))?;
    Some(format!("container {name} of spec.template has hostPort {port}"))
}

fn claim(spec: &PodSpec) -> Option<String> {
    let mut volumes = spec.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.persistent_volume_claim.is_some())?;
    Some(format!("volume {} of spec.template is a persistentVolumeClaim", volume.name))
}

/// A limit of Pods per domain: anti-affinity that is required, or a spread that takes missing domains for empty ones.
fn limit(spec: &PodSpec) -> Option<String> {
    let anti = spec.affinity.as_ref().and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let required = anti.and_then(|anti| anti.required_during_scheduling_ignored_during_execution.as_ref());
    if let Some(term) = required.and_then(|terms| terms.first()) {
        return Some(format!("spec.template requires anti-affinity over {}", term.topology_key));
    }
    let mut spread = spec.topology_spread_constraints.iter().flatten();
    let limit = spread.find(|it| it.when_unsatisfiable == "DoNotSchedule" && it.min_domains.is_some())?;
    Some(format!(
        "spec.template allows {} Pods for each {} (minDomains with DoNotSchedule)",
        limit.max_skew, limit.topology_key
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(spec: &Value) -> Option<String> {
        let mut spec = spec.clone();
        let containers = spec.get("containers").cloned().unwrap_or_else(|| json!([{"name": "main"}]));
        spec["containers"] = containers;
        of_template(&serde_json::from_value(json!({"spec": spec})).unwrap())
    }

    #[test]
    fn what_two_pods_cannot_share_is_named() {
        let spread = |extra: Value| {
            let mut spread =
                json!({"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"});
            spread.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json!({"topologySpreadConstraints": [spread]})
        };
        let anti = |kind: &str, terms: Value| json!({"affinity": {"podAntiAffinity": {kind: terms}}});
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        let ports = json!([{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}]);
        let rows = [
            (json!({}), None),
            (json!({"hostNetwork": false}), None),
            (json!({"hostNetwork": true}), Some("hostNetwork is true")),
            (
                json!({"containers": [{"name": "web", "ports": ports}]}),
                Some("container web of spec.template has hostPort 8081"),
            ),
            (json!({"initContainers": [{"name": "side", "ports": ports}]}), Some("container side")),
            (json!({"volumes": [{"name": "a", "emptyDir": {}}]}), None),
            (json!({"volumes": [{"name": "a", "ephemeral": {}}]}), None),
            (
                json!({"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]}),
                Some("volume a of spec.template is a persistentVolumeClaim"),
            ),
            (anti(required, json!([{"topologyKey": "host"}])), Some("requires anti-affinity over host")),
            (anti(required, json!([])), None),
            (anti(preferred, json!([{"weight": 1, "podAffinityTerm": {"topologyKey": "host"}}])), None),
            (spread(json!({})), None),
            (spread(json!({"minDomains": 9})), Some("allows 2 Pods for each zone")),
            (spread(json!({"minDomains": 9, "whenUnsatisfiable": "ScheduleAnyway"})), None),
        ];
        for (spec, words) in rows {
            let found = found(&spec);
            assert_eq!(found.is_some(), words.is_some(), "{spec}: {found:?}");
            assert!(found.unwrap_or_default().contains(words.unwrap_or_default()), "{spec}");
        }
    }

    #[test]
    fn a_limit_counts_both_pods_of_an_instance() {
        let found = |constraint: &Value| {
            let spec = json!({"constraints": [constraint], "template": {"spec": {"containers": [{"name": "main"}]}}});
            let object = json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService", "metadata": {}, "spec": spec});
            obstacle(&serde_json::from_value::<crate::api::AuroraService>(object).unwrap().spec)
        };
        assert_eq!(found(&json!({"attribute": "zone", "values": ["a"]})), None);
        let limited = found(&json!({"attribute": "host", "limit": 3})).unwrap();
        assert_eq!(limited, "spec.constraints limits Pods to 3 for each host");
    }
}
