//! What a Pod demands of a node, read off its spec as the scheduler's filters read it.
//!
//! Translates only: whether a node satisfies it is told by `borealis_core::admit`. What can't be told there makes the
//! demand unknown, in words. Called by `claim`.

use std::sync::Arc;

use borealis_core::model::{Beside, Demand, Effect, HostPort, Spread, Toleration};
use k8s_openapi::{
    api::core::v1::{
        Container, Pod, PodAffinityTerm, PodSpec, Toleration as ApiToleration, TopologySpreadConstraint,
        Volume,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{claim::differs, selectors, shared::Names};
use crate::api::requests;

/// Reads a Pod's demand.
pub(super) fn read(pod: &Pod, names: &mut Names) -> Demand {
    let Some(spec) = &pod.spec else { return Demand::default() };
    let mut unknown = None;
    let selector = spec.node_selector.iter().flatten();
    let selector =
        selector.map(|(key, value)| (names.share(key.as_str()), names.share(value.as_str()))).collect();
    let affinity = spec.affinity.as_ref();
    let required = affinity.and_then(|affinity| {
        affinity.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
    });
    let apart = affinity.and_then(|affinity| {
        affinity.pod_anti_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
    });
    let beside = affinity.and_then(|affinity| {
        affinity.pod_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
    });
    let mut others = |terms: Option<&Vec<PodAffinityTerm>>, names: &mut Names| -> Vec<Beside> {
        terms.into_iter().flatten().filter_map(|term| other(term, names, &mut unknown)).collect()
    };
    let (apart, beside) = (others(apart, names), others(beside, names));
    let spread = spec.topology_spread_constraints.iter().flatten();
    let spread = spread
        .filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule")
        .map(|constraint| self::spread(constraint, &pod.metadata, names, &mut unknown))
        .collect();
    let unknown = unplaceable(spec).or(unknown);
    Demand {
        requests: requests::of_pod(spec, pod.status.as_ref()),
        selector,
        affinity: required.map(|selector| selectors::node_terms(selector, names)).unwrap_or_default(),
        tolerations: spec.tolerations.iter().flatten().filter_map(|it| toleration(it, names)).collect(),
        host_ports: host_ports(spec, names),
        spread,
        apart,
        beside,
        unknown,
    }
}

/// What the spec demands that can't be told from nodes and Pods.
fn unplaceable(spec: &PodSpec) -> Option<&'static str> {
    if let Some(words) = spec.volumes.iter().flatten().find_map(bound_volume) {
        return Some(words);
    }
    if spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        return Some("spec.resourceClaims: devices that are claimed");
    }
    spec.scheduling_group.is_some().then_some("spec.schedulingGroup: a group that is placed together")
}

/// Whether a volume decides over where its Pod can be.
fn bound_volume(volume: &Volume) -> Option<&'static str> {
    if volume.persistent_volume_claim.is_some() {
        return Some("spec.volumes: a volume claim");
    }
    if volume.ephemeral.is_some() {
        return Some("spec.volumes: an ephemeral volume");
    }
    let disk = volume.aws_elastic_block_store.is_some()
        || volume.gce_persistent_disk.is_some()
        || volume.azure_disk.is_some()
        || volume.cinder.is_some()
        || volume.vsphere_volume.is_some()
        || volume.portworx_volume.is_some()
        || volume.iscsi.is_some()
        || volume.rbd.is_some();
    disk.then_some("spec.volumes: a disk that is attached to its node")
}

fn toleration(toleration: &ApiToleration, names: &mut Names) -> Option<Toleration> {
    let value = toleration.value.as_deref().unwrap_or_default();
    let value = match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => None,
        "" | "Equal" => Some(names.share(value)),
        // Comparisons of numbers: what isn't borne for sure is not borne.
        _ => return None,
    };
    let effect = match toleration.effect.as_deref().unwrap_or_default() {
        "" => None,
        text => Some(effect(text)?),
    };
    let key = toleration.key.as_deref().filter(|key| !key.is_empty());
    Some(Toleration { key: key.map(|key| names.share(key)), value, effect })
}

/// The effect of a taint.
pub(super) fn effect(text: &str) -> Option<Effect> {
    Some(match text {
        "NoSchedule" => Effect::NoSchedule,
        "PreferNoSchedule" => Effect::PreferNoSchedule,
        "NoExecute" => Effect::NoExecute,
        _ => return None,
    })
}

/// Ports of the containers that last. Of a Pod in its host's network the API server has filled them in.
fn host_ports(spec: &PodSpec, names: &mut Names) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten().filter(|container| requests::is_sidecar(container));
    let ports = |container: &Container| container.ports.clone().unwrap_or_default();
    let all = sidecars.chain(&spec.containers).flat_map(ports);
    let read = |port: k8s_openapi::api::core::v1::ContainerPort| {
        let number = u16::try_from(port.host_port?).ok().filter(|number| *number > 0)?;
        let address = port.host_ip.filter(|address| !matches!(address.as_str(), "" | "0.0.0.0"));
        Some(HostPort {
            address: address.map(|address| names.share(address.as_str())),
            protocol: names.share(port.protocol.as_deref().unwrap_or("TCP")),
            port: number,
        })
    };
    all.filter_map(read).collect()
}

fn spread(
    constraint: &TopologySpreadConstraint,
    meta: &ObjectMeta,
    names: &mut Names,
    unknown: &mut Option<&'static str>,
) -> Spread {
    let mut selector = selectors::labels(constraint.label_selector.as_ref(), names);
    // A key that the Pod does not have is left out, and one that differs from Pod to Pod can't be looked for.
    for key in constraint.match_label_keys.iter().flatten() {
        if let Some(value) = meta.labels.as_ref().and_then(|labels| labels.get(key)) {
            selector.push(selectors::is(key, value, names));
        }
    }
    if selector.iter().any(|requirement| differs(&requirement.key)) {
        *unknown = Some("spec.topologySpreadConstraints: a label that differs from Pod to Pod");
    }
    let positive = |number: Option<i32>| u32::try_from(number.unwrap_or(1)).unwrap_or(1);
    Spread {
        key: names.share(constraint.topology_key.as_str()),
        max_skew: positive(Some(constraint.max_skew)),
        min_domains: positive(constraint.min_domains),
        selector: selectors::sorted(selector),
        honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
        honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
    }
}

/// A term about other Pods. The API server has folded its matchLabelKeys into its selector. One that chooses namespaces
/// by their labels is left out, and makes the demand unknown.
fn other(term: &PodAffinityTerm, names: &mut Names, unknown: &mut Option<&'static str>) -> Option<Beside> {
    if term.namespace_selector.is_some() {
        *unknown = Some("spec.affinity: namespaces by their labels");
        return None;
    }
    let selector = selectors::labels(term.label_selector.as_ref(), names);
    if selector.iter().any(|requirement| differs(&requirement.key)) {
        *unknown = Some("spec.affinity: a label that differs from Pod to Pod");
    }
    let mut namespaces: Vec<Arc<str>> =
        term.namespaces.iter().flatten().map(|namespace| names.share(namespace.as_str())).collect();
    namespaces.sort();
    Some(Beside {
        key: names.share(term.topology_key.as_str()),
        selector: selectors::sorted(selector),
        namespaces,
    })
}
