//! The planner of crons in named cases: a cron at a desk, whose plans are carried out one by one.

mod claims;
mod collisions;
mod lineage;
mod times;
mod words;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{CronAction, CronPlan, CronView, plan_cron, run_name};
use crate::{model::*, plan::Problem, schedule::Schedule};

/// A time of 10 June 2026, or of another day: `12:00`, `12:00:30`, `2026-03-29T02:30:00`.
fn at(text: &str) -> Timestamp {
    let text = if text.contains('T') { text.to_owned() } else { format!("2026-06-10T{text}") };
    let text = if text.len() == "2026-06-10T12:00".len() { format!("{text}:00") } else { text };
    format!("{text}Z").parse().unwrap()
}

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[derive(Clone)]
struct Desk {
    cron: Cron,
    status: Option<CronStatus>,
    runs: Vec<RunSeen>,
    parents: Vec<ParentSeen>,
    settled: bool,
    frozen: bool,
    /// Since when its planner is there: none has just come.
    since: Option<Timestamp>,
    cycle: Option<String>,
    problem: Option<Problem>,
    now: Timestamp,
    uids: u128,
    /// What was done, in short words.
    told: Vec<String>,
}

impl Desk {
    /// A cron of this schedule, made at midnight; all up to `dealt` is dealt with.
    fn new(schedule: &str, dealt: &str, now: &str) -> Self {
        let mut desk = Self {
            cron: Cron {
                name: "backup".into(),
                uid: Uid::new(7),
                generation: 1,
                created: at("00:00"),
                deleting: false,
                schedule: None,
                schedule_text: "".into(),
                suspend: false,
                collision: Collision::KillExisting,
                catch_up: CatchUp::None,
                jitter_seconds: 0,
                history: RunHistory { succeeded: 3, failed: 3 },
                parents: Vec::new(),
                run_at: None,
            },
            status: None,
            runs: Vec::new(),
            parents: Vec::new(),
            settled: true,
            frozen: false,
            since: None,
            cycle: None,
            problem: None,
            now: at(now),
            uids: 100,
            told: Vec::new(),
        };
        desk.schedule(schedule);
        desk.status = Some(CronStatus {
            observed_schedule: Some(desk.cron.schedule_text.clone()),
            last_scheduled: Some(at(dealt)),
            ..CronStatus::default()
        });
        desk
    }

    fn schedule(&mut self, rule: &str) {
        self.schedule_in(rule, "UTC");
    }

    fn schedule_in(&mut self, rule: &str, zone: &str) {
        let schedule = (!rule.is_empty()).then(|| Arc::new(Schedule::parse(&[rule], Some(zone)).unwrap()));
        self.cron.schedule = schedule;
        self.cron.schedule_text = rule.into();
    }

    fn status(&mut self) -> &mut CronStatus {
        self.status.as_mut().unwrap()
    }

    fn plan(&self) -> CronPlan {
        let view = CronView {
            cron: &self.cron,
            status: self.status.as_ref(),
            runs: &self.runs,
            settled: self.settled,
            parents: &self.parents,
            cycle: self.cycle.as_deref(),
            frozen: self.frozen,
            watched_since: self.since.unwrap_or(self.now),
            problem: self.problem.as_ref(),
        };
        plan_cron(&view, self.now)
    }

    /// A run of this time, as its object is.
    fn object(&mut self, time: Timestamp) -> RunSeen {
        self.uids += 1;
        RunSeen {
            name: run_name(&self.cron.name, time),
            uid: Uid::new(self.uids),
            time,
            created: self.now,
            deleting: false,
            owned: true,
            killed: false,
            end: None,
            started: None,
            ttl_seconds: None,
        }
    }

    /// There is an object of this time that the status knows nothing of.
    fn stray(&mut self, time: &str) -> Uid {
        let run = self.object(at(time));
        let uid = run.uid;
        self.runs.push(run);
        self.runs.sort_by_key(|run| run.time);
        uid
    }

    /// A run of this time goes on.
    fn active(&mut self, time: &str, cause: RunCause) -> Uid {
        let uid = self.stray(time);
        self.status().runs.insert(
            0,
            RunRecord {
                time: at(time),
                cause,
                uid: Some(uid),
                started: Some(at(time)),
                ended: None,
                outcome: RunOutcome::Active,
            },
        );
        uid
    }

    fn claimed(&mut self, time: &str, cause: RunCause) {
        if cause == RunCause::Asked {
            self.cron.run_at = Some(at(time));
            self.status().observed_run_at = Some(at(time));
        }
        self.status().pending = Some(PendingRun { time: at(time), cause });
    }

    /// The run that goes on ends.
    fn end(&mut self, failure: Option<BatchFailure>) {
        let uids: Vec<_> = self.records(|outcome| outcome == RunOutcome::Active);
        let now = self.now;
        for run in self.runs.iter_mut().filter(|run| uids.contains(&Some(run.uid)) && run.end.is_none()) {
            let killed = run.killed.then_some(BatchFailure::Killed(KillReason::Collision));
            run.end = Some(RunEnd { at: now, failure: failure.or(killed) });
        }
    }

    fn records(&self, which: impl Fn(RunOutcome) -> bool) -> Vec<Option<Uid>> {
        let records = self.status.iter().flat_map(|status| &status.runs);
        records.filter(|record| which(record.outcome)).map(|record| record.uid).collect()
    }

    /// Plans and carries the plan out.
    fn step(&mut self) -> CronPlan {
        let plan = self.plan();
        let before = self.status.clone().unwrap_or_default();
        if let Some(status) = &plan.status {
            self.told.extend(words::changes(&before, status));
            self.status = Some(status.clone());
        }
        for action in &plan.actions {
            self.told.push(words::action(action, &self.runs));
            self.carry_out(action);
        }
        plan
    }

    fn carry_out(&mut self, action: &CronAction) {
        match action {
            CronAction::CreateRun { name, time } => {
                let run = self.object(*time);
                assert_eq!(run.name, *name);
                assert!(self.runs.iter().all(|run| run.name != *name), "{name} is there already");
                self.runs.push(run);
                self.runs.sort_by_key(|run| run.time);
            }
            CronAction::KillRun { uid, .. } => {
                self.runs.iter_mut().filter(|run| run.uid == *uid).for_each(|run| run.killed = true);
            }
            CronAction::RemoveRun { uid, .. } => self.runs.retain(|run| run.uid != *uid),
        }
    }

    /// Plans until there is nothing left to do; what was done since the last time.
    fn settle(&mut self) -> String {
        for _ in 0..20 {
            let status = self.status.clone();
            let plan = self.step();
            if self.status == status && plan.actions.is_empty() {
                return std::mem::take(&mut self.told).join(", ");
            }
        }
        panic!("it does not come to rest: {:?}", self.told);
    }

    /// The same at a time.
    fn settle_at(&mut self, now: &str) -> String {
        self.now = at(now);
        self.settle()
    }

    fn condition(&self, kind: ConditionType) -> &Condition {
        let conditions = &self.status.as_ref().unwrap().conditions;
        conditions.iter().find(|condition| condition.kind == kind).unwrap()
    }
}
