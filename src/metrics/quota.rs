//! What is measured of quota, by role.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use borealis_core::{
    admit::ledger::{Report, Usage},
    model::Resources,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, signed};
use crate::api::amounts::{CPU, amount, amounts_of};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRole {
    role: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Amount {
    role: String,
    resource: String,
    /// `limit`, or what of it is used: `production`, `foreign`, and what counts for nothing: `dedicated`, `non_production`.
    part: &'static str,
}

/// What is measured of quota.
#[derive(Default)]
pub(super) struct Quota {
    amounts: Family<Amount, Gauge<f64, AtomicU64>>,
    held: Family<OfRole, Gauge>,
    /// The resources that are told of each role, to be taken back with it.
    told: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Quota {
    pub(super) fn register(&self, r: &mut Registry) {
        let quota = "Quota of each role and what of it is used, by resource: CPUs, bytes, units";
        r.register("quota", quota, self.amounts.clone());
        r.register("quota_held_services", "Services that wait for quota, by role", self.held.clone());
    }
}

impl Metrics {
    /// A role has this quota, and this of it is used.
    pub fn quota(&self, role: &str, report: &Report<'_>) {
        let Usage { production, dedicated, non_production } = report.usage;
        let none = Resources::NONE;
        let parts = [
            ("limit", report.quota.unwrap_or(&none)),
            ("production", production),
            ("foreign", report.foreign),
            ("dedicated", dedicated),
            ("non_production", non_production),
        ];
        // Whoever makes Pods may ask for resources of any name: those that nobody limits are no series.
        let limit = parts[0].1;
        let resources: BTreeSet<String> = amounts_of(limit).map(|(name, _)| name.to_owned()).collect();
        for (part, amounts) in parts {
            for resource in &resources {
                let amount = amount(amounts, resource);
                let label = Amount { role: role.to_owned(), resource: resource.clone(), part };
                self.0.quota.amounts.get_or_create(&label).set(whole(resource, amount));
            }
        }
        self.0.quota.held.get_or_create(&OfRole { role: role.to_owned() }).set(signed(report.held));
        let mut told = self.0.quota.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.insert(role.to_owned(), resources.clone()).unwrap_or_default();
        self.take_back(role, before.difference(&resources));
    }

    /// There is no such role any more.
    pub fn no_quota(&self, role: &str) {
        let mut told = self.0.quota.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(resources) = told.remove(role) else { return };
        self.take_back(role, resources.iter());
        self.0.quota.held.remove(&OfRole { role: role.to_owned() });
    }

    fn take_back<'a>(&self, role: &str, resources: impl Iterator<Item = &'a String>) {
        for resource in resources {
            for part in ["limit", "production", "foreign", "dedicated", "non_production"] {
                let label = Amount { role: role.to_owned(), resource: resource.clone(), part };
                self.0.quota.amounts.remove(&label);
            }
        }
    }
}

/// An amount in whole units.
#[expect(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]
fn whole(resource: &str, amount: i64) -> f64 {
    if resource == CPU { amount as f64 / 1_000.0 } else { amount as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus(names: &[&str]) -> Resources {
        let extended = names.iter().map(|name| ((*name).into(), 2)).collect();
        Resources { cpu_milli: 1_500, extended, ..Resources::NONE }
    }

    #[test]
    fn only_what_is_limited_is_a_series_of_its_own() {
        let metrics = Metrics::default();
        let usage = Usage { production: gpus(&["a/gpu", "b/odd"]), ..Usage::default() };
        let (foreign, namespaces) = (gpus(&["c/odder"]), BTreeMap::new());
        let series = |quota: Option<&Resources>| {
            let report = Report {
                quota,
                usage: &usage,
                foreign: &foreign,
                namespaces: &namespaces,
                over: Resources::NONE,
                held: 0,
                first_held: Vec::new(),
            };
            metrics.quota("ads", &report);
            let text = metrics.print(&crate::lease::fence().1).unwrap();
            let all = text.lines().filter_map(|line| line.strip_prefix("borealis_quota{"));
            let production = all.filter(|line| line.contains(r#"part="production""#));
            let mut said: Vec<_> = production
                .map(|line| {
                    let (labels, value) = line.split_once("} ").unwrap();
                    let (_, resource) = labels.split_once(r#"resource=""#).unwrap();
                    format!("{} {value}", resource.split('"').next().unwrap())
                })
                .collect();
            said.sort();
            said
        };
        assert_eq!(series(None), ["cpu 1.5", "ephemeral-storage 0.0", "memory 0.0"]);
        assert_eq!(
            series(Some(&gpus(&["a/gpu"]))),
            ["a/gpu 2.0", "cpu 1.5", "ephemeral-storage 0.0", "memory 0.0"]
        );
        assert_eq!(series(None).len(), 3, "what is limited no more goes");
    }
}
