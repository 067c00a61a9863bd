//! What must hold while an update goes forward: instances that fail by a check, updates that wait for one.

use jiff::{SignedDuration, Timestamp};

use super::job::{GOOD, Job, NEXT};
use crate::model::*;

const ERRORS: &str = "errors";

fn check(name: &str, on_failure: OnFailure) -> Check {
    Check {
        name: name.to_owned(),
        source: Source::Prometheus {
            address: "http://prometheus:9090".to_owned(),
            query: "errors".to_owned(),
            when_no_data: NoData::Fail,
        },
        must: Must { be: Comparison::LessThan, value: "0.01".to_owned() },
        interval_seconds: 30,
        timeout_seconds: 5,
        failures_in_a_row: 1,
        on_failure,
    }
}

fn updating(instances: u32, on_failure: OnFailure) -> Job {
    let mut job = Job::running(instances);
    job.service.update.checks = vec![check(ERRORS, on_failure)];
    job.edit(NEXT);
    job.update_begun();
    job
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

impl Job {
    fn measured(&mut self, name: &str, outcome: Outcome) {
        self.measurements.retain(|measurement| measurement.check != name);
        self.measurements.push(Measurement { check: name.to_owned(), outcome });
    }

    fn holds_at(&mut self, name: &str, at: Timestamp) {
        let (value, message) = ("0.001".to_owned(), "0.001, must be less than 0.01".to_owned());
        self.measured(
            name,
            Outcome::Measured { at, held_at: Some(at), fails_since: None, failing: false, value, message },
        );
    }

    fn fails_at(&mut self, name: &str, at: Timestamp) {
        let (value, message) = ("0.35".to_owned(), "0.35, must be less than 0.01".to_owned());
        self.measured(
            name,
            Outcome::Measured { at, held_at: None, fails_since: Some(at), failing: true, value, message },
        );
    }

    fn holds(&mut self, name: &str) {
        self.holds_at(name, self.now);
    }

    fn fails(&mut self, name: &str) {
        self.fails_at(name, self.now);
    }

    /// Goes on until the live task of an instance is Ready in the new config; then it is in its watch.
    fn reach_watch(&mut self, instance: Instance) -> Uid {
        while self
            .live(instance)
            .is_none_or(|task| !(task.revision == NEXT && task.ready && task.ending.is_none()))
        {
            self.step();
            self.pods_then(0);
        }
        self.step();
        self.live(instance).unwrap().uid
    }

    fn state(&self) -> UpdateState {
        self.progress().state
    }
}

#[test]
fn a_check_that_fails_in_the_watch_fails_the_instances_in_it() {
    let mut job = updating(4, OnFailure::FailInstance);
    job.reach_watch(0);
    job.advance(3);
    job.fails(ERRORS);
    job.step();
    assert_eq!(job.state(), UpdateState::RollingBack);
    assert_eq!(job.progress().failed.to_string(), "0-1", "all that are in their watch");
    let (_, failures) = job.progress().cause.clone().unwrap();
    assert_eq!((failures.reason, failures.count), (EndReason::CheckFailed, 1));
    assert!(
        failures
            .message
            .ends_with("did not pass check \"errors\" within the watch: 0.35, must be less than 0.01"),
        "{}",
        failures.message
    );
    // What is bad must not keep itself from being taken back.
    job.settle();
    assert_eq!((job.state(), job.count(GOOD)), (UpdateState::RolledBack, 4));
    assert_eq!(job.status.as_ref().unwrap().failure.as_ref().unwrap().reason, EndReason::CheckFailed);
}

#[test]
fn what_failed_before_an_instance_became_ready_does_not_fail_it_with_the_next_measurement() {
    for (began, failed) in [(-5, 0), (1, 1)] {
        let mut job = updating(1, OnFailure::FailInstance);
        job.service.update.rollback_on_failure = false;
        job.reach_watch(0);
        let ready = job.live(0).unwrap().ready_since.unwrap();
        let (value, message) = ("1".to_owned(), "1, must be less than 0.01".to_owned());
        let (at, fails_since) = (ready + seconds(5), Some(ready + seconds(began)));
        job.measured(
            ERRORS,
            Outcome::Measured { at, held_at: None, fails_since, failing: true, value, message },
        );
        job.now = ready + seconds(6);
        job.step();
        assert_eq!(job.progress().failed.len(), failed, "since {began}");
    }
}

/// A measurement of seconds after the instance became Ready: when the newest was, when one last held, whether it
/// fails; then what became of the instance when its watch of ten seconds and one was over.
#[test]
fn only_what_was_measured_since_the_instance_became_ready_counts() {
    /// When the newest was begun, when one last held, and whether the check fails.
    type Seen = (i64, Option<i64>, bool);
    enum Becomes {
        Good,
        Failed,
        NothingYet,
    }
    use Becomes::*;
    let rows: [(Option<Seen>, Becomes); 9] = [
        (None, NothingYet),
        (Some((-30, Some(-30), false)), NothingYet),
        (Some((-30, None, true)), NothingYet),
        // Ready in a second that the API server cuts off.
        (Some((0, Some(0), false)), NothingYet),
        (Some((0, None, true)), NothingYet),
        (Some((1, Some(1), false)), Good),
        (Some((1, None, true)), Failed),
        // The newest is bad, but not often enough.
        (Some((6, Some(2), false)), NothingYet),
        (Some((6, None, false)), NothingYet),
    ];
    for (row, (seen, becomes)) in rows.into_iter().enumerate() {
        let mut job = updating(1, OnFailure::FailInstance);
        job.reach_watch(0);
        let ready = job.live(0).unwrap().ready_since.unwrap();
        if let Some((at, held_at, failing)) = seen {
            let held_at = held_at.map(|held| ready + seconds(held));
            let (value, message) = ("1".to_owned(), "1, must be less than 0.01".to_owned());
            let at = ready + seconds(at);
            job.measured(
                ERRORS,
                Outcome::Measured {
                    at,
                    held_at,
                    fails_since: failing.then_some(at),
                    failing,
                    value,
                    message,
                },
            );
        }
        job.now = ready + seconds(10);
        job.step();
        let early = job.progress().updated.len();
        job.now = ready + seconds(11);
        job.step();
        let progress = job.progress();
        let became = (early, progress.updated.len(), progress.failed.len(), progress.working.len());
        let expected = match becomes {
            Good => (0, 1, 0, 0),
            Failed => (0, 0, 1, 1),
            NothingYet => (0, 0, 0, 1),
        };
        assert_eq!(became, expected, "row {row}");
    }
}

#[test]
fn a_failure_by_a_check_counts_once_a_pod_and_has_it_made_anew() {
    let mut job = updating(1, OnFailure::FailInstance);
    job.update().settings.max_per_instance_failures = 1;
    let first = job.reach_watch(0);
    job.advance(2);
    job.fails(ERRORS);
    let before = job.plan();
    assert!(before.actions.iter().any(|action| matches!(
        action,
        crate::plan::Action::End { uid, intent: Intent::Restart, .. } if *uid == first
    )));
    // It is seen to fail again before the Pod has ended, and to hold.
    let (uid, progress) = before.progress.unwrap();
    assert_eq!(uid, job.update().uid);
    job.update().progress = Some(progress);
    job.fails(ERRORS);
    job.step();
    job.holds(ERRORS);
    job.step();
    assert_eq!((job.progress().failures[&0].count, job.progress().working.len()), (1, 1));
    let second = job.reach_watch(0);
    assert_ne!(first, second);
    job.advance(2);
    job.holds(ERRORS);
    job.settle();
    assert_eq!((job.state(), job.progress().failures[&0].count), (UpdateState::RolledForward, 1));

    let mut job = updating(1, OnFailure::FailInstance);
    job.update().settings.max_per_instance_failures = 1;
    for _ in 0..2 {
        job.reach_watch(0);
        job.advance(2);
        job.fails(ERRORS);
        job.step();
    }
    assert_eq!((job.state(), job.progress().cause.as_ref().unwrap().1.count), (UpdateState::RollingBack, 2));
}

#[test]
fn every_check_has_to_hold() {
    let mut job = Job::running(1);
    job.service.update.checks =
        vec![check(ERRORS, OnFailure::FailInstance), check("latency", OnFailure::FailInstance)];
    job.edit(NEXT);
    job.update_begun();
    job.reach_watch(0);
    job.advance(20);
    job.holds(ERRORS);
    job.step();
    assert_eq!(job.progress().updated.len(), 0);
    job.fails("latency");
    job.step();
    assert!(job.progress().message.contains("\"latency\""), "{}", job.progress().message);
    assert_eq!(job.state(), UpdateState::RollingBack);
}

#[test]
fn what_runs_already_is_judged_by_what_is_measured_since_it_was_taken_on() {
    let mut job = Job::running(2);
    job.service.update.checks = vec![check(ERRORS, OnFailure::FailInstance)];
    job.service.update.rollback_on_failure = false;
    job.edit(NEXT);
    job.update_begun();
    job.reach_watch(0);
    job.advance(2);
    job.fails(ERRORS);
    job.settle();
    assert_eq!((job.state(), job.count(NEXT)), (UpdateState::Failed, 2));
    // Tried again it is there already, long Ready; a measurement of then says nothing.
    job.update().controls.retry = Some(Request::default());
    job.update_begun();
    job.settle();
    assert_eq!((job.updates.len(), job.state()), (2, UpdateState::RollingForward));
    job.holds(ERRORS);
    job.settle();
    assert_eq!(job.state(), UpdateState::RolledForward);
}

#[test]
fn an_update_waits_for_its_checks_as_for_a_pulse() {
    let mut job = updating(4, OnFailure::LosePulse);
    assert_eq!(job.state(), UpdateState::RollForwardAwaitingPulse, "from the first");
    job.settle();
    assert_eq!((job.state(), job.count(NEXT)), (UpdateState::RollForwardAwaitingPulse, 0));
    assert_eq!(job.progress().message, "check \"errors\" was not measured yet");
    assert_eq!(job.ready().0, "AwaitingPulse");
    job.fails(ERRORS);
    job.step();
    assert_eq!(job.progress().message, "check \"errors\": 0.35, must be less than 0.01");
    assert_eq!(job.progress().checks[0].value, "0.35");
    job.holds(ERRORS);
    job.step();
    assert_eq!(
        (job.state(), job.progress().working.to_string()),
        (UpdateState::RollingForward, "0-1".into())
    );

    job.reach_watch(0);
    job.advance(20);
    job.step();
    assert_eq!(job.progress().updated.len(), 0, "it was not measured since they became Ready");
    job.fails(ERRORS);
    job.step();
    assert_eq!(job.state(), UpdateState::RollForwardAwaitingPulse);
    job.settle();
    assert_eq!((job.progress().failed.len(), job.count(NEXT)), (0, 2), "blocked is not failed");
    for _ in 0..1440 {
        job.holds(ERRORS);
        while job.step() {}
        job.pods_then(5);
    }
    assert_eq!((job.state(), job.count(NEXT)), (UpdateState::RolledForward, 4));
}

#[test]
fn a_measurement_that_is_not_followed_by_another_lasts_no_longer_than_a_pulse() {
    let mut job = updating(4, OnFailure::LosePulse);
    job.holds(ERRORS);
    let (now, end) = (job.now, job.now + seconds(2 * 30 + 5 + 60));
    job.step();
    assert_eq!(job.state(), UpdateState::RollingForward);
    assert!(job.plan().next_check.is_some_and(|at| at <= end));
    job.now = end - seconds(1);
    job.step();
    assert_eq!(job.state(), UpdateState::RollingForward);
    job.now = end;
    job.step();
    assert_eq!(job.state(), UpdateState::RollForwardAwaitingPulse);
    // One that failed some times, not often enough, goes on.
    let (value, message) = (String::new(), "no answer".to_owned());
    let at = job.now;
    job.measured(
        ERRORS,
        Outcome::Measured { at, held_at: Some(now), fails_since: None, failing: false, value, message },
    );
    job.step();
    assert_eq!(job.state(), UpdateState::RollingForward);
}

/// Whether the pulse is fresh, whether the check holds, and whether it goes on.
#[test]
fn a_pulse_and_a_check_have_to_be_well_both() {
    for (fresh, holds) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut job = updating(2, OnFailure::LosePulse);
        job.update().settings.pulse_interval_seconds = 60;
        let sent = Timestamp::from_second(job.now.as_second()).unwrap();
        job.update().controls.pulse = fresh.then_some(sent);
        if holds {
            job.holds(ERRORS);
        } else {
            job.fails(ERRORS);
        }
        job.step();
        let goes_on = job.state() == UpdateState::RollingForward;
        assert_eq!(goes_on, fresh && holds, "pulse {fresh}, check {holds}: {}", job.progress().message);
        let said = &job.progress().message;
        assert!(fresh || said.contains("controls.pulse"), "{said}");
        assert!(holds || said.contains("\"errors\": 0.35"), "{said}");
    }
}

