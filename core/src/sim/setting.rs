//! What is the same throughout a run of the simulation: the service as it begins, how Pods of each config behave, and
//! which guards are in place. Drawn from the seed before the world begins.

use std::collections::BTreeMap;

use crate::model::*;

use super::{
    checks::draw_checks,
    draw::Draw,
    jobs,
    time::{MINUTE, Millis},
};

/// How Pods of a config behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    /// They become Ready and stay so.
    Good,
    /// They end with an exit code soon after their start.
    Crashes(i32),
    /// They run and never become Ready.
    NeverReady,
    /// No node takes them.
    NoNode,
    /// One of their containers ends for good, the other runs on.
    HalfEnds,
    /// Every other Pod crashes.
    Flaky,
    /// The kubelet refuses every other Pod.
    Rejected,
    /// The API server refuses them.
    Refused,
}

/// What is the same throughout a run.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) seed: u64,
    pub(super) service: Service,
    pub(super) qualities: BTreeMap<Revision, Quality>,
    /// Seconds Pods have to stop, but for those of one config.
    pub(super) grace_seconds: u32,
    /// Milliseconds each operator's clock is off.
    pub(super) skews: [i64; 2],
    /// How much an apiserver's view of the lease is behind.
    pub(super) term_lag: Millis,
    /// When the disturbances are over.
    pub(super) quiet: Millis,
    /// At the end a good config is asked for that was never tried.
    pub(super) finale: bool,
    /// Nothing but operators and their ways to the API server go wrong, around one good update: every instance gets
    /// just two Pods.
    pub(super) steady: bool,
    pub(super) guards: Guards,
}

/// What keeps the promises, each of which can be taken away to see that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guards {
    /// The API server refuses Pods of another term than the lease's.
    pub(super) fence: bool,
    /// A new leader reads everything live before its first plan.
    pub(super) barrier: bool,
    /// An operator knows of its own writes before its watch shows them.
    pub(super) assume: bool,
    /// After a write of unknown outcome the service is read live, and a create sent again.
    pub(super) settle: bool,
}

impl Guards {
    pub(super) const ALL: Self = Self { fence: true, barrier: true, assume: true, settle: true };
}

/// Whether two configs differ in nothing else than what can be changed in place: every other one of all.
pub(super) fn are_alike(one: Revision, other: Revision) -> bool {
    let odd = |revision: Revision| revision.to_string().ends_with(['1', '3', '5']);
    odd(one) == odd(other)
}

/// A good config that no disturbance asks for.
pub(super) const FINAL: Revision = Revision::v1(0xf17a1);

impl Setting {
    /// The setting of a seed.
    pub(super) fn draw(seed: u64) -> Self {
        let mut draw = Draw::of(seed, &[1]);
        let strategy = draw_strategy(&mut draw);
        let service = Service {
            uid: Uid::new(0),
            generation: 1,
            deleting: false,
            instances: draw.small(1, 6),
            revision: Revision::v1(1),
            update: draw_settings(&mut draw, strategy),
            hold_updates: false,
            queue_updates: draw.chance(15),
            flapping: Flapping {
                threshold_seconds: draw.small(0, 60),
                initial_delay_seconds: draw.small(1, 20),
                max_delay_seconds: 60,
            },
            partition: Partition { reschedule: draw.chance(70), delay_seconds: draw.small(0, 60) },
            history: History {
                failed: draw.small(0, 3),
                ended: draw.small(0, 2),
                ttl_seconds: draw.pick(&[60, 600, 86_400]),
            },
            work: Work::default(),
            batch: None,
        };
        let grace_seconds = draw.pick(&[1, 5, 30]);
        let skew = |draw: &mut Draw| match draw.chance(50) {
            true => 0,
            false => i64::try_from(draw.below(20_000)).unwrap_or(0) - 10_000,
        };
        Self {
            seed,
            service,
            grace_seconds,
            qualities: draw_qualities(&mut draw),
            skews: [skew(&mut draw), skew(&mut draw)],
            term_lag: draw.pick(&[0, 20, 200]),
            quiet: 12 * MINUTE,
            finale: draw.chance(50),
            steady: false,
            guards: Guards::ALL,
        }
    }

