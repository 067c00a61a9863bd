//! Who may take whose place (Aurora: PreemptionVictimFilter).
//!
//! Decides whether one Pod may be evicted for another, and says in words why not. It knows nothing of nodes, room or
//! disruption budgets. Called by `search` for each Pod on each node that comes into question.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Claim, Owner, Preemption, Tier};

/// By which part of the rule a Pod may be evicted for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What is not preemptible goes before what is, whoever's it is and whatever their priorities.
    Tier,
    /// Of equally preemptible work of one role the higher priority goes first.
    Priority,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tier => "work that is not preemptible goes before work that is",
            Self::Priority => "within a role the higher priority goes first",
        })
    }
}

/// Why a Pod gets nobody's place from Borealis, whoever is in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoPreemptor {
    /// It is of none of Borealis's tiers.
    NoTier,
    /// The scheduler makes room for it by itself.
    Native,
}

impl fmt::Display for NoPreemptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTier => "its PriorityClass is none of Borealis's tiers",
            Self::Native => "the scheduler itself makes room for it",
        })
    }
}

/// Why a Pod is not evicted for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spared {
    /// It is of none of Borealis's tiers.
    NoTier,
    /// It is ending already; what it leaves counts as room.
    Ending,
    /// It is not preemptible, and who asks is.
    NotPreemptible,
    /// It is of another role, and as preemptible as who asks.
    OtherRole,
    /// It is of the same role, and its priority is no lower.
    Priority,
    /// The scheduler ranks it above who asks: its successor would take the room again.
    RanksHigher,
    /// It has not run for as long yet as its tier lets each Pod run.
    Young {
        /// From then on it may be evicted.
        until: Timestamp,
    },
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTier => "outside of Borealis's tiers",
            Self::Ending => "ending already",
            Self::NotPreemptible => "not preemptible",
            Self::OtherRole => "of another role and equally preemptible",
            Self::Priority => "of no lower priority in the role",
            Self::RanksHigher => "ranked higher by the scheduler, so its successor would take the room again",
            Self::Young { until } => {
                return write!(f, "not to be preempted before {until:.0}, since it has just started");
            }
        })
    }
}

/// The tier of a Pod for which Borealis makes room, or why it does not.
pub fn preemptor(owner: &Owner) -> Result<&Tier, NoPreemptor> {
    match &owner.tier {
        None => Err(NoPreemptor::NoTier),
        Some(tier) if owner.preempts_natively || tier.preemption == Preemption::Scheduler => {
            Err(NoPreemptor::Native)
        }
        Some(tier) => Ok(tier),
    }
}

