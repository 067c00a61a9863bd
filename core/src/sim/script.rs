//! Everything that disturbs a world, and when.
//!
//! All of it is drawn before the world begins, so a failing script can be shortened one disturbance at a time.

use crate::model::*;

use super::{
    draw::Draw,
    jobs,
    objects::Kind,
    setting::{Setting, draw_scope, draw_settings},
    time::{MINUTE, Millis, SECOND},
};

/// Something that goes wrong in the way to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Refused as a conflict.
    Conflict,
    /// Too many requests.
    Busy,
    /// The answer is lost, and nothing was done.
    Dropped,
    /// The answer is lost, and it was done.
    Applied,
    /// The answer is lost, and it will be done later.
    Late(Millis),
}

/// One disturbance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// The spec asks for a config, and maybe for a number of instances.
    Config(Revision, Option<u32>),
    /// The spec asks for a number of instances.
    Scale(u32),
    /// The spec says how to update from now on.
    Settings(UpdateSettings),
    /// The spec says which instances to update.
    Scope(Option<Ranges>),
    /// The spec asks for all tasks of before to be made anew.
    Restart,
    /// Every check measures what is bad, for a while.
    Bad(Millis),
    /// Nobody sends pulses or lets an update go on after a group, for a while.
    Unattended(Millis),
    Pause,
    Resume,
    Abort,
    RollBack,
    Retry,
    /// A person deletes the Pod of an instance, by force or not.
    DeletePod(Instance, bool),
    /// A person removes the newest update, or a stored config.
    DeleteUpdate,
    DeleteRevision(u32),
    /// A restore without status.
    WipeStatus,
    /// The service is deleted and its objects are left, or collected; it is made again after a while.
    Recreate {
        orphan: bool,
        after: Millis,
        revision: Option<Revision>,
    },
    Freeze(Millis),
    /// The spec can't be acted on for a while.
    InvalidSpec(Millis),
    /// The cluster-wide cap of kept Pods is reached for a while.
    KeepNothing(Millis),
    /// The Pod of an instance ends by itself.
    PodEnds(Instance, i32),
    /// It is evicted.
    Evict(Instance),
    /// It stops being Ready for a while.
    Unready(Instance, Millis),
    /// From now on Pods are slow to die, for a while.
    Stubborn(Millis),
    NodeLost(NodeId, Millis),
    /// A node is lost, its Pods are collected, and one of the same name comes in its place.
    NodeGone(NodeId, Millis),
    /// A watch shows nothing for a while.
    Lag(usize, Kind, Millis),
    /// A watch shows its last events once more.
    Duplicate(usize, Kind, usize),
    /// A watch breaks, and comes back with a list that is so many changes old.
    Relist(usize, Kind, Millis, u64),
    /// An operator dies after so many more requests, and is away for a while.
    Crash(usize, u32, Millis),
    /// An operator stands still after so many more requests; the last of them may be held back as long.
    Stop {
        operator: usize,
        requests: u32,
        length: Millis,
        held: bool,
    },
    /// An operator can't renew its lease for a while.
    Unrenewed(usize, Millis),
    /// So many requests meet trouble.
    Troubled(Trouble, u32),
}

/// The disturbances of a seed, in the order of their times.
pub(super) fn draw_script(setting: &Setting) -> Vec<(Millis, Disturbance)> {
    if setting.steady {
        return draw_steady_script(setting);
    }
    let mut draw = Draw::of(setting.seed, &[2]);
    let is_job = setting.service.batch.is_some();
    // Most of a job is over soon.
    let until = if is_job { 4 * MINUTE } else { setting.quiet - MINUTE };
    let count = draw.between(3, 18);
    let mut script: Vec<(Millis, Disturbance)> = (0..count)
        .map(|_| {
            let at = draw.between(SECOND, until);
            (at, draw_disturbance(&mut draw, setting))
        })
        .collect();
    script.retain(|(_, disturbance)| !is_job || jobs::can_happen(disturbance));
    // Faults hit most where something is going on: put some right behind a change.
    let changes: Vec<Millis> = script.iter().filter(|(_, it)| it.is_change()).map(|(at, _)| *at).collect();
    if !changes.is_empty() {
        for (at, disturbance) in &mut script {
            if !disturbance.is_change() && draw.chance(60) {
                *at = draw.pick(&changes) + draw.below(40 * SECOND);
            }
        }
    }
    script.sort_by_key(|(at, _)| *at);
    script
}

