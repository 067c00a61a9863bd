//! Looking back at one service's events: how long instances were held back, and in which groups they were changed.
//!
//! Pure; called by scenarios through `observer`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{
    facts::Facts,
    ledger::{Change, Entry},
};

/// One run of an instance, as it was seen from outside.
#[derive(Debug, Clone)]
pub struct RunSeen {
    /// Which run.
    pub run: u32,
    /// The short-lived runs before it, as its Pod says.
    pub flaps: u32,
    /// How long after the end of the run before it its Pod was made; `None` for the first.
    pub held: Option<Duration>,
}

/// The runs of one instance, with the time each was held back.
pub fn runs<'a>(entries: impl Iterator<Item = &'a Entry>, instance: u32) -> Vec<RunSeen> {
    let mut runs = Vec::new();
    let mut ended: Option<Instant> = None;
    let mut alive: BTreeSet<&str> = BTreeSet::new();
    for Entry { at, change, pod, .. } in entries.filter(|entry| entry.pod.key.instance == instance) {
        if *change == Change::Added {
            let held = ended.map(|ended| at.saturating_duration_since(ended));
            runs.push(RunSeen { run: pod.run, flaps: pod.flaps, held });
        }
        if *change != Change::Deleted && pod.is_live() {
            alive.insert(&pod.uid);
        } else if alive.remove(pod.uid.as_str()) {
            ended = Some(*at);
        }
    }
    runs
}

/// The groups in which instances were brought to a config: each instance in the order of its first touch, a new
/// group where at that moment nothing else was under way.
///
/// Under way is an instance from the moment its old Pod is told to end (or its new one is made) until its new Pod
/// is ready. A batch update must never touch another instance once one of the group has become ready and others
/// have not; where one does, the group is returned as an error.
pub fn groups<'a>(entries: impl Iterator<Item = &'a Entry>, revision: &str) -> Result<Vec<Vec<u32>>, String> {
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut under_way: BTreeMap<u32, bool> = BTreeMap::new();
    let mut done: BTreeSet<u32> = BTreeSet::new();
    for Entry { change, pod, .. } in entries {
        let instance = pod.key.instance;
        if pod.revision == revision && pod.is_up() && *change != Change::Deleted {
            done.insert(instance);
            if let Some(ready) = under_way.get_mut(&instance) {
                *ready = true;
            }
            if under_way.values().all(|ready| *ready) {
                under_way.clear();
            }
            continue;
        }
        let new_made = pod.revision == revision && *change == Change::Added;
        let old_ended =
            pod.revision != revision && (pod.ending || *change == Change::Deleted || !pod.is_live());
        if !(new_made || old_ended) || done.contains(&instance) || under_way.contains_key(&instance) {
            continue;
        }
        if under_way.values().any(|ready| *ready) {
            return Err(format!(
                "instance {instance} was touched while a group was half done: {under_way:?}"
            ));
        }
        if under_way.is_empty() {
            groups.push(Vec::new());
        }
        under_way.insert(instance, false);
        if let Some(group) = groups.last_mut() {
            group.push(instance);
        }
    }
    Ok(groups)
}

/// The most instances at once, of those numbered below `instances`, that had nothing up since a Pod of theirs was told to end
/// on a node within reach, and that is none of those excused.
pub fn most_ended<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    instances: u32,
    excused: impl Fn(&Facts) -> bool,
) -> usize {
    let (mut ended, mut most) = (BTreeSet::new(), 0);
    for Entry { change, pod, out_of_reach, .. } in entries.filter(|entry| entry.pod.key.instance < instances)
    {
        if pod.is_up() && *change != Change::Deleted {
            ended.remove(&pod.key.instance);
        } else if pod.ending && pod.is_live() && pod.live_label && !out_of_reach && !excused(pod) {
            ended.insert(pod.key.instance);
        }
        most = most.max(ended.len());
    }
    most
}

/// The runs of a cron that had a Pod, by their times in seconds, with the uids of the jobs whose Pods those were and how
/// many Pods there were.
pub type CronRuns = BTreeMap<i64, (BTreeSet<String>, usize)>;

/// The runs of a cron: the names of their Pods' jobs tell whose and of when.
pub fn cron_runs<'a>(entries: impl Iterator<Item = &'a Entry>, cron: &str) -> CronRuns {
    let mut runs = CronRuns::new();
    for entry in entries.filter(|entry| entry.change == Change::Added) {
        let rest = entry.pod.key.service.strip_prefix(cron).and_then(|rest| rest.strip_prefix('-'));
        let Some(time) = rest.and_then(|time| time.parse().ok()) else { continue };
        let (jobs, pods) = runs.entry(time).or_default();
        jobs.insert(entry.pod.owner.clone());
        *pods += 1;
    }
    runs
}

/// Each run of a cron was one Pod of one job, and no two runs were live at a time.
///
/// # Errors
/// In words, where it was not so.
pub fn each_once<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, cron: &str) -> Result<(), String> {
    let mut runs = cron_runs(entries.clone(), cron);
    runs.retain(|_, (jobs, pods)| jobs.len() != 1 || *pods != 1);
    if !runs.is_empty() {
        return Err(format!("more than one job or Pod: {runs:?}"));
    }
    let prefix = format!("{cron}-");
    let mut live: BTreeMap<&str, &str> = BTreeMap::new();
    for Entry { change, pod, .. } in entries.filter(|entry| entry.pod.key.service.starts_with(&prefix)) {
        if *change != Change::Deleted && pod.is_live() {
            live.insert(&pod.uid, &pod.key.service);
        } else {
            live.remove(pod.uid.as_str());
        }
        let runs: BTreeSet<&&str> = live.values().collect();
        if runs.len() > 1 {
            return Err(format!("runs of {cron} at the same time: {runs:?}"));
        }
    }
    Ok(())
}
