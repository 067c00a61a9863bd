//! The API server: the cron's versions, the AuroraJobs by name, and the requests that are still on their way.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::{
    CronTally,
    desk::{BEGAN, Setting},
    judge::Judge,
};
use crate::model::*;

/// The cron as it once was; its place among the versions is its resourceVersion.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) cron: Cron,
    pub(super) status: Option<CronStatus>,
}

/// Who asks for a write of the status.
#[derive(Debug, Clone, Copy)]
pub(super) struct By {
    /// What its clock says.
    pub(super) clock: Timestamp,
    /// Since when it has been there, by its clock.
    pub(super) since: Timestamp,
}

/// A write that a leader asks for.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// Replaces the status of the version of this number, if that is the newest.
    Status {
        version: usize,
        status: Box<CronStatus>,
        by: By,
    },
    Create {
        name: Arc<str>,
        time: Timestamp,
    },
    Kill {
        uid: Uid,
    },
    Remove {
        uid: Uid,
    },
}

/// What the API server says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Conflict,
    /// There is an object of that name already.
    Exists,
    /// There is none of that uid.
    Missing,
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) now: Timestamp,
    pub(super) versions: Vec<Arc<Version>>,
    pub(super) runs: BTreeMap<Arc<str>, RunSeen>,
    /// The runs after each change of them, the last one as they are.
    pub(super) snapshots: Vec<Arc<Vec<RunSeen>>>,
    pub(super) parents: Vec<ParentSeen>,
    pub(super) frozen: bool,
    pub(super) late: Vec<(Timestamp, Request)>,
    pub(super) judge: Judge,
    pub(super) tally: CronTally,
    pub(super) trace: Vec<String>,
    pub(super) ttl: Option<u32>,
    /// The longest that runs take, in seconds.
    pub(super) longest: u64,
    uids: u128,
}

impl Store {
    pub(super) fn new(setting: &Setting) -> Self {
        let version = Version { cron: setting.cron.clone(), status: None };
        Self {
            now: Timestamp::from_second(BEGAN).unwrap_or_default(),
            versions: vec![Arc::new(version)],
            runs: BTreeMap::new(),
            snapshots: vec![Arc::default()],
            parents: vec![ParentSeen { exists: true, ..ParentSeen::default() }; setting.cron.parents.len()],
            frozen: false,
            late: Vec::new(),
            judge: Judge::default(),
            tally: CronTally::default(),
            trace: Vec::new(),
            ttl: setting.ttl,
            longest: setting.longest,
            uids: 1,
        }
    }

    pub(super) fn newest(&self) -> &Arc<Version> {
        &self.versions[self.versions.len() - 1]
    }

    pub(super) fn status(&self) -> Option<&CronStatus> {
        self.newest().status.as_ref()
    }

    pub(super) fn say(&mut self, words: impl FnOnce() -> String) {
        let line = format!("{} {}", self.now, words());
        self.trace.push(line);
    }

    /// Time passes, and what was on its way for long arrives.
    pub(super) fn tick(&mut self, seconds: i64) -> Result<(), String> {
        self.now += SignedDuration::from_secs(seconds);
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        for (_, request) in due {
            self.tally.late += 1;
            self.say(|| format!("late: {request:?}"));
            self.serve(request)?;
        }
        Ok(())
    }

    /// A person changes the spec.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Cron)) {
        let mut version = Version::clone(self.newest());
        change(&mut version.cron);
        version.cron.generation += 1;
        self.say(|| {
            let Cron { schedule_text, suspend, run_at, .. } = &version.cron;
            format!("spec: {schedule_text}, suspend {suspend}, run at {run_at:?}")
        });
        self.versions.push(Arc::new(version));
    }

    /// The runs have changed.
    pub(super) fn changed(&mut self) {
        let mut runs: Vec<RunSeen> = self.runs.values().cloned().collect();
        runs.sort_by_key(|run| run.time);
        self.snapshots.push(Arc::new(runs));
    }

    pub(super) fn run(&mut self, uid: Uid) -> Option<&mut RunSeen> {
        self.runs.values_mut().find(|run| run.uid == uid)
    }

    /// Does what is asked for, or says why not.
    pub(super) fn serve(&mut self, request: Request) -> Result<Answer, String> {
        match request {
            Request::Status { version, status, by } => self.write(version, *status, by),
            Request::Create { name, time } => Ok(self.create(name, time)),
            Request::Kill { uid } => {
                let Some(run) = self.run(uid) else { return Ok(Answer::Missing) };
                run.killed = true;
                let run = run.clone();
                self.tally.killed += 1;
                self.say(|| format!("told to end: {run:?}"));
                self.changed();
                self.judge.killed(&run, &self.newest().cron)?;
                Ok(Answer::Done)
            }
            Request::Remove { uid } => {
                let Some(run) = self.run(uid).cloned() else { return Ok(Answer::Missing) };
                let version = self.newest().clone();
                self.judge.removed(&run, version.status.as_ref())?;
                self.tally.strays += u64::from(run.end.is_none());
                self.remove(&run);
                Ok(Answer::Done)
            }
        }
    }

    pub(super) fn remove(&mut self, run: &RunSeen) {
        self.say(|| format!("removed: {run:?}"));
        self.runs.remove(&run.name);
        self.changed();
    }

    fn write(&mut self, version: usize, status: CronStatus, by: By) -> Result<Answer, String> {
        if version + 1 != self.versions.len() {
            self.tally.conflicts += 1;
            return Ok(Answer::Conflict);
        }
        let before = self.newest().clone();
        // Writing what is there already changes nothing.
        if before.status.as_ref() == Some(&status) {
            return Ok(Answer::Done);
        }
        self.say(|| format!("status by a clock of {}: {}", by.clock, words(&status)));
        self.judge.written(&before, &status, by, &self.runs, &mut self.tally)?;
        self.versions.push(Arc::new(Version { cron: before.cron.clone(), status: Some(status) }));
        Ok(Answer::Done)
    }

    fn create(&mut self, name: Arc<str>, time: Timestamp) -> Answer {
        if self.runs.contains_key(&name) {
            return Answer::Exists;
        }
        self.uids += 1;
        let run = RunSeen {
            name: name.clone(),
            uid: Uid::new(self.uids),
            time,
            created: self.now,
            deleting: false,
            owned: true,
            killed: false,
            end: None,
            started: None,
            ttl_seconds: self.ttl,
        };
        self.say(|| format!("made: {run:?}"));
        self.runs.insert(name, run);
        self.changed();
        Answer::Done
    }
}

fn words(status: &CronStatus) -> String {
    let records: Vec<String> = status
        .runs
        .iter()
        .map(|record| format!("{} {:?} {:?} {:?}", record.time, record.cause, record.uid, record.outcome))
        .collect();
    format!(
        "dealt {:?}, pending {:?}, asked {:?}, missed {}, suspended {}, {records:?}",
        status.last_scheduled, status.pending, status.observed_run_at, status.missed, status.suspended
    )
}
