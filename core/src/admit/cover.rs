//! The fewest Pods whose going covers all that is lacking on a node, and of several such sets the one whose loss is least.
//!
//! Pure arithmetic: it knows amounts, losses and allowances, and no nodes. Called by `site` for one node at a time.
//!
//! Which set is the smallest is hard to say in general (it is set cover in several dimensions), and easy where many Pods are
//! alike: of those that free the same, the least losses go first, so only their number is open. So all ways to divide a
//! number of victims among the kinds of Pods are gone through, the smallest number first, and what can't cover the rest or
//! loses more than the best so far is cut off. That is exact up to [`STEPS`] steps; a node with dozens of Pods that all
//! differ may need more. Then the best found by then is taken, or else that of two simple ways: Pods are added by least
//! loss, or by greatest help, and those put back, the greatest loss first, that it does not take.

use std::cmp::Ordering;

use super::outcome::{Group, Loss};

/// How many steps are made for one node before the best found so far is taken.
pub(super) const STEPS: u32 = 20_000;

/// A Pod that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// How much it leaves of each thing that is lacking.
    pub(super) frees: Vec<i64>,
    /// Whose allowance it uses up.
    pub(super) group: Option<Group>,
    /// It is one of those of whom some have to stay.
    pub(super) fellow: bool,
    /// What is lost with it.
    pub(super) loss: Loss,
}

/// Who has to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cover {
    /// Their places among the items, ascending.
    pub(super) chosen: Vec<usize>,
    /// Whether no other set is better for certain.
    pub(super) proven: bool,
}

/// The best set of items that cover what is lacking, if any does. The items come by ascending loss; no more of a group
/// may go than its allowance, and no more fellows than so many.
pub(super) fn cover(
    lacking: &[i64],
    items: &[Item],
    allowance: &dyn Fn(Group) -> u32,
    fellows: usize,
) -> Option<Cover> {
    let mut search = Search::new(lacking, items, allowance, fellows);
    if lacking
        .iter()
        .enumerate()
        .any(|(at, need)| items.iter().map(|item| item.frees[at]).sum::<i64>() < *need)
    {
        return None;
    }
    let by_loss = search.greedy((0..items.len()).collect());
    let mut by_help: Vec<usize> = (0..items.len()).collect();
    by_help.sort_by_key(|at| std::cmp::Reverse(items.get(*at).map_or(0, |item| help(item, lacking))));
    let by_help = search.greedy(by_help);
    for found in [by_loss, by_help].into_iter().flatten() {
        search.offer(&found);
    }
    let most = search.best.as_ref().map_or(items.len(), Vec::len);
    for count in search.least()..=most {
        search.exactly(count);
        let found = search.best.as_ref().is_some_and(|best| best.len() <= count);
        if found || search.steps == 0 {
            break;
        }
    }
    let proven = search.steps > 0;
    search.best.map(|mut chosen| {
        chosen.reverse();
        Cover { chosen, proven }
    })
}

/// How much of what is lacking an item covers, all things together, in thousandths.
fn help(item: &Item, lacking: &[i64]) -> i64 {
    let part = |(frees, need): (&i64, &i64)| {
        let part = i128::from(*frees.min(need)) * 1_000 / i128::from((*need).max(1));
        i64::try_from(part).unwrap_or(0)
    };
    item.frees.iter().zip(lacking).map(part).sum()
}

/// Items that can stand for each other but for what is lost with them.
#[derive(Debug)]
struct Class {
    /// Their places, ascending.
    items: Vec<usize>,
    /// The place of their group among the allowances.
    group: Option<usize>,
    fellow: bool,
}

