//! Builds the objects beside the Pods of a service: its PodDisruptionBudget and its headless Service.
//!
//! Pure, as `pods`. When they are created, changed or removed is the plan's business; an object of the
//! wanted name that is not the service's is never overwritten (that check is the executor's).

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

use super::pods::Job;
use crate::api::settings::Sla;
use crate::api::{TaskConfig, labels};

/// Instances that must stay up when Pods are moved on purpose.
///
/// Without an SLA all but 5 percent, or all but one. Whatever is asked, one instance may be down, or
/// no node with an instance could ever be drained.
#[must_use]
pub fn min_available(sla: Option<&Sla>, instances: u32) -> u32 {
    let at_most = instances.saturating_sub(1);
    let wanted = match sla.map(|sla| (sla.count, sla.percentage)) {
        Some((Some(count), _)) => u32::try_from(count).unwrap_or_default(),
        Some((None, Some(share))) => {
            let share = u64::try_from(share).unwrap_or_default();
            u32::try_from((u64::from(instances) * share).div_ceil(100)).unwrap_or(u32::MAX)
        }
        Some((None, None)) | None => instances - instances / 20,
    };
    wanted.min(at_most)
}

/// The PodDisruptionBudget of a service; its name is the service's.
///
/// Pods that are not Ready may always be evicted: they serve nobody, and must not block a drain.
#[must_use]
pub fn build_pdb(job: &Job<'_>, sla: Option<&Sla>, instances: u32) -> PodDisruptionBudget {
    let minimum = i32::try_from(min_available(sla, instances)).unwrap_or(i32::MAX);
    PodDisruptionBudget {
        metadata: child_metadata(job),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(minimum)),
            max_unavailable: None,
            selector: Some(LabelSelector { match_labels: Some(live_pods(job)), match_expressions: None }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        status: None,
    }
}

/// The headless Service that gives instances stable DNS names; its name is the service's.
///
/// Only instances that are Ready have a name: a client of Aurora's announcer saw starting ones too,
/// and its users asked for this instead.
#[must_use]
pub fn build_headless_service(job: &Job<'_>, config: &TaskConfig) -> Service {
    Service {
        metadata: child_metadata(job),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(live_pods(job)),
            ports: Some(service_ports(config)).filter(|ports| !ports.is_empty()),
            publish_not_ready_addresses: Some(false),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// One port per number and protocol of the template's containers, each with a name of its own.
fn service_ports(config: &TaskConfig) -> Vec<ServicePort> {
    let spec = config.template.spec.as_ref();
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let mut ports: Vec<ServicePort> = Vec::new();
    for port in containers.iter().flat_map(|container| container.ports.iter().flatten()) {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let same = |known: &ServicePort| {
            known.port == port.container_port && known.protocol.as_ref() == Some(&protocol)
        };
        if ports.iter().any(same) {
            continue;
        }
        let fallback = format!("{}-{}", protocol.to_lowercase(), port.container_port);
        let taken = |name: &String| ports.iter().any(|known| known.name.as_ref() == Some(name));
        let name = port.name.clone().filter(|name| !taken(name)).unwrap_or(fallback);
        ports.push(ServicePort {
            name: Some(name),
            port: port.container_port,
            target_port: Some(IntOrString::Int(port.container_port)),
            protocol: Some(protocol),
            ..ServicePort::default()
        });
    }
    ports
}

fn live_pods(job: &Job<'_>) -> BTreeMap<String, String> {
    [(labels::SERVICE.to_owned(), job.service.to_owned()), (labels::LIVE.to_owned(), labels::TRUE.to_owned())]
        .into()
}

fn child_metadata(job: &Job<'_>) -> ObjectMeta {
    ObjectMeta {
        name: Some(job.service.to_owned()),
        namespace: Some(job.namespace.to_owned()),
        labels: Some(
            [
                (labels::SERVICE.to_owned(), job.service.to_owned()),
                (labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned()),
            ]
            .into(),
        ),
        owner_references: Some(vec![job.owner()]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borealis_core::model::JobKind;
    use serde_json::json;

    const JOB: Job<'_> = Job {
        kind: JobKind::Service,
        namespace: "prod",
        service: "web",
        uid: "u-1",
        key: "east/ads/default/web",
        role: "ads",
        scheduled: None,
    };

    #[test]
    fn one_instance_may_always_be_down() {
        let count = |n| Some(Sla { count: Some(n), percentage: None });
        let share = |n| Some(Sla { count: None, percentage: Some(n) });
        for (sla, instances, expected) in [
            (None, 0, 0),
            (None, 1, 0),
            (None, 3, 2),
            (None, 20, 19),
            (None, 39, 38),
            (None, 40, 38),
            (None, 200, 190),
            (count(1), 1, 0),
            (count(2), 5, 2),
            (count(9), 5, 4),
            (share(0), 5, 0),
            (share(50), 5, 3),
            (share(95), 200, 190),
            (share(100), 200, 199),
            (share(99), 10_000, 9_900),
        ] {
            assert_eq!(min_available(sla.as_ref(), instances), expected, "{sla:?} of {instances}");
        }
    }

    #[test]
    fn the_budget_selects_live_pods() {
        let budget = serde_json::to_value(build_pdb(&JOB, None, 200)).unwrap();
        assert_eq!(
            budget["spec"],
            json!({
                "minAvailable": 190,
                "selector": {"matchLabels": {"borealis.dev/service": "web", "borealis.dev/live": "true"}},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            })
        );
        assert_eq!(budget["metadata"]["ownerReferences"][0]["uid"], "u-1");
        assert_eq!(budget["metadata"]["name"], "web");
    }

    #[test]
    fn the_headless_service_has_the_ports_of_the_template() {
        let config: TaskConfig = serde_json::from_value(json!({"tier": "t", "template": {"spec": {"containers": [
            {"name": "a", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]},
            {"name": "b", "ports": [{"containerPort": 80, "name": "again"}, {"containerPort": 81, "name": "http"}]},
        ]}}}))
        .unwrap();
        let service = serde_json::to_value(build_headless_service(&JOB, &config)).unwrap();
        assert_eq!(
            service["spec"],
            json!({
                "clusterIP": "None",
                "publishNotReadyAddresses": false,
                "selector": {"borealis.dev/service": "web", "borealis.dev/live": "true"},
                "ports": [
                    {"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"},
                    {"name": "udp-53", "port": 53, "targetPort": 53, "protocol": "UDP"},
                    {"name": "tcp-81", "port": 81, "targetPort": 81, "protocol": "TCP"},
                ],
            })
        );
        let none = build_headless_service(&JOB, &TaskConfig::default());
        assert_eq!(none.spec.unwrap().ports, None);
    }
}
