//! Disruption budgets: how many of which Pods may go at the moment (PodDisruptionBudget).
//!
//! A budget says whom it is about by labels, and how many of them may be disrupted; the latter is counted by Kubernetes.
//! Decides nothing but whose allowance a Pod uses up. Filled by whoever watches the budgets; asked by `search`, and
//! before a victim is ended.

use std::{collections::BTreeMap, sync::Arc};

use super::{Budgets, Group};
use crate::model::{Claim, Labels, Requirement, Test, Uid};

/// One budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub name: Arc<str>,
    /// Whom it is about; empty is everybody in its namespace. What is asked of labels that are not known of Pods is left
    /// out, so that it is rather about too many.
    pub selector: Vec<Requirement>,
    /// How many may go now.
    pub allowed: u32,
}

/// All budgets of a cluster.
#[derive(Debug, Clone, Default)]
pub struct BudgetTable {
    all: BTreeMap<Arc<str>, BTreeMap<Uid, (Group, Budget)>>,
    allowed: BTreeMap<Group, u32>,
    next: u32,
}

impl BudgetTable {
    /// Takes down a budget as it is now, and says whether that is news.
    pub fn set(&mut self, namespace: &Arc<str>, uid: Uid, budget: Budget) -> bool {
        let all = self.all.entry(Arc::clone(namespace)).or_default();
        let group = match all.get(&uid) {
            Some((_, known)) if *known == budget => return false,
            Some((group, _)) => *group,
            None => {
                self.next = self.next.wrapping_add(1);
                Group(self.next)
            }
        };
        self.allowed.insert(group, budget.allowed);
        all.insert(uid, (group, budget));
        true
    }

    /// Forgets a budget, and says whether it was known.
    pub fn remove(&mut self, namespace: &str, uid: Uid) -> bool {
        let Some(all) = self.all.get_mut(namespace) else { return false };
        let Some((group, _)) = all.remove(&uid) else { return false };
        self.allowed.remove(&group);
        if all.is_empty() {
            self.all.remove(namespace);
        }
        true
    }

    /// Forgets all budgets but these.
    pub fn retain(&mut self, keep: impl Fn(Uid) -> bool) {
        for all in self.all.values_mut() {
            all.retain(|uid, (group, _)| keep(*uid) || self.allowed.remove(group).is_none());
        }
        self.all.retain(|_, all| !all.is_empty());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.allowed.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty()
    }
}

impl Budgets for BudgetTable {
    fn group(&self, claim: &Claim) -> Result<Option<Group>, Arc<str>> {
        let Some(all) = self.all.get(&claim.owner.namespace) else { return Ok(None) };
        let mut about = all.values().filter(|(_, budget)| is_about(&budget.selector, &claim.owner.labels));
        match (about.next(), about.next()) {
            (None, _) => Ok(None),
            (Some((_, budget)), None) if budget.allowed == 0 => {
                Err(format!("PodDisruptionBudget {} allows no more disruptions", budget.name).into())
            }
            (Some((group, _)), None) => Ok(Some(*group)),
            // The API server evicts no such Pod.
            (Some((_, one)), Some((_, other))) => {
                let text =
                    format!("more than one PodDisruptionBudget is about it: {}, {}", one.name, other.name);
                Err(text.into())
            }
        }
    }

    fn allowance(&self, group: Group) -> u32 {
        self.allowed.get(&group).copied().unwrap_or(0)
    }
}

fn is_about(selector: &[Requirement], labels: &Labels) -> bool {
    selector.iter().all(|requirement| {
        let value = labels.get(&requirement.key);
        match &requirement.test {
            Test::In(values) => value.is_some_and(|value| values.contains(value)),
            Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Test::Exists => value.is_some(),
            Test::DoesNotExist => value.is_none(),
            // Only nodes are asked so.
            Test::Above(_) | Test::Below(_) => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::testing::{demand, owner, pending, tier};

    fn labelled(labels: &[(&str, &str)]) -> Claim {
        let labels: Labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let owner = crate::model::Owner { labels: Arc::new(labels), ..owner(&tier(true, false), "a", 0) };
        pending(1, &Arc::new(owner), &Arc::new(demand(1)))
    }

    fn asks(key: &str, test: Test) -> Requirement {
        Requirement { key: key.into(), test }
    }

    fn budget(name: &str, selector: Vec<Requirement>, allowed: u32) -> Budget {
        Budget { name: name.into(), selector, allowed }
    }

    #[test]
    fn a_budget_is_about_those_it_selects() {
        let web = labelled(&[("app", "web"), ("zone", "a")]);
        let is = |value: &str| Test::In(vec![value.into()]);
        for (selector, expected) in [
            (vec![], true),
            (vec![asks("app", is("web"))], true),
            (vec![asks("app", is("api"))], false),
            (vec![asks("tier", is("web"))], false),
            (vec![asks("app", is("web")), asks("zone", is("b"))], false),
            (vec![asks("app", Test::NotIn(vec!["api".into()]))], true),
            (vec![asks("app", Test::NotIn(vec!["web".into()]))], false),
            (vec![asks("tier", Test::NotIn(vec!["web".into()]))], true),
            (vec![asks("app", Test::Exists), asks("tier", Test::DoesNotExist)], true),
            (vec![asks("tier", Test::Exists)], false),
            (vec![asks("app", Test::DoesNotExist)], false),
        ] {
            let mut table = BudgetTable::default();
            table.set(&"a".into(), Uid::new(1), budget("b", selector.clone(), 2));
            let group = table.group(&web).unwrap();
            assert_eq!(group.is_some(), expected, "{selector:?}");
            assert_eq!(group.map(|group| table.allowance(group)), expected.then_some(2));
        }
    }

    #[test]
    fn a_budget_is_known_until_it_goes() {
        let (web, a): (_, Arc<str>) = (labelled(&[]), "a".into());
        let mut table = BudgetTable::default();
        table.set(&"other".into(), Uid::new(9), budget("o", vec![], 0));
        assert_eq!(table.group(&web), Ok(None), "it is about another namespace");
        assert!(table.set(&a, Uid::new(1), budget("b", vec![], 1)));
        assert!(!table.set(&a, Uid::new(1), budget("b", vec![], 1)), "that is no news");
        let group = table.group(&web).unwrap();
        assert!(table.set(&a, Uid::new(1), budget("b", vec![], 3)));
        assert_eq!(table.group(&web), Ok(group), "it stays the same budget");
        assert_eq!(table.allowance(group.unwrap()), 3);
        table.set(&a, Uid::new(1), budget("b", vec![], 0));
        assert!(table.group(&web).unwrap_err().contains("PodDisruptionBudget b allows no more"));
        table.set(&a, Uid::new(1), budget("b", vec![], 1));
        table.set(&a, Uid::new(2), budget("c", vec![], 1));
        assert!(
            table.group(&web).unwrap_err().contains("more than one"),
            "the API server evicts no such Pod"
        );
        table.retain(|uid| uid == Uid::new(2));
        assert!(table.group(&web).unwrap().is_some());
        assert_eq!(table.len(), 1);
        assert!(table.remove("a", Uid::new(2)) && !table.remove("a", Uid::new(2)) && table.is_empty());
        assert_eq!(table.group(&web), Ok(None));
    }
}
