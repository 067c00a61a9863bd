//! What the statuses of Tiers, AuroraRoles and Frameworks say.
//!
//! A condition keeps the time since when it says what it says. Only the fields made here are the writer's: others stand
//! beside them in an AuroraRole's status.

use std::{collections::BTreeMap, sync::Arc};

use borealis_core::model::Tier;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    classes::Foreign,
    frameworks::{policy_name, tiers},
    listed, overlap,
};
use crate::{
    api::{
        conditions::{READY, STALLED, condition},
        framework::FrameworkStatus,
        role::AuroraRoleStatus,
        tier::{TierStatus, TierUse, class_name},
    },
    index::{FrameworkRow, RoleRow, Tenancy, TierRow},
};

/// On a Tier: a PriorityClass of others is above it, for whose Pods the scheduler makes room by itself.
pub const OUTRANKED: &str = "Outranked";
/// On a Tier: it is being deleted, and waits until nobody uses it any more.
pub const IN_USE: &str = "InUse";
/// On a Framework: an older one may be about the same Pods.
pub const OVERLAP: &str = "Overlap";
/// On an AuroraRole: another one claims a namespace, too.
pub const CONFLICT: &str = "Conflict";
/// On an AuroraRole: more is in use than its quota allows.
pub const OVER_COMMITTED: &str = "OverCommitted";

/// How many namespaces are named in a status.
const NAMED: usize = 64;

/// One condition as it is now, whenever it came about.
struct Said {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Said {
    fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds, reason, message: message.into() }
    }
}

/// Why a Tier or Framework has not become what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Only a person can mend it.
    Mistake(String),
    /// The API server did not take it, and is asked again.
    Refused(String),
}

/// Whether it is acted upon, as Ready and Stalled say it.
struct Verdict {
    ready: Said,
    stalled: bool,
}

impl Verdict {
    fn good(message: impl Into<String>) -> Self {
        Self { ready: Said::new(READY, true, "Ready", message), stalled: false }
    }

    /// It is not before a person mends it.
    fn bad(reason: &'static str, message: impl Into<String>) -> Self {
        Self { ready: Said::new(READY, false, reason, message), stalled: true }
    }

    fn kept_from(reason: &'static str, by: &Obstacle) -> Self {
        match by {
            Obstacle::Mistake(why) => Self::bad(reason, why),
            Obstacle::Refused(why) => Self { ready: Said::new(READY, false, reason, why), stalled: false },
        }
    }

    fn said(self) -> [Said; 2] {
        let Self { ready, stalled } = self;
        let stalled = if stalled {
            Said::new(STALLED, true, ready.reason, ready.message.clone())
        } else {
            Said::new(STALLED, false, "Settled", "")
        };
        [ready, stalled]
    }
}

/// The conditions to write, in the place of those recorded.
fn conditions(said: Vec<Said>, recorded: &[Condition], generation: i64, now: Timestamp) -> Vec<Condition> {
    let one = |said: Said| {
        let new = condition(said.kind, said.holds, said.reason, &said.message, generation, now);
        let known = recorded.iter().find(|known| known.type_ == new.type_ && known.status == new.status);
        let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let since = known.map_or(whole, |known| known.last_transition_time.0);
        Condition { last_transition_time: Time(since), ..new }
    };
    said.into_iter().map(one).collect()
}

/// Who uses a tier, counted and named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// AuroraServices, as `namespace/name`.
    pub services: Vec<String>,
    /// Pods that have not ended. Unit: Pods.
    pub pods: usize,
    /// AuroraRoles that allow it or have it by default.
    pub roles: Vec<String>,
    /// Frameworks that give it.
    pub frameworks: Vec<String>,
}

impl Users {
    /// Whether there are none.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        *self == Self::default()
    }

    fn counts(&self) -> TierUse {
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        TierUse {
            services: count(self.services.len()),
            pods: count(self.pods),
            roles: count(self.roles.len()),
            frameworks: count(self.frameworks.len()),
        }
    }
}

