//! People: they suspend, resume, change the schedule, ask for runs and take that back, remove some, and freeze the cluster; parents end.

use jiff::SignedDuration;

use super::{
    CronTrouble,
    desk::{RULES, Setting, schedule},
    store::Store,
};
use crate::{model::*, sim::draw::Draw};

pub(super) fn act(setting: &Setting, store: &mut Store, draw: &mut Draw) {
    if setting.trouble == CronTrouble::Leaders {
        return;
    }
    end_parents(store, draw);
    match draw.below(300) {
        0 => store.edit(|cron| cron.suspend = true),
        21..=24 if store.newest().cron.suspend => store.edit(|cron| cron.suspend = false),
        3..=4 if setting.cron.schedule.is_some() => {
            let rule = draw.pick(&RULES);
            store.edit(|cron| (cron.schedule, cron.schedule_text) = schedule(rule));
        }
        5..=10 => ask(store, draw),
        25 => {
            store.judge.asked = store.newest().status.as_ref().and_then(|status| status.observed_run_at);
            store.edit(|cron| cron.run_at = None);
        }
        11..=14 => remove(store, draw, true),
        15 => remove(store, draw, false),
        16 => store.frozen = true,
        17..=20 => store.frozen = false,
        _ => {}
    }
}

/// A person asks for a run now, a while ago, soon, or at a time that is due anyway.
fn ask(store: &mut Store, draw: &mut Draw) {
    let seconds = i64::try_from(draw.below(60)).unwrap_or(0) - 30;
    let mut at = store.now + SignedDuration::from_secs(seconds);
    if draw.chance(30) {
        at -= SignedDuration::from_secs(at.as_second().rem_euclid(60));
    }
    store.judge.asked(at);
    store.edit(|cron| cron.run_at = Some(at));
}

/// A person removes a run that has ended, or one that goes on.
fn remove(store: &mut Store, draw: &mut Draw, ended: bool) {
    let runs: Vec<RunSeen> = store.runs.values().filter(|run| run.end.is_some() == ended).cloned().collect();
    if runs.is_empty() {
        return;
    }
    let run = &runs[usize::try_from(draw.below(runs.len() as u64)).unwrap_or(0)];
    store.judge.taken(run.uid);
    store.remove(run);
}

fn end_parents(store: &mut Store, draw: &mut Draw) {
    let now = store.now;
    for parent in &mut store.parents {
        if draw.chance(4) {
            parent.ended = Some(now);
            parent.succeeded = if draw.chance(70) { Some(now) } else { parent.succeeded };
        }
    }
}

/// People leave the cluster alone, and nothing stands in its way.
pub(super) fn rest(store: &mut Store) {
    store.frozen = false;
    if store.newest().cron.suspend {
        store.edit(|cron| cron.suspend = false);
    }
}
