//! Whether what was read is as it has to be, and what to do where it is not. Pure: it asks nobody, and reads no clock.

use k8s_openapi::{
    api::{
        admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
        coordination::v1::Lease,
    },
    apimachinery::pkg::version::Info,
};
use kube::ResourceExt;

use crate::{
    admission::{Support, TooOld, judge},
    api::{GROUP, Tier, VERSION, conditions::READY},
    apply::TERM_POLICY,
};

/// What was found, or what is missing and the remedy.
pub(super) type Verdict = Result<String, String>;

/// The admission policies that are installed with the operator.
pub(super) const POLICIES: [&str; 8] = [
    TERM_POLICY,
    "borealis-pods",
    "borealis-bindings",
    "borealis-classes",
    "borealis-namespaces",
    "borealis-runs",
    "borealis-tiers",
    "borealis-quota",
];

pub(super) fn version(version: &Info) -> Verdict {
    let found = format!("{}.{}", version.major, version.minor);
    match judge(version) {
        Support::Tested => Ok(format!("Kubernetes {found}")),
        Support::Untested => Ok(format!("Kubernetes {found}, which should do but is not tested")),
        Support::None => Err(TooOld { found }.to_string()),
    }
}

pub(super) fn kinds(missing: &[String]) -> Verdict {
    if missing.is_empty() {
        return Ok(format!("all of {GROUP}/{VERSION} are served"));
    }
    let missing = missing.join(", ");
    Err(format!("{missing}; install or upgrade the chart borealis-crds, or apply crds/"))
}

/// Whether somebody holds the Lease and has renewed it since it was first seen. By its own times alone: clocks differ.
pub(super) fn lease(namespace: &str, name: &str, first: Option<&Lease>, now: Option<&Lease>) -> Verdict {
    let look = format!(
        "look at `kubectl --namespace {namespace} get pods` and `kubectl --namespace {namespace} logs deployment/borealis`"
    );
    let spec = now.and_then(|lease| lease.spec.as_ref());
    let Some(spec) = spec else {
        return Err(format!("there is no Lease {namespace}/{name}: no replica has ever acted; {look}"));
    };
    let Some(holder) = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty()) else {
        return Err(format!("nobody holds the Lease {namespace}/{name}; {look}"));
    };
    let at = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|it| it.0);
    let (before, renewed) = (first.map(at), now.and_then(at));
    match renewed {
        Some(time) if before.is_some_and(|before| before != renewed) => {
            let term = spec.lease_transitions.unwrap_or_default();
            Ok(format!("{holder} holds {namespace}/{name} in term {term}, and has renewed it at {time}"))
        }
        _ => Err(format!(
            "{holder} holds the Lease {namespace}/{name}, but was not seen to renew it: it may have ended; {look}"
        )),
    }
}

/// Whether these tiers are there and Ready as they are now; where none is named, all that there are.
pub(super) fn tiers(wanted: &[String], found: &[Tier]) -> Verdict {
    if wanted.is_empty() && found.is_empty() {
        return Err(
            "there are none; install or upgrade the chart borealis, or apply deploy/15-tiers.yaml".into()
        );
    }
    let mut names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = found.iter().filter_map(|tier| tier.metadata.name.as_deref()).collect();
    }
    let wrong: Vec<String> = names
        .iter()
        .filter_map(|name| match found.iter().find(|tier| tier.name_any() == **name) {
            None => Some(format!("{name} is not there, which an upgrade of the chart borealis makes")),
            Some(tier) => not_ready(tier).map(|why| format!("{name} {why}")),
        })
        .collect();
    if wrong.is_empty() { Ok(format!("{} are Ready", names.join(", "))) } else { Err(wrong.join("; ")) }
}

/// Why a tier is not Ready as its spec is now.
fn not_ready(tier: &Tier) -> Option<String> {
    let status = tier.status.as_ref().filter(|it| it.observed_generation == tier.metadata.generation);
    let ready = status.and_then(|status| status.conditions.iter().find(|it| it.type_ == READY));
    match ready {
        None => Some("was not looked at yet by the operator; its log says why".to_owned()),
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(format!("is not Ready: {}: {}", ready.reason, ready.message)),
    }
}

/// Whether each policy is there and denies what it is against.
pub(super) fn policies(
    found: &[ValidatingAdmissionPolicy],
    bindings: &[ValidatingAdmissionPolicyBinding],
) -> Verdict {
    let is_there = |name: &str| found.iter().any(|policy| policy.name_any() == name);
    let denies = |name: &str| {
        bindings.iter().map(|binding| &binding.spec).any(|spec| {
            spec.policy_name == name && spec.validation_actions.iter().any(|action| action == "Deny")
        })
    };
    let wrong: Vec<String> = POLICIES
        .into_iter()
        .filter_map(|name| match (is_there(name), denies(name)) {
            (false, _) => Some(format!("{name} is not there")),
            (true, false) => Some(format!("{name} has no binding by which it denies")),
            (true, true) => None,
        })
        .collect();
    if wrong.is_empty() {
        return Ok(format!("all {} are there and deny", POLICIES.len()));
    }
    let wrong = wrong.join(", ");
    Err(format!("{wrong}; install or upgrade the chart borealis, or apply deploy/"))
}

#[cfg(test)]
mod tests;
