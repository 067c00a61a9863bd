//! Tier and AuroraRole: their specs to the words of the model.

use std::sync::Arc;

use borealis_core::model;

use super::number;
use crate::api::tier::Preemption;
use crate::api::{AuroraRole, Invalid, Tier, quantity};

/// The bounds of the schema, once more: a stored object may be of another version.
const DAY: i32 = 86_400;

/// A tier as decisions know it.
///
/// # Errors
/// When the spec cannot be acted upon; the text is made for its condition.
pub fn tier(object: &Tier) -> Result<model::Tier, Invalid> {
    let spec = &object.spec;
    if spec.revocable && !spec.preemptible {
        let reason = "is false, but spec.revocable is true; set it to true".to_owned();
        return Err(Invalid::Field { field: "spec.preemptible", reason });
    }
    number("spec.band", spec.band, 0, 1_000_000_000)?;
    let grace = spec.grace_seconds.map(|seconds| number("spec.graceSeconds", seconds, 0, DAY)).transpose()?;
    Ok(model::Tier {
        name: object.metadata.name.as_deref().unwrap_or_default().into(),
        preemptible: spec.preemptible,
        revocable: spec.revocable,
        band: spec.band,
        preemption: match spec.preemption {
            Preemption::Borealis if spec.dry_run => model::Preemption::DryRun,
            Preemption::Borealis => model::Preemption::Borealis,
            Preemption::Scheduler => model::Preemption::Scheduler,
        },
        preemption_delay_seconds: number(
            "spec.preemptionDelaySeconds",
            spec.preemption_delay_seconds,
            0,
            DAY,
        )?,
        min_runtime_seconds: number("spec.minRuntimeSeconds", spec.min_runtime_seconds, 0, 7 * DAY)?,
        grace_seconds: grace,
    })
}

/// A role as decisions know it.
///
/// # Errors
/// As [`tier`].
pub fn role(object: &AuroraRole) -> Result<model::Role, Invalid> {
    let spec = &object.spec;
    for (name, amount) in &spec.quota {
        // A quota that says nothing must not allow everything.
        if quantity::nanos(amount).is_none_or(|nanos| nanos < 0) {
            let reason =
                format!("{name}: \"{}\" is no amount; write one such as 0, 40, 500m or 1Ti", amount.0);
            return Err(Invalid::Field { field: "spec.quota", reason });
        }
    }
    let quota = quantity::resources(Some(&spec.quota));
    let default_tier: Arc<str> = spec.default_tier().into();
    let mut tiers = sorted(&spec.tiers);
    if tiers.is_empty() {
        tiers.push(Arc::clone(&default_tier));
    }
    if !tiers.contains(&default_tier) {
        let reason =
            format!("\"{default_tier}\" is none of spec.tiers; add it there, or choose another default");
        return Err(Invalid::Field { field: "spec.defaultTier", reason });
    }
    Ok(model::Role {
        name: object.metadata.name.as_deref().unwrap_or_default().into(),
        quota,
        weight: number("spec.weight", spec.weight, 1, 1_000)?,
        default_tier,
        tiers,
        dedicated: sorted(&spec.dedicated),
        max_victims_per_minute: number("spec.maxVictimsPerMinute", spec.max_victims_per_minute, 0, 100_000)?,
    })
}

fn sorted(names: &[String]) -> Vec<Arc<str>> {
    let mut sorted: Vec<Arc<str>> = names.iter().map(|name| name.as_str().into()).collect();
    sorted.sort();
    sorted.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_tier(spec: &Value) -> Result<model::Tier, String> {
        let object = json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": "t"}, "spec": spec});
        tier(&serde_json::from_value(object).unwrap()).map_err(|error| error.to_string())
    }

    fn read_role(spec: &Value) -> Result<model::Role, String> {
        let mut object = json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraRole",
            "metadata": {"name": "web"}, "spec": spec});
        object["spec"]["namespaces"] = json!({"matchLabels": {"team": "web"}});
        role(&serde_json::from_value(object).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_minimal_tier_has_its_defaults() {
        let expected = model::Tier {
            name: "t".into(),
            preemptible: true,
            revocable: false,
            band: 7,
            preemption: model::Preemption::Borealis,
            preemption_delay_seconds: 5,
            min_runtime_seconds: 0,
            grace_seconds: None,
        };
        assert_eq!(read_tier(&json!({"preemptible": true, "band": 7})), Ok(expected));
    }

    #[test]
    fn only_what_borealis_makes_room_for_can_be_on_trial() {
        for (preemption, expected) in
            [("Borealis", model::Preemption::DryRun), ("Scheduler", model::Preemption::Scheduler)]
        {
            let spec = json!({"preemptible": false, "band": 7, "preemption": preemption, "dryRun": true});
            assert_eq!(read_tier(&spec).unwrap().preemption, expected);
        }
    }

    #[test]
    fn a_tier_that_no_schema_let_through_is_refused() {
        for (spec, field) in [
            (json!({"preemptible": false, "revocable": true, "band": 1}), "spec.preemptible"),
            (json!({"preemptible": true, "band": -1}), "spec.band"),
            (json!({"preemptible": true, "band": 1, "graceSeconds": -1}), "spec.graceSeconds"),
            (json!({"preemptible": true, "band": 1, "minRuntimeSeconds": -1}), "spec.minRuntimeSeconds"),
        ] {
            let error = read_tier(&spec).unwrap_err();
            assert!(error.starts_with(field), "{error}");
        }
    }

    #[test]
    fn a_minimal_role_may_use_the_default_tier_and_nothing_of_quota() {
        let role = read_role(&json!({})).unwrap();
        assert!(role.quota.is_none() && role.allows("preemptible") && !role.allows("preferred"));
        assert_eq!((&*role.default_tier, role.tiers.len(), role.weight), ("preemptible", 1, 1));
    }

    #[test]
    fn a_role_is_read() {
        let spec = json!({"quota": {"cpu": "1.5", "nvidia.com/gpu": 4}, "tiers": ["preferred", "cheap", "preferred"],
            "defaultTier": "cheap", "dedicated": ["gpu"], "weight": 3, "maxVictimsPerMinute": 9});
        let role = read_role(&spec).unwrap();
        assert_eq!((role.quota.cpu_milli, role.quota.extended("nvidia.com/gpu")), (1_500, 4));
        assert_eq!(role.tiers, ["cheap".into(), "preferred".into()]);
        assert!(role.may_use("gpu") && !role.may_use("cpu"));
        assert_eq!((role.weight, role.max_victims_per_minute), (3, 9));
    }

    #[test]
    fn a_role_that_no_schema_let_through_is_refused() {
        for (spec, field) in [
            (json!({"quota": {"cpu": "-1"}}), "spec.quota"),
            (json!({"quota": {"nvidia.com/gpu": "-1"}}), "spec.quota"),
            (json!({"quota": {"cpu": "many"}}), "spec.quota"),
            (json!({"tiers": ["preferred"]}), "spec.defaultTier"),
            (json!({"weight": 0}), "spec.weight"),
        ] {
            let error = read_role(&spec).unwrap_err();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
