//! What a Pod takes of its node: the sum of what its containers request, as the scheduler counts it.
//!
//! The rule is `PodRequests` of Kubernetes 1.36 (component-helpers): the greater, resource by resource, of all regular
//! containers and sidecars together and of each init container with the sidecars before it; amounts of the Pod itself
//! (`spec.resources`) in the place of the sum; then its overhead. While a change of resources in place is under way a
//! container counts with the greatest of what is wanted, what was allotted and what it has, and with the latter two
//! where its node never can. What is beyond any node counts as the most there is. Pure; called by the index, and by whoever charges a template.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodSpec, PodStatus, ResourceRequirements};

use super::quantity::Amounts;
use borealis_core::model::Resources;

/// What a Pod takes, by its spec and what its status says of resources.
#[must_use]
pub fn of_pod(spec: &PodSpec, status: Option<&PodStatus>) -> Resources {
    let infeasible = status.is_some_and(is_infeasible);
    let statuses = || {
        let regular = status.and_then(|status| status.container_statuses.as_ref());
        let init = status.and_then(|status| status.init_container_statuses.as_ref());
        regular.into_iter().chain(init).flatten()
    };
    let requests = |container: &Container| {
        let wanted = requested(container.resources.as_ref());
        let found = statuses().find(|status| status.name == container.name);
        found.map_or(wanted.clone(), |found| in_effect(wanted, found, infeasible))
    };
    // An init container that ends is never changed in place.
    let once = |container: &Container| requested(container.resources.as_ref());
    let mut sum = containers(spec, requests, once);
    let own = requested(spec.resources.as_ref());
    if own.names(is_of_pods) {
        let given = status.and_then(|status| {
            let actual = requested(Some(status.resources.as_ref()?));
            Some((actual, Amounts::of(status.allocated_resources.as_ref())))
        });
        let in_effect = given.map_or(own.clone(), |given| greatest(own.clone(), given, infeasible));
        sum.replace(&in_effect, |name| is_of_pods(name) && own.names(|own| own == name));
    }
    sum.add(&Amounts::of(spec.overhead.as_ref()));
    sum.resources().of_one_pod()
}

/// What a Pod of this template will take: where a container requests nothing of a resource its limit counts, and where
/// none does the Pod's, as the API server fills it in.
#[must_use]
pub fn of_template(spec: &PodSpec) -> Resources {
    let filled = |resources: Option<&ResourceRequirements>| {
        let mut requests = requested(resources);
        requests.fill_in(&Amounts::of(resources.and_then(|resources| resources.limits.as_ref())));
        requests
    };
    let requests = |container: &Container| filled(container.resources.as_ref());
    let mut sum = containers(spec, requests, requests);
    sum.replace(&requested(spec.resources.as_ref()), is_of_pods);
    // Of a resource that neither requests, the Pod's limit does.
    let mut limits = Amounts::default();
    let limit = spec.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    limits.replace(&Amounts::of(limit), is_of_pods);
    sum.fill_in(&limits);
    sum.add(&Amounts::of(spec.overhead.as_ref()));
    sum.resources().of_one_pod()
}

/// All containers, given what each of those requests that go on and those that end.
fn containers(
    spec: &PodSpec,
    lasting: impl Fn(&Container) -> Amounts,
    once: impl Fn(&Container) -> Amounts,
) -> Amounts {
    let mut sum = Amounts::default();
    for container in &spec.containers {
        sum.add(&lasting(container));
    }
    let (mut sidecars, mut most) = (Amounts::default(), Amounts::default());
    for container in spec.init_containers.iter().flatten() {
        if is_sidecar(container) {
            let requests = lasting(container);
            sum.add(&requests);
            sidecars.add(&requests);
            most.max(&sidecars);
        } else {
            let mut alone = once(container);
            alone.add(&sidecars);
            most.max(&alone);
        }
    }
    sum.max(&most);
    sum
}

/// Whether an init container goes on beside the regular ones.
#[must_use]
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn requested(resources: Option<&ResourceRequirements>) -> Amounts {
    Amounts::of(resources.and_then(|resources| resources.requests.as_ref()))
}

fn in_effect(wanted: Amounts, status: &ContainerStatus, infeasible: bool) -> Amounts {
    let Some(actual) = &status.resources else { return wanted };
    let given = (requested(Some(actual)), Amounts::of(status.allocated_resources.as_ref()));
    greatest(wanted, given, infeasible)
}

fn greatest(wanted: Amounts, (actual, allotted): (Amounts, Amounts), infeasible: bool) -> Amounts {
    let mut greatest = if infeasible { Amounts::default() } else { wanted };
    greatest.max(&actual);
    greatest.max(&allotted);
    greatest
}

/// Whether its node said that it never can have what it wants.
fn is_infeasible(status: &PodStatus) -> bool {
    let pending = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodResizePending");
    pending.is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible"))
}

