//! What people are told of a service itself: each change of its state. What concerns one update is told by `update`.

use crate::model::{ConditionType, ServiceStatus, reasons};

use super::Event;

/// The change of state from what is recorded to what is now, if there is one.
pub(super) fn news(recorded: Option<&ServiceStatus>, status: &ServiceStatus) -> Option<Event> {
    let now = status.condition(ConditionType::Ready)?;
    let before = recorded.and_then(|recorded| recorded.condition(ConditionType::Ready));
    if before.is_some_and(|before| (before.holds, before.reason) == (now.holds, now.reason)) {
        return None;
    }
    let stalled = status.condition(ConditionType::Stalled).is_some_and(|stalled| stalled.holds);
    let warning = stalled || now.reason == reasons::ROLLING_BACK;
    Some(Event { warning, reason: now.reason, message: now.message.clone(), update: None })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::Condition;

    fn status(ready: (bool, &'static str), stalled: bool) -> ServiceStatus {
        let condition = |kind, holds, reason: &'static str| Condition {
            kind,
            holds,
            reason,
            message: format!("as {reason}"),
            since: Timestamp::UNIX_EPOCH,
        };
        ServiceStatus {
            conditions: vec![
                condition(ConditionType::Ready, ready.0, ready.1),
                condition(ConditionType::Stalled, stalled, ready.1),
            ],
            ..ServiceStatus::default()
        }
    }

    #[test]
    fn each_change_of_state_is_told_once() {
        let running = status((true, reasons::RUNNING), false);
        let updating = status((false, reasons::UPDATING), false);
        let back = status((false, reasons::ROLLING_BACK), false);
        let rolled_back = status((true, reasons::ROLLED_BACK), true);
        let refused = status((false, reasons::TEMPLATE_REFUSED), true);
        for (before, after, told) in [
            (None, &running, Some((false, "Running"))),
            (Some(&running), &running, None),
            (Some(&running), &updating, Some((false, "Updating"))),
            (Some(&updating), &back, Some((true, "RollingBack"))),
            (Some(&back), &rolled_back, Some((true, "RolledBack"))),
            (Some(&rolled_back), &rolled_back, None),
            (Some(&running), &refused, Some((true, "TemplateRefused"))),
            (Some(&refused), &running, Some((false, "Running"))),
            (Some(&ServiceStatus::default()), &running, Some((false, "Running"))),
        ] {
            let event = news(before, after);
            assert_eq!(event.as_ref().map(|event| (event.warning, event.reason)), told);
            assert!(event.is_none_or(|event| event.message.starts_with("as ") && event.update.is_none()));
        }
    }
}