#[test]
fn what_may_not_be_measured_holds_the_update_before_anything_is_touched() {
    for on_failure in [OnFailure::FailInstance, OnFailure::LosePulse] {
        let mut job = Job::running(4);
        job.service.update.checks = vec![check(ERRORS, on_failure)];
        let why = "--check-hosts does not name prometheus";
        job.measured(ERRORS, Outcome::Refused(why.to_owned()));
        job.edit(NEXT);
        job.settle();
        assert_eq!((job.state(), job.count(NEXT)), (UpdateState::RollForwardAwaitingPulse, 0));
        assert_eq!(job.progress().message, format!("check \"errors\" is not measured: {why}"));
        job.holds(ERRORS);
        job.step();
        assert_eq!(job.state(), UpdateState::RollingForward);
    }
}

#[test]
fn checks_neither_unpause_nor_hold_up_the_way_back() {
    for on_failure in [OnFailure::FailInstance, OnFailure::LosePulse] {
        let mut job = updating(4, on_failure);
        job.holds(ERRORS);
        job.reach_watch(0);
        job.update().controls.paused = true;
        job.step();
        job.fails(ERRORS);
        job.step();
        assert_eq!((job.state(), job.progress().failures.len()), (UpdateState::RollForwardPaused, 0));
        job.holds(ERRORS);
        job.step();
        assert_eq!(job.state(), UpdateState::RollForwardPaused);
        // What was measured before the pause is not there any more.
        job.measurements.clear();
        job.update().controls.paused = false;
        job.step();
        let waits = on_failure == OnFailure::LosePulse;
        assert_eq!(job.state() == UpdateState::RollForwardAwaitingPulse, waits);
        job.fails(ERRORS);
        job.update().controls.rollback = Some(Request::default());
        job.settle();
        assert_eq!((job.state(), job.count(GOOD)), (UpdateState::RolledBack, 4));
    }
}