#[derive(Debug)]
struct Search<'a> {
    lacking: &'a [i64],
    items: &'a [Item],
    /// The most helpful first.
    classes: Vec<Class>,
    /// By class: the most that one item of it or of those after it frees of each thing.
    reach: Vec<Vec<i64>>,
    /// By class: how many items there are in it and those after it.
    rest: Vec<usize>,
    groups: Vec<Group>,
    /// What is left of allowances, by the place of the group.
    allowed: Vec<u32>,
    fellows: usize,
    steps: u32,
    /// Descending.
    best: Option<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(lacking: &'a [i64], items: &'a [Item], allowance: &dyn Fn(Group) -> u32, fellows: usize) -> Self {
        let mut groups: Vec<Group> = items.iter().filter_map(|item| item.group).collect();
        groups.sort_unstable();
        groups.dedup();
        let allowed = groups.iter().map(|group| allowance(*group)).collect();
        let mut classes: Vec<Class> = Vec::new();
        let helps = |item: &Item| item.frees.iter().any(|frees| *frees > 0);
        for (at, item) in items.iter().enumerate().filter(|(_, item)| helps(item)) {
            let alike = |class: &&mut Class| {
                class.items.first().and_then(|first| items.get(*first)).is_some_and(|first| {
                    (&first.frees, first.group, first.fellow) == (&item.frees, item.group, item.fellow)
                })
            };
            match classes.iter_mut().find(alike) {
                Some(class) => class.items.push(at),
                None => classes.push(Class {
                    items: vec![at],
                    group: item.group.and_then(|group| groups.binary_search(&group).ok()),
                    fellow: item.fellow,
                }),
            }
        }
        let of = |class: &Class| class.items.first().and_then(|at| items.get(*at));
        classes.sort_by_key(|class| std::cmp::Reverse(of(class).map_or(0, |item| help(item, lacking))));
        let mut reach = vec![vec![0; lacking.len()]; classes.len() + 1];
        let mut rest = vec![0; classes.len() + 1];
        for (at, class) in classes.iter().enumerate().rev() {
            let frees = of(class).map_or(&[][..], |item| &item.frees);
            reach[at] = reach[at + 1].iter().zip(frees).map(|(after, frees)| *after.max(frees)).collect();
            rest[at] = rest[at + 1] + class.items.len();
        }
        Self { lacking, items, classes, reach, rest, groups, allowed, fellows, steps: STEPS, best: None }
    }

    /// So many at least, if each freed as much as the one that frees most.
    fn least(&self) -> usize {
        let count =
            |(need, most): (&i64, &i64)| usize::try_from((need + most - 1) / (*most).max(1)).unwrap_or(0);
        let reach = self.reach.first().map_or(&[][..], |reach| reach);
        self.lacking.iter().zip(reach).map(count).max().unwrap_or(0)
    }

    /// The best with exactly so many, if it is better than the best so far.
    fn exactly(&mut self, count: usize) {
        let mut lacking = self.lacking.to_vec();
        self.descend(0, count, &mut lacking, &mut Vec::with_capacity(count));
    }

    fn descend(&mut self, at: usize, left: usize, lacking: &mut [i64], chosen: &mut Vec<usize>) {
        if self.steps == 0 {
            return;
        }
        self.steps -= 1;
        if left == 0 {
            if lacking.iter().all(|need| *need <= 0) {
                self.offer(chosen);
            }
            return;
        }
        let times = i64::try_from(left).unwrap_or(i64::MAX);
        let beyond = |(need, reach): (&i64, &i64)| *need > reach.saturating_mul(times);
        if self.rest[at] < left || lacking.iter().zip(&self.reach[at]).any(beyond) {
            return;
        }
        let Some(class) = self.classes.get(at) else { return };
        let (group, fellow, items) = (class.group, class.fellow, class.items.clone());
        let most = items
            .len()
            .min(left)
            .min(group.map_or(usize::MAX, |group| usize::try_from(self.allowed[group]).unwrap_or(usize::MAX)))
            .min(if fellow { self.fellows } else { usize::MAX });
        let most = items[..most].partition_point(|item| self.may_be_better(chosen.len() + left, *item));
        let kept = chosen.len();
        items[..most].iter().for_each(|item| self.take(*item, group, fellow, lacking));
        chosen.extend(&items[..most]);
        for count in (0..=most).rev() {
            self.descend(at + 1, left - count, lacking, chosen);
            let Some(last) = count.checked_sub(1) else { break };
            self.put_back(items[last], group, fellow, lacking);
            chosen.truncate(kept + last);
        }
    }

    fn take(&mut self, item: usize, group: Option<usize>, fellow: bool, lacking: &mut [i64]) {
        lacking.iter_mut().zip(&self.items[item].frees).for_each(|(need, frees)| *need -= frees);
        if let Some(group) = group {
            self.allowed[group] -= 1;
        }
        self.fellows -= usize::from(fellow);
    }

    fn put_back(&mut self, item: usize, group: Option<usize>, fellow: bool, lacking: &mut [i64]) {
        lacking.iter_mut().zip(&self.items[item].frees).for_each(|(need, frees)| *need += frees);
        if let Some(group) = group {
            self.allowed[group] += 1;
        }
        self.fellows += usize::from(fellow);
    }

    /// Whether a set of so many with this item can be better than the best so far.
    fn may_be_better(&self, count: usize, item: usize) -> bool {
        match &self.best {
            Some(best) if best.len() == count => {
                best.first().is_none_or(|greatest| self.items[item].loss <= self.items[*greatest].loss)
            }
            _ => true,
        }
    }

    /// Takes down a set that covers, if it is better than the best so far.
    fn offer(&mut self, chosen: &[usize]) {
        let mut chosen = chosen.to_vec();
        chosen.sort_unstable_by(|one, other| other.cmp(one));
        if self.best.as_ref().is_none_or(|best| self.compare(&chosen, best) == Ordering::Less) {
            self.best = Some(chosen);
        }
    }

    fn compare(&self, one: &[usize], other: &[usize]) -> Ordering {
        let losses = |set: &[usize]| set.iter().map(|at| self.items[*at].loss).collect::<Vec<_>>();
        let by_loss = || losses(one).cmp(&losses(other));
        one.len().cmp(&other.len()).then_with(by_loss).then_with(|| one.cmp(other))
    }

    /// Adds items in this order until they cover, and puts those back that it does not take.
    fn greedy(&self, order: Vec<usize>) -> Option<Vec<usize>> {
        let mut lacking = self.lacking.to_vec();
        let (mut allowed, mut fellows) = (self.allowed.clone(), self.fellows);
        let mut chosen = Vec::new();
        for at in order {
            if lacking.iter().all(|need| *need <= 0) {
                break;
            }
            let item = &self.items[at];
            let group = item.group.and_then(|group| self.groups.binary_search(&group).ok());
            let helps = item.frees.iter().zip(&lacking).any(|(frees, need)| *frees > 0 && *need > 0);
            let may = group.is_none_or(|group| allowed[group] > 0) && (!item.fellow || fellows > 0);
            if !helps || !may {
                continue;
            }
            if let Some(group) = group {
                allowed[group] -= 1;
            }
            fellows -= usize::from(item.fellow);
            lacking.iter_mut().zip(&item.frees).for_each(|(need, frees)| *need -= frees);
            chosen.push(at);
        }
        if lacking.iter().any(|need| *need > 0) {
            return None;
        }
        chosen.sort_unstable_by(|one, other| other.cmp(one));
        chosen.retain(|at| {
            let frees = &self.items[*at].frees;
            let spare = lacking.iter().zip(frees).all(|(need, frees)| need + frees <= 0);
            if spare {
                lacking.iter_mut().zip(frees).for_each(|(need, frees)| *need += frees);
            }
            !spare
        });
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::prelude::*;

    use super::*;
    use crate::admit::testing::NOW;

    fn item(frees: &[i64], loss: i32, group: Option<u32>, fellow: bool) -> Item {
        let loss = Loss { band: loss, priority: 0, since: Reverse(NOW) };
        Item { frees: frees.to_vec(), group: group.map(Group), fellow, loss }
    }

    #[test]
    fn the_fewest_go_and_of_these_the_least_loss() {
        let items = [item(&[3], 1, None, false), item(&[3], 2, None, false), item(&[6], 3, None, false)];
        let best = |need| cover(&[need], &items, &|_| 0, 9).map(|cover| cover.chosen);
        assert_eq!(best(3), Some(vec![0]));
        assert_eq!(best(6), Some(vec![2]), "one of more worth rather than two");
        assert_eq!(best(9), Some(vec![0, 2]));
        assert_eq!(best(13), None);
    }

    #[test]
    fn allowances_bind() {
        let items = [item(&[3], 1, Some(1), true), item(&[3], 2, Some(1), true), item(&[3], 3, None, true)];
        let best =
            |allowance, fellows| cover(&[6], &items, &|_| allowance, fellows).map(|cover| cover.chosen);
        assert_eq!(best(2, 3), Some(vec![0, 1]));
        assert_eq!(best(1, 3), Some(vec![0, 2]));
        assert_eq!(best(0, 3), None);
        assert_eq!(best(2, 1), None, "only one fellow may go");
    }

    /// 60 Pods that all differ: more ways than can be gone through. It says so, and what it found covers.
    #[test]
    fn a_node_too_manifold_to_be_sure_says_so() {
        let amount = |at: i64, by: i64| 100 + at * by % 61;
        let items: Vec<Item> = (0..60)
            .map(|at| {
                item(
                    &[amount(at, 17), amount(at, 29), amount(at, 43)],
                    i32::try_from(at).unwrap(),
                    None,
                    false,
                )
            })
            .collect();
        let needs = [2_600, 2_600, 2_600];
        let found = cover(&needs, &items, &|_| 0, usize::MAX).unwrap();
        assert!(!found.proven);
        for (at, need) in needs.iter().enumerate() {
            assert!(found.chosen.iter().map(|item| items[*item].frees[at]).sum::<i64>() >= *need);
        }
        let alike: Vec<Item> = (0..500).map(|at| item(&[100, 100, 100], at, None, false)).collect();
        let found = cover(&needs, &alike, &|_| 0, usize::MAX).unwrap();
        assert_eq!(
            (found.chosen, found.proven),
            ((0..26).collect(), true),
            "however many, if they are alike"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_best_of_all_sets(
            mut items in prop::collection::vec((prop::collection::vec(0..5i64, 2), 0..4i32, prop::option::of(0..2u32), any::<bool>()), 0..10),
            needs in prop::collection::vec(1..12i64, 2),
            allowances in prop::collection::vec(0..4u32, 2),
            fellows in 0..6usize,
        ) {
            items.sort_by_key(|(_, loss, _, _)| *loss);
            let items: Vec<Item> = items.iter().map(|(frees, loss, group, fellow)| item(frees, *loss, *group, *fellow)).collect();
            let allowance = |group: Group| allowances[group.0 as usize];
            let key = |set: &[usize]| (set.len(), set.iter().rev().map(|at| items[*at].loss).collect::<Vec<_>>());
            let sets = (0..1u32 << items.len()).map(|set| (0..items.len()).filter(|at| set & (1 << at) != 0).collect::<Vec<_>>());
            let covers = |set: &Vec<usize>| {
                (0..2).all(|at| set.iter().map(|item| items[*item].frees[at]).sum::<i64>() >= needs[at])
                    && (0..2).all(|group| set.iter().filter(|at| items[**at].group == Some(Group(group))).count() <= allowance(Group(group)) as usize)
                    && set.iter().filter(|at| items[**at].fellow).count() <= fellows
            };
            let best = sets.filter(covers).map(|set| key(&set)).min();
            let found = cover(&needs, &items, &allowance, fellows);
            prop_assert!(found.iter().all(|found| found.proven && covers(&found.chosen)));
            prop_assert_eq!(found.map(|found| key(&found.chosen)), best);
        }
    }
}
