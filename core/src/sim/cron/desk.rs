//! What is drawn of a world before it begins: the cron, and how bad it gets.

use std::sync::Arc;

use jiff::Timestamp;

use super::CronTrouble;
use crate::{model::*, schedule::Schedule, sim::draw::Draw};

/// When the worlds begin: a whole minute.
pub(super) const BEGAN: i64 = 1_780_000_020;

#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) seed: u64,
    pub(super) trouble: CronTrouble,
    pub(super) leaders: u64,
    pub(super) cron: Cron,
    /// The longest that runs take, in seconds.
    pub(super) longest: u64,
    /// Seconds after its end at which a run is removed.
    pub(super) ttl: Option<u32>,
    /// Steps from and to which no leader is there.
    pub(super) outage: (u64, u64),
}

impl Setting {
    pub(super) fn draw(seed: u64, trouble: CronTrouble) -> Self {
        let mut draw = Draw::of(seed, &[0]);
        let all = trouble == CronTrouble::All;
        let window_seconds = draw.pick(&[0, 90, 300, 3600]);
        let parents = if all && draw.chance(25) { people_of(&mut draw) } else { Vec::new() };
        let jitter_seconds = draw.pick(&[0, 0, 7, 40]);
        let history = RunHistory { succeeded: draw.small(0, 3), failed: draw.small(0, 3) };
        let (schedule, schedule_text) = match parents.is_empty() || draw.chance(40) {
            true => schedule(RULES[usize::from(draw.chance(20))]),
            false => (None, "".into()),
        };
        let cron = Cron {
            name: "backup".into(),
            uid: Uid::new(u128::from(draw.next())),
            generation: 1,
            created: Timestamp::from_second(BEGAN).unwrap_or_default(),
            deleting: false,
            schedule,
            schedule_text,
            suspend: false,
            collision: match trouble {
                CronTrouble::Leaders => Collision::Queue,
                CronTrouble::All => {
                    draw.pick(&[Collision::KillExisting, Collision::CancelNew, Collision::Queue])
                }
            },
            catch_up: draw.pick(&[
                CatchUp::None,
                CatchUp::Latest { window_seconds },
                CatchUp::All { window_seconds },
            ]),
            jitter_seconds,
            history,
            parents,
            run_at: None,
        };
        let begin = draw.between(10, 120);
        let outage = if all && draw.chance(70) { (begin, begin + draw.between(30, 150)) } else { (0, 0) };
        Self {
            seed,
            trouble,
            leaders: draw.between(1, 3),
            cron,
            longest: if all { draw.pick(&[1, 30, 200]) } else { draw.pick(&[1, 15]) },
            ttl: draw.pick(&[None, Some(0), Some(0), Some(30)]),
            outage,
        }
    }

    /// Nobody is there to plan.
    pub(super) fn is_out(&self, step: u64) -> bool {
        (self.outage.0..self.outage.1).contains(&step)
    }
}

/// The rules that people choose from.
pub(super) const RULES: [&str; 3] = ["R/2026-01-01T00:00:00Z/PT1M", "*/1 * * * *", "*/2 * * * *"];

pub(super) fn schedule(rule: &str) -> (Option<Arc<Schedule>>, Arc<str>) {
    (Schedule::parse(&[rule], None).ok().map(Arc::new), rule.into())
}

fn people_of(draw: &mut Draw) -> Vec<Parent> {
    let parent = |name: &str, when| Parent { kind: ParentKind::Cron, name: name.into(), when };
    let when = draw.pick(&[ParentEnd::Succeeded, ParentEnd::Ended]);
    vec![parent("left", ParentEnd::Succeeded), parent("right", when)]
}