#[test]
fn what_takes_back_an_update_asks_no_check() {
    for on_failure in [OnFailure::FailInstance, OnFailure::LosePulse] {
        let mut job = Job::running(2);
        job.edit(NEXT);
        job.settle();
        assert_eq!(job.state(), UpdateState::RolledForward);
        job.service.update.checks = vec![check(ERRORS, on_failure)];
        job.fails(ERRORS);
        job.update().controls.rollback = Some(Request::default());
        job.settle();
        assert_eq!((job.updates.len(), job.state(), job.count(GOOD)), (2, UpdateState::RolledBack, 2));
    }
}

#[test]
fn what_a_check_says_is_recorded_and_told_when_it_changes() {
    let mut job = updating(2, OnFailure::LosePulse);
    job.holds(ERRORS);
    job.reach_watch(0);
    assert_eq!(job.progress().checks.len(), 1);
    let of_checks = |job: &Job| -> Vec<&'static str> {
        job.events.iter().copied().filter(|reason| reason.starts_with("Check")).collect()
    };
    assert_eq!(of_checks(&job), [""; 0], "that it holds at first is no news");
    for (holds, told) in [
        (true, &[][..]),
        (false, &["CheckFails"]),
        (false, &["CheckFails"]),
        (true, &["CheckFails", "CheckHolds"]),
        (true, &["CheckFails", "CheckHolds"]),
    ] {
        job.advance(1);
        let before = job.progress().checks.clone();
        if holds {
            job.holds(ERRORS);
        } else {
            job.fails(ERRORS);
        }
        while job.step() {}
        assert_eq!(of_checks(&job), told);
        let record = &job.progress().checks[0];
        let changed = before[0].holds != holds;
        assert_eq!((record.holds, record.at == job.now), (holds, changed));
    }
}