/// One update, and what happens to operators around it.
fn draw_steady_script(setting: &Setting) -> Vec<(Millis, Disturbance)> {
    let mut draw = Draw::of(setting.seed, &[3]);
    let change = 2 * MINUTE;
    let mut script: Vec<_> = (0..draw.between(2, 12))
        .map(|_| (change - 30 * SECOND + draw.below(3 * MINUTE), draw_disturbance(&mut draw, setting)))
        .filter(|(_, disturbance)| disturbance.is_operators())
        .collect();
    script.push((change, Disturbance::Config(Revision::v1(2), None)));
    script.sort_by_key(|(at, _)| *at);
    script
}

fn draw_disturbance(draw: &mut Draw, setting: &Setting) -> Disturbance {
    use Disturbance::*;
    let revision = Revision::v1(draw.between(1, 5));
    let instance = draw.small(0, 6);
    let operator = usize::from(draw.chance(50));
    let kind = draw.pick(&Kind::ALL);
    let short = draw.between(SECOND, 30 * SECOND);
    let long = draw.between(10 * SECOND, 2 * MINUTE);
    let requests = draw.small(0, 12);
    match draw.below(100) {
        0..=17 => Config(revision, draw.chance(30).then(|| draw.small(0, 6))),
        18..=25 => Scale(if draw.chance(10) { 0 } else { draw.small(1, 7) }),
        26 => Settings(draw_settings(draw, setting.service.update.strategy.clone())),
        27 => Scope(draw_scope(draw)),
        28 => Restart,
        29..=31 => Pause,
        32..=34 => Resume,
        35..=36 => Abort,
        37..=38 => RollBack,
        39..=41 => Retry,
        42..=45 => DeletePod(instance, draw.chance(30)),
        46 => DeleteUpdate,
        47 => DeleteRevision(draw.small(0, 5)),
        48..=50 => WipeStatus,
        51..=53 => Recreate {
            orphan: draw.chance(60),
            after: draw.pick(&[10, 2 * SECOND, 30 * SECOND]),
            revision: draw.chance(30).then_some(revision),
        },
        54 => Freeze(long),
        55 => InvalidSpec(long),
        56 => KeepNothing(long),
        57 => Unattended(long),
        58..=59 => Bad(long),
        60..=61 => PodEnds(instance, draw.pick(&[0, 1])),
        62..=63 => Evict(instance),
        64..=65 => Unready(instance, short),
        66..=68 => Stubborn(long),
        69..=71 => NodeLost(NodeId(draw.small(0, 2)), draw.between(5 * SECOND, 3 * MINUTE)),
        72 => NodeGone(NodeId(draw.small(0, 2)), draw.between(20 * SECOND, MINUTE)),
        73..=77 => Lag(operator, kind, long),
        78..=79 => Duplicate(operator, kind, 8),
        80..=84 => Relist(operator, kind, short, draw.between(0, 30)),
        85..=89 => Crash(operator, requests, long),
        90..=93 => Stop { operator, requests, length: long, held: draw.chance(70) },
        94..=95 => Unrenewed(operator, long),
        _ => Troubled(
            match draw.below(5) {
                0 => Trouble::Conflict,
                1 => Trouble::Busy,
                2 => Trouble::Dropped,
                3 => Trouble::Applied,
                _ => Trouble::Late(draw.between(100, 5000)),
            },
            draw.small(1, 4),
        ),
    }
}

impl Disturbance {
    /// Whether it concerns an operator or its way to the API server alone.
    fn is_operators(&self) -> bool {
        matches!(
            self,
            Self::Lag(..)
                | Self::Duplicate(..)
                | Self::Relist(..)
                | Self::Crash(..)
                | Self::Stop { .. }
                | Self::Unrenewed(..)
                | Self::Troubled(..)
        )
    }

    /// Whether it gives the operator something to do that takes a while.
    fn is_change(&self) -> bool {
        matches!(
            self,
            Self::Config(..)
                | Self::Scale(_)
                | Self::Scope(_)
                | Self::Restart
                | Self::Recreate { .. }
                | Self::WipeStatus
        )
    }
}
