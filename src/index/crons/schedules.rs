//! Schedules that were read, shared by all crons that say the same: each takes kilobytes, and many crons have the same one.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use borealis_core::schedule::{Schedule, ScheduleError};

/// Below this many schedules they are not looked through for those that nobody holds.
const FEW: usize = 256;

/// Rules and their zone.
type Text = (Box<[String]>, Box<str>);

/// What was read.
#[derive(Default)]
pub(super) struct Schedules {
    known: HashMap<Text, Weak<Schedule>>,
    full: usize,
}

impl Schedules {
    /// Reads rules in a zone, unless the same were read before.
    pub(super) fn read(&mut self, rules: &[String], zone: &str) -> Result<Arc<Schedule>, ScheduleError> {
        let key = (rules.into(), zone.into());
        if let Some(known) = self.known.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        if self.known.len() >= self.full.max(FEW) {
            self.known.retain(|_, schedule| schedule.strong_count() > 0);
            self.full = self.known.len() * 2;
        }
        let schedule = Arc::new(Schedule::parse(rules, Some(zone))?);
        self.known.insert(key, Arc::downgrade(&schedule));
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rules_are_read_once_while_somebody_holds_them() {
        let mut schedules = Schedules::default();
        let rules = |rule: &str| vec![rule.to_owned()];
        let one = schedules.read(&rules("0 4 * * *"), "UTC").unwrap();
        assert!(Arc::ptr_eq(&one, &schedules.read(&rules("0 4 * * *"), "UTC").unwrap()));
        assert!(!Arc::ptr_eq(&one, &schedules.read(&rules("0 4 * * *"), "Europe/Berlin").unwrap()));
        assert!(schedules.read(&rules("at noon"), "UTC").is_err());
        for minute in 0..60 {
            for hour in 0..10 {
                schedules.read(&rules(&format!("{minute} {hour} * * *")), "UTC").unwrap();
            }
        }
        assert!(schedules.known.len() <= FEW + 1, "{} are kept that nobody holds", schedules.known.len());
    }
}
