//! What people and pulses ask of an update, and what of it is not done (Aurora: pauseJobUpdate, resumeJobUpdate,
//! abortJobUpdate, rollbackJobUpdate, pulseJobUpdate).
//!
//! What a wish means in a state is the table in `state`; here it is read off the controls, which say what is wished
//! for now and not what was done, so that nothing has to be remembered of them but the last pulse.

use jiff::Timestamp;

use crate::{
    model::{Pulse, Request, UpdateState},
    state::{Answer, Wish, answer},
};

use super::{super::targets, Step, after, group::groups_through};

impl Step<'_, '_> {
    /// Does what people ask of the update, and gives it up where the spec has gone on.
    pub(super) fn obey(&mut self) {
        let controls = &self.update.controls;
        let service = self.fleet.view.service;
        if self.gives_way() {
            let spec = service.revision;
            let same = self.is_of_config();
            let what = if same { "what to update".to_owned() } else { spec.to_string() };
            self.wish(Wish::Abort, format!("superseded: the spec now says {what}"));
        } else if let Some(request) = &controls.abort {
            self.wish(Wish::Abort, format!("aborted{}", by(request)));
        } else if let Some(request) = &controls.rollback
            && answer(self.progress.state, Wish::RollBack) == Answer::Goes(UpdateState::RollingBack)
        {
            self.turn_back(format!("rolled back{}", by(request)));
        }
        if controls.paused {
            self.wish(Wish::Pause, "paused; set controls.paused to false to go on".to_owned());
        } else if let Some(message) = self.pause_after_group() {
            if self.progress.state == UpdateState::RollForwardPaused {
                self.progress.message = message;
            }
        } else {
            self.wish(Wish::Resume, "resumed".to_owned());
        }
    }

    /// Whether the update is given up for what the spec asks for now.
    fn gives_way(&self) -> bool {
        let service = self.fleet.view.service;
        if service.queue_updates || service.hold_updates || targets::is_of_spec(self.fleet, self.update) {
            return false;
        }
        // More of a config that goes back, or that a person has stopped, waits for the end: it would go forward again.
        let stands = self.progress.state.is_back() || self.progress.state == UpdateState::RollForwardPaused;
        !(stands && self.is_of_config())
    }

    fn is_of_config(&self) -> bool {
        let spec = self.fleet.view.service.revision;
        self.update.instructions.to.as_ref().is_none_or(|(to, _)| *to == spec)
    }

    /// Takes the pulse, asks the checks, and stops or goes on by them.
    pub(super) fn pulse(&mut self) {
        let interval = self.update.settings.pulse_interval_seconds;
        let checked = self.is_checked();
        if interval == 0 && !checked {
            return;
        }
        let pulse = if interval == 0 { Ok(None) } else { self.take_pulse(interval).map(Some) };
        let checks = if checked { self.checks_allow() } else { Ok(None) };
        match (pulse, checks) {
            (Ok(pulse), Ok(checks)) => {
                let message = if interval == 0 { "its checks hold" } else { "a pulse came" };
                self.wish(Wish::Pulse, message.to_owned());
                if !self.progress.state.is_terminal() {
                    pulse.into_iter().chain(checks).for_each(|end| self.plan.check_at(end));
                }
            }
            (pulse, checks) => {
                let against: Vec<String> = pulse.err().into_iter().chain(checks.err()).collect();
                let message = against.join("; ");
                self.wish(Wish::PulseLost, message.clone());
                if self.progress.state == UpdateState::RollForwardAwaitingPulse && checked {
                    self.progress.message = message;
                }
            }
        }
    }

    /// Until when the last pulse lasts; or that there is none.
    fn take_pulse(&mut self, interval: u32) -> Result<Timestamp, String> {
        let now = self.fleet.now;
        let known = self.progress.pulse;
        if let Some(at) = self.update.controls.pulse.filter(|at| known.is_none_or(|known| known.at != *at)) {
            // A sender whose clock is ahead gets no more than the interval, one whose clock goes back loses nothing.
            let from = at.min(Timestamp::from_second(now.as_second()).unwrap_or(now));
            let from = known.map_or(from, |known| known.from.max(from));
            self.progress.pulse = Some(Pulse { at, from });
        }
        let end = self.progress.pulse.map(|pulse| after(pulse.from, interval)).filter(|end| now < *end);
        end.ok_or_else(|| format!("no pulse for {interval} s; write controls.pulse to go on"))
    }

    /// What is to be said where the update pauses by itself: after a group, never before the first or after the last.
    pub(super) fn pause_after_group(&self) -> Option<String> {
        let strategy = &self.update.settings.strategy;
        let progress = &self.progress;
        let is_due = strategy.autopauses()
            && !progress.state.is_back()
            && progress.working.is_empty()
            && !progress.touched.is_empty();
        // What the spec has taken away meanwhile is no group to come.
        let asked = targets::asked_now(self.fleet, self.update);
        if !is_due || !self.idle(false).iter().any(|instance| *instance < asked) {
            return None;
        }
        let through = groups_through(strategy, self.update.instructions.all(), progress.touched.len());
        (through > self.update.controls.resume_after_batch).then(|| {
            format!("paused after batch {through}; set controls.resumeAfterBatch to {through} to go on")
        })
    }

    /// Says which wishes are not acted on: those that come too late, or too early.
    pub(super) fn refuse(&mut self) {
        let controls = &self.update.controls;
        let state = self.progress.state;
        let asked = [
            (controls.abort.is_some(), Wish::Abort, "abort"),
            (controls.rollback.is_some(), Wish::RollBack, "rollback"),
            (controls.retry.is_some(), Wish::Retry, "retry"),
        ];
        let mut refused: Vec<String> = asked
            .into_iter()
            .filter(|(asked, wish, _)| *asked && answer(state, *wish) == Answer::Refused)
            .map(|(_, _, name)| format!("controls.{name} is not acted on: the update is {}", state.name()))
            .collect();
        if controls.rollback.is_some()
            && state == UpdateState::Failed
            && !self.progress.failed_back.is_empty()
        {
            let why = "the way back has failed as well; change the config to what shall run";
            refused.push(format!("controls.rollback is not acted on: {why}"));
        }
        self.progress.refused = refused.join("; ");
    }

    fn wish(&mut self, wish: Wish, message: String) {
        if let Answer::Goes(state) = answer(self.progress.state, wish) {
            self.go(state, message);
        }
    }
}

fn by(request: &Request) -> String {
    match (request.author.as_str(), request.reason.as_str()) {
        ("", "") => String::new(),
        ("", reason) => format!(": {reason}"),
        (author, "") => format!(" by {author}"),
        (author, reason) => format!(" by {author}: {reason}"),
    }
}
