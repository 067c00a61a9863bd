//! Whether a service may be of its tier and on its nodes, and which of its role's sums it is then part of.
//!
//! Pure. Called for each plan and by the quota loop.

use borealis_core::{
    model::{Bucket, Service, Tier, reasons},
    plan::Problem,
};

use crate::{api::tier::DEFAULT_TIER, index::Tenant};

/// The sum the service is part of.
///
/// # Errors
/// Why it must not be: its tier is not there or not its role's, or the nodes are kept for others.
pub fn bucket(service: &Service, tenant: &Tenant, tier: Option<&Tier>) -> Result<Bucket, Problem> {
    let (work, role) = (&service.work, &tenant.role);
    // Without the default tier no Pod can be made, which is said where that is tried; quota has no part in it.
    if tier.is_none() && *work.tier == *DEFAULT_TIER && work.dedicated.is_none() {
        return Ok(Bucket::NonProduction);
    }
    let Some(tier) = tier else {
        let message = format!(
            "there is no Tier \"{}\", which spec.tier asks for; create it, or use one of {}",
            work.tier,
            role.tiers.join(", ")
        );
        return Err(refused(reasons::TIER_MISSING, message));
    };
    if !role.allows(&tier.name) {
        let remedy = if tenant.claimed {
            format!(
                "use one of {}, or have it added to spec.tiers of AuroraRole {}",
                role.tiers.join(", "),
                role.name
            )
        } else {
            format!(
                "use {}, or have an AuroraRole made whose spec.namespaces selects the namespace",
                role.tiers.join(", ")
            )
        };
        let message = format!(
            "role {} may not use tier \"{}\", which spec.tier asks for; {remedy}",
            role.name, tier.name
        );
        return Err(refused(reasons::TIER_NOT_ALLOWED, message));
    }
    let Some(pool) = &work.dedicated else {
        return Ok(if tier.is_production() { Bucket::Production } else { Bucket::NonProduction });
    };
    if !pool.is_open_to(&role.name, role.dedicated.iter().map(|pool| &**pool)) {
        let message = format!(
            "role {} may not use the dedicated nodes \"{pool}\", which spec.dedicated asks for; remove it, or have the \
             pool added to spec.dedicated of AuroraRole {}",
            role.name, role.name
        );
        return Err(refused(reasons::DEDICATED_NOT_ALLOWED, message));
    }
    Ok(Bucket::Dedicated)
}

fn refused(reason: &'static str, message: String) -> Problem {
    Problem { reason, message, blocks: false }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use borealis_core::model::{Preemption, Resources, Role, Work};

    use super::*;

    fn tenant(claimed: bool) -> Tenant {
        let role = Role {
            name: "ads".into(),
            quota: Resources::NONE,
            weight: 1,
            default_tier: "preemptible".into(),
            tiers: vec!["preemptible".into(), "preferred".into()],
            dedicated: vec!["ads/fast".into()],
            max_victims_per_minute: 1,
        };
        Tenant { role: Arc::new(role), claimed, environment: "default".into() }
    }

    fn tier(name: &str, preemptible: bool, revocable: bool) -> Tier {
        Tier {
            name: name.into(),
            preemptible,
            revocable,
            band: 1,
            preemption: Preemption::Borealis,
            preemption_delay_seconds: 5,
            min_runtime_seconds: 0,
            grace_seconds: None,
        }
    }

    fn service(tier: &str, dedicated: Option<&str>) -> Service {
        let mut service = crate::index::no_service();
        let dedicated = dedicated.map(|pool| pool.parse().unwrap());
        service.work = Work { tier: tier.into(), dedicated, ..Work::default() };
        service
    }

    #[test]
    fn work_is_told_apart_by_its_tier_and_its_nodes() {
        use Bucket::{Dedicated, NonProduction, Production};
        let (preferred, preemptible) = (tier("preferred", false, false), tier("preemptible", true, false));
        let (spare, odd) = (tier("revocable", true, true), tier("preferred", false, true));
        for (asked, pool, tier, claimed, expected) in [
            ("preferred", None, Some(&preferred), true, Ok(Production)),
            ("preferred", None, Some(&odd), true, Ok(NonProduction)),
            ("preemptible", None, Some(&preemptible), true, Ok(NonProduction)),
            ("preemptible", None, None, true, Ok(NonProduction)),
            ("preferred", Some("ads/fast"), Some(&preferred), true, Ok(Dedicated)),
            ("preemptible", Some("ads/fast"), Some(&preemptible), true, Ok(Dedicated)),
            ("preferred", None, None, true, Err("there is no Tier \"preferred\"")),
            ("revocable", None, Some(&spare), true, Err("added to spec.tiers of AuroraRole ads")),
            ("revocable", None, Some(&spare), false, Err("an AuroraRole made whose spec.namespaces")),
            (
                "preferred",
                Some("ads/slow"),
                Some(&preferred),
                true,
                Err("added to spec.dedicated of AuroraRole ads"),
            ),
            ("preferred", Some("other/fast"), Some(&preferred), true, Err("may not use the dedicated nodes")),
        ] {
            let found = bucket(&service(asked, pool), &tenant(claimed), tier);
            let same = match (&found, expected) {
                (Ok(found), Ok(expected)) => *found == expected,
                (Err(problem), Err(words)) => problem.message.contains(words) && !problem.blocks,
                _ => false,
            };
            assert!(same, "{asked} {pool:?}: {found:?}");
        }
    }
}
