//! `AuroraRole.status.quota`: out of the ledger's report, and the grants in it back.

use std::collections::BTreeMap;

use borealis_core::{
    admit::ledger::{JobName, Pending, Report, Shortage},
    model::Resources,
};

use super::{grant, grant_object};
use crate::{
    api::{
        amounts::{positive, quantities},
        role_quota::{HeldJob, NamespaceUse, PendingGrant, RoleQuota},
    },
    kind_name, kind_named,
};

/// Namespaces told of by name.
const NAMESPACES: usize = 64;

/// What Pods of no service request in one namespace.
#[derive(Debug, Clone, Copy)]
pub struct ForeignShare<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Of tiers that quota limits.
    pub production: &'a Resources,
    /// Of other tiers, or of none.
    pub non_production: &'a Resources,
}

/// What to write of a role.
#[must_use]
pub fn role_quota_object(
    report: &Report<'_>,
    pending: &[Pending],
    foreign: &[ForeignShare<'_>],
) -> RoleQuota {
    let mut foreign_non_production = Resources::NONE;
    foreign.iter().for_each(|share| foreign_non_production.add(share.non_production));
    let held = |(job, shortage): &(JobName, Shortage)| HeldJob {
        kind: kind_name(job.kind).to_owned(),
        namespace: job.namespace.to_string(),
        name: job.name.to_string(),
        missing: positive(&shortage.missing),
    };
    RoleQuota {
        limit: quantities(report.quota.unwrap_or(&Resources::NONE)),
        production: quantities(&report.usage.production),
        dedicated: quantities(&report.usage.dedicated),
        non_production: quantities(&report.usage.non_production),
        foreign: quantities(report.foreign),
        foreign_non_production: quantities(&foreign_non_production),
        over: positive(&report.over),
        namespaces: namespaces(report, foreign),
        held: count(report.held),
        held_jobs: report.first_held.iter().map(held).collect(),
        grants: pending.iter().map(pending_object).collect(),
    }
}

fn namespaces(report: &Report<'_>, foreign: &[ForeignShare<'_>]) -> Vec<NamespaceUse> {
    let mut all: BTreeMap<&str, NamespaceUse> = BTreeMap::new();
    for (namespace, (services, usage)) in report.namespaces {
        let one = all.entry(namespace).or_default();
        one.services = count(*services);
        one.production = quantities(&usage.production);
        one.dedicated = quantities(&usage.dedicated);
        one.non_production = quantities(&usage.non_production);
    }
    for share in foreign {
        let one = all.entry(share.namespace).or_default();
        one.foreign = quantities(share.production);
        one.foreign_non_production = quantities(share.non_production);
    }
    let named = all.into_iter().map(|(name, one)| NamespaceUse { namespace: name.to_owned(), ..one });
    named.take(NAMESPACES).collect()
}

/// The grants that stand in a role's status. One that can't be read is none: its job has not recorded it, so it is
/// asked for anew.
#[must_use]
pub fn pending_grants(recorded: &RoleQuota) -> Vec<Pending> {
    let read = |one: &PendingGrant| {
        Some(Pending {
            job: JobName {
                kind: kind_named(&one.kind)?,
                namespace: one.namespace.as_str().into(),
                name: one.name.as_str().into(),
            },
            uid: one.uid.parse().ok()?,
            grant: grant(&one.grant)?,
        })
    };
    recorded.grants.iter().filter_map(read).collect()
}

fn pending_object(pending: &Pending) -> PendingGrant {
    PendingGrant {
        kind: kind_name(pending.job.kind).to_owned(),
        namespace: pending.job.namespace.to_string(),
        name: pending.job.name.to_string(),
        uid: pending.uid.to_string(),
        grant: grant_object(&pending.grant),
    }
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use borealis_core::{
        admit::ledger::{Job, Ledger},
        model::{Bucket, JobKind, Revision, Share, Uid},
    };
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_role_is_told_in_full_and_its_grants_are_read_back() {
        let mut ledger = Ledger::default();
        let cpu = |cpu_milli| Resources { cpu_milli, ..Resources::NONE };
        ledger.set_role(&"ads".into(), Resources { memory: 1 << 30, ..cpu(2_000) }, Vec::new());
        ledger.set_foreign(&"ads".into(), cpu(250));
        let all = [(1, JobKind::Job, "web", 3), (2, JobKind::Service, "late", 4)];
        for (number, kind, name, instances) in all {
            let share = Share { revision: Revision::v1(7), instances, each: cpu(500) };
            let job = Job {
                uid: Uid::new(number),
                created: Timestamp::from_second(number.try_into().unwrap()).unwrap(),
                role: "ads".into(),
                bucket: Bucket::Production,
                ask: Some(share),
                recorded: None,
                runs: 0,
                settled: None,
            };
            ledger.set_job(&JobName { kind, namespace: "prod".into(), name: name.into() }, job);
        }
        let pending = ledger.decide("ads", Timestamp::from_second(99).unwrap()).unwrap().pending;
        ledger.set_role(&"ads".into(), Resources { memory: 1 << 30, ..cpu(1_500) }, pending.clone());
        let (production, others) = (cpu(250), cpu(125));
        let share = |namespace| ForeignShare { namespace, production: &production, non_production: &others };
        let foreign = [share("prod"), share("spark")];
        let object = role_quota_object(&ledger.report("ads").unwrap(), &pending, &foreign);
        let stored: RoleQuota = serde_json::from_str(&serde_json::to_string(&object).unwrap()).unwrap();
        assert_eq!(stored, object);
        assert_eq!(pending_grants(&stored), pending);
        let text = serde_json::to_value(&object).unwrap();
        assert_eq!(text["limit"], serde_json::json!({"cpu": "1500m", "memory": "1Gi"}));
        assert_eq!(text["production"]["cpu"], "1500m");
        assert_eq!(text["foreign"]["cpu"], "250m");
        assert_eq!(text["over"], serde_json::json!({"cpu": "250m"}));
        assert_eq!(text["held"], 1);
        assert_eq!(text["heldJobs"][0]["name"], "late");
        let kinds = (&text["grants"][0]["kind"], &text["heldJobs"][0]["kind"]);
        assert_eq!(
            kinds,
            (&"AuroraJob".into(), &serde_json::Value::Null),
            "a service is as it was written before"
        );
        assert_eq!(text["heldJobs"][0]["missing"], serde_json::json!({"cpu": "2250m"}));
        assert_eq!(text["foreignNonProduction"]["cpu"], "250m");
        assert_eq!(text["namespaces"][0]["services"], 2);
        assert_eq!(text["namespaces"][0]["production"]["cpu"], "1500m");
        let spark = &text["namespaces"][1];
        assert_eq!((&spark["namespace"], &spark["services"]), (&"spark".into(), &0.into()));
        assert_eq!(
            (&spark["foreign"]["cpu"], &spark["foreignNonProduction"]["cpu"]),
            (&"250m".into(), &"125m".into())
        );
    }
}