    /// The setting of a seed in which only operators go wrong.
    pub(super) fn draw_steady(seed: u64) -> Self {
        let mut setting = Self { finale: false, steady: true, ..Self::draw(seed) };
        setting.qualities.clear();
        setting.service.update.max_wait_seconds = 600;
        setting.service.update.pulse_interval_seconds = 0;
        setting.service.update.in_place = false;
        setting.service.update.checks.clear();
        setting
    }

    /// The setting of a seed around a job whose instances run to their end.
    pub(super) fn draw_job(seed: u64) -> Self {
        let mut setting = Self { finale: false, ..Self::draw(seed) };
        setting.qualities.clear();
        setting.service.update.in_place = false;
        setting.service.batch = Some(Box::new(jobs::draw_batch(&mut Draw::of(seed, &[4]))));
        setting
    }

    /// Seconds a Pod of this config has to stop.
    pub(super) fn grace_seconds(&self, revision: Revision) -> u32 {
        // One that takes longer than the patience with the others.
        if revision == Revision::v1(2) { 330 } else { self.grace_seconds }
    }

    pub(super) fn quality(&self, revision: Revision) -> Quality {
        self.qualities.get(&revision).copied().unwrap_or(Quality::Good)
    }
}

pub(super) fn draw_settings(draw: &mut Draw, strategy: Strategy) -> UpdateSettings {
    let settings = UpdateSettings {
        strategy,
        watch_seconds: draw.pick(&[0, 0, 3, 10, 20]),
        max_per_instance_failures: draw.pick(&[0, 0, 1, 2]),
        max_failed_instances: draw.pick(&[
            Amount::Count(0),
            Amount::Count(0),
            Amount::Count(0),
            Amount::Count(1),
            Amount::Count(2),
            Amount::Percent(30),
        ]),
        rollback_on_failure: draw.chance(80),
        max_wait_seconds: draw.pick(&[60, 120]),
        scope: None,
        restart_at: None,
        pulse_interval_seconds: if draw.chance(15) { draw.small(20, 40) } else { 0 },
        checks: Vec::new(),
        in_place: draw.chance(50),
        max_surge: if draw.chance(40) {
            draw.pick(&[Amount::Count(1), Amount::Count(2), Amount::Percent(50)])
        } else {
            Amount::Count(0)
        },
    };
    UpdateSettings { checks: draw_checks(draw, settings.watch_seconds), ..settings }
}

fn draw_strategy(draw: &mut Draw) -> Strategy {
    let group_size = if draw.chance(80) {
        Amount::Count(draw.small(1, 3))
    } else {
        Amount::Percent(draw.pick(&[10, 34, 50, 100]))
    };
    let autopause = draw.chance(30);
    match draw.below(5) {
        0 | 1 => Strategy::Queue { group_size },
        2 | 3 => Strategy::Batch { group_size, autopause },
        _ => {
            let group_sizes = vec![Amount::Count(1), Amount::Count(draw.small(1, 3)), group_size];
            Strategy::VariableBatch { group_sizes, autopause }
        }
    }
}

pub(super) fn draw_scope(draw: &mut Draw) -> Option<Ranges> {
    match draw.below(4) {
        0 => None,
        1 => Some(Ranges::up_to(draw.small(1, 4))),
        _ => {
            let one = draw.small(0, 4);
            Some((0..8).filter(|instance| *instance == one || draw.chance(50)).collect())
        }
    }
}

fn draw_qualities(draw: &mut Draw) -> BTreeMap<Revision, Quality> {
    let bad = [
        Quality::Crashes(1),
        Quality::Crashes(0),
        Quality::NeverReady,
        Quality::NoNode,
        Quality::HalfEnds,
        Quality::Flaky,
        Quality::Rejected,
        Quality::Refused,
    ];
    (2..=5)
        .map(|hash| (Revision::v1(hash), if draw.chance(45) { Quality::Good } else { draw.pick(&bad) }))
        .collect()
}