/// Resources that a Pod can request as a whole.
fn is_of_pods(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cpu(spec: Value, status: Value) -> i64 {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let status: PodStatus = serde_json::from_value(status).unwrap();
        of_pod(&spec, Some(&status)).cpu_milli
    }

    fn takes(cpu: &str) -> Value {
        json!({"requests": {"cpu": cpu}})
    }

    #[test]
    fn containers_init_containers_and_sidecars_count_as_the_scheduler_counts_them() {
        let main =
            json!([{"name": "a", "resources": takes("100m")}, {"name": "b", "resources": takes("200m")}]);
        let once = |cpu: &str| json!({"name": "i", "resources": takes(cpu)});
        let sidecar = |cpu: &str| json!({"name": "s", "restartPolicy": "Always", "resources": takes(cpu)});
        for (init, wanted, why) in [
            (json!([]), 300, "the sum"),
            (json!([once("250m")]), 300, "a small init container is nothing"),
            (json!([once("400m"), once("350m")]), 400, "the greatest one counts"),
            (json!([sidecar("50m")]), 350, "a sidecar goes on beside the others"),
            (json!([sidecar("50m"), once("400m")]), 450, "an init container with the sidecar before it"),
            (json!([once("400m"), sidecar("50m")]), 400, "not with one after it"),
            (json!([sidecar("50m"), sidecar("500m"), once("1m")]), 850, "all sidecars"),
        ] {
            assert_eq!(cpu(json!({"containers": main, "initContainers": init}), json!({})), wanted, "{why}");
        }
    }

    #[test]
    fn the_pods_own_amounts_and_its_overhead_count() {
        let spec = |own: Value| {
            json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "100m", "example.com/gpu": "2"}}}],
                "resources": own, "overhead": {"cpu": "10m"}})
        };
        assert_eq!(cpu(spec(json!({})), json!({})), 110);
        assert_eq!(cpu(spec(takes("70m")), json!({})), 80, "also where it is less");
        let limits: PodSpec = serde_json::from_value(spec(json!({"limits": {"cpu": "500m"}}))).unwrap();
        assert_eq!(of_pod(&limits, None).cpu_milli, 110, "a limit is no request");
        assert_eq!(of_pod(&limits, None).extended("example.com/gpu"), 2);
        assert_eq!(of_template(&limits).cpu_milli, 110, "nor where the containers request something");
        let bare: PodSpec = serde_json::from_value(json!({"containers": [{"name": "a"}],
            "resources": {"limits": {"cpu": "500m", "example.com/gpu": "1"}}}))
        .unwrap();
        assert_eq!(
            of_template(&bare),
            Resources { cpu_milli: 500, ..Resources::NONE },
            "but it will be otherwise"
        );
        let allotted = json!({"resources": takes("90m"), "allocatedResources": {"cpu": "95m"}});
        assert_eq!(cpu(spec(takes("70m")), allotted), 105);
    }

    #[test]
    fn while_it_is_changed_in_place_the_greatest_amount_counts() {
        let spec = |cpu: &str| json!({"containers": [{"name": "a", "resources": takes(cpu)}]});
        let status = |actual: &str, allotted: &str, reason: &str| {
            json!({"containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "resources": takes(actual), "allocatedResources": {"cpu": allotted}}],
                "conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}]})
        };
        for (wanted, actual, allotted, reason, counts) in [
            ("100m", "100m", "100m", "", 100),
            ("300m", "100m", "100m", "Deferred", 300),
            ("300m", "100m", "200m", "Infeasible", 200),
            ("100m", "300m", "100m", "", 300),
            ("100m", "100m", "300m", "", 300),
        ] {
            let seen = cpu(spec(wanted), status(actual, allotted, reason));
            assert_eq!(seen, counts, "{wanted} {actual} {allotted} {reason}");
        }
        let without = json!({"containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true,
            "restartCount": 0, "allocatedResources": {"cpu": "900m"}}]});
        assert_eq!(cpu(spec("100m"), without), 100, "its node says nothing of resources");
    }

    #[test]
    fn a_template_counts_limits_where_it_requests_nothing() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "a", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}}],
            "initContainers": [{"name": "i", "resources": {"limits": {"memory": "3Gi"}}}],
        }))
        .unwrap();
        let wanted = Resources { cpu_milli: 1_000, memory: 3 << 30, ..Resources::NONE };
        assert_eq!(of_template(&spec), wanted);
    }

    #[test]
    fn what_no_node_has_counts_as_the_most_there_is() {
        let spec = json!({"containers": [{"name": "a", "resources": takes("9E")}, {"name": "b", "resources": takes("9E")}]});
        assert_eq!(cpu(spec.clone(), json!({})), Resources::MOST_OF_A_POD);
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        assert_eq!(of_template(&spec).cpu_milli, Resources::MOST_OF_A_POD);
    }
}
