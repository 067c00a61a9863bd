//! Which instances come next (Aurora: UpdateStrategy).

use crate::model::{Instance, Strategy};

/// The next instances of those not yet taken on, in their order.
pub(super) fn next_group(strategy: Strategy, idle: &[Instance], working: u32) -> &[Instance] {
    let room = match strategy {
        Strategy::Queue { group_size } => group_size.max(1).saturating_sub(working),
        Strategy::Batch { .. } if working > 0 => 0,
        Strategy::Batch { group_size } => group_size.max(1),
    };
    &idle[..idle.len().min(room as usize)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_slides_and_a_batch_waits_for_all() {
        let (queue, batch) = (Strategy::Queue { group_size: 3 }, Strategy::Batch { group_size: 3 });
        let idle = [7, 8, 9, 10];
        let rows: [(Strategy, u32, &[Instance]); 8] = [
            (queue, 0, &[7, 8, 9]),
            (queue, 1, &[7, 8]),
            (queue, 3, &[]),
            (queue, 5, &[]),
            (batch, 0, &[7, 8, 9]),
            (batch, 1, &[]),
            (Strategy::Batch { group_size: 9 }, 0, &[7, 8, 9, 10]),
            (Strategy::Queue { group_size: 0 }, 0, &[7]),
        ];
        for (strategy, working, group) in rows {
            assert_eq!(next_group(strategy, &idle, working), group, "{strategy:?}, {working} working");
        }
    }
}