impl std::fmt::Display for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        for (what, names) in [
            ("AuroraServices", &self.services),
            ("AuroraRoles", &self.roles),
            ("Frameworks", &self.frameworks),
        ] {
            if !names.is_empty() {
                parts.push(format!("{what} {}", listed(names)));
            }
        }
        if self.pods > 0 {
            parts.push(format!("{} Pods", self.pods));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Who uses each tier; services and Pods are added by whoever knows them.
#[must_use]
pub fn users(tenancy: &Tenancy) -> BTreeMap<Arc<str>, Users> {
    let mut all: BTreeMap<Arc<str>, Users> = BTreeMap::new();
    for row in tenancy.roles() {
        for tier in row.role.iter().flat_map(|role| &role.tiers) {
            all.entry(Arc::clone(tier)).or_default().roles.push(row.object.name.to_string());
        }
    }
    for row in tenancy.frameworks() {
        for tier in row.spec.iter().flat_map(|spec| tiers(spec, tenancy)) {
            all.entry(tier.into()).or_default().frameworks.push(row.object.name.to_string());
        }
    }
    all
}

/// The status of a Tier. `class` is what stands in the way of its PriorityClass.
#[must_use]
pub fn tier(
    row: &TierRow,
    class: Result<(), &Obstacle>,
    users: &Users,
    foreign: &[Foreign],
    now: Timestamp,
) -> TierStatus {
    let generation = row.object.generation;
    let name = row.tier.as_ref().map(|tier| class_name(&tier.name, tier.band));
    let verdict = match (&row.problem, class, &name) {
        (Some(problem), ..) => Verdict::bad("InvalidSpec", problem),
        (None, Err(why), _) => Verdict::kept_from("NoPriorityClass", why),
        (None, Ok(()), Some(name)) => Verdict::good(format!("Pods of this tier have PriorityClass {name}")),
        (None, Ok(()), None) => Verdict::bad("InvalidSpec", "the spec can't be read"),
    };
    let mut said = Vec::from(verdict.said());
    said.push(outranked(row.tier.as_deref(), foreign));
    if row.object.deleting {
        let message = format!("it is deleted once nobody uses it any more; used by {users}");
        said.push(Said::new(IN_USE, true, "Used", message));
    }
    let recorded = row.status.as_ref().map_or(&[][..], |status| &status.conditions);
    TierStatus {
        observed_generation: Some(generation),
        priority_class: name,
        used_by: users.counts(),
        conditions: conditions(said, recorded, generation, now),
    }
}

fn outranked(tier: Option<&Tier>, foreign: &[Foreign]) -> Said {
    let above = |one: &&Foreign| tier.is_some_and(|tier| one.value > tier.band);
    let above: Vec<String> =
        foreign.iter().filter(above).map(|one| format!("{} ({})", one.name, one.value)).collect();
    if above.is_empty() {
        return Said::new(OUTRANKED, false, "Settled", "");
    }
    let message = format!(
        "the scheduler makes room for Pods of PriorityClass {} at the expense of this tier, and asks neither for roles \
         nor for quota; give those classes preemptionPolicy Never or a value below {}",
        listed(above),
        tier.map_or(0, |tier| tier.band)
    );
    Said::new(OUTRANKED, true, "ForeignClass", message)
}

/// What is written here of the status of an AuroraRole.
#[must_use]
pub fn role(row: &RoleRow, tenancy: &Tenancy, now: Timestamp) -> AuroraRoleStatus {
    let (generation, own) = (row.object.generation, &row.object.name);
    let (mut has, mut lost, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for (namespace, claiming) in tenancy.claims() {
        let Some((owner, others)) = claiming.split_first() else { continue };
        if owner == own {
            has.push(namespace.to_string());
            kept.extend(others.first().map(|_| format!("{namespace} ({})", listed(others))));
        } else if others.contains(own) {
            lost.push(format!("{namespace} ({owner})"));
        }
    }
    let missing: Vec<_> =
        row.role.iter().flat_map(|role| &role.tiers).filter(|tier| tenancy.tier(tier).is_none()).collect();
    let verdict = match &row.problem {
        Some(problem) => Verdict::bad("InvalidSpec", problem),
        None if !missing.is_empty() => {
            let message = format!("there is no usable Tier {}; make it, or leave it out", listed(missing));
            Verdict::bad("TierMissing", message)
        }
        None => Verdict::good(format!("it has {} namespaces", has.len())),
    };
    let mut words = Vec::new();
    if !lost.is_empty() {
        words.push(format!(
            "namespaces that older AuroraRoles have: {}; change spec.namespaces, or the namespaces' labels",
            listed(lost)
        ));
    }
    if !kept.is_empty() {
        words.push(format!(
            "namespaces that are this role's, and that younger AuroraRoles claim: {}",
            listed(kept)
        ));
    }
    let conflict = if words.is_empty() {
        Said::new(CONFLICT, false, "Settled", "")
    } else {
        Said::new(CONFLICT, true, "ClaimedTwice", words.join("; "))
    };
    let mut said = Vec::from(verdict.said());
    said.extend([conflict, over_committed(row)]);
    let recorded = row.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let namespace_count = i32::try_from(has.len()).unwrap_or(i32::MAX);
    has.truncate(NAMED);
    AuroraRoleStatus {
        observed_generation: Some(generation),
        namespace_count,
        namespaces: has,
        quota: None,
        conditions: conditions(said, recorded, generation, now),
    }
}

/// Whether more is in use than the quota allows, as the quota loop has recorded it.
fn over_committed(row: &RoleRow) -> Said {
    let quota = row.status.as_ref().and_then(|status| status.quota.as_ref());
    let Some(over) = quota.map(|quota| &quota.over).filter(|over| !over.is_empty()) else {
        return Said::new(OVER_COMMITTED, false, "Settled", "");
    };
    let amounts: Vec<_> = over.iter().map(|(name, amount)| format!("{} {name}", amount.0)).collect();
    let message = format!(
        "in use beyond spec.quota: {}; nothing is taken away for that, and nothing granted that takes more of it; raise \
         the quota, or shrink production services",
        listed(amounts)
    );
    Said::new(OVER_COMMITTED, true, "QuotaExceeded", message)
}

/// The status of a Framework. `policy` is why its policy is not as it shall be.
#[must_use]
pub fn framework(
    row: &FrameworkRow,
    policy: Result<(), &Obstacle>,
    tenancy: &Tenancy,
    now: Timestamp,
) -> FrameworkStatus {
    let generation = row.object.generation;
    let refused: Vec<String> = row.spec.as_ref().map_or_else(Vec::new, |spec| {
        let role = tenancy.role_named(&spec.role);
        tiers(spec, tenancy).into_iter().filter(|tier| !role.allows(tier)).collect()
    });
    let role = row.spec.as_ref().map_or("", |spec| &spec.role);
    let known =
        tenancy.role(role).is_some() || tenancy.namespaces().any(|namespace| *namespace.object.name == *role);
    let verdict = match (&row.problem, policy) {
        (Some(problem), _) => Verdict::bad("InvalidSpec", problem),
        (None, Err(why)) => Verdict::kept_from("NoPolicy", why),
        (None, Ok(())) if !known => {
            let message =
                format!("there is neither an AuroraRole nor a namespace {role}, so that it is about no Pod");
            Verdict::bad("RoleMissing", message)
        }
        (None, Ok(())) if !refused.is_empty() => {
            let message = format!(
                "role {role} may not use tier {}: Pods that get it are refused; allow it in the role's spec.tiers, or give \
                 another",
                listed(refused)
            );
            Verdict::bad("TierNotAllowed", message)
        }
        (None, Ok(())) => Verdict::good(format!("its Pods join role {role}")),
    };
    let mut said = Vec::from(verdict.said());
    said.push(overlaps(row, tenancy));
    let recorded = row.status.as_ref().map_or(&[][..], |status| &status.conditions);
    FrameworkStatus {
        observed_generation: Some(generation),
        policy: Some(policy_name(&row.object.name)),
        conditions: conditions(said, recorded, generation, now),
    }
}

fn overlaps(row: &FrameworkRow, tenancy: &Tenancy) -> Said {
    let older = overlap::older(row, tenancy);
    if older.is_empty() {
        return Said::new(OVERLAP, false, "Settled", "");
    }
    let message = format!(
        "a Pod may be of Framework {} as well, and has the tier and priority of either then; have serviceAccounts, \
         namespaces or podSelector keep them apart",
        listed(older)
    );
    Said::new(OVERLAP, true, "OlderFramework", message)
}