/// Whether a Pod may be evicted for one of this owner, who is a [`preemptor`] of this tier.
///
/// Aurora's rule: one that is not preemptible may preempt one that is, of any role and at any priority; of two that
/// are the same in this, one may preempt another of its own role with lower priority. Beyond it the scheduler must not
/// rank the victim higher, whose tier must have let it run for long enough. A Pod that has not started has nothing to lose.
pub fn may_preempt(asks: &Owner, tier: &Tier, victim: &Claim, now: Timestamp) -> Result<Rule, Spared> {
    let owner = &*victim.owner;
    let Some(its) = &owner.tier else { return Err(Spared::NoTier) };
    if victim.ends.is_some() {
        return Err(Spared::Ending);
    }
    let rule = match (tier.preemptible, its.preemptible) {
        (false, true) => Rule::Tier,
        (true, false) => return Err(Spared::NotPreemptible),
        _ if asks.role != owner.role => return Err(Spared::OtherRole),
        _ if asks.priority <= owner.priority => return Err(Spared::Priority),
        _ => Rule::Priority,
    };
    if owner.rank > asks.rank {
        return Err(Spared::RanksHigher);
    }
    let least = SignedDuration::from_secs(its.min_runtime_seconds.into());
    match victim.started.map(|started| started.checked_add(least).unwrap_or(Timestamp::MAX)) {
        Some(until) if now < until => Err(Spared::Young { until }),
        _ => Ok(rule),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        admit::testing::{NOW, demand, owner, running, tier},
        model::Owner,
    };

    fn victim(owner: Owner) -> Claim {
        let started = Some(NOW - SignedDuration::from_secs(60));
        Claim { started, ..running(2, &Arc::new(owner), &Arc::new(demand(1)), 1) }
    }

    #[test]
    fn the_rule_is_auroras() {
        let kinds = [(false, false), (true, false), (true, true)].map(|(p, r)| tier(p, r));
        for asks in &kinds {
            for of in &kinds {
                for same in [true, false] {
                    for order in [-1, 0, 1] {
                        let asker = owner(asks, "a", order);
                        let claim = victim(owner(of, if same { "a" } else { "b" }, 0));
                        let expected = match (asks.preemptible, of.preemptible, same, order) {
                            (false, true, _, _) => Ok(Rule::Tier),
                            (true, false, _, _) => Err(Spared::NotPreemptible),
                            (_, _, false, _) => Err(Spared::OtherRole),
                            // Here Borealis differs: the victim's successor would be placed first.
                            (_, _, true, 1) if of.band > asks.band => Err(Spared::RanksHigher),
                            (_, _, true, 1) => Ok(Rule::Priority),
                            (_, _, true, _) => Err(Spared::Priority),
                        };
                        let found = may_preempt(&asker, asks, &claim, NOW);
                        assert_eq!(found, expected, "{} over {}, {same} {order}", asks.name, of.name);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_beyond_the_rule_spares_too() {
        let (preferred, preemptible) = (tier(false, false), tier(true, false));
        let asks = owner(&preferred, "a", 0);
        let ask = |claim: &Claim| may_preempt(&asks, &preferred, claim, NOW);
        let claim = victim(owner(&preemptible, "b", 0));
        assert_eq!(ask(&claim), Ok(Rule::Tier));
        assert_eq!(ask(&Claim { ends: Some(NOW), ..claim }), Err(Spared::Ending));
        let outside = Owner { tier: None, ..owner(&preemptible, "a", 0) };
        assert_eq!(ask(&victim(outside)), Err(Spared::NoTier));
        let higher = Owner { rank: 30_001, ..owner(&preemptible, "b", 0) };
        assert_eq!(ask(&victim(higher)), Err(Spared::RanksHigher));
    }

    #[test]
    fn a_pod_is_spared_until_it_has_run_for_long_enough() {
        let (preferred, preemptible) = (tier(false, false), tier(true, false));
        let asks = owner(&preferred, "a", 0);
        let after = |seconds: Option<i64>| {
            let started = seconds.map(|seconds| NOW - SignedDuration::from_secs(seconds));
            let claim = Claim { started, ..victim(owner(&preemptible, "b", 0)) };
            may_preempt(&asks, &preferred, &claim, NOW)
        };
        assert_eq!(after(Some(60)), Ok(Rule::Tier));
        let until = NOW + SignedDuration::from_secs(1);
        assert_eq!(after(Some(59)), Err(Spared::Young { until }));
        assert_eq!(after(None), Ok(Rule::Tier), "what has not started has nothing to lose");
        assert_eq!(after(Some(-5)), Err(Spared::Young { until: NOW + SignedDuration::from_secs(65) }));
        let other = may_preempt(
            &owner(&preemptible, "a", 1),
            &preemptible,
            &Claim { started: Some(NOW), ..victim(owner(&preemptible, "b", 0)) },
            NOW,
        );
        assert_eq!(other, Err(Spared::OtherRole), "a time is told only of those that may go then");
    }

    #[test]
    fn borealis_makes_room_for_its_own_tiers_only() {
        let preferred = tier(false, false);
        let ours = owner(&preferred, "a", 0);
        assert_eq!(preemptor(&ours), Ok(&preferred));
        assert_eq!(preemptor(&Owner { tier: None, ..ours.clone() }), Err(NoPreemptor::NoTier));
        let native = Tier { preemption: Preemption::Scheduler, ..preferred };
        assert_eq!(preemptor(&owner(&native, "a", 0)), Err(NoPreemptor::Native));
        assert_eq!(preemptor(&Owner { preempts_natively: true, ..ours }), Err(NoPreemptor::Native));
    }

    #[test]
    fn the_reasons_read_well() {
        let young = Spared::Young { until: NOW };
        assert_eq!(
            young.to_string(),
            "not to be preempted before 2027-01-15T08:00:00Z, since it has just started"
        );
        assert_eq!(Spared::OtherRole.to_string(), "of another role and equally preemptible");
        assert_eq!(Rule::Priority.to_string(), "within a role the higher priority goes first");
        assert_eq!(NoPreemptor::Native.to_string(), "the scheduler itself makes room for it");
    }
}
