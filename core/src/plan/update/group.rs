//! Which instances come next (Aurora: UpdateStrategy).
//!
//! Groups are laid over the whole way forward, from its begin; the way back goes through them in reverse, so that
//! what was changed together goes back together.

use crate::model::{Instance, Strategy};

/// Where an update stands in its groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Instances of the job, which shares are of.
    pub(super) all: u32,
    /// Instances taken on and not done.
    pub(super) working: u32,
    /// Instances taken on so far, on the way forward.
    pub(super) begun: u32,
    /// It is on the way back.
    pub(super) back: bool,
}

/// The next instances of those not yet taken on, in their order.
pub(super) fn next_group<'a>(strategy: &Strategy, idle: &'a [Instance], place: Place) -> &'a [Instance] {
    let sizes = strategy.sizes(place.all);
    let left = u32::try_from(idle.len()).unwrap_or(u32::MAX);
    let room = match strategy {
        Strategy::Queue { .. } => sizes[0].saturating_sub(place.working),
        Strategy::Batch { .. } | Strategy::VariableBatch { .. } if place.working > 0 => 0,
        Strategy::Batch { .. } | Strategy::VariableBatch { .. } if place.back => {
            left - bounds(&sizes).take_while(|bound| *bound < left).last().unwrap_or(0)
        }
        Strategy::Batch { .. } | Strategy::VariableBatch { .. } => {
            bounds(&sizes).find(|bound| *bound > place.begun).unwrap_or(u32::MAX) - place.begun
        }
    };
    &idle[..idle.len().min(room as usize)]
}

/// How many groups are through when so many instances were taken on and none is being changed.
pub(super) fn groups_through(strategy: &Strategy, all: u32, begun: u32) -> u32 {
    let sizes = strategy.sizes(all);
    let through = bounds(&sizes).take_while(|bound| *bound <= begun).count();
    u32::try_from(through).unwrap_or(u32::MAX)
}

/// How many instances there are up to the end of each group. The last size goes on for ever.
fn bounds(sizes: &[u32]) -> impl Iterator<Item = u32> + '_ {
    let last = sizes.last().copied().unwrap_or(1);
    let endless = sizes.iter().copied().chain(std::iter::repeat(last));
    endless.scan(0u32, |sum, size| {
        *sum = sum.checked_add(size)?;
        Some(*sum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Amount::{self, Count, Percent};

    fn queue(size: Amount) -> Strategy {
        Strategy::Queue { group_size: size }
    }

    fn batch(size: Amount) -> Strategy {
        Strategy::Batch { group_size: size, autopause: false }
    }

    fn variable(sizes: &[Amount]) -> Strategy {
        Strategy::VariableBatch { group_sizes: sizes.to_vec(), autopause: true }
    }

    /// The sizes of the groups of a whole way, each done before the next is asked for.
    fn way(strategy: &Strategy, all: u32, count: u32, back: bool) -> Vec<usize> {
        let order: Vec<Instance> = (0..count).collect();
        let (mut done, mut sizes) = (0, Vec::new());
        while done < order.len() {
            let place = Place { all, working: 0, begun: done as u32, back };
            let group = next_group(strategy, &order[done..], place);
            assert!(!group.is_empty(), "{strategy:?} stands still");
            done += group.len();
            sizes.push(group.len());
        }
        sizes
    }

    #[test]
    fn groups_have_their_sizes_forward_and_the_reverse_back() {
        let rows: [(Strategy, u32, u32, &[usize]); 12] = [
            (batch(Count(2)), 5, 5, &[2, 2, 1]),
            (batch(Count(9)), 5, 5, &[5]),
            (batch(Percent(40)), 5, 5, &[2, 2, 1]),
            (batch(Percent(10)), 5, 3, &[1, 1, 1]),
            (batch(Percent(10)), 200, 45, &[20, 20, 5]),
            (variable(&[Count(1), Count(2), Count(4)]), 9, 9, &[1, 2, 4, 2]),
            (variable(&[Count(1), Count(2), Count(4)]), 12, 12, &[1, 2, 4, 4, 1]),
            (variable(&[Count(1), Count(2), Count(4)]), 12, 3, &[1, 2]),
            (variable(&[Count(1), Percent(10), Percent(50)]), 100, 100, &[1, 10, 50, 39]),
            (variable(&[Count(3), Count(1)]), 6, 6, &[3, 1, 1, 1]),
            (variable(&[Count(5)]), 5, 5, &[5]),
            (variable(&[]), 2, 2, &[1, 1]),
        ];
        for (strategy, all, count, sizes) in rows {
            assert_eq!(way(&strategy, all, count, false), sizes, "{strategy:?} over {count} of {all}");
            let back: Vec<usize> = sizes.iter().rev().copied().collect();
            assert_eq!(way(&strategy, all, count, true), back, "{strategy:?} back from {count} of {all}");
        }
    }

    #[test]
    fn a_way_back_from_the_middle_of_a_group_begins_with_its_part() {
        let strategy = variable(&[Count(1), Count(4)]);
        assert_eq!(way(&strategy, 20, 7, true), [2, 4, 1]);
        assert_eq!(way(&strategy, 20, 5, true), [4, 1]);
    }

    #[test]
    fn a_queue_slides_and_a_batch_waits_for_all() {
        let idle = [7, 8, 9, 10];
        let rows: [(Strategy, u32, &[Instance]); 8] = [
            (queue(Count(3)), 0, &[7, 8, 9]),
            (queue(Count(3)), 1, &[7, 8]),
            (queue(Count(3)), 3, &[]),
            (queue(Count(3)), 5, &[]),
            (batch(Count(3)), 1, &[]),
            (variable(&[Count(3)]), 2, &[]),
            (queue(Count(0)), 0, &[7]),
            (queue(Percent(20)), 1, &[7]),
        ];
        for (strategy, working, group) in rows {
            for back in [false, true] {
                let place = Place { all: 10, working, begun: 7, back };
                assert_eq!(next_group(&strategy, &idle, place), group, "{strategy:?}, {working} working");
            }
        }
    }

    #[test]
    fn groups_are_counted_as_they_are_through() {
        let strategy = variable(&[Count(1), Count(2), Count(4)]);
        let through: Vec<u32> = (0..=8).map(|begun| groups_through(&strategy, 20, begun)).collect();
        assert_eq!(through, [0, 1, 1, 2, 2, 2, 2, 3, 3]);
    }
}
